//! From a frame to a packet: which flow it belongs to and what it adds to it.
//!
//! In: a [`Frame`]. Out: a [`Packet`], or the reason why the frame belongs to no flow. Nothing is copied but
//! addresses; nothing here allocates, and no input panics. Headers are read in the order of the wire:
//! [`link`] finds the network layer, [`ip`] the addresses and the upper layer, [`transport`] ports and flags.
//! That is the outermost packet; [`tunnel`] goes on from it to the innermost one.
//!
//! [`fast`] reads the plainest packets, which are nearly all, in one go and to the same result.

pub mod reassembly;
pub mod tunnel;

mod fast;
mod ip;
mod link;
mod transport;

pub use tunnel::{NotInner, TUNNEL_DEPTH_MAX, TooManyPorts, TunnelPorts, UdpTunnel, decode_inner, may_carry};

use crate::{
    flow::FlowKey,
    source::{Frame, LinkType},
};
use kflow::{IcmpKind, MacAddress, TunnelKind};
use std::ops::Range;

/// IP protocol numbers (IANA) that the sensor looks into.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const ETHERIP: u8 = 97;
    pub const L2TP: u8 = 115;
    pub const SCTP: u8 = 132;
    pub const MPLS: u8 = 137;
}

/// One packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub key: FlowKey,
    pub sender: Side,
    /// IPv4 total length, or IPv6 payload length plus 40; what the frame has where the field is left at zero.
    pub network_bytes: u32,
    /// Where the IP header of the packet starts in the frame's bytes.
    pub network_start: u32,
    pub link: LinkTags,
    pub tos: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    pub tcp_flags: u8,
    pub icmp: IcmpKind,
    pub fragment: Fragment,
    /// Where the transport header starts in the frame's bytes; for later fragments, where their data does.
    pub transport_start: u32,
    /// Where the transport payload lies in the frame's bytes: link padding and what was not captured are cut off.
    pub payload: Range<u32>,
    /// Length of the transport payload on the wire, captured or not, as far as the frame had it.
    pub payload_wire_bytes: u32,
    /// Zeros unless a whole TCP segment with a plausible header was there.
    pub tcp: TcpHeader,
    /// What the packet was carried in.
    pub tunnel: Encapsulation,
    /// Something about the packet is odd; it is counted to its flow all the same.
    pub anomaly: Option<Anomaly>,
}

/// What the link layer says beside addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTags {
    /// Identifier of the outermost VLAN tag, 0 if untagged.
    pub vlan: u16,
    /// Identifier of the tag behind it, 0 if there is none.
    pub inner_vlan: u16,
    /// Of PPP over Ethernet, 0 if there is none.
    pub pppoe_session: u16,
    /// Labels of the MPLS stack.
    pub mpls_labels: u8,
    /// The top one, 20 bits; means nothing without labels.
    pub mpls_label: u32,
}

/// The fixed part of a TCP header as far as ports and flags do not have it (RFC 9293).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    pub sequence: u32,
    pub acknowledgement: u32,
    pub window: u16,
    /// 20 to 60 with options, which follow the first 20 bytes of the transport header as far as they were captured;
    /// 0 if there is no header to speak of.
    pub header_bytes: u8,
}

/// The tunnel directly around a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encapsulation {
    pub kind: TunnelKind,
    /// IP headers outside of the packet's own.
    pub depth: u8,
    /// As [`kflow::Tunnel::forward_id`].
    pub id: u32,
    /// Where the IP header of the carrying packet starts in the frame's bytes.
    pub outer_start: u32,
}

impl LinkTags {
    pub const NONE: LinkTags =
        LinkTags { vlan: 0, inner_vlan: 0, pppoe_session: 0, mpls_labels: 0, mpls_label: 0 };
}

impl Packet {
    /// No packet: what a place for one holds at first.
    pub const EMPTY: Packet = Packet {
        key: FlowKey::EMPTY,
        sender: Side::Low,
        network_bytes: 0,
        network_start: 0,
        link: LinkTags::NONE,
        tos: 0,
        ttl: 0,
        tcp_flags: 0,
        icmp: IcmpKind { kind: 0, code: 0 },
        fragment: Fragment::Whole,
        transport_start: 0,
        payload: 0..0,
        payload_wire_bytes: 0,
        tcp: TcpHeader { sequence: 0, acknowledgement: 0, window: 0, header_bytes: 0 },
        tunnel: Encapsulation { kind: TunnelKind::None, depth: 0, id: 0, outer_start: 0 },
        anomaly: None,
    };
}

