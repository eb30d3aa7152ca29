//! Traffic for benchmarks: any number of flows that go on for ever, clean, in sizes about those of the Internet.
//!
//! Sequence numbers, acknowledgements and time stamps of TCP progress in both directions, so that a sensor that looks
//! at them finds nothing lost, nothing repeated and something to measure. Each flow has the same share of the frames,
//! in random order, which is the worst case for caches. Connections are open before the first frame and stay open.
//!
//! A benchmark that goes over the same frames again renews them before each pass, which moves every flow on by as much
//! as it moved in one pass:
//!
//! ```
//! use traffic::mix::stream::{StreamOptions, Streams};
//!
//! let mut streams = Streams::new(StreamOptions { flows: 10, frames: 200, seed: 1 });
//! let mut frames: Vec<_> = streams.by_ref().collect();
//! let lap = streams.into_lap();
//! for frame in &mut frames {
//!     lap.renew(frame.flow, &mut frame.bytes);
//! }
//! ```

use std::net::Ipv6Addr;

use super::random::Random;
use super::{CONVERSATIONS_MAX, Mix, Options, TimedFrame, Traffic};
use crate::frame::checksum::InternetSum;
use crate::frame::ip::{Ip, Ipv4, Ipv6, protocol};
use crate::frame::transport::{Icmp, Tcp, Transport, Udp, tcp_flags};
use crate::frame::{ETHERNET_HEADER_BYTES, Ethernet, Tag, ether_type};

#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    pub flows: u32,
    /// In one pass; each flow has as many of them as any other, give or take one.
    pub frames: usize,
    pub seed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFrame {
    /// From zero.
    pub flow: u32,
    pub bytes: Vec<u8>,
}

/// The frames of one pass: 5 % of the flows are ICMP echo, 25 % UDP, 70 % TCP; one in six is IPv6, one in ten has a VLAN
/// tag; of twelve frames seven are small, four carry 520 bytes and one carries 1400.
#[derive(Clone, Debug)]
pub struct Streams {
    random: Random,
    /// Flows of the frames to come, last one first.
    order: Vec<u32>,
    given: u32,
    flows: Vec<Flow>,
}

/// How far every flow moves in one pass.
#[derive(Clone, Debug)]
pub struct Lap {
    moved: Vec<[u32; 2]>,
    ticks: u32,
}

#[derive(Clone, Debug)]
enum Flow {
    Tcp(Connection),
    Udp,
    Echo { sequence: u16, unanswered: Option<u16> },
}

/// Each pair is that of client and server.
#[derive(Clone, Copy, Debug)]
struct Connection {
    first: [u32; 2],
    next: [u32; 2],
    /// What each has acknowledged.
    acknowledged: [u32; 2],
    /// The first time stamp of each.
    clock: [u32; 2],
    /// The last one.
    stamp: [u32; 2],
}

impl Streams {
    pub fn new(options: StreamOptions) -> Streams {
        assert!(options.flows > 0, "there is at least one flow");
        let mut random = Random::new(options.seed);
        let mut order: Vec<u32> =
            (0..options.frames).map(|frame| (frame % options.flows as usize) as u32).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, random.index(index + 1));
        }
        let flows = (0..options.flows).map(|flow| Flow::new(flow, &mut random)).collect();
        Streams { random, order, given: 0, flows }
    }

    /// How far the frames given out so far moved each flow.
    pub fn into_lap(self) -> Lap {
        let moved = self.flows.iter().map(|flow| match flow {
            Flow::Tcp(tcp) => [0, 1].map(|side| tcp.next[side].wrapping_sub(tcp.first[side])),
            Flow::Udp | Flow::Echo { .. } => [0; 2],
        });
        Lap { moved: moved.collect(), ticks: self.given / FRAMES_PER_TICK + 1 }
    }
}

/// Frames of [`Mix::Hostile`], as many as are asked for; their flow is the conversation that planned them.
pub fn hostile(seed: u64) -> impl Iterator<Item = StreamFrame> {
    let traffic = Traffic::new(Options { mix: Mix::Hostile, seed, conversations: CONVERSATIONS_MAX });
    traffic.map(|TimedFrame { conversation, bytes, .. }| StreamFrame { flow: conversation, bytes })
}

