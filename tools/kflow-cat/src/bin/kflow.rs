//! kflow: looks at flow files and at spools.

use clap::{Parser, Subcommand};
use kflow_cat::{cat, spool};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Looks at flow files and at spools", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints flow files as JSON lines or CSV
    #[command(after_help = cat::EXAMPLES.replace("kflow-cat", "kflow cat"))]
    Cat(cat::Args),
    /// Looks at batches that wait on disk, and after them
    #[command(subcommand, after_help = spool::EXAMPLES)]
    Spool(spool::Command),
}

const EXAMPLES: &str = "\
Examples:
  kflow cat --format csv /var/lib/flows       a directory's finished files as one CSV table
  kflow spool ls /var/lib/sensor/spool        what waits to be delivered
  kflow spool verify /var/lib/sensor/spool    whether any of it is damaged";

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Cat(args) => cat::run(&args),
        Command::Spool(command) => spool::run(&command),
    }
}
