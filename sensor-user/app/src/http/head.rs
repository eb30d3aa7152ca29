//! Heads of HTTP/1 messages, read where they lie (RFC 9112, and what senders make of it).
//!
//! In: the bytes of a head, from its first line to the empty one. Out: what is wanted of it, and how its body is framed.
//! Lines may end without CR, targets may be missing or have spaces, fields may go on in further lines, and a line that
//! is no field is passed over: a sensor reads what the two ends read.

use super::message::{Message, Name};
use crate::text::find_near;
use memchr::{memchr, memchr_iter, memrchr};

/// Beyond this common receivers refuse a length, or see a negative number.
pub const LENGTH_MAX: u64 = i64::MAX as u64;

/// A head and what it says of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    pub message: Message<'a>,
    length: Length,
    coding: Coding,
    /// Protocols to go on with.
    pub upgrade: Option<&'a [u8]>,
    /// Where it ends, behind the empty line; `None` if that is not there.
    pub end: Option<usize>,
}

/// How the body is framed, by the head alone (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing is said.
    Absent,
    Length(u64),
    Chunked,
    /// Coded in a way that does not tell the end.
    Coded,
    /// Lengths that contradict each other, or are none.
    Invalid,
}

/// What the fields `Content-Length` say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Is(u64),
    Invalid,
}

/// The last coding that `Transfer-Encoding` names, `identity` (RFC 2616 §3.6) aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

/// Where the head ends that these bytes begin with: behind the first empty line.
pub fn end_of(bytes: &[u8]) -> Option<usize> {
    let is_empty_line = |end: usize| match bytes[end + 1..] {
        [b'\n', ..] => Some(end + 2),
        [b'\r', b'\n', ..] => Some(end + 3),
        _ => None,
    };
    memchr_iter(b'\n', bytes).find_map(is_empty_line)
}

/// What can be relied on of a head that was cut: its whole lines, or else the whole words of its first one.
pub fn whole_part(bytes: &[u8]) -> &[u8] {
    let end = memrchr(b'\n', bytes).or_else(|| memrchr(b' ', bytes));
    &bytes[..end.map_or(0, |end| end + 1)]
}

impl<'a> Head<'a> {
    /// The head of a request that these bytes begin with. Of one that ends early, the lines that there are.
    pub fn of_request(bytes: &'a [u8]) -> Head<'a> {
        let (line, fields) = split_line(bytes);
        let (method, rest) = split_word(line);
        let (target, version) = split_version(rest);
        let mut head = Head::default();
        head.message.method = Some(method);
        head.message.target = target;
        head.message.version = version;
        head.read_fields(bytes, fields);
        head
    }

    pub fn of_answer(bytes: &'a [u8]) -> Head<'a> {
        let (line, fields) = split_line(bytes);
        let (version, rest) = split_word(line);
        let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit());
        let mut head = Head::default();
        head.message.version = version.strip_prefix(b"HTTP/");
        head.message.status = Some(digits.fold(0, |number, digit| number * 10 + u16::from(digit - b'0')));
        head.read_fields(bytes, fields);
        head
    }

    pub fn framing(&self) -> Framing {
        match (self.coding, self.length) {
            (Coding::Chunked, _) => Framing::Chunked,
            (Coding::Other, _) => Framing::Coded,
            (Coding::None, Length::Is(bytes)) => Framing::Length(bytes),
            (Coding::None, Length::Invalid) => Framing::Invalid,
            (Coding::None, Length::Absent) => Framing::Absent,
        }
    }

    /// Whether this is one of the protocols to go on with.
    pub fn upgrades_to(&self, protocol: &[u8]) -> bool {
        let mut offered = self.upgrade.unwrap_or_default().split(|byte| *byte == b',');
        offered.any(|offer| offer.trim_ascii().eq_ignore_ascii_case(protocol))
    }

    /// Reads the fields at the end of these bytes.
    fn read_fields(&mut self, bytes: &'a [u8], fields: &'a [u8]) {
        let mut fields = Fields { rest: fields, has_line_ends: false };
        for (name, value) in fields.by_ref() {
            match Name::of(name) {
                Name::ContentLength => self.length = self.length.and(value),
                Name::TransferEncoding => self.coding = self.coding.and(value),
                Name::Upgrade => self.upgrade = self.upgrade.or(Some(value)),
                name => self.message.set(name, value),
            }
        }
        if let Framing::Length(bytes) = self.framing() {
            self.message.body_bytes = Some(bytes);
        }
        self.message.has_line_ends = fields.has_line_ends;
        let empty_line_bytes = match fields.rest {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            _ => None,
        };
        self.end = empty_line_bytes.map(|empty| bytes.len() - fields.rest.len() + empty);
    }
}

impl Length {
    /// The same length may be said more than once, also in a list.
    fn and(self, value: &[u8]) -> Length {
        value.split(|byte| *byte == b',').fold(self, |length, item| match (length, parse_length(item)) {
            (Length::Absent, Some(bytes)) => Length::Is(bytes),
            (Length::Is(before), Some(bytes)) if before == bytes => length,
            _ => Length::Invalid,
        })
    }
}

/// A length in decimal.
pub fn parse_length(item: &[u8]) -> Option<u64> {
    let digits = item.trim_ascii();
    let (first, _) = digits.split_first()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    (number <= LENGTH_MAX).then_some(number)
}

impl Coding {
    fn and(self, value: &[u8]) -> Coding {
        value.split(|byte| *byte == b',').fold(self, |coding, item| match item.trim_ascii() {
            item if item.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            item if item.is_empty() || item.eq_ignore_ascii_case(b"identity") => coding,
            _ => Coding::Other,
        })
    }
}

/// Names and values. A value that goes on in further lines is one value, with the line ends in it.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    /// In the end, from the empty line on.
    rest: &'a [u8],
    /// In a value so far.
    has_line_ends: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let bytes = self.rest;
            let (line, mut rest) = split_line(bytes);
            if line.is_empty() {
                return None;
            }
            while let [b' ' | b'\t', ..] = rest {
                let (more, after) = split_line(rest);
                if more.trim_ascii().is_empty() {
                    break;
                }
                rest = after;
                self.has_line_ends = true;
            }
            self.rest = rest;
            let field = &bytes[..bytes.len() - rest.len()];
            if let Some(colon) = find_near(b':', line) {
                return Some((&field[..colon], field[colon + 1..].trim_ascii()));
            }
        }
    }
}

