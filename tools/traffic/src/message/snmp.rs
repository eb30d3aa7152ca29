//! SNMP of versions 1 and 2c (RFC 1157, RFC 3416), in BER (ITU-T X.690).

use super::bytes::Bytes;
use super::words::{joined, word};
use super::{Said, Script};
use crate::mix::random::Random;

mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    /// The first kind of message; the others count from it.
    pub const PDU: u8 = 0xA0;
}

const RESPONSE: u8 = 2;
const REQUESTS: [u8; 3] = [0, 1, 3];
/// Version 1 has no other errors (RFC 1157 §4.1.1).
const ERROR_MAX: u64 = 5;

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::udp(161);
    let version = random.between(0, 1) as u8;
    let community = word(random);
    let first = random.between(1, 0x7FFF_0000) as u32;
    for number in 0..random.between(1, 3) as u32 {
        let request_id = first + number;
        let pdu = REQUESTS[random.index(REQUESTS.len())];
        let objects: Vec<Vec<u8>> = (0..random.between(1, 4)).map(|_| object(random)).collect();
        let message = |pdu, error, value: &[u8]| {
            let bindings = objects.iter().map(|object| {
                element(tag::SEQUENCE, element(tag::OBJECT_IDENTIFIER, &object[1..]).put(value))
            });
            let bindings = bindings.fold(Bytes::new(), Bytes::put);
            let header = integer(&request_id.to_be_bytes()).put(integer(&[error]));
            let index = integer(&[u8::from(error > 0)]);
            let content = header.put(index).put(element(tag::SEQUENCE, bindings));
            let community = element(tag::OCTET_STRING, &community);
            let message = integer(&[version]).put(community).put(element(tag::PDU + pdu, content));
            element(tag::SEQUENCE, message)
        };
        script.client(message(pdu, 0, element(tag::NULL, []).as_ref()));
        let mut said = Said::of("snmp")
            .with("snmp_community", &community)
            .with("snmp_object", dotted(&objects[0]))
            .with("snmp_version", version)
            .with("snmp_pdu", pdu)
            .with("snmp_request_id", request_id)
            .with("snmp_objects", objects.len());
        if !random.one_in(8) {
            let error = if random.one_in(4) { random.between(1, ERROR_MAX) as u8 } else { 0 };
            script.server(message(RESPONSE, error, integer(&[random.between(0, 127) as u8]).as_ref()));
            said = Said { is_answered: true, ..said.with("snmp_error_status", error) };
        }
        script.said.push(said);
    }
    script
}

/// Below 1.3.6.1.2.1, each number of one byte; the first two together are one byte, here behind a place for the first.
fn object(random: &mut Random) -> Vec<u8> {
    let mut numbers = vec![1, 0x2B, 6, 1, 2, 1];
    numbers.extend((0..random.between(3, 9)).map(|_| random.between(1, 127) as u8));
    numbers
}

fn dotted(object: &[u8]) -> String {
    format!("1.3.{}", joined(&object[2..], "."))
}

fn integer(bytes: &[u8]) -> Bytes {
    element(tag::INTEGER, bytes)
}

fn element(tag: u8, content: impl AsRef<[u8]>) -> Bytes {
    let bytes = content.as_ref().len();
    let head = Bytes::new().u8(tag);
    if bytes < 0x80 { head.sized8(content) } else { head.u8(0x82).sized16(content) }
}
