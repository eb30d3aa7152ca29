//! pcapng (draft-ietf-opsawg-pcapng): a file of typed blocks. In: bytes at hand. Out: the frames of its packet
//! blocks, each with the link type and clock of its interface.
//!
//! Every block is `type u32, length u32, body, length u32`, padded to four bytes:
//! 1. Section header: byte order of all that follows up to the next one, which forgets the interfaces.
//! 2. Interface description: link type, snap length, and in its options the unit and offset of the clock.
//! 3. Enhanced, simple and the obsolete packet block: one frame each.
//! 4. All others (names, statistics, secrets, custom) are skipped, however long.

use crate::clock::Moment;
use crate::source::LinkType;

use super::stream::BUFFER_BYTES;
use super::walk::{Burst, ByteOrder, CAPTURED_BYTES_MAX, Slots, Stop, frame, too_long};

/// Reads the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Of a block that is not skipped: a packet at its limit and as much again for options.
const BLOCK_BYTES_MAX: usize = BUFFER_BYTES / 2;
const BLOCK_HEADER_BYTES: usize = 8;
const TRAILER_BYTES: usize = 4;
/// Interfaces of one section.
const INTERFACES_MAX: usize = 65_536;

/// What the blocks so far said.
#[derive(Debug)]
pub(super) struct Blocks {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Of the last frame that had a time; a simple packet block has none and takes this.
    last_time: Moment,
    skip: Option<Skip>,
}

/// A block of no interest that reaches beyond the bytes at hand.
#[derive(Clone, Copy, Debug)]
struct Skip {
    block_bytes: u32,
    /// Still to pass before the trailing length.
    body_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Zero: unlimited.
    snap_bytes: u32,
    check_sequence_bytes: u32,
    resolution: Resolution,
    offset_s: i64,
}

/// The unit of an interface's time stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// Nanoseconds per unit.
    Multiple(u64),
    /// Units per nanosecond.
    Fraction(u64),
    /// Units per second as a power of two.
    Binary(u32),
}

/// What one block is.
enum Found<'a> {
    Packet(Packet<'a>),
    Other,
}

/// A packet block, taken apart.
struct Packet<'a> {
    interface: usize,
    /// In units of the interface.
    time: Option<u64>,
    captured: &'a [u8],
    wire_bytes: u32,
    options: &'a [u8],
}

impl Blocks {
    /// Understands the first section header without passing it. `None`: more bytes are needed.
    pub(super) fn open(window: &[u8]) -> Result<Option<Blocks>, String> {
        let Some(order_magic) = window.get(8..12) else { return Ok(None) };
        let order = section_order(order_magic).ok_or("it starts like pcapng, but has no byte-order magic")?;
        let length = order.u32(window, 4);
        let block_bytes = checked_length(length, SECTION_BYTES_MIN)?;
        if window.len() < block_bytes {
            return Ok(None);
        }
        let (major, minor) = (order.u16(window, 12), order.u16(window, 14));
        if major != 1 {
            return Err(format!("it says pcapng version {major}.{minor}, only 1.x is known"));
        }
        Ok(Some(Blocks { order, interfaces: Vec::new(), last_time: Moment(0), skip: None }))
    }

