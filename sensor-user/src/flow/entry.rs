//! One flow in the table: what every packet of it touches, what only some do, and the record it becomes.

use super::{
    FlowKey,
    list::Links,
    response::Responses,
    table::Observation,
    tcp::{self, Connection, Events},
};
use crate::{
    clock::Moment,
    packet::{LinkTags, Side, protocol},
    source::Frame,
};
use kflow::{
    DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, MacAddress, TcpDirection, TcpRecord,
    TcpState, Tunnel, TunnelKind, record::handshake,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What every packet of a flow touches: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Hot {
    pub key: FlowKey,
    pub last: Moment,
    pub tag: u32,
    pub tick: u16,
    pub state: State,
    /// Which end of the key is the source.
    pub source: Side,
    // Second line.
    pub start: Moment,
    pub counters: [HotCounters; 2],
    pub tcp_flags: [u8; 2],
    pub tos: [u8; 2],
    /// Of the latest packet.
    pub ttl: [u8; 2],
    /// OR of the `mark`s; kept over active timeouts.
    pub marks: u8,
    pub inspection: Inspection,
}

/// How far the flow's application is known; kept over active timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Inspection {
    /// No payload was inspected.
    Fresh,
    /// Some was, and more is wanted.
    Wanted,
    /// Some was, and no more is wanted.
    Done,
    /// Nothing is to be inspected.
    Never,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HotCounters {
    pub packets: u64,
    pub bytes: u64,
    pub frame_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Free,
    Embryonic,
    Grown,
    Closing,
}

/// Bits of [`Hot::marks`]. Those of a direction are shifted by it: forward 0, reverse 1.
pub mod mark {
    pub const FIN: u8 = 1 << 0;
    pub const BOTH_FINS: u8 = 0b11;
    pub const RESET: u8 = 1 << 2;
    pub const BOTH_RESETS: u8 = 0b1100;
    /// Something that asks or answers was sent.
    pub const MESSAGE: u8 = 1 << 4;
    /// The latest of them came from the destination.
    pub const ANSWERED: u8 = 1 << 6;
    /// The first packet that said link-layer addresses was seen.
    pub const HAS_MACS: u8 = 1 << 7;
}

const _: () = assert!(size_of::<Hot>() == 128);

/// What only the first packets, odd ones and the export touch.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Cold {
    pub embryonic: Links,
    pub responses: Responses,
    pub macs: [MacAddress; 2],
    pub link: [LinkTags; 2],
    pub fragments: [u32; 2],
    pub ecn_ce_packets: [u32; 2],
    pub ttl: [TtlRange; 2],
    pub icmp: IcmpKind,
    pub tunnel: Tunnel,
}

const _: () = assert!(size_of::<Cold>() == 192);

const SYN_AND_SYN_ACK: u8 = handshake::SYN | handshake::SYN_ACK;

#[derive(Clone, Copy, Debug, Default)]
pub struct TtlRange {
    min: u8,
    max: u8,
}

impl TtlRange {
    pub fn extend(&mut self, ttl: u8, is_first: bool) {
        self.min = if is_first { ttl } else { self.min.min(ttl) };
        self.max = if is_first { ttl } else { self.max.max(ttl) };
    }
}

impl Hot {
    pub const FREE: Hot = Hot {
        key: FlowKey::EMPTY,
        last: Moment(0),
        tag: 0,
        tick: 0,
        state: State::Free,
        source: Side::Low,
        start: Moment(0),
        counters: [HotCounters { packets: 0, bytes: 0, frame_bytes: 0 }; 2],
        tcp_flags: [0; 2],
        tos: [0; 2],
        ttl: [0; 2],
        marks: 0,
        inspection: Inspection::Never,
    };

    #[inline(always)]
    pub fn is_span_empty(&self) -> bool {
        self.counters[0].packets == 0 && self.counters[1].packets == 0
    }

    /// The flow of a packet that is not counted yet.
    pub fn begin(tag: u32, observation: &Observation<'_>) -> Hot {
        let packet = observation.packet;
        // A SYN+ACK answers a SYN that was not seen: the receiver is the one who asked.
        let is_answer =
            packet.tcp_flags & (tcp::flag::SYN | tcp::flag::ACK) == tcp::flag::SYN | tcp::flag::ACK;
        Hot {
            key: packet.key,
            last: observation.time,
            tag,
            state: State::Embryonic,
            source: if is_answer { packet.sender.other() } else { packet.sender },
            start: observation.amount.first,
            inspection: match packet.key.protocol() {
                protocol::TCP | protocol::UDP => Inspection::Fresh,
                _ => Inspection::Never,
            },
            ..Hot::FREE
        }
    }
}

impl Cold {
    pub const FREE: Cold = Cold {
        embryonic: Links::UNLINKED,
        responses: Responses::NONE,
        macs: [MacAddress([0; 6]); 2],
        link: [LinkTags::NONE; 2],
        fragments: [0; 2],
        ecn_ce_packets: [0; 2],
        ttl: [TtlRange { min: 0, max: 0 }; 2],
        icmp: IcmpKind { kind: 0, code: 0 },
        tunnel: Tunnel {
            kind: TunnelKind::None,
            depth: 0,
            forward_id: 0,
            reverse_id: 0,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        },
    };

    pub fn begin(observation: &Observation<'_>) -> Cold {
        Cold { icmp: observation.packet.icmp, ..Cold::FREE }
    }