impl Packet {
    /// Bytes that the packet has by its own word, and the frame has not.
    pub fn uncaptured_bytes(&self, frame: &Frame<'_>) -> u32 {
        let end = self.network_start.saturating_add(self.network_bytes);
        end.saturating_sub(frame.bytes.len() as u32)
    }
}

/// Which end of the canonical flow key sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Low,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    /// Offset zero, more to follow: carries the transport header.
    First,
    /// Offset above zero: has no ports.
    Later,
}

/// Why a frame belongs to no flow. Each is accounted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NotFlow {
    LinkTruncated,
    LinkUnsupported,
    Arp,
    /// Logical link control (IEEE 802.2) that carries no IP: spanning tree, CDP and the like.
    Llc,
    /// More VLAN tags than the decoder follows.
    VlanDepth,
    /// More MPLS labels or link layers inside of each other than the decoder follows.
    LinkDepth,
    /// What the link layer carries is encrypted: protected IEEE 802.11, MACsec, encrypted or compressed PPP.
    LinkEncrypted,
    /// Some other EtherType, or a message of the link layer itself.
    OtherEtherType,
    Ipv4Truncated,
    Ipv4Version,
    Ipv4HeaderLength,
    Ipv6Truncated,
    Ipv6Version,
    /// More extension headers than the decoder follows.
    Ipv6ExtensionDepth,
    /// The filter of the config does not want it (sources that the kernel program does not filter for).
    Filtered,
    /// Its flow is not in the sample (likewise).
    SampledOut,
}

/// Oddities of packets that still belong to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Anomaly {
    /// IPv4 total length is shorter than its header.
    Ipv4TotalLengthShort,
    /// The IP length says more than the frame had on the wire.
    LengthBeyondFrame,
    /// The chain of extension headers is cut off; the flow has no ports.
    ExtensionTruncated,
    /// The transport header is cut off; ports are zero unless they were still there.
    TransportTruncated,
    /// TCP data offset below 5 or beyond the packet on the wire.
    TcpHeaderLength,
    /// UDP length from 1 to 7 or beyond the packet on the wire.
    UdpLength,
    /// More IP headers inside of each other than the decoder follows: the packet is the deepest it reached.
    TunnelDepth,
}

impl NotFlow {
    pub const ALL: [NotFlow; 16] = [
        NotFlow::LinkTruncated,
        NotFlow::LinkUnsupported,
        NotFlow::Arp,
        NotFlow::Llc,
        NotFlow::VlanDepth,
        NotFlow::LinkDepth,
        NotFlow::LinkEncrypted,
        NotFlow::OtherEtherType,
        NotFlow::Ipv4Truncated,
        NotFlow::Ipv4Version,
        NotFlow::Ipv4HeaderLength,
        NotFlow::Ipv6Truncated,
        NotFlow::Ipv6Version,
        NotFlow::Ipv6ExtensionDepth,
        NotFlow::Filtered,
        NotFlow::SampledOut,
    ];

    /// Layer and reason, as metrics and the ledger name them.
    pub const fn name(self) -> &'static str {
        match self {
            NotFlow::LinkTruncated => "link.truncated",
            NotFlow::LinkUnsupported => "link.unsupported",
            NotFlow::Arp => "not_ip.arp",
            NotFlow::Llc => "not_ip.llc",
            NotFlow::VlanDepth => "link.vlan_depth",
            NotFlow::LinkDepth => "link.depth",
            NotFlow::LinkEncrypted => "link.encrypted",
            NotFlow::OtherEtherType => "not_ip.other",
            NotFlow::Ipv4Truncated => "ipv4.truncated",
            NotFlow::Ipv4Version => "ipv4.version",
            NotFlow::Ipv4HeaderLength => "ipv4.header_length",
            NotFlow::Ipv6Truncated => "ipv6.truncated",
            NotFlow::Ipv6Version => "ipv6.version",
            NotFlow::Ipv6ExtensionDepth => "ipv6.extension_depth",
            NotFlow::Filtered => "filtered",
            NotFlow::SampledOut => "sampled_out",
        }
    }
}

