//! Union, intersection and differences of two sets, from two sketches at once.
//!
//! Inclusion and exclusion (|A| + |B| - |A ∪ B|) adds up the errors of three estimates, which drown a small
//! intersection. The registers of both sketches know more: where A saw a value that B did not, some value is
//! in A alone; where both did, it may be one of both or one of each. The numbers of values in A alone, in B
//! alone and in both are those that make what both sketches saw together most likely. (The idea is that of
//! Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, section on joint estimation,
//! here for registers that remember more.) The information matrix at the maximum gives the errors; for a part
//! of a hundredth of the union they are stated up to a fifth too small.

use crate::estimate::Estimate;
use crate::likelihood::{LEVELS, Levels, weight};
use crate::precision::Precision;
use crate::register::{self, Register, WINDOW};
use crate::sketch::empty_registers;
use crate::token::{POSITION_BITS, SUB_BITS};
use crate::view::{Form, SketchRef};

/// The parts into which two sets divide their union.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Values of the first set that the second does not have: A \ B.
    pub only_first: Estimate,
    /// Values of the second set that the first does not have: B \ A.
    pub only_second: Estimate,
    /// Values of both: A ∩ B.
    pub both: Estimate,
    /// All values: A ∪ B.
    pub union: Estimate,
}

impl Overlap {
    /// The share of the union that is in both: the Jaccard similarity, 0 for empty sets.
    pub fn similarity(self) -> f64 {
        if self.union.value() == 0.0 { 0.0 } else { (self.both.value() / self.union.value()).min(1.0) }
    }

    pub(crate) fn of(first: SketchRef<'_>, second: SketchRef<'_>) -> Overlap {
        let observed = if first.is_sparse() && second.is_sparse() {
            Observed::of_tokens(first, second)
        } else {
            let precision = first.precision().min(second.precision());
            let [first, second] = [first, second].map(|sketch| registers(sketch, precision));
            Observed::of_registers(&first, &second)
        };
        observed.overlap()
    }
}

fn registers(sketch: SketchRef<'_>, precision: Precision) -> Box<[Register]> {
    if let Form::Dense(registers) = sketch.form
        && sketch.precision() == precision
    {
        return registers.into();
    }
    let mut registers = empty_registers(precision);
    sketch.merge_into(&mut registers);
    registers
}

/// What a slot may know of a level: whether the first, and whether the second, saw it.
const NEITHER: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 2;
const BOTH: usize = FIRST | SECOND;

/// What two sketches saw, by level.
#[derive(Debug, PartialEq)]
struct Observed {
    slots: f64,
    /// Of slots that know about both: what was seen.
    joint: [[u32; 4]; LEVELS],
    /// Of slots that know about the first or the second only: unseen and seen.
    single: [[[u32; 2]; 2]; LEVELS],
}

impl Observed {
    fn new(slots: u32) -> Observed {
        Observed { slots: slots.into(), joint: [[0; 4]; LEVELS], single: [[[0; 2]; 2]; LEVELS] }
    }

    fn of_tokens(first: SketchRef<'_>, second: SketchRef<'_>) -> Observed {
        let slots = 1 << POSITION_BITS;
        let mut observed = Observed::new(slots);
        let mut others = Vec::with_capacity(second.token_count());
        second.for_each_token(|token| others.push(token));
        let mut others = others.into_iter().peekable();
        let mut see = |level: u32, what: usize| observed.joint[level as usize][what] += 1;
        first.for_each_token(|token| {
            while let Some(other) = others.next_if(|other| *other < token) {
                see(other.level(), SECOND);
            }
            let is_shared = others.next_if_eq(&token).is_some();
            see(token.level(), if is_shared { BOTH } else { FIRST });
        });
        others.for_each(|other| see(other.level(), SECOND));
        for counts in &mut observed.joint {
            counts[NEITHER] = slots - counts.iter().sum::<u32>();
        }
        observed
    }

