//! Embeds the eBPF object if it has been built: `$EBPF_OBJECTS/traffic-ebpf`, else `ebpf/traffic-ebpf` in the
//! nearest folder above the build output that has it. Without it the crate builds all the same.

use std::path::{Path, PathBuf};
use std::{env, fs};

const OBJECT: &str = "traffic-ebpf";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(ebpf_object)");
    println!("cargo::rerun-if-env-changed=EBPF_OBJECTS");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let candidate = candidate(&output);
    // A path that does not exist makes cargo ask again at the next build, which is what is wanted.
    println!("cargo::rerun-if-changed={}", candidate.display());
    if !candidate.is_file() {
        return;
    }
    fs::copy(&candidate, output.join(OBJECT)).expect("the object can be copied to OUT_DIR");
    println!("cargo::rustc-cfg=ebpf_object");
}

fn candidate(output: &Path) -> PathBuf {
    if let Some(folder) = env::var_os("EBPF_OBJECTS") {
        return PathBuf::from(folder).join(OBJECT);
    }
    let below = |folder: &Path| folder.join("ebpf").join(OBJECT);
    let found = output.ancestors().map(below).find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| below(output))
}
