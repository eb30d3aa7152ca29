//! The two hosts of a conversation: from a segment that one of them sends to the frame and what the frame means.

use std::cell::Cell;
use std::net::Ipv6Addr;

use super::ConversationKey;
use super::planned::{InnerMeaning, PlannedFrame};
use super::random::Random;
use crate::frame::Ethernet;
use crate::frame::ip::{Ip, Ipv4, Ipv6, Packet};
use crate::frame::link::Link;
use crate::frame::transport::Transport;
use crate::frame::tunnel::{Tunnel, TunnelKind};

/// Two hosts that no other conversation of the mix uses together.
#[derive(Clone, Debug)]
pub struct Pair {
    pub ethernet: Ethernet,
    pub v4: Ip,
    pub v6: Ip,
}

impl Pair {
    /// 24 bits of `index` make the client's address unique; the server is one of 256.
    pub fn new(index: u32, random: &mut Random) -> Pair {
        let [_, high, middle, low] = index.to_be_bytes();
        let server = random.between(1, 254) as u8;
        let mut v4 = Ipv4::between([10, high, middle, low], [198, 18, 0, server]);
        v4.identification = random.next_u64() as u16;
        v4.ttl = random.between(32, 255) as u8;
        v4.tos = if random.one_in(4) { 0xb8 } else { 0 };
        let client_v6 =
            Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, u16::from(high), u16::from_be_bytes([middle, low]));
        let server_v6 = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, u16::from(server));
        Pair {
            ethernet: Ethernet {
                source: [2, 0, 0, high, middle, low],
                destination: [2, 0, 1, 0, 0, server],
                ..Ethernet::default()
            },
            v4: Ip::V4(v4),
            v6: Ip::V6(Ipv6::between(client_v6, server_v6)),
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// One tunnel around the packets of one side.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The header around the tunnel's own.
    pub outer: Ip,
    pub tunnel: Tunnel,
    /// Of the frames inside, if it carries frames.
    pub ethernet: Ethernet,
}

/// How the segments of one side travel.
#[derive(Clone, Debug)]
pub struct Way {
    pub ethernet: Ethernet,
    pub link: Link,
    pub ip: Ip,
    /// Innermost first.
    pub shells: Vec<Shell>,
}

/// Both directions of a conversation, ready to carry segments.
#[derive(Debug)]
pub struct Talk {
    ways: [Way; 2],
    frames_sent: Cell<u32>,
}

impl Talk {
    /// Between the hosts of `pair`, with `ip` the header of what the client sends.
    pub fn new(pair: &Pair, ip: &Ip) -> Talk {
        let way = |ethernet: Ethernet, ip: Ip| Way { ethernet, link: Link::Plain, ip, shells: Vec::new() };
        Talk::over([way(pair.ethernet.clone(), ip.clone()), way(pair.ethernet.reversed(), ip.reversed())])
    }

    /// The way of the client, then that of the server.
    pub fn over(ways: [Way; 2]) -> Talk {
        Talk { ways, frames_sent: Cell::new(0) }
    }

    pub fn way(&self, side: Side) -> &Way {
        &self.ways[side as usize]
    }

    pub fn frame(
        &self,
        side: Side,
        transport: &Transport,
        payload: &[u8],
        description: &'static str,
    ) -> PlannedFrame {
        self.way(side).carry(&self.way(side).ip, transport, payload, self.number()).planned(description)
    }

