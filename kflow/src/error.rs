//! What can go wrong between a record and its bytes: the one error type of this crate.

use std::fmt;
use std::io;

/// Why records could not be written or read.
#[derive(Debug)]
pub enum Error {
    /// A batch has more records than one message may hold.
    TooManyRecords { records: usize },
    /// A batch makes a message of more bytes, unpacked, than readers take. Fewer records at a time may do.
    MessageTooLarge { bytes_max: usize },
    /// The bytes are no flow message, or hold a value that no record can have.
    Malformed { what: String },
    /// The body of a request decodes to more bytes than the reader takes.
    BodyTooLarge { bytes_max: usize },
    /// A flow file is broken from this byte offset on. What came before it is good.
    Damaged { offset: u64, what: String },
    /// Whoever read the output is gone: a closed pipe. Not a fault of the writer.
    Closed,
    /// The operating system refused.
    Io { what: String, source: io::Error },
}

impl Error {
    /// Wraps an error of writing or reading; `what` says what was attempted and on which file.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Error::Closed;
        }
        Error::Io { what: what.into(), source }
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Error {
        Error::Malformed { what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooManyRecords { records } => write!(f, "{records} records are too many for one message"),
            Error::MessageTooLarge { bytes_max } => {
                write!(f, "the records make a message of more than {bytes_max} bytes")
            }
            Error::Malformed { what } => write!(f, "not a flow message: {what}"),
            Error::BodyTooLarge { bytes_max } => write!(f, "the body has more than {bytes_max} bytes"),
            Error::Damaged { offset, what } => write!(f, "damaged at byte {offset}: {what}"),
            Error::Closed => write!(f, "the reader of the output is gone"),
            Error::Io { what, .. } => write!(f, "cannot {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::TooManyRecords { .. }
            | Error::MessageTooLarge { .. }
            | Error::Malformed { .. }
            | Error::BodyTooLarge { .. }
            | Error::Damaged { .. }
            | Error::Closed => None,
        }
    }
}
