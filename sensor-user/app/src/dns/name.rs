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
use crate::text::has_control_or;
use kflow::application::TextWriter;

pub const NAME_BYTES_MAX: usize = 255;

/// Servers that share suffixes go through a few.
const POINTERS_MAX: u8 = 16;

/// A name that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    message: &'a [u8],
    start: usize,
    /// Where its last label ends, if all of them are in one place.
    end: Option<usize>,
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
        if let Some(end) = plain_end(message, start) {
            return Ok((Name { message, start, end: Some(end) }, end + 1));
        }
        let mut labels = Labels::new(message, start);
        while labels.advance()?.is_some() {}
        Ok((Name { message, start, end: None }, labels.end.expect("all labels were read")))
    }

    /// Where what follows a name begins. Pointers are not followed.
    pub fn skip(message: &[u8], start: usize) -> Result<usize, Flaw> {
        if leads_to_label(message, start) {
            return Ok(start + 2);
        }
        if let Some(end) = plain_end(message, start) {
            return Ok(end + 1);
        }
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

    /// Lends the labels, each behind its length, one behind the other.
    pub fn with_octets<R>(self, lend: impl FnOnce(&[u8]) -> R) -> R {
        if let Some(end) = self.end {
            return lend(&self.message[self.start..end]);
        }
        let mut octets = [0; NAME_BYTES_MAX];
        let mut end = 0;
        for label in self.labels() {
            octets[end] = label.len() as u8;
            octets[end + 1..end + 1 + label.len()].copy_from_slice(label);
            end += 1 + label.len();
        }
        lend(&octets[..end])
    }

    pub fn write(self, writer: &mut TextWriter<'_>, place: Place) {
        let mut text = [0; NAME_BYTES_MAX];
        let length = self.with_octets(|octets| {
            let text = &mut text[..octets.len()];
            text.copy_from_slice(octets);
            // Dots take the place of lengths.
            let mut at = 0;
            while let Some(length) = text.get_mut(at) {
                at += 1 + usize::from(*length);
                *length = b'.';
            }
            octets.len()
        });
        match length {
            0 => writer.push_str("."),
            _ => write_text(writer, &text[1..length], place),
        }
    }
}

/// Whether a name begins with a pointer, and with a label where that leads to.
fn leads_to_label(message: &[u8], start: usize) -> bool {
    let Some([high @ 0xC0..=0xFF, low]) = message.get(start..).and_then(|rest| rest.first_chunk()) else {
        return false;
    };
    let target = usize::from(u16::from_be_bytes([high & 0x3F, *low]));
    let length = message.get(target).map(|length| usize::from(*length));
    (HEADER_BYTES..start).contains(&target)
        && length.is_some_and(|length| (1..=63).contains(&length) && target + 1 + length <= message.len())
}

