//! Tunnels: from the outermost packet of a frame down to the innermost.
//!
//! In: a frame, its outermost [`Packet`], and the UDP ports that tunnels use. Out: the innermost packet, with the
//! tunnel directly around it, or the reason why there is none. A protocol number says for certain what a packet
//! carries; a port is only a hint, so what is found behind one has to look right in every field that has a fixed
//! value or a length.
//!
//! Each kind of tunnel is a function from a [`Carrier`] to an [`Opening`]: what lies inside, and under which id. The
//! loop in [`decode_inner`] is the only place that goes deeper, and it is bounded.

mod gre;
mod l2tp;
mod overlay;
mod ports;
mod protocols;

pub use ports::{TUNNEL_PORTS_MAX, TooManyPorts, TunnelPorts, UdpTunnel};

use super::{
    Anomaly, Encapsulation, Enclosure, Fragment, NotFlow, PADDED_FRAME_BYTES, Packet, bytes_at, ip,
    link::{self, Layer, Network},
    protocol,
    transport::UDP_HEADER_BYTES,
    u16_at,
};
use crate::{flow::key::Domain, source::Frame};
use kflow::TunnelKind;

/// IP headers followed on one frame, the outermost included.
pub const TUNNEL_DEPTH_MAX: u8 = 8;

/// Why no packet was found inside of another. Each is counted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NotInner {
    /// Nothing that a tunnel looks like, whatever the port says.
    NotTunnel,
    /// The carrying packet is a fragment.
    Fragment,
    /// The capture cut off what is inside.
    Truncated,
    /// A header of the tunnel or the IP header inside breaks the rules of its protocol.
    Malformed,
    /// A message of the tunnel's own, such as an echo or a keepalive without content.
    Control,
    /// What is inside is not IP, such as ARP in VXLAN.
    NotIp,
    /// What is inside is encrypted, such as ESP; or compressed.
    Encrypted,
}

impl NotInner {
    pub const ALL: [NotInner; 7] = [
        NotInner::NotTunnel,
        NotInner::Fragment,
        NotInner::Truncated,
        NotInner::Malformed,
        NotInner::Control,
        NotInner::NotIp,
        NotInner::Encrypted,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            NotInner::NotTunnel => "not_tunnel",
            NotInner::Fragment => "fragment",
            NotInner::Truncated => "truncated",
            NotInner::Malformed => "malformed",
            NotInner::Control => "control",
            NotInner::NotIp => "not_ip",
            NotInner::Encrypted => "encrypted",
        }
    }
}

/// Whether it is worth calling [`decode_inner`]: by the protocol number, and for UDP by the ports.
#[inline(always)]
pub fn may_carry(packet: &Packet, ports: &TunnelPorts) -> bool {
    match packet.key.protocol() {
        protocol::TCP => false,
        protocol::UDP => {
            let [one, other] = [packet.sender, packet.sender.other()].map(|side| packet.key.end(side).1);
            ports.contain(one) || ports.contain(other)
        }
        number => is_carrier(number),
    }
}

fn is_carrier(number: u8) -> bool {
    use protocol::{AH, ESP, ETHERIP, GRE, IPV4, IPV6, L2TP, MPLS};
    matches!(number, IPV4 | IPV6 | GRE | ESP | AH | ETHERIP | L2TP | MPLS)
}

/// Finds the innermost packet inside of `outer`, which was decoded from `frame`. After an error the place holds what
/// it held.
pub fn decode_inner(
    frame: &Frame<'_>,
    outer: &Packet,
    ports: &TunnelPorts,
    inner: &mut Packet,
) -> Result<(), NotInner> {
    Carrier::new(frame, outer, ports)?.descend(inner)?;
    for _ in 2..TUNNEL_DEPTH_MAX {
        let deeper = may_carry(inner, ports).then(|| Carrier::new(frame, inner, ports));
        let Some(Ok(carrier)) = deeper else { return Ok(()) };
        // What is no tunnel after all is the innermost packet itself.
        if carrier.descend(inner).is_err() {
            return Ok(());
        }
    }
    let is_deeper = may_carry(inner, ports)
        && Carrier::new(frame, inner, ports).is_ok_and(|carrier| carrier.look().is_ok());
    if is_deeper {
        inner.anomaly = Some(Anomaly::TunnelDepth);
    }
    Ok(())
}

