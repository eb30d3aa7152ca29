//! The flow key: one value for both directions of a conversation.

use crate::packet::Side;
use sensor_ebpf::hash::{self, HashKey};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses, ports and protocol in canonical order: the end with the lower (address, port) comes first.
///
/// Words 0 and 1 are the low end's address (an IPv4 address is the lower half of word 1), 2 and 3 the high
/// end's, word 4 holds the ports, the protocol and the family. Five words compare in five instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FlowKey([u64; 5]);

/// The part of the key that is the same for both families, as the packet has it.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
}

const FAMILY_V6: u64 = 1 << 40;

impl FlowKey {
    /// The key of no packet: protocol 0 between nothing and nothing.
    pub const EMPTY: FlowKey = FlowKey([0; 5]);

    /// Key and sender of a packet from `addresses[0]` to `addresses[1]`, host-order integers.
    #[inline(always)]
    pub fn v4(addresses: [u32; 2], ends: Ends) -> (FlowKey, Side) {
        let [source, destination] = addresses.map(|address| (0, u64::from(address)));
        FlowKey::canonical(source, destination, ends, 0)
    }

    /// As [`FlowKey::v4`]; an address is its two big-endian halves, upper first.
    #[inline(always)]
    pub fn v6([source, destination]: [(u64, u64); 2], ends: Ends) -> (FlowKey, Side) {
        FlowKey::canonical(source, destination, ends, FAMILY_V6)
    }

    #[inline(always)]
    fn canonical(
        source: (u64, u64),
        destination: (u64, u64),
        ends: Ends,
        family: u64,
    ) -> (FlowKey, Side) {
        let Ends { source_port, destination_port, protocol } = ends;
        let is_low = (source, source_port) <= (destination, destination_port);
        let (low, high, low_port, high_port) = if is_low {
            (source, destination, source_port, destination_port)
        } else {
            (destination, source, destination_port, source_port)
        };
        let rest = u64::from(low_port) | u64::from(high_port) << 16 | u64::from(protocol) << 32 | family;
        let sender = if is_low { Side::Low } else { Side::High };
        (FlowKey([low.0, low.1, high.0, high.1, rest]), sender)
    }

    /// The hash that the kernel program computes for the same packet.
    #[inline(always)]
    pub fn hash(&self, key: HashKey) -> u64 {
        let [low_upper, low_lower, high_upper, high_lower, rest] = self.0;
        let (low_port, high_port) = (rest as u16, (rest >> 16) as u16);
        if rest & FAMILY_V6 == 0 {
            let (low, high) = (low_lower as u32, high_lower as u32);
            return hash::flow_v4(key, (low, low_port), (high, high_port), self.protocol());
        }
        let (low, high) = ((low_upper, low_lower, low_port), (high_upper, high_lower, high_port));
        hash::flow_v6(key, low, high, self.protocol())
    }

    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        (self.0[4] >> 32) as u8
    }

    /// Address and port of one end.
    pub fn end(&self, side: Side) -> (IpAddr, u16) {
        let [low_upper, low_lower, high_upper, high_lower, rest] = self.0;
        let (upper, lower, port) = match side {
            Side::Low => (low_upper, low_lower, rest as u16),
            Side::High => (high_upper, high_lower, (rest >> 16) as u16),
        };
        if rest & FAMILY_V6 == 0 {
            return (IpAddr::V4(Ipv4Addr::from_bits(lower as u32)), port);
        }
        (IpAddr::V6(Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower))), port)
    }
}
