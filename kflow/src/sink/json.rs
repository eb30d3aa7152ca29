//! Records as JSON lines to any output, such as a file or the standard output.

use super::{Sink, SinkError};
use crate::error::Error;
use crate::record::FlowRecord;
use crate::text;
use std::io::Write;

/// Writes one JSON object per line. A closed pipe is [`Error::Closed`].
#[derive(Debug)]
pub struct JsonSink<W> {
    output: W,
    /// Lines of the batch at hand; kept for the next one.
    lines: Vec<u8>,
}

/// Lines are handed to the output in pieces of about this size.
const LINES_BYTES: usize = 64 << 10;

impl<W: Write> JsonSink<W> {
    pub fn new(output: W) -> JsonSink<W> {
        JsonSink { output, lines: Vec::new() }
    }

    pub fn into_output(self) -> W {
        self.output
    }

    fn write_lines(&mut self) -> Result<(), Error> {
        let result = self.output.write_all(&self.lines);
        self.lines.clear();
        result.map_err(|source| Error::io("write JSON lines", source))
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        for record in records {
            text::write_json(record, &mut self.lines);
            if self.lines.len() >= LINES_BYTES {
                self.write_lines()?;
            }
        }
        self.write_lines()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.output.flush().map_err(|source| Error::io("write JSON lines", source))
    }

    fn name(&self) -> &'static str {
        "json"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_record_is_a_line() {
        let mut sink = JsonSink::new(Vec::new());
        let records = vec![FlowRecord::default(); 1000];
        sink.write(&records).unwrap();
        sink.write(&records).unwrap();
        let output = String::from_utf8(sink.into_output()).unwrap();
        assert_eq!(output.lines().count(), 2000);
        assert!(output.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_closed_pipe_is_an_error_of_its_own() {
        let mut sink = JsonSink::new(ClosedPipe);
        assert!(matches!(sink.write(&[FlowRecord::default()]), Err(Error::Closed)));
    }
}
