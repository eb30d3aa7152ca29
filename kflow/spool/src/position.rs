//! Where something is in the order of all batches, and sums over batches.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// The number of a batch, unique within the epoch of its spool. Later batches have higher ones; there are gaps after
/// a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// A sum over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub batches: u64,
    pub records: u64,
    /// Bytes of payloads.
    pub bytes: u64,
}

impl Tally {
    pub fn is_zero(self) -> bool {
        self == Tally::default()
    }

    /// What is left without `other`, which is a part of it. Numbers from a damaged disk may say otherwise: then nothing.
    pub(crate) fn without(self, other: Tally) -> Tally {
        Tally {
            batches: self.batches.saturating_sub(other.batches),
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            batches: self.batches.saturating_add(other.batches),
            records: self.records.saturating_add(other.records),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), Add::add)
    }
}

/// A place between two batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Batches before this place have lower sequences, those behind it this one or higher ones.
    pub sequence: u64,
    /// All batches before this place, since the spool was created.
    pub before: Tally,
}

impl Position {
    pub fn is_before(self, other: Position) -> bool {
        self.before.batches < other.before.batches
    }

    pub fn later(self, other: Position) -> Position {
        let later = if self.is_before(other) { other } else { self };
        Position { sequence: self.sequence.max(other.sequence), ..later }
    }

    /// What is between `earlier` and this place.
    pub fn since(self, earlier: Position) -> Tally {
        self.before.without(earlier.before)
    }
}
