//! Fragments that came before the first one of their datagram, as sums: enough to count them to their flow later.

use super::piece::Piece;
use crate::{
    clock::Moment,
    flow::FlowKey,
    packet::{Encapsulation, LinkTags, Side, mac_addresses},
};
use kflow::MacAddress;
use sensor_ebpf::Screening;

/// Congestion experienced, of the two bits of explicit congestion notification (RFC 3168).
const ECN_CE: u8 = 0b11;

/// What some fragments of one datagram add to their flow, all of the direction that the datagram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub packets: u32,
    /// As [`crate::packet::Packet::network_bytes`].
    pub network_bytes: u64,
    pub frame_bytes: u64,
    pub first: Moment,
    pub last: Moment,
    /// OR of the type of service or traffic class.
    pub tos: u8,
    /// The smallest time to live or hop limit.
    pub ttl_min: u8,
    pub ecn_ce_packets: u32,
    /// Of the one that came first, like the rest below.
    pub screening: Screening,
    pub link: LinkTags,
    /// Destination and source.
    pub mac_addresses: (MacAddress, MacAddress),
    /// Without `outer_start`, which means nothing once the frame is gone.
    pub tunnel: Encapsulation,
}

/// Fragments whose first one never came: they belong to the flow without ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    pub key: FlowKey,
    pub sender: Side,
    pub waiting: Waiting,
}

impl Waiting {
    pub const NONE: Waiting = Waiting {
        packets: 0,
        network_bytes: 0,
        frame_bytes: 0,
        first: Moment(u64::MAX),
        last: Moment(0),
        tos: 0,
        ttl_min: u8::MAX,
        ecn_ce_packets: 0,
        screening: Screening::None,
        link: LinkTags { vlan: 0, inner_vlan: 0, pppoe_session: 0, mpls_labels: 0, mpls_label: 0 },
        mac_addresses: (MacAddress([0; 6]), MacAddress([0; 6])),
        tunnel: Encapsulation { kind: kflow::TunnelKind::None, depth: 0, id: 0, outer_start: 0 },
    };

    pub fn add(&mut self, piece: &Piece<'_>) {
        let Piece { frame, packet, .. } = piece;
        if self.packets == 0 {
            self.screening = frame.screening;
            self.link = packet.link;
            self.mac_addresses = mac_addresses(frame);
            self.tunnel = Encapsulation { outer_start: 0, ..packet.tunnel };
        }
        self.packets += 1;
        self.network_bytes += u64::from(packet.network_bytes);
        self.frame_bytes += u64::from(frame.wire_bytes);
        self.first = self.first.min(frame.time);
        self.last = self.last.max(frame.time);
        self.tos |= packet.tos;
        self.ttl_min = self.ttl_min.min(packet.ttl);
        self.ecn_ce_packets += u32::from(packet.tos & ECN_CE == ECN_CE);
    }

    /// What waited, if anything did; nothing waits any more.
    pub fn take(&mut self) -> Option<Waiting> {
        let taken = std::mem::replace(self, Waiting::NONE);
        (taken.packets > 0).then_some(taken)
    }
}
