//! Decoding by what is in a frame: small sets of like frames in the cache, beside plain TCP over IPv4 over Ethernet.

use crate::{
    callgrind,
    figure::Figure,
    frames::{Frames, START},
    meter::{Work, side_by_side},
    whole::{HASH_KEY, reassembly_config},
};
use sensor_user::{
    clock::Moment,
    packet::{
        self, Packet as Decoded, TunnelPorts,
        reassembly::{Piece, Reassembler},
    },
    source::Frame,
};
use std::hint::black_box;
use traffic::{
    frame::{
        Ethernet, Tag,
        ip::{Ip, Ipv4, Ipv6, Packet},
        link::{Label, Link},
        transport::{Tcp, Transport, Udp, tcp_flags},
        tunnel::{Gre, GtpU, Tunnel},
    },
    mix::stream::StreamFrame,
};

const FLOWS: u32 = 256;
const FRAMES: u32 = 4096;
/// Whole datagrams are larger: fewer of them are in the cache.
const DATAGRAMS: u32 = 64;
const FRAGMENTS: usize = 4;
const FRAGMENT_BYTES: usize = 1480;

const PLAIN: &str = "Ethernet, IPv4, TCP";

struct Layer {
    name: &'static str,
    /// The frame of a packet that TCP, unless it says otherwise, sends over IPv4.
    frame: fn(u32) -> Vec<u8>,
    depth: Depth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Outermost,
    Innermost,
}

const LAYERS: [Layer; 11] = [
    outermost(PLAIN, |flow| Ethernet::default().carry(&v4(flow).packet(&tcp(flow), &[]))),
    outermost("IPv4, UDP", |flow| Ethernet::default().carry(&v4(flow).packet(&udp(flow), &[0; 20]))),
    outermost("IPv6, TCP", |flow| Ethernet::default().carry(&v6(flow).packet(&tcp(flow), &[]))),
    outermost("VLAN tag", |flow| tagged(vec![Tag::vlan(100)]).carry(&segment(flow))),
    outermost("QinQ", |flow| tagged(vec![Tag::provider(200), Tag::vlan(100)]).carry(&segment(flow))),
    outermost("MPLS, two labels", |flow| {
        let labels = [1_000, 2_000].map(|label| Label { label, traffic_class: 0, ttl: 64 });
        Link::Mpls(labels.to_vec()).carry(&Ethernet::default(), &segment(flow))
    }),
    outermost("PPPoE", |flow| Link::Pppoe { session: 7 }.carry(&Ethernet::default(), &segment(flow))),
    innermost("GRE", |flow| through(&Tunnel::Gre(Gre::default()), flow)),
    innermost("VXLAN", |flow| through(&Tunnel::Vxlan { source_port: 50_000, vni: 5_000 }, flow)),
    innermost("Geneve", |flow| {
        through(&Tunnel::Geneve { source_port: 50_000, vni: 5_000, options: Vec::new() }, flow)
    }),
    innermost("GTP-U", |flow| {
        through(&Tunnel::GtpU(GtpU { teid: 5_000, sequence: None, qos_flow: None }), flow)
    }),
];

const fn outermost(name: &'static str, frame: fn(u32) -> Vec<u8>) -> Layer {
    Layer { name, frame, depth: Depth::Outermost }
}

const fn innermost(name: &'static str, frame: fn(u32) -> Vec<u8>) -> Layer {
    Layer { name, frame, depth: Depth::Innermost }
}

fn v4(flow: u32) -> Ip {
    Ip::V4(Ipv4::between((0x0a00_0000 + flow).to_be_bytes(), [172, 16, 0, 1]))
}

fn v6(flow: u32) -> Ip {
    let segments = [0x2001, 0xdb8, 0, 0, 0, 0, 0, flow as u16];
    Ip::V6(Ipv6::between(segments, [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]))
}

fn tcp(flow: u32) -> Transport {
    Transport::Tcp(Tcp {
        source_port: 1_024 + flow as u16,
        destination_port: 443,
        sequence: 1,
        acknowledgement: 1,
        flags: tcp_flags::ACK,
        window: 1_000,
        options: [&[1, 1, 8, 10][..], &[0; 8]].concat(),
    })
}

fn udp(flow: u32) -> Transport {
    Transport::Udp(Udp { source_port: 1_024 + flow as u16, destination_port: 53 })
}

fn segment(flow: u32) -> Packet {
    v4(flow).packet(&tcp(flow), &[])
}

fn tagged(tags: Vec<Tag>) -> Ethernet {
    Ethernet { tags, ..Ethernet::default() }
}

fn through(tunnel: &Tunnel, flow: u32) -> Vec<u8> {
    let underlay = Ip::V4(Ipv4::between([192, 0, 2, 1], [192, 0, 2, 2]));
    Ethernet::default().carry(&tunnel.wrap(&underlay, &segment(flow), &Ethernet::default()))
}

