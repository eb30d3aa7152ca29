//! Which batches came: what makes delivery exactly-once.
//!
//! A sender numbers its batches within an epoch and may send one again until it is acknowledged. Numbers that came are kept
//! as ranges, so a sender that loses none takes no room. Few epochs are kept by sender: a new one begins when a sender's
//! spool is lost, and nothing of an older one is sent again then.

use crate::engine::BatchIdentity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The batches of one sender: by epoch, first and last numbers of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRanges {
    epochs: Vec<Epoch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    epoch: u64,
    /// First to last, both inclusive.
    ranges: BTreeMap<u64, u64>,
}

/// The batches of all senders.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    senders: BTreeMap<String, SeenRanges>,
    changed: Vec<String>,
}

/// Epochs that are kept by sender; the one that was used least lately goes.
const EPOCHS_MAX: usize = 16;
/// Ranges that are kept by epoch: with more, the oldest two become one, and what lies between counts as seen.
const RANGES_MAX: usize = 65_536;

impl Seen {
    pub fn new(senders: BTreeMap<String, SeenRanges>) -> Seen {
        Seen { senders, changed: Vec::new() }
    }

    pub fn contains(&self, batch: &BatchIdentity) -> bool {
        self.senders.get(&batch.sensor).is_some_and(|sender| sender.contains(batch.epoch, batch.sequence))
    }

    pub fn insert(&mut self, batch: &BatchIdentity) {
        self.senders.entry(batch.sensor.clone()).or_default().insert(batch.epoch, batch.sequence);
        if !self.changed.contains(&batch.sensor) {
            self.changed.push(batch.sensor.clone());
        }
    }

    /// Takes back that these were told of.
    pub fn mark_changed(&mut self, senders: impl IntoIterator<Item = String>) {
        for sender in senders {
            if !self.changed.contains(&sender) {
                self.changed.push(sender);
            }
        }
    }

    /// What changed since the last call.
    pub fn take_changed(&mut self) -> BTreeMap<String, SeenRanges> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .filter_map(|sender| Some((sender.clone(), self.senders.get(&sender)?.clone())))
            .collect()
    }
}

impl SeenRanges {
    fn contains(&self, epoch: u64, sequence: u64) -> bool {
        let Some(epoch) = self.epochs.iter().find(|known| known.epoch == epoch) else { return false };
        epoch.ranges.range(..=sequence).next_back().is_some_and(|(_, &last)| sequence <= last)
    }

    fn insert(&mut self, epoch: u64, sequence: u64) {
        match self.epochs.iter().position(|known| known.epoch == epoch) {
            Some(place) => self.epochs[place..].rotate_left(1),
            None => self.epochs.push(Epoch { epoch, ranges: BTreeMap::new() }),
        }
        if self.epochs.len() > EPOCHS_MAX {
            self.epochs.remove(0);
        }
        let ranges = &mut self.epochs.last_mut().expect("one was just put there").ranges;
        insert(ranges, sequence);
        if ranges.len() > RANGES_MAX
            && let Some((first, _)) = ranges.pop_first()
            && let Some((_, last)) = ranges.pop_first()
        {
            ranges.insert(first, last);
        }
    }
}

fn insert(ranges: &mut BTreeMap<u64, u64>, sequence: u64) {
    let before = ranges.range(..=sequence).next_back().map(|(&first, &last)| (first, last));
    if before.is_some_and(|(_, last)| sequence <= last) {
        return;
    }
    let first = match before {
        Some((first, last)) if last.checked_add(1) == Some(sequence) => first,
        _ => sequence,
    };
    let after = sequence.checked_add(1).and_then(|next| ranges.remove(&next));
    ranges.insert(first, after.unwrap_or(sequence));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn batch(epoch: u64, sequence: u64) -> BatchIdentity {
        BatchIdentity { sensor: "sensor".to_owned(), epoch, sequence }
    }

    proptest! {
        #[test]
        fn ranges_know_exactly_what_came(sequences in prop::collection::vec(0_u64..200, 0..300)) {
            let mut seen = Seen::default();
            let mut model = BTreeSet::new();
            for sequence in sequences {
                prop_assert_eq!(seen.contains(&batch(1, sequence)), model.contains(&sequence));
                seen.insert(&batch(1, sequence));
                model.insert(sequence);
            }
            for sequence in 0..200 {
                prop_assert_eq!(seen.contains(&batch(1, sequence)), model.contains(&sequence));
                prop_assert!(!seen.contains(&batch(2, sequence)));
            }
            let ranges = &seen.senders.get("sensor").map(|sender| sender.epochs.clone()).unwrap_or_default();
            let gaps = model.iter().filter(|sequence| !model.contains(&(**sequence + 1))).count();
            prop_assert_eq!(ranges.first().map_or(0, |epoch| epoch.ranges.len()), gaps);
        }
    }

    #[test]
    fn an_epoch_that_is_used_is_kept_longest() {
        let mut seen = Seen::default();
        for epoch in 0..EPOCHS_MAX as u64 {
            seen.insert(&batch(epoch, 7));
        }
        seen.insert(&batch(0, 8));
        seen.insert(&batch(99, 1));
        assert!(seen.contains(&batch(0, 7)) && seen.contains(&batch(99, 1)));
        assert!(!seen.contains(&batch(1, 7)), "the one that was used least lately went");
    }
}
