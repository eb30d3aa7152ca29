//! The flow key: one value for both directions of a conversation.

use crate::packet::Side;
use kflow::TunnelKind;
use sensor_ebpf::hash::{self, HashKey};
use std::{
    hint::select_unpredictable,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Addresses, ports and protocol in canonical order: the end with the lower (address, port) comes first.
///
/// Words 0 and 1 are the low end's address (an IPv4 address is the lower half of word 1), 2 and 3 the high
/// end's, word 4 holds the ports, the protocol and the family, word 5 the [`Domain`]. Six words compare in six
/// instructions.
#[derive(Clone, Copy, Debug, Eq, Default)]
pub struct FlowKey([u64; 6]);

/// Which of several address spaces a flow is in: tenants of an overlay network may use the same addresses.
///
/// Zero outside of tunnels, else the kind of the tunnel and, where both directions carry the same one, its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Domain(u64);

impl Domain {
    pub const NONE: Domain = Domain(0);

    #[inline(always)]
    pub fn new(kind: TunnelKind, id: u32) -> Domain {
        Domain((kind as u64) << 32 | u64::from(id))
    }
}

impl PartialEq for FlowKey {
    /// Without a branch: the derived one calls a function for 40 bytes.
    #[inline(always)]
    fn eq(&self, other: &FlowKey) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0, |sum, (own, other)| sum | (own ^ other));
        difference == 0
    }
}

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
    pub const EMPTY: FlowKey = FlowKey([0; 6]);

    /// Key and sender of a packet from `addresses[0]` to `addresses[1]`, host-order integers.
    #[inline(always)]
    pub fn v4(addresses: [u32; 2], ends: Ends) -> (FlowKey, Side) {
        let [source, destination] = addresses.map(u64::from);
        let is_low = (source << 16 | u64::from(ends.source_port))
            <= (destination << 16 | u64::from(ends.destination_port));
        FlowKey::canonical(is_low, [(0, source), (0, destination)], ends, 0)
    }

    /// As [`FlowKey::v4`]; an address is its two big-endian halves, upper first.
    #[inline(always)]
    pub fn v6(addresses: [(u64, u64); 2], ends: Ends) -> (FlowKey, Side) {
        let [source, destination] =
            addresses.map(|(upper, lower)| u128::from(upper) << 64 | u128::from(lower));
        let is_low =
            source < destination || (source == destination && ends.source_port <= ends.destination_port);
        FlowKey::canonical(is_low, addresses, ends, FAMILY_V6)
    }

    #[inline(always)]
    fn canonical(
        is_low: bool,
        [source, destination]: [(u64, u64); 2],
        ends: Ends,
        family: u64,
    ) -> (FlowKey, Side) {
        let Ends { source_port, destination_port, protocol } = ends;
        // Which end sends is as good as random: no branch predictor gets it right.
        let select = |low, high| select_unpredictable(is_low, low, high);
        let ports = select(
            u64::from(source_port) | u64::from(destination_port) << 16,
            u64::from(destination_port) | u64::from(source_port) << 16,
        );
        let key = FlowKey([
            select(source.0, destination.0),
            select(source.1, destination.1),
            select(destination.0, source.0),
            select(destination.1, source.1),
            ports | u64::from(protocol) << 32 | family,
            0,
        ]);
        (key, select_unpredictable(is_low, Side::Low, Side::High))
    }

    /// The same flow in another address space.
    #[must_use]
    pub fn within(mut self, domain: Domain) -> FlowKey {
        self.0[5] = domain.0;
        self
    }

    /// The hash that the kernel program computes for the same packet; in a domain, one of its own.
    #[inline(always)]
    pub fn hash(&self, key: HashKey) -> u64 {
        let [low_upper, low_lower, high_upper, high_lower, rest, domain] = self.0;
        let (low_port, high_port) = (rest as u16, (rest >> 16) as u16);
        let plain = if rest & FAMILY_V6 == 0 {
            let (low, high) = (low_lower as u32, high_lower as u32);
            hash::flow_v4(key, (low, low_port), (high, high_port), self.protocol())
        } else {
            let (low, high) = ((low_upper, low_lower, low_port), (high_upper, high_lower, high_port));
            hash::flow_v6(key, low, high, self.protocol())
        };
        if domain == 0 { plain } else { hash::within(key, plain, domain) }
    }

    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        (self.0[4] >> 32) as u8
    }

    /// Port of one end.
    #[inline]
    pub fn port(&self, side: Side) -> u16 {
        let [.., ports_and_protocol, _] = self.0;
        match side {
            Side::Low => ports_and_protocol as u16,
            Side::High => (ports_and_protocol >> 16) as u16,
        }
    }

    /// Address and port of one end.
    pub fn end(&self, side: Side) -> (IpAddr, u16) {
        let [low_upper, low_lower, high_upper, high_lower, rest, _] = self.0;
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
