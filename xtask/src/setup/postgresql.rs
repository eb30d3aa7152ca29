//! The programs of a PostgreSQL server, for a test of what the sensor says of it. Debian starts a server when it
//! installs the package, so the package is only unpacked, beside what is built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::packages;
use crate::shell;

pub const NAME: &str = "PostgreSQL server (unpacked, not installed)";

/// Where its files are: the root of the system, or a folder of ours that looks like one.
pub fn find() -> Option<PathBuf> {
    let has_server = |root: &PathBuf| {
        let versions = fs::read_dir(root.join("usr/lib/postgresql"));
        versions.into_iter().flatten().flatten().any(|version| version.path().join("bin/initdb").is_file())
    };
    [PathBuf::from("/"), unpacked().ok()?].into_iter().find(has_server)
}

pub fn ensure() -> anyhow::Result<()> {
    if find().is_some() {
        return Ok(());
    }
    // The package of the current version is what the package without a version depends on.
    let depends = shell::read(Command::new("apt-cache").args(["depends", "postgresql"]))?;
    let package = server_package(&depends).context("apt-cache names no server that postgresql depends on")?;
    let folder = unpacked()?;
    let download = folder.with_extension("download");
    for folder in [&folder, &download] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
    }
    fs::create_dir_all(&download).with_context(|| format!("create {}", download.display()))?;
    packages::download(package, &download)?;
    let archive = archive_in(&download)?;
    shell::step(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&folder))?;
    fs::remove_dir_all(&download).with_context(|| format!("remove {}", download.display()))?;
    ensure!(find().is_some(), "{package} was unpacked, yet there is no server in {}", folder.display());
    Ok(())
}

fn unpacked() -> anyhow::Result<PathBuf> {
    Ok(shell::target_folder()?.join("postgresql"))
}

fn server_package(depends: &str) -> Option<&str> {
    depends.lines().find_map(|line| {
        let package = line.trim().strip_prefix("Depends: ")?;
        package.strip_prefix("postgresql-")?.parse::<u32>().is_ok().then_some(package)
    })
}

fn archive_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut files = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let file = files.next().context("apt-get succeeded, yet downloaded nothing")?;
    Ok(file.with_context(|| format!("list {}", folder.display()))?.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_of_the_server_is_the_one_with_a_version() {
        let depends = "postgresql\n  Depends: postgresql-common\n  Depends: postgresql-15\n  Suggests: postgresql-doc\n";
        assert_eq!(server_package(depends), Some("postgresql-15"));
        assert_eq!(server_package("postgresql\n  Depends: postgresql-common\n"), None);
    }
}
