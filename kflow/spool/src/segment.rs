//! A segment file: a block of 4096 bytes with the header, then groups of frames, each from a block boundary on.
//!
//! A group is what one commit wrote. It begins in a block of its own, so no byte that is safe is ever in a block that is
//! written again: whatever becomes of a block that power fails on, nothing that was committed was in it.
//!
//! ```text
//!   0  8    magic                        little endian
//!   8  u32  version
//!  12  u32  CRC-32C of the number of the segment (u64), then of bytes 0..12 and 16..176
//!  16  u64  epoch
//!  24  u64  number of the segment, as in its name
//!  32  u64  first sequence, 40 u64 batches, 48 u64 records, 56 u64 bytes of payloads before it
//!  64  u64  sequences from here on are not handed out while this segment is the newest
//!  72  u64  number of the oldest segment in use: those with a lower number are void
//!  80  3×24 batches, records and bytes that were dropped since the epoch began: cap, disk_low, missing
//! 152  24   0
//! ```
//!
//! The first sequence of a segment ends the one before it: frames there with this sequence or a higher one are void.

use crate::frame::FRAME_HEADER_BYTES;
use crate::position::{Position, Tally};

/// What a group and the header of a segment begin at a multiple of: a page, and a sector of any disk.
pub(crate) const BLOCK_BYTES: u64 = 4096;

const MAGIC: [u8; 8] = *b"kflowspl";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 176;

/// No spool gets that far, and there is always a number behind.
const NUMBER_MAX: u64 = u64::MAX / 2;

/// A segment has no more batches than this …
pub(crate) const SEGMENT_BATCHES_MAX: u64 = 1 << 20;
/// … and no more wait to be committed to the one behind it.
pub(crate) const GROUP_BATCHES_MAX: u64 = 1 << 20;
/// So a process that has not begun another segment has not handed out more sequences.
pub(crate) const SEQUENCES_MAX: u64 = SEGMENT_BATCHES_MAX + GROUP_BATCHES_MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub epoch: u64,
    pub number: u64,
    pub first: Position,
    pub sequence_limit: u64,
    pub oldest: u64,
    /// Dropped at the cap, with the disk low, and missing.
    pub dropped: [Tally; 3],
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; BLOCK_BYTES as usize] {
        let mut bytes = [0; BLOCK_BYTES as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let own = [self.epoch, self.number, self.first.sequence];
        let before = [self.first.before].into_iter().flat_map(numbers);
        let dropped = self.dropped.into_iter().flat_map(numbers);
        let all = own.into_iter().chain(before).chain([self.sequence_limit, self.oldest]).chain(dropped);
        for (number, field) in all.zip(bytes[16..].chunks_exact_mut(8)) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        seal(bytes.first_chunk_mut().expect("a block is longer"), self.number);
        bytes
    }

    /// What the bytes at the beginning of the segment with this number say.
    pub fn decode(bytes: &[u8; HEADER_BYTES], number: u64) -> Decoded {
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        let stated = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes"));
        if bytes[..8] != MAGIC || stated != checksum(bytes, number) {
            return Decoded::Damaged;
        }
        if version != VERSION {
            return Decoded::Later { version };
        }
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let tally_at =
            |at: usize| Tally { batches: u64_at(at), records: u64_at(at + 8), bytes: u64_at(at + 16) };
        Decoded::Header(SegmentHeader {
            epoch: u64_at(16),
            number: u64_at(24),
            first: Position { sequence: u64_at(32), before: tally_at(40) },
            sequence_limit: u64_at(64),
            oldest: u64_at(72),
            dropped: [tally_at(80), tally_at(104), tally_at(128)],
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Header(SegmentHeader),
    /// The checksum is right, the version is another.
    Later {
        version: u32,
    },
    Damaged,
}

fn numbers(tally: Tally) -> [u64; 3] {
    [tally.batches, tally.records, tally.bytes]
}

/// Writes the checksum of the header of the segment with this number.
pub(crate) fn seal(bytes: &mut [u8; HEADER_BYTES], number: u64) {
    let checksum = checksum(bytes, number);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(bytes: &[u8], number: u64) -> u32 {
    let named = crc32c::crc32c(&number.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(named, &bytes[..12]), &bytes[16..])
}

/// The file name of a segment. Names sort as the numbers do.
pub(crate) fn name(number: u64) -> String {
    format!("{number:020}.segment")
}

/// The number in the name of a segment; `None` for other files.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".segment").filter(|digits| digits.len() == 20)?.parse().ok()?;
    // A parser of numbers takes signs.
    (self::name(number) == name && number <= NUMBER_MAX).then_some(number)
}

/// The longest payload that fits into a segment of this length.
pub(crate) fn payload_bytes_max(segment_bytes: u64) -> u64 {
    segment_bytes - BLOCK_BYTES - FRAME_HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let tally = |n| Tally { batches: n, records: n + 1, bytes: n + 2 };
        SegmentHeader {
            epoch: 1,
            number: 2,
            first: Position { sequence: 3, before: tally(4) },
            sequence_limit: 7,
            oldest: 8,
            dropped: [tally(9), tally(12), tally(15)],
        }
    }

    fn encoded() -> [u8; HEADER_BYTES] {
        *header().encode().first_chunk().expect("a block is longer")
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        assert_eq!(SegmentHeader::decode(&encoded(), 2), Decoded::Header(header()));
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let mut expected = Vec::from(*b"kflowspl");
        expected.extend(1u32.to_le_bytes());
        expected.extend(0xa9b1_8598_u32.to_le_bytes());
        expected.extend((1u64..=17).flat_map(u64::to_le_bytes));
        expected.resize(HEADER_BYTES, 0);
        assert_eq!(encoded()[..], expected);
    }

    #[test]
    fn a_header_under_another_name_is_damaged() {
        assert_eq!(SegmentHeader::decode(&encoded(), 3), Decoded::Damaged);
    }

    #[test]
    fn a_later_version_is_told() {
        let mut bytes = encoded();
        bytes[8] = 9;
        seal(&mut bytes, 2);
        assert_eq!(SegmentHeader::decode(&bytes, 2), Decoded::Later { version: 9 });
    }

    #[test]
    fn names_of_other_files_have_no_number() {
        assert_eq!(number_of(&name(42)), Some(42));
        assert_eq!(number_of(&name(NUMBER_MAX)), Some(NUMBER_MAX));
        assert_eq!(number_of(&name(u64::MAX)), None);
        for other in
            ["42.segment", "+0000000000000000042.segment", "cursor", "00000000000000000042.segment.old"]
        {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
