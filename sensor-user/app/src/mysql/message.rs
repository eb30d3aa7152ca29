//! The packets of a start-up: bytes behind the packet header in, fields out.

use super::{GREETING_BYTES_MAX, HEADER_BYTES};
use crate::parser::Recognition;
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take, take_till},
    combinator::{cond, opt},
    number::complete::{le_u8, le_u16, le_u24, le_u32, le_u64},
};

/// First bytes of packets of the server.
pub(super) const OK: u8 = 0x00;
const ERROR: u8 = 0xFF;
const PROTOCOL_10: u8 = 10;

/// Errors of servers have numbers from 1000 on; those from 2000 to 2999 are a client's own.
const ERRORS: std::ops::Range<u16> = 1000..5000;

/// What the client is able to do.
const CONNECT_WITH_DATABASE: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const TLS: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN: u32 = 1 << 19;
const PROOF_WITH_LENGTH: u32 = 1 << 21;

/// A request for TLS is the part of an answer in front of the user: of protocol 4.1, and of the one before.
const TLS_REQUEST_BYTES: usize = 32;
const OLD_TLS_REQUEST_BYTES: usize = 5;

/// What the server begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting<'a> {
    pub version: &'a [u8],
    pub connection_id: u32,
}

/// What the client says to it. What was not said is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub is_tls_request: bool,
    pub user: &'a [u8],
    pub database: &'a [u8],
    pub plugin: &'a [u8],
}

/// An error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub code: u16,
    pub state: Option<&'a [u8]>,
}

