//! One NTP message.

use crate::{
    parser::Failure,
    text::{trim_nuls, write_hex},
};
use kflow::application::{Draft, protocols::ntp};
use nom::{
    IResult, Parser as _,
    bytes::complete::take,
    combinator::{rest as all, verify},
    multi::length_data,
    number::complete::{be_u16, be_u32, be_u64, u8},
};

/// Reserved, but what clients of version 1 send.
const UNSPECIFIED: u8 = 0;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
const CONTROL: u8 = 6;
const PRIVATE: u8 = 7;

const VERSION_1: u8 = 1;
const VERSION_4: u8 = 4;

/// Set in answers of control and private modes.
const IS_ANSWER: u8 = 0x80;
/// Where a datagram of an answer in private mode is in the whole.
const PRIVATE_SEQUENCE: u8 = 0x7f;
/// Number and size of items in private mode; what is above is something else.
const ITEMS: u16 = 0x0fff;

/// Stratum from which on the reference identifier is a number; below it names a clock, or says why there is none.
const SECONDARY: u8 = 2;

/// A key identifier without a digest, with one of MD5 or AES-CMAC, and with one of SHA-1 (RFC 5905 §7.3, RFC 8573).
const MAC_BYTES: [usize; 3] = [4, 20, 24];
/// Longest of version 3, whose implementations allow for other digests.
const OLD_MAC_BYTES_MAX: usize = 68;
/// RFC 7822 §3.
const EXTENSION_BYTES_MIN: usize = 16;

#[derive(Debug)]
pub(super) struct Message {
    version: u8,
    mode: u8,
    clock: Option<Clock>,
    pub role: Role,
}

/// What a message is to others, with the mode of the request and what its answer repeats.
#[derive(Debug)]
pub(super) enum Role {
    Request((u8, u64)),
    Answer((u8, u64)),
    Alone,
    /// More of an answer.
    Continuation,
}

/// What a sender says of its clock.
#[derive(Debug)]
struct Clock {
    leap: u8,
    stratum: u8,
    reference_id: [u8; 4],
}

impl Message {
    pub(super) fn read(bytes: &[u8]) -> Result<Message, Failure> {
        let Some((&first, rest)) = bytes.split_first() else { return Err(Failure::Malformed) };
        let (version, mode) = (first >> 3 & 7, first & 7);
        if !(VERSION_1..=VERSION_4).contains(&version) || (mode == UNSPECIFIED && version != VERSION_1) {
            return Err(Failure::Unsupported);
        }
        let read = match mode {
            CONTROL => control(rest),
            PRIVATE => private(bytes),
            _ => time(first, rest),
        };
        let (_, (clock, role)) = read.map_err(|_| Failure::Malformed)?;
        Ok(Message { version, mode, clock, role })
    }

    /// Version and mode are those of the first message, the rest that of the last.
    pub(super) fn note(&self, draft: &mut Draft) {
        if !draft.has(ntp::MODE) {
            draft.number(ntp::VERSION, self.version);
            draft.number(ntp::MODE, self.mode);
        }
        let Some(clock) = &self.clock else { return };
        draft.number(ntp::STRATUM, clock.stratum);
        draft.number(ntp::LEAP, clock.leap);
        if matches!(self.role, Role::Request(_)) {
            return;
        }
        let name = trim_nuls(&clock.reference_id);
        if clock.stratum >= SECONDARY {
            draft.text_with(ntp::REFERENCE_ID, |writer| write_hex(writer, &clock.reference_id));
        } else if !name.is_empty() {
            draft.text(ntp::REFERENCE_ID, name);
        }
    }
}

/// A message that carries time, behind its first byte.
fn time(first: u8, input: &[u8]) -> IResult<&[u8], (Option<Clock>, Role)> {
    let (version, mode) = (first >> 3 & 7, first & 7);
    let reference_id = be_u32.map(u32::to_be_bytes);
    let (rest, (stratum, _poll, _precision, _delay_and_dispersion)) = (u8, u8, u8, be_u64).parse(input)?;
    let (rest, (reference_id, _reference)) = (reference_id, be_u64).parse(rest)?;
    let (rest, (origin, _receive, transmit)) = (be_u64, be_u64, be_u64).parse(rest)?;
    let (rest, _) = verify(all, |tail: &[u8]| is_tail(version, tail)).parse(rest)?;
    let role = match mode {
        UNSPECIFIED | CLIENT => Role::Request((CLIENT, transmit)),
        SERVER => Role::Answer((CLIENT, origin)),
        _ => Role::Alone,
    };
    Ok((rest, (Some(Clock { leap: first >> 6, stratum, reference_id }), role)))
}

/// Whether extension fields and what authenticates the message can look like this.
fn is_tail(version: u8, mut tail: &[u8]) -> bool {
    if version < VERSION_4 {
        return tail.len() <= OLD_MAC_BYTES_MAX && tail.len().is_multiple_of(4);
    }
    while !tail.is_empty() && !MAC_BYTES.contains(&tail.len()) {
        let [_, _, high, low, ..] = *tail else { return false };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < EXTENSION_BYTES_MIN || !length.is_multiple_of(4) {
            return false;
        }
        let Some(rest) = tail.get(length..) else { return false };
        tail = rest;
    }
    true
}

/// A control message, behind its first byte.
fn control(input: &[u8]) -> IResult<&[u8], (Option<Clock>, Role)> {
    let (rest, (operation, sequence, _status, association)) = (u8, be_u16, be_u16, be_u16).parse(input)?;
    let (rest, (offset, _data)) = (be_u16, length_data(be_u16)).parse(rest)?;
    let id = (CONTROL, u64::from(sequence) << 16 | u64::from(association));
    let role = match (operation & IS_ANSWER != 0, offset) {
        (false, _) => Role::Request(id),
        (true, 0) => Role::Answer(id),
        (true, _) => Role::Continuation,
    };
    Ok((rest, (None, role)))
}

/// A private message, with its first byte.
fn private(input: &[u8]) -> IResult<&[u8], (Option<Clock>, Role)> {
    let (rest, (first, sequence, implementation, request)) = (u8, u8, u8, u8).parse(input)?;
    let (rest, (items, item_bytes)) = (be_u16, be_u16).parse(rest)?;
    let data_bytes = usize::from(items & ITEMS) * usize::from(item_bytes & ITEMS);
    let (rest, _) = take(data_bytes).parse(rest)?;
    let id = (PRIVATE, u64::from(implementation) << 8 | u64::from(request));
    let role = match (first & IS_ANSWER != 0, sequence & PRIVATE_SEQUENCE) {
        (false, _) => Role::Request(id),
        (true, 0) => Role::Answer(id),
        (true, _) => Role::Continuation,
    };
    Ok((rest, (None, role)))
}
