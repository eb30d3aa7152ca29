//! Domain names: labels, compression pointers, and the text that they become.
//!
//! In: a message and where in it a name begins (RFC 1035, sections 3.1 and 4.1.4). Out: its labels, as slices of the
//! message. A pointer has to lead to before the labels that it ends, so that names end; a name is no longer than
//! 255 octets and no label longer than 63.
//!
//! As text, labels are what they are, with dots between: a service "Room 2.1" shows its space and its dot, as in
//! Wireshark. Only what would not be read is written as RFC 1035 (section 5.1) has it: control characters and the
//! backslash are `\DDD`, and so are semicolons where semicolons separate. What is not UTF-8 is U+FFFD, the root is a
//! dot.

use super::message::{Flaw, HEADER_BYTES};
use kflow::application::TextWriter;

pub const NAME_BYTES_MAX: usize = 255;

/// Servers that share suffixes go through a few.
const POINTERS_MAX: u8 = 16;

/// A name that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    message: &'a [u8],
    start: usize,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Alone,
    /// Between semicolons.
    InList,
}

impl<'a> Name<'a> {
    /// A name, and where what follows it begins.
    pub fn read(message: &'a [u8], start: usize) -> Result<(Name<'a>, usize), Flaw> {
        let mut labels = Labels::new(message, start);
        while labels.advance()?.is_some() {}
        Ok((Name { message, start }, labels.end.expect("all labels were read")))
    }

    /// Where what follows a name begins. Pointers are not followed.
    pub fn skip(message: &[u8], start: usize) -> Result<usize, Flaw> {
        let mut labels = Labels::new(message, start);
        loop {
            let is_last = labels.advance()?.is_none();
            match labels.end {
                Some(end) => return Ok(end),
                None if is_last => return Err(Flaw::Invalid),
                None => {}
            }
        }
    }

    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut labels = Labels::new(self.message, self.start);
        std::iter::from_fn(move || labels.advance().expect("the name was checked"))
    }

    pub fn is_root(self) -> bool {
        self.labels().next().is_none()
    }

    pub fn write(self, writer: &mut TextWriter<'_>, place: Place) {
        if self.is_root() {
            return writer.push_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                writer.push_str(".");
            }
            write_text(writer, label, place);
        }
    }
}

/// What was read from the message, as text.
pub fn write_text(writer: &mut TextWriter<'_>, bytes: &[u8], place: Place) {
    let is_escaped =
        |byte: &u8| byte.is_ascii_control() || *byte == b'\\' || (*byte == b';' && place == Place::InList);
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(is_escaped) {
        let byte = rest[at];
        writer.push(&rest[..at]);
        writer.push(&[b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]);
        rest = &rest[at + 1..];
    }
    writer.push(rest);
}

/// Goes from label to label.
#[derive(Debug)]
struct Labels<'a> {
    message: &'a [u8],
    at: usize,
    /// A pointer has to lead to before this.
    limit: usize,
    /// Of the name so far.
    name_bytes: usize,
    pointers: u8,
    /// Where what follows the name begins, once that is known.
    end: Option<usize>,
}

impl<'a> Labels<'a> {
    fn new(message: &'a [u8], start: usize) -> Labels<'a> {
        Labels { message, at: start, limit: start, name_bytes: 0, pointers: 0, end: None }
    }

    /// The next label; `None` behind the last one, however often that is asked.
    fn advance(&mut self) -> Result<Option<&'a [u8]>, Flaw> {
        loop {
            let first = self.byte(self.at)?;
            match first >> 6 {
                0b00 if first == 0 => {
                    self.end.get_or_insert(self.at + 1);
                    return Ok(None);
                }
                0b00 => return self.label(usize::from(first)).map(Some),
                0b11 => self.follow(first)?,
                _ => return Err(Flaw::Invalid),
            }
        }
    }

    fn label(&mut self, bytes: usize) -> Result<&'a [u8], Flaw> {
        let start = self.at + 1;
        self.at = start + bytes;
        self.name_bytes += 1 + bytes;
        // The root label is one more.
        if self.name_bytes + 1 > NAME_BYTES_MAX {
            return Err(Flaw::Invalid);
        }
        self.message.get(start..self.at).ok_or(Flaw::Short)
    }

    fn follow(&mut self, first: u8) -> Result<(), Flaw> {
        let target = usize::from(u16::from_be_bytes([first & 0x3F, self.byte(self.at + 1)?]));
        if !(HEADER_BYTES..self.limit).contains(&target) || self.pointers == POINTERS_MAX {
            return Err(Flaw::Invalid);
        }
        self.end.get_or_insert(self.at + 2);
        self.pointers += 1;
        self.limit = target;
        self.at = target;
        Ok(())
    }

    fn byte(&self, at: usize) -> Result<u8, Flaw> {
        self.message.get(at).copied().ok_or(Flaw::Short)
    }
}
