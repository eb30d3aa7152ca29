//! A batch in a segment: a header of 64 bytes, the payload, and zeros up to a multiple of 8 bytes.
//!
//! ```text
//!  0  u32  magic                        little endian, all of them
//!  4  u32  CRC-32C of epoch, number of the segment and offset of the frame (u64 each), then of this header without
//!          this field
//!  8  u32  bytes of the payload
//! 12  u32  CRC-32C of the payload
//! 16  u64  sequence
//! 24  u64  batches before this one, 32 u64 records of these, 40 u64 bytes of their payloads: since the epoch began
//! 48  u64  every batch with a lower sequence was safe on the disk when this frame was written
//! 56  u32  records
//! 60  u8   kind: the caller's
//! 61  u8   flags: 1 the last frame of its group, 2 the end: no batch, the spool was closed here
//! 62  u16  0
//! ```
//!
//! The checksum of the header holds at one place of one segment of one epoch, which is a secret of this host's: what lies
//! around from elsewhere is no frame, and neither is a payload that somebody made up to look like one. Because the header
//! has a checksum of its own, a payload that is damaged costs one batch and hides nothing behind it.

use crate::position::{Position, Tally};
use crate::segment::BLOCK_BYTES;

pub(crate) const FRAME_HEADER_BYTES: u64 = 64;
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"kfb1");
/// Frames begin at multiples of it.
pub(crate) const ALIGNMENT: u64 = 8;

pub(crate) const LAST_OF_GROUP: u8 = 1;
pub(crate) const END: u8 = 2;

/// Where a frame is, which its checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub epoch: u64,
    pub segment: u64,
    pub offset: u64,
}

impl Place {
    fn checksum(self) -> u32 {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..].copy_from_slice(&self.offset.to_le_bytes());
        crc32c::crc32c(&bytes)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub payload_bytes: u32,
    pub payload_checksum: u32,
    /// Of this batch, and what is before it.
    pub position: Position,
    pub safe_below: u64,
    pub records: u32,
    pub kind: u8,
    pub flags: u8,
}

impl FrameHeader {
    pub fn encode(&self, place: Place) -> [u8; FRAME_HEADER_BYTES as usize] {
        let mut bytes = [0; FRAME_HEADER_BYTES as usize];
        let Tally { batches, records, bytes: payload_bytes } = self.position.before;
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let numbers = [self.position.sequence, batches, records, payload_bytes, self.safe_below];
        for (number, field) in numbers.iter().zip(bytes[16..56].chunks_exact_mut(8)) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.records.to_le_bytes());
        bytes[60] = self.kind;
        bytes[61] = self.flags;
        FrameHeader::seal(&mut bytes, place);
        bytes
    }

    pub fn seal(bytes: &mut [u8; FRAME_HEADER_BYTES as usize], place: Place) {
        let checksum = checksum(bytes, place);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// `None` if there is no frame at this place.
    pub fn decode(bytes: &[u8; FRAME_HEADER_BYTES as usize], place: Place) -> Option<FrameHeader> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if u32_at(0) != MAGIC || u32_at(4) != checksum(bytes, place) {
            return None;
        }
        let before = Tally { batches: u64_at(24), records: u64_at(32), bytes: u64_at(40) };
        Some(FrameHeader {
            payload_bytes: u32_at(8),
            payload_checksum: u32_at(12),
            position: Position { sequence: u64_at(16), before },
            safe_below: u64_at(48),
            records: u32_at(56),
            kind: bytes[60],
            flags: bytes[61],
        })
    }

    pub fn is_end(&self) -> bool {
        self.flags & END != 0
    }

    pub fn tally(&self) -> Tally {
        Tally { batches: 1, records: u64::from(self.records), bytes: u64::from(self.payload_bytes) }
    }

    /// The place behind this batch.
    pub fn behind(&self) -> Position {
        Position {
            sequence: self.position.sequence.saturating_add(1),
            before: self.position.before + self.tally(),
        }
    }

    /// Where the frame behind this one at `offset` is expected.
    pub fn next_offset(&self, offset: u64) -> u64 {
        let end = offset + self.frame_bytes();
        if self.flags & LAST_OF_GROUP != 0 { end.next_multiple_of(BLOCK_BYTES) } else { end }
    }

    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(u64::from(self.payload_bytes))
    }
}

fn checksum(header: &[u8; FRAME_HEADER_BYTES as usize], place: Place) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(place.checksum(), &header[..4]), &header[8..])
}

/// What a payload of this length takes in a segment.
pub(crate) fn frame_bytes(payload_bytes: u64) -> u64 {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { epoch: 3, segment: 7, offset: 4096 };

    fn header() -> FrameHeader {
        FrameHeader {
            payload_bytes: 5,
            payload_checksum: 6,
            position: Position { sequence: 70, before: Tally { batches: 8, records: 900, bytes: 1000 } },
            safe_below: 69,
            records: 11,
            kind: 12,
            flags: LAST_OF_GROUP,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        assert_eq!(FrameHeader::decode(&header().encode(PLACE), PLACE), Some(header()));
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let mut expected = Vec::from(*b"kfb1");
        expected.extend(0xcae7_5a72_u32.to_le_bytes());
        expected.extend([5u32, 6].iter().flat_map(|number| number.to_le_bytes()));
        expected.extend([70u64, 8, 900, 1000, 69].iter().flat_map(|number| number.to_le_bytes()));
        expected.extend([11, 0, 0, 0, 12, 1, 0, 0]);
        assert_eq!(header().encode(PLACE)[..], expected);
    }

    #[test]
    fn a_header_holds_at_its_own_place_only() {
        let bytes = header().encode(PLACE);
        for place in
            [Place { epoch: 4, ..PLACE }, Place { segment: 8, ..PLACE }, Place { offset: 8192, ..PLACE }]
        {
            assert_eq!(FrameHeader::decode(&bytes, place), None);
        }
    }

    #[test]
    fn a_header_with_one_bit_turned_is_none() {
        let bytes = header().encode(PLACE);
        for bit in 0..bytes.len() * 8 {
            let mut turned = bytes;
            turned[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&turned, PLACE), None, "bit {bit}");
        }
    }
}