    pub(super) fn walk<'a>(&mut self, window: &'a [u8], slots: &mut Slots<'a>) -> Burst {
        let mut at = 0;
        let mut frames = 0;
        while frames < slots.len() {
            let rest = &window[at..];
            let step = match self.skip {
                Some(skip) => self.pass(skip, rest),
                None => self.block(rest),
            };
            let (bytes, found) = match step {
                Ok(step) => step,
                Err(stop) => return Burst { frames, bytes: at, stop },
            };
            if let Found::Packet(packet) = found {
                match self.frame(&packet) {
                    Ok(frame) => slots[frames] = frame,
                    Err(what) => return Burst { frames, bytes: at, stop: Stop::Damaged(what) },
                }
                frames += 1;
            }
            at += bytes;
        }
        Burst { frames, bytes: at, stop: Stop::Full }
    }

    pub(super) fn describe_end(&self, window: &[u8]) -> Option<String> {
        if let Some(skip) = self.skip {
            let missing = skip.body_bytes + TRAILER_BYTES - window.len().min(TRAILER_BYTES);
            return Some(inside_a_block(skip.block_bytes as usize - missing, skip.block_bytes));
        }
        if window.is_empty() {
            return None;
        }
        if window.len() < BLOCK_HEADER_BYTES {
            return Some(format!("file ends inside a block header: {} of 8 bytes", window.len()));
        }
        Some(inside_a_block(window.len(), self.order.u32(window, 4)))
    }

    /// The block at the start of `rest`: its bytes and what it is.
    fn block<'a>(&mut self, rest: &'a [u8]) -> Result<(usize, Found<'a>), Stop> {
        if rest.len() < BLOCK_HEADER_BYTES {
            return Err(Stop::Short(BLOCK_HEADER_BYTES));
        }
        let kind = self.order.u32(rest, 0);
        let bytes_min = match kind {
            SECTION_HEADER => return self.section(rest).map(|bytes| (bytes, Found::Other)),
            INTERFACE_DESCRIPTION => INTERFACE_BYTES_MIN,
            ENHANCED_PACKET | OBSOLETE_PACKET => PACKET_BYTES_MIN,
            SIMPLE_PACKET => SIMPLE_PACKET_BYTES_MIN,
            _ => return self.start_skip(rest).map(|bytes| (bytes, Found::Other)),
        };
        let block = self.whole(rest, bytes_min)?;
        let body = &block[BLOCK_HEADER_BYTES..block.len() - TRAILER_BYTES];
        let found = match kind {
            INTERFACE_DESCRIPTION => self.describe_interface(body).map(|()| Found::Other),
            ENHANCED_PACKET => self.enhanced(body).map(Found::Packet),
            OBSOLETE_PACKET => self.obsolete(body).map(Found::Packet),
            _ => self.simple(body).map(Found::Packet),
        };
        found.map(|found| (block.len(), found)).map_err(Stop::Damaged)
    }

    /// The whole block at the start of `rest`, once it is there and both of its lengths agree.
    fn whole<'a>(&self, rest: &'a [u8], bytes_min: usize) -> Result<&'a [u8], Stop> {
        let length = self.order.u32(rest, 4);
        let bytes = checked_length(length, bytes_min).map_err(Stop::Damaged)?;
        let block = rest.get(..bytes).ok_or(Stop::Short(bytes))?;
        self.check_trailer(length, &block[bytes - TRAILER_BYTES..])?;
        Ok(block)
    }

    fn check_trailer(&self, length: u32, trailer: &[u8]) -> Result<(), Stop> {
        let behind = self.order.u32(trailer, 0);
        if behind == length {
            return Ok(());
        }
        Err(Stop::Damaged(format!("block lengths differ: {length} ahead of the block, {behind} behind it")))
    }

    /// A new section: its byte order holds from its own length on.
    fn section(&mut self, rest: &[u8]) -> Result<usize, Stop> {
        let order_magic = rest.get(8..12).ok_or(Stop::Short(12))?;
        let Some(order) = section_order(order_magic) else {
            return Err(Stop::Damaged("section header without byte-order magic".to_string()));
        };
        self.order = order;
        let block = self.whole(rest, SECTION_BYTES_MIN)?;
        let (major, minor) = (order.u16(block, 12), order.u16(block, 14));
        if major != 1 {
            return Err(Stop::Damaged(format!(
                "section of pcapng version {major}.{minor}, only 1.x is known"
            )));
        }
        self.interfaces.clear();
        Ok(block.len())
    }

    fn start_skip(&mut self, rest: &[u8]) -> Result<usize, Stop> {
        let length = self.order.u32(rest, 4);
        if (length as usize) < BLOCK_HEADER_BYTES + TRAILER_BYTES || !length.is_multiple_of(4) {
            return Err(Stop::Damaged(bad_length(length)));
        }
        let body_bytes = length as usize - BLOCK_HEADER_BYTES - TRAILER_BYTES;
        self.skip = Some(Skip { block_bytes: length, body_bytes });
        Ok(BLOCK_HEADER_BYTES)
    }

    /// Goes on through a block of no interest.
    fn pass<'a>(&mut self, skip: Skip, rest: &[u8]) -> Result<(usize, Found<'a>), Stop> {
        if skip.body_bytes > 0 && rest.is_empty() {
            return Err(Stop::Short(1));
        }
        if skip.body_bytes > 0 {
            let bytes = skip.body_bytes.min(rest.len());
            self.skip = Some(Skip { body_bytes: skip.body_bytes - bytes, ..skip });
            return Ok((bytes, Found::Other));
        }
        let trailer = rest.get(..TRAILER_BYTES).ok_or(Stop::Short(TRAILER_BYTES))?;
        self.check_trailer(skip.block_bytes, trailer)?;
        self.skip = None;
        Ok((TRAILER_BYTES, Found::Other))
    }

    fn describe_interface(&mut self, body: &[u8]) -> Result<(), String> {
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(format!("more than {INTERFACES_MAX} interfaces in one section"));
        }
        let mut interface = Interface {
            link: LinkType(self.order.u16(body, 0)),
            snap_bytes: self.order.u32(body, 4),
            check_sequence_bytes: 0,
            resolution: Resolution::of(DEFAULT_RESOLUTION),
            offset_s: 0,
        };
        for (code, value) in (Options { order: self.order, rest: &body[8..] }) {
            match (code, value) {
                (OPTION_RESOLUTION, &[resolution]) => interface.resolution = Resolution::of(resolution),
                (OPTION_CHECK_SEQUENCE, &[bytes]) => interface.check_sequence_bytes = u32::from(bytes),
                (OPTION_TIME_OFFSET, value) if value.len() == 8 => {
                    interface.offset_s = wide(self.order, value).cast_signed();
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn enhanced<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, String> {
        let interface = self.order.u32(body, 0) as usize;
        self.timed(body, interface)
    }

    /// As the enhanced one, but for the first word: interface and drop count, 16 bits each.
    fn obsolete<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, String> {
        let interface = usize::from(self.order.u16(body, 0));
        self.timed(body, interface)
    }

    fn timed<'a>(&self, body: &'a [u8], interface: usize) -> Result<Packet<'a>, String> {
        let units = u64::from(self.order.u32(body, 4)) << 32 | u64::from(self.order.u32(body, 8));
        let captured = self.order.u32(body, 12);
        if captured as usize > CAPTURED_BYTES_MAX {
            return Err(too_long(captured));
        }
        let (data, options) = split_padded(&body[20..], captured as usize)
            .ok_or_else(|| format!("packet of {captured} bytes in a block of {} bytes", body.len() + 12))?;
        Ok(Packet {
            interface,
            time: Some(units),
            captured: data,
            wire_bytes: self.order.u32(body, 16),
            options,
        })
    }

    /// Has no captured length: it is the least of wire length, snap length and what the block holds.
    fn simple<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, String> {
        let wire_bytes = self.order.u32(body, 0);
        let snap_bytes = match self.interfaces.first() {
            Some(interface) if interface.snap_bytes > 0 => interface.snap_bytes,
            _ => u32::MAX,
        };
        let captured = (wire_bytes.min(snap_bytes) as usize).min(body.len() - 4);
        if captured > CAPTURED_BYTES_MAX {
            return Err(too_long(captured as u32));
        }
        Ok(Packet { interface: 0, time: None, captured: &body[4..4 + captured], wire_bytes, options: &[] })
    }

    fn frame<'a>(&mut self, packet: &Packet<'a>) -> Result<crate::source::Frame<'a>, String> {
        let Some(interface) = self.interfaces.get(packet.interface) else {
            return Err(format!(
                "packet of interface {}, but the section describes {}",
                packet.interface,
                self.interfaces.len()
            ));
        };
        if let Some(units) = packet.time {
            self.last_time = interface.time(units);
        }
        let mut frame =
            frame(packet.captured, packet.wire_bytes, self.check_sequence_bytes(interface, packet));
        frame.time = self.last_time;
        frame.link = interface.link;
        Ok(frame)
    }

    /// The packet's own flags go before what its interface says.
    fn check_sequence_bytes(&self, interface: &Interface, packet: &Packet<'_>) -> u32 {
        let options = Options { order: self.order, rest: packet.options };
        for (code, value) in options {
            if code == OPTION_FLAGS && value.len() == 4 {
                let bytes = self.order.u32(value, 0) >> 5 & 0xf;
                return if bytes > 0 { bytes } else { interface.check_sequence_bytes };
            }
        }
        interface.check_sequence_bytes
    }
}

