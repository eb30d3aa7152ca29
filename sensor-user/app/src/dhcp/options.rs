//! Options of a DHCP message (RFC 2132).

use crate::text::{trim_nuls, write_hex, write_labels, write_numbers};
use kflow::application::{Draft, Key, TextWriter, protocols::dhcp};
use std::net::Ipv4Addr;

const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const DOMAIN: u8 = 15;
const REQUESTED_ADDRESS: u8 = 50;
const LEASE: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const PARAMETERS: u8 = 55;
const VENDOR_CLASS: u8 = 60;
const CLIENT_ID: u8 = 61;
const FQDN: u8 = 81;
const END: u8 = 255;

/// Of an option in several pieces, what is beyond is left out.
const JOINED_BYTES_MAX: usize = 1024;

/// Flag of FQDN: the name is in DNS labels (RFC 4702 §2.1).
const FQDN_IS_IN_LABELS: u8 = 4;

/// The options that are left, in the order in which pieces of one option belong together (RFC 3396 §5).
#[derive(Clone, Debug)]
pub(super) struct Options<'a> {
    /// The field for options, file and server name, as far as the last two hold options.
    fields: [&'a [u8]; 3],
    is_sound: bool,
}

impl<'a> Options<'a> {
    pub(super) fn new(options: &'a [u8], file: &'a [u8], server_name: &'a [u8]) -> Options<'a> {
        let alone = Options { fields: [options, &[], &[]], is_sound: true };
        let overload = alone.clone().find(|(code, _)| *code == OVERLOAD);
        match overload {
            Some((_, [1])) => Options { fields: [options, file, &[]], ..alone },
            Some((_, [2])) => Options { fields: [options, &[], server_name], ..alone },
            Some((_, [3])) => Options { fields: [options, file, server_name], ..alone },
            _ => alone,
        }
    }

    /// Writes down those that have a field in the record. Whether all of it made sense.
    pub(super) fn note(mut self, draft: &mut Draft) -> bool {
        let mut is_sound = true;
        let mut buffer = [0; JOINED_BYTES_MAX];
        while let Some((code, value)) = self.next() {
            is_sound &= match code {
                MESSAGE_TYPE => note_number::<1>(draft, dhcp::MESSAGE_TYPE, value),
                LEASE => note_number::<4>(draft, dhcp::LEASE_S, value),
                REQUESTED_ADDRESS => note_address(draft, dhcp::REQUESTED_ADDRESS, value),
                SERVER_ID => note_address(draft, dhcp::SERVER_ID, value),
                HOST_NAME => self.note_text(draft, dhcp::HOST_NAME, (code, value), &mut buffer, write_text),
                DOMAIN => self.note_text(draft, dhcp::DOMAIN, (code, value), &mut buffer, write_text),
                VENDOR_CLASS => {
                    self.note_text(draft, dhcp::VENDOR_CLASS, (code, value), &mut buffer, write_text)
                }
                PARAMETERS => {
                    self.note_text(draft, dhcp::PARAMETERS, (code, value), &mut buffer, write_codes)
                }
                CLIENT_ID => self.note_text(draft, dhcp::CLIENT_ID, (code, value), &mut buffer, write_bytes),
                FQDN => self.note_text(draft, dhcp::FQDN, (code, value), &mut buffer, write_fqdn),
                _ => true,
            };
        }
        is_sound && self.is_sound
    }

    /// Writes down a text, of which this is the first piece unless it has been written already. Whether it made sense.
    fn note_text(
        &self,
        draft: &mut Draft,
        key: Key,
        (code, first): (u8, &[u8]),
        buffer: &mut [u8; JOINED_BYTES_MAX],
        write: fn(&mut TextWriter<'_>, &[u8]) -> bool,
    ) -> bool {
        if draft.has(key) {
            return true;
        }
        let value = self.joined(code, first, buffer);
        let mut is_sound = false;
        draft.text_with(key, |writer| is_sound = write(writer, value));
        is_sound
    }

    /// A piece together with those that follow it.
    fn joined<'b>(&self, code: u8, first: &'b [u8], buffer: &'b mut [u8; JOINED_BYTES_MAX]) -> &'b [u8] {
        let mut others = self.clone().filter(|other| other.0 == code).peekable();
        if others.peek().is_none() {
            return first;
        }
        let mut length = 0;
        for piece in [first].into_iter().chain(others.map(|(_, value)| value)) {
            let taken = piece.len().min(buffer.len() - length);
            buffer[length..length + taken].copy_from_slice(&piece[..taken]);
            length += taken;
        }
        &buffer[..length]
    }
}

impl<'a> Iterator for Options<'a> {
    /// Code and value.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        for field in &mut self.fields {
            while let Some((&code, rest)) = field.split_first() {
                *field = rest;
                if code == END {
                    *field = &[];
                } else if code != PAD {
                    let Some((value, rest)) = value_and_rest(rest) else {
                        *field = &[];
                        self.is_sound = false;
                        break;
                    };
                    *field = rest;
                    return Some((code, value));
                }
            }
        }
        None
    }
}

/// What follows the code of an option.
fn value_and_rest(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// The first of several counts.
fn note_number<const BYTES: usize>(draft: &mut Draft, key: Key, value: &[u8]) -> bool {
    if value.len() == BYTES && !draft.has(key) {
        draft.number(key, value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    value.len() == BYTES
}

fn note_address(draft: &mut Draft, key: Key, value: &[u8]) -> bool {
    let Ok(octets) = <[u8; 4]>::try_from(value) else { return false };
    if !draft.has(key) {
        draft.address(key, Ipv4Addr::from_octets(octets));
    }
    true
}

fn write_text(writer: &mut TextWriter<'_>, value: &[u8]) -> bool {
    writer.push(trim_nuls(value));
    true
}

fn write_codes(writer: &mut TextWriter<'_>, value: &[u8]) -> bool {
    write_numbers(writer, value.iter().map(|code| u64::from(*code)));
    true
}

fn write_bytes(writer: &mut TextWriter<'_>, value: &[u8]) -> bool {
    write_hex(writer, value);
    true
}

/// Flags, two response codes that are not used any more, and the name (RFC 4702 §2).
fn write_fqdn(writer: &mut TextWriter<'_>, value: &[u8]) -> bool {
    match value {
        [flags, _, _, name @ ..] if flags & FQDN_IS_IN_LABELS != 0 => write_labels(writer, name),
        [_, _, _, name @ ..] => write_text(writer, name),
        _ => false,
    }
}
