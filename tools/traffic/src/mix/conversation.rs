//! One conversation of each kind, as the list of its frames.

use super::random::Random;
use super::talk::{Pair, Side, Talk};
use super::tcp::tcp;
use super::{Mix, PlannedFrame, applications, garbage, hostile, trouble, tunnelled};
use crate::frame::Tag;
use crate::frame::ip::{Extension, Ip, protocol};
use crate::frame::transport::{Icmp, Sctp, Transport, Udp};

pub fn plan(mix: Mix, index: u32, random: &mut Random) -> Vec<PlannedFrame> {
    let pair = Pair::new(index, random);
    match mix {
        Mix::Tcp => tcp(&Talk::new(&pair, &pair.v4), SEGMENT_BYTES_MAX, random),
        Mix::Udp => udp(&Talk::new(&pair, &pair.v4), random),
        Mix::Icmp => icmp(&pair, random),
        Mix::Ipv6 => ipv6(&pair, random),
        Mix::Vlan => vlan(pair, random),
        Mix::Fragments => fragments(&pair, random),
        Mix::Protocols => protocols(&pair, random),
        Mix::Jumbo => tcp(&Talk::new(&pair, &pair.v4), JUMBO_SEGMENT_BYTES_MAX, random),
        Mix::Garbage => garbage::plan(&pair, random),
        Mix::All => plan_any(&pair, random),
        Mix::TcpTrouble => trouble::plan(&pair, random),
        Mix::Tunnels => tunnelled::plan(&pair, index, random),
        Mix::Hostile => hostile::plan(&pair, random),
        Mix::Applications => applications::plan(&pair, random),
    }
}

fn plan_any(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    match random.between(0, 19) {
        0..6 => tcp(&Talk::new(pair, &pair.v4), SEGMENT_BYTES_MAX, random),
        6..11 => udp(&Talk::new(pair, &pair.v4), random),
        11 => icmp(pair, random),
        12..15 => ipv6(pair, random),
        15 | 16 => vlan(pair.clone(), random),
        17 => fragments(pair, random),
        18 => protocols(pair, random),
        _ => garbage::plan(pair, random),
    }
}

pub fn udp(talk: &Talk, random: &mut Random) -> Vec<PlannedFrame> {
    let ports = Udp { source_port: random.between(1_024, 65_535) as u16, destination_port: 53 };
    let back = Udp { source_port: ports.destination_port, destination_port: ports.source_port };
    let mut frames = Vec::new();
    for _ in 0..random.between(1, 8) {
        let query = dns_query(random);
        frames.push(talk.frame(Side::Client, &Transport::Udp(ports), &query, "UDP request"));
        if random.one_in(10) {
            continue;
        }
        let mut answer = query;
        answer[2] |= 0x80;
        let answer_bytes = random.between(16, 400) as usize;
        answer.extend_from_slice(&random.bytes(answer_bytes));
        frames.push(talk.frame(Side::Server, &Transport::Udp(back), &answer, "UDP answer"));
    }
    frames
}

/// A question for an A record (RFC 1035), with a random name.
fn dns_query(random: &mut Random) -> Vec<u8> {
    let mut query = random.bytes(2);
    query.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    let label_bytes = random.between(1, 20) as usize;
    query.push(label_bytes as u8);
    query.extend(random.bytes(label_bytes).into_iter().map(|byte| b'a' + byte % 26));
    query.extend_from_slice(b"\x07example\x00\x00\x01\x00\x01");
    query
}

fn icmp(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    if random.one_in(2) {
        echo_v6(&Talk::new(pair, &pair.v6), SEGMENT_BYTES_MAX, random)
    } else {
        echo_v4(&Talk::new(pair, &pair.v4), SEGMENT_BYTES_MAX, random)
    }
}

pub fn echo_v4(talk: &Talk, payload_bytes_max: u64, random: &mut Random) -> Vec<PlannedFrame> {
    echo(talk, payload_bytes_max, random, |identifier, sequence| {
        let request = Transport::Icmp(Icmp::echo_request(identifier, sequence));
        (request, Transport::Icmp(Icmp::echo_reply(identifier, sequence)))
    })
}

pub fn echo_v6(talk: &Talk, payload_bytes_max: u64, random: &mut Random) -> Vec<PlannedFrame> {
    echo(talk, payload_bytes_max, random, |identifier, sequence| {
        let request = Transport::Icmpv6(Icmp::echo_request_v6(identifier, sequence));
        (request, Transport::Icmpv6(Icmp::echo_reply_v6(identifier, sequence)))
    })
}

fn echo(
    talk: &Talk,
    payload_bytes_max: u64,
    random: &mut Random,
    messages: impl Fn(u16, u16) -> (Transport, Transport),
) -> Vec<PlannedFrame> {
    let identifier = random.between(0, 65_535) as u16;
    let payload_bytes = random.between(0, payload_bytes_max) as usize;
    let payload = random.bytes(payload_bytes);
    let mut frames = Vec::new();
    for sequence in 1..=random.between(1, 6) as u16 {
        let (request, reply) = messages(identifier, sequence);
        frames.push(talk.frame(Side::Client, &request, &payload, "echo request"));
        if !random.one_in(10) {
            frames.push(talk.frame(Side::Server, &reply, &payload, "echo reply"));
        }
    }
    frames
}