impl Iterator for Streams {
    type Item = StreamFrame;

    fn next(&mut self) -> Option<StreamFrame> {
        let flow = self.order.pop()?;
        self.given += 1;
        let payload_bytes = match self.random.between(1, 12) {
            1..=7 => 0,
            8..=11 => 520,
            _ => 1_400,
        };
        let side = self.random.index(2);
        let tick = self.given / FRAMES_PER_TICK;
        let (side, transport, payload_bytes) =
            self.flows[flow as usize].step(flow, side, payload_bytes, tick);
        Some(StreamFrame { flow, bytes: frame(flow, side, &transport, payload_bytes) })
    }
}

impl Lap {
    /// Moves a frame of the flow on by one pass. Only TCP has something to move; its checksum stays right.
    pub fn renew(&self, flow: u32, frame: &mut [u8]) {
        let Some(tcp) = tcp_header(frame) else { return };
        let moved = self.moved[flow as usize];
        let side = usize::from(tcp[..2] == SERVER_PORT.to_be_bytes());
        let steps = [
            (SEQUENCE_AT, moved[side]),
            (ACKNOWLEDGEMENT_AT, moved[1 - side]),
            (TIMESTAMP_AT, self.ticks),
            (TIMESTAMP_AT + 4, self.ticks),
        ];
        for (at, step) in steps {
            add(tcp, at, step);
        }
    }
}

impl Flow {
    fn new(flow: u32, random: &mut Random) -> Flow {
        match flow % 20 {
            0 => Flow::Echo { sequence: 0, unanswered: None },
            1..=5 => Flow::Udp,
            _ => {
                let first = [0; 2].map(|_: u32| random.next_u64() as u32);
                let clock = [0; 2].map(|_: u32| random.next_u64() as u32);
                let acknowledged = [first[1], first[0]];
                Flow::Tcp(Connection { first, next: first, acknowledged, clock, stamp: clock })
            }
        }
    }

    /// Who sends what next, about what was asked for.
    fn step(&mut self, flow: u32, side: usize, bytes: usize, tick: u32) -> (usize, Transport, usize) {
        let client_port = client_port(flow);
        let ends = |side, server_port| {
            if side == 0 { (client_port, server_port) } else { (server_port, client_port) }
        };
        match self {
            Flow::Tcp(connection) => connection.step(ends, side, bytes, tick),
            Flow::Udp => {
                let (source_port, destination_port) = ends(side, 53);
                (side, Transport::Udp(Udp { source_port, destination_port }), bytes)
            }
            Flow::Echo { sequence, unanswered } => {
                let answered = unanswered.take();
                if answered.is_none() {
                    *sequence = sequence.wrapping_add(1);
                    *unanswered = Some(bytes as u16);
                }
                let side = usize::from(answered.is_some());
                (side, echo(is_v6(flow), side, *sequence), answered.map_or(bytes, usize::from))
            }
        }
    }
}

impl Connection {
    /// A segment without data acknowledges something, or it would be a duplicate: if there is nothing to acknowledge,
    /// it carries a few bytes.
    fn step(
        &mut self,
        ends: impl Fn(usize, u16) -> (u16, u16),
        side: usize,
        bytes: usize,
        tick: u32,
    ) -> (usize, Transport, usize) {
        let owes = |side: usize| self.acknowledged[side] != self.next[1 - side];
        let (side, bytes) = match bytes {
            0 if owes(side) => (side, 0),
            0 if owes(1 - side) => (1 - side, 0),
            0 => (side, FEW_BYTES),
            _ => (side, bytes),
        };
        let other = 1 - side;
        let (source_port, destination_port) = ends(side, SERVER_PORT);
        self.stamp[side] = self.clock[side].wrapping_add(tick);
        let options = timestamps(self.stamp[side], self.stamp[other]);
        let tcp = Tcp {
            source_port,
            destination_port,
            sequence: self.next[side],
            acknowledgement: self.next[other],
            flags: tcp_flags::ACK | if bytes > 0 { tcp_flags::PSH } else { 0 },
            window: 64_240,
            options,
        };
        self.acknowledged[side] = self.next[other];
        self.next[side] = self.next[side].wrapping_add(bytes as u32);
        (side, Transport::Tcp(tcp), bytes)
    }
}

