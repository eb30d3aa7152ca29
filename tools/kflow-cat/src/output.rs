//! How records are printed: as JSON lines, as CSV, or only counted.

use crate::{Args, Format};
use anyhow::Error;
use kflow::sink::JsonSink;
use kflow::{FlowRecord, Sink, text};
use std::io::{self, StdoutLock, Write};

/// The standard output in one of its forms.
pub enum Output {
    Json(JsonSink<StdoutLock<'static>>),
    Csv { output: StdoutLock<'static>, lines: Vec<u8> },
    Count { output: StdoutLock<'static>, records: u64 },
}

impl Output {
    pub fn new(args: &Args) -> Output {
        let output = io::stdout().lock();
        if args.count {
            return Output::Count { output, records: 0 };
        }
        match args.format {
            Format::Json => Output::Json(JsonSink::new(output)),
            Format::Csv => {
                let mut lines = Vec::new();
                text::write_csv_names(&mut lines);
                Output::Csv { output, lines }
            }
        }
    }

    pub fn write(&mut self, records: &[FlowRecord]) -> Result<(), Error> {
        match self {
            Output::Json(sink) => sink.write(records)?,
            Output::Csv { output, lines } => {
                for record in records {
                    text::write_csv(record, lines);
                }
                write_all(output, lines)?;
                lines.clear();
            }
            Output::Count { records: count, .. } => *count += records.len() as u64,
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        match self {
            Output::Json(sink) => sink.flush()?,
            Output::Csv { output, .. } => output.flush().map_err(closed_or_failed)?,
            Output::Count { .. } => {}
        }
        Ok(())
    }

    /// Prints what is only known at the end.
    pub fn finish(mut self) -> Result<(), Error> {
        match &mut self {
            Output::Json(_) => {}
            Output::Csv { output, lines } => write_all(output, lines)?,
            Output::Count { output, records } => write_all(output, format!("{records}\n").as_bytes())?,
        }
        self.flush()
    }
}

fn write_all(output: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    output.write_all(bytes).map_err(closed_or_failed)
}

fn closed_or_failed(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return kflow::Error::Closed.into();
    }
    Error::from(error).context("cannot write to the standard output")
}