/// A packet that may carry another.
struct Carrier<'a> {
    packet: Packet,
    ports: &'a TunnelPorts,
    /// What it carries: the frame up to the end of its payload.
    enclosure: Enclosure<'a>,
    /// Where the payload starts: behind the IP header, or behind the UDP header.
    start: usize,
}

impl<'a> Carrier<'a> {
    fn new(frame: &Frame<'a>, packet: &Packet, ports: &'a TunnelPorts) -> Result<Carrier<'a>, NotInner> {
        if packet.fragment != Fragment::Whole {
            return Err(NotInner::Fragment);
        }
        let payload = packet.payload.start as usize..packet.payload.end as usize;
        let mut start = packet.transport_start as usize;
        let mut wire_end = payload.start + packet.payload_wire_bytes as usize;
        if packet.key.protocol() == protocol::UDP {
            // The IP packet may be longer; RFC 2675 allows a zero.
            let length = u16_at(&frame.bytes[..payload.end], start + 4).ok_or(NotInner::Truncated)?;
            wire_end = if length == 0 { wire_end } else { wire_end.min(start + usize::from(length)) };
            start += UDP_HEADER_BYTES;
        }
        let bytes = &frame.bytes[..payload.end.min(wire_end)];
        let enclosure = Enclosure { bytes, wire_end, padded_end: 0 };
        Ok(Carrier { packet: packet.clone(), ports, enclosure, start })
    }

    /// Reads the packet inside.
    fn descend(&self, inner: &mut Packet) -> Result<(), NotInner> {
        let Inside { opening, enclosure, place } = self.look()?;
        let outside = &self.packet;
        let (read, depth) = match place {
            Place::Network(network) => (ip::decode(&enclosure, &network, inner), outside.tunnel.depth + 1),
            Place::Upper(next, at) => {
                (ip::decode_behind(&enclosure, outside, next, at, inner), outside.tunnel.depth)
            }
        };
        read.map_err(|reason| self.not_inner(reason, &enclosure))?;
        inner.key = inner.key.within(opening.domain());
        let (kind, id, outer_start) = (opening.kind, opening.id, outside.network_start);
        inner.tunnel = Encapsulation { kind, depth, id, outer_start };
        Ok(())
    }

    /// Finds where the packet inside starts.
    fn look(&self) -> Result<Inside<'a>, NotInner> {
        let opening = self.open()?;
        let wire_end = opening.wire_end.unwrap_or(usize::MAX).min(self.enclosure.wire_end);
        let bytes = &self.enclosure.bytes[..self.enclosure.bytes.len().min(wire_end)];
        let mut enclosure = Enclosure { bytes, wire_end, padded_end: 0 };
        let (layer, at) = match opening.content {
            Content::Link(layer, at) => (layer, at),
            Content::Upper(next, at) => {
                return Ok(Inside { opening, enclosure, place: Place::Upper(next, at) });
            }
        };
        if layer == Layer::Ethernet {
            enclosure.padded_end = at + PADDED_FRAME_BYTES;
            // A group never sends.
            let is_group = bytes.get(at + 6).is_some_and(|first| first & 1 == 1);
            if is_group && self.is_hint() {
                return Err(NotInner::NotTunnel);
            }
        }
        let network =
            link::walk(&enclosure, layer, at).map_err(|reason| self.not_inner(reason, &enclosure))?;
        if self.is_hint() && !ip::is_plausible(&enclosure, network.version, network.offset) {
            let is_cut = bytes.len() < wire_end && network.offset + ip::IPV6_HEADER_BYTES > bytes.len();
            return Err(if is_cut { NotInner::Truncated } else { NotInner::NotTunnel });
        }
        Ok(Inside { opening, enclosure, place: Place::Network(network) })
    }

    /// Reads the headers of the tunnel.
    fn open(&self) -> Result<Opening, NotInner> {
        match self.packet.key.protocol() {
            protocol::IPV4 => Ok(protocols::ip_in_ip(self, Layer::Ipv4)),
            protocol::IPV6 => Ok(protocols::ip_in_ip(self, Layer::Ipv6)),
            protocol::GRE => gre::gre(self, self.start),
            protocol::AH => protocols::authentication_header(self),
            protocol::ESP => Err(NotInner::Encrypted),
            protocol::ETHERIP => protocols::ether_ip(self),
            protocol::MPLS => Ok(Opening::new(TunnelKind::Mpls, Layer::Mpls, self.start)),
            protocol::L2TP => l2tp::over_ip(self),
            protocol::UDP => self.open_udp(),
            _ => Err(NotInner::NotTunnel),
        }
    }

    fn open_udp(&self) -> Result<Opening, NotInner> {
        let [source, destination] =
            [self.packet.sender, self.packet.sender.other()].map(|side| self.packet.key.end(side).1);
        match self.ports.tunnel(source, destination).ok_or(NotInner::NotTunnel)? {
            UdpTunnel::Vxlan => overlay::vxlan(self),
            UdpTunnel::VxlanGpe => overlay::vxlan_gpe(self),
            UdpTunnel::Geneve => overlay::geneve(self),
            UdpTunnel::GtpU => overlay::gtp_u(self),
            UdpTunnel::Teredo => overlay::teredo(self),
            UdpTunnel::Gre => gre::over_udp(self),
            UdpTunnel::Mpls => Ok(Opening::new(TunnelKind::Mpls, Layer::Mpls, self.start)),
            UdpTunnel::L2tp => l2tp::over_udp(self),
        }
    }

    /// Whether only a port says that this is a tunnel.
    fn is_hint(&self) -> bool {
        self.packet.key.protocol() == protocol::UDP
    }

    /// What to say of content that breaks the rules.
    fn broken(&self) -> NotInner {
        if self.is_hint() { NotInner::NotTunnel } else { NotInner::Malformed }
    }

    /// What to say of content that ends early: the capture may have cut it.
    fn ended(&self, enclosure: &Enclosure<'_>) -> NotInner {
        if enclosure.bytes.len() < enclosure.wire_end { NotInner::Truncated } else { self.broken() }
    }

    fn not_inner(&self, reason: NotFlow, enclosure: &Enclosure<'_>) -> NotInner {
        match reason {
            NotFlow::LinkTruncated | NotFlow::Ipv4Truncated | NotFlow::Ipv6Truncated => self.ended(enclosure),
            NotFlow::Arp | NotFlow::Llc | NotFlow::OtherEtherType | NotFlow::LinkUnsupported => {
                NotInner::NotIp
            }
            NotFlow::LinkEncrypted => NotInner::Encrypted,
            _ => self.broken(),
        }
    }

    /// `N` bytes of a header of the tunnel.
    fn header<const N: usize>(&self, at: usize) -> Result<&'a [u8; N], NotInner> {
        bytes_at::<N>(self.enclosure.bytes, at).ok_or_else(|| self.ended(&self.enclosure))
    }

    fn be16(&self, at: usize) -> Result<u16, NotInner> {
        self.header(at).map(|pair| u16::from_be_bytes(*pair))
    }

    fn be32(&self, at: usize) -> Result<u32, NotInner> {
        self.header(at).map(|four| u32::from_be_bytes(*four))
    }

    /// Payload bytes on the wire.
    fn wire_bytes(&self) -> usize {
        self.enclosure.wire_end.saturating_sub(self.start)
    }
}

