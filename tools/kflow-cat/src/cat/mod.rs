//! Prints flow files as JSON lines or CSV, or counts their records.

mod input;
mod output;

use anyhow::{Context, Error};
use clap::ValueEnum;
use input::Input;
use kflow::file::FileReader;
use output::Output;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Form of the output: one JSON object or one CSV line per record
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,

    /// Print the messages' own fields, by their names in the schema: for messages of any sender. Fields without a
    /// value are left out, and custom columns have ids
    #[arg(long, conflicts_with_all = ["format", "count"])]
    chf: bool,

    /// Print nothing but the number of records
    #[arg(long)]
    count: bool,

    /// Flow files, directories of flow files, or - for the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Csv,
}

pub const EXAMPLES: &str = "\
Examples:
  kflow-cat flows.kflow                        all records as JSON lines
  kflow-cat --format csv /var/lib/flows        a directory's finished files as one CSV table
  kflow-cat --count /var/lib/flows             how many records that is
  cat *.kflow | kflow-cat - | jq .protocol     files that are concatenated are a flow file
  kflow-cat . | jq 'select(.dns_rcode == 3)'   queries for names that do not exist
  kflow-cat --chf other.kflow | jq .custom     messages of another sender

A directory's files are read in the order of their names; only names that end in
.kflow count, so a file that is being written is passed over.
What comes before a damaged place is printed; the exit code is 1 then.";

pub fn run(args: &Args) -> ExitCode {
    let mut output = Output::new(args);
    let printed = print_all(&args.files, &mut output);
    let finished = output.finish();
    match printed.and_then(|damaged| finished.map(|()| damaged)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // Whoever read the output has seen enough.
        Err(error) if matches!(error.downcast_ref(), Some(kflow::Error::Closed)) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints all files and returns how many could not be read to their end. These are reported as they come;
/// an error is one of the output.
fn print_all(paths: &[PathBuf], output: &mut Output) -> Result<usize, Error> {
    let mut failed = 0;
    for path in paths {
        let inputs = match input::expand(path) {
            Ok(inputs) => inputs,
            Err(error) => {
                report(&error);
                failed += 1;
                continue;
            }
        };
        for input in inputs {
            if let Err(error) = print_file(&input, output)? {
                output.flush()?;
                report(&error);
                failed += 1;
            }
        }
    }
    Ok(failed)
}

/// Prints one file. The outer error is one of the output, the inner one of the file.
fn print_file(input: &Input, output: &mut Output) -> Result<Result<(), Error>, Error> {
    let mut reader: FileReader<Box<dyn Read>> = match input.open() {
        Ok(opened) => FileReader::new(opened),
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match output.print_message(&mut reader)?.with_context(|| input.to_string()) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn report(error: &Error) {
    eprintln!("kflow-cat: {error:#}");
}
