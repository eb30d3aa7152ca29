//! The experiment behind the library: kinds of registers in about the same memory.
//!
//! A register of kind (t, d) keeps the largest update value and, for each of the `d` below, whether it was
//! seen; an update value has `t` bits of sub-level (Ertl, "ExaLogLog", EDBT 2025). HyperLogLog is (0, 0),
//! UltraLogLog (0, 2). All estimate by maximum likelihood, which for HyperLogLog is as good as the estimator
//! of Ertl 2017; all are compiled for the same processor, and those whose registers are no whole bytes are
//! packed and unpacked as they are used.

use std::hint::black_box;

use crate::cpu_time::least_ns;
use crate::figure::Figure;
use crate::simulation::Random;
use crate::vectorised;

const TRIALS: u64 = 1000;
const COUNT: usize = 100_000;
const RUNS: usize = 40;
const ADDED: usize = 1_000_000;
/// Levels that a hash can have.
const LEVEL_MAX: u32 = 40;

/// How many registers there are, and how one is kept.
trait Scheme {
    const NAME: &'static str;
    const T: u32;
    const D: u32;
    const LOG_REGISTERS: u32;
    const REGISTER_BITS: usize;

    fn load(state: &[u8], index: usize) -> u32;
    fn store(state: &mut [u8], index: usize, register: u32);

    /// Merges registers into as many others.
    #[inline(always)]
    fn merge(into: &mut [u8], from: &[u8]) {
        for index in 0..1 << Self::LOG_REGISTERS {
            let merged = merged(Self::D, Self::load(into, index), Self::load(from, index));
            Self::store(into, index, merged);
        }
    }

    fn bytes() -> usize {
        (Self::REGISTER_BITS << Self::LOG_REGISTERS) / 8
    }

    #[inline(always)]
    fn add(state: &mut [u8], hash: u64) {
        let index = (hash >> Self::T) as usize & ((1 << Self::LOG_REGISTERS) - 1);
        let level = (hash >> (64 - LEVEL_MAX) << (64 - LEVEL_MAX) | 1 << (63 - LEVEL_MAX)).leading_zeros();
        let value = (level << Self::T) + (hash as u32 & ((1 << Self::T) - 1)) + 1;
        let register = Self::load(state, index);
        Self::store(state, index, merged(Self::D, register, (value + Self::D) << Self::D));
    }
}

/// The largest value is kept plus `d`, so that an empty register is out of reach of all others.
#[inline(always)]
fn merged(d: u32, a: u32, b: u32) -> u32 {
    let (high, low) = (a.max(b), a.min(b));
    let window = (1 << d) - 1;
    let seen = low & window | 1 << d;
    high | seen.checked_shr((high >> d) - (low >> d)).unwrap_or(0) & window
}

struct Plain8;

impl Scheme for Plain8 {
    const NAME: &'static str = "HyperLogLog, 8 bits";
    const T: u32 = 0;
    const D: u32 = 0;
    const LOG_REGISTERS: u32 = 12;
    const REGISTER_BITS: usize = 8;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        state[index].into()
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        state[index] = register as u8;
    }

    #[inline(always)]
    fn merge(into: &mut [u8], from: &[u8]) {
        for (into, from) in into.iter_mut().zip(from) {
            *into = (*into).max(*from);
        }
    }
}

struct Packed6;

impl Scheme for Packed6 {
    const NAME: &'static str = "HyperLogLog, 6 bits packed";
    const T: u32 = 0;
    const D: u32 = 0;
    const LOG_REGISTERS: u32 = 12;
    const REGISTER_BITS: usize = 6;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        // Four registers in three bytes.
        let three = &state[index / 4 * 3..][..3];
        let bits = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        bits >> (index % 4 * 6) & 63
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        let three = &mut state[index / 4 * 3..][..3];
        let shift = index % 4 * 6;
        let bits = u32::from_le_bytes([three[0], three[1], three[2], 0]) & !(63 << shift) | register << shift;
        three.copy_from_slice(&bits.to_le_bytes()[..3]);
    }

    #[inline(always)]
    fn merge(into: &mut [u8], from: &[u8]) {
        for (into, from) in into.as_chunks_mut::<3>().0.iter_mut().zip(from.as_chunks::<3>().0) {
            let a = u32::from_le_bytes([into[0], into[1], into[2], 0]);
            let b = u32::from_le_bytes([from[0], from[1], from[2], 0]);
            let four = (0..4).map(|n| (a & 63 << (6 * n)).max(b & 63 << (6 * n)));
            into.copy_from_slice(&four.fold(0, |all, one| all | one).to_le_bytes()[..3]);
        }
    }
}

