//! `cargo xtask ci`: the tests, the C library as it is installed, a little fuzzing, the licences and the size of the
//! dependency tree.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::ensure;

use crate::{fuzz, install, shell, test};

/// The sensor stays lean: its crates, itself included. Delivery over TLS takes 18 of them, and none may link a C library
/// but ring.
const SENSOR_CRATES_MAX: usize = 140;

pub fn main() -> anyhow::Result<ExitCode> {
    test::run(None)?;
    install::smoke()?;
    fuzz::smoke()?;
    check_dependencies()?;
    check_sensor_crates()?;
    Ok(ExitCode::SUCCESS)
}

fn check_dependencies() -> anyhow::Result<()> {
    if shell::find("cargo-deny").is_none() {
        eprintln!(
            "cargo-deny is not installed, deny.toml goes unchecked: run `cargo install cargo-deny --locked`"
        );
        return Ok(());
    }
    // Advisories change while the tree does not, and need the network: `cargo deny check advisories` is for people.
    shell::run(shell::cargo()?.args(["deny", "check", "bans", "licenses", "sources"]))
}

fn check_sensor_crates() -> anyhow::Result<()> {
    let tree = ["tree", "--package", "sensor-user", "--edges", "normal,build", "--prefix", "none"];
    let crates = count_crates(&shell::read(shell::cargo()?.args(tree))?);
    println!("sensor: {crates} crates of at most {SENSOR_CRATES_MAX}");
    ensure!(crates <= SENSOR_CRATES_MAX, "the sensor has {crates} crates, {SENSOR_CRATES_MAX} are allowed");
    Ok(())
}

/// Distinct `name version` pairs in what `cargo tree --prefix none` prints.
fn count_crates(tree: &str) -> usize {
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace().map(String::from);
        Some((words.next()?, words.next()?))
    };
    tree.lines().filter_map(name_and_version).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_crates_count_once_and_versions_apart() {
        let tree = "sensor-user v0.1.0 (/tree/sensor-user)\nlibc v0.2.1\naya v0.14.0\nlibc v0.2.1 (*)\n\
                    thiserror v1.0.0\nthiserror v2.0.0 (proc-macro)\n\n";
        assert_eq!(count_crates(tree), 5);
    }
}
