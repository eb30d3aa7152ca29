//! `cargo xtask test`: set up, build, then everything that can fail a change.

use std::process::ExitCode;

use clap::Args;

use crate::{compile, setup, shell};

/// Checks format and lints, then runs all tests
#[derive(Debug, Args)]
pub struct Options {
    /// Runs only the tests whose name contains this.
    filter: Option<String>,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    run(options.filter.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

pub fn run(filter: Option<&str>) -> anyhow::Result<()> {
    setup::ensure_if_missing()?;
    shell::run(shell::cargo()?.args(["fmt", "--all", "--check"]))?;
    compile::build(compile::Profile::Release)?;
    let lint = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    shell::run(shell::cargo()?.args(lint))?;
    let mut tests = shell::cargo()?;
    if let Some(root) = setup::postgresql::find() {
        tests.env("POSTGRESQL_ROOT", root);
    }
    shell::run(tests.args(["test", "--workspace"]).args(filter))
}
