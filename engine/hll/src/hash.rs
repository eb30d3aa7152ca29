//! The hash: XXH64 with seed 0, on every platform and for every kind of value.
//!
//! A `u64` is hashed as its eight little-endian bytes and a `u128` as its sixteen, so that a number counts as
//! the same value whichever way it is added, and any implementation of XXH64 in any language can prepare
//! hashes for [`crate::Sketch::add_hash`]. The algorithm and its test vectors: <https://xxhash.com>,
//! specification of XXH64. It is not keyed: who may choose the values can choose them so that the estimate is
//! wrong. Where that matters, add hashes of a keyed function instead.

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// The hash of any bytes.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let (stripes, rest) = bytes.as_chunks::<32>();
    let hash = if stripes.is_empty() { PRIME_5 } else { of_stripes(stripes) };
    avalanche(of_rest(hash.wrapping_add(bytes.len() as u64), rest))
}

/// The hash of the eight little-endian bytes of `value`.
#[inline]
pub fn of_u64(value: u64) -> u64 {
    avalanche(with_eight(PRIME_5.wrapping_add(8), value))
}

/// The hash of the sixteen little-endian bytes of `value`.
#[inline]
pub fn of_u128(value: u128) -> u64 {
    let low = with_eight(PRIME_5.wrapping_add(16), value as u64);
    avalanche(with_eight(low, (value >> 64) as u64))
}

fn of_stripes(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0_u64.wrapping_sub(PRIME_1)];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = lanes;
    let turned = [a.rotate_left(1), b.rotate_left(7), c.rotate_left(12), d.rotate_left(18)];
    let sum = turned.into_iter().fold(0, u64::wrapping_add);
    lanes
        .into_iter()
        .fold(sum, |hash, lane| (hash ^ round(0, lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4))
}

/// Fewer than 32 bytes: words of eight, one of four, and single ones.
fn of_rest(mut hash: u64, rest: &[u8]) -> u64 {
    let (eights, rest) = rest.as_chunks::<8>();
    for word in eights {
        hash = with_eight(hash, u64::from_le_bytes(*word));
    }
    let (fours, ones) = rest.as_chunks::<4>();
    for word in fours {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(PRIME_1);
        hash = hash.rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
    }
    for byte in ones {
        hash ^= u64::from(*byte).wrapping_mul(PRIME_5);
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash
}

#[inline(always)]
fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

#[inline(always)]
fn with_eight(hash: u64, word: u64) -> u64 {
    (hash ^ round(0, word)).rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

#[inline(always)]
fn avalanche(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(PRIME_2);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIME_3);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hash_is_xxh64() {
        assert_eq!(of_bytes(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(of_bytes(b"abc"), 0x44BC_2CF5_AD77_0999);
    }

    proptest! {
        #[test]
        fn hash_of_bytes_is_that_of_another_implementation(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(of_bytes(&bytes), twox_hash::XxHash64::oneshot(0, &bytes));
        }

        #[test]
        fn numbers_hash_as_their_little_endian_bytes(value: u128) {
            prop_assert_eq!(of_u128(value), of_bytes(&value.to_le_bytes()));
            prop_assert_eq!(of_u64(value as u64), of_bytes(&(value as u64).to_le_bytes()));
        }
    }
}
