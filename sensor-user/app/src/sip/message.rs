//! The head of a message: bytes in, start line and the wanted headers out, as slices of them.
//!
//! Lines end with CR LF or LF alone. A header goes on in the lines behind it that begin with a space or a tab; its value
//! keeps them as they came, [`Value::lines`] takes them apart. Of headers that come twice the first one counts.

use crate::{
    parser::Recognition,
    text::{find_near, is_in_any_case},
};
use kflow::application::TextWriter;
use memchr::memchr;

const VERSION: &[u8] = b"SIP/2.0";
/// The shortest start line begins with more than this.
pub(super) const MESSAGE_BYTES_MIN: usize = VERSION.len() + 1;

/// Of a first line, as long as it is not known to be one.
const START_LINE_BYTES_MAX: usize = 2048;
const METHOD_BYTES_MAX: usize = 32;
const SCHEME_BYTES_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartLine<'a> {
    Request { method: &'a [u8], uri: &'a [u8] },
    Status(u16),
}

/// What is wanted of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub start: StartLine<'a>,
    pub from: Option<Value<'a>>,
    pub to: Option<Value<'a>>,
    pub call_id: Option<Value<'a>>,
    pub cseq: Option<Value<'a>>,
    pub user_agent: Option<Value<'a>>,
    via: Option<Value<'a>>,
    content_length: Option<Value<'a>>,
}

/// The value of a header, with the line ends inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a>(&'a [u8]);

/// How many bytes a head takes, with the empty line that ends it, if that is there.
pub(super) fn head_bytes(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    while let Some(length) = memchr(b'\n', &bytes[start..]) {
        let line = &bytes[start..start + length];
        start += length + 1;
        if line.trim_ascii_end().is_empty() {
            return Some(start);
        }
    }
    None
}

/// Whether a message begins like this. A start line that is there has to be whole: the version is at its end.
pub(super) fn recognise(bytes: &[u8]) -> Recognition {
    // Most of what is asked about is not even text.
    let word = bytes.iter().take(METHOD_BYTES_MAX + 1).position(|byte| !byte.is_ascii_uppercase());
    let is_word = word.is_none_or(|end| end > 0 && bytes[end] == b' ');
    if !is_word && !is_status_so_far(bytes) {
        return Recognition::No;
    }
    if let Some(end) = bytes.iter().take(START_LINE_BYTES_MAX).position(|byte| *byte == b'\n') {
        return if StartLine::read(&bytes[..end]).is_some() { Recognition::Yes } else { Recognition::No };
    }
    let is_so_far =
        bytes.len() < START_LINE_BYTES_MAX && (is_status_so_far(bytes) || is_request_so_far(bytes));
    if is_so_far { Recognition::More } else { Recognition::No }
}

fn is_status_so_far(line: &[u8]) -> bool {
    let compared = line.len().min(VERSION.len());
    line[..compared].eq_ignore_ascii_case(&VERSION[..compared])
}

