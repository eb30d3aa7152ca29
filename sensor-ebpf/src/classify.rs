//! From bytes to a class and a flow hash: IP, extension headers, fragments, ports.

use crate::{
    fragments::{FragmentKey, Upper},
    link::{self, Network, Place},
    packet::Packet,
    tunnel::is_tunnel,
};
use sensor_ebpf::{
    Class, EXTENSION_HEADERS_MAX, Settings, hash,
    ip_protocol::{ICMP, ICMPV6, SCTP, TCP, UDP},
    settings_flags,
};

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
/// IPv4 flags and fragment offset: more fragments follow.
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Ports and protocol in the hash of what has no flow of its own.
const BY_ADDRESSES: (u16, u16, u8) = (0, 0, 0);

/// What the rest of the program needs to know of a frame.
pub struct Packed {
    pub class: Class,
    /// As [`sensor_ebpf::Stamp::guess`].
    pub guess: u16,
    /// What to steer and sample by; zero where nobody needs it.
    pub hash: u64,
    pub addresses: Addresses,
    pub protocol: u8,
    pub source_port: u16,
    pub destination_port: u16,
}

pub enum Addresses {
    None,
    V4 { source: u32, destination: u32 },
    V6 { source: V6Address, destination: V6Address },
}

/// Upper and lower half.
pub type V6Address = (u64, u64);

impl Packed {
    const fn without_addresses(class: Class) -> Packed {
        Packed {
            class,
            guess: 0,
            hash: 0,
            addresses: Addresses::None,
            protocol: 0,
            source_port: 0,
            destination_port: 0,
        }
    }
}

#[inline(always)]
pub fn classify(packet: &Packet, settings: &Settings) -> Packed {
    let parsed = match link::network(packet) {
        Some(Network::V4(place)) => ipv4(packet, &place, settings),
        Some(Network::V6(place)) => ipv6(packet, &place, settings),
        Some(Network::Arp) => return Packed::without_addresses(Class::Arp),
        Some(Network::Other) => return Packed::without_addresses(Class::OtherLink),
        None => None,
    };
    match parsed {
        Some(parsed) => parsed,
        None => Packed::without_addresses(Class::Unparsed),
    }
}

#[inline(always)]
fn ipv4(packet: &Packet, place: &Place, settings: &Settings) -> Option<Packed> {
    let at = place.offset;
    let header = packet.header::<IPV4_BYTES>(at)?;
    // Version, header length, TOS, total length; identification, flags, fragment offset.
    let first = header.read::<u64, 0>();
    let header_bytes = (first >> 56 & 0x0f) as usize * 4;
    if first >> 60 != 4 || header_bytes < IPV4_BYTES {
        return None;
    }
    // TTL, protocol, checksum; source.
    let second = header.read::<u64, 8>();
    let protocol = (second >> 48) as u8;
    let source = second as u32;
    let destination = header.read::<u32, 16>();
    let total_length = usize::from((first >> 32) as u16);
    let fragment = first as u16;
    // Zero is left to the card by segmentation offload.
    let end = if total_length == 0 { usize::MAX } else { at + total_length };
    let is_fragment = fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0;
    let is_later = fragment & FRAGMENT_OFFSET != 0;
    let ports = if is_later { 0 } else { ports(packet, at + header_bytes, end, protocol)? };
    let mut upper = Upper::of(protocol, ports);
    if is_fragment && needs_first(protocol, settings) {
        let key = FragmentKey::v4(source, destination, (first >> 16) as u16, protocol);
        upper = if is_later { key.later(protocol) } else { key.first(protocol, ports) };
    }
    let class = match protocol {
        _ if is_fragment => Class::Ipv4Fragment,
        TCP => Class::Ipv4Tcp,
        UDP => Class::Ipv4Udp,
        ICMP => Class::Ipv4Icmp,
        _ => Class::Ipv4Other,
    };
    let addresses = Addresses::V4 { source, destination };
    let packed = packed(class, addresses, &upper, settings);
    Some(Packed { guess: place.guess, ..packed })
}