    fn of_registers(first: &[Register], second: &[Register]) -> Observed {
        let mut observed = Observed::new((first.len() as u32) << SUB_BITS);
        // Pairs of registers by the level of the largest value of either, 0 for none.
        let mut tops = [0_u32; LEVELS + 1];
        for (first, second) in first.iter().zip(second) {
            let [first, second] = [first, second].map(|register| Seen(u32::from_le_bytes(*register)));
            let top = first.largest().max(second.largest());
            // From the lowest value that either knows of to the end of the level of the largest.
            let lowest = first.lowest_known().min(second.lowest_known());
            let end = top.next_multiple_of(1 << SUB_BITS);
            for value in lowest..=end {
                let level = ((value - 1) >> SUB_BITS) as usize;
                match (first.at(value), second.at(value)) {
                    (Some(first), Some(second)) => {
                        observed.joint[level][usize::from(first) * FIRST + usize::from(second) * SECOND] += 1;
                    }
                    (Some(seen), None) => observed.single[level][0][usize::from(seen)] += 1,
                    (None, Some(seen)) => observed.single[level][1][usize::from(seen)] += 1,
                    (None, None) => {}
                }
            }
            tops[(end >> SUB_BITS) as usize] += 1;
        }
        // Above, neither saw anything.
        let mut below = 0;
        for (counts, pairs) in observed.joint.iter_mut().zip(tops) {
            below += pairs;
            counts[NEITHER] += below << SUB_BITS;
        }
        observed
    }

    /// What one of the sketches, or their union, saw.
    fn levels(&self, is_seen: fn([bool; 2]) -> bool, single: Option<usize>) -> Levels {
        let mut levels = Levels { slots: self.slots, seen: [0; LEVELS], unseen: [0; LEVELS] };
        for level in 0..LEVELS {
            for (what, count) in self.joint[level].iter().enumerate() {
                let seen = is_seen([what & FIRST != 0, what & SECOND != 0]);
                if seen { levels.seen[level] += count } else { levels.unseen[level] += count }
            }
            if let Some(which) = single {
                levels.unseen[level] += self.single[level][which][0];
                levels.seen[level] += self.single[level][which][1];
            }
        }
        levels
    }

    fn overlap(&self) -> Overlap {
        let first = self.levels(|[first, _]| first, Some(0)).maximum().count;
        let second = self.levels(|[_, second]| second, Some(1)).maximum().count;
        let union = self.levels(|[first, second]| first | second, None).maximum().count;
        if !(first.is_finite() && second.is_finite() && union.is_finite()) {
            let unknown = Estimate::new(f64::INFINITY, f64::INFINITY, 0.0);
            return Overlap { only_first: unknown, only_second: unknown, both: unknown, union: unknown };
        }
        // Inclusion and exclusion is the start; none of the parts is empty, so that each can grow.
        let floor = COUNT_MIN / self.slots;
        let part = |count: f64| (count.max(first.min(second) * 0.01) / self.slots).max(floor);
        let start = [part(union - second), part(union - first), part(first + second - union)];
        let (most_likely, covariance) = self.maximise(start, floor);
        let estimate = |members: [f64; 3]| {
            let mut count = 0.0;
            let mut variance = 0.0;
            for i in 0..3 {
                // What came down to the floor is empty.
                if most_likely[i] > floor * 1.01 {
                    count += members[i] * most_likely[i] * self.slots;
                }
                for j in 0..3 {
                    variance += members[i] * members[j] * covariance[i][j] * self.slots * self.slots;
                }
            }
            // The numbers of values are given and not Poisson distributed themselves.
            Estimate::new(count, (variance - count).max(0.0).sqrt(), 0.0)
        };
        Overlap {
            only_first: estimate([1.0, 0.0, 0.0]),
            only_second: estimate([0.0, 1.0, 0.0]),
            both: estimate([0.0, 0.0, 1.0]),
            union: estimate([1.0, 1.0, 1.0]),
        }
    }

    /// The most likely values a slot in the first alone, the second alone and both, and their covariance.
    ///
    /// Fisher scoring of the logarithms, with steps cut to where they do not make things worse.
    fn maximise(&self, start: Rates, floor: f64) -> (Rates, [Rates; 3]) {
        let mut at = start;
        let mut here = self.likelihood(at);
        for _ in 0..SCORING_STEPS_MAX {
            let mut scaled = here.information;
            for (i, row) in scaled.iter_mut().enumerate() {
                row.iter_mut().enumerate().for_each(|(j, entry)| *entry *= at[i] * at[j]);
            }
            let inverse = inverse(scaled);
            let step: Rates = std::array::from_fn(|i| {
                let step: f64 = (0..3).map(|j| inverse[i][j] * here.gradient[j] * at[j]).sum();
                step.clamp(-LOG_STEP_MAX, LOG_STEP_MAX)
            });
            let Some((next, there)) = (0..HALVINGS_MAX).find_map(|halvings| {
                let share = 0.5_f64.powi(halvings);
                let next: Rates = std::array::from_fn(|i| (at[i] * (share * step[i]).exp()).max(floor));
                let there = self.likelihood(next);
                (there.value >= here.value).then_some((next, there))
            }) else {
                break;
            };
            let moved = (0..3).map(|i| (next[i] / at[i]).ln().abs()).fold(0.0, f64::max);
            (at, here) = (next, there);
            if moved < 1e-7 {
                break;
            }
        }
        (at, inverse(here.information))
    }