struct Ultra;

impl Scheme for Ultra {
    const NAME: &'static str = "UltraLogLog (0, 2), 8 bits";
    const T: u32 = 0;
    const D: u32 = 2;
    const LOG_REGISTERS: u32 = 12;
    const REGISTER_BITS: usize = 8;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        state[index].into()
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        state[index] = register as u8;
    }

    #[inline(always)]
    fn merge(into: &mut [u8], from: &[u8]) {
        for (into, from) in into.iter_mut().zip(from) {
            let (high, low) = ((*into).max(*from), (*into).min(*from));
            // Bytes have no vector instruction that shifts each by its own distance; there are only three
            // that count.
            let below = match (high >> 2) - (low >> 2) {
                0 => low & 3,
                1 => 2 | low >> 1 & 1,
                2 => 1,
                _ => 0,
            };
            *into = high | below;
        }
    }
}

struct Exa16;

impl Scheme for Exa16 {
    const NAME: &'static str = "ExaLogLog (1, 9), 16 bits";
    const T: u32 = 1;
    const D: u32 = 9;
    const LOG_REGISTERS: u32 = 11;
    const REGISTER_BITS: usize = 16;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        u16::from_le_bytes(state.as_chunks().0[index]).into()
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        state.as_chunks_mut().0[index] = (register as u16).to_le_bytes();
    }
}

struct Exa28;

impl Scheme for Exa28 {
    const NAME: &'static str = "ExaLogLog (2, 20), 28 bits packed";
    const T: u32 = 2;
    const D: u32 = 20;
    const LOG_REGISTERS: u32 = 10;
    const REGISTER_BITS: usize = 28;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        // Two registers in seven bytes.
        let four = &state[index * 7 / 2..][..4];
        let bits = u32::from_le_bytes(four.try_into().expect("the slice has four bytes"));
        if index.is_multiple_of(2) { bits & 0x0FFF_FFFF } else { bits >> 4 }
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        let four = &mut state[index * 7 / 2..][..4];
        let old = u32::from_le_bytes((&*four).try_into().expect("the slice has four bytes"));
        let new =
            if index.is_multiple_of(2) { old & !0x0FFF_FFFF | register } else { old & 15 | register << 4 };
        four.copy_from_slice(&new.to_le_bytes());
    }
}

struct Exa32;

impl Scheme for Exa32 {
    const NAME: &'static str = "ExaLogLog (2, 24), 32 bits";
    const T: u32 = 2;
    const D: u32 = 24;
    const LOG_REGISTERS: u32 = 10;
    const REGISTER_BITS: usize = 32;

    #[inline(always)]
    fn load(state: &[u8], index: usize) -> u32 {
        u32::from_le_bytes(state.as_chunks().0[index])
    }

    #[inline(always)]
    fn store(state: &mut [u8], index: usize, register: u32) {
        state.as_chunks_mut().0[index] = register.to_le_bytes();
    }

    #[inline(always)]
    fn merge(into: &mut [u8], from: &[u8]) {
        for (into, from) in into.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0) {
            *into = merged(Self::D, u32::from_le_bytes(*into), u32::from_le_bytes(*from)).to_le_bytes();
        }
    }
}

