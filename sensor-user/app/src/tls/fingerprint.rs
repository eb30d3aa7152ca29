//! Fingerprints of hellos: JA3 and JA3S (MD5 over what was sent), JA4 (FoxIO's definition, so far as it is of TLS).
//!
//! A JA4 such as `t13d1516h2_8daaf6152771_e5627efa2ab1` is: the carrier, the newest version, whether a server name was
//! sent, how many ciphers and extensions, first and last character of the first ALPN value; a digest of the sorted
//! ciphers; a digest of the sorted extensions (without server name and ALPN) and the signature algorithms as sent.
//! RFC 8701's values count nowhere.

use super::{
    client_hello::{ClientHello, extension},
    server_hello::ServerHello,
    wire::is_grease,
};
use md5::{Digest, Md5};
use sha2::Sha256;

pub type Ja3 = [u8; 32];
pub type Ja4 = [u8; 36];

/// Hex digits of a digest that JA4 shows.
const DIGEST_DIGITS: usize = 12;
/// What it shows where there is nothing to digest.
const NO_DIGEST: [u8; DIGEST_DIGITS] = *b"000000000000";

/// What a ClientHello came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tls,
    Quic,
    Dtls,
}

/// MD5, as hex, of version, ciphers, extensions, groups and point formats.
pub fn ja3(hello: &ClientHello<'_>) -> Ja3 {
    let mut text = HashedText::<Md5>::new();
    text.push_decimal(hello.version);
    text.push(b',');
    text.push_decimals(hello.ciphers.without_grease());
    text.push(b',');
    text.push_decimals(hello.extensions.types().filter(|number| !is_grease(*number)));
    text.push(b',');
    text.push_decimals(hello.groups.without_grease());
    text.push(b',');
    text.push_decimals(hello.point_formats.iter().map(|format| u16::from(*format)));
    text.finish()
}

/// MD5, as hex, of version field, selected cipher and extensions.
pub fn ja3s(hello: &ServerHello<'_>) -> Ja3 {
    let mut text = HashedText::<Md5>::new();
    text.push_decimal(hello.version);
    text.push(b',');
    text.push_decimal(hello.cipher);
    text.push(b',');
    text.push_decimals(hello.extensions.types());
    text.finish()
}

pub fn ja4(hello: &ClientHello<'_>, carrier: Carrier) -> Ja4 {
    let extensions = || hello.extensions.types().filter(|number| !is_grease(*number));
    let mut fingerprint = *b"t00i000000_000000000000_000000000000";
    fingerprint[0] = carrier.letter();
    fingerprint[1..3].copy_from_slice(version_letters(hello.newest_version()));
    if hello.extensions.types().any(|number| number == extension::SERVER_NAME) {
        fingerprint[3] = b'd';
    }
    fingerprint[4..6].copy_from_slice(&two_digits(hello.ciphers.without_grease().count()));
    fingerprint[6..8].copy_from_slice(&two_digits(extensions().count()));
    let first_alpn = hello.alpn.and_then(|names| names.iter().next());
    fingerprint[8..10].copy_from_slice(&ends(first_alpn.unwrap_or_default()));

    let in_digest = |number: &u16| ![extension::SERVER_NAME, extension::ALPN].contains(number);
    let ciphers = sorted_digest(hello.ciphers.without_grease(), std::iter::empty());
    let rest = sorted_digest(extensions().filter(in_digest), hello.signature_algorithms.without_grease());
    fingerprint[11..23].copy_from_slice(&ciphers);
    fingerprint[24..36].copy_from_slice(&rest);
    fingerprint
}

impl Carrier {
    const fn letter(self) -> u8 {
        match self {
            Carrier::Tls => b't',
            Carrier::Quic => b'q',
            Carrier::Dtls => b'd',
        }
    }
}

fn version_letters(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    }
}

fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character of a name; of its hex digits, if one of the two is neither a letter nor a digit.
fn ends(name: &[u8]) -> [u8; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [*first, *last];
    }
    [hex_digit(first >> 4), hex_digit(last & 0xf)]
}

