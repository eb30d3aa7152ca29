//! Loops over registers, compiled twice: for every processor of the target, and for those with AVX2, BMI and
//! LZCNT.
//!
//! Both are the same safe Rust, which the compiler vectorises; a function here only picks one of them by what
//! the processor has. So they cannot differ in what they compute, and other architectures use the portable
//! one as it is.

#![expect(unsafe_code, reason = "code for a processor feature may only be called where the feature is")]

use crate::likelihood::Tally;
use crate::register::Register;

/// Defines functions that run the one of the same name in [`portable`], compiled for what the processor has.
macro_rules! dispatched {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => { $(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($argument: $kind),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
                fn vectorised($($argument: $kind),*) $(-> $result)? {
                    portable::$name($($argument),*)
                }
                if has_avx2() {
                    // SAFETY: `has_avx2` says that the processor has all that the function is compiled for.
                    return unsafe { vectorised($($argument),*) };
                }
            }
            portable::$name($($argument),*)
        }
    )* };
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

dispatched! {
    /// Merges registers into as many others.
    fn merge(into: &mut [Register], from: &[Register]);
    /// Adds hashes to registers, whose number is a power of two.
    fn add_hashes(into: &mut [Register], hashes: &[u64]);
    /// Whether each register is one that some set of values leads to.
    fn are_possible(registers: &[Register]) -> bool;
    /// Counts what registers saw.
    fn tally(registers: &[Register]) -> Tally;
}

/// The loops themselves.
pub(crate) mod portable {
    use crate::likelihood::Tally;
    use crate::register::{self, Register};
    use crate::token::Token;

    #[inline(always)]
    pub fn merge(into: &mut [Register], from: &[Register]) {
        for (into, from) in into.iter_mut().zip(from) {
            *into = register::merged(u32::from_le_bytes(*into), u32::from_le_bytes(*from)).to_le_bytes();
        }
    }

    #[inline(always)]
    pub fn add_hashes(into: &mut [Register], hashes: &[u64]) {
        let (fours, rest) = hashes.as_chunks::<4>();
        // Four at a time, which saves some of the counting; every instruction counts here.
        for [a, b, c, d] in fours {
            register::add(into, Token::of_hash(*a));
            register::add(into, Token::of_hash(*b));
            register::add(into, Token::of_hash(*c));
            register::add(into, Token::of_hash(*d));
        }
        for hash in rest {
            register::add(into, Token::of_hash(*hash));
        }
    }

    #[inline(always)]
    pub fn are_possible(registers: &[Register]) -> bool {
        // Without a branch, so that it can be vectorised.
        registers
            .iter()
            .fold(true, |all, register| all & register::is_possible(u32::from_le_bytes(*register)))
    }

    #[inline(always)]
    pub fn tally(registers: &[Register]) -> Tally {
        let mut tally = Tally::default();
        for register in registers {
            tally.count(u32::from_le_bytes(*register));
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::precision::Precision;

    /// Registers of a sketch of `count` pseudo-random hashes, shifted towards high levels.
    fn registers(precision: Precision, count: u64, seed: u64) -> Vec<Register> {
        let mut registers = vec![[0; 4]; precision.registers()];
        let hashes: Vec<u64> = (0..count)
            .map(|n| {
                let hash = crate::hash::of_u64(seed << 32 | n);
                // The registers from the upper bits, the level from the lower ones, shifted by others yet.
                hash >> 50 << 50 | hash << 30 >> 30 << (hash >> 45 & 31)
            })
            .collect();
        portable::add_hashes(&mut registers, &hashes);
        registers
    }

    proptest! {
        #[test]
        fn loops_for_this_processor_compute_what_the_portable_ones_do(
            bits in 4..=12u8, counts in [0..3000u64, 0..3000u64], seeds: [u16; 2], hashes: Vec<u64>,
        ) {
            let precision = Precision::new(bits).unwrap();
            let [a, b] = [0, 1].map(|n| registers(precision, counts[n], seeds[n].into()));
            let (mut ours, mut theirs) = (a.clone(), a);
            merge(&mut ours, &b);
            portable::merge(&mut theirs, &b);
            prop_assert_eq!(&ours, &theirs);
            add_hashes(&mut ours, &hashes);
            portable::add_hashes(&mut theirs, &hashes);
            prop_assert_eq!(&ours, &theirs);
            prop_assert!(are_possible(&ours) && portable::are_possible(&ours));
            prop_assert_eq!(tally(&ours), portable::tally(&theirs));
        }

        #[test]
        fn any_bits_are_judged_and_merged_alike(a: [[u8; 4]; 21], b: [[u8; 4]; 21]) {
            prop_assert_eq!(are_possible(&a), portable::are_possible(&a));
            let (mut ours, mut theirs) = (a, a);
            merge(&mut ours, &b);
            portable::merge(&mut theirs, &b);
            prop_assert_eq!(ours, theirs);
        }
    }
}
