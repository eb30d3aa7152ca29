//! The pool of blocks that hold the payload of datagrams, and which bytes of them are there.
//!
//! A block covers [`BLOCK_BYTES`] of one datagram and has a bit for each unit of eight bytes, the unit in which
//! fragment offsets count. A bitmap that travels with its block costs nothing where a datagram has no data.

use crate::huge;
use std::ops::Range;

/// Payload bytes that one block holds.
pub const BLOCK_BYTES: usize = 2048;
/// Memory that one block takes, with its bitmap.
pub const BLOCK_MEMORY_BYTES: usize = size_of::<Block>();
/// Fragment offsets count in units of this many bytes (RFC 791 §3.1).
pub const UNIT_BYTES: usize = 8;

const WORDS: usize = BLOCK_BYTES / UNIT_BYTES / 64;

/// Number of a block in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId(u32);

impl BlockId {
    pub const NONE: BlockId = BlockId(u32::MAX);
}

#[derive(Clone, Debug)]
#[repr(C)]
struct Block {
    /// One bit a unit: its bytes are there.
    present: [u64; WORDS],
    bytes: [u8; BLOCK_BYTES],
}

impl Block {
    const EMPTY: Block = Block { present: [0; WORDS], bytes: [0; BLOCK_BYTES] };
}

/// What a write found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Units that were not there before.
    pub fresh_units: u32,
    /// Units that were there, and so were kept.
    pub held_units: u32,
    /// Some of these had other bytes.
    pub is_conflict: bool,
    /// Stretches of units that were alike, which is the work of the write: never more than there were units.
    pub stretches: u32,
}

impl Written {
    pub fn add(&mut self, other: Written) {
        self.fresh_units += other.fresh_units;
        self.held_units += other.held_units;
        self.is_conflict |= other.is_conflict;
        self.stretches += other.stretches;
    }
}

#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    free: Vec<BlockId>,
    capacity: usize,
}

impl Blocks {
    /// As many blocks as fit into `memory_bytes`, which may be none.
    pub fn new(memory_bytes: usize) -> Blocks {
        let capacity = memory_bytes / BLOCK_MEMORY_BYTES;
        assert!(capacity < u32::MAX as usize, "the pool is smaller than 8 TiB");
        Blocks { blocks: huge::reserved(capacity), free: huge::reserved(capacity), capacity }
    }

    pub fn touch(&mut self) {
        huge::touch(&mut self.blocks, Block::EMPTY);
        huge::touch(&mut self.free, BlockId::NONE);
    }

    pub fn predicted_bytes(memory_bytes: usize) -> usize {
        memory_bytes / BLOCK_MEMORY_BYTES * (BLOCK_MEMORY_BYTES + size_of::<BlockId>())
    }

    /// Memory of the blocks in use.
    pub fn used_bytes(&self) -> usize {
        (self.blocks.len() - self.free.len()) * BLOCK_MEMORY_BYTES
    }

    /// A block without data, if there is one left.
    pub fn take(&mut self) -> Option<BlockId> {
        if let Some(block) = self.free.pop() {
            self.blocks[block.0 as usize].present = [0; WORDS];
            return Some(block);
        }
        if self.blocks.len() == self.capacity {
            return None;
        }
        self.blocks.push(Block::EMPTY);
        Some(BlockId(self.blocks.len() as u32 - 1))
    }

    /// Gives back a block that was taken.
    pub fn release(&mut self, block: BlockId) {
        self.free.push(block);
    }

    /// Writes data where there is none yet. `at` is where it starts in the block, a multiple of eight; only the last
    /// unit may be incomplete. Work: one stretch of a copy or a comparison for each change between units that are
    /// there and units that are not.
    pub fn write(&mut self, block: BlockId, at: usize, data: &[u8]) -> Written {
        let Block { present, bytes } = &mut self.blocks[block.0 as usize];
        let mut written = Written::default();
        let end = (at + data.len()).div_ceil(UNIT_BYTES);
        let mut unit = at / UNIT_BYTES;
        while unit < end {
            let (word, bit) = (&mut present[unit / 64], unit % 64);
            let is_held = *word >> bit & 1 == 1;
            let alike =
                if is_held { (*word >> bit).trailing_ones() } else { (*word >> bit).trailing_zeros() };
            let units = (alike as usize).min(64 - bit).min(end - unit);
            let range = unit * UNIT_BYTES..((unit + units) * UNIT_BYTES).min(at + data.len());
            let incoming = &data[range.start - at..range.end - at];
            if is_held {
                written.held_units += units as u32;
                written.is_conflict |= bytes[range] != *incoming;
            } else {
                written.fresh_units += units as u32;
                bytes[range].copy_from_slice(incoming);
                *word |= (u64::MAX >> (64 - units)) << bit;
            }
            written.stretches += 1;
            unit += units;
        }
        written
    }

    pub fn read(&self, block: BlockId, range: Range<usize>) -> &[u8] {
        &self.blocks[block.0 as usize].bytes[range]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pool_gives_out_what_fits_and_takes_it_back() {
        let mut blocks = Blocks::new(2 * BLOCK_MEMORY_BYTES + 1);
        let first = blocks.take().expect("two fit");
        let second = blocks.take().expect("two fit");
        assert_eq!((blocks.take(), blocks.used_bytes()), (None, 2 * BLOCK_MEMORY_BYTES));
        blocks.write(first, 0, &[1; 8]);
        blocks.release(first);
        assert_eq!(blocks.take(), Some(first));
        assert_eq!(blocks.write(first, 0, &[2; 8]).fresh_units, 1, "a block comes back empty");
        blocks.release(first);
        blocks.release(second);
        assert_eq!(blocks.used_bytes(), 0);
    }

    proptest! {
        #[test]
        fn the_first_bytes_win_and_the_work_is_bounded_by_the_units(
            writes in proptest::collection::vec((0usize..256, 1usize..=BLOCK_BYTES, any::<u8>()), 1..40)
        ) {
            let mut blocks = Blocks::new(BLOCK_MEMORY_BYTES);
            let block = blocks.take().expect("one fits");
            let mut model = [None; BLOCK_BYTES];
            for (unit, len, fill) in writes {
                let at = unit * UNIT_BYTES;
                let len = len.next_multiple_of(UNIT_BYTES).min(BLOCK_BYTES - at);
                let written = blocks.write(block, at, &vec![fill; len]);
                let range = &mut model[at..at + len];
                let held = range.iter().filter(|byte| byte.is_some()).count();
                prop_assert_eq!(written.held_units as usize * UNIT_BYTES, held);
                prop_assert_eq!(written.fresh_units as usize * UNIT_BYTES, len - held);
                prop_assert_eq!(written.is_conflict, range.iter().flatten().any(|byte| *byte != fill));
                prop_assert!(written.stretches <= written.held_units + written.fresh_units);
                for byte in range {
                    byte.get_or_insert(fill);
                }
            }
            let bytes = blocks.read(block, 0..BLOCK_BYTES);
            for (byte, expected) in bytes.iter().zip(model) {
                prop_assert!(expected.is_none_or(|expected| expected == *byte));
            }
        }
    }
}