/// The most likely number of values.
fn estimate<S: Scheme>(state: &[u8]) -> f64 {
    let levels = LEVEL_MAX as usize + 1;
    let weight = |level: usize| 0.5_f64.powi((level as i32 + 1).min(LEVEL_MAX as i32));
    let (mut seen, mut unseen) = (vec![0.0; levels], 0.0);
    let values = (LEVEL_MAX + 1) << S::T;
    for index in 0..1 << S::LOG_REGISTERS {
        let register = S::load(state, index);
        let largest = (register >> S::D).saturating_sub(S::D);
        for value in largest.saturating_sub(S::D).max(1)..=values {
            let level = ((value - 1) >> S::T) as usize;
            let is_seen = match largest.checked_sub(value) {
                None => false,
                Some(0) => true,
                Some(below) => register >> (S::D - below) & 1 == 1,
            };
            if is_seen { seen[level] += 1.0 } else { unseen += weight(level) }
        }
    }
    // The root of Σ seen φ(x w) = x Σ unseen w, with φ(y) = y / (e^y - 1), by bisection of the logarithm.
    let slots = f64::from(1_u32 << (S::LOG_REGISTERS + S::T));
    let (mut low, mut high) = (-20.0_f64, 40.0_f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        let x = middle.exp();
        let expected: f64 = seen
            .iter()
            .enumerate()
            .map(|(level, seen)| seen * x * weight(level) / (x * weight(level)).exp_m1())
            .sum();
        if expected > x * unseen { low = middle } else { high = middle }
    }
    low.exp() * slots
}

struct Result {
    name: &'static str,
    bytes: usize,
    rmse: f64,
    add_ns: f64,
    merge_ns: f64,
}

fn run<S: Scheme>() -> Result {
    let mut squares = 0.0;
    let add_all = |state: &mut [u8], hashes: &[u64]| {
        vectorised::run(
            #[inline(always)]
            || hashes.iter().for_each(|hash| S::add(state, *hash)),
        );
    };
    let mut states = Vec::new();
    for seed in 0..TRIALS {
        let mut random = Random::new(seed);
        let hashes: Vec<u64> = (0..COUNT).map(|_| random.number()).collect();
        let mut state = vec![0; S::bytes()];
        add_all(&mut state, &hashes);
        squares += (estimate::<S>(&state) / COUNT as f64 - 1.0).powi(2);
        if states.len() < 64 {
            states.push(state);
        }
    }
    let mut random = Random::new(TRIALS);
    let hashes: Vec<u64> = (0..ADDED).map(|_| random.number()).collect();
    let add_ns = least_ns(RUNS / 4, ADDED, || {
        let mut state = vec![0; S::bytes()];
        add_all(&mut state, black_box(&hashes));
        black_box(state);
    });
    let mut into = states[0].clone();
    let merge_ns = least_ns(RUNS, states.len(), || {
        for state in &states {
            let state = black_box(state);
            vectorised::run(
                #[inline(always)]
                || S::merge(&mut into, state),
            );
        }
    });
    Result { name: S::NAME, bytes: S::bytes(), rmse: (squares / TRIALS as f64).sqrt(), add_ns, merge_ns }
}

pub fn measure() -> Vec<Figure> {
    let results =
        [run::<Plain8>(), run::<Packed6>(), run::<Ultra>(), run::<Exa16>(), run::<Exa28>(), run::<Exa32>()];
    eprintln!("\nkinds of registers, {TRIALS} sketches of {COUNT} values:");
    eprintln!(
        "{:36}{:>8}{:>10}{:>14}{:>10}{:>10}{:>16}",
        "", "bytes", "error %", "bytes for 1 %", "add ns", "merge ns", "… for 1 % ns"
    );
    let mut figures = Vec::new();
    for result in &results {
        // The error falls with the root of the bytes, and merging takes as long as there are bytes.
        let factor = (result.rmse / 0.01).powi(2);
        let (bytes, merge) = (result.bytes as f64 * factor, result.merge_ns * factor);
        eprintln!(
            "{:36}{:>8}{:>10.3}{bytes:>14.0}{:>10.2}{:>10.0}{merge:>16.0}",
            result.name,
            result.bytes,
            result.rmse * 100.0,
            result.add_ns,
            result.merge_ns
        );
        figures.push(Figure::new(format!("bytes for 1 % error: {}", result.name), bytes, "bytes"));
        figures.push(Figure::new(format!("merge at 1 % error: {}", result.name), merge, "ns"));
    }
    figures
}