/// Frames of one kind, decoded one after the other.
struct Decode {
    frames: Frames,
    depth: Depth,
    ports: TunnelPorts,
    outer: Decoded,
    inner: Decoded,
    now: Moment,
}

impl Decode {
    fn new(layer: &Layer) -> Decode {
        let frames = (0..FRAMES).map(|number| {
            let flow = number % FLOWS;
            StreamFrame { flow, bytes: (layer.frame)(flow) }
        });
        Decode {
            frames: frames.collect(),
            depth: layer.depth,
            ports: TunnelPorts::default(),
            outer: Decoded::EMPTY,
            inner: Decoded::EMPTY,
            now: START,
        }
    }
}

impl Work for Decode {
    fn packets(&self) -> usize {
        self.frames.len()
    }

    fn pass(&mut self) {
        let Decode { frames, depth, ports, outer, inner, now } = self;
        let mut decoded = 0;
        match depth {
            Depth::Outermost => frames.lend(now, |burst| {
                for frame in burst {
                    decoded += usize::from(packet::decode_into(frame, outer).is_ok());
                    black_box(&*outer);
                }
            }),
            Depth::Innermost => frames.lend(now, |burst| {
                for frame in burst {
                    decoded += usize::from(decode_innermost(frame, ports, outer, inner));
                    black_box(&*inner);
                }
            }),
        }
        assert_eq!(decoded, frames.len(), "every frame has such a packet");
    }
}

#[inline(always)]
fn decode_innermost(
    frame: &Frame<'_>,
    ports: &TunnelPorts,
    outer: &mut Decoded,
    inner: &mut Decoded,
) -> bool {
    packet::decode_into(frame, outer).is_ok()
        && packet::may_carry(outer, ports)
        && packet::decode_inner(frame, outer, ports, inner).is_ok()
}

const REASSEMBLY: &str = "fragment of four";

/// Datagrams of four fragments that come in order: decoded, put together.
struct Reassembly {
    frames: Frames,
    reassembler: Reassembler,
    packet: Decoded,
    now: Moment,
}

impl Reassembly {
    fn new() -> Reassembly {
        let frames = (0..DATAGRAMS).flat_map(|flow| {
            let payload = [0; FRAGMENTS * FRAGMENT_BYTES - 8];
            let packets = v4(flow).fragments(&udp(flow), &payload, FRAGMENT_BYTES, flow);
            assert_eq!(packets.len(), FRAGMENTS, "the header of UDP has eight bytes");
            packets
                .into_iter()
                .map(move |packet| StreamFrame { flow, bytes: Ethernet::default().carry(&packet) })
        });
        let reassembler = Reassembler::new(reassembly_config(), HASH_KEY);
        Reassembly { frames: frames.collect(), reassembler, packet: Decoded::EMPTY, now: START }
    }
}

impl Work for Reassembly {
    fn packets(&self) -> usize {
        self.frames.len()
    }

    fn pass(&mut self) {
        let Reassembly { frames, reassembler, packet, now } = self;
        let mut whole = 0;
        frames.lend(now, |burst| {
            for frame in burst {
                if packet::decode_into(frame, packet).is_ok()
                    && let Some(piece) = Piece::of(frame, packet)
                {
                    whole += usize::from(black_box(reassembler.add(&piece, &mut |_| {})).whole.is_some());
                }
            }
        });
        assert_eq!(whole, frames.len() / FRAGMENTS, "every datagram becomes whole");
    }
}

/// Works and what they are called, the plain one first.
fn works() -> Vec<(String, Box<dyn Work>)> {
    let mut works: Vec<(String, Box<dyn Work>)> =
        LAYERS.iter().map(|layer| (name(layer), Box::new(Decode::new(layer)) as Box<dyn Work>)).collect();
    works.push((REASSEMBLY.into(), Box::new(Reassembly::new())));
    works
}

fn name(layer: &Layer) -> String {
    match layer.depth {
        Depth::Outermost => layer.name.into(),
        Depth::Innermost => format!("inner packet of {}", layer.name),
    }
}

pub fn counted(name: &str) -> Option<Box<dyn Work>> {
    works().into_iter().find_map(|(own, work)| (own == name).then_some(work))
}

pub fn measure() -> Vec<Figure> {
    let (names, mut works): (Vec<_>, Vec<_>) = works().into_iter().unzip();
    let costs = side_by_side(&mut works);
    let mut figures = Vec::new();
    for (name, cost) in names.iter().zip(&costs) {
        let time = Figure::new(format!("decode: {name}"), cost.time_ns, "ns/packet");
        figures.push(time.against(PLAIN, costs[0].time_ns));
    }
    figures.extend(callgrind::figures("decode", names.iter().map(|name| (&name[..], PLAIN))));
    figures
}
