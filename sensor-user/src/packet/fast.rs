//! The plainest packets, which are nearly all of them, read in one go: TCP and UDP over IPv4 without options or
//! IPv6 without extension headers, whole, on Ethernet with one VLAN tag at most, with lengths that fit.
//!
//! Everything else is left to the general way, which says the same of these packets too (a property test holds both
//! together).

use super::{
    Encapsulation, Enclosure, Fragment, LinkTags, Packet, Side, TcpHeader, bytes_at,
    ip::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES},
    protocol,
    transport::{TCP_HEADER_BYTES, UDP_HEADER_BYTES, fixed_part},
};
use crate::{
    flow::{FlowKey, key::Ends},
    source::{Frame, LinkType},
};
use kflow::IcmpKind;

const ETHERNET_HEADER_BYTES: usize = 14;
const TAGGED_HEADER_BYTES: usize = 18;

/// EtherTypes as they lie in the frame.
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const VLAN: [u8; 2] = [0x81, 0x00];

/// What the network layer says of a packet.
struct Network {
    start: usize,
    vlan: u16,
    /// Start and end on the wire of the segment.
    segment_start: usize,
    segment_end: usize,
    tos: u8,
    ttl: u8,
}

/// `None`, with the place as it was, if the packet is anything but plain.
#[inline(always)]
pub fn decode_into(frame: &Frame<'_>, packet: &mut Packet) -> Option<()> {
    if frame.link != LinkType::ETHERNET {
        return None;
    }
    let header = bytes_at::<TAGGED_HEADER_BYTES>(frame.bytes, 0)?;
    let ethertype = [header[12], header[13]];
    let (ethertype, start, vlan) = if ethertype == VLAN {
        let vlan = u16::from_be_bytes([header[14], header[15]]) & 0x0fff;
        ([header[16], header[17]], TAGGED_HEADER_BYTES, vlan)
    } else {
        (ethertype, ETHERNET_HEADER_BYTES, 0)
    };
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
    let header = bytes_at::<IPV4_HEADER_BYTES>(frame.bytes, start)?;
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
    };
    let addresses = [
        u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    ];
    decode_segment(frame, &network, header[9], packet, |ends| FlowKey::v4(addresses, ends))
}

#[inline(always)]
fn decode_v6(frame: &Frame<'_>, start: usize, vlan: u16, packet: &mut Packet) -> Option<()> {
    let header = bytes_at::<IPV6_HEADER_BYTES>(frame.bytes, start)?;
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
    };
    let half = |at: usize| u64::from_be_bytes(*header[at..].first_chunk().expect("the header has 40 bytes"));
    let addresses = [(half(8), half(16)), (half(24), half(32))];
    decode_segment(frame, &network, header[6], packet, |ends| FlowKey::v6(addresses, ends))
}

#[inline(always)]
fn decode_segment(
    frame: &Frame<'_>,
    network: &Network,
    protocol: u8,
    packet: &mut Packet,
    key: impl FnOnce(Ends) -> (FlowKey, Side),
) -> Option<()> {
    let &Network { start, vlan, segment_start, segment_end, tos, ttl } = network;
    let Enclosure { bytes, wire_end, .. } = Enclosure::of(frame);
    if segment_end > wire_end {
        return None;
    }
    let (source_port, destination_port, header_end, tcp_flags, tcp);
    match protocol {
        protocol::TCP => {
            let header = bytes_at::<TCP_HEADER_BYTES>(bytes, segment_start)?;
            tcp = fixed_part(header);
            if usize::from(tcp.header_bytes) < TCP_HEADER_BYTES {
                return None;
            }
            header_end = segment_start + usize::from(tcp.header_bytes);
            source_port = u16::from_be_bytes([header[0], header[1]]);
            destination_port = u16::from_be_bytes([header[2], header[3]]);
            tcp_flags = header[13];
        }
        protocol::UDP => {
            let header = bytes_at::<UDP_HEADER_BYTES>(bytes, segment_start)?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if length < UDP_HEADER_BYTES || segment_start + length > segment_end {
                return None;
            }
            header_end = segment_start + UDP_HEADER_BYTES;
            source_port = u16::from_be_bytes([header[0], header[1]]);
            destination_port = u16::from_be_bytes([header[2], header[3]]);
            tcp_flags = 0;
            tcp = TcpHeader::default();
        }
        _ => return None,
    }
    let captured_end = segment_end.min(bytes.len());
    if header_end > captured_end {
        return None;
    }
    let (key, sender) = key(Ends { source_port, destination_port, protocol });
    *packet = Packet {
        key,
        sender,
        network_bytes: (segment_end - start) as u32,
        network_start: start as u32,
        link: LinkTags { vlan, ..LinkTags::default() },
        tos,
        ttl,
        tcp_flags,
        icmp: IcmpKind::default(),
        fragment: Fragment::Whole,
        transport_start: segment_start as u32,
        payload: header_end as u32..captured_end as u32,
        payload_wire_bytes: (segment_end - header_end) as u32,
        tcp,
        tunnel: Encapsulation::default(),
        anomaly: None,
    };
    Some(())
}
