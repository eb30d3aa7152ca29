//! What can go wrong between a batch and the disk: the one error type of this crate.

use crate::position::Sequence;
use std::fmt;
use std::io;

/// Why the spool did not do what it was asked to.
#[derive(Debug)]
pub enum Error {
    /// The configuration contradicts itself.
    Config { what: &'static str },
    /// Another process has this spool open.
    Locked,
    /// The spool was written by a later version of this crate. It is left as it is.
    Version { version: u32 },
    /// The payload does not fit into a segment. The batch was not taken.
    TooLarge { payload_bytes: usize, payload_bytes_max: u64 },
    /// There is no room on the disk or under the cap, and nothing left that may be dropped. What was appended waits for the next commit.
    NoRoom { source: io::Error },
    /// No batch with this sequence has been handed out.
    NotHandedOut { sequence: Sequence },
    /// The operating system refused. What was appended waits for the next commit.
    Io { what: String, source: io::Error },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        |source| Error::Io { what: what.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config { what } => write!(f, "spool configuration: {what}"),
            Error::Locked => write!(f, "another process has the spool open"),
            Error::Version { version } => {
                write!(f, "the spool has version {version} of its format, which is newer")
            }
            Error::TooLarge { payload_bytes, payload_bytes_max } => {
                write!(f, "a payload of {payload_bytes} bytes is larger than {payload_bytes_max}")
            }
            Error::NoRoom { .. } => write!(f, "no room for more in the spool"),
            Error::NotHandedOut { sequence } => write!(f, "no batch {} has been handed out", sequence.0),
            Error::Io { what, .. } => write!(f, "cannot {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NoRoom { source } | Error::Io { source, .. } => Some(source),
            Error::Config { .. }
            | Error::Locked
            | Error::Version { .. }
            | Error::TooLarge { .. }
            | Error::NotHandedOut { .. } => None,
        }
    }
}

/// Whether the disk is full or a quota is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
