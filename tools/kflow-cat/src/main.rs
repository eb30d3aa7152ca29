//! kflow-cat: prints flow files as JSON lines or CSV, or counts their records.

use clap::Parser;
use kflow_cat::cat;
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Prints flow files as JSON lines or CSV", after_help = cat::EXAMPLES)]
struct Command {
    #[command(flatten)]
    args: cat::Args,
}

fn main() -> ExitCode {
    cat::run(&Command::parse().args)
}