    /// As [`Talk::frame`] with these two bits of explicit congestion notification (RFC 3168).
    pub fn frame_marked(
        &self,
        side: Side,
        transport: &Transport,
        payload: &[u8],
        (ecn, description): (u8, &'static str),
    ) -> PlannedFrame {
        let mut ip = self.way(side).ip.clone();
        match &mut ip {
            Ip::V4(ip) => ip.tos = ip.tos & !3 | ecn,
            Ip::V6(ip) => ip.traffic_class = ip.traffic_class & !3 | ecn,
        }
        self.way(side).carry(&ip, transport, payload, self.number()).planned(description)
    }

    /// A datagram in fragments that all belong to its conversation.
    pub fn fragments(
        &self,
        side: Side,
        transport: &Transport,
        payload: &[u8],
        identification: u32,
    ) -> Vec<PlannedFrame> {
        let way = self.way(side);
        let packets = way.ip.fragments(transport, payload, FRAGMENT_BYTES, identification);
        let key = key(&way.ip, transport);
        let frames = packets.iter().enumerate().map(|(index, packet)| {
            let description = if index == 0 { "first fragment" } else { "later fragment" };
            way.plain(packet, key, description)
        });
        frames.collect()
    }

    fn number(&self) -> u32 {
        self.frames_sent.replace(self.frames_sent.get().wrapping_add(1))
    }
}

impl Way {
    /// A packet outside of any tunnel, counted to `key`.
    pub fn plain(&self, packet: &Packet, key: ConversationKey, description: &'static str) -> PlannedFrame {
        PlannedFrame::counted(self.link.carry(&self.ethernet, packet), key, packet.bytes.len(), description)
    }

    fn carry(&self, ip: &Ip, transport: &Transport, payload: &[u8], number: u32) -> OnWire {
        let packet = ip.packet(transport, payload);
        let key = key(ip, transport);
        let inner = InnerMeaning::untunnelled(key, packet.bytes.len());
        let mut carried = Carried { packet, key, inner };
        for (depth, shell) in self.shells.iter().enumerate() {
            carried = shell.wrap(carried, depth, number);
        }
        carried.inner.depth = self.shells.len() as u8;
        self.finish(carried)
    }

    fn finish(&self, carried: Carried) -> OnWire {
        OnWire { bytes: self.link.carry(&self.ethernet, &carried.packet), carried }
    }
}

impl Shell {
    fn wrap(&self, carried: Carried, depth: usize, number: u32) -> Carried {
        let Carried { packet, mut inner, .. } = carried;
        let tunnel = self.tunnel.numbered(number);
        if depth == 0 {
            inner.key.tunnel = tunnel.kind(&self.outer, &packet);
            inner.id = tunnel.id();
            inner.key.domain = if inner.key.tunnel.shares_id() { inner.id } else { 0 };
        }
        let key = key(&self.outer, &tunnel.transport(&packet));
        Carried { packet: tunnel.wrap(&self.outer, &packet, &self.ethernet), key, inner }
    }
}

impl TunnelKind {
    /// Whether both directions carry the same number.
    fn shares_id(self) -> bool {
        matches!(
            self,
            TunnelKind::Gre
                | TunnelKind::Erspan2
                | TunnelKind::Erspan3
                | TunnelKind::Vxlan
                | TunnelKind::Geneve
        )
    }
}

/// A packet on its way through the tunnels, and what has been said of it.
struct Carried {
    packet: Packet,
    /// Of the outermost header so far.
    key: ConversationKey,
    inner: InnerMeaning,
}

struct OnWire {
    bytes: Vec<u8>,
    carried: Carried,
}

impl OnWire {
    fn planned(self, description: &'static str) -> PlannedFrame {
        let Carried { packet, key, inner } = self.carried;
        let frame = PlannedFrame::counted(self.bytes, key, packet.bytes.len(), description);
        frame.with_inner(inner)
    }
}

/// The 5-tuple of a packet.
pub fn key(ip: &Ip, transport: &Transport) -> ConversationKey {
    let (source_port, destination_port) = transport.ports();
    ConversationKey {
        source: ip.source(),
        source_port,
        destination: ip.destination(),
        destination_port,
        protocol: transport.protocol(),
    }
}

/// Of the datagram, per fragment: what fits into 1500 bytes behind an IPv6 fragment header.
const FRAGMENT_BYTES: usize = 1_448;
