//! The hash index: open addressing over `(tag, slot)` words, eight to a cache line.
//!
//! Linear probing with backward-shift deletion: no tombstones, so lookups stay short however long the sensor
//! runs. At most half of the words are in use, and no probe is longer than [`PROBES_MAX`].

use super::table::SlotId;

/// Words looked at before a neighbourhood counts as full. At half load random keys need a handful.
pub const PROBES_MAX: usize = 128;

/// Maps 32-bit tags of flow hashes to slots of the slab.
#[derive(Debug)]
pub struct Index {
    /// Tag in the upper half, slot number plus one in the lower; zero is empty.
    words: Box<[u64]>,
    /// Shift that turns a tag into its home position.
    shift: u32,
}

/// What a probe for a tag ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Found(SlotId),
    /// The flow is not there; it would be inserted at this position.
    Vacant(usize),
    /// The neighbourhood is full.
    Crowded,
}

impl Index {
    /// Room for `capacity` slots, at most half full.
    pub fn new(capacity: usize) -> Index {
        let words = (capacity * 2).next_power_of_two().max(2 * PROBES_MAX);
        Index { words: crate::huge::zeroed(words), shift: 32 - words.trailing_zeros() }
    }

    /// Forgets every flow. Touches all of the memory.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn words_len(capacity: usize) -> usize {
        (capacity * 2).next_power_of_two().max(2 * PROBES_MAX)
    }

    /// The tag of a flow hash. Remixed, because the hash's own halves already chose sample and worker.
    #[inline(always)]
    pub fn tag(hash: u64) -> u32 {
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline(always)]
    pub fn prefetch(&self, tag: u32) {
        crate::prefetch::prefetch(&self.words[self.home(tag)]);
    }

    /// The slot that the first word with this tag names, to be prefetched before the probe proper.
    #[inline(always)]
    pub fn first_candidate(&self, tag: u32) -> Option<SlotId> {
        let word = self.words[self.home(tag)];
        (word != 0 && (word >> 32) as u32 == tag).then(|| SlotId(word as u32 - 1))
    }

    /// Looks a tag up; `is_match` tells whether a slot with the tag is the flow that is wanted.
    #[inline(always)]
    pub fn probe(&self, tag: u32, is_match: impl Fn(SlotId) -> bool) -> Probe {
        let mask = self.words.len() - 1;
        let home = self.home(tag);
        for step in 0..PROBES_MAX {
            let position = (home + step) & mask;
            let word = self.words[position];
            if word == 0 {
                return Probe::Vacant(position);
            }
            if (word >> 32) as u32 == tag {
                let slot = SlotId(word as u32 - 1);
                if is_match(slot) {
                    return Probe::Found(slot);
                }
            }
        }
        Probe::Crowded
    }

    /// Slots in the neighbourhood of a tag, nearest first.
    pub fn neighbours(&self, tag: u32) -> impl Iterator<Item = SlotId> + '_ {
        let mask = self.words.len() - 1;
        let home = self.home(tag);
        (0..PROBES_MAX)
            .map(move |step| self.words[(home + step) & mask])
            .take_while(|word| *word != 0)
            .map(|word| SlotId(word as u32 - 1))
    }

    /// Fills a position that [`Index::probe`] called vacant, with nothing inserted or removed since.
    #[inline(always)]
    pub fn insert(&mut self, position: usize, tag: u32, slot: SlotId) {
        debug_assert_eq!(self.words[position], 0);
        self.words[position] = u64::from(tag) << 32 | u64::from(slot.0 + 1);
    }

    /// Removes the word of a slot and closes the gap behind it.
    pub fn remove(&mut self, tag: u32, slot: SlotId) {
        let mask = self.words.len() - 1;
        let wanted = u64::from(tag) << 32 | u64::from(slot.0 + 1);
        let mut gap = self.home(tag);
        while self.words[gap] != wanted {
            assert_ne!(self.words[gap], 0, "a slot in use has a word in its probe run");
            gap = (gap + 1) & mask;
        }
        let mut next = (gap + 1) & mask;
        while self.words[next] != 0 {
            let home = self.home((self.words[next] >> 32) as u32);
            // The word may move back only if its home is not between the gap and where it stands.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(gap) & mask) {
                self.words[gap] = self.words[next];
                gap = next;
            }
            next = (next + 1) & mask;
        }
        self.words[gap] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn index_behaves_like_a_map(
            operations in proptest::collection::vec((0u32..48, any::<bool>()), 1..400)
        ) {
            // Few tags, close together, wrapping around the end: long shared probe runs.
            let tags: Vec<u32> = (0..48u32).map(|n| u32::MAX.wrapping_add(n / 4 * 0x0080_0000 / 4)).collect();
            let mut index = Index::new(64);
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (slot, is_insert) in operations {
                let tag = tags[slot as usize];
                let probe = index.probe(tag, |found| found.0 == slot);
                prop_assert_eq!(matches!(probe, Probe::Found(_)), model.contains_key(&slot));
                match (probe, is_insert) {
                    (Probe::Vacant(position), true) => {
                        index.insert(position, tag, SlotId(slot));
                        model.insert(slot, tag);
                    }
                    (Probe::Found(found), false) => {
                        index.remove(tag, found);
                        model.remove(&slot);
                    }
                    _ => {}
                }
                for (slot, tag) in &model {
                    let probe = index.probe(*tag, |found| found.0 == *slot);
                    prop_assert_eq!(probe, Probe::Found(SlotId(*slot)));
                }
            }
        }
    }
}
