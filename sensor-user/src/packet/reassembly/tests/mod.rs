//! The reassembler case by case ([`cases`]), under attack ([`malformed`]), at its limits ([`limits`]), and laws over
//! any input ([`laws`]).

mod cases;
mod laws;
mod limits;
mod malformed;

use super::{Piece, Reassembler, ReassemblyConfig, Unclaimed, Waiting};
use crate::{
    clock::Moment,
    flow::FlowKey,
    packet::{self, Side},
    source::{Frame, LinkType},
};
use sensor_ebpf::hash::HashKey;
use std::{net::Ipv6Addr, time::Duration};
use traffic::frame::{
    Ethernet,
    ip::{self, Extension, Ip, Ipv4, Ipv6},
    transport::{Transport, Udp},
};

const KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };
const TIMEOUT: Duration = Duration::from_secs(30);
const UDP: Transport = Transport::Other(17);

/// A reassembler, its clock, and what it handed out as unclaimed.
struct Rig {
    reassembler: Reassembler,
    now: Moment,
    unclaimed: Vec<Unclaimed>,
}

/// As [`super::Added`], owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    flow: Option<(FlowKey, Side)>,
    claimed: Option<Waiting>,
    whole: Option<Vec<u8>>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(16, 1 << 20)
    }

    fn with(datagrams: usize, memory_bytes: usize) -> Rig {
        let config = ReassemblyConfig { datagrams, memory_bytes, timeout: TIMEOUT };
        Rig { reassembler: Reassembler::new(config, KEY), now: Moment(1 << 60), unclaimed: Vec::new() }
    }

    /// Takes an IP packet in, as it comes over Ethernet: short ones are padded.
    fn add(&mut self, packet: &ip::Packet) -> Outcome {
        let bytes = Ethernet::default().carry(packet);
        self.add_frame(&bytes, bytes.len())
    }

    /// The same with less captured than there was.
    fn add_frame(&mut self, bytes: &[u8], captured_bytes: usize) -> Outcome {
        let frame = Frame {
            bytes: &bytes[..captured_bytes],
            wire_bytes: bytes.len() as u32,
            time: self.now,
            link: LinkType::ETHERNET,
            ..Frame::EMPTY
        };
        let packet = packet::decode(&frame).expect("these frames carry IP");
        let piece = Piece::of(&frame, &packet).expect("these packets are fragments");
        let added = self.reassembler.add(&piece, &mut |waited| self.unclaimed.push(waited));
        Outcome { flow: added.flow, claimed: added.claimed, whole: added.whole.map(<[u8]>::to_vec) }
    }

    fn add_all<'a>(&mut self, packets: impl IntoIterator<Item = &'a ip::Packet>) -> Vec<Outcome> {
        packets.into_iter().map(|packet| self.add(packet)).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    fn expire(&mut self) {
        self.reassembler.expire(self.now, usize::MAX, &mut |waited| self.unclaimed.push(waited));
    }

    fn flush(&mut self) {
        self.reassembler.flush(&mut |waited| self.unclaimed.push(waited));
    }
}

fn v4() -> Ip {
    v4_with(7)
}

fn v4_with(identification: u16) -> Ip {
    let ip = Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]);
    Ip::V4(Ipv4 { identification, dont_fragment: false, ..ip })
}

fn v6() -> Ip {
    v6_with(Vec::new())
}

fn v6_with(extensions: Vec<Extension>) -> Ip {
    let [source, destination] = [1, 2].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    Ip::V6(Ipv6 { extensions, ..Ipv6::between(source, destination) })
}

fn udp() -> Transport {
    udp_from(4000)
}

fn udp_from(source_port: u16) -> Transport {
    Transport::Udp(Udp { source_port, destination_port: 53 })
}

/// Bytes without a pattern that eight or 2048 divide.
fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8 ^ (n / 251) as u8).collect()
}

/// Where a fragment made by hand belongs.
#[derive(Clone, Copy, Debug)]
struct At {
    identification: u16,
    offset: u16,
    more: bool,
}

const fn at(offset: u16, more: bool) -> At {
    At { identification: 7, offset, more }
}

/// A fragment with any content, whether it makes sense or not.
fn fragment(ip: &Ip, At { identification, offset, more }: At, data: &[u8]) -> ip::Packet {
    match ip {
        Ip::V4(ip) => {
            let ip = Ipv4 { identification, dont_fragment: false, ..ip.clone() };
            let mut packet = Ip::V4(ip).packet(&UDP, data);
            let flags_and_offset = (u16::from(more) << 13) | (offset / 8);
            packet.bytes[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
            packet
        }
        Ip::V6(ip) => {
            let mut ip = ip.clone();
            let identification = u32::from(identification);
            ip.extensions.push(Extension::Fragment(ip::Fragment { offset, more, identification }));
            Ip::V6(ip).packet(&UDP, data)
        }
    }
}

/// The flow that a whole packet is of.
fn flow_of(packet: &ip::Packet) -> (FlowKey, Side) {
    let frame = raw(&packet.bytes);
    let packet = packet::decode(&frame).expect("a packet that was built");
    (packet.key, packet.sender)
}

fn raw(bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, wire_bytes: bytes.len() as u32, link: LinkType::RAW, ..Frame::EMPTY }
}
