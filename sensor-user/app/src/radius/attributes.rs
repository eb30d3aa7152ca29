//! Attributes of a RADIUS message (RFC 2865 §5, RFC 2866 §5).

use kflow::application::{Draft, Key, protocols::radius};
use nom::{IResult, Parser as _, combinator::map_opt, multi::length_data, number::complete::u8};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const USER: u8 = 1;
pub(super) const NAS_ADDRESS: u8 = 4;
const NAS_PORT: u8 = 5;
const SERVICE_TYPE: u8 = 6;
const FRAMED_PROTOCOL: u8 = 7;
pub(super) const FRAMED_ADDRESS: u8 = 8;
const FRAMED_MASK: u8 = 9;
const CALLED_STATION: u8 = 30;
pub(super) const CALLING_STATION: u8 = 31;
pub(super) const NAS_ID: u8 = 32;
pub(super) const ACCOUNTING_STATUS: u8 = 40;
pub(super) const SESSION_ID: u8 = 44;
/// RFC 3162.
pub(super) const NAS_IPV6_ADDRESS: u8 = 95;

/// Type and length, which the length of an attribute includes.
const HEADER_BYTES: u8 = 2;

/// The attributes that are left.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
    is_sound: bool,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Number,
    /// A number whose field is a text.
    Decimal,
    Ipv4,
    Ipv6,
}

impl<'a> Attributes<'a> {
    /// The attributes in so many bytes, as far as there are as many.
    pub(super) fn new(bytes: &'a [u8], length: usize) -> Attributes<'a> {
        Attributes { rest: &bytes[..length.min(bytes.len())], is_sound: length <= bytes.len() }
    }

    /// Writes down those that the draft does not have yet. Whether all of it made sense.
    pub(super) fn note(mut self, draft: &mut Draft) -> bool {
        let mut is_sound = true;
        for (kind, value) in self.by_ref() {
            let Some((key, form)) = known(kind) else { continue };
            let is_possible = form.fits(value);
            is_sound &= is_possible;
            if is_possible && !draft.has(key) {
                form.note(draft, key, value);
            }
        }
        is_sound && self.is_sound
    }

    /// Whether all of it is attributes, at least two, among them one of these.
    pub(super) fn are_sound_with(mut self, wanted: &[u8]) -> bool {
        let (mut is_sound, mut has_wanted, mut count) = (true, false, 0);
        for (kind, value) in self.by_ref() {
            is_sound &= known(kind).is_none_or(|(_, form)| form.fits(value));
            has_wanted |= wanted.contains(&kind);
            count += 1;
        }
        is_sound && self.is_sound && has_wanted && count >= 2
    }
}

impl<'a> Iterator for Attributes<'a> {
    /// Type and value.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        if self.rest.is_empty() {
            return None;
        }
        let value_bytes = map_opt(u8, |length| length.checked_sub(HEADER_BYTES));
        let attribute: IResult<_, _> = (u8, length_data(value_bytes)).parse(self.rest);
        let Ok((rest, attribute)) = attribute else {
            self.rest = &[];
            self.is_sound = false;
            return None;
        };
        self.rest = rest;
        Some(attribute)
    }
}

impl Form {
    fn fits(self, value: &[u8]) -> bool {
        match self {
            Form::Text => true,
            Form::Number | Form::Decimal | Form::Ipv4 => value.len() == 4,
            Form::Ipv6 => value.len() == 16,
        }
    }

    /// Writes down a value that fits.
    fn note(self, draft: &mut Draft, key: Key, value: &[u8]) {
        let number = || value.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
        match self {
            Form::Text => draft.text(key, value),
            Form::Number => draft.number(key, number() as u32),
            Form::Decimal => draft.text_with(key, |writer| writer.push_number(number() as u64)),
            Form::Ipv4 => draft.address(key, Ipv4Addr::from_bits(number() as u32)),
            Form::Ipv6 => draft.address(key, Ipv6Addr::from_bits(number())),
        }
    }
}

/// What attributes of the record are.
fn known(kind: u8) -> Option<(Key, Form)> {
    let known = match kind {
        USER => (radius::USER, Form::Text),
        NAS_ADDRESS => (radius::NAS_ADDRESS, Form::Ipv4),
        NAS_PORT => (radius::NAS_PORT, Form::Number),
        SERVICE_TYPE => (radius::SERVICE_TYPE, Form::Number),
        FRAMED_PROTOCOL => (radius::FRAMED_PROTOCOL, Form::Decimal),
        FRAMED_ADDRESS => (radius::FRAMED_ADDRESS, Form::Ipv4),
        FRAMED_MASK => (radius::FRAMED_MASK, Form::Ipv4),
        CALLED_STATION => (radius::CALLED_STATION, Form::Text),
        CALLING_STATION => (radius::CALLING_STATION, Form::Text),
        NAS_ID => (radius::NAS_ID, Form::Text),
        ACCOUNTING_STATUS => (radius::ACCOUNTING_STATUS, Form::Number),
        SESSION_ID => (radius::SESSION_ID, Form::Text),
        NAS_IPV6_ADDRESS => (radius::NAS_ADDRESS, Form::Ipv6),
        _ => return None,
    };
    Some(known)
}