fn is_request_so_far(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let method = parts.next().unwrap_or_default();
    if !is_method(method) {
        return false;
    }
    let Some(uri) = parts.next() else { return true };
    let mut parts = uri.splitn(2, |byte| *byte == b':');
    let scheme = parts.next().unwrap_or_default();
    let is_scheme = scheme.len() <= SCHEME_BYTES_MAX
        && scheme.first().is_none_or(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme && parts.next().is_none_or(|rest| rest.iter().all(|byte| *byte >= b' ' || *byte == b'\r'))
}

fn is_method(word: &[u8]) -> bool {
    word.len() <= METHOD_BYTES_MAX && word.iter().all(u8::is_ascii_uppercase)
}

impl<'a> StartLine<'a> {
    /// Reads a whole line, without its LF.
    fn read(line: &'a [u8]) -> Option<StartLine<'a>> {
        let line = line.trim_ascii_end();
        if let Some((version, rest)) = line.split_at_checked(VERSION.len())
            && version.eq_ignore_ascii_case(VERSION)
        {
            return StartLine::status(rest);
        }
        let (line, version) = line.split_at_checked(line.len().checked_sub(VERSION.len())?)?;
        if !version.eq_ignore_ascii_case(VERSION) || !line.ends_with(b" ") || !is_request_so_far(line) {
            return None;
        }
        let method_bytes = line.iter().position(|byte| *byte == b' ')?;
        let (method, uri) = (&line[..method_bytes], line[method_bytes..].trim_ascii());
        if method.is_empty() || !uri.contains(&b':') {
            return None;
        }
        Some(StartLine::Request { method, uri })
    }

    /// Behind the version: a space, three digits, and a reason if there is one.
    fn status(rest: &[u8]) -> Option<StartLine<'a>> {
        let &[b' ', class @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9', ref reason @ ..] = rest
        else {
            return None;
        };
        let [class, tens, ones] = [class, tens, ones].map(|digit| u16::from(digit - b'0'));
        let is_ended = reason.first().is_none_or(|byte| *byte == b' ');
        is_ended.then_some(StartLine::Status(class * 100 + tens * 10 + ones))
    }
}

impl<'a> Head<'a> {
    /// Reads a head, which may lack the empty line at its end. `None` if it has no start line; lines that are no
    /// headers are passed over.
    pub fn read(head: &'a [u8]) -> Option<Head<'a>> {
        let (start, mut rest) = split_line(head);
        let mut read = Head {
            start: StartLine::read(start)?,
            from: None,
            to: None,
            call_id: None,
            cseq: None,
            user_agent: None,
            via: None,
            content_length: None,
        };
        while !rest.is_empty() {
            let (header, later) = split_header(rest);
            rest = later;
            if header.trim_ascii().is_empty() {
                break;
            }
            let Some(colon) = find_near(b':', header) else { continue };
            if let Some(place) = read.place(header[..colon].trim_ascii())
                && place.is_none()
            {
                *place = Some(Value(&header[colon + 1..]));
            }
        }
        Some(read)
    }

    /// Where the value of a header belongs, by its long or its compact name.
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<Value<'a>>> {
        let (known, place): (&[u8], _) = match (name.len(), name.first()?.to_ascii_lowercase()) {
            (1, b'f') => (b"f", &mut self.from),
            (4, b'f') => (b"from", &mut self.from),
            (1, b't') => (b"t", &mut self.to),
            (2, b't') => (b"to", &mut self.to),
            (1, b'i') => (b"i", &mut self.call_id),
            (7, b'c') => (b"call-id", &mut self.call_id),
            (1, b'v') => (b"v", &mut self.via),
            (3, b'v') => (b"via", &mut self.via),
            (1, b'l') => (b"l", &mut self.content_length),
            (14, b'c') => (b"content-length", &mut self.content_length),
            (4, b'c') => (b"cseq", &mut self.cseq),
            (10, b'u') => (b"user-agent", &mut self.user_agent),
            _ => return None,
        };
        is_in_any_case(known, name).then_some(place)
    }

    /// Bytes behind the head, 0 if that is not said. `None` if it is no number.
    pub fn body_bytes(&self) -> Option<u64> {
        let Some(Value(value)) = self.content_length else { return Some(0) };
        std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
    }

    /// What the topmost Via calls the transaction, if that is unique: RFC 3261 marks such names by how they begin.
    pub fn branch(&self) -> Option<&'a [u8]> {
        let Value(vias) = self.via?;
        let (mut topmost, _) = split_near(b',', vias);
        while !topmost.is_empty() {
            let (parameter, rest) = split_near(b';', topmost);
            topmost = rest;
            if let Some(equals) = find_near(b'=', parameter)
                && parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"branch")
            {
                let branch = parameter[equals + 1..].trim_ascii();
                return branch.starts_with(b"z9hG4bK").then_some(branch);
            }
        }
        None
    }

    /// The method of the request that this belongs to.
    pub fn method(&self) -> Option<&'a [u8]> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Status(_) => self.cseq?.words().nth(1).filter(|method| is_method(method)),
        }
    }
}

impl<'a> Value<'a> {
    /// The lines without the space around them.
    fn lines(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
    }

    pub fn words(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }

    /// The lines as one.
    pub fn write(self, writer: &mut TextWriter<'_>) {
        if find_near(b'\n', self.0).is_none() {
            return writer.push(self.0.trim_ascii());
        }
        for (place, line) in self.lines().enumerate() {
            if place > 0 {
                writer.push_str(" ");
            }
            writer.push(line);
        }
    }
}

/// What is before a byte that is not far, and what is behind it.
fn split_near(byte: u8, bytes: &[u8]) -> (&[u8], &[u8]) {
    match find_near(byte, bytes) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &[]),
    }
}

/// A line without its LF, and what is behind it.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// A header with the lines that it goes on in, and what is behind it.
fn split_header(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    loop {
        let (line, rest) = split_line(&bytes[end..]);
        let line_end = end + line.len();
        end = bytes.len() - rest.len();
        let is_blank = line.trim_ascii().is_empty();
        if is_blank || !matches!(rest.first(), Some(b' ' | b'\t')) {
            return (&bytes[..line_end], rest);
        }
    }
}
