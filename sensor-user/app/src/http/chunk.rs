//! The line before a chunk (RFC 9112 §7.1): its length in hex, and extensions that nobody asks for.

use super::head::LENGTH_MAX;
use crate::parser::Failure;
use memchr::memchr;

const LINE_BYTES_MAX: usize = 4096;

/// The lengths of the line and of the chunk; `None` if the line is not all there.
pub fn read(bytes: &[u8]) -> Result<Option<(usize, u64)>, Failure> {
    let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let mut length = 0u64;
    let mut digits = 0;
    for byte in line {
        let Some(digit) = char::from(*byte).to_digit(16) else { break };
        length = length.checked_mul(16).ok_or(Failure::Malformed)? + u64::from(digit);
        digits += 1;
    }
    let is_well_formed = match line.get(digits) {
        Some(delimiter) => digits > 0 && matches!(delimiter, b';' | b' ' | b'\t' | b'\r' | b'\n'),
        None => true,
    };
    if length > LENGTH_MAX || !is_well_formed {
        return Err(Failure::Malformed);
    }
    match memchr(b'\n', line) {
        Some(end) => Ok(Some((end + 1, length))),
        None if line.len() == LINE_BYTES_MAX => Err(Failure::Limit),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_with_and_without_extensions() {
        assert_eq!(read(b"1aF\r\ndata"), Ok(Some((5, 0x1af))));
        assert_eq!(read(b"5 ;name=\"value\"\n"), Ok(Some((16, 5))));
        assert_eq!(read(b"0\r\n"), Ok(Some((3, 0))));
        assert_eq!(read(b"0\r"), Ok(None));
        assert_eq!(read(b""), Ok(None));
        assert_eq!(read(b"\r\n"), Err(Failure::Malformed));
        assert_eq!(read(b"-1\r\n"), Err(Failure::Malformed));
        assert_eq!(read(b"5x\r\n"), Err(Failure::Malformed));
    }

    #[test]
    fn lengths_and_lines_have_limits() {
        assert_eq!(read(b"7fffffffffffffff\n"), Ok(Some((17, LENGTH_MAX))));
        assert_eq!(read(b"8000000000000000\n"), Err(Failure::Malformed));
        assert_eq!(read(b"10000000000000000\n"), Err(Failure::Malformed));
        assert_eq!(read(&[b'0'; LINE_BYTES_MAX]), Err(Failure::Limit));
        assert_eq!(read(&[b'0'; LINE_BYTES_MAX - 1]), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_prefix_holds_for_the_whole(bytes in "[0-9a-f]{0,18}[;x\r\n ]{0,4}", split in 0usize..20) {
            let whole = read(bytes.as_bytes());
            let prefix = read(&bytes.as_bytes()[..split.min(bytes.len())]);
            prop_assert!(prefix == Ok(None) || prefix == whole);
        }
    }
}
