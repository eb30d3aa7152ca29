//! Frames in one block of the ring. In: the block's memory while it is ours. Out: frames that borrow from it.
//!
//! A block starts with a descriptor; frames follow, each behind a header that says where the next one is
//! (`struct tpacket_block_desc`, `struct tpacket3_hdr`; numbers in host order):
//! ```text
//! block:   0 version   4 offset to private   8 status   12 frames   16 offset of the first   20 bytes   24 sequence
//! frame:   0 offset of the next   4 seconds   8 nanoseconds   12 captured   16 on the wire   20 status
//!         24 offset of the link header u16   26 network header u16   28 hash   32 VLAN tag u32   36 its type u16
//! ```

use crate::clock::Moment;
use crate::source::{BURST_FRAMES_MAX, Frame};

/// How far a block is read.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Of the next frame's header.
    offset: usize,
    frames_left: u32,
}

impl Cursor {
    pub(super) fn start(block: &[u8]) -> Cursor {
        let frames_left = read_u32(block, BLOCK_FRAMES).unwrap_or(0);
        let offset = read_u32(block, BLOCK_FIRST_FRAME).unwrap_or(0) as usize;
        Cursor { offset, frames_left }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.frames_left == 0
    }
}

/// Fills slots with the frames at the cursor and moves it on. `None` if an offset leads out of the block, which only
/// a kernel that lays blocks out in another way could cause.
pub(super) fn walk<'a>(
    block: &'a mut [u8],
    cursor: &mut Cursor,
    slots: &mut [Frame<'a>; BURST_FRAMES_MAX],
) -> Option<usize> {
    let mut places = [Place::default(); BURST_FRAMES_MAX];
    let mut count = 0;
    while count < places.len() && !cursor.is_at_end() {
        let header = block.get_mut(cursor.offset..)?;
        let mut place = Place::of(header)?;
        place.start += cursor.offset;
        places[count] = place;
        count += 1;
        cursor.frames_left -= 1;
        cursor.offset = cursor.offset.checked_add(read_u32(block, cursor.offset)? as usize)?;
    }
    // Tags were put back above; from here on the block is only read, so that all frames can borrow from it.
    let block: &'a [u8] = block;
    for (slot, place) in slots.iter_mut().zip(&places[..count]) {
        *slot = Frame {
            bytes: block.get(place.start..place.start + place.captured)?,
            wire_bytes: place.wire_bytes,
            time: place.time,
            ..Frame::EMPTY
        };
    }
    Some(count)
}

/// Where a frame lies once its tag is back.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: usize,
    captured: usize,
    wire_bytes: u32,
    time: Moment,
}

impl Place {
    /// `header` reaches from the frame's header to the end of the block; `start` counts from there.
    fn of(header: &mut [u8]) -> Option<Place> {
        let seconds = u64::from(read_u32(header, FRAME_SECONDS)?);
        let nanoseconds = u64::from(read_u32(header, FRAME_NANOSECONDS)?);
        let mut place = Place {
            start: usize::from(read_u16(header, FRAME_LINK_HEADER)?),
            captured: read_u32(header, FRAME_CAPTURED)? as usize,
            wire_bytes: read_u32(header, FRAME_ON_WIRE)?,
            time: Moment(seconds * 1_000_000_000 + nanoseconds),
        };
        let status = read_u32(header, FRAME_STATUS)?;
        if status & libc::TP_STATUS_VLAN_VALID != 0 {
            place.put_tag_back(header, status)?;
        }
        Some(place)
    }

    /// Moves the two addresses four bytes to the front, into the room that the ring reserves, and writes the tag
    /// behind them. A frame that was cut within the addresses stays as it is.
    fn put_tag_back(&mut self, header: &mut [u8], status: u32) -> Option<()> {
        let has_room = self.start >= FRAME_HEADER_BYTES + TAG_BYTES;
        if self.captured < ADDRESSES_BYTES || !has_room {
            return Some(());
        }
        let tag = (read_u32(header, FRAME_TAG)? & 0xffff) as u16;
        let tag_type = match status & libc::TP_STATUS_VLAN_TPID_VALID {
            0 => TYPE_8021Q,
            _ => read_u16(header, FRAME_TAG_TYPE)?,
        };
        let frame = header.get_mut(self.start - TAG_BYTES..self.start + ADDRESSES_BYTES)?;
        frame.copy_within(TAG_BYTES.., 0);
        frame[ADDRESSES_BYTES..][..2].copy_from_slice(&tag_type.to_be_bytes());
        frame[ADDRESSES_BYTES + 2..].copy_from_slice(&tag.to_be_bytes());
        self.start -= TAG_BYTES;
        self.captured += TAG_BYTES;
        self.wire_bytes = self.wire_bytes.saturating_add(TAG_BYTES as u32);
        Some(())
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Room that the ring must reserve before a frame.
pub(super) const TAG_BYTES: usize = 4;
pub(super) const BLOCK_STATUS: usize = 8;
const BLOCK_FRAMES: usize = 12;
const BLOCK_FIRST_FRAME: usize = 16;
const FRAME_SECONDS: usize = 4;
const FRAME_NANOSECONDS: usize = 8;
const FRAME_CAPTURED: usize = 12;
const FRAME_ON_WIRE: usize = 16;
const FRAME_STATUS: usize = 20;
const FRAME_LINK_HEADER: usize = 24;
const FRAME_TAG: usize = 32;
const FRAME_TAG_TYPE: usize = 36;
const FRAME_HEADER_BYTES: usize = 48;
const ADDRESSES_BYTES: usize = 12;
const TYPE_8021Q: u16 = 0x8100;

const _: () = assert!(size_of::<libc::tpacket3_hdr>() == FRAME_HEADER_BYTES);
const _: () = assert!(std::mem::offset_of!(libc::tpacket3_hdr, tp_snaplen) == FRAME_CAPTURED);
const _: () = assert!(std::mem::offset_of!(libc::tpacket3_hdr, tp_status) == FRAME_STATUS);
const _: () = assert!(std::mem::offset_of!(libc::tpacket3_hdr, tp_mac) == FRAME_LINK_HEADER);
const _: () = assert!(std::mem::offset_of!(libc::tpacket3_hdr, hv1.tp_vlan_tci) == FRAME_TAG);
const _: () = assert!(std::mem::offset_of!(libc::tpacket3_hdr, hv1.tp_vlan_tpid) == FRAME_TAG_TYPE);
const _: () = assert!(std::mem::offset_of!(libc::tpacket_block_desc, hdr) == BLOCK_STATUS);
const _: () = assert!(std::mem::offset_of!(libc::tpacket_hdr_v1, num_pkts) + BLOCK_STATUS == BLOCK_FRAMES);
const _: () = assert!(
    std::mem::offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt) + BLOCK_STATUS == BLOCK_FIRST_FRAME
);
