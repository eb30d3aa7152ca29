//! Words of a Cap'n Proto message (its encoding specification) and the numbers of the flow schema.
//!
//! Sizes follow from `schema/chf.capnp`; the tests compare messages with those of the generated code.

use std::net::IpAddr;

/// `CHF`: 29 data words, 14 pointers.
pub(super) const CHF_DATA_WORDS: usize = 29;
pub(super) const CHF_POINTERS: usize = 14;
pub(super) const CHF_WORDS: usize = CHF_DATA_WORDS + CHF_POINTERS;

/// `Custom`: id and small values in the first data word, discriminant in the second, 64-bit values in the
/// third, a pointer.
pub(super) const CUSTOM_DATA_WORDS: usize = 3;
pub(super) const CUSTOM_POINTERS: usize = 1;
pub(super) const CUSTOM_WORDS: usize = CUSTOM_DATA_WORDS + CUSTOM_POINTERS;

/// What `appProtocol` is when a message says nothing; values travel as the difference (XOR) to it.
pub(super) const APPLICATION_DEFAULT: u32 = 0xFFFF_FFFF;
pub(super) const APPLICATION_NONE: u32 = 0;
/// The application number of the record that names custom columns.
pub(super) const APPLICATION_NAMES: u32 = 101;

/// `sampleRate` is the rate times this where `sampleAdj` is set, which is bit 33 of its data word.
pub(super) const SAMPLE_RATE_SCALE: u32 = 100;
pub(super) const SAMPLE_RATE_IS_SCALED: u64 = 1 << 33;

/// Bits of the data word that has the flags: `big`, `sampleAdj` (above), `isMetric`.
pub(super) const IS_BIG: u64 = 1 << 32;
pub(super) const IS_METRIC: u64 = 1 << 34;

/// `isDimension` in the second data word of a custom column.
pub(super) const IS_DIMENSION: u64 = 1 << 16;

/// Members of a custom column's value union, by discriminant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    U32 = 0,
    F32 = 1,
    Text = 2,
    U64 = 3,
    Address = 4,
    U16 = 5,
    U8 = 6,
}

/// The address of a custom column: its version, then 16 bytes that start with it.
pub(super) const ADDRESS_BYTES: usize = 17;
pub(super) const ADDRESS_V4: u8 = 4;
pub(super) const ADDRESS_V6: u8 = 6;

/// A pointer to a struct, `offset` words after the pointer's end.
pub(super) const fn struct_pointer(offset: usize, data_words: usize, pointers: usize) -> u64 {
    (offset as u64) << 2 | (data_words as u64) << 32 | (pointers as u64) << 48
}

/// A pointer to a list of structs that take `words` words without their tag.
pub(super) const fn composite_list_pointer(offset: usize, words: usize) -> u64 {
    (offset as u64) << 2 | 1 | 7 << 32 | (words as u64) << 35
}

/// A pointer to a list of bytes.
pub(super) const fn byte_list_pointer(offset: usize, bytes: usize) -> u64 {
    (offset as u64) << 2 | 1 | 2 << 32 | (bytes as u64) << 35
}

/// The word before a list of structs. It is made like a pointer, with the number of structs for an offset.
pub(super) const fn composite_tag(structs: usize, data_words: usize, pointers: usize) -> u64 {
    struct_pointer(structs, data_words, pointers)
}

/// The word with these two 32-bit fields, lower byte offset first.
pub(super) const fn pair(first: u32, second: u32) -> u64 {
    first as u64 | (second as u64) << 32
}

/// The word that holds these bytes, at most eight, and zeros after them.
#[inline(always)]
pub(super) fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Words of a text of so many bytes, with its terminating zero.
pub(super) const fn text_words(bytes: usize) -> usize {
    (bytes + 1).div_ceil(8)
}

/// An address as a custom column has it.
pub(super) fn address_bytes(address: IpAddr) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    let (version, octets) = bytes.split_at_mut(1);
    match address {
        IpAddr::V4(address) => {
            version[0] = ADDRESS_V4;
            octets[..4].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            version[0] = ADDRESS_V6;
            octets.copy_from_slice(&address.octets());
        }
    }
    bytes
}

/// The address that these bytes are. Bytes after an IPv4 address mean nothing and may be absent.
pub(super) fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match *bytes {
        [ADDRESS_V4, a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
        [ADDRESS_V4, a, b, c, d, ref rest @ ..] if rest.len() == 12 => Some(IpAddr::from([a, b, c, d])),
        [ADDRESS_V6, ref octets @ ..] => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}
