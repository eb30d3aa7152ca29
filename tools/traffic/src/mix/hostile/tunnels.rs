//! Tunnels that go too deep, end too early or carry nothing. What is counted is the outermost packet.

use crate::frame::ip::Packet;
use crate::frame::transport::{Transport, Udp};
use crate::frame::tunnel::{Erspan, Gre, GrePayload, GtpU, Tunnel};
use crate::frame::{ETHERNET_HEADER_BYTES, Ethernet, Padding, ether_type};
use crate::mix::planned::PlannedFrame;
use crate::mix::random::Random;
use crate::mix::talk::{Pair, Shell, Side, Talk, key};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    match random.between(0, 2) {
        0 => deep(pair, random),
        1 => cut(pair, random),
        _ => empty(pair),
    }
}

/// Far more tunnels than any sensor follows, or about as many.
fn deep(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let depth = [7, 8, 9, 16, DEEPEST, DEEPEST, DEEPEST][random.index(7)];
    let tunnel = any_tunnel(random);
    let shell = Shell { outer: pair.v4.clone(), tunnel, ethernet: inner_ethernet() };
    let mut way = Talk::new(pair, &pair.v4).way(Side::Client).clone();
    way.shells = vec![shell; depth];
    let talk = Talk::over([way.clone(), way]);
    let udp = Transport::Udp(Udp { source_port: 1, destination_port: 2 });
    let frames = (0..random.between(1, 4))
        .map(|_| talk.frame(Side::Client, &udp, &[7; 20], "tunnels without end").with_unstated_inner());
    frames.collect()
}

/// The frame ends somewhere inside, whatever its headers say.
fn cut(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let tunnel = any_tunnel(random);
    let shell = Shell { outer: pair.v4.clone(), tunnel, ethernet: inner_ethernet() };
    let mut way = Talk::new(pair, &pair.v4).way(Side::Client).clone();
    way.shells = vec![shell];
    let talk = Talk::over([way.clone(), way]);
    let udp = Transport::Udp(Udp { source_port: 1, destination_port: 2 });
    let frames = (0..random.between(5, 20)).map(|_| {
        let frame = talk.frame(Side::Client, &udp, &[7; 40], "tunnel that is cut");
        let mut frame = frame.with_unstated_inner();
        // The outer header and the ports behind it stay.
        let kept = random.between(OUTER_HEADERS_BYTES as u64, frame.bytes.len() as u64 - 1);
        frame.bytes.truncate(kept as usize);
        frame
    });
    frames.collect()
}

/// Headers of tunnels with nothing behind them, not even an IP header.
fn empty(pair: &Pair) -> Vec<PlannedFrame> {
    let talk = Talk::new(pair, &pair.v4);
    let way = talk.way(Side::Client);
    let nothing = Packet { ether_type: ether_type::IPV4, bytes: Vec::new() };
    let frames = tunnels().map(|tunnel| {
        let packet = tunnel.wrap(&way.ip, &nothing, &inner_ethernet());
        let key = key(&way.ip, &tunnel.transport(&nothing));
        way.plain(&packet, key, "tunnel with nothing inside").with_unstated_inner()
    });
    frames.into()
}

fn any_tunnel(random: &mut Random) -> Tunnel {
    let tunnels = tunnels();
    tunnels[random.index(tunnels.len())].clone()
}

fn tunnels() -> [Tunnel; 9] {
    [
        Tunnel::Gre(Gre::default()),
        Tunnel::Gre(Gre { key: Some(7), sequence: Some(1), has_checksum: true, payload: GrePayload::Packet }),
        Tunnel::Gre(Gre { payload: GrePayload::Frame, ..Gre::default() }),
        Tunnel::Erspan2(Erspan { session: 7, vlan: 1, sequence: 1 }),
        Tunnel::IpInIp,
        Tunnel::Vxlan { source_port: 50_000, vni: 7 },
        Tunnel::Geneve { source_port: 50_000, vni: 7, options: Vec::new() },
        Tunnel::GtpU(GtpU { teid: 7, sequence: Some(1), qos_flow: Some(1) }),
        Tunnel::EtherIp,
    ]
}

fn inner_ethernet() -> Ethernet {
    Ethernet { padding: Padding::Never, ..Ethernet::default() }
}

const DEEPEST: usize = 64;

/// Ethernet, IPv4 and UDP.
const OUTER_HEADERS_BYTES: usize = ETHERNET_HEADER_BYTES + 20 + 8;
