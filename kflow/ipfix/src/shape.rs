//! What a record has something in, of which its template follows.

use crate::config::{Biflow, Elements, Format, IpfixConfig};
use crate::element::{Side, own};
use kflow::{AppProtocol, EndReason, FlowRecord, TunnelKind};

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
        let is_ipv6 = record.source.address.is_ipv6() || record.destination.address.is_ipv6();
        let key = Self::IPV6.when(is_ipv6)
            | Self::ICMP.when(matches!(record.protocol, ICMP | ICMP_V6))
            | Self::SAMPLED.when(record.sample_rate > 1);
        if config.format == Format::NetflowV9 {
            return Shape(key | Self::MPLS.when(side.counters().mpls_label.is_some()));
        }
        let is_all = config.elements == Elements::All;
        let parts = match record.end_reason {
            EndReason::Transaction => Self::TRANSACTION,
            _ if is_all => Self::standard(side, config) | Self::own(side, leads, config),
            _ => Self::standard(side, config),
        };
        let application = if leads == Leads::Flow { Self::application(record, is_all) } else { 0 };
        Shape(key | parts | application)
    }

    fn standard(side: &Side<'_>, config: &IpfixConfig) -> u64 {
        let is_both = config.biflow == Biflow::Rfc5103;
        let back = side.turned();
        Self::MPLS.when(side.counters().mpls_label.is_some())
            | Self::BACK.when(is_both)
            | Self::MPLS_BACK.when(is_both && back.counters().mpls_label.is_some())
    }

    fn own(side: &Side<'_>, leads: Leads, config: &IpfixConfig) -> u64 {
        let record = side.record;
        let (is_first, is_both) = (leads == Leads::Flow, config.biflow == Biflow::Rfc5103);
        let is_tcp = record.protocol == TCP;
        let is_inside = record.tunnel.kind != TunnelKind::None;
        let (tunnel_source, tunnel_destination) = side.tunnel_ends();
        let back = side.turned();
        Self::PATH.when(own::has_path(side))
            | Self::PATH_BACK.when(is_both && own::has_path(&back))
            | Self::PPPOE.when(record.pppoe_session != 0)
            | Self::TUNNEL.when(is_inside)
            | Self::TUNNEL_SOURCE_IPV6.when(is_inside && tunnel_source.is_ipv6())
            | Self::TUNNEL_DESTINATION_IPV6.when(is_inside && tunnel_destination.is_ipv6())
            | Self::LATENCY.when(is_first && own::has_latency(side))
            | Self::CONNECTION.when(is_first && is_tcp)
            | Self::TCP.when(is_tcp)
            | Self::TROUBLE.when(is_tcp && own::has_trouble(side))
            | Self::TROUBLE_BACK.when(is_both && is_tcp && own::has_trouble(&back))
    }

    /// The name of the protocol, and with all elements its fields.
    fn application(record: &FlowRecord, is_all: bool) -> u64 {
        let Some(protocol) = record.app_protocol else { return 0 };
        let fields = u64::from(protocol.number()) << Self::PROTOCOL_SHIFT
            | Self::SAID.when(record.application.is_some());
        Self::APPLICATION | if is_all { fields } else { 0 }
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

/// A bit that is set or not.
trait Bit {
    fn when(self, is_set: bool) -> u64;
}

impl Bit for u64 {
    fn when(self, is_set: bool) -> u64 {
        if is_set { self } else { 0 }
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
