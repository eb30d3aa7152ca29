//! The Huffman code of header fields (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and the first of a
//! length follows the last of the length before. So the lengths are all there is to know; the rest is computed from them.

/// Bits of the code of each byte, and of the end of string.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];
const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
const BITS_MIN: u32 = 5;
const BITS_MAX: usize = 30;

/// For each length, how to tell codes that are as long.
const CODE: Code = Code::new();

struct Code {
    /// The first code that is longer, aligned to the left of 32 bits. Not lower than that of the length before.
    ends: [u64; BITS_MAX + 1],
    /// The first code of the length, aligned to the right.
    firsts: [u32; BITS_MAX + 1],
    /// Its place among the symbols in the order of their codes.
    places: [u16; BITS_MAX + 1],
    symbols: [u16; SYMBOLS],
}

impl Code {
    const fn new() -> Code {
        let mut code = Code {
            ends: [0; BITS_MAX + 1],
            firsts: [0; BITS_MAX + 1],
            places: [0; BITS_MAX + 1],
            symbols: [0; SYMBOLS],
        };
        let (mut next, mut place, mut bits) = (0u64, 0, 1);
        while bits <= BITS_MAX {
            next <<= 1;
            code.firsts[bits] = next as u32;
            code.places[bits] = place as u16;
            let mut symbol = 0;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as usize == bits {
                    code.symbols[place] = symbol as u16;
                    place += 1;
                    next += 1;
                }
                symbol += 1;
            }
            code.ends[bits] = next << (32 - bits);
            bits += 1;
        }
        code
    }
}

/// How a text came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// So many bytes.
    Whole(usize),
    /// There is more than there was room for, which is filled.
    Cut,
    Malformed,
}

/// Decodes as many bytes as there is room for.
pub fn decode(coded: &[u8], room: &mut [u8]) -> Decoded {
    let mut length = 0;
    let mut rest = coded.iter();
    // Bits that are not used up yet, aligned to the left.
    let (mut window, mut available) = (0u64, 0u32);
    loop {
        while available <= 56 {
            let Some(byte) = rest.next() else { break };
            window |= u64::from(*byte) << (56 - available);
            available += 8;
        }
        let ahead = window >> 32;
        let mut bits = BITS_MIN;
        while ahead >= CODE.ends[bits as usize] && bits < BITS_MAX as u32 {
            bits += 1;
        }
        if bits > available {
            // What is left has to be the beginning of the end of string, which is all ones.
            let is_padding = available < 8 && window == !(u64::MAX >> available);
            return if is_padding { Decoded::Whole(length) } else { Decoded::Malformed };
        }
        let code = (window >> (64 - bits)) as u32;
        let place = code - CODE.firsts[bits as usize] + u32::from(CODE.places[bits as usize]);
        let symbol = CODE.symbols[place as usize];
        if symbol == END_OF_STRING {
            return Decoded::Malformed;
        }
        let Some(place) = room.get_mut(length) else { return Decoded::Cut };
        *place = symbol as u8;
        length += 1;
        window <<= bits;
        available -= bits;
    }
}

#[cfg(test)]
pub fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for byte in text {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        let same = LENGTHS[..usize::from(*byte)].iter().filter(|other| u32::from(**other) == length).count();
        let code = CODE.firsts[length as usize] + same as u32;
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    let bytes = bits.chunks(8).map(|chunk| {
        let padded = chunk.iter().copied().chain(std::iter::repeat(true)).take(8);
        padded.fold(0, |byte, bit| byte << 1 | u8::from(bit))
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut room = [0; 400];
        match decode(coded, &mut room) {
            Decoded::Whole(length) => Some(room[..length].to_vec()),
            Decoded::Cut | Decoded::Malformed => None,
        }
    }

    /// RFC 7541 appendix C.4 and C.6.
    #[test]
    fn examples_of_the_standard_are_read() {
        let cases: [(&[u8], &str); 4] = [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
        ];
        for (coded, expected) in cases {
            assert_eq!(decoded(coded).as_deref(), Some(expected.as_bytes()));
            assert_eq!(encode(expected.as_bytes()), coded);
        }
    }

    #[test]
    fn the_code_is_complete() {
        assert_eq!(CODE.ends[BITS_MAX], 1 << 32);
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones_and_the_end_of_string_is_not_sent() {
        assert_eq!(decoded(b""), Some(Vec::new()));
        assert_eq!(decoded(b"\x1f"), Some(b"a".to_vec()));
        assert_eq!(decoded(b"\x18"), None);
        assert_eq!(decoded(b"\x1f\xff"), None);
        assert_eq!(decoded(b"\xff\xff\xff\xfc"), None);
    }

    #[test]
    fn what_there_is_no_room_for_is_cut() {
        let mut room = [0; 3];
        assert_eq!(decode(&encode(b"abcd"), &mut room), Decoded::Cut);
        assert_eq!(&room, b"abc");
        assert_eq!(decode(&encode(b"xyz"), &mut room), Decoded::Whole(3));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn any_bytes_are_text_or_malformed(coded in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
