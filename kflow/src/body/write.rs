//! Message to body.

use super::{ContentEncoding, PREFIX_BYTES};
use flate2::{Compress, Compression, FlushCompress, Status};
use ruzstd::encoding::{CompressionLevel, FrameCompressor, MatchGeneratorDriver};
use std::fmt;
use std::io::Cursor;

/// Makes bodies in one coding. Keeps its buffers: once they have grown to the caller's messages, `identity` and `gzip`
/// allocate nothing; `zstd` does.
#[derive(Debug)]
pub struct BodyWriter {
    coding: Coding,
    body: Vec<u8>,
}

enum Coding {
    Identity,
    Gzip(Compress),
    Zstd(Box<FrameCompressor<Cursor<Vec<u8>>, Vec<u8>, MatchGeneratorDriver>>),
}

/// Twice the work of level 1 for a tenth fewer bytes. Level 6 would take the same step once more for a twentieth.
const GZIP_LEVEL: u32 = 2;

/// The base-2 logarithm of the largest window that there is.
const GZIP_WINDOW_BITS: u8 = 15;

/// By how much the room for a body grows.
const BODY_BYTES_STEP: usize = 16 << 10;

impl BodyWriter {
    pub fn new(encoding: ContentEncoding) -> BodyWriter {
        let coding = match encoding {
            ContentEncoding::Identity => Coding::Identity,
            ContentEncoding::Gzip => {
                Coding::Gzip(Compress::new_gzip(Compression::new(GZIP_LEVEL), GZIP_WINDOW_BITS))
            }
            // The only level that its encoder has.
            ContentEncoding::Zstd => Coding::Zstd(Box::new(FrameCompressor::new(CompressionLevel::Fastest))),
        };
        BodyWriter { coding, body: Vec::new() }
    }

    pub fn encoding(&self) -> ContentEncoding {
        match self.coding {
            Coding::Identity => ContentEncoding::Identity,
            Coding::Gzip(_) => ContentEncoding::Gzip,
            Coding::Zstd(_) => ContentEncoding::Zstd,
        }
    }

    /// The body for a packed message.
    pub fn write(&mut self, message: &[u8]) -> &[u8] {
        const PREFIX: &[u8] = &[0; PREFIX_BYTES];
        self.body.clear();
        match &mut self.coding {
            Coding::Identity => {
                self.body.extend_from_slice(PREFIX);
                self.body.extend_from_slice(message);
            }
            Coding::Gzip(gzip) => {
                gzip.reset();
                deflate(gzip, PREFIX, FlushCompress::None, &mut self.body);
                deflate(gzip, message, FlushCompress::Finish, &mut self.body);
            }
            Coding::Zstd(zstd) => {
                let mut content = zstd.take_source().unwrap_or_default().into_inner();
                content.clear();
                content.extend_from_slice(PREFIX);
                content.extend_from_slice(message);
                zstd.set_source(Cursor::new(content));
                zstd.set_drain(std::mem::take(&mut self.body));
                zstd.compress();
                self.body = zstd.take_drain().expect("it was set above");
            }
        }
        &self.body
    }
}

/// Appends what these bytes become.
fn deflate(gzip: &mut Compress, bytes: &[u8], flush: FlushCompress, body: &mut Vec<u8>) {
    let end = gzip.total_in() + bytes.len() as u64;
    loop {
        let rest = &bytes[bytes.len() - (end - gzip.total_in()) as usize..];
        let status = gzip.compress_vec(rest, body, flush).expect("deflate takes all bytes");
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => gzip.total_in() == end,
        };
        if is_done {
            return;
        }
        body.reserve(BODY_BYTES_STEP);
    }
}

impl fmt::Debug for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Identity => "Identity",
            Coding::Gzip(_) => "Gzip",
            Coding::Zstd(_) => "Zstd",
        })
    }
}
