//! Tokens of a small sketch: a table that is always sorted.
//!
//! It is a hash table with linear probing whose hash is the token itself, scaled to the number of *homes*,
//! and whose neighbours are kept in order. So membership costs about one probe, and reading the slots from
//! front to back, without the empty ones, gives the tokens in ascending order. Tokens that find no slot up to
//! the last home go behind it.

use crate::token::Token;

/// Greater than every token.
const EMPTY: u32 = u32::MAX;
const _: () = assert!(Token::END < EMPTY);

/// Homes of the first allocation.
const HOMES_MIN: usize = 4;
/// Room for tokens that are pushed behind the last home, added at a time.
const OVERFLOW_SLOTS: usize = 4;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    slots: Vec<u32>,
    homes: u32,
    count: u32,
}

impl Tokens {
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = Token> {
        self.slots.iter().filter(|slot| **slot != EMPTY).map(|slot| Token::from_bits(*slot))
    }

    /// A table of `count` tokens, which come in ascending order.
    pub fn collect(tokens: impl Iterator<Item = Token>, count: usize) -> Tokens {
        Tokens::from_ascending(tokens, count + count / 2)
    }

    /// Whether the token was not there before.
    #[inline]
    pub fn insert(&mut self, token: Token) -> bool {
        let at = self.search(token);
        if self.slots.get(at) == Some(&token.bits()) {
            return false;
        }
        if self.count * 4 < self.homes * 3 {
            self.insert_at(at, token);
        } else {
            self.grow();
            self.insert_at(self.search(token), token);
        }
        true
    }

    #[inline]
    fn home(&self, token: Token) -> usize {
        (u64::from(token.bits()) * u64::from(self.homes) / u64::from(Token::END)) as usize
    }

    /// The slot of the token, or the one where it belongs.
    #[inline]
    fn search(&self, token: Token) -> usize {
        let home = self.home(token);
        let run = self.slots[home..].iter();
        home + run.take_while(|slot| **slot < token.bits()).count()
    }

    /// Puts the token into the slot and moves what is there, up to the next empty slot, behind it.
    fn insert_at(&mut self, at: usize, token: Token) {
        self.count += 1;
        let run = &self.slots[at..];
        match run.iter().position(|slot| *slot == EMPTY) {
            Some(length) => {
                self.slots.copy_within(at..at + length, at + 1);
                self.slots[at] = token.bits();
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    self.slots.reserve_exact(OVERFLOW_SLOTS);
                }
                self.slots.insert(at, token.bits());
            }
        }
    }

    fn grow(&mut self) {
        let homes = (self.homes as usize + self.homes as usize / 2).max(HOMES_MIN);
        *self = Tokens::from_ascending(self.iter(), homes);
    }

    /// A table with so many homes, in time that is linear whatever the tokens are.
    fn from_ascending(tokens: impl Iterator<Item = Token>, homes: usize) -> Tokens {
        let mut table =
            Tokens { slots: Vec::with_capacity(homes + OVERFLOW_SLOTS.min(homes / 4)), ..Tokens::default() };
        table.homes = homes as u32;
        for token in tokens {
            let home = table.home(token);
            table.slots.resize(table.slots.len().max(home), EMPTY);
            table.slots.push(token.bits());
            table.count += 1;
        }
        table.slots.resize(table.slots.len().max(homes), EMPTY);
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn token(bits: u32) -> Token {
        Token::of_hash(u64::from(bits) << 32 | u64::from(bits.wrapping_mul(0x9E37_79B1)))
    }

    proptest! {
        #[test]
        fn table_is_a_sorted_set(values in prop::collection::vec(any::<u32>(), 0..600)) {
            check(values.into_iter().map(token));
        }

        #[test]
        fn tokens_that_crowd_around_one_home_are_a_sorted_set_too(
            positions in prop::collection::vec((0..60_u32, 0..4_u32), 0..300), end: bool,
        ) {
            let position = |offset| if end { (1 << crate::token::POSITION_BITS) - 1 - offset } else { offset };
            check(positions.into_iter().map(|(offset, level)| Token::new(position(offset), level).unwrap()));
        }
    }

    fn check(tokens: impl Iterator<Item = Token>) {
        let (mut table, mut model) = (Tokens::default(), BTreeSet::new());
        for token in tokens {
            assert_eq!(table.insert(token), model.insert(token));
        }
        assert_eq!(table.count(), model.len());
        assert!(table.iter().eq(model.iter().copied()));
        let mut collected = Tokens::collect(model.iter().copied(), model.len());
        assert!(collected.iter().eq(model.iter().copied()));
        assert!(model.iter().all(|token| !collected.insert(*token)), "each is found");
    }

    #[test]
    fn table_takes_little_more_than_its_tokens() {
        let mut table = Tokens::default();
        for n in 0..1000 {
            table.insert(Token::of_hash(crate::hash::of_u64(n)));
            let bytes = table.count() * size_of::<u32>();
            assert!(table.heap_bytes() <= bytes * 9 / 4 + 16, "{} bytes for {bytes}", table.heap_bytes());
        }
    }
}
