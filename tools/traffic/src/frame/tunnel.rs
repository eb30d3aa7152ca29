//! Tunnels that start at IP: a packet, or a frame around it, inside of another packet.
//!
//! What comes out is a [`Packet`] again, so that tunnels go into tunnels to any depth. Lengths and checksums are
//! those of a sender without faults; only the integrity check value of AH, which needs a secret, is made up.
//!
//! ```
//! use traffic::frame::{Ethernet, ip::{Ip, Ipv4}, transport::{Transport, Udp}, tunnel::Tunnel};
//!
//! let tenant = Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]));
//! let packet = tenant.packet(&Transport::Udp(Udp { source_port: 1, destination_port: 2 }), &[7; 100]);
//! let underlay = Ip::V4(Ipv4::between([192, 0, 2, 1], [192, 0, 2, 2]));
//! let vxlan = Tunnel::Vxlan { source_port: 50_000, vni: 5_000 };
//! let carried = vxlan.wrap(&underlay, &packet, &Ethernet::default());
//! assert_eq!(carried.bytes.len(), 20 + 8 + 8 + 14 + packet.bytes.len());
//! ```

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::checksum::InternetSum;
use super::ip::{Ip, Packet, protocol};
use super::link::{Label, label_stack};
use super::transport::{Transport, Udp};
use super::{Ethernet, ether_type};

/// UDP ports of tunnels (IANA "Service Name and Transport Protocol Port Number Registry").
pub mod port {
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const VXLAN: u16 = 4789;
    pub const GENEVE: u16 = 6081;
    pub const MPLS: u16 = 6635;
}

/// One tunnel header, without what follows from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnel {
    Gre(Gre),
    /// Type II: draft-foschiano-erspan. The frame was mirrored from somewhere else.
    Erspan2(Erspan),
    /// Type III: the same draft.
    Erspan3(Erspan),
    /// IPv4 or IPv6 directly behind IPv4 or IPv6 (RFC 2003, RFC 2473, RFC 4213).
    IpInIp,
    /// RFC 7348.
    Vxlan {
        source_port: u16,
        /// 24 bits.
        vni: u32,
    },
    /// RFC 8926.
    Geneve {
        source_port: u16,
        /// 24 bits.
        vni: u32,
        /// As they stand in the header: a multiple of four bytes, at most 252.
        options: Vec<u8>,
    },
    GtpU(GtpU),
    Teredo(Teredo),
    /// Authentication header in tunnel mode (RFC 4302).
    Ah {
        spi: u32,
        sequence: u32,
    },
    /// RFC 3378.
    EtherIp,
    /// RFC 7510.
    MplsInUdp {
        source_port: u16,
        /// Outermost first.
        labels: Vec<Label>,
    },
}

/// Generic routing encapsulation (RFC 2784) with the optional fields of RFC 2890.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gre {
    pub key: Option<u32>,
    pub sequence: Option<u32>,
    pub has_checksum: bool,
    pub payload: GrePayload,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrePayload {
    #[default]
    Packet,
    /// A whole frame: transparent Ethernet bridging.
    Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erspan {
    /// 10 bits.
    pub session: u16,
    /// 12 bits: VLAN that the frame was mirrored from.
    pub vlan: u16,
    pub sequence: u32,
}

/// GTP-U (3GPP TS 29.281) with a user packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GtpU {
    pub teid: u32,
    pub sequence: Option<u16>,
    /// Flow identifier of a PDU session container (3GPP TS 38.415), the extension header of 5G, 6 bits.
    pub qos_flow: Option<u8>,
}

/// RFC 4380; it carries IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teredo {
    pub source_port: u16,
    pub destination_port: u16,
    /// What the server says of where the packet came from.
    pub origin: Option<(Ipv4Addr, u16)>,
}

/// What a sensor calls the tunnel around a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelKind {
    /// No tunnel.
    #[default]
    None,
    Gre,
    Erspan2,
    Erspan3,
    /// All but IPv6 in IPv4.
    IpInIp,
    #[serde(rename = "6in4")]
    SixInFour,
    Vxlan,
    Geneve,
    GtpU,
    Teredo,
    Ah,
    #[serde(rename = "etherip")]
    EtherIp,
    Mpls,
}

impl Tunnel {
    /// Puts `packet` into the tunnel whose ends are the addresses of `outer`. A tunnel that carries frames carries it
    /// in one of `ethernet`.
    pub fn wrap(&self, outer: &Ip, packet: &Packet, ethernet: &Ethernet) -> Packet {
        let body = if self.carries_frames() { ethernet.carry(packet) } else { packet.bytes.clone() };
        outer.packet(&self.transport(packet), &self.around(packet.ether_type, &body))
    }

