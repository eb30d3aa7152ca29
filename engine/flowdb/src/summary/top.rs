//! The heaviest values of a dimension, and a bound for all others.
//!
//! The weight of a value is the bytes of its rows, in and out, times their sampling rates, in hundredths. In a part weights
//! are exact: all values were counted, and the heaviest are kept. When tops merge, a value that only one of them lists may
//! have had weight in the other, too, but no more than the other's [`Top::unlisted_max`]; that is what it may be missing.
//! So for each listed value `weight <= true weight <= weight + missing_max`, and no other value has more than
//! `unlisted_max`. A negative number of bytes, which nobody measures, counts as none.

use super::dimension::Key;
use std::collections::HashMap;

/// The heaviest values of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// At most [`LISTED_MAX`], by what they may weigh, heaviest first.
    pub(super) listed: Vec<Heavy>,
    pub(super) unlisted_max: i128,
    pub(super) null_weight: i128,
}

/// A value that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heavy {
    pub key: Key,
    /// Bytes times sampling rate, in hundredths: so many at least.
    pub weight: i128,
    /// So many more at most; 0 if the weight is exact.
    pub missing_max: i128,
}

/// Values that a top lists.
pub const LISTED_MAX: usize = 128;

impl Top {
    /// The top of values with the heaviest among them; those that are not have a weight of at most `lighter_max`.
    pub(super) fn of(mut heavy: Vec<Heavy>, lighter_max: i128, null_weight: i128) -> Top {
        let unlisted_max = cut(&mut heavy).max(lighter_max);
        Top { listed: heavy, unlisted_max, null_weight }
    }

    pub fn listed(&self) -> &[Heavy] {
        &self.listed
    }

    /// No value that is not listed weighs more; 0 if all values are.
    pub fn unlisted_max(&self) -> i128 {
        self.unlisted_max
    }

    /// What the rows weigh that have no value; exact.
    pub fn null_weight(&self) -> i128 {
        self.null_weight
    }

    pub fn merge(&mut self, other: &Top) {
        let mut places: HashMap<Key, usize> = HashMap::with_capacity(self.listed.len());
        let own = self.listed.len();
        for (place, heavy) in self.listed.iter_mut().enumerate() {
            places.insert(heavy.key, place);
            heavy.missing_max = heavy.missing_max.saturating_add(other.unlisted_max);
        }
        for heavy in &other.listed {
            match places.get(&heavy.key) {
                Some(&place) if place < own => {
                    let same = &mut self.listed[place];
                    same.weight = same.weight.saturating_add(heavy.weight);
                    // It is listed there: what it may be missing is known better.
                    same.missing_max =
                        same.missing_max.saturating_sub(other.unlisted_max).saturating_add(heavy.missing_max);
                }
                _ => {
                    let missing_max = heavy.missing_max.saturating_add(self.unlisted_max);
                    self.listed.push(Heavy { missing_max, ..*heavy });
                }
            }
        }
        let neither = self.unlisted_max.saturating_add(other.unlisted_max);
        self.unlisted_max = cut(&mut self.listed).max(neither);
        self.null_weight = self.null_weight.saturating_add(other.null_weight);
    }
}

impl Heavy {
    /// The most that the value weighs.
    pub fn weight_max(&self) -> i128 {
        self.weight.saturating_add(self.missing_max)
    }

    /// Heavier ones are less.
    pub(super) fn order(&self) -> (std::cmp::Reverse<i128>, Key) {
        (std::cmp::Reverse(self.weight_max()), self.key)
    }
}

/// Keeps the heaviest, in order, and returns the most that any other weighs.
fn cut(all: &mut Vec<Heavy>) -> i128 {
    let mut cut_max = 0;
    if all.len() > LISTED_MAX {
        let (_, heaviest_cut, _) = all.select_nth_unstable_by_key(LISTED_MAX, Heavy::order);
        cut_max = heaviest_cut.weight_max();
        all.truncate(LISTED_MAX);
    }
    all.sort_unstable_by_key(Heavy::order);
    cut_max
}
