//! From bytes to a class and a flow hash: Ethernet, VLAN tags, IP, extension headers, ports.

use crate::packet::Packet;
use sensor_ebpf::{Class, EXTENSION_HEADERS_MAX, VLAN_TAGS_MAX, hash, hash::HashKey};

const ETHERNET_BYTES: usize = 14;
const VLAN_TAG_BYTES: usize = 4;
const IPV6_BYTES: usize = 40;
/// Source and destination port.
const PORTS_BYTES: usize = 4;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// What the rest of the program needs to know of a frame.
pub struct Packed {
    pub class: Class,
    /// Zero if it was not asked for.
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
            hash: 0,
            addresses: Addresses::None,
            protocol: 0,
            source_port: 0,
            destination_port: 0,
        }
    }
}

/// Without a key, nothing is hashed.
#[inline(always)]
pub fn classify(packet: &Packet, key: Option<HashKey>) -> Packed {
    let Some((ethertype, network)) = link(packet) else {
        return Packed::without_addresses(Class::Unparsed);
    };
    let parsed = match ethertype {
        IPV4 => ipv4(packet, network, key),
        IPV6 => ipv6(packet, network, key),
        ARP => return Packed::without_addresses(Class::Arp),
        _ => return Packed::without_addresses(Class::OtherLink),
    };
    match parsed {
        Some(parsed) => parsed,
        None => Packed::without_addresses(Class::Unparsed),
    }
}

/// EtherType behind the tags and the offset of what follows.
#[inline(always)]
fn link(packet: &Packet) -> Option<(u16, usize)> {
    let mut ethertype = packet.read::<u16>(ETHERNET_BYTES - 2)?;
    let mut offset = ETHERNET_BYTES;
    for _ in 0..VLAN_TAGS_MAX {
        if !is_vlan(ethertype) {
            break;
        }
        ethertype = packet.read::<u16>(offset + 2)?;
        offset += VLAN_TAG_BYTES;
    }
    Some((ethertype, offset))
}

/// 802.1Q, 802.1ad, and the value that was used for QinQ before 802.1ad.
#[inline(always)]
fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

#[inline(always)]
fn ipv4(packet: &Packet, at: usize, key: Option<HashKey>) -> Option<Packed> {
    let first = packet.read::<u8>(at)?;
    let header_bytes = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_bytes < 20 {
        return None;
    }
    let protocol = packet.read::<u8>(at + 9)?;
    let fragment = packet.read::<u16>(at + 6)?;
    let source = packet.read::<u32>(at + 12)?;
    let destination = packet.read::<u32>(at + 16)?;
    // The first fragment has ports, later ones (offset above zero) have not.
    let is_later_fragment = fragment & 0x1fff != 0;
    let total_length = usize::from(packet.read::<u16>(at + 2)?);
    let ports = if is_later_fragment {
        Some((0, 0))
    } else {
        // Zero is left to the card by segmentation offload.
        let end = if total_length == 0 { usize::MAX } else { at + total_length };
        ports(packet, at + header_bytes, end, protocol)
    };
    let (source_port, destination_port) = ports?;
    let class = match protocol {
        _ if fragment & 0x3fff != 0 => Class::Ipv4Fragment,
        TCP => Class::Ipv4Tcp,
        UDP => Class::Ipv4Udp,
        ICMP => Class::Ipv4Icmp,
        _ => Class::Ipv4Other,
    };
    let hash = match key {
        Some(key) => hash::flow_v4(key, (source, source_port), (destination, destination_port), protocol),
        None => 0,
    };
    let addresses = Addresses::V4 { source, destination };
    Some(Packed { class, hash, addresses, protocol, source_port, destination_port })
}

#[inline(always)]
fn ipv6(packet: &Packet, at: usize, key: Option<HashKey>) -> Option<Packed> {
    if packet.read::<u8>(at)? >> 4 != 6 {
        return None;
    }
    let source = (packet.read::<u64>(at + 8)?, packet.read::<u64>(at + 16)?);
    let destination = (packet.read::<u64>(at + 24)?, packet.read::<u64>(at + 32)?);
    let mut protocol = packet.read::<u8>(at + 6)?;
    let mut offset = at + IPV6_BYTES;
    let mut is_fragment = false;
    let mut is_later_fragment = false;
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
                let header = packet.read::<u32>(offset)?;
                protocol = (header >> 24) as u8;
                let fragment = header as u16;
                offset += 8;
                is_fragment = true;
                if fragment & 0xfff8 != 0 {
                    is_later_fragment = true;
                    break;
                }
            }
            _ => break,
        }
    }
    if !is_later_fragment && matches!(protocol, 0 | 43 | 44 | 60 | 135 | 139 | 140) {
        return None;
    }
    let payload_length = usize::from(packet.read::<u16>(at + 4)?);
    let ports = if is_later_fragment {
        Some((0, 0))
    } else {
        let end = if payload_length == 0 { usize::MAX } else { at + IPV6_BYTES + payload_length };
        ports(packet, offset, end, protocol)
    };
    let (source_port, destination_port) = ports?;
    let class = match protocol {
        _ if is_fragment => Class::Ipv6Fragment,
        TCP => Class::Ipv6Tcp,
        UDP => Class::Ipv6Udp,
        ICMPV6 => Class::Ipv6Icmp,
        _ => Class::Ipv6Other,
    };
    let hash = match key {
        Some(key) => hash::flow_v6(
            key,
            (source.0, source.1, source_port),
            (destination.0, destination.1, destination_port),
            protocol,
        ),
        None => 0,
    };
    let addresses = Addresses::V6 { source, destination };
    Some(Packed { class, hash, addresses, protocol, source_port, destination_port })
}

/// Source and destination port; zeros for protocols without, `None` when the packet ends before them (what follows
/// is padding) or the frame does.
#[inline(always)]
fn ports(packet: &Packet, at: usize, end: usize, protocol: u8) -> Option<(u16, u16)> {
    if !matches!(protocol, TCP | UDP | SCTP) {
        return Some((0, 0));
    }
    if at + PORTS_BYTES > end {
        return None;
    }
    let ports = packet.read::<u32>(at)?;
    Some(((ports >> 16) as u16, ports as u16))
}
