//! Where records go: one contract for every output.

mod file;
mod json;

pub use file::{DirectoryConfig, DirectorySink, DirectoryStats, SingleFileSink};
pub use json::JsonSink;

use crate::error::Error;
use crate::record::FlowRecord;

/// Why a sink did not take records.
pub type SinkError = Error;

/// An output for records, owned by one thread.
///
/// Calls may block for as long as the output does. After an error the sink may be used again; records of the
/// failed call may have been written in part.
pub trait Sink {
    /// Takes a batch.
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError>;

    /// Hands everything written so far to the operating system or the peer.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// The name for messages and metrics.
    fn name(&self) -> &'static str;

    /// Tells the time, nanoseconds since the Unix epoch, so that what is due happens though no record comes.
    fn advance(&mut self, _now_ns: u64) -> Result<(), SinkError> {
        Ok(())
    }

    /// Ends the output; nothing is written after it.
    fn close(&mut self) -> Result<(), SinkError> {
        self.flush()
    }
}
