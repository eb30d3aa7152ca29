//! Link types of capture files: which header a frame starts with (the tcpdump group's LINKTYPE_ registry).

use super::{Layer, Step, be16, header, ieee80211, juniper, llc, ppp, shared_media, u8_at};
use crate::packet::NotFlow;
use crate::source::LinkType;

/// Rare links cost the common ones nothing but this call.
#[inline(never)]
pub fn link_type(bytes: &[u8], at: usize, link: LinkType) -> Step {
    match link {
        LinkType::ETHERNET => Ok((Layer::Ethernet, at)),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Ok((Layer::Ip, at)),
        LinkType::IPV4 => Ok((Layer::Ipv4, at)),
        LinkType::IPV6 => Ok((Layer::Ipv6, at)),
        LinkType::LINUX_SLL => linux_cooked(bytes, at),
        LinkType::LINUX_SLL2 => linux_cooked_2(bytes, at),
        LinkType::NULL | LinkType::LOOP => loopback(bytes, at),
        LinkType::ENC => encapsulating_interface(bytes, at),
        LinkType::PFLOG => packet_filter_log(bytes, at),
        LinkType::IPNET => ipnet(bytes, at),
        LinkType::NFLOG => netfilter_log(bytes, at),
        LinkType::PKTAP => packet_tap(bytes, at),
        LinkType::USER2 if is_packet_tap(bytes, at) => packet_tap(bytes, at),
        LinkType::PPI => per_packet_information(bytes, at),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::serial(bytes, at),
        LinkType::PPP_WITH_DIRECTION => Ok((Layer::Ppp, at + 1)),
        LinkType::PPP_OVER_ETHERNET => Ok((Layer::EtherType(super::ethernet::PPPOE_SESSION), at)),
        LinkType::CISCO_HDLC => Ok((Layer::CiscoHdlc, at)),
        LinkType::CISCO_HDLC_WITH_DIRECTION => Ok((Layer::CiscoHdlc, at + 1)),
        LinkType::FRAME_RELAY => Ok((Layer::FrameRelay, at)),
        LinkType::FRAME_RELAY_WITH_DIRECTION => Ok((Layer::FrameRelay, at + 1)),
        LinkType::MPLS => Ok((Layer::Mpls, at)),
        // Direction and what compression left of the header, then the packet.
        LinkType::SLIP => Ok((Layer::Ip, at + 16)),
        LinkType::SLIP_BSDOS => Ok((Layer::Ip, at + 24)),
        LinkType::IEEE802_11 => Ok((Layer::Ieee80211, at)),
        LinkType::RADIOTAP => ieee80211::radiotap(bytes, at),
        LinkType::PRISM => ieee80211::prism(bytes, at),
        LinkType::AVS => ieee80211::avs(bytes, at),
        LinkType::TOKEN_RING => shared_media::token_ring(bytes, at),
        LinkType::FDDI => shared_media::fddi(bytes, at),
        LinkType::ARCNET => shared_media::arcnet(bytes, at, 2),
        // With an offset between addresses and protocol.
        LinkType::ARCNET_LINUX => shared_media::arcnet(bytes, at, 4),
        LinkType::ATM_RFC1483 | LinkType::ATM_CLIP => shared_media::atm(bytes, at),
        LinkType::SUN_ATM => shared_media::sun_atm(bytes, at),
        // Two addresses of eight bytes.
        LinkType::IP_OVER_FIBRE_CHANNEL => Ok((Layer::Llc, at + 16)),
        LinkType::IP_OVER_FIREWIRE => Ok((Layer::EtherType(be16(bytes, at + 16)?), at + 18)),
        // Global route header, then type and two reserved bytes.
        LinkType::IP_OVER_INFINIBAND => Ok((Layer::EtherType(be16(bytes, at + 40)?), at + 44)),
        LinkType::JUNIPER_ETHERNET => juniper::frame(bytes, at, Layer::Ethernet),
        LinkType::JUNIPER_PPP => juniper::frame(bytes, at, Layer::Ppp),
        LinkType::JUNIPER_FRAME_RELAY => juniper::frame(bytes, at, Layer::FrameRelay),
        LinkType::JUNIPER_CISCO_HDLC => juniper::frame(bytes, at, Layer::CiscoHdlc),
        // Tags of switch chips behind the addresses, or before them.
        LinkType::BROADCOM_TAG | LinkType::DSA_TAG => Ok((Layer::EtherType(be16(bytes, at + 16)?), at + 18)),
        LinkType::EDSA_TAG => Ok((Layer::EtherType(be16(bytes, at + 20)?), at + 22)),
        LinkType::BROADCOM_TAG_BEFORE | LinkType::NETANALYZER => Ok((Layer::Ethernet, at + 4)),
        // The preamble too.
        LinkType::NETANALYZER_TRANSPARENT => Ok((Layer::Ethernet, at + 12)),
        LinkType::ETHERNET_MPACKET => Ok((Layer::Ethernet, at + 8)),
        _ => Err(NotFlow::LinkUnsupported),
    }
}

/// Hardware types (Linux `if_arp.h`) whose frames keep a header of their own behind the cooked one.
mod hardware {
    pub const FRAME_RELAY: u16 = 770;
    pub const IEEE802_11: u16 = 801;
    pub const PRISM: u16 = 802;
    pub const RADIOTAP: u16 = 803;
    pub const NETLINK: u16 = 824;
}

