//! Precision: how large a dense sketch is, and with it how exact.

use std::fmt;

use crate::error::Error;
use crate::register::Register;
use crate::token::SUB_BITS;

/// 4 to 18: a dense sketch of precision `p` takes 2^`p` bytes and has a standard error of 0.688 / √2^`p`.
///
/// | precision | dense bytes | standard error | in effect exact up to |
/// |---|---|---|---|
/// | 8 | 256 | 4.3 % | 64 values |
/// | 10 | 1 KiB | 2.1 % | 256 |
/// | 12 | 4 KiB | 1.07 % | 1024 |
/// | 14 | 16 KiB | 0.54 % | 4096 |
/// | 16 | 64 KiB | 0.27 % | 16384 |
/// | 18 | 256 KiB | 0.13 % | 65536 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precision(u8);

impl Precision {
    pub const MIN: Precision = Precision(4);
    pub const MAX: Precision = Precision(18);

    /// # Errors
    /// If `bits` is not one of 4 to 18.
    pub const fn new(bits: u8) -> Result<Precision, Error> {
        if bits < Precision::MIN.0 || bits > Precision::MAX.0 {
            return Err(Error::Precision(bits));
        }
        Ok(Precision(bits))
    }

    /// The logarithm of the bytes of a dense sketch.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Bytes of the registers of a dense sketch.
    pub const fn dense_bytes(self) -> usize {
        1 << self.0
    }

    /// The standard error, relative to the estimate, of a dense sketch of many values.
    pub fn standard_error(self) -> f64 {
        // √(ln b / ζ(2, 1 + b^-24 / (b - 1))) with b = 2^(1/4) is 0.3438 for each register, of which there
        // are 2^p / 4.
        0.6876 / f64::from(1 << self.0).sqrt()
    }

    /// Registers of a dense sketch.
    pub(crate) const fn registers(self) -> usize {
        self.dense_bytes() / size_of::<Register>()
    }

    /// Pairs of register and sub-level, which are as many as dense bytes.
    pub(crate) const fn slots(self) -> u32 {
        (self.registers() as u32) << SUB_BITS
    }

    /// How many tokens a sparse sketch holds at most: as many as take the bytes of a dense one.
    pub(crate) const fn tokens_max(self) -> usize {
        self.dense_bytes() / size_of::<u32>()
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u8> for Precision {
    type Error = Error;

    fn try_from(bits: u8) -> Result<Precision, Error> {
        Precision::new(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_bytes_and_error() {
        let precision = Precision::new(12).unwrap();
        assert_eq!((precision.dense_bytes(), precision.registers(), precision.slots()), (4096, 1024, 4096));
        assert!((precision.standard_error() - 0.010_744).abs() < 1e-5);
    }

    #[test]
    fn precision_out_of_range_is_refused() {
        assert_eq!(Precision::new(3), Err(Error::Precision(3)));
        assert_eq!(Precision::new(19), Err(Error::Precision(19)));
        assert_eq!(Precision::new(4), Ok(Precision::MIN));
        assert_eq!(Precision::new(18), Ok(Precision::MAX));
    }
}
