//! Bodies of kflow to rows.

use crate::error::Error;
use crate::rows::{self, Arrival, Decoded};
use kflow::body::{BodyReader, ContentEncoding};

/// Undoes the compression of bodies, within limits, and decodes them. Keeps its buffer.
#[derive(Debug)]
pub struct Decoder {
    bodies: BodyReader,
}

/// What a body may decompress to.
pub const BODY_BYTES_MAX: usize = 64 << 20;

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { bodies: BodyReader::new(BODY_BYTES_MAX) }
    }

    /// The rows of a body. Every slice of bytes is a valid argument.
    pub fn decode(
        &mut self,
        body: &[u8],
        encoding: ContentEncoding,
        arrival: Arrival,
    ) -> Result<Decoded, Error> {
        let content = self
            .bodies
            .read(body, encoding)
            .map_err(|error| Error::Malformed(format!("the body: {error}")))?;
        rows::decode(content, arrival)
    }
}

/// The encoding that goes by a name.
pub fn encoding_named(name: &str) -> Option<ContentEncoding> {
    ContentEncoding::from_name(name)
}
