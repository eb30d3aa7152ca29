//! Conversations inside of tunnels, and behind what may stand between Ethernet and IP.
//!
//! The hosts of the pair are the ends of the outermost tunnel. Tenants of VXLAN and Geneve all use the same few
//! addresses and are told apart by their network identifiers alone; inside of other tunnels addresses are unique.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::conversation::{echo_v4, echo_v6, udp};
use super::planned::PlannedFrame;
use super::random::Random;
use super::talk::{Pair, Shell, Side, Talk, Way};
use super::tcp::tcp;
use crate::frame::ip::{Ip, Ipv4, Ipv6};
use crate::frame::link::{Label, Link};
use crate::frame::tunnel::{Erspan, Gre, GrePayload, GtpU, Teredo, Tunnel, port};
use crate::frame::{Ethernet, Padding, Tag};

pub fn plan(pair: &Pair, index: u32, random: &mut Random) -> Vec<PlannedFrame> {
    match random.between(0, 4) {
        0 => behind_link(pair, random),
        1 => nested(pair, index, random),
        _ => {
            let kind = random.index(KINDS.len());
            in_tunnels(pair, index, &[KINDS[kind]], random)
        }
    }
}

/// A kind of tunnel with all that is to be varied in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gre,
    GreWithEverything,
    GreOfFrames,
    Erspan2,
    Erspan3,
    IpInIp,
    Vxlan,
    Geneve,
    GtpU,
    GtpUOfFiveG,
    Teredo,
    TeredoWithOrigin,
    Ah,
    EtherIp,
    MplsInUdp,
}

const KINDS: [Kind; 15] = [
    Kind::Gre,
    Kind::GreWithEverything,
    Kind::GreOfFrames,
    Kind::Erspan2,
    Kind::Erspan3,
    Kind::IpInIp,
    Kind::Vxlan,
    Kind::Geneve,
    Kind::GtpU,
    Kind::GtpUOfFiveG,
    Kind::Teredo,
    Kind::TeredoWithOrigin,
    Kind::Ah,
    Kind::EtherIp,
    Kind::MplsInUdp,
];

/// Two to four tunnels, innermost first. Teredo only goes around IPv6, so it is left to the simple ones.
fn nested(pair: &Pair, index: u32, random: &mut Random) -> Vec<PlannedFrame> {
    const NESTING: [Kind; 10] = [
        Kind::Gre,
        Kind::GreWithEverything,
        Kind::GreOfFrames,
        Kind::Erspan2,
        Kind::IpInIp,
        Kind::Vxlan,
        Kind::Geneve,
        Kind::GtpU,
        Kind::EtherIp,
        Kind::MplsInUdp,
    ];
    let kinds: Vec<Kind> = (0..random.between(2, 4)).map(|_| NESTING[random.index(NESTING.len())]).collect();
    in_tunnels(pair, index, &kinds, random)
}

fn in_tunnels(pair: &Pair, index: u32, kinds: &[Kind], random: &mut Random) -> Vec<PlannedFrame> {
    let is_v6 = random.one_in(3);
    let ip = match kinds[0] {
        Kind::Vxlan | Kind::Geneve => tenant_hosts(is_v6, random),
        Kind::Teredo | Kind::TeredoWithOrigin => teredo_hosts(index),
        _ => inner_hosts(is_v6, index),
    };
    let outermost = kinds.len() - 1;
    let mut shells = [Vec::new(), Vec::new()];
    for (depth, kind) in kinds.iter().enumerate() {
        let outer =
            if depth == outermost { underlay(pair, *kind, random) } else { middle(index, depth as u8) };
        let ethernet = inner_ethernet(random);
        let tunnels = tunnel(*kind, index, random);
        for (side, tunnel) in [Side::Client, Side::Server].into_iter().zip(tunnels) {
            let (outer, ethernet) = match side {
                Side::Client => (outer.clone(), ethernet.clone()),
                Side::Server => (outer.reversed(), ethernet.reversed()),
            };
            shells[side as usize].push(Shell { outer, tunnel, ethernet });
        }
    }
    let [there, back] = shells;
    let way = |ethernet, ip, shells| Way { ethernet, link: Link::Plain, ip, shells };
    let talk = Talk::over([
        way(pair.ethernet.clone(), ip.clone(), there),
        way(pair.ethernet.reversed(), ip.reversed(), back),
    ]);
    converse(&talk, random)
}

fn behind_link(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let mut ethernet = pair.ethernet.clone();
    let mut link = Link::Plain;
    match random.between(0, 3) {
        0 => {
            let labels = (0..random.between(1, 3)).map(|_| Label::new(random.between(16, 0xf_ffff) as u32));
            link = Link::Mpls(labels.collect());
        }
        1 => link = Link::Pppoe { session: random.between(1, 0xfffe) as u16 },
        2 => link = Link::Snap,
        _ => {
            let id = |random: &mut Random| random.between(1, 4_094) as u16;
            ethernet.tags = vec![Tag::old_provider(id(random)), Tag::vlan(id(random))];
        }
    }
    let ip = if random.one_in(3) { pair.v6.clone() } else { pair.v4.clone() };
    let way = |ethernet, ip| Way { ethernet, link: link.clone(), ip, shells: Vec::new() };
    let (there, back) = (ethernet.clone(), ethernet.reversed());
    converse(&Talk::over([way(there, ip.clone()), way(back, ip.reversed())]), random)
}

fn converse(talk: &Talk, random: &mut Random) -> Vec<PlannedFrame> {
    match random.between(0, 5) {
        0..3 => tcp(talk, SEGMENT_BYTES_MAX, random),
        3 | 4 => udp(talk, random),
        _ if matches!(talk.way(Side::Client).ip, Ip::V6(_)) => echo_v6(talk, SEGMENT_BYTES_MAX, random),
        _ => echo_v4(talk, SEGMENT_BYTES_MAX, random),
    }
}