fn frame(flow: u32, side: usize, transport: &Transport, payload_bytes: usize) -> Vec<u8> {
    let tags = if flow.is_multiple_of(10) { vec![Tag::vlan(100)] } else { Vec::new() };
    let ethernet = Ethernet { tags, ..Ethernet::default() };
    let ip = if is_v6(flow) {
        let client = 0x2001_0db8_0000_0000_0000_0000_0000_0000_u128 + u128::from(flow);
        Ip::V6(Ipv6::between(Ipv6Addr::from(client), Ipv6Addr::from(client | 1 << 64)))
    } else {
        Ip::V4(Ipv4::between((0x0a00_0000 + flow).to_be_bytes(), (0xac10_0000 + flow / 16).to_be_bytes()))
    };
    let (ethernet, ip) = if side == 0 { (ethernet, ip) } else { (ethernet.reversed(), ip.reversed()) };
    ethernet.carry(&ip.packet(transport, &[0; 1_400][..payload_bytes]))
}

fn is_v6(flow: u32) -> bool {
    flow.is_multiple_of(6)
}

fn client_port(flow: u32) -> u16 {
    1_024 + (flow % 60_000) as u16
}

fn echo(is_v6: bool, side: usize, sequence: u16) -> Transport {
    match (is_v6, side) {
        (false, 0) => Transport::Icmp(Icmp::echo_request(1, sequence)),
        (false, _) => Transport::Icmp(Icmp::echo_reply(1, sequence)),
        (true, 0) => Transport::Icmpv6(Icmp::echo_request_v6(1, sequence)),
        (true, _) => Transport::Icmpv6(Icmp::echo_reply_v6(1, sequence)),
    }
}

/// RFC 7323, with the padding that is usual in front of it.
fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    [&[1, 1, 8, 10][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat()
}

/// The TCP header of a frame of [`Streams`], and what follows it.
fn tcp_header(frame: &mut [u8]) -> Option<&mut [u8]> {
    let is_tagged = frame[12..14] == ether_type::VLAN.to_be_bytes();
    let packet = &mut frame[ETHERNET_HEADER_BYTES + if is_tagged { 4 } else { 0 }..];
    let (protocol_at, header_bytes) = if packet[0] >> 4 == 6 { (6, 40) } else { (9, 20) };
    (packet[protocol_at] == protocol::TCP).then(|| &mut packet[header_bytes..])
}

/// Adds to a number and keeps the checksum right (RFC 1624, equation 3).
fn add(tcp: &mut [u8], at: usize, step: u32) {
    let old: [u8; 4] = tcp[at..at + 4].try_into().expect("a header of TCP with time stamps has 32 bytes");
    let new = u32::from_be_bytes(old).wrapping_add(step).to_be_bytes();
    tcp[at..at + 4].copy_from_slice(&new);
    let checksum = [tcp[CHECKSUM_AT], tcp[CHECKSUM_AT + 1]];
    let sum = [checksum, [old[0], old[1]], [old[2], old[3]]].map(|word| word.map(|byte| !byte)).concat();
    let sum = InternetSum::default().over(&sum).over(&new);
    tcp[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum.finish().to_be_bytes());
}

const SERVER_PORT: u16 = 443;

/// Of a small segment that has nothing to acknowledge.
const FEW_BYTES: usize = 6;

/// A tick of the time stamps, which is a millisecond at a million frames a second.
const FRAMES_PER_TICK: u32 = 1_000;

/// Where numbers are in a TCP header whose only option is that of [`timestamps`].
const SEQUENCE_AT: usize = 4;
const ACKNOWLEDGEMENT_AT: usize = 8;
const CHECKSUM_AT: usize = 16;
const TIMESTAMP_AT: usize = 24;
