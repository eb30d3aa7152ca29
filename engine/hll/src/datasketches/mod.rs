//! HLL sketches of Apache DataSketches: read, merged, estimated and written.
//!
//! DataSketches keeps the largest level of each slot and nothing else, so its sketch is a type of its own
//! here, [`Hll`], into which a [`Sketch`] can be turned but which cannot become one. What both are given must
//! be hashed alike: hash with [`hash`], which is the MurmurHash3 that DataSketches uses, and add the result
//! by [`Sketch::add_hash`].
//!
//! From a sparse sketch the registers are the very ones that DataSketches would have. A dense one has lost
//! track of about one slot in thirty, the ones far behind their neighbours; there a level is drawn as likely
//! as it is for the estimate, the same one each time. The result errs as an HLL sketch of that size does.

mod format;
mod murmur;

use crate::Sketch;
use crate::error::Error;
use crate::estimate::Estimate;
use crate::hash;
use crate::likelihood::{LEVELS, Levels};
use crate::register::{self, WINDOW};
use crate::token::{LEVEL_MAX, POSITION_BITS, SUB_BITS};
use crate::view::{Form, SketchRef};

/// The smallest and the largest logarithm of the number of registers that DataSketches knows.
const LOG_REGISTERS_MIN: u8 = 4;
const LOG_REGISTERS_MAX: u8 = 21;

/// The hash that DataSketches gives the value with these bytes, in the 64 bits that a sketch uses.
///
/// DataSketches hashes a string as its UTF-8 bytes and a 64-bit integer as its eight little-endian bytes.
pub fn hash(value: &[u8]) -> u64 {
    let (slot, level) = murmur::hash(value, murmur::DATASKETCHES_SEED);
    // DataSketches takes the slot from the lowest bits, and counts leading zeros.
    slot << LEVEL_MAX | level.reverse_bits() << POSITION_BITS >> POSITION_BITS
}

/// A sketch with one register a slot, as DataSketches has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hll {
    /// One more than the largest level, 0 if nothing was seen; their number is a power of two.
    registers: Vec<u8>,
}

impl Hll {
    /// Reads what DataSketches serialised, in any of its modes (list, set, HLL_4, HLL_6, HLL_8; compact or
    /// updatable).
    ///
    /// # Errors
    /// If the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Hll, Error> {
        format::read(bytes).map_err(Error::DataSketches)
    }

    /// Writes it as DataSketches' HLL_8.
    pub fn to_bytes(&self) -> Vec<u8> {
        format::write(self)
    }

    /// The binary logarithm of the number of registers: "lg K".
    pub fn log_registers(&self) -> u8 {
        self.registers.len().ilog2() as u8
    }

    /// Adds all that another sketch saw. Of two numbers of registers the smaller is the result's.
    pub fn merge(&mut self, other: &Hll) {
        self.reduce(other.log_registers());
        for part in other.registers.chunks(self.registers.len()) {
            for (register, other) in self.registers.iter_mut().zip(part) {
                *register = (*register).max(*other);
            }
        }
    }

    /// Lowers the number of registers.
    fn reduce(&mut self, log_registers: u8) {
        let count = 1 << log_registers;
        if count < self.registers.len() {
            let rest = self.registers.split_off(count);
            for part in rest.chunks(count) {
                for (register, other) in self.registers.iter_mut().zip(part) {
                    *register = (*register).max(*other);
                }
            }
        }
    }

    /// The number of distinct values; of all estimators of these registers the one with the least error.
    pub fn estimate(&self) -> Estimate {
        let mut seen = [0; LEVELS];
        // Slots whose largest level this is, or that saw nothing, know that they did not see the levels
        // above.
        let mut unseen = [0; LEVELS];
        let mut below = 0;
        for register in &self.registers {
            match register.checked_sub(1) {
                Some(level) => seen[usize::from(level).min(LEVELS - 1)] += 1,
                None => below += 1,
            }
        }
        for level in 0..LEVELS {
            unseen[level] = below;
            below += seen[level];
        }
        let most_likely = Levels { slots: self.registers.len() as f64, seen, unseen }.maximum();
        Estimate::new(most_likely.count, most_likely.standard_error, 0.0)
    }

    fn empty(log_registers: u8) -> Hll {
        Hll { registers: vec![0; 1 << log_registers] }
    }

    /// Raises the register of a slot, of which only the bits count that there are registers for.
    fn raise(&mut self, slot: u32, value: u8) {
        let mask = self.registers.len() - 1;
        let register = &mut self.registers[slot as usize & mask];
        *register = (*register).max(value);
    }
}

impl From<&Sketch> for Hll {
    fn from(sketch: &Sketch) -> Hll {
        Hll::from(sketch.view())
    }
}

impl From<SketchRef<'_>> for Hll {
    fn from(view: SketchRef<'_>) -> Hll {
        let mut hll = Hll::empty(view.precision.bits());
        let Form::Dense(registers) = view.form else {
            view.for_each_token(|token| hll.raise(token.position(), token.level() as u8 + 1));
            return hll;
        };
        let values_per_slot = view.estimate().value() / f64::from(view.precision.slots());
        for (index, register) in registers.iter().enumerate() {
            let register = u32::from_le_bytes(*register);
            for sub in 0..1 << SUB_BITS {
                let slot = (index as u32) << SUB_BITS | sub;
                let value = match largest_of_sub(register, sub) {
                    Ok(value) => value,
                    Err(bound) => likely_below(bound, values_per_slot, slot),
                };
                hll.raise(slot, value);
            }
        }
        hll
    }
}

/// One more than the largest level that the register saw of a sub-level; or, if that is below its window,
/// what it is at most.
fn largest_of_sub(register: u32, sub: u32) -> Result<u8, u8> {
    let largest = register::largest(register);
    let seen = register::seen(register);
    // Update values of this sub-level are sub + 1, sub + 5, and so on.
    let mut value = largest.min((LEVEL_MAX << SUB_BITS) + sub + 1);
    while value > 0 && (value - 1) & ((1 << SUB_BITS) - 1) != sub {
        value -= 1;
    }
    loop {
        let below = largest - value;
        if value == 0 || value > largest {
            return Ok(0);
        }
        let levels = ((value - 1) >> SUB_BITS) as u8 + 1;
        if below > WINDOW {
            return Err(levels);
        }
        if seen >> (WINDOW - below) & 1 == 1 {
            return Ok(levels);
        }
        value = value.saturating_sub(1 << SUB_BITS);
    }
}

/// A register of at most `bound`, drawn from what so many values lead to; each slot draws the same one each
/// time.
fn likely_below(bound: u8, values_per_slot: f64, slot: u32) -> u8 {
    // With x values a slot, no level from v on is seen with the probability exp(-x 2^-v). Uniform between 0
    // and that of the bound, and inverted:
    let uniform = (hash::of_u64(slot.into()) as f64 + 1.0) / (u64::MAX as f64 + 1.0);
    let exponent = |value: u8| values_per_slot * 2.0_f64.powi(-i32::from(value));
    let drawn = exponent(bound) - uniform.ln();
    (0..bound).find(|value| exponent(*value) <= drawn).unwrap_or(bound)
}
