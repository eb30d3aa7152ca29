//! Why a text is no SQL that is run.

use std::fmt;

use datafusion::error::DataFusionError;

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is longer than is looked at.
    TooLong { bytes: usize, most: usize },
    /// A statement has more of something than is planned: nested brackets, operators, joins, …
    TooMuch { what: &'static str, most: usize, at: Position },
    /// It is not SQL.
    Syntax { message: String, at: Option<Position> },
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLong { bytes, most } => write!(formatter, "SQL of {bytes} bytes: {most} are the most"),
            Error::TooMuch { what, most, at } => {
                write!(formatter, "{at}: more than {most} {what} in a statement")
            }
            Error::Syntax { message, at: Some(at) } => write!(formatter, "{at}: {message}"),
            Error::Syntax { message, at: None } => formatter.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
