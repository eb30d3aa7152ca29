//! The toolchain that builds eBPF programs: a rustc with the sources of `core`, and a bpf-linker whose LLVM
//! has the same major version.
//!
//! Two ways, the first that is there:
//! 1. rustup's nightly with its `rust-src` component;
//! 2. Debian's own compiler: packages `rustc-web` and `rust-web-src`. Its stable compiler builds `core` when
//!    `RUSTC_BOOTSTRAP` is set.
//!
//! bpf-linker is built against Debian's `llvm-NN-dev` where NN is what the compiler says of itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::packages::ensure_packages;
use crate::shell;

const LINKER_VERSION: &str = "0.13.0";
/// Debian's compiler, whatever rustup puts before it on the search path.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A complete toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    compiler: Compiler,
    llvm_major: u32,
    /// The folder with bpf-linker in it.
    linker_folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compiler {
    Nightly,
    Debian,
}

impl Toolchain {
    /// A cargo that builds with this toolchain.
    pub fn cargo(&self) -> anyhow::Result<Command> {
        let mut command = match self.compiler {
            Compiler::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "cargo"]).env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
                rustup.env("CARGO_TARGET_DIR", shell::target_folder()?).current_dir(shell::workspace());
                rustup
            }
            Compiler::Debian => {
                let mut cargo = shell::cargo()?;
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        };
        let mut path = self.linker_folder.clone().into_os_string();
        path.push(":");
        path.push(shell::search_path());
        command.env("PATH", path);
        Ok(command)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiler = match self.compiler {
            Compiler::Nightly => "rustup's nightly",
            Compiler::Debian => DEBIAN_RUSTC,
        };
        let linker = self.linker_folder.join("bpf-linker");
        write!(f, "eBPF toolchain: {compiler} and {}, both LLVM {}", linker.display(), self.llvm_major)
    }
}

/// The first complete toolchain; an error says what is missing.
pub fn find() -> anyhow::Result<Toolchain> {
    let (compiler, llvm_major) = find_compiler()?;
    let linker_folder = linker_root(llvm_major)?.join("bin");
    ensure!(
        linker_folder.join("bpf-linker").is_file(),
        "there is no bpf-linker for LLVM {llvm_major}: run `cargo xtask setup`"
    );
    Ok(Toolchain { compiler, llvm_major, linker_folder })
}

/// Installs what is missing of a toolchain, Debian's unless a nightly with sources is there.
pub fn install() -> anyhow::Result<Toolchain> {
    if find_compiler().is_err() {
        ensure_packages(&["rustc-web", "rust-web-src"])
            .context("or run `rustup toolchain install nightly --component rust-src`")?;
    }
    let (_, llvm_major) = find_compiler()?;
    if !linker_root(llvm_major)?.join("bin/bpf-linker").is_file() {
        install_linker(llvm_major)?;
    }
    find()
}

fn find_compiler() -> anyhow::Result<(Compiler, u32)> {
    if let Some(llvm_major) = find_nightly() {
        return Ok((Compiler::Nightly, llvm_major));
    }
    ensure!(
        Path::new(DEBIAN_RUSTC).is_file(),
        "no rustup nightly has rust-src and {DEBIAN_RUSTC} is not there: run `cargo xtask setup`"
    );
    let sysroot = shell::read(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    ensure!(has_sources(&sysroot), "{DEBIAN_RUSTC} lacks the sources of core: run `cargo xtask setup`");
    Ok((Compiler::Debian, llvm_major(&shell::read(Command::new(DEBIAN_RUSTC).arg("-vV"))?)?))
}

/// The LLVM of rustup's nightly if it is there, has sources, and a linker for it is there or can be made.
fn find_nightly() -> Option<u32> {
    shell::find("rustup")?;
    let nightly = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        // Only what is installed counts: asking must not start a download.
        command.env("RUSTUP_AUTO_INSTALL", "0").env_remove("RUSTUP_TOOLCHAIN");
        shell::read(command.args(["run", "nightly", "rustc"]).args(arguments)).ok()
    };
    if !has_sources(&nightly(&["--print", "sysroot"])?) {
        return None;
    }
    let llvm_major = llvm_major(&nightly(&["-vV"])?).ok()?;
    let linker = linker_root(llvm_major).ok()?.join("bin/bpf-linker");
    let llvm_package = format!("llvm-{llvm_major}-dev");
    let can_be_made = || shell::read(Command::new("apt-cache").args(["show", &llvm_package])).is_ok();
    (linker.is_file() || can_be_made()).then_some(llvm_major)
}

fn has_sources(sysroot: &str) -> bool {
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").is_dir()
}

/// The major version in the `LLVM version: 22.1.8` line of `rustc -vV`.
fn llvm_major(version: &str) -> anyhow::Result<u32> {
    let Some(llvm) = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")) else {
        bail!("`rustc -vV` names no LLVM version");
    };
    let major = llvm.split('.').next().unwrap_or(llvm);
    major.trim().parse().with_context(|| format!("LLVM version {llvm}"))
}

/// Where the bpf-linker of one LLVM is installed: one folder each, so that a new compiler gets a new linker.
fn linker_root(llvm_major: u32) -> anyhow::Result<PathBuf> {
    Ok(shell::target_folder()?.join(format!("tools/bpf-linker-{LINKER_VERSION}-llvm-{llvm_major}")))
}

fn install_linker(llvm_major: u32) -> anyhow::Result<()> {
    ensure_packages(&[&format!("llvm-{llvm_major}-dev")])?;
    let llvm = format!("/usr/lib/llvm-{llvm_major}");
    let features = format!("llvm-{llvm_major}");
    eprintln!("building bpf-linker {LINKER_VERSION} for LLVM {llvm_major}, about a minute");
    let mut cargo = shell::cargo()?;
    cargo
        .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--quiet"])
        .args(["--no-default-features", "--features", &features])
        .arg("--root")
        .arg(linker_root(llvm_major)?)
        // Without one, cargo builds in a temporary folder and removes it.
        .env_remove("CARGO_TARGET_DIR")
        .env(format!("LLVM_SYS_{llvm_major}1_PREFIX"), &llvm)
        // llvm-sys asks for the library by name and does not say where it is.
        .env("RUSTFLAGS", format!("-L native={llvm}/lib"));
    shell::step(&mut cargo).context("build bpf-linker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_version_is_read_from_what_rustc_says() {
        let version = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
                       release: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(llvm_major(version).unwrap(), 22);
        assert_eq!(llvm_major("LLVM version: 9\n").unwrap(), 9);
    }

    #[test]
    fn rustc_without_llvm_is_an_error() {
        assert!(llvm_major("rustc 1.96.0\nbinary: rustc\n").is_err());
        assert!(llvm_major("LLVM version: unknown\n").is_err());
    }
}
