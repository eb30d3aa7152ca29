//! Bytes of messages as text.

use kflow::application::TextWriter;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Labels of a DNS name end here (RFC 1035 §3.1).
const LABEL_BYTES_MAX: usize = 63;

pub(crate) fn write_hex(writer: &mut TextWriter<'_>, bytes: &[u8]) {
    for piece in bytes.chunks(16) {
        let mut digits = [[0; 2]; 16];
        for (pair, byte) in digits.iter_mut().zip(piece) {
            *pair = hex(*byte);
        }
        writer.push(digits[..piece.len()].as_flattened());
    }
}

/// Bytes in hex with colons between them.
pub(crate) fn write_mac(writer: &mut TextWriter<'_>, bytes: &[u8]) {
    for (place, byte) in bytes.iter().enumerate() {
        let [high, low] = hex(*byte);
        let with_colon = [b':', high, low];
        writer.push(if place > 0 { &with_colon } else { &with_colon[1..] });
    }
}

fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xF].map(|digit| HEX_DIGITS[usize::from(digit)])
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Where a byte is first, if that is not far: within a few words this is quicker than what is quicker beyond.
#[inline]
pub(crate) fn find_near(byte: u8, bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (place, word) in words.iter().enumerate() {
        let zeros = zeros(u64::from_le_bytes(*word) ^ (u64::from(byte) * ONES));
        if zeros != 0 {
            // The lowest bit that is set is that of the first zero.
            return Some(8 * place + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|other| *other == byte).map(|place| bytes.len() - rest.len() + place)
}

/// Whether there is a control character, or one of these bytes of ASCII.
#[inline]
pub(crate) fn has_control_or<const N: usize>(others: [u8; N], bytes: &[u8]) -> bool {
    let found = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(u64::from(b' ') * ONES) & !word & HIGHS;
        let deletes = zeros(word ^ (0x7F * ONES));
        others
            .iter()
            .fold(controls | deletes, |found, other| found | zeros(word ^ (u64::from(*other) * ONES)))
    };
    let (words, rest) = bytes.as_chunks();
    let mut last = [b'_'; 8];
    last[..rest.len()].copy_from_slice(rest);
    debug_assert!(!others.contains(&b'_'));
    words.iter().fold(found(&last), |sum, word| sum | found(word)) != 0
}

/// The high bits of bytes that are zero, and maybe of such behind one.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Eight bytes with those that are letters in lower case.
#[inline]
pub(crate) fn to_lowercase(word: u64) -> u64 {
    let lower_bits = word & !HIGHS;
    // The high bit of each byte is set if it is at least A, and if it is beyond Z.
    let from_a = lower_bits + u64::from(0x80 - b'A') * ONES;
    let beyond_z = lower_bits + u64::from(0x7F - b'Z') * ONES;
    let is_upper = (from_a ^ beyond_z) & !word & HIGHS;
    word | is_upper >> 2
}

/// Whether bytes are these, which have no capital letters, but for the case of letters.
#[inline]
pub(crate) fn is_in_any_case(lower: &[u8], bytes: &[u8]) -> bool {
    if bytes.len() != lower.len() {
        return false;
    }
    let (Some(last), Some(lower_last)) = (bytes.last_chunk(), lower.last_chunk()) else {
        return bytes.eq_ignore_ascii_case(lower);
    };
    let difference = |word: &[u8; 8], lower: &[u8; 8]| {
        to_lowercase(u64::from_le_bytes(*word)) ^ u64::from_le_bytes(*lower)
    };
    let pairs = bytes.as_chunks().0.iter().zip(lower.as_chunks().0);
    pairs.fold(difference(last, lower_last), |sum, (word, lower)| sum | difference(word, lower)) == 0
}

/// Numbers in decimal, separated by commas.
pub(crate) fn write_numbers(writer: &mut TextWriter<'_>, numbers: impl Iterator<Item = u64>) {
    for (place, number) in numbers.enumerate() {
        if place > 0 {
            writer.push_str(",");
        }
        writer.push_number(number);
    }
}

/// A name in DNS labels, uncompressed, with dots between them. The last label, of length zero, may be missing. Whether
/// all of it was labels; those before what is none are written.
#[must_use]
pub(crate) fn write_labels(writer: &mut TextWriter<'_>, mut bytes: &[u8]) -> bool {
    let mut is_first = true;
    while let Some((&length @ 1.., rest)) = bytes.split_first() {
        let length = usize::from(length);
        if length > LABEL_BYTES_MAX || length > rest.len() {
            return false;
        }
        if !is_first {
            writer.push_str(".");
        }
        is_first = false;
        let (label, behind) = rest.split_at(length);
        writer.push(label);
        bytes = behind;
    }
    true
}

/// A text without the NULs that some senders end it with.
pub(crate) fn trim_nuls(mut bytes: &[u8]) -> &[u8] {
    while let Some((0, rest)) = bytes.split_last() {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_near_is_found_where_it_is(bytes in prop::collection::vec(prop_oneof![Just(b':'), any::<u8>()], 0..40)) {
            prop_assert_eq!(find_near(b':', &bytes), bytes.iter().position(|byte| *byte == b':'));
        }

        #[test]
        fn controls_and_others_are_found_wherever_they_are(
            bytes in prop::collection::vec(prop_oneof![20 => b' '..0x7F, 1 => any::<u8>()], 0..40),
        ) {
            let is_one = |byte: &u8| byte.is_ascii_control() || *byte == b';';
            prop_assert_eq!(has_control_or([b';'], &bytes), bytes.iter().any(is_one));
        }

        #[test]
        fn case_is_that_of_letters_only(bytes in prop::collection::vec(any::<u8>(), 0..40), place in 0usize..40) {
            let lower = bytes.to_ascii_lowercase();
            prop_assert!(is_in_any_case(&lower, &bytes));
            let word = bytes.first_chunk::<8>().map(|word| to_lowercase(u64::from_le_bytes(*word)).to_le_bytes());
            prop_assert_eq!(word.as_ref(), lower.first_chunk());
            let mut other = bytes;
            if let Some(byte) = other.get_mut(place) {
                *byte ^= 0x40;
                prop_assert_eq!(is_in_any_case(&lower, &other), other.eq_ignore_ascii_case(&lower));
            }
        }
    }
}
