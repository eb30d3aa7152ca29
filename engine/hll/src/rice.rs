//! Tokens in few bits: 18.9 each for a hundred of them.
//!
//! Each token is written, least significant bit first, as
//!
//! 1. the distance of its position from that of the token before (from 0 for the first), Golomb-Rice coded:
//!    the quotient by 2^k as that many zeros and a one, then the lower `k` bits;
//! 2. its level, as that many zeros and a one, which is what levels of hashes take the least room as.
//!
//! `k` follows from the number of tokens. Zeros fill the last byte.

use crate::token::{POSITION_BITS, Token};

/// The `k` for so many tokens: the mean distance rounded down to a power of two.
fn remainder_bits(count: usize) -> u32 {
    ((1 << POSITION_BITS) / count.max(1)).max(1).ilog2()
}

/// Appends the tokens, which ascend and are `count`.
pub(crate) fn encode(tokens: impl Iterator<Item = Token>, count: usize, into: &mut Vec<u8>) {
    let k = remainder_bits(count);
    let mut writer = Writer { into, word: 0, bits: 0 };
    let mut before = 0;
    for token in tokens {
        let distance = token.position() - before;
        before = token.position();
        writer.write_unary(distance >> k);
        writer.write(distance & ((1 << k) - 1), k);
        writer.write_unary(token.level());
    }
    writer.finish();
}

/// Bytes that [`encode`] appends.
pub(crate) fn encoded_bytes(tokens: impl Iterator<Item = Token>, count: usize) -> usize {
    let k = remainder_bits(count);
    let mut before = 0;
    let bits = |token: Token| {
        let distance = token.position() - before;
        before = token.position();
        u64::from((distance >> k) + k + token.level() + 2)
    };
    tokens.map(bits).sum::<u64>().div_ceil(8) as usize
}

struct Writer<'a> {
    into: &'a mut Vec<u8>,
    word: u64,
    bits: u32,
}

impl Writer<'_> {
    /// At most 32 bits.
    fn write(&mut self, value: u32, bits: u32) {
        self.word |= u64::from(value) << self.bits;
        self.bits += bits;
        if self.bits >= 32 {
            self.into.extend_from_slice(&(self.word as u32).to_le_bytes());
            self.word >>= 32;
            self.bits -= 32;
        }
    }

    fn write_unary(&mut self, mut zeros: u32) {
        while zeros >= 31 {
            self.write(0, 31);
            zeros -= 31;
        }
        self.write(1 << zeros, zeros + 1);
    }

    fn finish(self) {
        let bytes = self.word.to_le_bytes();
        self.into.extend_from_slice(&bytes[..self.bits.div_ceil(8) as usize]);
    }
}

/// Reads what [`encode`] wrote. Of other bytes it makes ascending tokens as well, or ends early.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    bytes: &'a [u8],
    /// Bits read.
    at: usize,
    left: usize,
    remainder_bits: u32,
    before: Option<Token>,
}

impl<'a> Tokens<'a> {
    pub fn new(bytes: &'a [u8], count: usize) -> Tokens<'a> {
        Tokens { bytes, at: 0, left: count, remainder_bits: remainder_bits(count), before: None }
    }

    /// Whether the bytes are what some tokens are written as, to the last bit.
    pub fn is_well_formed(&self) -> bool {
        let mut tokens = self.clone();
        while tokens.left > 0 {
            if tokens.next().is_none() {
                return false;
            }
        }
        tokens.bytes.len() == tokens.at.div_ceil(8) && tokens.window() == 0
    }

    /// At least the next 57 bits, with zeros after the end.
    #[inline(always)]
    fn window(&self) -> u64 {
        let from = self.at / 8;
        let word = match self.bytes.get(from..from + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().expect("the slice has eight bytes")),
            None => self.last_window(from),
        };
        word >> (self.at % 8)
    }

    #[cold]
    fn last_window(&self, from: usize) -> u64 {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// Quotient, remainder and level, each possibly longer than a window.
    #[cold]
    fn next_parts(&mut self) -> Option<(u32, u32, u32)> {
        let quotient = self.unary()?;
        let remainder = self.window() as u32 & ((1 << self.remainder_bits) - 1);
        self.at += self.remainder_bits as usize;
        Some((quotient, remainder, self.unary()?))
    }

    fn unary(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.at < self.bytes.len() * 8 {
            let here = self.window().trailing_zeros().min(WINDOW_BITS);
            self.at += here as usize;
            zeros += here;
            if here < WINDOW_BITS {
                self.at += 1;
                return Some(zeros);
            }
        }
        None
    }
}

/// Bits of a window that are certain to be there.
const WINDOW_BITS: u32 = 57;

impl Iterator for Tokens<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        self.left = self.left.checked_sub(1)?;
        let window = self.window();
        let quotient = window.trailing_zeros();
        let rest = window.checked_shr(quotient + 1).unwrap_or(0);
        let remainder = rest as u32 & ((1 << self.remainder_bits) - 1);
        let level = (rest >> self.remainder_bits).trailing_zeros();
        let bits = quotient + self.remainder_bits + level + 2;
        let (quotient, remainder, level) = if bits <= WINDOW_BITS {
            self.at += bits as usize;
            (quotient, remainder, level)
        } else {
            self.next_parts()?
        };
        let distance = quotient.checked_mul(1 << self.remainder_bits)? | remainder;
        let position = self.before.map_or(0, Token::position).checked_add(distance)?;
        let token = Token::new(position, level)?;
        // Several tokens may have one position, with levels that ascend.
        if self.before >= Some(token) {
            return None;
        }
        self.before = Some(token);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_are_read_as_they_were_written(
            hashes in prop::collection::btree_set((any::<u64>(), 0..64u32, 0..23u32), 0..200),
        ) {
            let token = |(hash, zeros, low): (u64, u32, u32)| {
                Token::of_hash(hash >> zeros & !((1 << POSITION_BITS) - 1) | hash & ((1 << low) - 1))
            };
            let tokens: BTreeSet<Token> = hashes.into_iter().map(token).collect();
            let mut bytes = Vec::new();
            encode(tokens.iter().copied(), tokens.len(), &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_bytes(tokens.iter().copied(), tokens.len()));
            prop_assert!(Tokens::new(&bytes, tokens.len()).eq(tokens.iter().copied()));
            prop_assert!(Tokens::new(&bytes, tokens.len()).is_well_formed());
            bytes.push(0);
            prop_assert!(!Tokens::new(&bytes, tokens.len()).is_well_formed());
        }

        #[test]
        fn any_bytes_are_ascending_tokens_and_if_well_formed_their_own_encoding(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..60), count in 0..100usize,
        ) {
            let tokens: Vec<Token> = Tokens::new(&bytes, count).collect();
            prop_assert!(tokens.is_sorted_by(|a, b| a < b) && tokens.len() <= count);
            if Tokens::new(&bytes, count).is_well_formed() {
                let mut again = Vec::new();
                encode(tokens.into_iter(), count, &mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn hundred_tokens_take_19_bits_each() {
        let total: usize = (0..100)
            .map(|seed| {
                let tokens: BTreeSet<Token> =
                    (0..100).map(|n| Token::of_hash(crate::hash::of_u64(seed << 32 | n))).collect();
                encoded_bytes(tokens.iter().copied(), tokens.len())
            })
            .sum();
        assert!((23_300..23_900).contains(&total), "{total} bytes for 100 times 100 tokens");
    }
}
