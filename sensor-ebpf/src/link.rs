//! From the start of a frame to its network layer.

use crate::packet::{self, Packet};
use sensor_ebpf::{MPLS_LABELS_MAX, VLAN_TAGS_MAX};

const ETHERNET_BYTES: usize = 14;
const VLAN_TAG_BYTES: usize = 4;
const MPLS_LABEL_BYTES: usize = 4;
/// In an MPLS label: the last one of the stack (RFC 3032 §2.1).
const BOTTOM_OF_STACK: u32 = 1 << 8;
/// PPPoE header and PPP protocol.
const PPPOE_BYTES: usize = 8;
/// Version 1, type 1, code 0: session data (RFC 2516 §4).
const PPPOE_SESSION_DATA: u16 = 0x1100;
const SNAP_BYTES: usize = 8;
/// LLC addresses and control field of SNAP, and the organisation whose protocol numbers are EtherTypes (RFC 1042).
const SNAP_OF_ETHERTYPES: u64 = 0xaaaa_0300_0000;
/// EtherTypes below this are IEEE 802.3 lengths.
const ETHERTYPE_MIN: u16 = 0x0600;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// What the network layer is, and where in the frame.
pub enum Network {
    V4(Place),
    V6(Place),
    Arp,
    Other,
}

pub struct Place {
    pub offset: usize,
    /// As [`sensor_ebpf::Stamp::guess`].
    pub guess: u16,
}

const BEHIND_ETHERNET: Place = Place { offset: ETHERNET_BYTES, guess: 0 };

/// `None` when the frame ends before, or has more tags or labels than are followed.
#[inline(always)]
pub fn network(packet: &Packet) -> Option<Network> {
    let ethertype = packet.read::<u16>(ETHERNET_BYTES - 2)?;
    match ethertype {
        IPV4 => Some(Network::V4(BEHIND_ETHERNET)),
        IPV6 => Some(Network::V6(BEHIND_ETHERNET)),
        _ => encapsulated(packet, ethertype),
    }
}

#[inline(always)]
fn encapsulated(packet: &Packet, first: u16) -> Option<Network> {
    let (mut ethertype, mut offset) = (first, ETHERNET_BYTES);
    for _ in 0..VLAN_TAGS_MAX {
        if !is_vlan(ethertype) {
            break;
        }
        ethertype = packet.read::<u16>(offset + 2)?;
        offset += VLAN_TAG_BYTES;
    }
    if ethertype < ETHERTYPE_MIN && packet.read::<u64>(offset)? >> 16 == SNAP_OF_ETHERTYPES {
        ethertype = packet.read::<u16>(offset + SNAP_BYTES - 2)?;
        offset += SNAP_BYTES;
    }
    let mut guess = 0;
    match ethertype {
        MPLS | MPLS_MULTICAST => {
            guess = 1;
            offset = behind_labels(packet, offset)?;
            ethertype = match packet.read::<u16>(offset)? >> 12 {
                4 => IPV4,
                6 => IPV6,
                _ => ethertype,
            };
        }
        PPPOE_SESSION => {
            let (header, ppp) = (packet.read::<u16>(offset)?, packet.read::<u16>(offset + PPPOE_BYTES - 2)?);
            ethertype = match (header, ppp) {
                (PPPOE_SESSION_DATA, PPP_IPV4) => IPV4,
                (PPPOE_SESSION_DATA, PPP_IPV6) => IPV6,
                _ => ethertype,
            };
            offset += PPPOE_BYTES;
        }
        _ if is_vlan(ethertype) => return None,
        _ => {}
    }
    // The hardware address of the receiver.
    let offset = packet::forget(offset, u64::from(packet.read::<u16>(0)?));
    Some(match ethertype {
        IPV4 => Network::V4(Place { offset, guess }),
        IPV6 => Network::V6(Place { offset, guess }),
        ARP => Network::Arp,
        _ => Network::Other,
    })
}

/// 802.1Q, 802.1ad, and the values that were used for QinQ before 802.1ad.
#[inline(always)]
fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

/// The offset behind the last label of an MPLS stack.
#[inline(always)]
fn behind_labels(packet: &Packet, at: usize) -> Option<usize> {
    let mut offset = at;
    for _ in 0..MPLS_LABELS_MAX {
        let label = packet.read::<u32>(offset)?;
        offset += MPLS_LABEL_BYTES;
        if label & BOTTOM_OF_STACK != 0 {
            return Some(offset);
        }
    }
    None
}
