//! Frames built field by field: Ethernet here, what may follow it in [`link`], IP in [`ip`], transport in
//! [`transport`], packets in packets in [`tunnel`], other links than Ethernet in [`capture`].
//!
//! Every length and checksum is computed, so what comes out is what a host would send. A malformed frame is
//! made by damaging a good one.
//!
//! ```
//! use traffic::frame::{Ethernet, Tag, ip::{Ip, Ipv4}, transport::{Transport, Udp}};
//!
//! let ethernet = Ethernet { tags: vec![Tag::vlan(100)], ..Ethernet::default() };
//! let ip = Ip::V4(Ipv4::between([192, 0, 2, 1], [192, 0, 2, 2]));
//! let packet = ip.packet(&Transport::Udp(Udp { source_port: 4000, destination_port: 53 }), b"payload");
//! assert_eq!(packet.bytes.len(), 20 + 8 + 7);
//! assert_eq!(ethernet.carry(&packet).len(), 60);
//! ```

pub mod capture;
pub mod checksum;
pub mod ip;
pub mod link;
pub mod transport;
pub mod tunnel;

use ip::Packet;

/// IEEE 802.3: a frame is padded to this many bytes, not counting its check sequence.
pub const FRAME_BYTES_MIN: usize = 60;

pub const ETHERNET_HEADER_BYTES: usize = 14;

/// EtherTypes (IEEE registration authority).
pub mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    /// ERSPAN type III, in GRE.
    pub const ERSPAN_3: u16 = 0x22eb;
    /// A frame in GRE or Geneve: transparent Ethernet bridging (RFC 1701).
    pub const BRIDGED: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    /// ERSPAN type II, in GRE.
    pub const ERSPAN_2: u16 = 0x88be;
    pub const LLDP: u16 = 0x88cc;
    /// QinQ before IEEE 802.1ad.
    pub const OLD_PROVIDER_VLAN: u16 = 0x9100;
}

/// The link-layer header of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ethernet {
    pub source: [u8; 6],
    pub destination: [u8; 6],
    /// Outermost first.
    pub tags: Vec<Tag>,
    pub padding: Padding,
}

/// Whether short frames are filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As a network card does it: to [`FRAME_BYTES_MIN`].
    ToMinimum,
    /// As virtual devices do it.
    Never,
}

/// One VLAN tag (IEEE 802.1Q).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub ether_type: u16,
    /// 12 bits.
    pub id: u16,
    /// 3 bits.
    pub priority: u8,
}

impl Tag {
    /// A customer tag (0x8100).
    pub const fn vlan(id: u16) -> Tag {
        Tag { ether_type: ether_type::VLAN, id, priority: 0 }
    }

    /// A provider tag (0x88a8), the outer one of QinQ.
    pub const fn provider(id: u16) -> Tag {
        Tag { ether_type: ether_type::PROVIDER_VLAN, id, priority: 0 }
    }

    /// The outer tag of QinQ as it was before IEEE 802.1ad (0x9100).
    pub const fn old_provider(id: u16) -> Tag {
        Tag { ether_type: ether_type::OLD_PROVIDER_VLAN, id, priority: 0 }
    }
}

impl Default for Ethernet {
    /// Between two locally administered addresses, untagged, padded.
    fn default() -> Ethernet {
        Ethernet {
            source: [2, 0, 0, 0, 0, 1],
            destination: [2, 0, 0, 0, 0, 2],
            tags: Vec::new(),
            padding: Padding::ToMinimum,
        }
    }
}

impl Ethernet {
    /// The same link seen from the other side.
    pub fn reversed(&self) -> Ethernet {
        Ethernet { source: self.destination, destination: self.source, ..self.clone() }
    }

    /// The frame that carries an IP packet.
    pub fn carry(&self, packet: &Packet) -> Vec<u8> {
        self.frame(packet.ether_type, &packet.bytes)
    }

    /// A frame of any EtherType; below 0x0600 the number is an 802.3 length.
    pub fn frame(&self, ether_type: u16, payload: &[u8]) -> Vec<u8> {
        let length = ETHERNET_HEADER_BYTES + 4 * self.tags.len() + payload.len();
        let mut frame = Vec::with_capacity(length.max(FRAME_BYTES_MIN));
        frame.extend_from_slice(&self.destination);
        frame.extend_from_slice(&self.source);
        for tag in &self.tags {
            let control = u16::from(tag.priority & 7) << 13 | tag.id & 0x0fff;
            frame.extend_from_slice(&tag.ether_type.to_be_bytes());
            frame.extend_from_slice(&control.to_be_bytes());
        }
        frame.extend_from_slice(&ether_type.to_be_bytes());
        frame.extend_from_slice(payload);
        if self.padding == Padding::ToMinimum && frame.len() < FRAME_BYTES_MIN {
            frame.resize(FRAME_BYTES_MIN, 0);
        }
        frame
    }

    /// An ARP request of `sender` for `target` (RFC 826), broadcast.
    pub fn arp_request(&self, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
        body.extend_from_slice(&self.source);
        body.extend_from_slice(&sender);
        body.extend_from_slice(&[0; 6]);
        body.extend_from_slice(&target);
        Ethernet { destination: [0xff; 6], ..self.clone() }.frame(ether_type::ARP, &body)
    }

    /// The answer to [`Ethernet::arp_request`], to the one who asked.
    pub fn arp_reply(&self, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let mut body = vec![0, 1, 8, 0, 6, 4, 0, 2];
        body.extend_from_slice(&self.source);
        body.extend_from_slice(&sender);
        body.extend_from_slice(&self.destination);
        body.extend_from_slice(&target);
        self.frame(ether_type::ARP, &body)
    }
}