    fn likelihood(&self, rates: Rates) -> Likelihood {
        let mut sum = Likelihood::default();
        for level in 0..LEVELS {
            let w = weight(level);
            let [alone_first, alone_second, both] = rates.map(|rate| -(-w * rate).exp_m1());
            let [no_first, no_second, no_both] = rates.map(|rate| (-w * rate).exp());
            let neither = no_first * no_second * no_both;
            let only_first = no_second * no_both * alone_first;
            let only_second = no_first * no_both * alone_second;
            let shared = both + no_both * alone_first * alone_second;
            let joint = &self.joint[level];
            let total: u32 = joint.iter().sum();
            sum.add(joint[NEITHER], total, neither, [-w * neither; 3]);
            sum.add(joint[FIRST], total, only_first, [w * neither, -w * only_first, -w * only_first]);
            sum.add(joint[SECOND], total, only_second, [-w * only_second, w * neither, -w * only_second]);
            let not_shared = neither + only_first + only_second;
            sum.add(joint[BOTH], total, shared, [w * only_second, w * only_first, w * not_shared]);

            let [first, second] = &self.single[level];
            let (no_first, no_second) = (no_first * no_both, no_second * no_both);
            sum.add(first[0], first[0] + first[1], no_first, [-w * no_first, 0.0, -w * no_first]);
            sum.add(first[1], first[0] + first[1], 1.0 - no_first, [w * no_first, 0.0, w * no_first]);
            sum.add(second[0], second[0] + second[1], no_second, [0.0, -w * no_second, -w * no_second]);
            sum.add(second[1], second[0] + second[1], 1.0 - no_second, [0.0, w * no_second, w * no_second]);
        }
        sum
    }
}

/// A register by value.
#[derive(Clone, Copy)]
struct Seen(u32);

impl Seen {
    fn largest(self) -> u32 {
        register::largest(self.0)
    }

    fn lowest_known(self) -> u32 {
        self.largest().saturating_sub(WINDOW).max(1)
    }

    /// Whether the value was seen, if that is known.
    fn at(self, value: u32) -> Option<bool> {
        match self.largest().checked_sub(value) {
            None => Some(false),
            Some(below) if below <= WINDOW => Some(register::seen(self.0) >> (WINDOW - below) & 1 == 1),
            Some(_) => None,
        }
    }
}

/// Values a slot: in the first alone, in the second alone, in both.
type Rates = [f64; 3];

#[derive(Default)]
struct Likelihood {
    value: f64,
    gradient: Rates,
    information: [Rates; 3],
}

impl Likelihood {
    /// An outcome that came so often out of a total, with its probability and the derivatives of that.
    fn add(&mut self, count: u32, total: u32, probability: f64, derivatives: Rates) {
        if total == 0 || probability <= f64::MIN_POSITIVE {
            return;
        }
        self.value += f64::from(count) * probability.ln();
        for i in 0..3 {
            self.gradient[i] += f64::from(count) * derivatives[i] / probability;
            for j in 0..3 {
                self.information[i][j] += f64::from(total) * derivatives[i] * derivatives[j] / probability;
            }
        }
    }
}

/// Of a symmetric positive matrix; zeros if it has none.
fn inverse(m: [Rates; 3]) -> [Rates; 3] {
    let cofactor = |i: usize, j: usize| {
        let [i1, i2, j1, j2] = [(i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3];
        m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * cofactor(0, j)).sum();
    if determinant <= 0.0 || !determinant.is_finite() {
        return [[0.0; 3]; 3];
    }
    std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) / determinant))
}

/// The number of values below which a part is taken to be empty.
const COUNT_MIN: f64 = 1e-3;
/// Steps of the logarithm of a rate, at most.
const LOG_STEP_MAX: f64 = 2.0;
const SCORING_STEPS_MAX: usize = 60;
const HALVINGS_MAX: i32 = 20;