/// Start of the SHA-256 of numbers, sorted, and of others as they come.
fn sorted_digest(
    sorted: impl Iterator<Item = u16> + Clone,
    as_sent: impl Iterator<Item = u16> + Clone,
) -> [u8; DIGEST_DIGITS] {
    // Plain hellos pay only for what they need.
    match sorted.clone().count() {
        0 => NO_DIGEST,
        1..=128 => digest_of::<128>(sorted, as_sent),
        _ => digest_of::<{ u16::MAX as usize / 2 }>(sorted, as_sent),
    }
}

/// At most `MAX` of the numbers count.
#[inline(never)]
fn digest_of<const MAX: usize>(
    sorted: impl Iterator<Item = u16>,
    as_sent: impl Iterator<Item = u16> + Clone,
) -> [u8; DIGEST_DIGITS] {
    let mut numbers = [0; MAX];
    let places = numbers.iter_mut().zip(sorted);
    let count = places.map(|(place, number)| *place = number).count();
    numbers[..count].sort_unstable();
    let mut text = HashedText::<Sha256>::new();
    text.push_hex(numbers[..count].iter().copied());
    if as_sent.clone().next().is_some() {
        text.push(b'_');
        text.push_hex(as_sent);
    }
    text.finish()
}

/// Text of which only the digest is wanted.
struct HashedText<D> {
    digest: D,
    /// What the digest has not taken in: it is quickest with all of it at once, as most texts come to.
    text: [u8; TEXT_BYTES + WORD_BYTES],
    length: usize,
}

const TEXT_BYTES: usize = 512;
/// Short pieces are copied as if they had as many.
const WORD_BYTES: usize = size_of::<u64>();

impl<D: Digest> HashedText<D> {
    fn new() -> HashedText<D> {
        HashedText { digest: D::new(), text: [0; TEXT_BYTES + WORD_BYTES], length: 0 }
    }

    /// The first, lowest bytes of a word.
    #[inline]
    fn push_word(&mut self, word: u64, bytes: usize) {
        if self.length >= TEXT_BYTES {
            self.digest.update(&self.text[..self.length]);
            self.length = 0;
        }
        self.text[self.length..self.length + WORD_BYTES].copy_from_slice(&word.to_le_bytes());
        self.length += bytes;
    }

    fn push(&mut self, byte: u8) {
        self.push_word(byte.into(), 1);
    }

    fn push_decimal(&mut self, number: u16) {
        let (word, digits) = decimal(number);
        self.push_word(word, digits);
    }

    /// With hyphens in between.
    fn push_decimals(&mut self, mut numbers: impl Iterator<Item = u16>) {
        let Some(first) = numbers.next() else { return };
        self.push_decimal(first);
        for number in numbers {
            let (word, digits) = decimal(number);
            self.push_word(word << 8 | u64::from(b'-'), 1 + digits);
        }
    }

    /// Four digits each, with commas in between.
    fn push_hex(&mut self, mut numbers: impl Iterator<Item = u16>) {
        let Some(first) = numbers.next() else { return };
        self.push_word(hex(first), 4);
        for number in numbers {
            self.push_word(hex(number) << 8 | u64::from(b','), 1 + 4);
        }
    }

    /// The first hex digits of the digest.
    fn finish<const DIGITS: usize>(mut self) -> [u8; DIGITS] {
        self.digest.update(&self.text[..self.length]);
        let digest = self.digest.finalize();
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.iter()) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
        }
        digits
    }
}

/// The digits of a number, the first one lowest, and how many they are.
fn decimal(number: u16) -> (u64, usize) {
    let [a, b, c, d, e] = [10_000, 1_000, 100, 10, 1].map(|unit| b'0' + (number / unit % 10) as u8);
    let zeros = [10_000, 1_000, 100, 10].map(|unit| usize::from(number < unit)).iter().sum::<usize>();
    (u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]) >> (8 * zeros), 5 - zeros)
}

