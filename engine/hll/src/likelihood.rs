//! The estimator: the number of values that makes what was seen most likely.
//!
//! A sketch is a record of coin tosses. For every slot (a register and a sub-level) and every level it may
//! know whether some value fell there; with `n` values over `m` slots that number is Poisson distributed with
//! mean `x w`, where `x = n / m` and `w` is the probability of the level. The levels of a slot are
//! independent, so the logarithm of the likelihood is
//!
//! ```text
//! Σ over levels:  seen · ln(1 - e^(-x w))  -  unseen · x w
//! ```
//!
//! It is concave and its maximum is found by Newton's method. Its curvature there is the information in the
//! sketch, and with it the standard error. The same holds for tokens, which are slots that know all of their
//! levels. (Ertl, "ExaLogLog", EDBT 2025, derives the estimator; here it is written by level, of which there
//! are few.)

use std::array;

use crate::register;
use crate::token::{LEVEL_MAX, SUB_BITS, VALUE_MAX};

pub(crate) const LEVELS: usize = LEVEL_MAX as usize + 1;
/// Sub-levels of a level.
const SUBS: u32 = 1 << SUB_BITS;
/// Levels that the window of a register reaches into, that of the largest value included.
const REACH: usize = (register::WINDOW / SUBS) as usize + 1;

/// How often a level is drawn: 2^-(level + 1), and the last as often as the one before.
pub(crate) fn weight(level: usize) -> f64 {
    let exponent = (level as i32 + 1).min(LEVEL_MAX as i32);
    0.5_f64.powi(exponent)
}

/// What all slots together saw, by level.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Levels {
    pub slots: f64,
    pub seen: [u32; LEVELS],
    pub unseen: [u32; LEVELS],
}

/// The most likely number of values and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Maximum {
    pub count: f64,
    pub standard_error: f64,
}

impl Levels {
    /// Of slots that know everything, from the levels that they saw.
    pub fn of_complete_slots(slots: u32, seen: [u32; LEVELS]) -> Levels {
        Levels { slots: slots.into(), seen, unseen: seen.map(|seen| slots - seen) }
    }

    pub fn maximum(&self) -> Maximum {
        let total: f64 = self.seen.iter().map(|seen| f64::from(*seen)).sum();
        if total == 0.0 {
            return Maximum { count: 0.0, standard_error: 0.0 };
        }
        let weighted = |counts: &[u32; LEVELS]| -> f64 {
            (0..LEVELS).map(|level| f64::from(counts[level]) * weight(level)).sum()
        };
        let (seen, unseen) = (weighted(&self.seen), weighted(&self.unseen));
        // Every slot saw every level that it knows of: as many values as make that likely, and no end.
        if unseen == 0.0 {
            return Maximum { count: f64::INFINITY, standard_error: f64::INFINITY };
        }
        // x · (derivative of the likelihood) = Σ seen φ(x w) - x Σ unseen w, with φ(y) = y / (e^y - 1). This
        // is convex and falls, so that Newton's method from the left of the root comes ever closer to it. As
        // φ(y) ≥ 1 - y / 2, this is to the left:
        let mut x = total / (unseen + seen / 2.0);
        let mut curvature = 0.0;
        for _ in 0..NEWTON_STEPS_MAX {
            let mut slope = -unseen;
            let mut value = -unseen * x;
            curvature = 0.0;
            for level in (0..LEVELS).filter(|level| self.seen[*level] != 0) {
                let (seen, w) = (f64::from(self.seen[level]), weight(level));
                let y = x * w;
                let growth = y.exp_m1();
                let phi = if growth.is_infinite() { 0.0 } else { y / growth };
                value += seen * phi;
                // φ'(y) = φ (1 - φ - y) / y
                slope += seen * phi * (1.0 - phi - y) / x;
                curvature += seen * phi * (phi + y);
            }
            let step = -value / slope;
            x += step;
            if step <= x * 1e-9 {
                break;
            }
        }
        let count = x * self.slots;
        // Were the number of values Poisson distributed itself, the estimate would have the relative variance
        // 1 / curvature. It is given, so that its own share is not there.
        let variance = (1.0 / curvature - 1.0 / count).max(0.0);
        Maximum { count, standard_error: count * variance.sqrt() }
    }
}

/// Newton's method takes about ten for what values lead to, and some dozens for what does not.
const NEWTON_STEPS_MAX: usize = 100;

/// Counts over registers, made to be counted quickly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tally {
    /// Registers by their largest value.
    largest: [u32; VALUE_MAX as usize + 1],
    /// By the level of the largest value: values seen on that level (last) and on those below it.
    seen: [[u32; 8]; LEVELS],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { largest: [0; VALUE_MAX as usize + 1], seen: [[0; 8]; LEVELS] }
    }
}

impl Tally {
    #[inline(always)]
    pub fn count(&mut self, register: u32) {
        let largest = register::largest(register).min(VALUE_MAX);
        self.largest[largest as usize] += 1;
        if largest == 0 {
            return;
        }
        let (level, sub) = ((largest - 1) / SUBS, (largest - 1) % SUBS);
        // Four bits a level, the level of the largest value on top.
        let bits = register::seen(register) << sub;
        // How many of each four are set.
        let pairs = bits - (bits >> 1 & 0x5555_5555);
        let fours = (pairs & 0x3333_3333) + (pairs >> 2 & 0x3333_3333);
        let row = &mut self.seen[level as usize];
        for (below, count) in row.iter_mut().enumerate() {
            *count += fours >> (4 * below) & 7;
        }
    }

    pub fn levels(&self, slots: u32) -> Levels {
        let mut seen = [0; LEVELS];
        // Slots that know of the level.
        let mut known = [0; LEVELS];
        let mut below = self.largest[0];
        for level in 0..LEVELS {
            for (offset, count) in self.seen[level].iter().enumerate().take(REACH) {
                // Levels below the lowest are there in the window, and nothing is seen on them.
                if let Some(reached) = (level + offset + 1).checked_sub(REACH) {
                    seen[reached] += count;
                }
            }
            let largest: [u32; SUBS as usize] =
                array::from_fn(|sub| self.largest[level * SUBS as usize + 1 + sub]);
            let here: u32 = largest.iter().sum();
            // A register knows all of the levels from the fifth below that of its largest value on ...
            known[level] += SUBS * (below + here);
            for known in &mut known[level.saturating_sub(REACH - 2)..level] {
                *known += SUBS * here;
            }
            // ... and of the sixth only the subs from that of its largest value on.
            if let Some(reached) = (level + 1).checked_sub(REACH) {
                known[reached] += (0..SUBS).map(|sub| (SUBS - sub) * largest[sub as usize]).sum::<u32>();
            }
            below += here;
        }
        let unseen = array::from_fn(|level| known[level] - seen[level]);
        Levels { slots: slots.into(), seen, unseen }
    }
}
