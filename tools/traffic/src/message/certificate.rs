//! A server's certificate (X.509, RFC 5280) with a key and a signature that nobody made, in DER (ITU-T X.690).

use super::bytes::Bytes;
use crate::mix::random::Random;

mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0C;
    pub const UTC_TIME: u8 = 0x17;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const DNS_NAME: u8 = 0x82;
    pub const VERSION: u8 = 0xA0;
    pub const EXTENSIONS: u8 = 0xA3;
}

/// 1.2.840.113549.1.1.11
const SHA256_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 29, 17];

/// For the first of `names` as the common name, and all of them as alternative names.
pub fn certificate(issuer: &str, names: &[String], random: &mut Random) -> Bytes {
    let algorithm =
        |identifier| sequence(element(tag::OBJECT_IDENTIFIER, identifier).put(element(tag::NULL, [])));
    let validity =
        sequence(element(tag::UTC_TIME, b"250101000000Z").put(element(tag::UTC_TIME, b"270101000000Z")));
    // Positive numbers with the highest bit of their second byte set.
    let modulus = [&[0, 0x80], &random.bytes(255)[..]].concat();
    let key = sequence(element(tag::INTEGER, modulus).put(element(tag::INTEGER, [1, 0, 1])));
    let alternatives = names.iter().fold(Bytes::new(), |bytes, name| bytes.put(element(tag::DNS_NAME, name)));
    let extension = element(tag::OBJECT_IDENTIFIER, ALTERNATIVE_NAMES)
        .put(element(tag::OCTET_STRING, sequence(alternatives)));
    let to_be_signed = element(tag::VERSION, element(tag::INTEGER, [2]))
        .put(element(tag::INTEGER, [&[1], &random.bytes(15)[..]].concat()))
        .put(algorithm(SHA256_WITH_RSA))
        .put(named(issuer))
        .put(validity)
        .put(named(&names[0]))
        .put(sequence(algorithm(RSA).put(bits(key))))
        .put(element(tag::EXTENSIONS, sequence(sequence(extension))));
    let signature = bits(random.bytes(256));
    sequence(sequence(to_be_signed).put(algorithm(SHA256_WITH_RSA)).put(signature))
}

fn named(name: &str) -> Bytes {
    let attribute = element(tag::OBJECT_IDENTIFIER, COMMON_NAME).put(element(tag::UTF8_STRING, name));
    sequence(element(tag::SET, sequence(attribute)))
}

/// Whole bytes.
fn bits(content: impl AsRef<[u8]>) -> Bytes {
    element(tag::BIT_STRING, Bytes::new().u8(0).put(content))
}

fn sequence(content: impl AsRef<[u8]>) -> Bytes {
    element(tag::SEQUENCE, content)
}

fn element(tag: u8, content: impl AsRef<[u8]>) -> Bytes {
    let head = Bytes::new().u8(tag);
    match content.as_ref().len() {
        0..0x80 => head.sized8(content),
        0x80..0x100 => head.u8(0x81).sized8(content),
        _ => head.u8(0x82).sized16(content),
    }
}
