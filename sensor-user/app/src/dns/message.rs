//! Messages: the header, questions and resource records (RFC 1035, section 4).
//!
//! In: the bytes of a message, without the length that goes before it over TCP. Out: its parts, as slices of it. What
//! the header announces is not believed: a part is there if its bytes are.

use super::name::Name;
use crate::text::to_lowercase;
use nom::{
    Parser,
    error::{ErrorKind, ParseError},
};

pub const HEADER_BYTES: usize = 12;

/// Why a part of a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Against the format.
    Invalid,
    /// The message ends before the part does.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub id: u16,
    /// The 16 bits behind the identifier.
    pub flags: u16,
    pub questions: u16,
    pub answers: u16,
    pub authorities: u16,
    pub additionals: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub name: Name<'a>,
    pub kind: u16,
    pub class: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The whole message: names in the data may point into it.
    pub message: &'a [u8],
    /// Where the owner's name begins; it is not checked.
    pub name_start: usize,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data_start: usize,
    pub data_end: usize,
}

/// What EDNS adds (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    pub udp_bytes: u16,
    /// The upper 8 bits of the response code.
    pub rcode: u8,
    pub flags: u16,
}

/// Reads a message from front to back.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

pub mod opcode {
    pub const QUERY: u16 = 0;
    pub const INVERSE_QUERY: u16 = 1;
    pub const STATUS: u16 = 2;
    pub const NOTIFY: u16 = 4;
    pub const UPDATE: u16 = 5;
    /// Stateful operations, RFC 8490: a header and no question.
    pub const STATEFUL: u16 = 6;

    pub const ALL: [u16; 6] = [QUERY, INVERSE_QUERY, STATUS, NOTIFY, UPDATE, STATEFUL];
}

pub mod flag {
    /// Of an answer.
    pub const RESPONSE: u16 = 0x8000;
    pub const AUTHORITATIVE: u16 = 0x0400;
    pub const TRUNCATED: u16 = 0x0200;
    pub const RECURSION_DESIRED: u16 = 0x0100;
    /// Must be zero.
    pub const RESERVED: u16 = 0x0040;
}

impl Header {
    pub fn is_response(&self) -> bool {
        self.flags & flag::RESPONSE != 0
    }

    pub fn is_truncated(&self) -> bool {
        self.flags & flag::TRUNCATED != 0
    }

    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xF
    }

    /// Without the upper bits, which EDNS has.
    pub fn rcode(&self) -> u16 {
        self.flags & 0xF
    }

    /// Records of all three sections.
    pub fn records(&self) -> usize {
        usize::from(self.answers) + usize::from(self.authorities) + usize::from(self.additionals)
    }
}

impl Question<'_> {
    /// Equal for questions that differ in nothing but the case of letters.
    pub fn hash(&self) -> u64 {
        let kind_and_class = u64::from(self.kind) << 16 | u64::from(self.class);
        self.name.with_octets(|octets| {
            let (words, rest) = octets.as_chunks();
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            let words = words.iter().chain([&last]).map(|word| to_lowercase(u64::from_le_bytes(*word)));
            words.fold(mixed(octets.len() as u64, kind_and_class), mixed)
        })
    }
}

/// The hash that takes in another word: multiplication carries each bit upwards, rotation brings it down again.
fn mixed(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

impl<'a> Reader<'a> {
    /// The header, and what reads what is behind it.
    pub fn new(message: &'a [u8]) -> Result<(Header, Reader<'a>), Flaw> {
        let header = message.first_chunk::<HEADER_BYTES>().ok_or(Flaw::Short)?;
        let field = |place: usize| u16::from_be_bytes([header[2 * place], header[2 * place + 1]]);
        let header = Header {
            id: field(0),
            flags: field(1),
            questions: field(2),
            answers: field(3),
            authorities: field(4),
            additionals: field(5),
        };
        Ok((header, Reader { message, at: HEADER_BYTES }))
    }

    pub fn question(&mut self) -> Result<Question<'a>, Flaw> {
        let (name, end) = Name::read(self.message, self.at)?;
        let [a, b, c, d] = *self.from(end).first_chunk().ok_or(Flaw::Short)?;
        self.at = end + 4;
        Ok(Question { name, kind: u16::from_be_bytes([a, b]), class: u16::from_be_bytes([c, d]) })
    }

    pub fn record(&mut self) -> Result<Record<'a>, Flaw> {
        const FIELD_BYTES: usize = 10;
        let name_start = self.at;
        let end = Name::skip(self.message, name_start)?;
        let fields = self.from(end).first_chunk::<FIELD_BYTES>().ok_or(Flaw::Short)?;
        let [kind @ .., _, _, _, _, _, _, _, _] = *fields;
        let [_, _, class @ .., _, _, _, _, _, _] = *fields;
        let [_, _, _, _, ttl @ .., _, _] = *fields;
        let [.., high, low] = *fields;
        let data_start = end + FIELD_BYTES;
        let data_end = data_start + usize::from(u16::from_be_bytes([high, low]));
        if data_end > self.message.len() {
            return Err(Flaw::Short);
        }
        self.at = data_end;
        Ok(Record {
            message: self.message,
            name_start,
            kind: u16::from_be_bytes(kind),
            class: u16::from_be_bytes(class),
            ttl: u32::from_be_bytes(ttl),
            data_start,
            data_end,
        })
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.message.len()
    }

    fn from(&self, at: usize) -> &'a [u8] {
        self.message.get(at..).unwrap_or_default()
    }
}

impl<'a> Record<'a> {
    pub fn data(&self) -> &'a [u8] {
        &self.message[self.data_start..self.data_end]
    }

    pub fn edns(&self) -> Option<Edns> {
        let [rcode, _version, flags @ ..] = self.ttl.to_be_bytes();
        let flags = u16::from_be_bytes(flags);
        (self.kind == OPT).then_some(Edns { udp_bytes: self.class, rcode, flags })
    }
}

/// Runs a parser.
pub fn take<'a, T>(
    input: &'a [u8],
    mut parser: impl Parser<&'a [u8], Output = T, Error = Flaw>,
) -> Result<(&'a [u8], T), Flaw> {
    parser.parse_complete(input).map_err(|error| match error {
        nom::Err::Error(flaw) | nom::Err::Failure(flaw) => flaw,
        nom::Err::Incomplete(_) => Flaw::Short,
    })
}

impl ParseError<&[u8]> for Flaw {
    fn from_error_kind(_: &[u8], kind: ErrorKind) -> Flaw {
        if kind == ErrorKind::Eof { Flaw::Short } else { Flaw::Invalid }
    }

    fn append(_: &[u8], _: ErrorKind, first: Flaw) -> Flaw {
        first
    }
}

/// The type of the record that EDNS comes in.
const OPT: u16 = 41;