    /// How the header around the tunnel's own names it.
    pub fn transport(&self, packet: &Packet) -> Transport {
        match self {
            Tunnel::Gre(_) | Tunnel::Erspan2(_) | Tunnel::Erspan3(_) => Transport::Other(protocol::GRE),
            Tunnel::IpInIp => Transport::Other(version_protocol(packet.ether_type)),
            Tunnel::Ah { .. } => Transport::Other(protocol::AH),
            Tunnel::EtherIp => Transport::Other(protocol::ETHERIP),
            Tunnel::Vxlan { source_port, .. } => to(*source_port, port::VXLAN),
            Tunnel::Geneve { source_port, .. } => to(*source_port, port::GENEVE),
            Tunnel::MplsInUdp { source_port, .. } => to(*source_port, port::MPLS),
            Tunnel::GtpU(_) => to(port::GTP_U, port::GTP_U),
            Tunnel::Teredo(teredo) => to(teredo.source_port, teredo.destination_port),
        }
    }

    pub fn kind(&self, outer: &Ip, packet: &Packet) -> TunnelKind {
        match self {
            Tunnel::Gre(_) => TunnelKind::Gre,
            Tunnel::Erspan2(_) => TunnelKind::Erspan2,
            Tunnel::Erspan3(_) => TunnelKind::Erspan3,
            Tunnel::IpInIp if matches!(outer, Ip::V4(_)) && packet.ether_type == ether_type::IPV6 => {
                TunnelKind::SixInFour
            }
            Tunnel::IpInIp => TunnelKind::IpInIp,
            Tunnel::Vxlan { .. } => TunnelKind::Vxlan,
            Tunnel::Geneve { .. } => TunnelKind::Geneve,
            Tunnel::GtpU(_) => TunnelKind::GtpU,
            Tunnel::Teredo(_) => TunnelKind::Teredo,
            Tunnel::Ah { .. } => TunnelKind::Ah,
            Tunnel::EtherIp => TunnelKind::EtherIp,
            Tunnel::MplsInUdp { .. } => TunnelKind::Mpls,
        }
    }

    /// What tells tunnels between the same two ends apart; zero where there is no such thing.
    pub fn id(&self) -> u32 {
        match self {
            Tunnel::Gre(gre) => gre.key.unwrap_or(0),
            Tunnel::Erspan2(erspan) | Tunnel::Erspan3(erspan) => u32::from(erspan.session),
            Tunnel::Vxlan { vni, .. } | Tunnel::Geneve { vni, .. } => *vni,
            Tunnel::GtpU(gtp) => gtp.teid,
            Tunnel::Ah { spi, .. } => *spi,
            Tunnel::IpInIp | Tunnel::Teredo(_) | Tunnel::EtherIp | Tunnel::MplsInUdp { .. } => 0,
        }
    }

    /// The same header as the `number`th of its sender, where it counts them.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Tunnel {
        let mut tunnel = self.clone();
        match &mut tunnel {
            Tunnel::Gre(Gre { sequence: Some(sequence), .. })
            | Tunnel::Erspan2(Erspan { sequence, .. })
            | Tunnel::Erspan3(Erspan { sequence, .. })
            | Tunnel::Ah { sequence, .. } => *sequence = number,
            Tunnel::GtpU(GtpU { sequence: Some(sequence), .. }) => *sequence = (number & 0xffff) as u16,
            _ => {}
        }
        tunnel
    }

    fn carries_frames(&self) -> bool {
        match self {
            Tunnel::Gre(gre) => gre.payload == GrePayload::Frame,
            Tunnel::Erspan2(_)
            | Tunnel::Erspan3(_)
            | Tunnel::Vxlan { .. }
            | Tunnel::Geneve { .. }
            | Tunnel::EtherIp => true,
            Tunnel::IpInIp
            | Tunnel::GtpU(_)
            | Tunnel::Teredo(_)
            | Tunnel::Ah { .. }
            | Tunnel::MplsInUdp { .. } => false,
        }
    }

    /// The tunnel's header and what it carries.
    fn around(&self, ether_type: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = match self {
            Tunnel::Gre(gre) => return gre.around(ether_type, body),
            Tunnel::Erspan2(erspan) => {
                return erspan.around(ether_type::ERSPAN_2, &erspan.header_2(), body);
            }
            Tunnel::Erspan3(erspan) => {
                return erspan.around(ether_type::ERSPAN_3, &erspan.header_3(), body);
            }
            Tunnel::IpInIp => Vec::new(),
            Tunnel::Vxlan { vni, .. } => [VXLAN_HAS_VNI << 24, vni << 8].map(u32::to_be_bytes).concat(),
            Tunnel::Geneve { vni, options, .. } => geneve_header(*vni, options),
            Tunnel::GtpU(gtp) => gtp.header(body.len()),
            Tunnel::Teredo(teredo) => teredo.header(ether_type),
            Tunnel::Ah { spi, sequence } => ah_header(version_protocol(ether_type), *spi, *sequence),
            // Version 3, the rest reserved.
            Tunnel::EtherIp => vec![0x30, 0],
            Tunnel::MplsInUdp { labels, .. } => label_stack(labels),
        };
        bytes.extend_from_slice(body);
        bytes
    }
}

