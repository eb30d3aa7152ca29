//! A TCP connection in which nothing gets lost.

use super::random::Random;
use super::talk::{Side, Talk};
use super::{PlannedFrame, TcpSign};
use crate::frame::transport::{Tcp, Transport, tcp_flags};

/// Handshake, requests and answers, then FIN from both sides or a reset.
pub fn tcp(talk: &Talk, segment_bytes_max: u64, random: &mut Random) -> Vec<PlannedFrame> {
    let mut exchange = TcpExchange::new(talk, random);
    exchange.handshake();
    for _ in 0..random.between(1, 4) {
        let request_bytes = random.between(20, 700) as usize;
        exchange.data(Side::Client, &random.bytes(request_bytes));
        exchange.acknowledge(Side::Server);
        for _ in 0..random.between(1, 5) {
            let answer_bytes = random.between(1, segment_bytes_max) as usize;
            exchange.data(Side::Server, &random.bytes(answer_bytes));
        }
        exchange.acknowledge(Side::Client);
    }
    if random.one_in(5) {
        exchange.reset(Side::Server);
    } else {
        exchange.finish();
    }
    exchange.frames
}

/// The frames so far and the sequence numbers they have led to.
pub struct TcpExchange<'a> {
    talk: &'a Talk,
    client_port: u16,
    server_port: u16,
    /// Next sequence number of client and server.
    next: [u32; 2],
    frames: Vec<PlannedFrame>,
}

impl<'a> TcpExchange<'a> {
    fn new(talk: &'a Talk, random: &mut Random) -> TcpExchange<'a> {
        let client_port = random.between(32_768, 60_999) as u16;
        let server_port = [80, 443, 22, 5_432, 8_080][random.index(5)];
        TcpExchange::between(talk, [client_port, server_port], random)
    }

    /// Between ports of the client and of the server.
    pub fn between(
        talk: &'a Talk,
        [client_port, server_port]: [u16; 2],
        random: &mut Random,
    ) -> TcpExchange<'a> {
        TcpExchange {
            talk,
            client_port,
            server_port,
            next: [random.next_u64() as u32, random.next_u64() as u32],
            frames: Vec::new(),
        }
    }

    pub fn handshake(&mut self) {
        // Maximum segment size 1460, SACK permitted, window scale 7.
        let options = vec![2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7];
        self.push(Side::Client, tcp_flags::SYN, options.clone(), &[], "SYN");
        self.push(Side::Server, tcp_flags::SYN | tcp_flags::ACK, options, &[], "SYN ACK");
        self.acknowledge(Side::Client);
    }

    fn data(&mut self, side: Side, payload: &[u8]) {
        self.push(side, tcp_flags::PSH | tcp_flags::ACK, Vec::new(), payload, "TCP data");
    }

    /// Data at a distance from the next byte of the side, which stays the next one until they are
    /// [passed](TcpExchange::passed).
    pub fn data_at(&mut self, side: Side, distance: usize, payload: &[u8]) {
        let next = self.next[side as usize];
        self.next[side as usize] = next.wrapping_add(distance as u32);
        self.data(side, payload);
        self.next[side as usize] = next;
    }

    pub fn passed(&mut self, side: Side, bytes: usize) {
        self.next[side as usize] = self.next[side as usize].wrapping_add(bytes as u32);
    }

    /// The other side acknowledges what is before a distance from the next byte of this one.
    pub fn acknowledge_up_to(&mut self, side: Side, distance: usize) {
        let next = self.next[side as usize];
        self.next[side as usize] = next.wrapping_add(distance as u32);
        self.acknowledge(side.other());
        self.next[side as usize] = next;
    }

    /// The frames, of which nobody says what their segments are.
    pub fn into_unsigned_frames(self) -> Vec<PlannedFrame> {
        self.frames.into_iter().map(PlannedFrame::unsigned).collect()
    }

    pub fn acknowledge(&mut self, side: Side) {
        self.push(side, tcp_flags::ACK, Vec::new(), &[], "TCP acknowledgement");
    }

    pub fn finish(&mut self) {
        self.push(Side::Client, tcp_flags::FIN | tcp_flags::ACK, Vec::new(), &[], "FIN of the client");
        self.push(Side::Server, tcp_flags::FIN | tcp_flags::ACK, Vec::new(), &[], "FIN of the server");
        self.acknowledge(Side::Client);
    }

    fn reset(&mut self, side: Side) {
        self.push(side, tcp_flags::RST | tcp_flags::ACK, Vec::new(), &[], "RST");
    }

    fn push(&mut self, side: Side, flags: u8, options: Vec<u8>, payload: &[u8], description: &'static str) {
        let (source_port, destination_port) = match side {
            Side::Client => (self.client_port, self.server_port),
            Side::Server => (self.server_port, self.client_port),
        };
        let acknowledgement = if flags & tcp_flags::ACK != 0 { self.next[side.other() as usize] } else { 0 };
        let sequence = self.next[side as usize];
        let window = 64_240;
        let tcp = Tcp { source_port, destination_port, sequence, acknowledgement, flags, window, options };
        // SYN and FIN take a sequence number each.
        let taken = payload.len() as u32 + u32::from(flags & (tcp_flags::SYN | tcp_flags::FIN) != 0);
        self.next[side as usize] = sequence.wrapping_add(taken);
        let signs = if flags & tcp_flags::RST != 0 { &[TcpSign::Reset][..] } else { &[] };
        self.frames.push(self.talk.frame(side, &Transport::Tcp(tcp), payload, description).with_signs(signs));
    }
}
