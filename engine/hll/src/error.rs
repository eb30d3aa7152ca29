//! What can be wrong with a precision, with serialised bytes, or with a sketch of another library.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The precision is not one of 4 to 18.
    Precision(u8),
    /// The bytes do not begin as a sketch does.
    NotASketch,
    /// The bytes are a sketch of a version that this one cannot read.
    Version(u8),
    /// The bytes are fewer, or more, than their header says.
    Length,
    /// The header is fine; what follows is nothing that a sketch is written as.
    Corrupt(&'static str),
    /// The bytes are not an HLL sketch of Apache DataSketches that can be read here; says why.
    DataSketches(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Precision(precision) => write!(f, "precision {precision} is not one of 4 to 18"),
            Error::NotASketch => f.write_str("not a serialised sketch"),
            Error::Version(version) => write!(f, "serialised sketch of the unknown version {version}"),
            Error::Length => f.write_str("serialised sketch is shorter or longer than it says"),
            Error::Corrupt(what) => write!(f, "serialised sketch is corrupt: {what}"),
            Error::DataSketches(what) => write!(f, "not a readable DataSketches HLL sketch: {what}"),
        }
    }
}

impl std::error::Error for Error {}