impl Interface {
    /// Nanoseconds since the epoch, held at the ends of what a moment can say.
    fn time(&self, units: u64) -> Moment {
        let since_offset = self.resolution.nanoseconds(units);
        if self.offset_s == 0 {
            return Moment(since_offset);
        }
        let time = i128::from(since_offset) + i128::from(self.offset_s) * 1_000_000_000;
        Moment(u64::try_from(time.max(0)).unwrap_or(u64::MAX))
    }
}

impl Resolution {
    /// The if_tsresol option: the top bit chooses a power of two instead of ten, the others are its exponent.
    fn of(option: u8) -> Resolution {
        let exponent = u32::from(option & 0x7f);
        if option & 0x80 != 0 {
            return Resolution::Binary(exponent);
        }
        match exponent {
            0..=9 => Resolution::Multiple(10u64.pow(9 - exponent)),
            // Beyond 10⁻²⁸ s every time that 64 bits hold is less than one nanosecond.
            _ => Resolution::Fraction(10u64.checked_pow(exponent - 9).unwrap_or(u64::MAX)),
        }
    }

    fn nanoseconds(self, units: u64) -> u64 {
        match self {
            Resolution::Multiple(factor) => units.saturating_mul(factor),
            Resolution::Fraction(divisor) => units / divisor,
            Resolution::Binary(exponent) => {
                u64::try_from((u128::from(units) * 1_000_000_000) >> exponent).unwrap_or(u64::MAX)
            }
        }
    }
}

