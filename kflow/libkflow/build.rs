//! What the linker is told of the shared library, which a crate cannot say in its source.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkflow.so.1");
    // Threads run in it until kflowStop: dlclose must not take their code away.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
