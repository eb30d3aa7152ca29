//! RADIUS: access and accounting (RFC 2865, RFC 2866).

use std::net::Ipv4Addr;

use super::bytes::Bytes;
use super::words::{hex, host, word};
use super::{Said, Script};
use crate::mix::random::Random;

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCOUNTING_REQUEST: u8 = 4;
const ACCOUNTING_RESPONSE: u8 = 5;

mod attribute {
    pub const USER_NAME: u8 = 1;
    pub const USER_PASSWORD: u8 = 2;
    pub const NAS_ADDRESS: u8 = 4;
    pub const NAS_PORT: u8 = 5;
    pub const SERVICE_TYPE: u8 = 6;
    pub const FRAMED_PROTOCOL: u8 = 7;
    pub const FRAMED_ADDRESS: u8 = 8;
    pub const FRAMED_MASK: u8 = 9;
    pub const CALLED_STATION: u8 = 30;
    pub const CALLING_STATION: u8 = 31;
    pub const NAS_ID: u8 = 32;
    pub const ACCOUNTING_STATUS: u8 = 40;
    pub const SESSION_ID: u8 = 44;
}

pub fn script(random: &mut Random) -> Script {
    let is_access = random.one_in(2);
    let mut script = Script::udp(if is_access { 1812 } else { 1813 });
    let first = random.between(0, 255) as u8;
    for number in 0..random.between(1, 3) as u8 {
        let identifier = first.wrapping_add(number);
        let (code, mut attributes) = if is_access { access(random) } else { accounting(random) };
        common(&mut attributes, random);
        script.client(message(code, identifier, random.bytes(16), &attributes));
        let mut said = attributes.said.with("radius_code", code).with("radius_identifier", identifier);
        if !random.one_in(8) {
            let (code, attributes) = answer(is_access, random);
            script.server(message(code, identifier, random.bytes(16), &attributes));
            said.fields.extend(attributes.said.fields);
            said = Said { is_answered: true, ..said.with("radius_answer_code", code) };
        }
        script.said.push(said);
    }
    script
}

/// Attributes as bytes and as they are said.
struct Attributes {
    bytes: Bytes,
    said: Said,
}

impl Attributes {
    fn new() -> Attributes {
        Attributes { bytes: Bytes::new(), said: Said::of("radius") }
    }

    fn bare(&mut self, kind: u8, value: &[u8]) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = bytes.u8(kind).u8(value.len() as u8 + 2).put(value);
    }

    fn text(&mut self, kind: u8, field: &str, value: &str) {
        self.bare(kind, value.as_bytes());
        self.said.set(field, value);
    }

    fn number(&mut self, kind: u8, field: &str, value: u32) {
        self.bare(kind, &value.to_be_bytes());
        self.said.set(field, value);
    }

    fn address(&mut self, kind: u8, field: &str, value: Ipv4Addr) {
        self.bare(kind, &value.octets());
        self.said.set(field, value);
    }
}

fn access(random: &mut Random) -> (u8, Attributes) {
    let mut attributes = Attributes::new();
    attributes.text(attribute::USER_NAME, "radius_user", &word(random));
    attributes.bare(attribute::USER_PASSWORD, &random.bytes(16));
    attributes.number(attribute::SERVICE_TYPE, "radius_service_type", 2);
    attributes.number(attribute::FRAMED_PROTOCOL, "radius_framed_protocol", 1);
    (ACCESS_REQUEST, attributes)
}

fn accounting(random: &mut Random) -> (u8, Attributes) {
    let mut attributes = Attributes::new();
    let status = random.between(1, 3) as u32;
    attributes.number(attribute::ACCOUNTING_STATUS, "radius_accounting_status", status);
    attributes.text(attribute::SESSION_ID, "radius_session_id", &hex(&random.bytes(4)));
    attributes.text(attribute::USER_NAME, "radius_user", &word(random));
    (ACCOUNTING_REQUEST, attributes)
}

/// What the server that the user dials in to says of itself.
fn common(attributes: &mut Attributes, random: &mut Random) {
    let address = Ipv4Addr::new(192, 0, 2, random.between(1, 254) as u8);
    attributes.address(attribute::NAS_ADDRESS, "radius_nas_address", address);
    attributes.number(attribute::NAS_PORT, "radius_nas_port", random.between(0, 5_000) as u32);
    attributes.text(attribute::NAS_ID, "radius_nas_id", &host(random));
    attributes.text(attribute::CALLED_STATION, "radius_called_station", &hex(&random.bytes(6)));
    attributes.text(attribute::CALLING_STATION, "radius_calling_station", &hex(&random.bytes(6)));
}

fn answer(is_access: bool, random: &mut Random) -> (u8, Attributes) {
    let mut attributes = Attributes::new();
    if !is_access {
        return (ACCOUNTING_RESPONSE, attributes);
    }
    if random.one_in(4) {
        return (ACCESS_REJECT, attributes);
    }
    let address = Ipv4Addr::new(100, 64, random.between(0, 255) as u8, random.between(1, 254) as u8);
    attributes.address(attribute::FRAMED_ADDRESS, "radius_framed_address", address);
    let mask = Ipv4Addr::new(255, 255, 255, 0);
    attributes.address(attribute::FRAMED_MASK, "radius_framed_mask", mask);
    (ACCESS_ACCEPT, attributes)
}

fn message(code: u8, identifier: u8, authenticator: Vec<u8>, attributes: &Attributes) -> Bytes {
    let length = 20 + attributes.bytes.as_ref().len() as u16;
    Bytes::new().u8(code).u8(identifier).u16(length).put(authenticator).put(&attributes.bytes)
}
