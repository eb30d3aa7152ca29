//! `cargo xtask build`: the eBPF programs with their toolchain, then everything else with the stable one.
//!
//! The objects land in `TARGET/ebpf/`, where the build scripts of `sensor-user` and `traffic` take them from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::setup::ebpf::{self, Toolchain};
use crate::shell;

/// Package and program name of each eBPF program.
const PROGRAMS: [&str; 2] = ["sensor-ebpf", "traffic-ebpf"];

/// Builds both eBPF programs, then the sensor and its tools
#[derive(Debug, Args)]
pub struct Options {
    /// Builds the userspace part with optimisation (the default).
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Builds the userspace part without optimisation; the eBPF programs always have it.
    #[arg(long)]
    debug: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// The folder below the target folder that holds what this profile builds.
    pub fn folder(self) -> &'static str {
        match self {
            Profile::Debug => "debug",
            Profile::Release => "release",
        }
    }
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    build(if options.debug { Profile::Debug } else { Profile::Release })?;
    Ok(ExitCode::SUCCESS)
}

pub fn build(profile: Profile) -> anyhow::Result<()> {
    build_programs()?;
    let mut cargo = shell::cargo()?;
    cargo.args(["build", "--package", "sensor-user", "--package", "traffic", "--package", "kflow-cat"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    shell::step(&mut cargo)
}

/// The profile of the engine as it is shown and measured.
const ENGINE_PROFILE: &str = "engine";

/// Builds `flowdb` with optimisation.
pub fn build_engine() -> anyhow::Result<()> {
    let mut cargo = shell::cargo()?;
    cargo.args(["build", "--package", "flowdb", "--profile", ENGINE_PROFILE]);
    shell::step(&mut cargo)
}

/// Where that puts it.
pub fn engine_program() -> anyhow::Result<PathBuf> {
    Ok(shell::target_folder()?.join(ENGINE_PROFILE).join("flowdb"))
}

/// Builds the eBPF programs only: all that the tests need before cargo takes over.
pub fn build_programs() -> anyhow::Result<()> {
    let toolchain = ebpf::find().context("find a toolchain for eBPF")?;
    for program in PROGRAMS {
        build_program(&toolchain, program).with_context(|| format!("build {program}"))?;
    }
    Ok(())
}

fn build_program(toolchain: &Toolchain, program: &str) -> anyhow::Result<()> {
    let target = shell::target_folder()?;
    let build_folder = target.join("ebpf-build");
    let mut cargo = toolchain.cargo()?;
    cargo
        .args(["build", "--release", "--package", program, "--bin", program, "--features", "program"])
        .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(&build_folder)
        // Full debug information is what the linker makes BTF of. \x1f separates the flags.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Cdebuginfo=2\x1f-Clink-arg=--btf")
        .env_remove("RUSTFLAGS");
    shell::step(&mut cargo)?;

    let object = build_folder.join("bpfel-unknown-none/release").join(program);
    copy_if_different(&object, &target.join("ebpf").join(program))
}

/// Leaves the time stamp of an unchanged file alone, since build scripts watch it.
fn copy_if_different(from: &Path, to: &Path) -> anyhow::Result<()> {
    let new = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let folder = to.parent().expect("the target is a file in a folder");
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    fs::write(to, new).with_context(|| format!("write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_object_keeps_its_time_stamp() {
        let folder = std::env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("new/to"));
        fs::write(&from, "one").unwrap();
        copy_if_different(&from, &to).unwrap();
        let modified = |file: &Path| fs::metadata(file).unwrap().modified().unwrap();
        let first = modified(&to);

        copy_if_different(&from, &to).unwrap();
        assert_eq!(modified(&to), first);
        fs::write(&from, "two").unwrap();
        copy_if_different(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"two");
        fs::remove_dir_all(&folder).unwrap();
    }
}
