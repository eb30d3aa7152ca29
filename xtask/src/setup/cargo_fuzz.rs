//! cargo-fuzz, which builds the fuzz targets: one that is on the search path in the right version, else one of our own
//! in the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::shell;

const VERSION: &str = "0.13.2";

/// The program, if it is there.
pub fn find() -> Option<PathBuf> {
    let own = root().ok().map(|root| root.join("bin/cargo-fuzz"));
    [own, shell::find("cargo-fuzz")].into_iter().flatten().find(|program| is_right(program))
}

/// The program; installed, which takes about a minute, if it is not there.
pub fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(program) = find() {
        return Ok(program);
    }
    eprintln!("building cargo-fuzz {VERSION}, about a minute");
    let mut cargo = shell::cargo()?;
    cargo
        .args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--quiet", "--root"])
        .arg(root()?)
        // Without one, cargo builds in a temporary folder and removes it.
        .env_remove("CARGO_TARGET_DIR");
    shell::step(&mut cargo).context("build cargo-fuzz")?;
    find().with_context(|| format!("cargo-fuzz {VERSION} was installed, but is another"))
}

/// What it is called in reports.
pub fn name() -> String {
    format!("cargo-fuzz {VERSION}")
}

fn root() -> anyhow::Result<PathBuf> {
    Ok(shell::target_folder()?.join(format!("tools/cargo-fuzz-{VERSION}")))
}

fn is_right(program: &Path) -> bool {
    shell::read(Command::new(program).arg("--version")).is_ok_and(|version| names_version(&version))
}

/// `cargo-fuzz --version` prints `cargo-fuzz 0.13.2`.
fn names_version(printed: &str) -> bool {
    printed.split_whitespace().last() == Some(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_taken() {
        assert!(names_version(&format!("cargo-fuzz {VERSION}\n")));
        assert!(!names_version("cargo-fuzz 0.11.0\n"));
        assert!(!names_version(""));
    }
}
