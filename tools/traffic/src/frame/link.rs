//! What may stand between an Ethernet header and an IP packet: MPLS labels, a PPPoE session, LLC with SNAP.

use super::ip::Packet;
use super::{Ethernet, ether_type};

/// How a packet lies in an Ethernet frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Behind its EtherType.
    #[default]
    Plain,
    /// A label stack (RFC 3032), outermost first.
    Mpls(Vec<Label>),
    /// PPP over Ethernet, session stage (RFC 2516).
    Pppoe { session: u16 },
    /// An IEEE 802.3 length, LLC and SNAP (RFC 1042).
    Snap,
}

/// One entry of an MPLS label stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// 20 bits.
    pub label: u32,
    /// 3 bits.
    pub traffic_class: u8,
    pub ttl: u8,
}

impl Label {
    pub const fn new(label: u32) -> Label {
        Label { label, traffic_class: 0, ttl: 64 }
    }
}

impl Link {
    pub fn carry(&self, ethernet: &Ethernet, packet: &Packet) -> Vec<u8> {
        match self {
            Link::Plain => ethernet.carry(packet),
            Link::Mpls(labels) => {
                ethernet.frame(ether_type::MPLS, &[&label_stack(labels)[..], &packet.bytes].concat())
            }
            Link::Pppoe { session } => ethernet.frame(ether_type::PPPOE_SESSION, &pppoe(*session, packet)),
            Link::Snap => {
                let body = [&SNAP_HEADER[..], &packet.ether_type.to_be_bytes(), &packet.bytes].concat();
                let length = u16::try_from(body.len()).ok().filter(|length| *length <= LENGTH_MAX);
                ethernet.frame(length.expect("IEEE 802.3 carries 1500 bytes"), &body)
            }
        }
    }
}

/// The bottom of stack is marked on the last one.
pub fn label_stack(labels: &[Label]) -> Vec<u8> {
    let entries = labels.iter().enumerate().flat_map(|(index, entry)| {
        let is_bottom = u32::from(index + 1 == labels.len());
        let word = (entry.label & 0x000f_ffff) << 12
            | u32::from(entry.traffic_class & 7) << 9
            | is_bottom << 8
            | u32::from(entry.ttl);
        word.to_be_bytes()
    });
    entries.collect()
}

/// PPP's number for an IP version (IANA "PPP DLL Protocol Numbers").
pub(super) fn ppp_protocol(packet: &Packet) -> [u8; 2] {
    if packet.ether_type == ether_type::IPV6 { [0x00, 0x57] } else { [0x00, 0x21] }
}

/// Logical link control for SNAP, and the organisation that numbers EtherTypes.
pub(super) const SNAP_HEADER: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

fn pppoe(session: u16, packet: &Packet) -> Vec<u8> {
    let length = u16::try_from(2 + packet.bytes.len()).expect("an IP packet is a little shorter");
    let mut bytes = vec![PPPOE_VERSION_AND_TYPE, PPPOE_SESSION_DATA];
    bytes.extend_from_slice(&session.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&ppp_protocol(packet));
    bytes.extend_from_slice(&packet.bytes);
    bytes
}

const PPPOE_VERSION_AND_TYPE: u8 = 0x11;
const PPPOE_SESSION_DATA: u8 = 0;

/// Larger numbers in the place of the length are EtherTypes.
const LENGTH_MAX: u16 = 1_500;
