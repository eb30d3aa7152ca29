//! Community ID version 1: one short text for a flow that other tools compute alike, whichever side they name
//! first.
//!
//! The digest is SHA-1 over the seed (two zero bytes), the lower endpoint's address, the higher one's, the
//! protocol, a zero byte and, for protocols that have them, the lower endpoint's port and the higher one's. The
//! text is "1:" and the digest in base64. Public specification: Corelight, "Community ID Flow Hashing".

use crate::protocol::{ICMP, ICMPV6, SCTP, TCP, UDP};
use crate::record::FlowRecord;
use data_encoding::BASE64;
use sha1::{Digest, Sha1};
use std::fmt;
use std::net::IpAddr;

/// The digest that stands for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommunityId([u8; 20]);

/// Bytes of the text: "1:" and 28 of base64.
pub const TEXT_BYTES: usize = 30;

impl CommunityId {
    /// The same for a record and for one in which source and destination changed places.
    pub fn of(record: &FlowRecord) -> CommunityId {
        let mut input = Input { bytes: [0; INPUT_BYTES_MAX], length: SEED_BYTES };
        let ports = Ports::of(record);
        let (source, destination) = (record.source.address, record.destination.address);
        let (first, second, first_port, second_port) = match ports {
            Ports::Pair(source_port, destination_port)
                if (source, source_port) > (destination, destination_port) =>
            {
                (destination, source, destination_port, source_port)
            }
            Ports::Pair(source_port, destination_port) | Ports::OneWay(source_port, destination_port) => {
                (source, destination, source_port, destination_port)
            }
            Ports::None => (source.min(destination), source.max(destination), 0, 0),
        };
        input.push_address(first);
        input.push_address(second);
        input.push(&[record.protocol, 0]);
        if !matches!(ports, Ports::None) {
            input.push(&first_port.to_be_bytes());
            input.push(&second_port.to_be_bytes());
        }
        CommunityId(Sha1::digest(&input.bytes[..input.length]).into())
    }

    /// ASCII.
    pub fn text(&self) -> [u8; TEXT_BYTES] {
        let mut text = [0; TEXT_BYTES];
        let (version, digest) = text.split_at_mut(2);
        version.copy_from_slice(b"1:");
        BASE64.encode_mut(&self.0, digest);
        text
    }

    /// The digest's last 32 bits, for receivers that want a number.
    pub fn connection_id(&self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().into_iter().try_for_each(|byte| write!(f, "{}", char::from(byte)))
    }
}

const SEED_BYTES: usize = 2;

/// Seed, two IPv6 addresses, protocol, zero, two ports.
const INPUT_BYTES_MAX: usize = SEED_BYTES + 2 * 16 + 2 + 2 * 2;

/// What the digest is made of.
struct Input {
    bytes: [u8; INPUT_BYTES_MAX],
    length: usize,
}

impl Input {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn push_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.push(&address.octets()),
            IpAddr::V6(address) => self.push(&address.octets()),
        }
    }
}

/// What takes the place of ports.
enum Ports {
    None,
    /// Of the source and of the destination.
    Pair(u16, u16),
    /// The same, but the flow has no other direction: endpoints are not put in order.
    OneWay(u16, u16),
}

impl Ports {
    fn of(record: &FlowRecord) -> Ports {
        let counterpart: fn(u8) -> Option<u8> = match record.protocol {
            TCP | UDP | SCTP => return Ports::Pair(record.source.port, record.destination.port),
            ICMP => icmp_counterpart,
            ICMPV6 => icmpv6_counterpart,
            _ => return Ports::None,
        };
        let (kind, code) = (record.icmp.kind, record.icmp.code);
        match counterpart(kind) {
            Some(answer) => Ports::Pair(kind.into(), answer.into()),
            None => Ports::OneWay(kind.into(), code.into()),
        }
    }
}

/// The type of the answer to this ICMP message, or of the question that it answers.
fn icmp_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        // Echo, router discovery, timestamp, information, address mask.
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

fn icmpv6_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        // Echo, multicast listeners, router and neighbour discovery, node information, home agents.
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}
