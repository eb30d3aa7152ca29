//! One row: what is drawn for it, and from which tables.

use crate::random::{Random, Zipf, mix};
use std::fmt::Write;

/// A row by what it is; zero is absent where a decoder says so.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub card: u16,
    pub rate: u32,
    pub protocol: u8,
    pub tcp_flags: u8,
    pub tos: u8,
    pub addresses: Addresses,
    pub source_port: u16,
    pub destination_port: u16,
    pub bytes: u64,
    pub packets: u64,
    pub bytes_back: u64,
    pub packets_back: u64,
    pub input: u16,
    pub output: u16,
    pub source_as: u32,
    pub destination_as: u32,
    pub round_trip_us: Option<u32>,
    pub retransmissions: u32,
    pub name: Option<Name>,
}

#[derive(Clone, Copy, Debug)]
pub enum Addresses {
    V4 { source: u32, destination: u32 },
    V6 { source: u128, destination: u128 },
}

/// A name by its number.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    Dns(u32),
    Http(u32),
}

/// Prefixes, their autonomous systems, and the distributions.
#[derive(Debug)]
pub struct Tables {
    prefixes: Vec<Prefix>,
    services: Vec<(f64, u16)>,
    prefix: Zipf,
    host: Zipf,
    card: Zipf,
    tail: Zipf,
    input: Zipf,
    output: Zipf,
    name: Zipf,
}

#[derive(Clone, Copy, Debug)]
struct Prefix {
    v4: u32,
    v6: u64,
    system: u32,
}

const PREFIXES: u32 = 60_000;
const HOSTS: u32 = 4096;
const NAMES: u32 = 300_000;
const RATES: [u32; 8] = [1, 100, 256, 1000, 1024, 2000, 4096, 8192];
const PACKETS_MAX: f64 = (1 << 24) as f64;

/// Services and their share of the rows; the rest is the tail.
const SERVICES: [(u16, f64); 16] = [
    (443, 0.46),
    (80, 0.10),
    (53, 0.09),
    (22, 0.015),
    (25, 0.01),
    (123, 0.03),
    (8080, 0.02),
    (993, 0.01),
    (3478, 0.02),
    (1194, 0.01),
    (5060, 0.01),
    (3389, 0.005),
    (6881, 0.02),
    (8443, 0.02),
    (5222, 0.01),
    (9050, 0.005),
];

const TCP_FLAGS: [(u8, f64); 8] = [
    (0x10, 0.45),
    (0x18, 0.25),
    (0x02, 0.08),
    (0x12, 0.05),
    (0x1b, 0.08),
    (0x11, 0.05),
    (0x04, 0.02),
    (0x19, 0.02),
];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;

impl Tables {
    pub fn new(seed: u64) -> Tables {
        let mut random = Random::of(seed, u64::MAX);
        let systems = Zipf::new(u32::MAX - 1, 1.3);
        let prefix = |index: u32| Prefix {
            v4: ((1 << 24) + random.below(222 << 24) as u32) & 0xFFFF_F000,
            v6: mix(u64::from(index)) >> 16 | 0x2001 << 48,
            system: random.rank(systems) % 70_000 + 101,
        };
        let mut share = 0.0;
        let services = SERVICES.map(|(port, weight)| {
            share += weight;
            (share, port)
        });
        Tables {
            prefixes: (0..PREFIXES).map(prefix).collect(),
            services: services.to_vec(),
            prefix: Zipf::new(PREFIXES, 1.02),
            host: Zipf::new(HOSTS, 1.1),
            card: Zipf::new(8, 0.7),
            tail: Zipf::new(49_151, 0.8),
            input: Zipf::new(48, 0.9),
            output: Zipf::new(48, 0.6),
            name: Zipf::new(NAMES, 1.0),
        }
    }

    /// Index of a prefix, and the host in it.
    fn endpoint(&self, random: &mut Random) -> (u32, u32) {
        let (prefix, host) = (random.rank(self.prefix), random.rank(self.host));
        (prefix, host.wrapping_mul(2_654_435_761).wrapping_add(prefix) % HOSTS)
    }
}