/// The tunnels of client and server, which differ where each side chooses a number of its own.
fn tunnel(kind: Kind, index: u32, random: &mut Random) -> [Tunnel; 2] {
    let both = |tunnel: Tunnel| [tunnel.clone(), tunnel];
    let number = index + 1;
    let session = (number & 0x3ff) as u16;
    let ports = [0; 2].map(|_: u16| random.between(49_152, 65_535) as u16);
    let teids = [number << 1, number << 1 | 1];
    match kind {
        Kind::Gre => both(Tunnel::Gre(Gre::default())),
        Kind::GreWithEverything => {
            let payload = GrePayload::Packet;
            both(Tunnel::Gre(Gre { key: Some(number), sequence: Some(0), has_checksum: true, payload }))
        }
        Kind::GreOfFrames => {
            both(Tunnel::Gre(Gre { key: Some(number << 8), payload: GrePayload::Frame, ..Gre::default() }))
        }
        Kind::Erspan2 => both(Tunnel::Erspan2(Erspan { session, vlan: 7, sequence: 0 })),
        Kind::Erspan3 => both(Tunnel::Erspan3(Erspan { session, vlan: 7, sequence: 0 })),
        Kind::IpInIp => both(Tunnel::IpInIp),
        Kind::Vxlan => ports.map(|source_port| Tunnel::Vxlan { source_port, vni: number }),
        Kind::Geneve => ports.map(|source_port| {
            // An option of the experimental class 0xffff with eight bytes, and one without any.
            let options = vec![0xff, 0xff, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 2, 0];
            Tunnel::Geneve { source_port, vni: number, options }
        }),
        Kind::GtpU => teids.map(|teid| Tunnel::GtpU(GtpU { teid, sequence: None, qos_flow: None })),
        Kind::GtpUOfFiveG => {
            teids.map(|teid| Tunnel::GtpU(GtpU { teid, sequence: Some(0), qos_flow: Some(9) }))
        }
        Kind::Teredo => teredo(ports[0], None),
        Kind::TeredoWithOrigin => teredo(ports[0], Some((Ipv4Addr::new(203, 0, 113, 9), 40_000))),
        Kind::Ah => teids.map(|spi| Tunnel::Ah { spi, sequence: 0 }),
        Kind::EtherIp => both(Tunnel::EtherIp),
        Kind::MplsInUdp => ports.map(|source_port| {
            let labels = vec![Label::new(16 + number), Label::new(17)];
            Tunnel::MplsInUdp { source_port, labels }
        }),
    }
}

/// Between a client behind its router and a relay.
fn teredo(client_port: u16, origin: Option<(Ipv4Addr, u16)>) -> [Tunnel; 2] {
    let (source_port, destination_port) = (client_port, port::TEREDO);
    [
        Tunnel::Teredo(Teredo { source_port, destination_port, origin: None }),
        Tunnel::Teredo(Teredo { source_port: destination_port, destination_port: source_port, origin }),
    ]
}

/// The outermost header. Teredo goes over IPv4.
fn underlay(pair: &Pair, kind: Kind, random: &mut Random) -> Ip {
    let needs_v4 = matches!(kind, Kind::Teredo | Kind::TeredoWithOrigin);
    if !needs_v4 && random.one_in(4) { pair.v6.clone() } else { pair.v4.clone() }
}

/// Between the ends of a tunnel that is in another one.
fn middle(index: u32, depth: u8) -> Ip {
    let [_, high, middle, low] = index.to_be_bytes();
    Ip::V4(Ipv4::between([100, 64 + high % 64, middle, low], [100, 127, depth, 1]))
}

/// One of a few pairs that every tenant has.
fn tenant_hosts(is_v6: bool, random: &mut Random) -> Ip {
    inner_hosts(is_v6, random.between(1, 4) as u32)
}

/// A client of Teredo and a host of the IPv6 Internet. The address of the client has the IPv4 address of its server, no
/// flags, and its own port and address as the server saw them, inverted (RFC 4380, section 4).
fn teredo_hosts(index: u32) -> Ip {
    let server = u128::from(u32::from(Ipv4Addr::new(203, 0, 113, 1)));
    let client = u128::from(!(u32::from(Ipv4Addr::new(10, 0, 0, 0)) | index));
    let port = u128::from(!40_000_u16);
    let address = 0x2001_0000_u128 << 96 | server << 64 | port << 32 | client;
    Ip::V6(Ipv6::between(address, Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1)))
}

fn inner_hosts(is_v6: bool, number: u32) -> Ip {
    let [_, high, middle, low] = number.to_be_bytes();
    if is_v6 {
        let low = u16::from_be_bytes([middle, low]);
        let client = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, u16::from(high), low);
        Ip::V6(Ipv6::between(client, Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1)))
    } else {
        Ip::V4(Ipv4::between([172, 16 | high & 7, middle, low], [192, 168, high, 1]))
    }
}

fn inner_ethernet(random: &mut Random) -> Ethernet {
    Ethernet {
        source: [2, 0, 9, 0, 0, 1],
        destination: [2, 0, 9, 0, 0, 2],
        tags: if random.one_in(4) { vec![Tag::vlan(random.between(1, 4_094) as u16)] } else { Vec::new() },
        padding: if random.one_in(2) { Padding::Never } else { Padding::ToMinimum },
    }
}

/// What still fits into 1500 bytes inside of four tunnels.
const SEGMENT_BYTES_MAX: u64 = 1_100;
