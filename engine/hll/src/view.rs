//! A sketch to read: one in memory, or one in serialised bytes, as they lie in a file that is mapped.
//!
//! # Serial form, version 1
//!
//! All numbers are little endian. A set of values has one form only: equal sketches are equal bytes.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `H` `L` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | precision, 4 to 18; with 128 added if the sketch is dense |
//! | 4 | 4 | sparse: number of tokens, at most 2^(precision - 2); dense: 0 |
//! | 8 | | sparse: the tokens; dense: 2^(precision - 2) registers of 4 bytes each |
//!
//! - A *token* is what is kept of a hash: its upper 22 bits (the position) and the number of its trailing
//!   zeros, at most 42 (the level). Tokens are sorted by position, then by level, none twice. Each is
//!   written, least significant bit first, as its distance in position to the token before (to 0 for the
//!   first) and its level: the distance divided by 2^k as that many zeros and a one, its lower k bits, the
//!   level as that many zeros and a one. k is the binary logarithm, rounded down, of 2^22 divided by the
//!   number of tokens, rounded down. Zeros fill the last byte.
//! - A *register* is that of bits 2 to precision - 1 of the position. Of the values `4 · level + position mod
//!   4 + 1` of its tokens it holds the largest plus 24 in bits 24 to 31, and in bit 24 - i whether the
//!   largest minus i is there, too, for i of 1 to 24. Without a token it is 0.

use crate::error::Error;
use crate::estimate::Estimate;
use crate::likelihood::{LEVELS, Levels};
use crate::overlap::Overlap;
use crate::precision::Precision;
use crate::register::{self, Register};
use crate::rice;
use crate::simd;
use crate::sparse;
use crate::token::{POSITION_BITS, Token};

const MAGIC: [u8; 2] = *b"HL";
const VERSION: u8 = 1;
const DENSE: u8 = 0x80;
const HEADER_BYTES: usize = 8;

