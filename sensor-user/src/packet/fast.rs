//! The plainest packets, which are nearly all of them, read in one go: TCP, UDP and ICMP over IPv4 without options or
//! IPv6 without extension headers, whole, on Ethernet with one VLAN tag at most, with lengths that fit.
//!
//! Everything else is left to the general way, which says the same of these packets too (a property test holds both
//! together). Network and transport header are one array, so that their bounds are checked once, and nothing is
//! written before everything is checked. What differs from packet to packet without a pattern (a tag, TCP or UDP) is
//! selected, not branched on.

use super::{
    Encapsulation, Fragment, LinkTags, Packet, Side, TcpHeader, bytes_at,
    ip::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES},
    protocol,
    transport::{ICMP_HEADER_BYTES, TCP_HEADER_BYTES, UDP_HEADER_BYTES, fixed_part},
};
use crate::{
    flow::{FlowKey, key::Ends},
    source::{Frame, LinkType},
};
use kflow::IcmpKind;
use std::hint::select_unpredictable;

const ETHERNET_HEADER_BYTES: usize = 14;
const TAG_BYTES: usize = 4;

// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;

/// What the network layer says of a packet.
struct Network {
    start: usize,
    vlan: u16,
    /// Start and end on the wire of the segment.
    segment_start: usize,
    segment_end: usize,
    tos: u8,
    ttl: u8,
    protocol: u8,
}

/// What the transport layer says of it.
struct Transport {
    ports: [u16; 2],
    /// Bytes from the segment's start that have to be on the wire.
    claimed_bytes: usize,
    header_bytes: usize,
    tcp_flags: u8,
    tcp: TcpHeader,
    icmp: IcmpKind,
}

/// `None`, with the place as it was, if the packet is anything but plain.
#[inline(always)]
pub fn decode_into(frame: &Frame<'_>, packet: &mut Packet) -> Option<()> {
    if frame.link != LinkType::ETHERNET {
        return None;
    }
    let header = frame.bytes.first_chunk::<{ ETHERNET_HEADER_BYTES + TAG_BYTES }>()?;
    let [outer, tag, inner] = [12, 14, 16].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    let is_tagged = outer == VLAN;
    let ethertype = select_unpredictable(is_tagged, inner, outer);
    let vlan = select_unpredictable(is_tagged, tag & 0x0fff, 0);
    let start = ETHERNET_HEADER_BYTES + select_unpredictable(is_tagged, TAG_BYTES, 0);
    match ethertype {
        IPV4 => decode_v4(frame, start, vlan, packet),
        IPV6 => decode_v6(frame, start, vlan, packet),
        _ => None,
    }
}

#[inline(always)]
fn decode_v4(frame: &Frame<'_>, start: usize, vlan: u16, packet: &mut Packet) -> Option<()> {
    const NO_OPTIONS: u8 = 0x45;
    /// "More fragments" and the offset.
    const IS_FRAGMENT: u16 = 0x3fff;
    let headers = bytes_at::<{ IPV4_HEADER_BYTES + TCP_HEADER_BYTES }>(frame.bytes, start)?;
    let (header, segment) = headers.split_first_chunk::<IPV4_HEADER_BYTES>()?;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & IS_FRAGMENT;
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] != NO_OPTIONS || fragment != 0 {
        return None;
    }
    let network = Network {
        start,
        vlan,
        segment_start: start + IPV4_HEADER_BYTES,
        segment_end: start + total_length,
        tos: header[1],
        ttl: header[8],
        protocol: header[9],
    };
    let addresses = [
        u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    ];
    decode_segment(frame, &network, segment.first_chunk()?, packet, |ends| FlowKey::v4(addresses, ends))
}

