//! What can go wrong in the engine.

use std::fmt;

/// An error of the engine. Damaged files are no errors: they are quarantined, and reports say so.
#[derive(Debug)]
pub enum Error {
    /// The body is no kflow, or exceeds a limit. The sender must not send it again.
    Malformed(String),
    /// There is no such device.
    UnknownDevice(String),
    /// The log is full or the disk refuses: nothing was taken, the sender shall try again later.
    Busy(String),
    /// The engine is closing, or closed.
    Closed,
    /// The text of a query is not what the engine understands.
    Query(String),
    /// A query went beyond its memory, its rows or its time.
    Budget(String),
    /// A file or a directory.
    Store(String),
    /// The configuration contradicts itself.
    Config(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(what) => write!(f, "malformed: {what}"),
            Error::UnknownDevice(what) => write!(f, "no such device: {what}"),
            Error::Busy(what) => write!(f, "try again later: {what}"),
            Error::Closed => f.write_str("the engine is closed"),
            Error::Query(what) | Error::Budget(what) | Error::Store(what) | Error::Config(what) => {
                f.write_str(what)
            }
        }
    }
}

impl std::error::Error for Error {}
