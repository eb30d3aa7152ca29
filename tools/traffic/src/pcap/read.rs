//! A whole capture file into frames. Meant for files that are sent, which fit into memory.

use std::fmt;

use super::{
    BLOCK_ENHANCED, BLOCK_INTERFACE, BLOCK_SECTION, BLOCK_SIMPLE, ByteOrder, FRAME_BYTES_MAX, LINK_ETHERNET,
    MAGIC_BYTE_ORDER, MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, OPTION_END, OPTION_TIME_RESOLUTION,
};

/// One frame of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFrame {
    /// Since the Unix epoch; `None` for a Simple Packet Block.
    pub time_ns: Option<u64>,
    /// What the capture kept.
    pub bytes: Vec<u8>,
    pub wire_bytes: u32,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The first four bytes belong to neither pcap nor pcapng.
    NotACapture,
    /// The file ends inside a header, a record or a block; the offset is where that began.
    CutShort { offset: usize },
    /// A length that cannot be true at this offset.
    BadLength { offset: usize },
    /// A link type other than Ethernet.
    NotEthernet { link_type: u32 },
    /// A frame of an interface that no block describes.
    NoSuchInterface { offset: usize },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotACapture => write!(f, "neither a pcap nor a pcapng file"),
            ReadError::CutShort { offset } => write!(f, "the file is cut short: incomplete at byte {offset}"),
            ReadError::BadLength { offset } => write!(f, "a wrong length at byte {offset}"),
            ReadError::NotEthernet { link_type } => write!(f, "link type {link_type} is not Ethernet"),
            ReadError::NoSuchInterface { offset } => write!(f, "no interface for the frame at byte {offset}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// All frames of a pcap (micro- or nanoseconds) or pcapng file of either byte order.
pub fn read(file: &[u8]) -> Result<Vec<CapturedFrame>, ReadError> {
    let Some(magic) = file.first_chunk::<4>() else { return Err(ReadError::NotACapture) };
    if u32::from_be_bytes(*magic) == BLOCK_SECTION {
        return read_pcapng(file);
    }
    for order in ByteOrder::ALL {
        match order.take_u32(*magic) {
            MAGIC_MICROSECONDS => return read_pcap(file, order, 1_000),
            MAGIC_NANOSECONDS => return read_pcap(file, order, 1),
            _ => {}
        }
    }
    Err(ReadError::NotACapture)
}

fn read_pcap(file: &[u8], order: ByteOrder, unit_ns: u64) -> Result<Vec<CapturedFrame>, ReadError> {
    let mut cursor = Cursor { bytes: file, offset: 0, order };
    cursor.skip(20)?;
    // The upper bits tell of a frame check sequence.
    let link_type = cursor.u32()? & 0xffff;
    if link_type != LINK_ETHERNET {
        return Err(ReadError::NotEthernet { link_type });
    }
    let mut frames = Vec::new();
    while cursor.offset < file.len() {
        let seconds = u64::from(cursor.u32()?);
        let part = u64::from(cursor.u32()?);
        let kept = cursor.u32()?;
        let wire_bytes = cursor.u32()?;
        let bytes = cursor.frame(kept)?.to_vec();
        frames.push(CapturedFrame {
            time_ns: Some(seconds * 1_000_000_000 + part * unit_ns),
            bytes,
            wire_bytes,
        });
    }
    Ok(frames)
}

/// Interface of a pcapng section.
#[derive(Clone, Copy)]
struct Interface {
    snap_bytes: u32,
    resolution: u8,
}

fn read_pcapng(file: &[u8]) -> Result<Vec<CapturedFrame>, ReadError> {
    let mut cursor = Cursor { bytes: file, offset: 0, order: ByteOrder::Little };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut frames = Vec::new();
    while cursor.offset < file.len() {
        let start = cursor.offset;
        let kind = cursor.u32()?;
        if kind == BLOCK_SECTION {
            cursor.order = section_order(file, start)?;
            interfaces.clear();
        }
        let total = cursor.u32()? as usize;
        let body_bytes = total.checked_sub(12).ok_or(ReadError::BadLength { offset: start })?;
        let body = cursor.take(body_bytes)?;
        let mut body = Cursor { bytes: body, offset: 0, order: cursor.order };
        match kind {
            BLOCK_INTERFACE => interfaces.push(read_interface(&mut body)?),
            BLOCK_ENHANCED => frames.push(read_enhanced(&mut body, &interfaces, start)?),
            BLOCK_SIMPLE => frames.push(read_simple(&mut body, &interfaces, start)?),
            _ => {}
        }
        if cursor.u32()? as usize != total {
            return Err(ReadError::BadLength { offset: start });
        }
        cursor.skip_padding(start)?;
    }
    Ok(frames)
}

/// The section's byte order, from the magic number behind its length.
fn section_order(file: &[u8], start: usize) -> Result<ByteOrder, ReadError> {
    let magic = file.get(start + 8..).and_then(|rest| rest.first_chunk::<4>());
    let Some(magic) = magic else { return Err(ReadError::CutShort { offset: start }) };
    let order = ByteOrder::ALL.into_iter().find(|order| order.take_u32(*magic) == MAGIC_BYTE_ORDER);
    order.ok_or(ReadError::NotACapture)
}

fn read_interface(body: &mut Cursor<'_>) -> Result<Interface, ReadError> {
    let link_type = u32::from(body.u16()?);
    if link_type != LINK_ETHERNET {
        return Err(ReadError::NotEthernet { link_type });
    }
    body.skip(2)?;
    let snap_bytes = body.u32()?;
    let mut resolution = MICROSECONDS;
    while body.offset + 4 <= body.bytes.len() {
        let option = body.u16()?;
        let option_bytes = usize::from(body.u16()?);
        if option == OPTION_END {
            break;
        }
        let value = body.take(option_bytes)?;
        body.skip(option_bytes.next_multiple_of(4) - option_bytes)?;
        if let (OPTION_TIME_RESOLUTION, [value]) = (option, value) {
            resolution = *value;
        }
    }
    Ok(Interface { snap_bytes, resolution })
}

fn read_enhanced(
    body: &mut Cursor<'_>,
    interfaces: &[Interface],
    start: usize,
) -> Result<CapturedFrame, ReadError> {
    let index = body.u32()? as usize;
    let interface = interfaces.get(index).ok_or(ReadError::NoSuchInterface { offset: start })?;
    let ticks = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
    let kept = body.u32()?;
    let wire_bytes = body.u32()?;
    let bytes = body.frame(kept)?.to_vec();
    Ok(CapturedFrame { time_ns: Some(interface.nanoseconds(ticks)), bytes, wire_bytes })
}

fn read_simple(
    body: &mut Cursor<'_>,
    interfaces: &[Interface],
    start: usize,
) -> Result<CapturedFrame, ReadError> {
    let interface = interfaces.first().ok_or(ReadError::NoSuchInterface { offset: start })?;
    let wire_bytes = body.u32()?;
    let snap_bytes = if interface.snap_bytes == 0 { u32::MAX } else { interface.snap_bytes };
    let bytes = body.frame(wire_bytes.min(snap_bytes))?.to_vec();
    Ok(CapturedFrame { time_ns: None, bytes, wire_bytes })
}

impl Interface {
    /// The high bit of `if_tsresol` chooses powers of two over powers of ten.
    fn nanoseconds(self, ticks: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let per_second = match self.resolution & 0x80 {
            0 => 10u128.checked_pow(exponent),
            _ => 2u128.checked_pow(exponent),
        };
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / per_second.unwrap_or(u128::MAX);
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

const MICROSECONDS: u8 = 6;

struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
    order: ByteOrder,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let rest = self.bytes.get(self.offset..).unwrap_or(&[]);
        let taken = rest.get(..count).ok_or(ReadError::CutShort { offset: self.offset })?;
        self.offset += count;
        Ok(taken)
    }

    fn frame(&mut self, count: u32) -> Result<&'a [u8], ReadError> {
        if count > FRAME_BYTES_MAX {
            return Err(ReadError::BadLength { offset: self.offset });
        }
        self.take(count as usize)
    }

    fn skip(&mut self, count: usize) -> Result<(), ReadError> {
        self.take(count).map(|_| ())
    }

    /// Blocks start at multiples of four; a length that is none is padded all the same.
    fn skip_padding(&mut self, start: usize) -> Result<(), ReadError> {
        let length = self.offset - start;
        self.skip(length.next_multiple_of(4) - length)
    }

    fn u16(&mut self) -> Result<u16, ReadError> {
        let offset = self.offset;
        let bytes = self.take(2)?.first_chunk().ok_or(ReadError::CutShort { offset })?;
        Ok(self.order.take_u16(*bytes))
    }

    fn u32(&mut self) -> Result<u32, ReadError> {
        let offset = self.offset;
        let bytes = self.take(4)?.first_chunk().ok_or(ReadError::CutShort { offset })?;
        Ok(self.order.take_u32(*bytes))
    }
}
