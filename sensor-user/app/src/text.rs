//! Bytes of messages as text.

use kflow::application::TextWriter;

const HEX_DIGITS: [&str; 16] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// Labels of a DNS name end here (RFC 1035 §3.1).
const LABEL_BYTES_MAX: usize = 63;

pub(crate) fn write_hex(writer: &mut TextWriter<'_>, bytes: &[u8]) {
    for byte in bytes {
        writer.push_str(HEX_DIGITS[usize::from(byte >> 4)]);
        writer.push_str(HEX_DIGITS[usize::from(byte & 15)]);
    }
}

/// Bytes in hex with colons between them.
pub(crate) fn write_mac(writer: &mut TextWriter<'_>, bytes: &[u8]) {
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            writer.push_str(":");
        }
        write_hex(writer, &[*byte]);
    }
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
