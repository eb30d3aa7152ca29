//! The plain way to do it in Rust: etherparse and a `HashMap` from the std library.

use crate::{clean::Track, frames::START, meter::Work};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use sensor_user::clock::Moment;
use std::{collections::HashMap, hint::black_box, net::IpAddr};

/// Addresses and ports, the lower end first, and the protocol.
type Key = ([(IpAddr, u16); 2], u8);

struct Packet {
    key: Key,
    direction: usize,
    bytes: u64,
    tcp_flags: u8,
}

#[derive(Default)]
struct Flow {
    last: Moment,
    packets: [u64; 2],
    bytes: [u64; 2],
    frame_bytes: [u64; 2],
    tcp_flags: [u8; 2],
}

fn decode(bytes: &[u8]) -> Option<Packet> {
    let sliced = SlicedPacket::from_ethernet(bytes).ok()?;
    let (source, destination, protocol, bytes) = match sliced.net? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            (IpAddr::V4(source), IpAddr::V4(destination), header.protocol().0, u64::from(header.total_len()))
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            let bytes = u64::from(header.payload_length()) + 40;
            (IpAddr::V6(source), IpAddr::V6(destination), ip.payload().ip_number.0, bytes)
        }
        NetSlice::Arp(_) => return None,
    };
    let (source_port, destination_port, tcp_flags) = match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port(), tcp.slice()[13]),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port(), 0),
        _ => (0, 0, 0),
    };
    let (source, destination) = ((source, source_port), (destination, destination_port));
    let direction = usize::from(source > destination);
    let ends = if direction == 0 { [source, destination] } else { [destination, source] };
    Some(Packet { key: (ends, protocol), direction, bytes, tcp_flags })
}

fn update(flows: &mut HashMap<Key, Flow>, packet: &Packet, wire_bytes: u32, now: Moment) {
    let flow = flows.entry(packet.key).or_default();
    flow.last = now;
    flow.packets[packet.direction] += 1;
    flow.bytes[packet.direction] += packet.bytes;
    flow.frame_bytes[packet.direction] += u64::from(wire_bytes);
    flow.tcp_flags[packet.direction] |= packet.tcp_flags;
}

pub struct Decode {
    track: Track,
    now: Moment,
}

impl Decode {
    pub fn new(track: Track) -> Decode {
        Decode { track, now: START }
    }
}

impl Work for Decode {
    fn packets(&self) -> usize {
        self.track.packets()
    }

    fn prepare(&mut self) {
        self.track.next_lap();
    }

    fn pass(&mut self) {
        self.track.circuit().frames.lend(&mut self.now, |burst| {
            for frame in burst {
                black_box(decode(frame.bytes));
            }
        });
    }
}

pub struct Table {
    flows: HashMap<Key, Flow>,
    packets: Vec<(Packet, u32)>,
    now: Moment,
}

impl Table {
    /// Nothing that it looks at changes from lap to lap.
    pub fn new(track: &Track, capacity: usize) -> Table {
        let circuit = track.circuit();
        let packets = (0..track.packets()).filter_map(|index| {
            let frame = circuit.frames.frame(index, START);
            Some((decode(frame.bytes)?, frame.wire_bytes))
        });
        Table { packets: packets.collect(), flows: HashMap::with_capacity(capacity), now: START }
    }
}

impl Work for Table {
    fn packets(&self) -> usize {
        self.packets.len()
    }

    fn pass(&mut self) {
        for (packet, wire_bytes) in &self.packets {
            self.now.0 += 1;
            update(&mut self.flows, packet, *wire_bytes, self.now);
        }
    }
}

pub struct Whole {
    track: Track,
    flows: HashMap<Key, Flow>,
    now: Moment,
}

impl Whole {
    pub fn new(track: Track, capacity: usize) -> Whole {
        Whole { track, flows: HashMap::with_capacity(capacity), now: START }
    }
}

impl Work for Whole {
    fn packets(&self) -> usize {
        self.track.packets()
    }

    fn prepare(&mut self) {
        self.track.next_lap();
    }

    fn pass(&mut self) {
        let Whole { track, flows, now } = self;
        track.circuit().frames.lend(now, |burst| {
            for frame in burst {
                if let Some(packet) = decode(frame.bytes) {
                    update(flows, &packet, frame.wire_bytes, frame.time);
                }
            }
        });
    }
}
