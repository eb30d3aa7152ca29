//! How far batches were acknowledged: a file of two slots, each in a block of its own, written in turn.
//!
//! ```text
//!   0  8    magic                        little endian
//!   8  u32  version
//!  12  u32  CRC-32C of bytes 0..12 and 16..160
//!  16  u64  epoch
//!  24  u64  generation: the valid slot with the higher one counts
//!  32  u64  sequence: all lower ones are done with, 40 u64 batches, 48 u64 records, 56 u64 bytes of payloads before it
//!  64  24   batches, records, bytes that were acknowledged, 88 24 that were corrupt, since the epoch began
//! 112  u64  number of the newest segment
//! 120  u64  sequences from here on had not been handed out
//! 128  u64  lower sequences were safe on the disk, 136 u64 batches, 144 u64 records, 152 u64 bytes of payloads of these
//! ```
//!
//! While one slot is written the other one stands, so power may fail at any time. A file whose fsync failed is not written
//! again: a new one takes its place. Only where the disk is too full for that, the old one is written over: without a cursor
//! nothing would ever be acknowledged, and no room be made.

use crate::error::is_full;
use crate::fs::{Access, File, Fs, read_full, write_all};
use crate::position::{Position, Tally};
use crate::segment::BLOCK_BYTES;
use std::io;
use std::sync::Arc;

pub(crate) const NAME: &str = "cursor";
const NEW_NAME: &str = "cursor.new";

const MAGIC: [u8; 8] = *b"kflowcur";
const VERSION: u32 = 1;
const SLOT_BYTES: usize = 160;

/// What a slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    pub epoch: u64,
    pub generation: u64,
    /// All batches before it are done with: acknowledged, dropped, or corrupt.
    pub position: Position,
    pub acknowledged: Tally,
    pub corrupt: Tally,
    pub newest_segment: u64,
    pub sequence_limit: u64,
    /// Up to where batches were safe on the disk.
    pub safe: Position,
}

impl Slot {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let flat = |tally: Tally| [tally.batches, tally.records, tally.bytes];
        let numbers = [self.epoch, self.generation, self.position.sequence]
            .into_iter()
            .chain([self.position.before, self.acknowledged, self.corrupt].into_iter().flat_map(flat))
            .chain([self.newest_segment, self.sequence_limit, self.safe.sequence])
            .chain(flat(self.safe.before));
        for (number, field) in numbers.zip(bytes[16..].chunks_exact_mut(8)) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Slot> {
        let stated = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes"));
        if bytes[..8] != MAGIC || bytes[8..12] != VERSION.to_le_bytes() || stated != checksum(bytes) {
            return None;
        }
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let tally_at =
            |at: usize| Tally { batches: u64_at(at), records: u64_at(at + 8), bytes: u64_at(at + 16) };
        Some(Slot {
            epoch: u64_at(16),
            generation: u64_at(24),
            position: Position { sequence: u64_at(32), before: tally_at(40) },
            acknowledged: tally_at(64),
            corrupt: tally_at(88),
            newest_segment: u64_at(112),
            sequence_limit: u64_at(120),
            safe: Position { sequence: u64_at(128), before: tally_at(136) },
        })
    }
}

/// Writes the checksum of a slot, if there is room for one.
pub(crate) fn seal(bytes: &mut [u8]) {
    if let Some(slot) = bytes.first_chunk_mut() {
        let checksum = checksum(slot);
        slot[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn checksum(bytes: &[u8; SLOT_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// The valid slots of the cursor file, the one that counts first. Empty if there is no file.
pub(crate) fn read(fs: &dyn Fs) -> io::Result<Vec<Slot>> {
    let file = match fs.open(NAME, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut slots = Vec::new();
    for offset in [0, BLOCK_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        // A slot that the disk does not give back is a damaged one.
        let read = read_full(&*file, &mut bytes, offset).unwrap_or(0);
        slots.extend(Some(bytes).filter(|_| read == SLOT_BYTES).and_then(|bytes| Slot::decode(&bytes)));
    }
    slots.sort_by_key(|slot| std::cmp::Reverse(slot.generation));
    Ok(slots)
}

/// Writes the cursor file.
#[derive(Debug)]
pub(crate) struct Cursor {
    fs: Arc<dyn Fs>,
    /// Of the slot that was written last.
    generation: u64,
    /// `None`: the next slot goes to a new file.
    file: Option<Arc<dyn File>>,
}

impl Cursor {
    /// A cursor that begins a new file with the first slot, of a later generation than all before.
    pub fn new(fs: Arc<dyn Fs>, generation: u64) -> Cursor {
        Cursor { fs, generation, file: None }
    }

    /// Writes a slot, safely.
    pub fn write(&mut self, slot: Slot) -> io::Result<()> {
        let slot = Slot { generation: self.generation.saturating_add(1), ..slot };
        let written = match self.file.take() {
            Some(file) => {
                let offset = slot.generation % 2 * BLOCK_BYTES;
                write_all(&*file, &slot.encode(), offset).and_then(|()| file.sync()).map(|()| file)
            }
            None => self.write_new(slot).or_else(|error| {
                let _ = self.fs.remove(NEW_NAME);
                if is_full(&error) { self.write_over(slot) } else { Err(error) }
            }),
        };
        self.file = Some(written?);
        self.generation = slot.generation;
        Ok(())
    }

    /// Writes a file with this slot twice and puts it in place of the one that is there.
    fn write_new(&self, slot: Slot) -> io::Result<Arc<dyn File>> {
        let file = self.fs.open(NEW_NAME, Access::Create)?;
        for offset in [0, BLOCK_BYTES] {
            write_all(&*file, &slot.encode(), offset)?;
        }
        file.sync()?;
        self.fs.rename(NEW_NAME, NAME)?;
        self.fs.sync()?;
        Ok(file)
    }

    /// Writes both slots of the file that is there, first the one that does not count.
    fn write_over(&self, slot: Slot) -> io::Result<Arc<dyn File>> {
        let file = self.fs.open(NAME, Access::ReadWrite)?;
        for generation in [slot.generation, slot.generation.saturating_sub(1)] {
            write_all(&*file, &slot.encode(), generation % 2 * BLOCK_BYTES)?;
            file.sync()?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        let tally = |n| Tally { batches: n, records: n + 1, bytes: n + 2 };
        Slot {
            epoch: 1,
            generation: 2,
            position: Position { sequence: 3, before: tally(4) },
            acknowledged: tally(7),
            corrupt: tally(10),
            newest_segment: 13,
            sequence_limit: 14,
            safe: Position { sequence: 15, before: tally(16) },
        }
    }

    #[test]
    fn a_slot_comes_back_as_it_was() {
        assert_eq!(Slot::decode(&slot().encode()), Some(slot()));
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let mut expected = Vec::from(*b"kflowcur");
        expected.extend(1u32.to_le_bytes());
        expected.extend(0xcdf2_50e1_u32.to_le_bytes());
        expected.extend((1u64..=18).flat_map(u64::to_le_bytes));
        assert_eq!(slot().encode()[..], expected);
    }

    #[test]
    fn a_slot_with_one_bit_turned_is_none() {
        for bit in 0..SLOT_BYTES * 8 {
            let mut bytes = slot().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::decode(&bytes), None, "bit {bit}");
        }
    }
}
