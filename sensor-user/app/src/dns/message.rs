//! Messages: the header, questions and resource records (RFC 1035, section 4).
//!
//! In: the bytes of a message, without the length that goes before it over TCP. Out: its parts, as slices of it. What
//! the header announces is not believed: a part is there if its bytes are.

use super::name::Name;
use nom::{
    Parser,
    error::{ErrorKind, ParseError},
    multi::length_data,
    number::complete::{be_u16, be_u32},
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
    /// Equal for questions that differ in nothing but the case of letters (FNV-1a).
    pub fn hash(&self) -> u64 {
        let mut hash = 0xCBF2_9CE4_8422_2325;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        for label in self.name.labels() {
            add(label.len() as u8);
            label.iter().for_each(|byte| add(byte.to_ascii_lowercase()));
        }
        [self.kind, self.class].iter().flat_map(|number| number.to_be_bytes()).for_each(add);
        hash
    }
}

impl<'a> Reader<'a> {
    /// The header, and what reads what is behind it.
    pub fn new(message: &'a [u8]) -> Result<(Header, Reader<'a>), Flaw> {
        let fields = (be_u16, be_u16, be_u16, be_u16, be_u16, be_u16);
        let (_, (id, flags, questions, answers, authorities, additionals)) = take(message, fields)?;
        let header = Header { id, flags, questions, answers, authorities, additionals };
        Ok((header, Reader { message, at: HEADER_BYTES }))
    }

    pub fn question(&mut self) -> Result<Question<'a>, Flaw> {
        let (name, end) = Name::read(self.message, self.at)?;
        let (rest, (kind, class)) = take(self.from(end), (be_u16, be_u16))?;
        self.at = self.message.len() - rest.len();
        Ok(Question { name, kind, class })
    }

    pub fn record(&mut self) -> Result<Record<'a>, Flaw> {
        let name_start = self.at;
        let end = Name::skip(self.message, name_start)?;
        let fields = (be_u16, be_u16, be_u32, length_data(be_u16));
        let (rest, (kind, class, ttl, data)) = take(self.from(end), fields)?;
        self.at = self.message.len() - rest.len();
        let data_start = self.at - data.len();
        Ok(Record { message: self.message, name_start, kind, class, ttl, data_start, data_end: self.at })
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
