//! Weights by value: the table behind tops and sketches, which every row goes through.
//!
//! Open addressing with linear probing, at most half full; a slot is a key and its weight plus one, and zero is an empty
//! slot. Whoever sends packets chooses the keys, so where a key goes depends on numbers that are drawn when the process
//! starts; what comes out does not. Values of a small range have a slot each.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// A table of weights by key.
#[derive(Debug)]
pub struct Tally<K, W> {
    slots: Vec<(K, W)>,
    used: usize,
    /// 64 less the logarithm of the number of slots.
    shift: u32,
    multipliers: [u64; 2],
}

/// What is counted by.
pub trait TallyKey: Copy + Default + PartialEq {
    /// As good as random in its upper bits.
    fn scatter(self, multipliers: [u64; 2]) -> u64;
}

/// What is added up.
pub trait Weight: Copy + Default + PartialEq + Into<u128> {
    const ONE: Self;

    fn plus(self, other: Self) -> Self;
}

/// For weights of which it is known that their sum is below 2^63.
impl Weight for u64 {
    const ONE: u64 = 1;

    #[inline]
    fn plus(self, other: u64) -> u64 {
        self + other
    }
}

impl Weight for u128 {
    const ONE: u128 = 1;

    #[inline]
    fn plus(self, other: u128) -> u128 {
        self.saturating_add(other)
    }
}

impl TallyKey for u64 {
    #[inline]
    fn scatter(self, multipliers: [u64; 2]) -> u64 {
        let low = self.wrapping_mul(multipliers[0]);
        // Keys that differ in their upper bits only would meet.
        (low ^ low >> 32).wrapping_mul(multipliers[1])
    }
}

impl TallyKey for u128 {
    #[inline]
    fn scatter(self, multipliers: [u64; 2]) -> u64 {
        let (low, high) = (self as u64, (self >> 64) as u64);
        (low.scatter(multipliers).rotate_left(32) ^ high).scatter(multipliers)
    }
}

const SLOTS_LEAST: usize = 256;

static MULTIPLIERS: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let state = RandomState::new();
    [state.hash_one(0) | 1, state.hash_one(1) | 1]
});

impl<K: TallyKey, W: Weight> Tally<K, W> {
    pub fn new() -> Tally<K, W> {
        let slots = vec![Default::default(); SLOTS_LEAST];
        Tally { slots, used: 0, shift: 64 - SLOTS_LEAST.trailing_zeros(), multipliers: *MULTIPLIERS }
    }

    #[inline]
    pub fn add(&mut self, key: K, weight: W) {
        let mask = self.slots.len() - 1;
        let mut place = self.home(key);
        loop {
            let slot = &mut self.slots[place & mask];
            if slot.1 == W::default() {
                *slot = (key, W::ONE.plus(weight));
                self.used += 1;
                if self.used * 2 > self.slots.len() {
                    self.grow();
                }
                return;
            }
            if slot.0 == key {
                slot.1 = slot.1.plus(weight);
                return;
            }
            place += 1;
        }
    }

    #[inline]
    fn home(&self, key: K) -> usize {
        (key.scatter(self.multipliers) >> self.shift) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![Default::default(); self.slots.len() * 4];
        let old = std::mem::replace(&mut self.slots, slots);
        self.shift -= 2;
        let mask = self.slots.len() - 1;
        for slot in old {
            if slot.1 != W::default() {
                let mut place = self.home(slot.0);
                while self.slots[place & mask].1 != W::default() {
                    place += 1;
                }
                self.slots[place & mask] = slot;
            }
        }
    }

    /// Keys and weights, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (K, u128)> {
        let used = self.slots.iter().filter(|slot| slot.1 != W::default());
        used.map(|slot| (slot.0, slot.1.into() - 1))
    }
}

/// A table of weights by small number.
#[derive(Debug)]
pub struct DirectTally<W> {
    weights: Vec<W>,
}

impl<W: Weight> DirectTally<W> {
    /// For numbers up to this one.
    pub fn new(largest: usize) -> DirectTally<W> {
        DirectTally { weights: vec![W::default(); largest + 1] }
    }

    #[inline]
    pub fn add(&mut self, number: usize, weight: W) {
        let slot = &mut self.weights[number];
        let old = if *slot == W::default() { W::ONE } else { *slot };
        *slot = old.plus(weight);
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, u128)> {
        let numbered = self.weights.iter().enumerate().filter(|(_, weight)| **weight != W::default());
        numbered.map(|(number, weight)| (number as u64, (*weight).into() - 1))
    }
}