/// Options of a block: code, length, value padded to four bytes. Ends at the end-of-options code, and quietly
/// at an option that does not fit, since no frame depends on what would follow.
struct Options<'a> {
    order: ByteOrder,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        if self.rest.len() < 4 {
            return None;
        }
        let code = self.order.u16(self.rest, 0);
        let value_bytes = usize::from(self.order.u16(self.rest, 2));
        if code == OPTION_END {
            return None;
        }
        let (value, rest) = split_padded(&self.rest[4..], value_bytes)?;
        self.rest = rest;
        Some((code, value))
    }
}

/// `bytes` from the front, and what follows their padding to four bytes.
fn split_padded(from: &[u8], bytes: usize) -> Option<(&[u8], &[u8])> {
    let (padded, rest) = from.split_at_checked(bytes.next_multiple_of(4))?;
    Some((&padded[..bytes], rest))
}

fn section_order(magic: &[u8]) -> Option<ByteOrder> {
    match *magic {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        _ => None,
    }
}

fn checked_length(length: u32, bytes_min: usize) -> Result<usize, String> {
    let bytes = length as usize;
    if bytes < bytes_min || !bytes.is_multiple_of(4) {
        return Err(bad_length(length));
    }
    if bytes > BLOCK_BYTES_MAX {
        return Err(format!("block header claims {length} bytes, limit is {BLOCK_BYTES_MAX}"));
    }
    Ok(bytes)
}

fn bad_length(length: u32) -> String {
    format!("block header claims {length} bytes, which no such block can have")
}

fn inside_a_block(have: usize, length: u32) -> String {
    format!("file ends inside a block: {have} of {length} bytes")
}

fn wide(order: ByteOrder, bytes: &[u8]) -> u64 {
    let (first, second) = (u64::from(order.u32(bytes, 0)), u64::from(order.u32(bytes, 4)));
    match order {
        ByteOrder::Little => second << 32 | first,
        ByteOrder::Big => first << 32 | second,
    }
}

const SECTION_BYTES_MIN: usize = 28;
const INTERFACE_BYTES_MIN: usize = 20;
const PACKET_BYTES_MIN: usize = 32;
const SIMPLE_PACKET_BYTES_MIN: usize = 16;
const OPTION_END: u16 = 0;
/// epb_flags, pack_flags.
const OPTION_FLAGS: u16 = 2;
/// if_tsresol.
const OPTION_RESOLUTION: u16 = 9;
/// if_fcslen.
const OPTION_CHECK_SEQUENCE: u16 = 13;
/// if_tsoffset.
const OPTION_TIME_OFFSET: u16 = 14;
/// Microseconds.
const DEFAULT_RESOLUTION: u8 = 6;
