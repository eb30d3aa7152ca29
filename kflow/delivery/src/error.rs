//! What can be wrong with the set-up of a delivery. What goes wrong with a request is an
//! [`Outcome`](crate::Outcome).

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a client could not be made. No variant holds a secret.
#[derive(Debug)]
pub enum Error {
    /// The token cannot be one.
    Token { what: String },
    /// Others than its owner may read the file of the token.
    TokenExposed { path: PathBuf, mode: u32 },
    /// The e-mail address, the user agent or another value cannot be sent in a header.
    Header { name: &'static str, what: &'static str },
    /// This is no URL to send to. `url` is left out where it holds credentials.
    Url { url: String, what: &'static str },
    /// The proxy cannot be used.
    Proxy { what: &'static str },
    /// A certificate or key cannot be used.
    Certificate { what: String },
    /// The file of the device that was known last is damaged.
    Device { what: String },
    /// The operating system refused.
    Io { what: String, source: io::Error },
}

impl Error {
    /// Wraps an error of the operating system; `what` says what was attempted, on which file.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Error {
        Error::Io { what: what.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Token { what } => write!(f, "the API token cannot be used: {what}"),
            Error::TokenExposed { path, mode } => write!(
                f,
                "every user of this machine may read the API token in {} (mode {mode:03o}): chmod 600 it",
                path.display()
            ),
            Error::Header { name, what } => write!(f, "the {name} cannot be sent: {what}"),
            Error::Url { url, what } => write!(f, "cannot send to {url:?}: {what}"),
            Error::Proxy { what } => write!(f, "the proxy cannot be used: {what}"),
            Error::Certificate { what } => write!(f, "TLS cannot be set up: {what}"),
            Error::Device { what } => write!(f, "the device known last cannot be read: {what}"),
            Error::Io { what, .. } => write!(f, "cannot {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
