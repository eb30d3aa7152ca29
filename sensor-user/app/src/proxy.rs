//! The PROXY protocol of load balancers, versions 1 and 2: a header before whatever protocol a connection carries.

const LINE_START: &[u8] = b"PROXY ";
/// With its end.
const LINE_BYTES_MAX: usize = 107;
const BINARY_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Behind which comes what the header says of its length.
const BINARY_LENGTH_AT: usize = 14;
const BINARY_BYTES: usize = 16;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    None,
    /// A header, if what follows fits.
    Open,
    /// A header of so many bytes.
    Header(usize),
}

/// Looks for a header.
pub fn prefix(bytes: &[u8]) -> Prefix {
    let may_begin = |start: &[u8]| {
        let compared = bytes.len().min(start.len());
        bytes[..compared] == start[..compared]
    };
    if may_begin(LINE_START) {
        let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
        return match line.windows(2).position(|pair| pair == b"\r\n") {
            Some(end) => Prefix::Header(end + 2),
            None if line.len() < LINE_BYTES_MAX => Prefix::Open,
            None => Prefix::None,
        };
    }
    if may_begin(BINARY_START) {
        let Some(&[high, low]) = bytes.get(BINARY_LENGTH_AT..BINARY_BYTES).and_then(|it| it.first_chunk())
        else {
            return Prefix::Open;
        };
        return Prefix::Header(BINARY_BYTES + usize::from(u16::from_be_bytes([high, low])));
    }
    Prefix::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_where_they_say() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n";
        let binary = [BINARY_START, &[0x21, 0x11, 0, 12], &[7; 12]].concat();
        for header in [&line[..], &binary] {
            let both = [header, b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(prefix(&both), Prefix::Header(header.len()));
        }
        for end in 0..line.len() {
            assert_eq!(prefix(&line[..end]), Prefix::Open);
        }
        for end in 0..BINARY_BYTES {
            assert_eq!(prefix(&binary[..end]), Prefix::Open);
        }
    }

    #[test]
    fn other_openings_and_endless_lines_are_none() {
        let endless = [LINE_START, &[b'x'; LINE_BYTES_MAX]].concat();
        for bytes in [&b"PROPFIND / HTTP/1.1\r\n"[..], b"\r\n\r\nGET", &[22, 3, 1], &endless] {
            assert_eq!(prefix(bytes), Prefix::None, "{bytes:?}");
        }
    }
}
