//! The bytes of a capture. In: a reader, compressed or not. Out: a window into one fixed buffer.
//!
//! The buffer is filled only when its user asks for more than it holds, which is between bursts. What is left
//! is moved to the front then: less than one record. Nothing is allocated after `new` but by a decompressor
//! whose input asks for a larger window.

use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read};

use crate::source::SourceError;

use super::gzip::GzipReader;
use super::zstd::ZstdReader;

/// Holds the largest block that is not skipped, and a read beside it.
pub(super) const BUFFER_BYTES: usize = 4 << 20;
/// Read at once: fits the second-level cache, so that bytes are still warm when the walker comes.
const READ_BYTES_MAX: usize = 256 << 10;
/// Read at once from a compressed file.
const COMPRESSED_READ_BYTES: usize = 128 << 10;

/// Told by the first four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Magic numbers of RFC 1952 and RFC 8878; a zstd file may start with a skippable frame.
    pub(super) fn of(magic: &[u8]) -> Compression {
        match magic {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// The window has what was asked for.
    Enough,
    /// It does not, and there is nothing more to come.
    Ended,
}

pub(super) struct Stream {
    reader: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of `buffer[start]`, in the decompressed stream.
    offset: u64,
    at_end: bool,
}

impl Stream {
    pub(super) fn new(mut reader: impl Read + Send + 'static) -> io::Result<Stream> {
        let mut magic = Vec::with_capacity(4);
        (&mut reader).take(4).read_to_end(&mut magic)?;
        let compression = Compression::of(&magic);
        let whole = Cursor::new(magic).chain(reader);
        Ok(Stream {
            reader: decompress(compression, whole),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            at_end: false,
        })
    }

    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
        assert!(self.start <= self.end, "no more is consumed than the window has");
    }

    /// Reads until the window has `bytes`. An error comes once the window was given out as it is.
    pub(super) fn fill(&mut self, bytes: usize) -> Result<Filled, SourceError> {
        assert!(bytes <= BUFFER_BYTES, "the walker bounds what it asks for");
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes {
            if self.at_end {
                return Ok(Filled::Ended);
            }
            let room_end = self.buffer.len().min(self.end + READ_BYTES_MAX);
            match self.reader.read(&mut self.buffer[self.end..room_end]) {
                Ok(0) => self.at_end = true,
                Ok(bytes_read) => self.end += bytes_read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        }
        Ok(Filled::Enough)
    }

    /// Decompressors report bad data as read errors; it lies where the decompressed bytes end.
    fn read_error(&self, error: io::Error) -> SourceError {
        let offset = self.offset + self.end as u64;
        match error.kind() {
            ErrorKind::UnexpectedEof => {
                SourceError::Damaged { offset, what: "compressed data ends early".to_string() }
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                SourceError::Damaged { offset, what: format!("compressed data is broken: {error}") }
            }
            _ => SourceError::Io(error),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("offset", &self.offset)
            .field("window_bytes", &(self.end - self.start))
            .field("at_end", &self.at_end)
            .finish_non_exhaustive()
    }
}

fn decompress<R: Read + Send + 'static>(
    compression: Compression,
    whole: Chain<Cursor<Vec<u8>>, R>,
) -> Box<dyn Read + Send> {
    match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => {
            Box::new(GzipReader::new(BufReader::with_capacity(COMPRESSED_READ_BYTES, whole)))
        }
        Compression::Zstd => {
            Box::new(ZstdReader::new(BufReader::with_capacity(COMPRESSED_READ_BYTES, whole)))
        }
    }
}
