//! Debian packages: which are there, and how the others get there.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};

use super::report;
use crate::shell;

/// Reports every package; whether all are installed.
pub fn check(wanted: &[&[&str]]) -> anyhow::Result<bool> {
    let installed = installed()?;
    let mut complete = true;
    for alternatives in wanted {
        match alternatives.iter().find(|package| installed.has(package)) {
            Some(package) => report("ok", package),
            None => {
                complete = false;
                report("missing", &format!("{}: run `cargo xtask setup`", alternatives[0]));
            }
        }
    }
    Ok(complete)
}

/// Whether one alternative of each is installed.
pub fn are_installed(wanted: &[&[&str]]) -> anyhow::Result<bool> {
    let installed = installed()?;
    Ok(wanted.iter().all(|alternatives| alternatives.iter().any(|package| installed.has(package))))
}

/// Installs the first alternative of whatever is missing and reports every package.
pub fn ensure(wanted: &[&[&str]]) -> anyhow::Result<()> {
    let before = installed()?;
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|alternatives| !alternatives.iter().any(|package| before.has(package)))
        .map(|alternatives| alternatives[0])
        .collect();
    install(&missing)?;
    for alternatives in wanted {
        match alternatives.iter().find(|package| before.has(package)) {
            Some(package) => report("ok", package),
            None => report("installed", alternatives[0]),
        }
    }
    Ok(())
}

/// Installs those of `packages` that are missing; says nothing about the others.
pub fn ensure_packages(packages: &[&str]) -> anyhow::Result<()> {
    let installed = installed()?;
    let missing: Vec<&str> = packages.iter().filter(|package| !installed.has(package)).copied().collect();
    install(&missing)
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", packages.join(", "));
    update()?;
    let install = ["install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
    apt_get(&[&install, packages].concat())
        .with_context(|| format!("install by hand: apt-get install {}", packages.join(" ")))?;
    let installed = installed()?;
    for package in packages {
        ensure!(installed.has(package), "apt-get succeeded, yet {package} is not installed");
    }
    Ok(())
}

/// Downloads a package into a folder, and does not install it.
pub fn download(package: &str, folder: &Path) -> anyhow::Result<()> {
    eprintln!("downloading {package}");
    update()?;
    shell::step(Command::new("apt-get").args(["download", "-qq", package]).current_dir(folder))
        .with_context(|| format!("apt-get download {package}"))
}

/// Once for all that one run installs.
fn update() -> anyhow::Result<()> {
    static IS_UPDATED: AtomicBool = AtomicBool::new(false);
    if IS_UPDATED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    apt_get(&["update", "-qq"])
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    shell::step(&mut shell::as_root(&command)?)
}

/// Names of all installed packages.
struct Installed(HashSet<String>);

impl Installed {
    fn has(&self, package: &str) -> bool {
        self.0.contains(package)
    }

    /// Reads lines of status and name.
    fn parse(listed: &str) -> Installed {
        Installed(
            listed.lines().filter_map(|line| line.strip_prefix("installed ")).map(String::from).collect(),
        )
    }
}

fn installed() -> anyhow::Result<Installed> {
    ensure!(
        shell::find("dpkg-query").is_some(),
        "setup knows Debian's packages only: install the packages of `cargo xtask setup --help` by hand"
    );
    let format = "${db:Status-Status} ${Package}\\n";
    let listed = shell::read(Command::new("dpkg-query").args(["--show", "--showformat", format]))?;
    Ok(Installed::parse(&listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_packages_with_leftover_configuration_are_not_installed() {
        let installed = Installed::parse("installed curl\nconfig-files nginx\nnot-installed wrk\n");
        assert!(installed.has("curl"));
        assert!(!installed.has("nginx") && !installed.has("wrk"));
    }
}