#[inline(always)]
fn decode_v6(frame: &Frame<'_>, start: usize, vlan: u16, packet: &mut Packet) -> Option<()> {
    let headers = bytes_at::<{ IPV6_HEADER_BYTES + TCP_HEADER_BYTES }>(frame.bytes, start)?;
    let (header, segment) = headers.split_first_chunk::<IPV6_HEADER_BYTES>()?;
    // A payload length of zero has meanings that are not plain.
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || payload_length == 0 {
        return None;
    }
    let segment_start = start + IPV6_HEADER_BYTES;
    let network = Network {
        start,
        vlan,
        segment_start,
        segment_end: segment_start + payload_length,
        tos: header[0] << 4 | header[1] >> 4,
        ttl: header[7],
        protocol: header[6],
    };
    let half = |at: usize| u64::from_be_bytes(*header[at..].first_chunk().expect("the header has 40 bytes"));
    let addresses = [(half(8), half(16)), (half(24), half(32))];
    decode_segment(frame, &network, segment.first_chunk()?, packet, |ends| FlowKey::v6(addresses, ends))
}

#[inline(always)]
fn decode_segment(
    frame: &Frame<'_>,
    network: &Network,
    segment: &[u8; TCP_HEADER_BYTES],
    packet: &mut Packet,
    key: impl FnOnce(Ends) -> (FlowKey, Side),
) -> Option<()> {
    let transport = match network.protocol {
        protocol::TCP | protocol::UDP => tcp_or_udp(segment, network.protocol == protocol::TCP)?,
        protocol::ICMP | protocol::ICMPV6 => icmp(segment),
        _ => return None,
    };
    let &Network { start, segment_start, segment_end, protocol, .. } = network;
    let header_end = segment_start + transport.header_bytes;
    let captured_end = segment_end.min(frame.bytes.len());
    let fits = segment_start + transport.claimed_bytes <= segment_end
        && segment_end <= frame.wire_bytes as usize
        && header_end <= captured_end;
    if !fits {
        return None;
    }
    let [source_port, destination_port] = transport.ports;
    (packet.key, packet.sender) = key(Ends { source_port, destination_port, protocol });
    packet.network_bytes = (segment_end - start) as u32;
    packet.network_start = start as u32;
    packet.link = LinkTags { vlan: network.vlan, ..LinkTags::default() };
    packet.tos = network.tos;
    packet.ttl = network.ttl;
    packet.tcp_flags = transport.tcp_flags;
    packet.icmp = transport.icmp;
    packet.fragment = Fragment::Whole;
    packet.transport_start = segment_start as u32;
    packet.payload = header_end as u32..captured_end as u32;
    packet.payload_wire_bytes = (segment_end - header_end) as u32;
    packet.tcp = transport.tcp;
    packet.tunnel = Encapsulation::default();
    packet.anomaly = None;
    Some(())
}

/// `None` if a length is too small for the header.
#[inline(always)]
fn tcp_or_udp(segment: &[u8; TCP_HEADER_BYTES], is_tcp: bool) -> Option<Transport> {
    let tcp = fixed_part(segment);
    let tcp_bytes = usize::from(tcp.header_bytes);
    let udp_bytes = usize::from(u16::from_be_bytes([segment[4], segment[5]]));
    let claimed_bytes = select_unpredictable(is_tcp, tcp_bytes, udp_bytes);
    if claimed_bytes < select_unpredictable(is_tcp, TCP_HEADER_BYTES, UDP_HEADER_BYTES) {
        return None;
    }
    let mask = u32::from(is_tcp).wrapping_neg();
    Some(Transport {
        ports: [0, 2].map(|at| u16::from_be_bytes([segment[at], segment[at + 1]])),
        claimed_bytes,
        header_bytes: select_unpredictable(is_tcp, tcp_bytes, UDP_HEADER_BYTES),
        tcp_flags: segment[13] & mask as u8,
        tcp: TcpHeader {
            sequence: tcp.sequence & mask,
            acknowledgement: tcp.acknowledgement & mask,
            window: tcp.window & mask as u16,
            header_bytes: tcp.header_bytes & mask as u8,
        },
        icmp: IcmpKind::default(),
    })
}

#[inline(always)]
fn icmp(segment: &[u8; TCP_HEADER_BYTES]) -> Transport {
    Transport {
        ports: [0; 2],
        claimed_bytes: ICMP_HEADER_BYTES,
        header_bytes: ICMP_HEADER_BYTES,
        tcp_flags: 0,
        tcp: TcpHeader::default(),
        icmp: IcmpKind { kind: segment[0], code: segment[1] },
    }
}