#[inline(always)]
fn ipv6(packet: &Packet, place: &Place, settings: &Settings) -> Option<Packed> {
    let at = place.offset;
    let header = packet.header::<IPV6_BYTES>(at)?;
    // Version, traffic class, flow label; payload length, next header, hop limit.
    let first = header.read::<u64, 0>();
    if first >> 60 != 6 {
        return None;
    }
    let source = (header.read::<u64, 8>(), header.read::<u64, 16>());
    let destination = (header.read::<u64, 24>(), header.read::<u64, 32>());
    let mut protocol = (first >> 8) as u8;
    let mut offset = at + IPV6_BYTES;
    let mut fragment = None;
    for _ in 0..EXTENSION_HEADERS_MAX {
        match protocol {
            // Hop-by-hop, routing, destination options, mobility, HIP, Shim6: length in 8-byte units, not counting the
            // first.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let next_and_length = packet.read::<u16>(offset)?;
                protocol = (next_and_length >> 8) as u8;
                offset += (usize::from(next_and_length & 0xff) + 1) * 8;
            }
            44 => {
                // Next header, reserved, offset with flags, identification.
                let header = packet.read::<u64>(offset)?;
                protocol = (header >> 56) as u8;
                offset += 8;
                fragment = Some(header);
                if is_later_fragment(header) {
                    break;
                }
            }
            _ => break,
        }
    }
    let payload_length = usize::from((first >> 16) as u16);
    let end = if payload_length == 0 { usize::MAX } else { at + IPV6_BYTES + payload_length };
    let is_later = match fragment {
        Some(header) => is_later_fragment(header),
        None => false,
    };
    if !is_later && is_extension(protocol) {
        return None;
    }
    let ports = if is_later { 0 } else { ports(packet, offset, end, protocol)? };
    let mut upper = Upper::of(protocol, ports);
    // One that is the whole packet (RFC 6946) has nothing to leave behind.
    if let Some(header) = fragment
        && (is_later || has_more_fragments(header))
        && needs_first((header >> 56) as u8, settings)
    {
        let key = FragmentKey::v6(source, destination, header as u32);
        upper = if is_later { key.later(protocol) } else { key.first(protocol, ports) };
    }
    let class = match upper.protocol {
        _ if fragment.is_some() => Class::Ipv6Fragment,
        TCP => Class::Ipv6Tcp,
        UDP => Class::Ipv6Udp,
        ICMPV6 => Class::Ipv6Icmp,
        _ => Class::Ipv6Other,
    };
    let packed = packed(class, Addresses::V6 { source, destination }, &upper, settings);
    Some(Packed { guess: place.guess, ..packed })
}

/// Whether the offset in an IPv6 fragment header is above zero.
#[inline(always)]
fn is_later_fragment(header: u64) -> bool {
    header >> 32 & 0xfff8 != 0
}

#[inline(always)]
fn has_more_fragments(header: u64) -> bool {
    header >> 32 & 1 != 0
}

/// Whether only the first fragment tells what a packet is to be filtered, sampled and steered by: behind a header that
/// names this protocol.
#[inline(always)]
fn needs_first(protocol: u8, settings: &Settings) -> bool {
    (has_ports(protocol) || is_extension(protocol))
        && (settings.is_hashed() || settings.flags & settings_flags::FILTER != 0)
}

#[inline(always)]
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

/// IPv6 extension headers that are walked over.
#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(protocol, 0 | 43 | 44 | 60 | 135 | 139 | 140)
}

/// Hashes what was found, as a flow or as a tunnel.
#[inline(always)]
fn packed(class: Class, addresses: Addresses, upper: &Upper, settings: &Settings) -> Packed {
    let Upper { protocol, ports, is_late } = *upper;
    let (source_port, destination_port) = ((ports >> 16) as u16, ports as u16);
    let mut packed = Packed { class, guess: 0, hash: 0, addresses, protocol, source_port, destination_port };
    let mut hashed = if is_late { BY_ADDRESSES } else { (source_port, destination_port, protocol) };
    // TCP first: it pays nothing for the question.
    if protocol != TCP && is_tunnel(settings, protocol, source_port, destination_port) {
        packed.class = Class::Tunnel;
        hashed = BY_ADDRESSES;
    }
    if settings.is_hashed() {
        packed.hash = flow_hash(&packed.addresses, hashed, settings);
    }
    packed
}

#[inline(always)]
fn flow_hash(
    addresses: &Addresses,
    (source_port, destination_port, protocol): (u16, u16, u8),
    settings: &Settings,
) -> u64 {
    let key = settings.hash_key;
    match *addresses {
        Addresses::None => 0,
        Addresses::V4 { source, destination } => {
            hash::flow_v4(key, (source, source_port), (destination, destination_port), protocol)
        }
        Addresses::V6 { source, destination } => hash::flow_v6(
            key,
            (source.0, source.1, source_port),
            (destination.0, destination.1, destination_port),
            protocol,
        ),
    }
}

/// Source and destination port as they stand on the wire; zeros for protocols without, `None` when the packet ends
/// before them (what follows is padding) or the frame does.
#[inline(always)]
fn ports(packet: &Packet, at: usize, end: usize, protocol: u8) -> Option<u32> {
    if !has_ports(protocol) {
        return Some(0);
    }
    if at + size_of::<u32>() > end {
        return None;
    }
    packet.read::<u32>(at)
}