impl Anomaly {
    pub const ALL: [Anomaly; 7] = [
        Anomaly::Ipv4TotalLengthShort,
        Anomaly::LengthBeyondFrame,
        Anomaly::ExtensionTruncated,
        Anomaly::TransportTruncated,
        Anomaly::TcpHeaderLength,
        Anomaly::UdpLength,
        Anomaly::TunnelDepth,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Anomaly::Ipv4TotalLengthShort => "ipv4.total_length_short",
            Anomaly::LengthBeyondFrame => "ip.length_beyond_frame",
            Anomaly::ExtensionTruncated => "ipv6.extension_truncated",
            Anomaly::TransportTruncated => "transport.truncated",
            Anomaly::TcpHeaderLength => "tcp.header_length",
            Anomaly::UdpLength => "udp.length",
            Anomaly::TunnelDepth => "tunnel.depth",
        }
    }
}

/// Reads a frame down to its transport header.
pub fn decode(frame: &Frame<'_>) -> Result<Packet, NotFlow> {
    let mut packet = Packet::EMPTY;
    decode_into(frame, &mut packet).map(|()| packet)
}

/// As [`decode`], into a place that the caller keeps: each kind of packet is written where it stays, which saves a
/// copy. After an error the place holds what it held.
#[inline(always)]
pub fn decode_into(frame: &Frame<'_>, packet: &mut Packet) -> Result<(), NotFlow> {
    match fast::decode_into(frame, packet) {
        Some(()) => Ok(()),
        None => decode_any(frame, packet),
    }
}

/// Any frame at all.
#[inline(never)]
fn decode_any(frame: &Frame<'_>, packet: &mut Packet) -> Result<(), NotFlow> {
    let enclosure = Enclosure::of(frame);
    let network = link::walk(&enclosure, link::Layer::Link(frame.link), 0)?;
    ip::decode(&enclosure, &network, packet)
}

/// What a packet lies in: a frame, or the payload of a tunnel. Offsets are those of the frame all the way down.
#[derive(Clone, Copy, Debug)]
struct Enclosure<'a> {
    /// The frame up to where the enclosure or the capture ends.
    bytes: &'a [u8],
    /// Where it ends on the wire: beyond `bytes` if the capture cut it.
    wire_end: usize,
    /// Up to here the link pads what is shorter.
    padded_end: usize,
}

/// Ethernet pads shorter frames to this length (IEEE 802.3, without frame check sequence).
const PADDED_FRAME_BYTES: usize = 60;

impl<'a> Enclosure<'a> {
    #[inline(always)]
    fn of(frame: &Frame<'a>) -> Enclosure<'a> {
        Enclosure { bytes: frame.bytes, wire_end: frame.wire_bytes as usize, padded_end: PADDED_FRAME_BYTES }
    }
}

/// Asks for the headers of a frame: over a burst, the misses of all frames overlap.
#[inline(always)]
pub fn prefetch(frame: &Frame<'_>) {
    if let Some(first) = frame.bytes.first() {
        crate::prefetch::prefetch(first);
    }
}

/// Destination and source MAC address of an Ethernet frame, in wire order; zeros on other links.
#[inline(always)]
pub fn mac_addresses(frame: &Frame<'_>) -> (MacAddress, MacAddress) {
    match (bytes_at::<6>(frame.bytes, 0), bytes_at::<6>(frame.bytes, 6)) {
        (Some(destination), Some(source)) if frame.link == LinkType::ETHERNET => {
            (MacAddress(*destination), MacAddress(*source))
        }
        _ => (MacAddress::default(), MacAddress::default()),
    }
}

/// What a packet's transport header is followed by, as far as it was captured.
#[inline(always)]
pub fn payload<'a>(frame: &Frame<'a>, packet: &Packet) -> &'a [u8] {
    frame.bytes.get(packet.payload.start as usize..packet.payload.end as usize).unwrap_or_default()
}

/// The options of a packet's TCP header, as far as they were captured.
#[inline(always)]
pub fn tcp_options<'a>(frame: &Frame<'a>, packet: &Packet) -> &'a [u8] {
    let start = packet.transport_start as usize;
    let end = (start + usize::from(packet.tcp.header_bytes)).min(frame.bytes.len());
    frame.bytes.get(start + TCP_HEADER_BYTES..end).unwrap_or_default()
}

/// Fixed part of the TCP header.
const TCP_HEADER_BYTES: usize = 20;

/// `N` bytes at an offset, or `None` past the end.
#[inline(always)]
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>()
}

#[inline(always)]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at::<2>(bytes, at).map(|pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests;
