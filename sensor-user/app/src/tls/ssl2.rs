//! The hellos of SSL 2.0. Clients that also speak later versions may begin with one (RFC 5246, appendix E.2).

use super::wire::Read;
use crate::parser::Recognition;
use nom::{
    Parser as _,
    bytes::complete::take,
    number::complete::{be_u8, be_u16},
};

/// The version that a server selects with an answer of this form.
pub const VERSION: u16 = 0x0002;

pub const HEADER_BYTES: usize = 2;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 4;
/// Kind, version and three lengths.
const CLIENT_FIXED_BYTES: usize = 9;
const X509: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The newest version that the client speaks.
    pub version: u16,
    /// Three bytes each; those of later versions begin with a zero.
    ciphers: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// X.509 in DER; empty if the session is resumed.
    pub certificate: &'a [u8],
}

/// The length of a record with its header, of a record that is not padded.
pub fn record_bytes(input: &[u8]) -> Option<usize> {
    let header = input.first_chunk::<HEADER_BYTES>()?;
    let length = u16::from_be_bytes(*header);
    (length & 0x8000 != 0).then_some(HEADER_BYTES + usize::from(length & 0x7fff))
}

/// Whether a ClientHello begins here: one whose parts fill its record exactly.
pub fn recognise(input: &[u8]) -> Recognition {
    let may_be = |place: usize, is_it: fn(u8) -> bool| input.get(place).is_none_or(|byte| is_it(*byte));
    let is_open = may_be(0, |byte| byte & 0x80 != 0)
        && may_be(2, |byte| byte == CLIENT_HELLO)
        && may_be(3, |byte| byte == 3 || byte == 0)
        && may_be(4, |byte| byte <= 4);
    if !is_open {
        return Recognition::No;
    }
    let lengths: Read<'_, _> = (take(HEADER_BYTES + 3), be_u16, be_u16, be_u16).parse(input);
    let Ok((_, (_, ciphers, session, challenge))) = lengths else { return Recognition::More };
    let parts = [ciphers, session, challenge].map(usize::from).iter().sum::<usize>();
    let is_hello = ciphers > 0
        && ciphers % 3 == 0
        && session <= 32
        && (16..=32).contains(&challenge)
        && record_bytes(input) == Some(HEADER_BYTES + CLIENT_FIXED_BYTES + parts);
    if is_hello { Recognition::Yes } else { Recognition::No }
}

impl<'a> ClientHello<'a> {
    /// Reads a whole record.
    pub fn parse(record: &'a [u8]) -> Option<ClientHello<'a>> {
        let hello: Read<'_, _> = (take(HEADER_BYTES), be_u8, be_u16, be_u16, be_u16, be_u16).parse(record);
        let (rest, (_, kind, version, cipher_bytes, _, _)) = hello.ok()?;
        let ciphers = rest.get(..usize::from(cipher_bytes))?;
        (kind == CLIENT_HELLO).then_some(ClientHello { version, ciphers })
    }

    pub fn ciphers(&self) -> impl Iterator<Item = u32> {
        self.ciphers.chunks_exact(3).map(|cipher| u32::from_be_bytes([0, cipher[0], cipher[1], cipher[2]]))
    }
}

impl<'a> ServerHello<'a> {
    /// Reads a whole record.
    pub fn parse(record: &'a [u8]) -> Option<ServerHello<'a>> {
        let hello: Read<'_, _> =
            (take(HEADER_BYTES), be_u8, be_u8, be_u8, be_u16, be_u16, be_u16, be_u16).parse(record);
        let (rest, (_, kind, _, certificate_type, version, bytes, _, _)) = hello.ok()?;
        if kind != SERVER_HELLO || version != VERSION {
            return None;
        }
        let certificate = rest.get(..usize::from(bytes))?;
        Some(ServerHello { certificate: if certificate_type == X509 { certificate } else { &[] } })
    }
}