/// The four digits of a number, the first one lowest.
fn hex(number: u16) -> u64 {
    let digits = [12, 8, 4, 0].map(|shift| hex_digit((number >> shift) as u8));
    u32::from_le_bytes(digits).into()
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 0xf)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::builder::{Hello, be, long, short};
    use proptest::prelude::*;

    fn ja3_of(hello: &Hello) -> String {
        String::from_utf8(ja3(&ClientHello::parse(&hello.body()).unwrap()).to_vec()).unwrap()
    }

    fn ja4_of(hello: &Hello) -> String {
        let body = hello.body();
        String::from_utf8(ja4(&ClientHello::parse(&body).unwrap(), Carrier::Tls).to_vec()).unwrap()
    }

    /// The hello that FoxIO's definition of JA4 has as its example, with RFC 8701's values sprinkled in.
    fn example() -> Hello {
        let signatures = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        Hello::new(&[
            0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ])
        .extension(0x1a1a, &[])
        .extension(0x001b, &[])
        .server_name("example.org")
        .extension(0x0033, &[])
        .alpn(&["h2", "http/1.1"])
        .extension(0x4469, &[])
        .extension(0x0017, &[])
        .extension(0x002d, &[])
        .extension(0x000d, &long(&be(&signatures)))
        .extension(0x0005, &[])
        .extension(0x0023, &[])
        .extension(0x0012, &[])
        .extension(0x002b, &short(&be(&[0xfafa, 0x0304, 0x0303])))
        .extension(0xff01, &[])
        .extension(0x000b, &short(&[0]))
        .extension(0x000a, &long(&be(&[0x2a2a, 29, 23, 24])))
        .extension(0x0015, &[0; 9])
    }

    #[test]
    fn ja4_is_that_of_the_definitions_example() {
        assert_eq!(ja4_of(&example()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let mut without_signatures = example();
        let place = without_signatures.extensions.iter().position(|(number, _)| *number == 0x000d).unwrap();
        without_signatures.extensions[place].1.clear();
        assert_eq!(ja4_of(&without_signatures), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn ja3_is_the_md5_of_what_was_sent_without_grease() {
        // printf 771,4865-4866-...,27-0-51-...,29-23-24,0 | md5sum
        assert_eq!(ja3_of(&example()), "c000e2caf3a25423f9de6c8a4b12a975");
        // printf 771,47,,, | md5sum
        assert_eq!(ja3_of(&Hello::new(&[47])), "fde4273625b2ac63bd01d9c500dac91b");
    }

    #[test]
    fn ja4_of_nothing_is_zeros() {
        assert_eq!(ja4_of(&Hello::new(&[])), "t12i000000_000000000000_000000000000");
    }

    #[test]
    fn ja4_shows_the_ends_of_an_alpn_that_is_no_word_in_hex() {
        let cases: [(&[u8], &[u8; 2]); 9] = [
            (b"", b"00"),
            (b"h", b"hh"),
            (b"http/1.1", b"h1"),
            (b"\xab", b"ab"),
            (b"\xab\xcd", b"ad"),
            (b"0\xab", b"3b"),
            (b"01\xab\xcd", b"3d"),
            (b"0\xab\xcd1", b"01"),
            (b"-x-", b"2d"),
        ];
        for (name, expected) in cases {
            assert_eq!(&ends(name), expected, "{name:?}");
        }
    }

    #[test]
    fn counts_in_ja4_end_at_99() {
        let many = Hello::new(&[0x1301; 10_000]);
        assert!(ja4_of(&many).starts_with("t12i990000_"));
    }

    proptest! {
        #[test]
        fn ja4_does_not_know_the_order_of_ciphers(mut ciphers in prop::collection::vec(any::<u16>(), 0..300)) {
            let before = ja4_of(&Hello::new(&ciphers));
            ciphers.reverse();
            prop_assert_eq!(ja4_of(&Hello::new(&ciphers)), before);
        }

        #[test]
        fn numbers_have_the_digests_of_their_texts(numbers in prop::collection::vec(any::<u16>(), 0..400)) {
            let mut hashed = HashedText::<Sha256>::new();
            hashed.push_decimals(numbers.iter().copied());
            hashed.push(b'_');
            hashed.push_hex(numbers.iter().copied());
            let decimals: Vec<String> = numbers.iter().map(|number| number.to_string()).collect();
            let hexes: Vec<String> = numbers.iter().map(|number| format!("{number:04x}")).collect();
            let text = format!("{}_{}", decimals.join("-"), hexes.join(","));
            let expected: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            let digits: [u8; 64] = hashed.finish();
            prop_assert_eq!(&digits[..], expected.as_bytes());
        }
    }
}
