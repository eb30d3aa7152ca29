//! What applications say, over TCP in segments of any size and over UDP, IPv4 and IPv6.

use super::planned::PlannedFrame;
use super::random::Random;
use super::talk::{Pair, Side, Talk};
use super::tcp::TcpExchange;
use crate::frame::ip::Ip;
use crate::frame::transport::{Transport, Udp};
use crate::message::{Carrier, Line, Protocol, Script};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let protocol = protocol(random);
    let script = Script::draw(protocol, random);
    let ip = hosts(pair, protocol, random);
    let client_port = random.between(32_768, 60_999) as u16;
    let ports = [script.client_port.unwrap_or(client_port), script.server_port];
    let talk = Talk::new(pair, ip);
    let mut frames = match script.carrier {
        Carrier::Udp => datagrams(&talk, ports, &script.lines),
        Carrier::Tcp => connection(&talk, ports, &script.lines, random),
    };
    let last = frames.pop().expect("a conversation has frames");
    frames.push(last.saying(script.said));
    frames
}

/// About as often as in an office.
fn protocol(random: &mut Random) -> Protocol {
    const OTHERS: [Protocol; 9] = [
        Protocol::Dhcp,
        Protocol::Dhcpv6,
        Protocol::Radius,
        Protocol::Ntp,
        Protocol::Snmp,
        Protocol::Sip,
        Protocol::Ssh,
        Protocol::PostgreSql,
        Protocol::MySql,
    ];
    match random.between(0, 99) {
        0..35 => Protocol::Dns,
        35..60 => Protocol::Tls,
        60..80 => Protocol::Http,
        80..85 => Protocol::Unknown,
        _ => OTHERS[random.index(OTHERS.len())],
    }
}

fn hosts<'a>(pair: &'a Pair, protocol: Protocol, random: &mut Random) -> &'a Ip {
    match protocol {
        Protocol::Dhcp => &pair.v4,
        Protocol::Dhcpv6 => &pair.v6,
        _ if random.one_in(4) => &pair.v6,
        _ => &pair.v4,
    }
}

fn datagrams(talk: &Talk, [client, server]: [u16; 2], lines: &[Line]) -> Vec<PlannedFrame> {
    let frames = lines.iter().map(|line| {
        let (source_port, destination_port) = match line.speaker {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let udp = Transport::Udp(Udp { source_port, destination_port });
        talk.frame(line.speaker, &udp, &line.bytes, "datagram of an application")
    });
    frames.collect()
}

fn connection(talk: &Talk, ports: [u16; 2], lines: &[Line], random: &mut Random) -> Vec<PlannedFrame> {
    let mut exchange = TcpExchange::between(talk, ports, random);
    exchange.handshake();
    for line in lines {
        say(&mut exchange, line, random);
    }
    exchange.finish();
    exchange.into_unsigned_frames()
}

/// Sends a line in segments: some of them swapped, some sent twice.
fn say(exchange: &mut TcpExchange<'_>, line: &Line, random: &mut Random) {
    let mut segments = cut(line.bytes.len(), random);
    let swapped = (segments.len() > 1 && random.one_in(8)).then(|| random.index(segments.len() - 1));
    if let Some(at) = swapped {
        segments.swap(at, at + 1);
    }
    let repeated = random.one_in(10).then(|| random.index(segments.len()));
    let count = segments.len();
    for (number, (start, end)) in segments.into_iter().enumerate() {
        exchange.data_at(line.speaker, start, &line.bytes[start..end]);
        if repeated == Some(number) {
            exchange.data_at(line.speaker, start, &line.bytes[start..end]);
        }
        // What is missing is not acknowledged.
        if number % 2 == 1 && number + 1 < count && swapped != Some(number) {
            exchange.acknowledge_up_to(line.speaker, end);
        }
    }
    exchange.passed(line.speaker, line.bytes.len());
    exchange.acknowledge(line.speaker.other());
}

/// Start and end of each segment.
fn cut(bytes: usize, random: &mut Random) -> Vec<(usize, usize)> {
    let is_even = bytes > ODD_BYTES_MAX || !random.one_in(3);
    let mut segments = Vec::new();
    let mut start = 0;
    while start < bytes {
        let most = (bytes - start).min(SEGMENT_BYTES_MAX);
        let taken = if is_even { most } else { random.between(1, most as u64) as usize };
        segments.push((start, start + taken));
        start += taken;
    }
    segments
}

/// What is longer is sent in full segments.
const ODD_BYTES_MAX: usize = 20_000;

/// What fits into 1500 bytes of IPv6 with options of TCP.
const SEGMENT_BYTES_MAX: usize = 1_400;
