//! Options of a DHCPv6 message, and those inside of them (RFC 8415 §21).

use crate::text::{write_hex, write_labels, write_numbers};
use kflow::application::{Draft, Key, protocols::dhcpv6};
use nom::{
    IResult, Parser as _,
    combinator::{rest, verify},
    multi::length_data,
    number::complete::{be_u16, be_u32, be_u128, u8},
};
use std::net::Ipv6Addr;

pub(super) const CLIENT_ID: u16 = 1;
pub(super) const SERVER_ID: u16 = 2;
const RELAY_MESSAGE: u16 = 9;
/// Associations of addresses, of temporary ones and of prefixes.
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_PD: u16 = 25;
const ADDRESS: u16 = 5;
const PREFIX: u16 = 26;
const PARAMETERS: u16 = 6;
const STATUS: u16 = 13;
/// RFC 4704.
const FQDN: u16 = 39;

const SUCCESS: u16 = 0;

/// Identifier and times, before the options of an association.
const ASSOCIATION_BYTES: usize = 12;
/// Identifier, before the options of an association of temporary addresses.
const TEMPORARY_ASSOCIATION_BYTES: usize = 4;

/// The options that are left.
#[derive(Clone, Debug)]
pub(super) struct Options<'a> {
    rest: &'a [u8],
    is_sound: bool,
}

impl<'a> Options<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Options<'a> {
        Options { rest: bytes, is_sound: true }
    }

    /// Whether everything so far was options.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Writes down those that have a field in the record. Whether all of it made sense.
    pub(super) fn note(mut self, draft: &mut Draft) -> bool {
        let mut notes = Notes { draft, status: None, is_sound: true };
        for (code, value) in self.by_ref() {
            match code {
                CLIENT_ID => notes.duid(dhcpv6::CLIENT_ID, value),
                SERVER_ID => notes.duid(dhcpv6::SERVER_ID, value),
                PARAMETERS => notes.parameters(value),
                FQDN => notes.name(value),
                STATUS => notes.status(value),
                IA_NA | IA_PD => notes.association(value.get(ASSOCIATION_BYTES..)),
                IA_TA => notes.association(value.get(TEMPORARY_ASSOCIATION_BYTES..)),
                _ => {}
            }
        }
        if let Some(status) = notes.status {
            notes.draft.number(dhcpv6::STATUS, status);
        }
        notes.is_sound && self.is_sound
    }
}

impl<'a> Iterator for Options<'a> {
    /// Code and value.
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        if self.rest.is_empty() {
            return None;
        }
        let option: IResult<_, _> = (be_u16, length_data(be_u16)).parse(self.rest);
        let Ok((rest, option)) = option else {
            self.rest = &[];
            self.is_sound = false;
            return None;
        };
        self.rest = rest;
        Some(option)
    }
}

/// What a relay's message carries.
pub(super) struct Relayed<'a> {
    /// As much of it as there is.
    pub message: &'a [u8],
    pub is_whole: bool,
}

/// What the options of a relay's message carry.
pub(super) fn relayed(mut bytes: &[u8]) -> Option<Relayed<'_>> {
    loop {
        let header: IResult<_, _> = (be_u16, be_u16).parse(bytes);
        let (rest, (code, length)) = header.ok()?;
        let option = rest.split_at_checked(usize::from(length));
        if code == RELAY_MESSAGE {
            let message = option.map_or(rest, |(message, _)| message);
            return Some(Relayed { message, is_whole: option.is_some() });
        }
        (_, bytes) = option?;
    }
}

/// What is known so far. Of several values of a kind the first one counts.
struct Notes<'a> {
    draft: &'a mut Draft,
    /// The first that is not success, else success.
    status: Option<u16>,
    is_sound: bool,
}

impl Notes<'_> {
    fn duid(&mut self, key: Key, value: &[u8]) {
        if !self.draft.has(key) {
            self.draft.text_with(key, |writer| write_hex(writer, value));
        }
    }

    fn parameters(&mut self, value: &[u8]) {
        let (codes, odd) = value.as_chunks();
        self.is_sound &= odd.is_empty();
        if !self.draft.has(dhcpv6::PARAMETERS) {
            let codes = codes.iter().map(|code| u64::from(u16::from_be_bytes(*code)));
            self.draft.text_with(dhcpv6::PARAMETERS, |writer| write_numbers(writer, codes));
        }
    }

    /// Flags and a name in DNS labels.
    fn name(&mut self, value: &[u8]) {
        let Some((_flags, name)) = value.split_first() else {
            self.is_sound = false;
            return;
        };
        if !self.draft.has(dhcpv6::FQDN) {
            let is_sound = &mut self.is_sound;
            self.draft.text_with(dhcpv6::FQDN, |writer| *is_sound &= write_labels(writer, name));
        }
    }

    /// A status code and a message to people.
    fn status(&mut self, value: &[u8]) {
        let Some((code, _message)) = value.split_first_chunk() else {
            self.is_sound = false;
            return;
        };
        let code = u16::from_be_bytes(*code);
        if matches!(self.status, None | Some(SUCCESS)) {
            self.status = Some(code);
        }
    }

    /// The options of an association; `None` if it is too short to have any.
    fn association(&mut self, options: Option<&[u8]>) {
        let Some(options) = options else {
            self.is_sound = false;
            return;
        };
        let mut options = Options::new(options);
        for (code, value) in options.by_ref() {
            match code {
                ADDRESS => self.lease(address(value)),
                PREFIX => self.lease(prefix(value)),
                STATUS => self.status(value),
                _ => {}
            }
        }
        self.is_sound &= options.is_sound;
    }

    fn lease(&mut self, lease: IResult<&[u8], Lease<'_>>) {
        let Ok((_, lease)) = lease else {
            self.is_sound = false;
            return;
        };
        let Lease { address, prefix_bits, valid_s, options } = lease;
        let key = if prefix_bits.is_some() { dhcpv6::PREFIX } else { dhcpv6::ADDRESS };
        if !self.draft.has(key) {
            self.draft.address(key, address);
            if let Some(bits) = prefix_bits {
                self.draft.number(dhcpv6::PREFIX_BITS, bits);
            }
        }
        if !self.draft.has(dhcpv6::VALID_S) {
            self.draft.number(dhcpv6::VALID_S, valid_s);
        }
        let mut options = Options::new(options);
        for (_, value) in options.by_ref().filter(|(code, _)| *code == STATUS) {
            self.status(value);
        }
        self.is_sound &= options.is_sound;
    }
}

/// An address or a prefix.
struct Lease<'a> {
    address: Ipv6Addr,
    prefix_bits: Option<u8>,
    valid_s: u32,
    options: &'a [u8],
}

fn address(value: &[u8]) -> IResult<&[u8], Lease<'_>> {
    let (end, (address, _preferred_s, valid_s, options)) = (be_u128, be_u32, be_u32, rest).parse(value)?;
    let address = Ipv6Addr::from_bits(address);
    Ok((end, Lease { address, prefix_bits: None, valid_s, options }))
}

fn prefix(value: &[u8]) -> IResult<&[u8], Lease<'_>> {
    let bits = verify(u8, |bits| *bits <= 128);
    let (end, (_preferred_s, valid_s, bits, address, options)) =
        (be_u32, be_u32, bits, be_u128, rest).parse(value)?;
    let address = Ipv6Addr::from_bits(address);
    Ok((end, Lease { address, prefix_bits: Some(bits), valid_s, options }))
}
