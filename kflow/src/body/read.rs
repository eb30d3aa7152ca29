//! Body to message, within a limit.

use super::{ContentEncoding, PREFIX_BYTES};
use crate::error::Error;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::fmt::Display;
use std::io::Read;

/// Takes messages out of bodies. Keeps its buffers.
pub struct BodyReader {
    bytes_max: usize,
    content: Vec<u8>,
    zstd: FrameDecoder,
}

/// Larger windows are not for HTTP (RFC 9659).
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 << 20;

impl BodyReader {
    /// A reader of bodies that have at most so many bytes once they are decoded.
    pub fn new(bytes_max: usize) -> BodyReader {
        let mut zstd = FrameDecoder::new();
        zstd.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        BodyReader { bytes_max, content: Vec::new(), zstd }
    }

    /// The packed message of a body, without the prefix if there is one.
    ///
    /// Every slice of bytes is a valid argument. A body that decodes to more than the limit is [`Error::BodyTooLarge`],
    /// and decoded no further than that; one that ends early, or has something else behind its coding, is
    /// [`Error::Malformed`]. Several gzip members, or frames of zstd, follow each other as one.
    pub fn read<'a>(&'a mut self, body: &'a [u8], encoding: ContentEncoding) -> Result<&'a [u8], Error> {
        self.content.clear();
        let content = match encoding {
            ContentEncoding::Identity => body,
            ContentEncoding::Gzip => {
                read_up_to(self.bytes_max, MultiGzDecoder::new(body), &mut self.content)?;
                &self.content
            }
            ContentEncoding::Zstd => {
                read_zstd(body, &mut self.zstd, self.bytes_max, &mut self.content)?;
                &self.content
            }
        };
        if content.len() > self.bytes_max {
            return Err(Error::BodyTooLarge { bytes_max: self.bytes_max });
        }
        without_prefix(content)
    }
}

/// Appends what an input has, or one byte more than there may be.
fn read_up_to(bytes_max: usize, input: impl Read, content: &mut Vec<u8>) -> Result<(), Error> {
    let room = bytes_max.saturating_sub(content.len()) as u64 + 1;
    input.take(room).read_to_end(content).map_err(broken)?;
    Ok(())
}

/// All frames, with their checksums.
fn read_zstd(
    body: &[u8],
    decoder: &mut FrameDecoder,
    bytes_max: usize,
    content: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut rest = body;
    loop {
        match StreamingDecoder::new_with_decoder(&mut rest, &mut *decoder) {
            Ok(frame) => read_up_to(bytes_max, frame, content)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                rest.split_off(..length as usize).ok_or_else(|| broken("a frame to skip is cut"))?;
            }
            Err(error) => return Err(broken(error)),
        }
        if content.len() > bytes_max {
            return Ok(());
        }
        if let Some(checksum) = decoder.get_checksum_from_data()
            && decoder.get_calculated_checksum() != Some(checksum)
        {
            return Err(broken("its checksum is another"));
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What is behind the prefix: zeros, as senders fill it, or a text that ends in a caret and zeros behind that. No
/// message begins like that.
fn without_prefix(content: &[u8]) -> Result<&[u8], Error> {
    let is_zero = content.starts_with(&[0; 5]);
    match content.split_first_chunk::<PREFIX_BYTES>() {
        Some((prefix, message)) if is_zero || is_name(prefix) => Ok(message),
        None if is_zero => Err(Error::malformed("it ends within what is before it")),
        _ => Ok(content),
    }
}

fn is_name(prefix: &[u8; PREFIX_BYTES]) -> bool {
    let mut parts = prefix.splitn(2, |byte| *byte == b'^');
    match (parts.next(), parts.next()) {
        (Some(name), Some(rest)) => {
            name.contains(&b':') && !name.contains(&0) && rest.iter().all(|byte| *byte == 0)
        }
        _ => false,
    }
}

#[cold]
fn broken(why: impl Display) -> Error {
    Error::malformed(format!("the coding of its body is broken: {why}"))
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}
