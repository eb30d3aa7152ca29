//! Length fields that are zero or lie, and stacks of headers that are too high.

use crate::frame::checksum::InternetSum;
use crate::frame::ip::{Extension, Ip, protocol};
use crate::frame::link::{Label, Link};
use crate::frame::transport::{Tcp, Transport, Udp, tcp_flags};
use crate::frame::{Ethernet, Padding, Tag, ether_type};
use crate::mix::ConversationKey;
use crate::mix::planned::PlannedFrame;
use crate::mix::random::Random;
use crate::mix::talk::{Pair, key};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let hosts = Hosts {
        ethernet: Ethernet { padding: Padding::Never, ..pair.ethernet.clone() },
        pair,
        udp: Transport::Udp(Udp {
            source_port: random.between(1_024, 65_535) as u16,
            destination_port: 4_000,
        }),
        payload: random.bytes(100),
    };
    match random.between(0, 5) {
        0 => udp_lengths(&hosts),
        1 => v4_lengths(&hosts),
        2 => v6_lengths(&hosts),
        3 => nothing_behind_ip(&hosts),
        4 => extension_headers(&hosts),
        _ => stacks(&hosts),
    }
}

struct Hosts<'a> {
    pair: &'a Pair,
    /// Without padding: what a length of zero stands for would not be known.
    ethernet: Ethernet,
    udp: Transport,
    payload: Vec<u8>,
}

impl Hosts<'_> {
    /// A good packet of IPv4 or IPv6 with UDP.
    fn packet(&self, ip: &Ip) -> Vec<u8> {
        ip.packet(&self.udp, &self.payload).bytes
    }

    fn counted(
        &self,
        ip: &Ip,
        bytes: &[u8],
        counted_bytes: usize,
        description: &'static str,
    ) -> PlannedFrame {
        let frame = self.ethernet.frame(ether_type_of(ip), bytes);
        PlannedFrame::counted(frame, key(ip, &self.udp), counted_bytes, description)
    }

    /// As [`Hosts::counted`], where the ports are not inside of the length.
    fn counted_without_ports(
        &self,
        ip: &Ip,
        bytes: &[u8],
        counted_bytes: usize,
        description: &'static str,
    ) -> PlannedFrame {
        let frame = self.ethernet.frame(ether_type_of(ip), bytes);
        PlannedFrame::counted(frame, without_ports(key(ip, &self.udp)), counted_bytes, description)
    }
}

fn udp_lengths(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let mut frames = Vec::new();
    for (ip, header_bytes) in [(&hosts.pair.v4, 20), (&hosts.pair.v6, 40)] {
        for length in [0_u16, 1, 7, 8, u16::MAX] {
            let mut packet = hosts.packet(ip);
            packet[header_bytes + 4..header_bytes + 6].copy_from_slice(&length.to_be_bytes());
            frames.push(hosts.counted(ip, &packet, packet.len(), "UDP length that is wrong"));
        }
    }
    frames
}

fn v4_lengths(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let ip = &hosts.pair.v4;
    let whole = hosts.packet(ip);
    let lengthened = |total: u16| {
        let mut packet = whole.clone();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[10..12].fill(0);
        let checksum = InternetSum::default().over(&packet[..20]).finish();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    };
    vec![
        hosts.counted(ip, &lengthened(0), whole.len(), "IPv4 total length of zero"),
        hosts.counted_without_ports(ip, &lengthened(10), 10, "IPv4 total length inside of the header"),
        hosts.counted_without_ports(ip, &lengthened(20), 20, "IPv4 total length of the header alone"),
        hosts.counted_without_ports(ip, &lengthened(22), 22, "IPv4 total length between the ports"),
        hosts.counted(ip, &lengthened(24), 24, "IPv4 total length behind the ports"),
        hosts.counted(ip, &lengthened(u16::MAX), 65_535, "IPv4 total length beyond the frame"),
    ]
}