/// Packet type, hardware type, address with its length, protocol.
fn linux_cooked(bytes: &[u8], at: usize) -> Step {
    let header = header::<16>(bytes, at)?;
    let [hardware, protocol] = [2, 14].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    behind_cooked(bytes, at + header.len(), hardware, protocol)
}

/// Protocol, interface, hardware type, packet type, address with its length.
fn linux_cooked_2(bytes: &[u8], at: usize) -> Step {
    let header = header::<20>(bytes, at)?;
    let [protocol, hardware] = [0, 8].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    behind_cooked(bytes, at + header.len(), hardware, protocol)
}

fn behind_cooked(bytes: &[u8], at: usize, hardware: u16, protocol: u16) -> Step {
    match hardware {
        hardware::NETLINK => Err(NotFlow::OtherEtherType),
        hardware::FRAME_RELAY => Ok((Layer::FrameRelay, at)),
        hardware::IEEE802_11 => Ok((Layer::Ieee80211, at)),
        hardware::PRISM => ieee80211::prism(bytes, at),
        hardware::RADIOTAP => ieee80211::radiotap(bytes, at),
        _ => llc::cooked_protocol(protocol, at),
    }
}

/// Address families of the systems that write them into link headers.
fn is_inet(family: u32) -> bool {
    const INET: u32 = 2;
    // Linux, NetBSD and OpenBSD, Solaris, FreeBSD, macOS.
    const INET6: [u32; 5] = [10, 24, 26, 28, 30];
    family == INET || INET6.contains(&family)
}

/// The address family is in the byte order of the host that captured, so the version nibble decides.
fn loopback(bytes: &[u8], at: usize) -> Step {
    let family = *header::<4>(bytes, at)?;
    behind_family(u32::from_be_bytes(family).min(u32::from_le_bytes(family)), at + 4)
}

fn behind_family(family: u32, at: usize) -> Step {
    if is_inet(family) { Ok((Layer::Ip, at)) } else { Err(NotFlow::OtherEtherType) }
}

/// OpenBSD's interface for IPsec: address family as on loopbacks, SPI, flags.
fn encapsulating_interface(bytes: &[u8], at: usize) -> Step {
    loopback(bytes, at).map(|(layer, _)| (layer, at + 12))
}

/// Length of the header before its padding to a word, address family, what the filter did.
fn packet_filter_log(bytes: &[u8], at: usize) -> Step {
    let [length, family] = *header::<2>(bytes, at)?;
    behind_family(u32::from(family), at + usize::from(length).next_multiple_of(4))
}

/// Solaris: version, address family, hook, lengths and zones.
fn ipnet(bytes: &[u8], at: usize) -> Step {
    behind_family(u32::from(u8_at(bytes, at + 1)?), at + 24)
}

/// Address family, version, resource; then attributes with length and type in the byte order of the host, each
/// filled up to a word. One of them is the packet.
fn netfilter_log(bytes: &[u8], at: usize) -> Step {
    const VERSION: u8 = 0;
    const ATTRIBUTES_MAX: usize = 32;
    const PACKET: u16 = 9;
    let [family, version, ..] = *header::<4>(bytes, at)?;
    if version != VERSION {
        return Err(NotFlow::OtherEtherType);
    }
    let mut attribute = at + 4;
    for _ in 0..ATTRIBUTES_MAX {
        let [a, b, c, d] = *header::<4>(bytes, attribute)?;
        // Types are small, which tells the byte order; lengths of packets are not.
        let read = if d == 0 { u16::from_le_bytes } else { u16::from_be_bytes };
        let (length, kind) = (usize::from(read([a, b])), read([c, d]));
        if kind == PACKET {
            return behind_family(u32::from(family), attribute + 4);
        }
        attribute += length.max(4).next_multiple_of(4);
    }
    Err(NotFlow::OtherEtherType)
}

/// macOS: length of this header, whether a packet follows, its link type; little-endian.
fn packet_tap(bytes: &[u8], at: usize) -> Step {
    let [length, _, link] = packet_tap_words(bytes, at)?;
    behind_pseudo_header(at + length as usize, link)
}

/// Whether a frame of a link type for private use is macOS's own.
fn is_packet_tap(bytes: &[u8], at: usize) -> bool {
    const HEADER_BYTES: std::ops::Range<u32> = 108..512;
    const HAS_PACKET: u32 = 1;
    packet_tap_words(bytes, at)
        .is_ok_and(|[length, next, _]| HEADER_BYTES.contains(&length) && next == HAS_PACKET)
}

fn packet_tap_words(bytes: &[u8], at: usize) -> Result<[u32; 3], NotFlow> {
    let start = header::<12>(bytes, at)?;
    Ok([0, 4, 8].map(|at| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]])))
}

/// Version, flags, length of this header and its fields, link type; little-endian.
fn per_packet_information(bytes: &[u8], at: usize) -> Step {
    let start = header::<8>(bytes, at)?;
    let length = usize::from(u16::from_le_bytes([start[2], start[3]]));
    let link = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
    behind_pseudo_header(at + length.max(start.len()), link)
}

fn behind_pseudo_header(at: usize, link: u32) -> Step {
    let link = u16::try_from(link).map_err(|_| NotFlow::LinkUnsupported)?;
    Ok((Layer::Link(LinkType(link)), at))
}