/// The first line without its end, and what follows it.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

/// The first word, and what follows it and the blanks behind it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    (&line[..end], line[end..].trim_ascii_start())
}

/// Target and version of a request line without its method. Spaces in a target are a part of it.
fn split_version(rest: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let rest = rest.trim_ascii_end();
    let last = rest.iter().rposition(|byte| *byte == b' ');
    let (target, version) = match last.and_then(|last| rest.split_at_checked(last + 1)) {
        Some((target, word)) if word.starts_with(b"HTTP/") => {
            (target.trim_ascii_end(), word.strip_prefix(b"HTTP/"))
        }
        _ => (rest, None),
    };
    ((!target.is_empty()).then_some(target), version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> Message<'_> {
        Head::of_request(text.as_bytes()).message
    }

    fn framing(fields: &str) -> Framing {
        Head::of_answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes()).framing()
    }

    #[test]
    fn a_head_ends_with_the_first_empty_line_whatever_the_line_ends() {
        assert_eq!(end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"), Some(27));
        assert_eq!(end_of(b"GET / HTTP/1.1\nHost: a\n\nbody"), Some(24));
        assert_eq!(end_of(b"GET / HTTP/1.1\n\r\n"), Some(17));
        assert_eq!(end_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), None);
        assert_eq!(end_of(b""), None);
    }

    #[test]
    fn of_a_head_that_was_cut_whole_lines_and_words_count() {
        assert_eq!(whole_part(b"GET / HTTP/1.1\r\nHost: a\nHos"), b"GET / HTTP/1.1\r\nHost: a\n");
        assert_eq!(whole_part(b"GET /whole HTT"), b"GET /whole ");
        assert_eq!(whole_part(b"GET /cu"), b"GET ");
        assert_eq!(whole_part(b"GET"), b"");
    }

    #[test]
    fn request_lines_are_read_as_they_are_sent() {
        let cases: [(&str, Option<&str>, Option<&str>); 9] = [
            ("GET /a?b=c HTTP/1.1", Some("/a?b=c"), Some("1.1")),
            ("GET /a b HTTP/1.1", Some("/a b"), Some("1.1")),
            ("GET      /a HTTP/1.0", Some("/a"), Some("1.0")),
            ("GET / HTTP/1.", Some("/"), Some("1.")),
            ("GET /HTTP/1.1", Some("/HTTP/1.1"), None),
            ("GET HTTP/1.1", Some("HTTP/1.1"), None),
            ("GET /old", Some("/old"), None),
            ("GET ", None, None),
            ("GET", None, None),
        ];
        for (line, target, version) in cases {
            for end in ["\r\n\r\n", "\n\n"] {
                let text = format!("{line}{end}");
                let message = request(&text);
                assert_eq!(message.method, Some(b"GET".as_slice()), "{line}");
                assert_eq!(message.target, target.map(str::as_bytes), "{line}");
                assert_eq!(message.version, version.map(str::as_bytes), "{line}");
            }
        }
    }

    #[test]
    fn fields_are_found_in_any_case_and_the_first_one_counts() {
        let message = request(
            "POST / HTTP/1.1\r\nhOsT:first.example\r\nno field\r\nHost: second.example\r\n\
             User-Agent: one\r\n  two \r\nREFERER:\t/x \r\ncontent-type: text/plain\r\nContent-Length: 3\r\n\r\n",
        );
        assert_eq!(message.host, Some(b"first.example".as_slice()));
        assert_eq!(message.user_agent, Some(b"one\r\n  two".as_slice()));
        assert_eq!(message.referer, Some(b"/x".as_slice()));
        assert_eq!(message.content_type, Some(b"text/plain".as_slice()));
        assert_eq!(message.body_bytes, Some(3));
    }

    #[test]
    fn answers_have_a_version_and_a_status() {
        let head = Head::of_answer(b"HTTP/1.0  404 Not Found\nServer: s\n\n");
        assert_eq!(head.message.version, Some(b"1.0".as_slice()));
        assert_eq!(head.message.status, Some(404));
        assert_eq!(head.message.server, Some(b"s".as_slice()));
        assert_eq!(Head::of_answer(b"ICY 200 OK\r\n\r\n").message.status, Some(200));
    }

    #[test]
    fn bodies_are_framed_as_the_rules_say() {
        assert_eq!(framing("Server: s"), Framing::Absent);
        assert_eq!(framing("Content-Length: 5"), Framing::Length(5));
        assert_eq!(framing("Content-Length: 5, 5\r\nContent-Length: 0005"), Framing::Length(5));
        assert_eq!(framing("Content-Length: 5\r\nTransfer-Encoding: gzip, chunked"), Framing::Chunked);
        assert_eq!(framing("Transfer-Encoding:\r\n chunked"), Framing::Chunked);
        assert_eq!(framing("Transfer-Encoding: chunked, identity"), Framing::Chunked);
        assert_eq!(framing("Transfer-Encoding: identity\r\nContent-Length: 5"), Framing::Length(5));
        assert_eq!(framing("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip"), Framing::Coded);
        for invalid in
            ["5, 6", "-1", "+5", "", "5x", "0x5", "9223372036854775808", "99999999999999999999", "5,"]
        {
            assert_eq!(framing(&format!("Content-Length: {invalid}")), Framing::Invalid, "{invalid}");
        }
        assert_eq!(framing("Content-Length: 5\r\nContent-Length: 6"), Framing::Invalid);
        assert_eq!(framing("Content-Length: 9223372036854775807"), Framing::Length(LENGTH_MAX));
    }

    #[test]
    fn an_upgrade_may_be_one_of_several() {
        let head = Head::of_request(b"GET / HTTP/1.1\r\nUpgrade: websocket, H2C\r\n\r\n");
        assert!(head.upgrades_to(b"h2c"));
        assert!(!head.upgrades_to(b"h2"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[ \r\n:a-c,0-9\t]{0,60}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                for head in [Head::of_request(bytes), Head::of_answer(bytes)] {
                    head.framing();
                    prop_assert!(head.message.host.is_none_or(|host| host.len() <= bytes.len()));
                }
                prop_assert!(end_of(bytes).is_none_or(|end| end <= bytes.len()));
            }
        }

        #[test]
        fn lengths_are_what_the_standard_library_reads(number in any::<u64>(), zeros in 0usize..30) {
            let text = format!("{}{number}", "0".repeat(zeros));
            let expected = Some(number).filter(|number| *number <= LENGTH_MAX);
            prop_assert_eq!(parse_length(text.as_bytes()), expected);
        }
    }
}
