//! The timer wheel: which flows to look at when.
//!
//! Flows hang in the tick at which they were last thought to end. A packet does not move its flow; when the
//! tick comes, the flow is either over or hung anew. Deadlines beyond the wheel wait at its far end.

use super::{
    list::{LinkStore, List},
    table::SlotId,
};
use crate::clock::Moment;

/// 2²⁷ ns = 134 ms a tick.
const TICK_SHIFT: u32 = 27;
/// 1024 ticks = 137 s a turn.
const TICKS: u64 = 1024;

#[derive(Debug)]
pub struct Wheel {
    ticks: Box<[List]>,
    /// One bit a tick: has flows.
    occupied: [u64; TICKS as usize / 64],
    /// The tick that is being worked off; those before it are empty.
    cursor: u64,
}

impl Wheel {
    pub const BYTES: usize = TICKS as usize * size_of::<List>() + TICKS as usize / 8;

    pub fn new() -> Wheel {
        Wheel {
            ticks: vec![List::EMPTY; TICKS as usize].into_boxed_slice(),
            occupied: [0; TICKS as usize / 64],
            cursor: 0,
        }
    }

    /// Forgets every flow.
    pub fn clear(&mut self) {
        self.ticks.fill(List::EMPTY);
        self.occupied = [0; TICKS as usize / 64];
    }

    /// Hangs a flow at its deadline; returns the tick to unlink it from.
    pub fn push(&mut self, links: &mut impl LinkStore, slot: SlotId, deadline: Moment) -> u16 {
        let due = (deadline.0 >> TICK_SHIFT).clamp(self.cursor, self.cursor + TICKS - 1);
        let tick = (due % TICKS) as usize;
        self.ticks[tick].push_back(links, slot);
        self.occupied[tick / 64] |= 1 << (tick % 64);
        tick as u16
    }

    pub fn unlink(&mut self, links: &mut impl LinkStore, slot: SlotId, tick: u16) {
        let tick = usize::from(tick);
        self.ticks[tick].unlink(links, slot);
        if self.ticks[tick].first().is_none() {
            self.occupied[tick / 64] &= !(1 << (tick % 64));
        }
    }

    /// The next flow whose tick is before that of `now`, left in its list; `None` when the wheel caught up.
    pub fn due(&mut self, now: Moment) -> Option<SlotId> {
        let end = now.0 >> TICK_SHIFT;
        // After a silence of more than a turn every tick is due once, whichever order.
        self.cursor = self.cursor.max(end.saturating_sub(TICKS));
        if self.cursor >= end {
            return None;
        }
        let ahead = self.steps_to_occupied().unwrap_or(TICKS);
        self.cursor = (self.cursor + ahead).min(end);
        if self.cursor == end {
            return None;
        }
        self.ticks[(self.cursor % TICKS) as usize].first()
    }

    /// Any flow, those due first before others.
    pub fn earliest(&self) -> Option<SlotId> {
        let ahead = self.steps_to_occupied()?;
        self.ticks[((self.cursor + ahead) % TICKS) as usize].first()
    }

    /// Ticks from the cursor to the next one that has flows.
    fn steps_to_occupied(&self) -> Option<u64> {
        let start = self.cursor % TICKS;
        let words = self.occupied.len() as u64;
        // One word more than there are: the first is looked at from both sides of the cursor.
        (0..=words).find_map(|step| {
            let word = (start / 64 + step) % words;
            let mask = match step {
                0 => u64::MAX << (start % 64),
                _ if step == words => !(u64::MAX << (start % 64)),
                _ => u64::MAX,
            };
            let found = self.occupied[word as usize] & mask;
            (found != 0).then(|| {
                let tick = word * 64 + u64::from(found.trailing_zeros());
                (tick + TICKS - start) % TICKS
            })
        })
    }
}
