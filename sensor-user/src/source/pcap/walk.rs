//! From bytes to frames, one burst at a time. In: the bytes at hand and what the file header said. Out: frames
//! that borrow from them, how far they reach, and why the walk stopped. No I/O: the caller brings more bytes.
//!
//! A pcap file (draft-ietf-opsawg-pcap) in the byte order of the host that wrote it:
//! ```text
//!  0 magic u32   4 major u16, minor u16   8 reserved   16 snaplen u32   20 network u32 | then records:
//!  0 seconds u32   4 fraction u32   8 captured u32   12 on the wire u32 (modified: 8 more) | captured bytes
//! ```

use crate::clock::Moment;
use crate::source::{BURST_FRAMES_MAX, Frame, LinkType};

use super::blocks::{self, Blocks};

/// Captured bytes of one packet. More than any link carries; more in a file is damage.
pub(super) const CAPTURED_BYTES_MAX: usize = 262_144;

pub(super) type Slots<'a> = [Frame<'a>; BURST_FRAMES_MAX];

/// What the file header said, and for pcapng all that the blocks so far said.
#[derive(Debug)]
pub(super) enum Walker {
    Records(Records),
    Blocks(Blocks),
}

/// What one walk found.
#[derive(Debug)]
pub(super) struct Burst {
    /// Slots that were filled.
    pub frames: usize,
    /// Bytes walked over, from the start of the window.
    pub bytes: usize,
    pub stop: Stop,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Every slot is filled.
    Full,
    /// The next step needs the window to have this many bytes behind what was walked.
    Short(usize),
    Damaged(String),
}

impl Walker {
    /// Understands the file header; with it, how many bytes of the window it took. `None`: more bytes are needed.
    pub(super) fn open(window: &[u8]) -> Result<Option<(Walker, usize)>, String> {
        let Some(magic) = window.first_chunk() else { return Ok(None) };
        if u32::from_be_bytes(*magic) == blocks::SECTION_HEADER {
            return Ok(Blocks::open(window)?.map(|blocks| (Walker::Blocks(blocks), 0)));
        }
        let Some(kind) = Kind::of(*magic) else {
            return Err(format!(
                "it starts with {:02x} {:02x} {:02x} {:02x}",
                magic[0], magic[1], magic[2], magic[3]
            ));
        };
        let Some(header) = window.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        Records::new(kind, header).map(|records| Some((Walker::Records(records), HEADER_BYTES)))
    }

    /// Fills slots from the start of the window until one of the reasons to stop.
    pub(super) fn walk<'a>(&mut self, window: &'a [u8], slots: &mut Slots<'a>) -> Burst {
        match self {
            Walker::Records(records) => records.walk(window, slots),
            Walker::Blocks(blocks) => blocks.walk(window, slots),
        }
    }

    /// What is broken if the input ends with this window; `None` if that is a proper end.
    pub(super) fn describe_end(&self, window: &[u8]) -> Option<String> {
        match self {
            Walker::Records(records) => records.describe_end(window),
            Walker::Blocks(blocks) => blocks.describe_end(window),
        }
    }
}

/// How the numbers of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = [bytes[at], bytes[at + 1]];
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// What the magic number of a pcap file says.
#[derive(Clone, Copy, Debug)]
struct Kind {
    order: ByteOrder,
    /// Nanoseconds in one unit of the fraction.
    fraction_ns: u64,
    record_header_bytes: usize,
}

impl Kind {
    fn of(magic: [u8; 4]) -> Option<Kind> {
        let little = u32::from_le_bytes(magic);
        let big = u32::from_be_bytes(magic);
        let (order, number) = match (little & 0xffff_0000, big & 0xffff_0000) {
            (MAGIC_HIGH, _) => (ByteOrder::Little, little),
            (_, MAGIC_HIGH) => (ByteOrder::Big, big),
            _ => return None,
        };
        let (fraction_ns, record_header_bytes) = match number {
            MAGIC_MICROSECONDS => (1000, RECORD_HEADER_BYTES),
            MAGIC_NANOSECONDS => (1, RECORD_HEADER_BYTES),
            // Kuznetzov's: interface index, protocol and packet type follow the lengths.
            MAGIC_MODIFIED => (1000, RECORD_HEADER_BYTES + 8),
            _ => return None,
        };
        Some(Kind { order, fraction_ns, record_header_bytes })
    }
}

