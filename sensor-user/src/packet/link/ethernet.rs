//! Ethernet (IEEE 802.3) and what EtherTypes stand for: VLAN tags and other headers between addresses and payload.

use super::{Layer, Step, be16, header, u8_at};
use crate::packet::{LinkTags, NotFlow};
use sensor_ebpf::VLAN_TAGS_MAX;

const ADDRESSES_BYTES: usize = 12;
const VLAN_TAG_BYTES: usize = 4;
/// EtherTypes below this are IEEE 802.3 lengths.
const ETHERTYPE_MIN: u16 = 0x0600;

// EtherTypes (IANA "IEEE 802 numbers").
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
/// TRILL (RFC 6325).
const TRILL: u16 = 0x22f3;
const TRANSPARENT_ETHERNET: u16 = 0x6558;
pub const VLAN: u16 = 0x8100;
pub const IPV6: u16 = 0x86dd;
const PPP: u16 = 0x880b;
pub const MPLS: u16 = 0x8847;
/// MPLS with an upstream-assigned label, formerly multicast.
pub const MPLS_UPSTREAM: u16 = 0x8848;
pub const PPPOE_SESSION: u16 = 0x8864;
/// LLC in frames longer than an 802.3 length can say.
const LONG_LLC: u16 = 0x8870;
/// 802.1ad service tag.
const SERVICE_VLAN: u16 = 0x88a8;
/// 802.1ah backbone service instance tag.
const SERVICE_INSTANCE: u16 = 0x88e7;
const MACSEC: u16 = 0x88e5;
const FABRIC_PATH: u16 = 0x8903;
/// Cisco metadata: the group of the sender.
const CISCO_METADATA: u16 = 0x8909;
/// Cisco VN-Tag.
const VN_TAG: u16 = 0x8926;
/// High-availability seamless redundancy (IEC 62439-3).
const SEAMLESS_REDUNDANCY: u16 = 0x892f;
/// 802.1BR E-Tag.
const E_TAG: u16 = 0x893f;
const SERVICE_HEADER: u16 = 0x894f;
/// Arista's time stamps between addresses and payload.
const ARISTA: u16 = 0xd28b;
/// QinQ before 802.1ad, and another number for the same.
const OLD_QINQ: [u16; 2] = [0x9100, 0x9200];
/// 802.1CB redundancy tag.
const REDUNDANCY_TAG: u16 = 0xf1c1;

pub fn addresses(bytes: &[u8], at: usize) -> Step {
    let at = at + ADDRESSES_BYTES;
    Ok((Layer::EtherType(be16(bytes, at)?), at + 2))
}

pub fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | SERVICE_VLAN) || OLD_QINQ.contains(&ethertype)
}

/// The `count`th VLAN tag: control information, then the next EtherType.
pub fn vlan_tag(bytes: &[u8], at: usize, count: usize, tags: &mut LinkTags) -> Step {
    if count > VLAN_TAGS_MAX {
        return Err(NotFlow::VlanDepth);
    }
    let tag = header::<VLAN_TAG_BYTES>(bytes, at)?;
    let id = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
    match count {
        1 => tags.vlan = id,
        2 => tags.inner_vlan = id,
        _ => {}
    }
    Ok((Layer::EtherType(u16::from_be_bytes([tag[2], tag[3]])), at + VLAN_TAG_BYTES))
}

/// Every other EtherType. Those of tags lie before a few bytes and another EtherType.
pub fn ethertype(bytes: &[u8], at: usize, ethertype: u16) -> Step {
    let behind_tag = |tag_bytes: usize| {
        let at = at + tag_bytes;
        Ok((Layer::EtherType(be16(bytes, at)?), at + 2))
    };
    match ethertype {
        IPV4 => Ok((Layer::Ipv4, at)),
        IPV6 => Ok((Layer::Ipv6, at)),
        ARP => Err(NotFlow::Arp),
        MPLS | MPLS_UPSTREAM => Ok((Layer::Mpls, at)),
        VN_TAG | SEAMLESS_REDUNDANCY | REDUNDANCY_TAG => behind_tag(4),
        E_TAG | CISCO_METADATA => behind_tag(6),
        // Instance identifier and flags, then the customer's frame.
        SERVICE_INSTANCE => Ok((Layer::Ethernet, at + 4)),
        // Forwarding tag and time to live, then the frame.
        FABRIC_PATH => Ok((Layer::Ethernet, at + 2)),
        TRILL => trill(bytes, at),
        TRANSPARENT_ETHERNET => Ok((Layer::Ethernet, at)),
        PPP => Ok((Layer::Ppp, at)),
        SERVICE_HEADER => Ok((Layer::ServiceHeader, at)),
        LONG_LLC => Ok((Layer::Llc, at)),
        MACSEC => macsec(bytes, at),
        ARISTA => arista(bytes, at),
        length if length < ETHERTYPE_MIN => Ok((Layer::Llc, at)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// Six bytes, then options counted in words, then the frame.
fn trill(bytes: &[u8], at: usize) -> Step {
    let first = be16(bytes, at)?;
    let option_words = usize::from(first >> 6 & 0x1f);
    match first >> 14 {
        0 => Ok((Layer::Ethernet, at + 6 + option_words * 4)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// IEEE 802.1AE. What is only authenticated can be read.
fn macsec(bytes: &[u8], at: usize) -> Step {
    const HAS_CHANNEL: u8 = 0x20;
    const IS_ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let control = u8_at(bytes, at)?;
    if control & IS_ENCRYPTED_OR_CHANGED != 0 {
        return Err(NotFlow::LinkEncrypted);
    }
    // Control, short length and packet number, then the channel.
    let at = at + 6 + if control & HAS_CHANNEL != 0 { 8 } else { 0 };
    Ok((Layer::EtherType(be16(bytes, at)?), at + 2))
}

/// Kind and format, each two bytes, a time stamp as long as the format says, the next EtherType.
fn arista(bytes: &[u8], at: usize) -> Step {
    const TIME_STAMP: [u8; 2] = [0, 1];
    let [kind @ .., _, format] = *header::<4>(bytes, at)?;
    let time_bytes = match format >> 4 {
        1 => 8,
        2 => 6,
        _ => return Err(NotFlow::OtherEtherType),
    };
    let at = at + 4 + time_bytes;
    match kind {
        TIME_STAMP => Ok((Layer::EtherType(be16(bytes, at)?), at + 2)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// RFC 8300: four bytes, the last of which names what follows, then path and context, all counted in words.
pub fn service_header(bytes: &[u8], at: usize) -> Step {
    let first = header::<4>(bytes, at)?;
    let header_bytes = usize::from(first[1] & 0x3f) * 4;
    if first[0] >> 6 != 0 || header_bytes < 8 {
        return Err(NotFlow::OtherEtherType);
    }
    service_protocol(first[3]).map(|layer| (layer, at + header_bytes))
}

/// "Next protocol" of the service header and of VXLAN-GPE.
pub fn service_protocol(number: u8) -> Result<Layer, NotFlow> {
    match number {
        1 => Ok(Layer::Ipv4),
        2 => Ok(Layer::Ipv6),
        3 => Ok(Layer::Ethernet),
        4 => Ok(Layer::ServiceHeader),
        5 => Ok(Layer::Mpls),
        _ => Err(NotFlow::OtherEtherType),
    }
}
