//! Every task of the project, as `cargo xtask VERB`. Each verb is a file of its own.

mod bench;
mod ci;
mod compare;
mod compile;
mod demo;
mod fuzz;
mod install;
mod interrupt;
mod run;
mod setup;
mod shell;
mod summary;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of the project: set up a machine, build, run, show, test and measure.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    Setup(setup::Options),
    Build(compile::Options),
    Run(run::Options),
    Demo(demo::Options),
    Test(test::Options),
    Bench(bench::Options),
    Compare(compare::Options),
    Fuzz(fuzz::Options),
    Install(install::Options),
    /// What continuous integration runs: setup, build, test, fuzz, licences, number of crates
    Ci,
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Setup(options) => setup::main(&options),
        Verb::Build(options) => compile::main(&options),
        Verb::Run(options) => run::main(&options),
        Verb::Demo(options) => demo::main(&options),
        Verb::Test(options) => test::main(&options),
        Verb::Bench(options) => bench::main(&options),
        Verb::Compare(options) => compare::main(&options),
        Verb::Fuzz(options) => fuzz::main(&options),
        Verb::Install(options) => install::main(&options),
        Verb::Ci => ci::main(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
