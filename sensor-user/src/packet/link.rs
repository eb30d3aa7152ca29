//! Link layers: where the network layer starts and which it is.

use super::{NotFlow, bytes_at, u16_at};
use crate::source::{Frame, LinkType};
use sensor_ebpf::VLAN_TAGS_MAX;

const ETHERNET_BYTES: usize = 14;
const VLAN_TAG_BYTES: usize = 4;
/// EtherTypes below this are IEEE 802.3 lengths.
const ETHERTYPE_MIN: u16 = 0x0600;

/// EtherTypes (IANA "IEEE 802 numbers").
mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    /// 802.1ad service tag.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// QinQ before 802.1ad.
    pub const OLD_QINQ: u16 = 0x9100;
}

/// Where IP starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub version: IpVersion,
    pub offset: usize,
    /// Identifier of the outermost VLAN tag, 0 if untagged.
    pub vlan: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    V4,
    V6,
}

#[inline(always)]
pub fn decode(frame: &Frame<'_>) -> Result<Network, NotFlow> {
    if frame.link != LinkType::ETHERNET {
        return other_than_ethernet(frame);
    }
    let ethertype = u16_at(frame.bytes, ETHERNET_BYTES - 2).ok_or(NotFlow::LinkTruncated)?;
    if ethertype == ethertype::IPV4 {
        return Ok(Network { version: IpVersion::V4, offset: ETHERNET_BYTES, vlan: 0 });
    }
    behind_ethertype(frame.bytes, ethertype, ETHERNET_BYTES)
}

#[inline(never)]
fn other_than_ethernet(frame: &Frame<'_>) -> Result<Network, NotFlow> {
    match frame.link {
        LinkType::RAW => raw(frame.bytes, 0),
        LinkType::IPV4 => Ok(Network { version: IpVersion::V4, offset: 0, vlan: 0 }),
        LinkType::IPV6 => Ok(Network { version: IpVersion::V6, offset: 0, vlan: 0 }),
        LinkType::NULL | LinkType::LOOP => loopback(frame.bytes),
        // Protocol type at byte 14 of 16, and at byte 0 of 20.
        LinkType::LINUX_SLL => cooked(frame.bytes, 14, 16),
        LinkType::LINUX_SLL2 => cooked(frame.bytes, 0, 20),
        _ => Err(NotFlow::LinkUnsupported),
    }
}

#[inline]
fn behind_ethertype(bytes: &[u8], first: u16, at: usize) -> Result<Network, NotFlow> {
    let (mut ethertype, mut offset, mut vlan) = (first, at, 0);
    for depth in 0.. {
        match ethertype {
            ethertype::IPV4 => return Ok(Network { version: IpVersion::V4, offset, vlan }),
            ethertype::IPV6 => return Ok(Network { version: IpVersion::V6, offset, vlan }),
            ethertype::ARP => return Err(NotFlow::Arp),
            ethertype::VLAN | ethertype::SERVICE_VLAN | ethertype::OLD_QINQ => {}
            _ if ethertype < ETHERTYPE_MIN => return Err(NotFlow::Llc),
            _ => return Err(NotFlow::OtherEtherType),
        }
        if depth == VLAN_TAGS_MAX {
            return Err(NotFlow::VlanDepth);
        }
        let tag = bytes_at::<VLAN_TAG_BYTES>(bytes, offset).ok_or(NotFlow::LinkTruncated)?;
        if depth == 0 {
            vlan = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
        }
        ethertype = u16::from_be_bytes([tag[2], tag[3]]);
        offset += VLAN_TAG_BYTES;
    }
    unreachable!("the loop returns at the deepest tag")
}

fn raw(bytes: &[u8], offset: usize) -> Result<Network, NotFlow> {
    match bytes.get(offset).ok_or(NotFlow::LinkTruncated)? >> 4 {
        4 => Ok(Network { version: IpVersion::V4, offset, vlan: 0 }),
        6 => Ok(Network { version: IpVersion::V6, offset, vlan: 0 }),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// The address family is in the byte order of the host that captured, so the version nibble decides.
fn loopback(bytes: &[u8]) -> Result<Network, NotFlow> {
    let family = bytes_at::<4>(bytes, 0).ok_or(NotFlow::LinkTruncated)?;
    match u32::from_be_bytes(*family).min(u32::from_le_bytes(*family)) {
        // AF_INET, and AF_INET6 of NetBSD/OpenBSD, FreeBSD, macOS, Linux.
        2 | 24 | 28 | 30 | 10 => raw(bytes, 4),
        _ => Err(NotFlow::OtherEtherType),
    }
}

fn cooked(bytes: &[u8], protocol_at: usize, header_bytes: usize) -> Result<Network, NotFlow> {
    let header = bytes.get(..header_bytes).ok_or(NotFlow::LinkTruncated)?;
    let ethertype = u16_at(header, protocol_at).ok_or(NotFlow::LinkTruncated)?;
    behind_ethertype(bytes, ethertype, header_bytes)
}