fn ipv6(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let mut ip = pair.v6.clone();
    if let Ip::V6(ip) = &mut ip {
        ip.flow_label = random.between(0, 0xf_ffff) as u32;
        ip.traffic_class = random.between(0, 255) as u8;
        ip.extensions = match random.between(0, 3) {
            // Router alert (RFC 2711).
            0 => vec![Extension::HopByHop(vec![5, 2, 0, 0])],
            // An experimental option to be skipped by whoever does not know it (RFC 4727).
            1 => vec![
                Extension::HopByHop(vec![5, 2, 0, 0]),
                Extension::DestinationOptions(vec![0x1e, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
            ],
            _ => Vec::new(),
        };
    }
    let talk = Talk::new(pair, &ip);
    match random.between(0, 2) {
        0 => tcp(&talk, SEGMENT_BYTES_MAX, random),
        1 => udp(&talk, random),
        _ => echo_v6(&talk, SEGMENT_BYTES_MAX, random),
    }
}

fn vlan(mut pair: Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let inner = Tag { priority: random.between(0, 7) as u8, ..Tag::vlan(random.between(1, 4_094) as u16) };
    pair.ethernet.tags = match random.between(0, 1) {
        0 => vec![inner],
        _ => vec![Tag::provider(random.between(1, 4_094) as u16), inner],
    };
    let ip = if random.one_in(3) { &pair.v6 } else { &pair.v4 };
    let talk = Talk::new(&pair, ip);
    match random.between(0, 1) {
        0 => tcp(&talk, SEGMENT_BYTES_MAX, random),
        _ => udp(&talk, random),
    }
}

/// Datagrams of two to six fragments, some of them out of order.
fn fragments(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let ip = if random.one_in(2) { &pair.v6 } else { &pair.v4 };
    let talk = Talk::new(pair, ip);
    let udp = Udp { source_port: random.between(1_024, 65_535) as u16, destination_port: 2_049 };
    let back = Udp { source_port: udp.destination_port, destination_port: udp.source_port };
    let mut frames = Vec::new();
    for _ in 0..random.between(1, 3) {
        let (side, ports) = if random.one_in(3) { (Side::Server, back) } else { (Side::Client, udp) };
        let payload_bytes = random.between(2_000, 6_000) as usize;
        let payload = random.bytes(payload_bytes);
        let identification = random.next_u64() as u32;
        let mut datagram = talk.fragments(side, &Transport::Udp(ports), &payload, identification);
        if random.one_in(4) {
            datagram.reverse();
        }
        frames.append(&mut datagram);
    }
    frames
}

fn protocols(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let mut ip = pair.v4.clone();
    if let Ip::V4(ip) = &mut ip
        && random.one_in(2)
    {
        // Router alert (RFC 2113), once with the padding that three more bytes need.
        ip.options = if random.one_in(2) { vec![0x94, 4, 0, 0] } else { vec![0x94, 4, 0, 0, 1, 1, 1] };
    }
    let talk = Talk::new(pair, &ip);
    match random.between(0, 2) {
        0 => sctp(&talk, random),
        1 => bare(&talk, protocol::OSPF, random),
        _ => bare(&talk, protocol::EXPERIMENT, random),
    }
}

fn sctp(talk: &Talk, random: &mut Random) -> Vec<PlannedFrame> {
    let there = Sctp {
        source_port: random.between(1_024, 65_535) as u16,
        destination_port: 3_868,
        verification_tag: random.next_u64() as u32,
    };
    let back = Sctp { source_port: there.destination_port, destination_port: there.source_port, ..there };
    let exchanges = random.between(1, 5) as u32;
    let frames = (0..exchanges).flat_map(|sequence| {
        [(Side::Client, there), (Side::Server, back)].map(|(side, header)| {
            let message_bytes = random.between(1, 800) as usize;
            let chunk = Sctp::data_chunk(sequence, &random.bytes(message_bytes));
            talk.frame(side, &Transport::Sctp(header), &chunk, "SCTP data")
        })
    });
    frames.collect()
}

fn bare(talk: &Talk, number: u8, random: &mut Random) -> Vec<PlannedFrame> {
    let count = random.between(1, 6);
    let frames = (0..count).map(|_| {
        let side = if random.one_in(2) { Side::Client } else { Side::Server };
        let payload_bytes = random.between(8, 600) as usize;
        talk.frame(side, &Transport::Other(number), &random.bytes(payload_bytes), "bare protocol")
    });
    frames.collect()
}

/// What fits into 1500 bytes of IPv6 with extension headers.
const SEGMENT_BYTES_MAX: u64 = 1_400;

/// What fits into 9000 bytes of IPv4.
const JUMBO_SEGMENT_BYTES_MAX: u64 = 8_960;
