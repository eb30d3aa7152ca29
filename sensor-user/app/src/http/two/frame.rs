//! Frames of HTTP/2 (RFC 9113 §4 and §6).

use crate::parser::Failure;

pub const HEADER_BYTES: usize = 9;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 0x04;
const IS_PADDED: u8 = 0x08;
const HAS_PRIORITY: u8 = 0x20;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    flags: u8,
    pub stream: u32,
    pub payload_bytes: usize,
}

/// The first piece of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    pub bytes: &'a [u8],
    /// The stream that the fields are of.
    pub stream: u32,
}

impl Frame {
    /// `None` if the header is not all there.
    pub fn read(bytes: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes.first_chunk::<HEADER_BYTES>()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff,
            payload_bytes: u32::from_be_bytes([0, a, b, c]) as usize,
        })
    }

    /// With its header.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes
    }

    pub fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// Frames of the connection have no stream and those of streams have one; some have one length only.
    pub fn check(&self) -> Result<(), Failure> {
        let is_possible = match self.kind {
            DATA | HEADERS | PUSH_PROMISE | CONTINUATION => self.stream != 0,
            PRIORITY => self.stream != 0 && self.payload_bytes == 5,
            RST_STREAM => self.stream != 0 && self.payload_bytes == 4,
            SETTINGS => self.stream == 0 && self.payload_bytes.is_multiple_of(6),
            PING => self.stream == 0 && self.payload_bytes == 8,
            GOAWAY => self.stream == 0 && self.payload_bytes >= 8,
            WINDOW_UPDATE => self.payload_bytes == 4,
            _ => true,
        };
        if is_possible { Ok(()) } else { Err(Failure::Malformed) }
    }

    /// What HEADERS or PUSH_PROMISE has of a header block, without padding and priority.
    pub fn fragment<'a>(&self, payload: &'a [u8]) -> Option<Fragment<'a>> {
        let mut bytes = payload;
        let mut padding = 0;
        if self.flags & IS_PADDED != 0 {
            let (length, rest) = bytes.split_first()?;
            (padding, bytes) = (usize::from(*length), rest);
        }
        let mut stream = self.stream;
        if self.kind == PUSH_PROMISE {
            let (promised, rest) = bytes.split_first_chunk()?;
            (stream, bytes) = (u32::from_be_bytes(*promised) & 0x7fff_ffff, rest);
        } else if self.flags & HAS_PRIORITY != 0 {
            bytes = bytes.get(5..)?;
        }
        let length = bytes.len().checked_sub(padding)?;
        Some(Fragment { bytes: &bytes[..length], stream })
    }
}
