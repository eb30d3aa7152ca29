//! TCP that contradicts itself. No segment without ACK sets SYN on a connection that was closed or reset, so that every
//! attack stays one connection.

use crate::frame::transport::{Tcp, Transport, tcp_flags};
use crate::mix::planned::PlannedFrame;
use crate::mix::random::Random;
use crate::mix::talk::{Pair, Side, Talk, key};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let ip = if random.one_in(4) { &pair.v6 } else { &pair.v4 };
    let mut attack = Attack {
        talk: Talk::new(pair, ip),
        client_port: random.between(1_024, 65_535) as u16,
        next: [random.next_u64() as u32, random.next_u64() as u32],
        frames: Vec::new(),
    };
    match random.between(0, 9) {
        0 => conflicting_overlaps(&mut attack, random),
        1 => wrap(&mut attack, random),
        2 => simultaneous_open(&mut attack, random),
        3 => reset_storm(&mut attack, random),
        4 => syn_flood(&mut attack, random),
        5 => keep_alive_storm(&mut attack),
        6 => scaling_without_handshake(&mut attack, random),
        7 => zero_windows(&mut attack),
        8 => broken_options(&mut attack),
        _ => broken_header(&mut attack, random),
    }
    attack.frames
}

struct Attack {
    talk: Talk,
    client_port: u16,
    /// Of client and server, as far as an attack cares.
    next: [u32; 2],
    frames: Vec<PlannedFrame>,
}

impl Attack {
    /// A segment of `side` that would come next, to be changed.
    fn header(&self, side: Side, flags: u8) -> Tcp {
        let (source_port, destination_port) = match side {
            Side::Client => (self.client_port, SERVER_PORT),
            Side::Server => (SERVER_PORT, self.client_port),
        };
        let has_ack = flags & tcp_flags::ACK != 0;
        Tcp {
            source_port,
            destination_port,
            sequence: self.next[side as usize],
            acknowledgement: if has_ack { self.next[side.other() as usize] } else { 0 },
            flags,
            window: 8_192,
            options: Vec::new(),
        }
    }

    fn push(&mut self, side: Side, tcp: Tcp, payload: &[u8], description: &'static str) {
        self.frames.push(self.talk.frame(side, &Transport::Tcp(tcp), payload, description));
    }

    fn handshake(&mut self) {
        let syn = self.header(Side::Client, tcp_flags::SYN);
        self.push(Side::Client, syn, &[], "SYN");
        self.next[0] = self.next[0].wrapping_add(1);
        let syn_ack = self.header(Side::Server, tcp_flags::SYN | tcp_flags::ACK);
        self.push(Side::Server, syn_ack, &[], "SYN ACK");
        self.next[1] = self.next[1].wrapping_add(1);
        self.acknowledge(Side::Client);
    }

    fn acknowledge(&mut self, side: Side) {
        let tcp = self.header(side, tcp_flags::ACK);
        self.push(side, tcp, &[], "TCP acknowledgement");
    }

    /// Data `offset` bytes behind the next one.
    fn data_at(&mut self, offset: u32, payload: &[u8], description: &'static str) {
        let mut tcp = self.header(Side::Client, tcp_flags::ACK);
        tcp.sequence = tcp.sequence.wrapping_add(offset);
        self.push(Side::Client, tcp, payload, description);
    }
}

/// The same places of the sequence, again and again with other bytes.
fn conflicting_overlaps(attack: &mut Attack, random: &mut Random) {
    attack.handshake();
    for (offset, bytes) in [(0, 1_000), (500, 1_000), (0, 1_400), (999, 2), (0, 1), (200, 100)] {
        attack.data_at(offset, &random.bytes(bytes), "segment over another one");
    }
    attack.next[0] = attack.next[0].wrapping_add(1_500);
    attack.acknowledge(Side::Server);
}

/// Everything about 2^32, with overlaps there and half of the number space away.
fn wrap(attack: &mut Attack, random: &mut Random) {
    attack.next = [0_u32.wrapping_sub(700), u32::MAX];
    attack.handshake();
    for offset in [0, 400, 800, 300, 0x8000_0000, 0x7fff_ffff, 1_200] {
        attack.data_at(offset, &random.bytes(400), "segment about the wrap");
    }
    attack.acknowledge(Side::Server);
}