/// A sketch that is read where it lies, without being decoded; it can be merged into a [`crate::Sketch`].
#[derive(Clone, Copy, Debug)]
pub struct SketchRef<'a> {
    pub(crate) precision: Precision,
    pub(crate) form: Form<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Form<'a> {
    Sparse(&'a sparse::Tokens),
    Packed { tokens: &'a [u8], count: usize },
    Dense(&'a [Register]),
}

impl<'a> SketchRef<'a> {
    /// Takes serialised bytes and checks them to the last bit.
    ///
    /// # Errors
    /// If the bytes are not exactly what some sketch is serialised as.
    pub fn new(bytes: &'a [u8]) -> Result<SketchRef<'a>, Error> {
        let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Error::NotASketch);
        };
        let [m0, m1, version, precision, count @ ..] = *header;
        if [m0, m1] != MAGIC {
            return Err(Error::NotASketch);
        }
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let is_dense = precision & DENSE != 0;
        let precision = Precision::new(precision & !DENSE)?;
        let count = u32::from_le_bytes(count) as usize;
        let form =
            if is_dense { dense(precision, count, payload) } else { packed(precision, count, payload) }?;
        Ok(SketchRef { precision, form })
    }

    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Whether each value is still kept by itself, so that the estimate is in effect exact.
    pub fn is_sparse(self) -> bool {
        !matches!(self.form, Form::Dense(_))
    }

    pub fn is_empty(self) -> bool {
        match self.form {
            Form::Sparse(tokens) => tokens.count() == 0,
            Form::Packed { count, .. } => count == 0,
            // A dense sketch has more tokens than a sparse one may.
            Form::Dense(registers) => registers.iter().all(|register| *register == [0; 4]),
        }
    }

    /// The number of distinct values that were added.
    pub fn estimate(self) -> Estimate {
        let most_likely = self.levels().maximum();
        match self.form {
            Form::Sparse(_) | Form::Packed { .. } => {
                Estimate::new(most_likely.count, most_likely.standard_error, self.token_count() as f64)
            }
            Form::Dense(registers) => {
                let bias = 1.0 + BIAS / registers.len() as f64;
                Estimate::new(most_likely.count / bias, most_likely.standard_error / bias, 0.0)
            }
        }
    }

    /// How the values of this sketch and of another overlap. Of two precisions the lower is used.
    pub fn overlap<'b>(self, other: impl Into<SketchRef<'b>>) -> Overlap {
        Overlap::of(self, other.into())
    }

    /// Bytes that [`SketchRef::write_to`] appends.
    pub fn serialised_bytes(self) -> usize {
        HEADER_BYTES
            + match self.form {
                Form::Sparse(tokens) => rice::encoded_bytes(tokens.iter(), tokens.count()),
                Form::Packed { tokens, .. } => tokens.len(),
                Form::Dense(registers) => registers.as_flattened().len(),
            }
    }

    /// Appends the serial form.
    pub fn write_to(self, into: &mut Vec<u8>) {
        let dense = if self.is_sparse() { 0 } else { DENSE };
        into.extend_from_slice(&MAGIC);
        into.extend_from_slice(&[VERSION, self.precision.bits() | dense]);
        into.extend_from_slice(&(self.token_count() as u32).to_le_bytes());
        match self.form {
            Form::Sparse(tokens) => rice::encode(tokens.iter(), tokens.count(), into),
            Form::Packed { tokens, .. } => into.extend_from_slice(tokens),
            Form::Dense(registers) => into.extend_from_slice(registers.as_flattened()),
        }
    }

    /// Tokens of a sparse sketch; 0 for a dense one.
    pub(crate) fn token_count(self) -> usize {
        match self.form {
            Form::Sparse(tokens) => tokens.count(),
            Form::Packed { count, .. } => count,
            Form::Dense(_) => 0,
        }
    }

    /// Visits the tokens of a sparse sketch in ascending order; a dense one has none.
    pub(crate) fn for_each_token(self, visit: impl FnMut(Token)) {
        match self.form {
            Form::Sparse(tokens) => tokens.iter().for_each(visit),
            Form::Packed { tokens, count } => rice::Tokens::new(tokens, count).for_each(visit),
            Form::Dense(_) => {}
        }
    }

    /// Merges what the sketch saw into registers, of which it has as many or more.
    pub(crate) fn merge_into(self, registers: &mut [Register]) {
        match self.form {
            Form::Dense(dense) => dense.chunks(registers.len()).for_each(|part| simd::merge(registers, part)),
            _ => self.for_each_token(|token| register::add(registers, token)),
        }
    }

    pub(crate) fn levels(self) -> Levels {
        if let Form::Dense(registers) = self.form {
            return simd::tally(registers).levels(self.precision.slots());
        }
        let mut seen = [0; LEVELS];
        self.for_each_token(|token| seen[token.level() as usize] += 1);
        Levels::of_complete_slots(1 << POSITION_BITS, seen)
    }
}

/// The estimator is too high by this divided by the number of registers: ln b (1 + 2 c) ζ(3, 1 + c) / ζ(2, 1
/// + c)² with b = 2^(1/4) and c = b^-24 / (b - 1), from the paper on ExaLogLog.
const BIAS: f64 = 0.0912;

fn dense(precision: Precision, zero: usize, payload: &[u8]) -> Result<Form<'_>, Error> {
    let (registers, rest) = payload.as_chunks();
    if registers.len() != precision.registers() || !rest.is_empty() {
        return Err(Error::Length);
    }
    if zero != 0 {
        return Err(Error::Corrupt("a dense sketch with a number of tokens"));
    }
    if !simd::are_possible(registers) {
        return Err(Error::Corrupt("a register that no values lead to"));
    }
    Ok(Form::Dense(registers))
}

fn packed(precision: Precision, count: usize, tokens: &[u8]) -> Result<Form<'_>, Error> {
    if count > precision.tokens_max() {
        return Err(Error::Corrupt("more tokens than a sparse sketch has"));
    }
    if !rice::Tokens::new(tokens, count).is_well_formed() {
        return Err(Error::Corrupt("tokens"));
    }
    Ok(Form::Packed { tokens, count })
}