/// The records of a pcap file.
#[derive(Debug)]
pub(super) struct Records {
    kind: Kind,
    lengths: Lengths,
    link: LinkType,
    check_sequence_bytes: u32,
}

/// Which of a record's two lengths is the captured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Writers of version 2.3 and before did not agree; the captured length is the smaller one.
    Unordered,
}

impl Records {
    fn new(kind: Kind, header: &[u8; HEADER_BYTES]) -> Result<Records, String> {
        let (major, minor) = (kind.order.u16(header, 4), kind.order.u16(header, 6));
        if major != 2 {
            return Err(format!("it says pcap version {major}.{minor}, only 2.x is known"));
        }
        let network = kind.order.u32(header, 20);
        let lengths = if minor <= 3 { Lengths::Unordered } else { Lengths::CapturedFirst };
        let link = LinkType((network & 0xffff) as u16);
        let check_sequence_bytes = check_sequence_bytes(network);
        Ok(Records { kind, lengths, link, check_sequence_bytes })
    }

    fn walk<'a>(&self, window: &'a [u8], slots: &mut Slots<'a>) -> Burst {
        let header_bytes = self.kind.record_header_bytes;
        let mut rest = window;
        for (frames, slot) in slots.iter_mut().enumerate() {
            let bytes = window.len() - rest.len();
            let Some(header) = rest.first_chunk::<RECORD_HEADER_BYTES>() else {
                return Burst { frames, bytes, stop: Stop::Short(header_bytes) };
            };
            let (captured, on_wire) = self.lengths(header);
            if captured as usize > CAPTURED_BYTES_MAX {
                return Burst { frames, bytes, stop: Stop::Damaged(too_long(captured)) };
            }
            let end = header_bytes + captured as usize;
            let Some((record, behind)) = rest.split_at_checked(end) else {
                return Burst { frames, bytes, stop: Stop::Short(end) };
            };
            rest = behind;
            *slot = frame(&record[header_bytes..], on_wire, self.check_sequence_bytes);
            slot.time = self.time(header);
            slot.link = self.link;
        }
        Burst { frames: slots.len(), bytes: window.len() - rest.len(), stop: Stop::Full }
    }

    fn lengths(&self, header: &[u8; RECORD_HEADER_BYTES]) -> (u32, u32) {
        let (first, second) = (self.kind.order.u32(header, 8), self.kind.order.u32(header, 12));
        match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::Unordered => (first.min(second), first.max(second)),
        }
    }

    /// Cannot overflow: 2³² seconds are 4.3e18 ns and 2³² fractions at most 4.3e12.
    fn time(&self, header: &[u8; RECORD_HEADER_BYTES]) -> Moment {
        let seconds = u64::from(self.kind.order.u32(header, 0));
        let fraction = u64::from(self.kind.order.u32(header, 4));
        Moment(seconds * 1_000_000_000 + fraction * self.kind.fraction_ns)
    }

    fn describe_end(&self, window: &[u8]) -> Option<String> {
        let header_bytes = self.kind.record_header_bytes;
        if window.is_empty() {
            return None;
        }
        let Some(header) = window.first_chunk().filter(|_| window.len() >= header_bytes) else {
            return Some(format!(
                "file ends inside a record header: {} of {header_bytes} bytes",
                window.len()
            ));
        };
        let (captured, _) = self.lengths(header);
        Some(format!("file ends inside a packet: {} of {captured} bytes", window.len() - header_bytes))
    }
}

/// A frame whose captured bytes and length may include a frame check sequence, which is cut off.
/// A captured length above the wire length is tolerated: some writers put the captured one into both.
#[inline]
pub(super) fn frame(captured: &[u8], on_wire: u32, check_sequence_bytes: u32) -> Frame<'_> {
    let wire_bytes = on_wire.max(captured.len() as u32).saturating_sub(check_sequence_bytes);
    let bytes = &captured[..captured.len().min(wire_bytes as usize)];
    Frame { bytes, wire_bytes, ..Frame::EMPTY }
}

pub(super) fn too_long(captured: u32) -> String {
    format!("record header claims {captured} captured bytes, limit is {CAPTURED_BYTES_MAX}")
}

/// The network field's upper bits: bit 26 says that frames end with a check sequence, the top four bits how many
/// 16-bit words it has.
fn check_sequence_bytes(network: u32) -> u32 {
    match network & 0x0400_0000 {
        0 => 0,
        _ => (network >> 28) * 2,
    }
}

const HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const MAGIC_HIGH: u32 = 0xa1b2_0000;
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;