/// Where the inner packet is.
struct Inside<'a> {
    opening: Opening,
    enclosure: Enclosure<'a>,
    place: Place,
}

enum Place {
    Network(Network),
    Upper(u8, usize),
}

/// What lies inside of a carrier.
#[derive(Clone, Copy, Debug)]
struct Opening {
    kind: TunnelKind,
    /// As [`kflow::Tunnel::forward_id`].
    id: u32,
    /// Whether both directions carry the same id, so that it tells address spaces apart.
    id_scope: Scope,
    content: Content,
    /// Where the content ends on the wire, if the tunnel says so.
    wire_end: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Direction,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// This layer at this offset.
    Link(Layer, usize),
    /// What the header of the carrier would have before it: protocol and offset.
    Upper(u8, usize),
}

impl Opening {
    /// Of a kind without ids.
    fn new(kind: TunnelKind, layer: Layer, at: usize) -> Opening {
        Opening { kind, id: 0, id_scope: Scope::Direction, content: Content::Link(layer, at), wire_end: None }
    }

    fn with_id(self, id: u32, id_scope: Scope) -> Opening {
        Opening { id, id_scope, ..self }
    }

    fn ending_at(self, wire_end: usize) -> Opening {
        Opening { wire_end: Some(wire_end), ..self }
    }

    fn domain(&self) -> Domain {
        match self.id_scope {
            Scope::Direction => Domain::new(self.kind, 0),
            Scope::Both => Domain::new(self.kind, self.id),
        }
    }
}
