//! A flow message as the body of an HTTP request, and back.
//!
//! ```text
//! body = coding( 80 bytes │ packed message, see `codec` )
//! ```
//!
//! The 80 bytes were a header once. Senders fill them with zeros, or with a text that names them, and receivers skip
//! them. In and out: slices of bytes. Headers of the request and its sending are the caller's.

mod read;
mod write;

pub use read::BodyReader;
pub use write::BodyWriter;

/// Bytes before the message.
pub const PREFIX_BYTES: usize = 80;

/// What `Content-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncoding {
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878, in windows of at most 8 MiB (RFC 9659).
    Zstd,
}

impl ContentEncoding {
    pub const ALL: [ContentEncoding; 3] =
        [ContentEncoding::Identity, ContentEncoding::Gzip, ContentEncoding::Zstd];

    /// The value of the header. For `identity` there is none.
    pub const fn name(self) -> &'static str {
        match self {
            ContentEncoding::Identity => "identity",
            ContentEncoding::Gzip => "gzip",
            ContentEncoding::Zstd => "zstd",
        }
    }

    /// Reads the value of the header, which is empty if there is none; `None` for what is not known here, and for more
    /// than one coding.
    pub fn from_name(name: &str) -> Option<ContentEncoding> {
        let name = name.trim();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if name.is_empty() || is("identity") {
            Some(ContentEncoding::Identity)
        } else if is("gzip") || is("x-gzip") {
            Some(ContentEncoding::Gzip)
        } else if is("zstd") {
            Some(ContentEncoding::Zstd)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_known_by_their_names() {
        for encoding in ContentEncoding::ALL {
            assert_eq!(ContentEncoding::from_name(encoding.name()), Some(encoding));
        }
        assert_eq!(ContentEncoding::from_name(""), Some(ContentEncoding::Identity));
        assert_eq!(ContentEncoding::from_name(" X-GZip "), Some(ContentEncoding::Gzip));
        assert_eq!(ContentEncoding::from_name("gzip, gzip"), None);
        assert_eq!(ContentEncoding::from_name("br"), None);
    }
}
