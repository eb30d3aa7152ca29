//! What a record has something in, of which its template follows.

use crate::config::{Biflow, Format, IpfixConfig};
use crate::element::{Side, own};
use kflow::{AppProtocol, EndReason};

/// What a record has something in: one bit a part, the application's protocol above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape(pub(crate) u64);

impl Shape {
    pub(crate) const IPV6: u64 = 1;
    pub(crate) const ICMP: u64 = 1 << 1;
    pub(crate) const PATH: u64 = 1 << 2;
    pub(crate) const PATH_BACK: u64 = 1 << 3;
    pub(crate) const MPLS: u64 = 1 << 4;
    pub(crate) const MPLS_BACK: u64 = 1 << 5;
    pub(crate) const PPPOE: u64 = 1 << 6;
    pub(crate) const TUNNEL: u64 = 1 << 7;
    pub(crate) const TUNNEL_SOURCE_IPV6: u64 = 1 << 8;
    pub(crate) const TUNNEL_DESTINATION_IPV6: u64 = 1 << 9;
    pub(crate) const LATENCY: u64 = 1 << 10;
    pub(crate) const CONNECTION: u64 = 1 << 11;
    pub(crate) const TCP: u64 = 1 << 12;
    pub(crate) const TROUBLE: u64 = 1 << 13;
    pub(crate) const TROUBLE_BACK: u64 = 1 << 14;
    pub(crate) const SAMPLED: u64 = 1 << 15;
    pub(crate) const BACK: u64 = 1 << 16;
    pub(crate) const TRANSACTION: u64 = 1 << 17;
    pub(crate) const APPLICATION: u64 = 1 << 18;
    pub(crate) const SAID: u64 = 1 << 19;
    pub(crate) const PROTOCOL_SHIFT: u32 = 32;

    /// Of one direction of a record, or of both if the record goes out as one. What is of the whole flow goes with the
    /// direction that `leads`.
    pub fn of(side: &Side<'_>, leads: Leads, config: &IpfixConfig) -> Shape {
        let record = side.record;
        let mut bits = 0;
        let mut set = |bit: u64, is_set: bool| bits |= if is_set { bit } else { 0 };
        set(Self::IPV6, record.source.address.is_ipv6() || record.destination.address.is_ipv6());
        set(Self::ICMP, matches!(record.protocol, ICMP | ICMP_V6));
        set(Self::SAMPLED, record.sample_rate > 1);
        set(Self::MPLS, side.counters().mpls_label.is_some());
        if config.format == Format::NetflowV9 {
            return Shape(bits);
        }
        let is_first = leads == Leads::Flow;
        let is_tcp = record.protocol == TCP;
        if record.end_reason == EndReason::Transaction {
            bits &= !Self::MPLS;
            bits |= Self::TRANSACTION;
        } else {
            let is_both = config.biflow == Biflow::Rfc5103;
            let back = side.turned();
            set(Self::PATH, own::has_path(side));
            set(Self::PPPOE, record.pppoe_session != 0);
            set(Self::TUNNEL, record.tunnel.kind != kflow::TunnelKind::None);
            if record.tunnel.kind != kflow::TunnelKind::None {
                let (source, destination) = side.tunnel_ends();
                set(Self::TUNNEL_SOURCE_IPV6, source.is_ipv6());
                set(Self::TUNNEL_DESTINATION_IPV6, destination.is_ipv6());
            }
            set(Self::LATENCY, is_first && own::has_latency(side));
            set(Self::CONNECTION, is_first && is_tcp);
            set(Self::TCP, is_tcp);
            set(Self::TROUBLE, is_tcp && own::has_trouble(side));
            set(Self::BACK, is_both);
            set(Self::PATH_BACK, is_both && own::has_path(&back));
            set(Self::MPLS_BACK, is_both && back.counters().mpls_label.is_some());
            set(Self::TROUBLE_BACK, is_both && is_tcp && own::has_trouble(&back));
        }
        if let Some(protocol) = record.app_protocol.filter(|_| is_first) {
            bits |= Self::APPLICATION | u64::from(protocol.number()) << Self::PROTOCOL_SHIFT;
            bits |= if record.application.is_some() { Self::SAID } else { 0 };
        }
        Shape(bits)
    }

    /// The shape with all parts that may as well be said to be zero.
    pub fn widened(self) -> Shape {
        let mut bits = self.0;
        let mut widen = |bit: u64, by: u64| bits |= if self.has(bit) { by } else { 0 };
        if !self.has(Self::TRANSACTION) {
            // Only once in two records: latencies are the flow's.
            widen(Self::CONNECTION | Self::APPLICATION, Self::LATENCY);
            widen(Self::TCP, Self::TROUBLE);
            widen(Self::BACK, Self::PATH_BACK | Self::LATENCY);
            if self.has(Self::TCP) {
                widen(Self::BACK, Self::TROUBLE_BACK);
            }
            bits |= Self::PATH | Self::PPPOE;
        }
        Shape(bits)
    }

    /// Whether one of these bits is set.
    pub fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    pub fn protocol(self) -> Option<AppProtocol> {
        AppProtocol::from_number((self.0 >> Self::PROTOCOL_SHIFT) as u16)
            .filter(|_| self.has(Self::APPLICATION))
    }
}

/// Whether a record is the one that what is of the whole flow goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Flow,
    Nothing,
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_V6: u8 = 58;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every shape that records can have.
    pub(crate) fn shapes(biflow: Biflow) -> impl Iterator<Item = Shape> {
        let protocols =
            AppProtocol::ALL.map(|protocol| u64::from(protocol.number()) << Shape::PROTOCOL_SHIFT);
        let said = [0, Shape::SAID]
            .into_iter()
            .flat_map(move |said| protocols.map(|protocol| Shape::APPLICATION | said | protocol));
        let applications = [0].into_iter().chain(said);
        applications.flat_map(move |application| {
            (0..Shape::TRANSACTION).filter_map(move |bits| {
                let shape = Shape(bits | application);
                let is_first = shape.has(Shape::BACK) || application != 0;
                let is_possible = shape.has(Shape::BACK) == (biflow == Biflow::Rfc5103)
                    && !(shape.has(Shape::ICMP) && shape.has(Shape::TCP))
                    && (shape.has(Shape::TCP) || !shape.has(TCP_PARTS))
                    && (shape.has(Shape::BACK) || !shape.has(BACK_PARTS))
                    && (shape.has(Shape::TUNNEL) || !shape.has(TUNNEL_PARTS))
                    && (!is_first || shape.has(Shape::TCP) == shape.has(Shape::CONNECTION));
                is_possible.then_some(shape)
            })
        })
    }

    const TCP_PARTS: u64 = Shape::CONNECTION | Shape::TROUBLE | Shape::TROUBLE_BACK;
    const BACK_PARTS: u64 = Shape::PATH_BACK | Shape::MPLS_BACK | Shape::TROUBLE_BACK;
    const TUNNEL_PARTS: u64 = Shape::TUNNEL_SOURCE_IPV6 | Shape::TUNNEL_DESTINATION_IPV6;
}