/// Where the last label of a name ends that has no pointers, is all there and no longer than it may be.
fn plain_end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match *message.get(at)? {
            0 => return (at + 1 - start <= NAME_BYTES_MAX).then_some(at),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// What was read from the message, as text.
pub fn write_text(writer: &mut TextWriter<'_>, bytes: &[u8], place: Place) {
    let is_escaped =
        |byte: &u8| byte.is_ascii_control() || *byte == b'\\' || (*byte == b';' && place == Place::InList);
    // Most texts are written as they are.
    let has_escaped = match place {
        Place::Alone => has_control_or([b'\\'], bytes),
        Place::InList => has_control_or([b'\\', b';'], bytes),
    };
    if !has_escaped {
        return writer.push(bytes);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::build::{piece, wire};
    use kflow::application::{AppProtocol, Draft, protocols::dns};
    use proptest::prelude::*;

    const HEADER: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

    fn read(parts: &[&[u8]]) -> Result<usize, Flaw> {
        let message = [&HEADER, &parts.concat()[..]].concat();
        Name::read(&message, HEADER_BYTES).map(|(_, end)| end - HEADER_BYTES)
    }

    fn text(message: &[u8], start: usize, place: Place) -> String {
        let (name, _) = Name::read(message, start).unwrap();
        let mut draft = Draft::new(4096);
        draft.begin(AppProtocol::Dns);
        draft.text_with(dns::QUERY, |writer| name.write(writer, place));
        draft.to_application(None).text(dns::QUERY).unwrap().to_string()
    }

    fn text_of(label: &[u8], place: Place) -> String {
        text(&[&HEADER[..], &piece(label), &[0]].concat(), HEADER_BYTES, place)
    }

    #[test]
    fn a_pointer_leads_to_labels_before() {
        let message = [&HEADER[..], &wire("example.com"), &piece(b"www"), &[0xC0, 12], b"rest"].concat();
        let start = HEADER_BYTES + 13;
        assert_eq!(text(&message, start, Place::Alone), "www.example.com");
        assert_eq!(Name::read(&message, start).unwrap().1, start + 6);
        assert_eq!(Name::skip(&message, start), Ok(start + 6));
    }

    #[test]
    fn pointers_that_do_not_lead_back_are_invalid() {
        assert_eq!(read(&[&[0xC0, 12]]), Err(Flaw::Invalid), "to itself");
        assert_eq!(read(&[b"\x01a", &[0xC0, 12]]), Err(Flaw::Invalid), "to its own labels");
        assert_eq!(read(&[&[0xC0, 20], &[0; 20]]), Err(Flaw::Invalid), "forward");
        assert_eq!(read(&[&[0xC0, 2]]), Err(Flaw::Invalid), "into the header");
    }

    #[test]
    fn pointers_to_pointers_end() {
        let chain = |pointers: usize| {
            let mut message = [&HEADER[..], b"\x01a\x00"].concat();
            let mut start = HEADER_BYTES;
            for _ in 0..pointers {
                let target = start as u16 | 0xC000;
                start = message.len();
                message.extend_from_slice(&target.to_be_bytes());
            }
            Name::read(&message, start).map(|(_, end)| end == message.len())
        };
        assert_eq!(chain(usize::from(POINTERS_MAX)), Ok(true));
        assert_eq!(chain(usize::from(POINTERS_MAX) + 1), Err(Flaw::Invalid));
        assert_eq!(chain(8000), Err(Flaw::Invalid));
    }

    #[test]
    fn a_name_has_255_octets_at_most() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let longest = [&label[..], &label, &label, &[61], &[b'a'; 61], &[0]].concat();
        assert_eq!(longest.len(), NAME_BYTES_MAX);
        assert_eq!(read(&[&longest]), Ok(NAME_BYTES_MAX));
        assert_eq!(read(&[&label, &label, &label, &[62], &[b'a'; 62], &[0]]), Err(Flaw::Invalid));
        assert_eq!(read(&[&b"\x01a".repeat(10_000), &[0]]), Err(Flaw::Invalid));
    }

    #[test]
    fn a_name_that_ends_early_is_short_and_other_kinds_of_labels_are_invalid() {
        assert_eq!(read(&[]), Err(Flaw::Short));
        assert_eq!(read(&[b"\x05exam"]), Err(Flaw::Short));
        assert_eq!(read(&[b"\x01a"]), Err(Flaw::Short));
        assert_eq!(read(&[b"\x01a\xC0"]), Err(Flaw::Short));
        assert_eq!(read(&[b"\x40a\x00"]), Err(Flaw::Invalid));
        assert_eq!(read(&[b"\x80a\x00"]), Err(Flaw::Invalid));
    }

    #[test]
    fn labels_are_what_they_are_and_the_root_is_a_dot() {
        assert_eq!(text(&[&HEADER[..], &[0]].concat(), HEADER_BYTES, Place::Alone), ".");
        assert_eq!(text_of(b"Room 2.1", Place::Alone), "Room 2.1");
        assert_eq!(text_of("Büro".as_bytes(), Place::Alone), "Büro");
        assert_eq!(text_of(b"caf\xE9s", Place::Alone), "caf\u{FFFD}s");
        assert_eq!(text_of(b"a\0b\r\x7F\\", Place::Alone), r"a\000b\013\127\092");
        assert_eq!(text_of(b"a;b", Place::Alone), "a;b");
        assert_eq!(text_of(b"a;b", Place::InList), r"a\059b");
    }

    proptest! {
        #[test]
        fn names_read_as_they_were_written(labels in prop::collection::vec("[a-zA-Z0-9_-]{1,9}", 0..20)) {
            let name = labels.join(".");
            let message = [&HEADER[..], &wire(&name), b"rest"].concat();
            let expected = if labels.is_empty() { "." } else { &name };
            prop_assert_eq!(text(&message, HEADER_BYTES, Place::Alone), expected);
            let end = message.len() - 4;
            prop_assert_eq!(Name::read(&message, HEADER_BYTES).unwrap().1, end);
            prop_assert_eq!(Name::skip(&message, HEADER_BYTES), Ok(end));
        }

        /// Few values, so that pointers and lengths lead somewhere.
        #[test]
        fn any_name_is_bounded_and_ends_in_the_message(
            bytes in prop::collection::vec(prop_oneof![0u8..6, Just(0xC0), any::<u8>()], 0..300),
            start in 0usize..300,
        ) {
            if let Ok((name, end)) = Name::read(&bytes, start) {
                prop_assert!(end <= bytes.len());
                prop_assert_eq!(Name::skip(&bytes, start), Ok(end));
                let octets: Vec<u8> =
                    name.labels().flat_map(|label| [&[label.len() as u8], label].concat()).collect();
                prop_assert!(octets.len() < NAME_BYTES_MAX);
                name.with_octets(|lent| assert_eq!(lent, octets));
                prop_assert!(name.labels().all(|label| label.len() <= 63));
            }
        }
    }
}