impl<'a> Greeting<'a> {
    pub fn read(body: &'a [u8]) -> Option<Greeting<'a>> {
        greeting(body).ok().map(|(_, greeting)| greeting)
    }
}

impl<'a> Answer<'a> {
    pub fn read(body: &'a [u8]) -> Option<Answer<'a>> {
        let (_, capabilities) = le_u16::<_, ()>(body).ok()?;
        let is_41 = u32::from(capabilities) & PROTOCOL_41 != 0;
        let request_bytes = if is_41 { TLS_REQUEST_BYTES } else { OLD_TLS_REQUEST_BYTES };
        if u32::from(capabilities) & TLS != 0 && body.len() == request_bytes {
            return Some(Answer { is_tls_request: true, user: b"", database: b"", plugin: b"" });
        }
        let answer = if is_41 { answer_41(body) } else { answer_320(body) };
        answer.ok().map(|(_, answer)| answer)
    }
}

impl<'a> Refusal<'a> {
    pub fn read(body: &'a [u8]) -> Option<Refusal<'a>> {
        refusal(body).ok().map(|(_, refusal)| refusal)
    }
}

/// Whether a server's first packet begins like this. The greeting has fixed values far apart, of which all have to
/// be there.
pub(super) fn recognise(bytes: &[u8]) -> Recognition {
    let bytes = &bytes[..bytes.len().min(GREETING_BYTES_MAX)];
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        // The middle of the length is below what is allowed at most, its upper part is zero.
        let is_so_far = bytes.get(1).is_none_or(|middle| usize::from(*middle) < GREETING_BYTES_MAX >> 8)
            && bytes.get(2).is_none_or(|upper| *upper == 0);
        return if is_so_far { Recognition::More } else { Recognition::No };
    };
    let [low, middle, upper, number] = *header;
    let packet_bytes = HEADER_BYTES + u32::from_le_bytes([low, middle, upper, 0]) as usize;
    if packet_bytes > GREETING_BYTES_MAX || number != 0 {
        return Recognition::No;
    }
    let body_bytes = packet_bytes - HEADER_BYTES;
    let (body, is_whole) = match body.get(..body_bytes) {
        Some(body) => (body, true),
        None => (body, false),
    };
    let is_so_far = match body.first() {
        None => !is_whole,
        Some(&PROTOCOL_10) => is_version_so_far(&body[1..]),
        Some(&ERROR) => is_refusal_so_far(&body[1..]),
        Some(_) => false,
    };
    if !is_so_far {
        return Recognition::No;
    }
    if !is_whole {
        return Recognition::More;
    }
    let is_refusal = Refusal::read(body).is_some();
    if is_refusal || Greeting::read(body).is_some() { Recognition::Yes } else { Recognition::No }
}

/// Versions begin with a digit, also those of servers that only speak the protocol, and can be read.
fn is_version_so_far(bytes: &[u8]) -> bool {
    let version = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    bytes.first().is_none_or(u8::is_ascii_digit) && version.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The text may be in any language.
fn is_refusal_so_far(bytes: &[u8]) -> bool {
    let Some((code, text)) = bytes.split_first_chunk() else { return true };
    ERRORS.contains(&u16::from_le_bytes(*code)) && text.iter().all(|byte| *byte >= b' ')
}

/// Protocol, version, connection, proof, NUL, lower half of what the server is able to do; then what newer servers say.
fn greeting(body: &[u8]) -> IResult<&[u8], Greeting<'_>> {
    let version = take_till(|byte| byte == 0);
    let (rest, (_, version, _, connection_id)) =
        (tag(&[PROTOCOL_10][..]), version, tag(&[0][..]), le_u32).parse(body)?;
    let (rest, _) = (take(8usize), tag(&[0][..]), le_u16).parse(rest)?;
    Ok((rest, Greeting { version, connection_id }))
}

/// Capabilities, longest packet, character set, 23 bytes of padding; user; proof; database; plugin; attributes.
fn answer_41(body: &[u8]) -> IResult<&[u8], Answer<'_>> {
    let (rest, (capabilities, _)) = (le_u32, take(28usize)).parse(body)?;
    let has = |capability| capabilities & capability != 0;
    let (rest, user) = text(rest)?;
    let (rest, _) = match (has(PROOF_WITH_LENGTH), has(SECURE_CONNECTION)) {
        (true, _) => proof_with_length(rest)?,
        (false, true) => nom::multi::length_data(le_u8).parse(rest)?,
        (false, false) => text(rest)?,
    };
    let (rest, database) = cond(has(CONNECT_WITH_DATABASE), text).parse(rest)?;
    let (rest, plugin) = cond(has(PLUGIN), text).parse(rest)?;
    let (database, plugin) = (database.unwrap_or_default(), plugin.unwrap_or_default());
    Ok((rest, Answer { is_tls_request: false, user, database, plugin }))
}

/// Capabilities, longest packet; user; proof; database.
fn answer_320(body: &[u8]) -> IResult<&[u8], Answer<'_>> {
    let (rest, (capabilities, _, user, _)) = (le_u16, le_u24, text, text).parse(body)?;
    let has_database = u32::from(capabilities) & CONNECT_WITH_DATABASE != 0;
    let (rest, database) = cond(has_database, text).parse(rest)?;
    Ok((rest, Answer { is_tls_request: false, user, database: database.unwrap_or_default(), plugin: b"" }))
}

/// Code; a state of five characters, which servers leave out before they know whom they talk to; a text.
fn refusal(body: &[u8]) -> IResult<&[u8], Refusal<'_>> {
    let (rest, (_, code)) = (tag(&[ERROR][..]), le_u16).parse(body)?;
    let (rest, state) = opt((tag("#"), take(5usize))).parse(rest)?;
    Ok((rest, Refusal { code, state: state.map(|(_, state)| state) }))
}

/// A text that ends with NUL or, as some clients send the last one, with the packet.
fn text(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, text) = take_till(|byte| byte == 0).parse(bytes)?;
    Ok((rest.get(1..).unwrap_or_default(), text))
}

/// Bytes behind a length of one, two, three or eight bytes.
fn proof_with_length(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, first) = le_u8(bytes)?;
    let (rest, length) = match first {
        0xFC => le_u16.map(u64::from).parse(rest)?,
        0xFD => le_u24.map(u64::from).parse(rest)?,
        0xFE => le_u64(rest)?,
        short => (rest, u64::from(short)),
    };
    take(length).parse(rest)
}
