//! What a sketch keeps of a hash: 22 bits that say where it falls, and how rare it is.
//!
//! ```text
//!  hash    63                         p+42        44 43 42 41                                    0
//!         ┌───────────────────────────┬─────────────┬─────┬───────────────────────────────────────┐
//!         │ position (22 bits)        │  register   │ sub │ level = number of trailing zeros, ≤ 42│
//!         └───────────────────────────┴─────────────┴─────┴───────────────────────────────────────┘
//!  token   27                                                            6 5                     0
//!         ┌───────────────────────────────────────────────────────────────┬───────────────────────┐
//!         │ position, register and sub                                    │ level                 │
//!         └───────────────────────────────────────────────────────────────┴───────────────────────┘
//! ```
//!
//! The two lowest bits of the position and the level make the update value `4 * level + sub + 1`; at
//! precision `p` the next `p` - 2 bits of the position choose the register. Both come from the token alone,
//! so a token serves sketches of every precision, and a register of a lower precision is the union of
//! registers of a higher one.

/// Bits of the position.
pub(crate) const POSITION_BITS: u32 = 22;
/// Bits of the position that are part of the update value, as its sub-level.
pub(crate) const SUB_BITS: u32 = 2;
/// Bits below the position in a token.
const LEVEL_BITS: u32 = 6;

/// The level of a hash whose bits below the position are all zero.
pub(crate) const LEVEL_MAX: u32 = u64::BITS - POSITION_BITS;
/// The largest update value.
pub(crate) const VALUE_MAX: u32 = (LEVEL_MAX << SUB_BITS) + (1 << SUB_BITS);

/// Ordered by position, then by level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(u32);

impl Token {
    /// One more than the largest token.
    pub const END: u32 = 1 << (POSITION_BITS + LEVEL_BITS);

    #[inline(always)]
    pub fn of_hash(hash: u64) -> Token {
        let position = (hash >> LEVEL_MAX) as u32;
        // Trailing zeros, as every processor counts them quickly, other than leading ones.
        let level = (hash | 1 << LEVEL_MAX).trailing_zeros();
        Token(position << LEVEL_BITS | level)
    }

    /// `None` unless the position has at most 22 bits and the level is at most 42.
    #[inline(always)]
    pub fn new(position: u32, level: u32) -> Option<Token> {
        let fits = position < 1 << POSITION_BITS && level <= LEVEL_MAX;
        fits.then_some(Token(position << LEVEL_BITS | level))
    }

    /// A token whose bits were taken from one by [`Token::bits`].
    #[inline(always)]
    pub fn from_bits(bits: u32) -> Token {
        Token(bits)
    }

    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub fn position(self) -> u32 {
        self.0 >> LEVEL_BITS
    }

    #[inline(always)]
    pub fn level(self) -> u32 {
        self.0 & ((1 << LEVEL_BITS) - 1)
    }

    /// The update value.
    #[inline(always)]
    pub fn value(self) -> u32 {
        (self.level() << SUB_BITS) + (self.position() & ((1 << SUB_BITS) - 1)) + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn token_of_a_hash_is_in_range(hash: u64, zeros in 0..64u32) {
            let token = Token::of_hash(hash << zeros);
            prop_assert_eq!(Token::new(token.position(), token.level()), Some(token));
            prop_assert!(token.bits() < Token::END);
            prop_assert!((1..=VALUE_MAX).contains(&token.value()));
        }
    }

    #[test]
    fn level_counts_the_zeros_below_the_position() {
        assert_eq!(Token::of_hash(u64::MAX).level(), 0);
        assert_eq!(Token::of_hash(2).level(), 1);
        assert_eq!(Token::of_hash(1 << (LEVEL_MAX - 1)).level(), LEVEL_MAX - 1);
        assert_eq!(Token::of_hash(5 << LEVEL_MAX), Token::new(5, LEVEL_MAX).unwrap());
        assert_eq!(Token::of_hash(0).level(), LEVEL_MAX);
    }

    #[test]
    fn positions_and_levels_out_of_range_are_no_token() {
        assert_eq!(Token::new(1 << POSITION_BITS, 0), None);
        assert_eq!(Token::new(0, LEVEL_MAX + 1), None);
    }
}
