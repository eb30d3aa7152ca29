//! The dynamic table of one direction (RFC 7541 §2.3.2), as far as a sensor needs it.
//!
//! An index counts from the newest entry, so it stays right whatever was evicted before: entries are numbered, the
//! newest are remembered, and of those the values of names that are wanted. What is asked for and no longer remembered
//! is a field that nothing is known of. So neither a larger table nor a flood of entries needs more memory.
//!
//! ```text
//! ┌──────────────────────────────────┬───────────────────────────────────────┐
//! │ entry by number modulo ENTRIES:  │ values, one behind the other,         │
//! │ place, length, name              │ from the start again at the end       │
//! └──────────────────────────────────┴───────────────────────────────────────┘
//! ```

use crate::http::message::Name;

/// As many as a table of the default size, 4096 bytes, can have.
const ENTRIES: usize = 128;
const ENTRY_BYTES: usize = 8;
const INDEX_BYTES: usize = ENTRIES * ENTRY_BYTES;

/// What is remembered beside the memory.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// Entries so far.
    inserted: u64,
    /// Bytes of values so far, with those left out at the end of the memory; modulo 2^32.
    written: u32,
}

/// A table and its memory. Without memory, entries are only counted.
#[derive(Debug)]
pub struct Table<'a> {
    pub marks: &'a mut Marks,
    pub memory: &'a mut [u8],
}

impl Marks {
    pub const NEW: Marks = Marks { inserted: 0, written: 0 };
}

impl Table<'_> {
    /// Bytes of values that are remembered.
    fn capacity(&self) -> usize {
        self.memory.len().saturating_sub(INDEX_BYTES)
    }

    /// Adds the newest entry. A value that is longer than the memory is cut.
    pub fn insert(&mut self, name: Name, value: &[u8]) {
        let number = self.marks.inserted;
        self.marks.inserted += 1;
        let capacity = self.capacity();
        if capacity == 0 {
            return;
        }
        let value = &value[..value.len().min(capacity).min(usize::from(u16::MAX))];
        let mut place = self.marks.written as usize % capacity;
        if place + value.len() > capacity {
            self.marks.written = self.marks.written.wrapping_add((capacity - place) as u32);
            place = 0;
        }
        let written = self.marks.written;
        self.memory[INDEX_BYTES + place..][..value.len()].copy_from_slice(value);
        self.marks.written = written.wrapping_add(value.len() as u32);
        let [a, b, c, d] = written.to_le_bytes();
        let [e, f] = (value.len() as u16).to_le_bytes();
        let entry = [a, b, c, d, e, f, name as u8, 0];
        self.memory[number as usize % ENTRIES * ENTRY_BYTES..][..ENTRY_BYTES].copy_from_slice(&entry);
    }

    /// The entry that so many are newer than. `None` if there never was one.
    pub fn get(&self, age: u64) -> Option<(Name, &[u8])> {
        let number = self.marks.inserted.checked_sub(age)?.checked_sub(1)?;
        let capacity = self.capacity();
        if age >= ENTRIES as u64 || capacity == 0 {
            return Some((Name::Other, &[]));
        }
        let entry = self.memory[number as usize % ENTRIES * ENTRY_BYTES..].first_chunk::<ENTRY_BYTES>()?;
        let [a, b, c, d, e, f, name, _] = *entry;
        let written = u32::from_le_bytes([a, b, c, d]);
        let length = usize::from(u16::from_le_bytes([e, f]));
        if self.marks.written.wrapping_sub(written) as usize > capacity {
            return Some((Name::Other, &[]));
        }
        let value = self.memory[INDEX_BYTES + written as usize % capacity..].get(..length)?;
        Some((Name::ALL[usize::from(name)], value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_memory_entries_are_counted() {
        let mut table = Table { marks: &mut { Marks::NEW }, memory: &mut [] };
        table.insert(Name::Host, b"a");
        assert_eq!(table.get(0), Some((Name::Other, b"".as_slice())));
        assert_eq!(table.get(1), None);
    }

    proptest! {
        /// Against all entries that there ever were.
        #[test]
        fn newest_entries_are_remembered(
            entries in prop::collection::vec((0usize..Name::ALL.len(), prop::collection::vec(any::<u8>(), 0..50)), 0..400),
            capacity in 1usize..2000,
        ) {
            let mut memory = vec![0xff; INDEX_BYTES + capacity];
            let mut table = Table { marks: &mut { Marks::NEW }, memory: &mut memory };
            for (name, value) in &entries {
                table.insert(Name::ALL[*name], value);
            }
            let mut needed = 0;
            for (age, (name, value)) in entries.iter().rev().enumerate() {
                let value = &value[..value.len().min(capacity)];
                needed += value.len();
                let found = table.get(age as u64).unwrap();
                // At most one value's length is left out at the end of the memory, once a round.
                if age < ENTRIES && needed + 50 < capacity {
                    prop_assert_eq!(found, (Name::ALL[*name], value));
                } else {
                    prop_assert!(found == (Name::ALL[*name], value) || found == (Name::Other, b"".as_slice()));
                }
            }
            prop_assert_eq!(table.get(entries.len() as u64), None);
        }
    }
}