/// Both sides open, disagree on what they said, and send data in their SYNs.
fn simultaneous_open(attack: &mut Attack, random: &mut Random) {
    for (side, flags) in [
        (Side::Client, tcp_flags::SYN),
        (Side::Server, tcp_flags::SYN),
        (Side::Client, tcp_flags::SYN | tcp_flags::ACK),
        (Side::Server, tcp_flags::SYN | tcp_flags::ACK),
    ] {
        let mut tcp = attack.header(side, flags);
        tcp.sequence = random.next_u64() as u32;
        let data_bytes = random.between(0, 20) as usize;
        attack.push(side, tcp, &random.bytes(data_bytes), "one SYN of many");
    }
}

fn reset_storm(attack: &mut Attack, random: &mut Random) {
    attack.handshake();
    for _ in 0..random.between(10, 60) {
        let side = if random.one_in(2) { Side::Client } else { Side::Server };
        let flags = if random.one_in(2) { tcp_flags::RST } else { tcp_flags::RST | tcp_flags::ACK };
        let mut tcp = attack.header(side, flags);
        tcp.sequence = tcp.sequence.wrapping_add(random.between(0, 70_000) as u32);
        attack.push(side, tcp, &[], "RST of many");
    }
    attack.data_at(0, &random.bytes(100), "data behind a reset");
}

fn syn_flood(attack: &mut Attack, random: &mut Random) {
    for _ in 0..random.between(20, 80) {
        attack.next[0] = random.next_u64() as u32;
        let syn = attack.header(Side::Client, tcp_flags::SYN);
        attack.push(Side::Client, syn, &[], "SYN of many");
    }
}

fn keep_alive_storm(attack: &mut Attack) {
    attack.handshake();
    for _ in 0..50 {
        attack.data_at(u32::MAX, &[0], "keep-alive of many");
        attack.acknowledge(Side::Server);
    }
}

/// Windows whose scale nobody knows, with an absurd scale in a segment that may not have one.
fn scaling_without_handshake(attack: &mut Attack, random: &mut Random) {
    for _ in 0..10 {
        let mut tcp = attack.header(Side::Client, tcp_flags::ACK);
        tcp.window = random.between(0, 65_535) as u16;
        tcp.options = vec![3, 3, 255, 1];
        attack.push(Side::Client, tcp, &random.bytes(1_200), "window of unknown scale");
        attack.next[0] = attack.next[0].wrapping_add(1_200);
        attack.acknowledge(Side::Server);
    }
}

/// Both sides say that they have no room and send all the same.
fn zero_windows(attack: &mut Attack) {
    attack.handshake();
    for index in 0..40_usize {
        let side = if index.is_multiple_of(2) { Side::Client } else { Side::Server };
        let mut tcp = attack.header(side, tcp_flags::ACK);
        tcp.window = 0;
        let payload = &[7; 64][..index % 3 * 32];
        attack.push(side, tcp, payload, "zero window of many");
        attack.next[side as usize] = attack.next[side as usize].wrapping_add(payload.len() as u32);
    }
}

/// Lengths of options that are missing, zero, one, or reach beyond the header, in SYNs and others.
fn broken_options(attack: &mut Attack) {
    let broken: [&[u8]; 8] = [
        &[2],
        &[1, 1, 1, 2],
        &[2, 0, 5, 0xb4],
        &[3, 1, 7, 0],
        &[8, 255, 0, 0],
        &[5, 40, 1, 2, 3, 4, 5, 6],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[254; 40],
    ];
    for flags in [tcp_flags::SYN, tcp_flags::ACK] {
        for options in broken {
            let tcp = Tcp { options: options.to_vec(), ..attack.header(Side::Client, flags) };
            attack.push(Side::Client, tcp, &[], "broken TCP options");
        }
    }
}

/// A data offset below five, or one that points behind the packet, and flags that exclude each other.
fn broken_header(attack: &mut Attack, random: &mut Random) {
    let way = attack.talk.way(Side::Client);
    for offset in 0..16 {
        let transport = Transport::Tcp(attack.header(Side::Client, tcp_flags::ACK));
        let mut segment = way.ip.segment(&transport, &random.bytes(10));
        segment[12] = offset << 4;
        let packet = way.ip.packet(&Transport::Other(transport.protocol()), &segment);
        attack.frames.push(way.plain(&packet, key(&way.ip, &transport), "TCP header of a wrong length"));
    }
    for flags in [0, 0xff, tcp_flags::FIN | tcp_flags::PSH | 0x20] {
        let tcp = attack.header(Side::Client, flags);
        attack.push(Side::Client, tcp, &[], "flags that exclude each other");
    }
}

const SERVER_PORT: u16 = 443;
