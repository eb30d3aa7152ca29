//! Embeds the eBPF object that `cargo xtask build` leaves in `<target>/ebpf`, if it is there.
//!
//! Without it the sensor builds all the same and says so when it is asked for the `xdp` source.

use std::{env, fs, path::PathBuf};

const OBJECT: &str = "sensor-ebpf";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_ebpf_object)");
    println!("cargo::rerun-if-env-changed=EBPF_OBJECTS");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let candidates: Vec<PathBuf> = match env::var_os("EBPF_OBJECTS") {
        Some(folder) => vec![PathBuf::from(folder).join(OBJECT)],
        None => out_dir.ancestors().map(|folder| folder.join("ebpf").join(OBJECT)).collect(),
    };
    if let Some(object) = candidates.iter().find(|path| path.is_file()) {
        println!("cargo::rerun-if-changed={}", object.display());
        fs::copy(object, out_dir.join(OBJECT)).expect("the output folder is writable");
        println!("cargo::rustc-cfg=has_ebpf_object");
        return;
    }
    // OUT_DIR is <target>/<profile>/build/<package>-<hash>/out: watch where the object will appear.
    if let Some(target) = out_dir.ancestors().nth(4) {
        println!("cargo::rerun-if-changed={}", target.join("ebpf").join(OBJECT).display());
    }
}
