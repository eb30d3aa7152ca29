//! IEEE 802.2 logical link control, SNAP, and the network layer identifiers of ISO 9577.

use super::{Layer, Step, be16, ethernet, header, u8_at};
use crate::packet::NotFlow;

/// Unnumbered information: the control byte before data.
const UI: u8 = 0x03;
/// Destination and source service access point of each kind.
const SNAP: [u8; 2] = [0xaa, 0xaa];
const ISO_NETWORK: [u8; 2] = [0xfe, 0xfe];
const IP: [u8; 2] = [0x06, 0x06];

pub fn llc(bytes: &[u8], at: usize) -> Step {
    let [destination, source, control] = *header::<3>(bytes, at)?;
    let at = at + 3;
    match ([destination, source], control) {
        (SNAP, UI) => snap(bytes, at, Media::Plain),
        (ISO_NETWORK, UI) => network_layer(bytes, at),
        (IP, UI) => Ok((Layer::Ipv4, at)),
        _ => Err(NotFlow::Llc),
    }
}

/// Where SNAP is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Plain,
    /// RFC 2684 aligns bridged frames by two bytes.
    Atm,
}

/// Organisation, then a protocol number of its own.
pub fn snap(bytes: &[u8], at: usize, media: Media) -> Step {
    let [a, b, c] = *header::<3>(bytes, at)?;
    let protocol = be16(bytes, at + 3)?;
    let at = at + 5;
    match [a, b, c] {
        // Plain EtherTypes, and those of bridges between Ethernet and other media (802.1H).
        [0, 0, 0] | [0, 0, 0xf8] => Ok((Layer::EtherType(protocol), at)),
        // Bridged Ethernet with and without its check sequence (RFC 2427, RFC 2684).
        [0, 0x80, 0xc2] if matches!(protocol, 1 | 7) => match media {
            Media::Plain => Ok((Layer::Ethernet, at)),
            Media::Atm => Ok((Layer::Ethernet, at + 2)),
        },
        _ => Err(NotFlow::Llc),
    }
}

pub fn network_layer(bytes: &[u8], at: usize) -> Step {
    match u8_at(bytes, at)? {
        0xcc => Ok((Layer::Ipv4, at + 1)),
        0x8e => Ok((Layer::Ipv6, at + 1)),
        0xcf => Ok((Layer::Ppp, at + 1)),
        0x80 => snap(bytes, at + 1, Media::Plain),
        _ => Err(NotFlow::Llc),
    }
}

/// As [`llc`], where RFC 2684 puts it: ATM.
pub fn llc_on_atm(bytes: &[u8], at: usize) -> Step {
    match *header::<3>(bytes, at)? {
        [0xaa, 0xaa, UI] => snap(bytes, at + 3, Media::Atm),
        _ => llc(bytes, at),
    }
}

/// LLC or an EtherType by itself: what cooked captures call protocol.
pub fn cooked_protocol(protocol: u16, at: usize) -> Step {
    const LLC: u16 = 0x0004;
    match protocol {
        LLC => Ok((Layer::Llc, at)),
        // Linux's own numbers for what has no EtherType.
        0..0x0600 => Err(NotFlow::OtherEtherType),
        _ => Ok((Layer::EtherType(protocol), at)),
    }
}

/// Whether EtherType and what follows it can be taken for a frame that is not random.
pub fn is_likely(bytes: &[u8], at: usize) -> bool {
    let Ok(ethertype) = be16(bytes, at) else { return false };
    let first = bytes.get(at + 2).copied().unwrap_or_default();
    match ethertype {
        ethernet::IPV4 => first >> 4 == 4,
        ethernet::IPV6 => first >> 4 == 6,
        ethernet::ARP | ethernet::MPLS | ethernet::MPLS_UPSTREAM | ethernet::PPPOE_SESSION => true,
        // Spanning tree, SNAP, IS-IS.
        0..0x0600 => matches!(first, 0x42 | 0xaa | 0xfe),
        other => ethernet::is_vlan(other),
    }
}