impl Gre {
    fn around(&self, ether_type: u16, body: &[u8]) -> Vec<u8> {
        let payload_type = match self.payload {
            GrePayload::Packet => ether_type,
            GrePayload::Frame => ether_type::BRIDGED,
        };
        self.header(payload_type, body)
    }

    fn header(&self, payload_type: u16, body: &[u8]) -> Vec<u8> {
        let flag = |is_set: bool, bit: u16| if is_set { bit } else { 0 };
        let flags = flag(self.has_checksum, 0x8000)
            | flag(self.key.is_some(), 0x2000)
            | flag(self.sequence.is_some(), 0x1000);
        let mut bytes = [flags.to_be_bytes(), payload_type.to_be_bytes()].concat();
        if self.has_checksum {
            bytes.extend_from_slice(&[0; 4]);
        }
        for number in [self.key, self.sequence].into_iter().flatten() {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(body);
        if self.has_checksum {
            let checksum = InternetSum::default().over(&bytes).finish();
            bytes[4..6].copy_from_slice(&checksum.to_be_bytes());
        }
        bytes
    }
}

impl Erspan {
    fn around(&self, payload_type: u16, header: &[u8], body: &[u8]) -> Vec<u8> {
        let gre = Gre { sequence: Some(self.sequence), ..Gre::default() };
        gre.header(payload_type, &[header, body].concat())
    }

    fn words(&self, version: u16) -> Vec<u8> {
        let first = version << 12 | self.vlan & 0x0fff;
        [first.to_be_bytes(), (self.session & 0x03ff).to_be_bytes()].concat()
    }

    /// Version 1 is type II; the index of the port is zero.
    fn header_2(&self) -> Vec<u8> {
        [self.words(1), vec![0; 4]].concat()
    }

    /// Version 2 is type III: a time stamp in units of 100 µs, group tag zero, an Ethernet frame, no subheader.
    fn header_3(&self) -> Vec<u8> {
        [self.words(2), self.sequence.to_be_bytes().to_vec(), vec![0; 4]].concat()
    }
}

impl GtpU {
    fn header(&self, body_bytes: usize) -> Vec<u8> {
        let mut optional = Vec::new();
        let mut flags = GTP_VERSION_1;
        if self.sequence.is_some() || self.qos_flow.is_some() {
            let extension_type = if self.qos_flow.is_some() { PDU_SESSION_CONTAINER } else { 0 };
            optional.extend_from_slice(&self.sequence.unwrap_or(0).to_be_bytes());
            optional.extend_from_slice(&[0, extension_type]);
        }
        if self.sequence.is_some() {
            flags |= GTP_HAS_SEQUENCE;
        }
        if let Some(qos_flow) = self.qos_flow {
            flags |= GTP_HAS_EXTENSION;
            // One unit of four bytes: its length, downlink, the flow, and no further extension.
            optional.extend_from_slice(&[1, 0, qos_flow & 0x3f, 0]);
        }
        let length = u16::try_from(optional.len() + body_bytes).expect("the packet around it is shorter");
        let mut bytes = vec![flags, GTP_USER_PACKET];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.teid.to_be_bytes());
        bytes.extend_from_slice(&optional);
        bytes
    }
}

impl Teredo {
    fn header(&self, ether_type: u16) -> Vec<u8> {
        assert_eq!(ether_type, ether_type::IPV6, "Teredo carries IPv6");
        let Some((address, port)) = self.origin else { return Vec::new() };
        // Both are obscured by inverting every bit (RFC 4380, section 5.1.1).
        let mut bytes = vec![0, 0];
        bytes.extend_from_slice(&(!port).to_be_bytes());
        bytes.extend_from_slice(&(!u32::from(address)).to_be_bytes());
        bytes
    }
}

fn geneve_header(vni: u32, options: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4) && options.len() <= 252, "Geneve counts 63 words of options");
    let mut bytes = vec![(options.len() / 4) as u8, 0];
    bytes.extend_from_slice(&ether_type::BRIDGED.to_be_bytes());
    bytes.extend_from_slice(&(vni << 8).to_be_bytes());
    bytes.extend_from_slice(options);
    bytes
}

fn ah_header(next: u8, spi: u32, sequence: u32) -> Vec<u8> {
    // Six words less two; the check value has 96 bits.
    let mut bytes = vec![next, 4, 0, 0];
    bytes.extend_from_slice(&spi.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0xa5; 12]);
    bytes
}

/// IP version as a protocol number.
fn version_protocol(ether_type: u16) -> u8 {
    if ether_type == ether_type::IPV6 { protocol::IPV6 } else { protocol::IPV4 }
}

fn to(source_port: u16, destination_port: u16) -> Transport {
    Transport::Udp(Udp { source_port, destination_port })
}

const VXLAN_HAS_VNI: u32 = 0x08;

/// Version 1, and GTP rather than GTP'.
const GTP_VERSION_1: u8 = 0x30;
const GTP_HAS_EXTENSION: u8 = 0x04;
const GTP_HAS_SEQUENCE: u8 = 0x02;
const GTP_USER_PACKET: u8 = 0xff;
const PDU_SESSION_CONTAINER: u8 = 0x85;
