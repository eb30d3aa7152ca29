//! Elements in the Basic Encoding Rules (X.690), as far as SNMP uses them: tags of one byte, definite lengths.

use kflow::application::TextWriter;
use nom::{
    IResult, Parser as _,
    combinator::{success, verify},
    multi::length_data,
    number::complete::u8,
};

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Lower bits of a tag that say that more of it follows.
const TAG_GOES_ON: u8 = 0x1f;

/// Set in the first byte of a length if it is in the bytes behind it, whose number the lower bits tell.
const IS_LONG: u8 = 0x80;
const LONG_BYTES_MAX: u8 = 4;

/// Set in every byte of a number in base 128 but the last.
const GOES_ON: u8 = 0x80;
/// Nine digits of seven bits fit into 64.
const DIGITS_MAX: usize = 9;

/// Elements one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

/// An element, or as much of it as there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub is_whole: bool,
}

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Elements<'a> {
        Elements { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element. `None` if there is none, or not all of its header.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (rest, (tag, length)) = header(self.rest).ok()?;
        let whole = rest.split_at_checked(length);
        let (content, rest) = whole.unwrap_or((rest, &[]));
        self.rest = rest;
        Some(Element { tag, content, is_whole: whole.is_some() })
    }

    /// The content of the next element, if it has this tag and is whole.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        let element = self.element()?;
        (element.tag == tag && element.is_whole).then_some(element.content)
    }

    /// The lower 32 bits of the next element, if it is an integer.
    pub(super) fn number(&mut self) -> Option<u32> {
        let content = self.content(INTEGER)?;
        let is_negative = *content.first()? >= 0x80;
        let mut bytes = [if is_negative { 0xff } else { 0 }; 8];
        let start = bytes.len().checked_sub(content.len())?;
        bytes[start..].copy_from_slice(content);
        Some(u64::from_be_bytes(bytes) as u32)
    }
}

/// Tag and length.
fn header(input: &[u8]) -> IResult<&[u8], (u8, usize)> {
    let tag = verify(u8, |tag| tag & TAG_GOES_ON != TAG_GOES_ON);
    let (rest, (tag, length)) = (tag, u8).parse(input)?;
    if length & IS_LONG == 0 {
        return Ok((rest, (tag, length.into())));
    }
    // No bytes at all would be an indefinite length.
    let byte_count = verify(success(length & !IS_LONG), |count| (1..=LONG_BYTES_MAX).contains(count));
    let (rest, bytes) = length_data(byte_count).parse(rest)?;
    let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Ok((rest, (tag, length)))
}

/// Whether the content of an element is an object identifier that can be written.
pub(super) fn is_object_identifier(content: &[u8]) -> bool {
    let is_ended = content.last().is_some_and(|last| last & GOES_ON == 0);
    is_ended && numbers(content).all(|digits| digits.len() <= DIGITS_MAX)
}

/// An object identifier in decimal numbers with dots between them.
pub(super) fn write_object_identifier(writer: &mut TextWriter<'_>, content: &[u8]) {
    for (place, digits) in numbers(content).enumerate() {
        let mut number = digits.iter().fold(0, |number, digit| number << 7 | u64::from(digit & !GOES_ON));
        if place == 0 {
            // The first two numbers share one (X.690 §8.19.4).
            let first = (number / 40).min(2);
            writer.push_number(first);
            number -= first * 40;
        }
        writer.push_str(".");
        writer.push_number(number);
    }
}

/// The digits of each number.
fn numbers(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|digit| digit & GOES_ON == 0)
}
