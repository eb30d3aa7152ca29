//! The register: which update values a part of the hash space has seen, in 32 bits.
//!
//! Every hash names one register and one *update value* `k` ≥ 1 (see [`crate::token`]); large values are
//! rare. A register remembers the largest value that it saw and, for each of the 24 values below, whether it
//! saw that too:
//!
//! ```text
//!  31        24 23  22  21                  0
//! ┌────────────┬───┬───┬───┬───────────┬─────┐
//! │ k + 24     │k-1│k-2│k-3│    …      │k-24 │   all zero: nothing was seen
//! └────────────┴───┴───┴───┴───────────┴─────┘
//! ```
//!
//! This is the register of ExaLogLog (Ertl, EDBT 2025) with t = 2 and d = 24. The offset of 24 keeps an empty
//! register so far below every other that a merge shifts its contribution out, without asking whether it is
//! empty. What a register holds depends on the set of values alone, not on their order, so merging is
//! commutative, associative and idempotent.

use crate::token::{SUB_BITS, Token, VALUE_MAX};

/// A register as it is kept, in memory and in files alike: little endian.
pub(crate) type Register = [u8; 4];

/// How many values below the largest a register remembers.
pub(crate) const WINDOW: u32 = 24;
const WINDOW_MASK: u32 = (1 << WINDOW) - 1;

/// The register that saw `value` alone.
#[inline(always)]
pub(crate) fn of_value(value: u32) -> u32 {
    (value + WINDOW) << WINDOW
}

/// The register that saw what `a` or `b` saw.
#[inline(always)]
pub(crate) fn merged(a: u32, b: u32) -> u32 {
    let (high, low) = (a.max(b), a.min(b));
    let distance = (high >> WINDOW) - (low >> WINDOW);
    // The largest value of the lower register is one of those below the largest value of the other.
    high | seen(low).checked_shr(distance).unwrap_or(0) & WINDOW_MASK
}

/// Bit 24 for the largest value, set, and one for each of those below it.
#[inline(always)]
pub(crate) fn seen(register: u32) -> u32 {
    register & WINDOW_MASK | 1 << WINDOW
}

/// Adds a value to the register that its token names; the number of registers is a power of two.
#[inline(always)]
pub(crate) fn add(registers: &mut [Register], token: Token) {
    let index = (token.position() >> SUB_BITS) as usize & (registers.len() - 1);
    let register = &mut registers[index];
    let (before, added) = (u32::from_le_bytes(*register), of_value(token.value()));
    let (high, low) = (before.max(added), before.min(added));
    let distance = (high >> WINDOW) - (low >> WINDOW);
    // The same as `merged`, for which a shift of 64 bits saves the check of nearly every distance.
    let below =
        if distance < u64::BITS { (u64::from(seen(low)) >> distance) as u32 & WINDOW_MASK } else { 0 };
    *register = (high | below).to_le_bytes();
}

/// The largest value seen; 0 if there is none.
#[inline(always)]
pub(crate) fn largest(register: u32) -> u32 {
    (register >> WINDOW).saturating_sub(WINDOW)
}

/// Whether some set of values leads to this register.
#[inline(always)]
pub(crate) fn is_possible(register: u32) -> bool {
    let stored = register >> WINDOW;
    let value = stored.wrapping_sub(WINDOW);
    // Bits that stand for values below 1. For the empty register and for impossible largest values: all of
    // them.
    let impossible = WINDOW_MASK.checked_shr(value.wrapping_sub(1)).unwrap_or(0);
    let in_range = value.wrapping_sub(1) < VALUE_MAX;
    if in_range { register & impossible == 0 } else { register == 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::token::LEVEL_MAX;

    /// The register as its definition says it, from a set.
    fn by_definition(values: &BTreeSet<u32>) -> u32 {
        let Some(&largest) = values.last() else { return 0 };
        let window = (1..=WINDOW).filter(|below| *below < largest && values.contains(&(largest - below)));
        window.fold((largest + WINDOW) << WINDOW, |register, below| register | 1 << (WINDOW - below))
    }

    fn inserted(values: &[u32]) -> u32 {
        values.iter().fold(0, |register, value| merged(register, of_value(*value)))
    }

    proptest! {
        #[test]
        fn register_is_what_its_definition_says(values in prop::collection::vec(1..=VALUE_MAX, 0..40)) {
            let register = inserted(&values);
            prop_assert_eq!(register, by_definition(&values.iter().copied().collect()));
            prop_assert!(is_possible(register));
            prop_assert_eq!(largest(register), values.iter().copied().max().unwrap_or(0));
        }

        #[test]
        fn value_is_added_as_its_register_is_merged(
            values in prop::collection::vec(1..=VALUE_MAX, 0..40), position in 0..64_u32, level in 0..=LEVEL_MAX,
        ) {
            let token = Token::new(position, level).unwrap();
            let before = inserted(&values);
            let mut registers = [before.to_le_bytes(); 16];
            add(&mut registers, token);
            let expected = merged(before, of_value(token.value()));
            for (index, register) in registers.into_iter().enumerate() {
                let is_it = index == (position / 4) as usize;
                prop_assert_eq!(u32::from_le_bytes(register), if is_it { expected } else { before });
            }
        }

        #[test]
        fn merged_registers_are_the_register_of_the_union(
            a in prop::collection::vec(1..=60u32, 0..40),
            b in prop::collection::vec(1..=60u32, 0..40),
        ) {
            let union = [&a[..], &b[..]].concat();
            prop_assert_eq!(merged(inserted(&a), inserted(&b)), inserted(&union));
        }
    }

    #[test]
    fn registers_that_no_values_lead_to_are_told() {
        for register in [1, WINDOW_MASK, 24 << WINDOW, (VALUE_MAX + WINDOW + 1) << WINDOW, u32::MAX] {
            assert!(!is_possible(register), "{register:#x}");
        }
        // The value 2 leaves room for the value 1 only.
        assert!(is_possible(of_value(2) | 1 << 23));
        assert!(!is_possible(of_value(2) | 1 << 22));
    }
}