impl Row {
    pub fn draw(tables: &Tables, random: &mut Random) -> Row {
        let card = random.rank(tables.card);
        let flow = Flow::draw(tables, random);
        let (source, destination) = (tables.endpoint(random), tables.endpoint(random));
        let at = |index: u32| tables.prefixes[index as usize];
        let addresses = if random.unit() < 0.12 {
            let v6 = |(index, host): (u32, u32), salt: u64| {
                let low = mix(u64::from(index) * u64::from(HOSTS) + u64::from(host) + salt);
                u128::from(at(index).v6) << 64 | u128::from(low)
            };
            Addresses::V6 { source: v6(source, 0), destination: v6(destination, 7) }
        } else {
            let v4 = |(index, host): (u32, u32)| at(index).v4 | host;
            let is_scan = random.unit() < 0.007;
            let source = if is_scan { (1 << 24) + random.below(222 << 24) as u32 } else { v4(source) };
            Addresses::V4 { source, destination: v4(destination) }
        };
        let packets = (1.0 - random.unit()).powf(-1.0 / 1.15).floor().min(PACKETS_MAX) as u64;
        let size = packet_size(random);
        let packets_back = if random.unit() < 0.3 { (packets / 2).max(1) } else { 0 };
        let is_tcp = flow.protocol == TCP;
        let is_lossy = is_tcp && random.unit() < 0.07;
        Row {
            card: card as u16,
            rate: RATES[(card as usize * 5 + 3) % RATES.len()],
            protocol: flow.protocol,
            tcp_flags: if is_tcp { weighted(random, &TCP_FLAGS) } else { 0 },
            tos: if random.unit() < 0.9 { 0 } else { (random.below(12) as u8) << 2 },
            addresses,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            bytes: packets * size,
            packets,
            bytes_back: packets_back * if size > 1000 { 52 } else { 900 },
            packets_back,
            input: (card * 64 + random.rank(tables.input)) as u16 + 1,
            output: (card * 64 + random.rank(tables.output)) as u16 + 1,
            source_as: at(source.0).system,
            destination_as: at(destination.0).system,
            round_trip_us: is_tcp.then(|| (10.3 + 0.9 * random.normal()).exp() as u32),
            retransmissions: if is_lossy { random.number().trailing_zeros() + 1 } else { 0 },
            name: flow.name,
        }
    }
}

/// Protocol, ports, and the name that was asked for.
struct Flow {
    protocol: u8,
    source_port: u16,
    destination_port: u16,
    name: Option<Name>,
}

impl Flow {
    fn draw(tables: &Tables, random: &mut Random) -> Flow {
        let unit = random.unit();
        let known = tables.services.iter().find(|(end, _)| unit < *end).map(|(_, port)| *port);
        let service = known.unwrap_or_else(|| random.rank(tables.tail) as u16 + 1);
        let ephemeral = 32_768 + random.below(61_000 - 32_768) as u16;
        let draw = random.unit();
        let is_udp = matches!(service, 53 | 123 | 3478 | 1194 | 5060)
            || service == 443 && draw < 0.3
            || known.is_none() && draw < 0.25;
        let kind = random.unit();
        if kind < 0.016 {
            let protocol = if kind < 0.012 { ICMP } else { ESP };
            return Flow { protocol, source_port: 0, destination_port: 0, name: None };
        }
        let protocol = if is_udp { UDP } else { TCP };
        let name = match (service, protocol) {
            (53, _) => Some(Name::Dns(random.rank(tables.name))),
            (80, TCP) => Some(Name::Http(random.rank(tables.name))),
            (443, TCP) if random.unit() < 0.5 => Some(Name::Http(random.rank(tables.name))),
            _ => None,
        };
        let is_request = random.unit() < 0.42;
        let (source_port, destination_port) =
            if is_request { (ephemeral, service) } else { (service, ephemeral) };
        Flow { protocol, source_port, destination_port, name }
    }
}

fn packet_size(random: &mut Random) -> u64 {
    match random.unit() {
        0.0..0.05 => 64,
        0.05..0.42 => 52,
        0.42..0.6 => 80 + random.below(900),
        _ => 1400 + random.below(5) * 20,
    }
}

fn weighted(random: &mut Random, choices: &[(u8, f64)]) -> u8 {
    let mut unit = random.unit();
    for (value, weight) in choices {
        if unit < *weight {
            return *value;
        }
        unit -= weight;
    }
    choices[choices.len() - 1].0
}

/// Writes the name of a number: a host of a content network, an interface, a country.
pub fn write_name(number: u32, into: &mut String) {
    const HOST: [&str; 8] = ["www.", "cdn.", "api.", "img.", "", "static.", "edge-", "m."];
    const TOP: [&str; 8] = [".com", ".net", ".org", ".io", ".de", ".fr", ".example", ".co.uk"];
    let hash = mix(u64::from(number));
    into.clear();
    into.push_str(HOST[(hash & 7) as usize]);
    write!(into, "{:x}", hash >> 40).expect("a string takes every write");
    if hash & 64 != 0 {
        write!(into, "-{:x}", hash >> 8 & 0xFFFF).expect("a string takes every write");
    }
    into.push_str(TOP[(hash >> 3 & 7) as usize]);
}