fn v6_lengths(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let ip = &hosts.pair.v6;
    let whole = hosts.packet(ip);
    let lengthened = |payload: u16| {
        let mut packet = whole.clone();
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
        packet
    };
    vec![
        hosts.counted(ip, &lengthened(0), whole.len(), "IPv6 payload length of zero"),
        hosts.counted_without_ports(ip, &lengthened(0)[..46], 40, "IPv6 header alone"),
        hosts.counted_without_ports(ip, &lengthened(2), 42, "IPv6 payload length between the ports"),
        hosts.counted(ip, &lengthened(4), 44, "IPv6 payload length behind the ports"),
        hosts.counted(ip, &lengthened(u16::MAX), 65_575, "IPv6 payload length beyond the frame"),
    ]
}

/// Good IP headers with nothing to carry, and an Ethernet header without anything.
fn nothing_behind_ip(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let mut frames = Vec::new();
    for ip in [&hosts.pair.v4, &hosts.pair.v6] {
        for number in [1, 6, 17, 47, 50, 51, 58, 132, 255] {
            let empty = Transport::Other(number);
            let packet = ip.packet(&empty, &[]);
            let frame = hosts.ethernet.carry(&packet);
            let bytes = packet.bytes.len();
            let frame = PlannedFrame::counted(frame, key(ip, &empty), bytes, "protocol without a byte");
            let is_tunnel = matches!(number, protocol::GRE | protocol::AH);
            frames.push(if is_tunnel { frame.with_unstated_inner() } else { frame });
        }
    }
    let syn = Tcp {
        source_port: 5,
        destination_port: 6,
        sequence: 0,
        acknowledgement: 0,
        flags: tcp_flags::SYN,
        window: 0,
        options: Vec::new(),
    };
    let (ip, syn) = (&hosts.pair.v4, Transport::Tcp(syn));
    let packet = ip.packet(&syn, &[]);
    let bytes = packet.bytes.len();
    frames.push(PlannedFrame::counted(hosts.ethernet.carry(&packet), key(ip, &syn), bytes, "all zeros"));
    let alone = hosts.ethernet.frame(ether_type::IPV6, &[]);
    frames.push(PlannedFrame::not_flow(alone, "Ethernet header alone"));
    frames
}

/// As many as a sensor follows, one more, and many more.
fn extension_headers(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let chain = |count: usize| {
        let Ip::V6(mut ip) = hosts.pair.v6.clone() else { unreachable!("the pair has IPv6 addresses") };
        ip.extensions = vec![Extension::DestinationOptions(Vec::new()); count];
        Ip::V6(ip)
    };
    let mut frames = Vec::new();
    for count in [1, EXTENSION_HEADERS_MAX] {
        let ip = chain(count);
        let packet = hosts.packet(&ip);
        frames.push(hosts.counted(&ip, &packet, packet.len(), "chain of extension headers"));
    }
    for count in [EXTENSION_HEADERS_MAX + 1, 20, 100] {
        let frame = hosts.ethernet.frame(ether_type::IPV6, &hosts.packet(&chain(count)));
        frames.push(PlannedFrame::not_flow(frame, "too many extension headers"));
    }
    frames
}

/// Tags and labels without end.
fn stacks(hosts: &Hosts<'_>) -> Vec<PlannedFrame> {
    let packet = hosts.pair.v4.packet(&hosts.udp, &hosts.payload);
    let tagged = |count: u16| {
        let tags = (1..=count).map(Tag::vlan).collect();
        Ethernet { tags, ..hosts.ethernet.clone() }.carry(&packet)
    };
    let labels = (16..116).map(Label::new).collect();
    let four = tagged(VLAN_TAGS_MAX);
    vec![
        PlannedFrame::counted(four, key(&hosts.pair.v4, &hosts.udp), packet.bytes.len(), "four tags"),
        PlannedFrame::not_flow(tagged(VLAN_TAGS_MAX + 1), "five tags"),
        PlannedFrame::not_flow(tagged(20), "20 tags"),
        PlannedFrame::not_flow(Link::Mpls(labels).carry(&hosts.ethernet, &packet), "100 labels"),
    ]
}

fn without_ports(key: ConversationKey) -> ConversationKey {
    ConversationKey { source_port: 0, destination_port: 0, ..key }
}

fn ether_type_of(ip: &Ip) -> u16 {
    match ip {
        Ip::V4(_) => ether_type::IPV4,
        Ip::V6(_) => ether_type::IPV6,
    }
}

/// What a sensor follows: see the module above.
const VLAN_TAGS_MAX: u16 = 4;
const EXTENSION_HEADERS_MAX: usize = 8;