    /// Takes link tags and tunnel from the first packet of a direction.
    pub fn note_first(&mut self, direction: usize, observation: &Observation<'_>) {
        let packet = observation.packet;
        self.link[direction] = packet.link;
        if packet.tunnel.kind == TunnelKind::None {
            return;
        }
        let tunnel = &mut self.tunnel;
        let [source, destination] = addresses_at(observation.frame, packet.tunnel.outer_start as usize);
        if direction == 0 {
            tunnel.forward_id = packet.tunnel.id;
            (tunnel.source, tunnel.destination) = (source, destination);
        } else {
            tunnel.reverse_id = packet.tunnel.id;
            if tunnel.kind == TunnelKind::None {
                (tunnel.source, tunnel.destination) = (destination, source);
            }
        }
        tunnel.kind = packet.tunnel.kind;
        tunnel.depth = packet.tunnel.depth;
    }
}

/// Source and destination of the IP header at an offset, which was decoded before.
fn addresses_at(frame: &Frame<'_>, at: usize) -> [IpAddr; 2] {
    let header = frame.bytes.get(at..).unwrap_or_default();
    let v4 = |at: usize| {
        let octets = header.get(at..)?.first_chunk::<4>()?;
        Some(IpAddr::V4(Ipv4Addr::from_octets(*octets)))
    };
    let v6 = |at: usize| {
        let octets = header.get(at..)?.first_chunk::<16>()?;
        Some(IpAddr::V6(Ipv6Addr::from_octets(*octets)))
    };
    let ends = match header.first().map(|first| first >> 4) {
        Some(6) => [v6(8), v6(24)],
        _ => [v4(12), v4(16)],
    };
    ends.map(|end| end.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// A record of nothing but what tells the flow from others.
pub fn identity(hot: &Hot, cold: &Cold, sample_rate: u32) -> FlowRecord {
    let endpoint = |side, mac| {
        let (address, port) = hot.key.end(side);
        Endpoint { address, port, mac }
    };
    FlowRecord {
        source: endpoint(hot.source, cold.macs[0]),
        destination: endpoint(hot.source.other(), cold.macs[1]),
        protocol: hot.key.protocol(),
        icmp: cold.icmp,
        sample_rate,
        pppoe_session: cold.link[0].pppoe_session.max(cold.link[1].pppoe_session),
        tunnel: cold.tunnel,
        ..FlowRecord::default()
    }
}

/// All parts of one flow.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub hot: &'a Hot,
    pub cold: &'a Cold,
    pub connection: &'a Connection,
    pub events: &'a Events,
}

impl Parts<'_> {
    /// The record of the current span.
    pub fn record(&self, end_reason: EndReason, sample_rate: u32) -> FlowRecord {
        let Parts { hot, cold, .. } = self;
        FlowRecord {
            start_ns: hot.start.0,
            end_ns: hot.last.0,
            forward: self.direction(0),
            reverse: self.direction(1),
            end_reason,
            latency: cold.responses.latency(),
            tcp: self.tcp(end_reason),
            ..identity(hot, cold, sample_rate)
        }
    }

    fn direction(&self, direction: usize) -> DirectionCounters {
        let Parts { hot, cold, .. } = self;
        let HotCounters { packets, bytes, frame_bytes } = hot.counters[direction];
        if packets == 0 {
            // What the direction showed in an earlier span is not of this one.
            return DirectionCounters::default();
        }
        let link = cold.link[direction];
        DirectionCounters {
            packets,
            bytes,
            frame_bytes,
            fragments: cold.fragments[direction],
            tcp_flags: hot.tcp_flags[direction],
            tos: hot.tos[direction],
            vlan: link.vlan,
            inner_vlan: link.inner_vlan,
            mpls_label: (link.mpls_labels > 0).then_some(link.mpls_label),
            ttl_min: cold.ttl[direction].min,
            ttl_max: cold.ttl[direction].max,
            ecn_ce_packets: cold.ecn_ce_packets[direction],
        }
    }

    fn tcp(&self, end_reason: EndReason) -> TcpRecord {
        let Parts { hot, connection, events, .. } = self;
        if hot.key.protocol() != protocol::TCP {
            return TcpRecord::default();
        }
        let direction = |direction| {
            let (receive_window, receive_window_min) = connection.windows(direction);
            let mut record = TcpDirection {
                window_scale: connection.scale(direction),
                receive_window,
                receive_window_min,
                ..events.direction(direction, hot.last)
            };
            connection.round_trips[direction].fill(&mut record);
            record
        };
        TcpRecord {
            state: self.tcp_state(end_reason),
            handshake: events.handshake,
            client_network_us: events.client_network_us,
            server_network_us: events.server_network_us,
            total_network_us: events.total_network_us,
            forward: direction(0),
            reverse: direction(1),
        }
    }

    fn tcp_state(&self, end_reason: EndReason) -> TcpState {
        let Parts { hot, connection, events, .. } = self;
        if hot.marks & mark::RESET != 0 {
            return TcpState::ResetBySource;
        }
        if hot.marks & mark::RESET << 1 != 0 {
            return TcpState::ResetByDestination;
        }
        if hot.marks & mark::BOTH_FINS == mark::BOTH_FINS {
            return TcpState::Closed;
        }
        let [has_source, has_destination] = [0, 1].map(|side| connection.is_heard(side));
        match events.handshake {
            handshake::SYN if !has_destination => return TcpState::SynSent,
            handshake::SYN_ACK if !has_source => return TcpState::HalfOpen,
            SYN_AND_SYN_ACK => return TcpState::HalfOpen,
            _ => {}
        }
        match hot.marks & mark::BOTH_FINS {
            _ if !has_source && !has_destination => TcpState::Unknown,
            _ if end_reason == EndReason::IdleTimeout => TcpState::TimedOut,
            0 => TcpState::Established,
            _ => TcpState::Closing,
        }
    }
}
