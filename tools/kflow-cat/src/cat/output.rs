//! How records are printed: as JSON lines, as CSV, field by field of the schema, or only counted.

use super::{Args, Format};
use anyhow::Error;
use kflow::codec::Limits;
use kflow::file::FileReader;
use kflow::sink::JsonSink;
use kflow::{Sink, chf, text};
use std::io::{self, Read, StdoutLock, Write};

/// The standard output in one of its forms.
pub enum Output {
    Json(JsonSink<StdoutLock<'static>>),
    Csv { output: StdoutLock<'static>, lines: Vec<u8> },
    Chf { output: StdoutLock<'static>, lines: Vec<u8> },
    Count { output: StdoutLock<'static>, records: u64 },
}

impl Output {
    pub fn new(args: &Args) -> Output {
        let output = io::stdout().lock();
        if args.count {
            return Output::Count { output, records: 0 };
        }
        if args.chf {
            return Output::Chf { output, lines: Vec::new() };
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

    /// Prints the next message of a file; false at its end. The outer error is one of the output, the inner one of the
    /// file.
    pub fn print_message(
        &mut self,
        reader: &mut FileReader<impl Read>,
    ) -> Result<Result<bool, kflow::Error>, Error> {
        match self {
            Output::Json(sink) => print(reader.read(), |records| Ok(sink.write(records)?)),
            Output::Csv { output, lines } => print(reader.read(), |records| {
                records.iter().for_each(|record| text::write_csv(record, lines));
                write_lines(output, lines)
            }),
            Output::Chf { output, lines } => print(reader.read_chf(&Limits::default()), |records| {
                records.iter().for_each(|record| chf::write_json(record, lines));
                write_lines(output, lines)
            }),
            Output::Count { records: count, .. } => print(reader.read(), |records| {
                *count += records.len() as u64;
                Ok(())
            }),
        }
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        match self {
            Output::Json(sink) => sink.flush()?,
            Output::Csv { output, .. } | Output::Chf { output, .. } => {
                output.flush().map_err(closed_or_failed)?;
            }
            Output::Count { .. } => {}
        }
        Ok(())
    }

    /// Prints what is only known at the end.
    pub fn finish(mut self) -> Result<(), Error> {
        match &mut self {
            Output::Json(_) | Output::Chf { .. } => {}
            Output::Csv { output, lines } => write_all(output, lines)?,
            Output::Count { output, records } => write_all(output, format!("{records}\n").as_bytes())?,
        }
        self.flush()
    }
}

/// Prints what was read of a file, if it was anything.
fn print<T>(
    read: Result<Option<Vec<T>>, kflow::Error>,
    print: impl FnOnce(&[T]) -> Result<(), Error>,
) -> Result<Result<bool, kflow::Error>, Error> {
    match read {
        Ok(Some(records)) => print(&records).map(|()| Ok(true)),
        Ok(None) => Ok(Ok(false)),
        Err(error) => Ok(Err(error)),
    }
}

fn write_lines(output: &mut impl Write, lines: &mut Vec<u8>) -> Result<(), Error> {
    write_all(output, lines)?;
    lines.clear();
    Ok(())
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
