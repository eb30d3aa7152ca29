//! One TCP connection as a capture shows it: what each side has sent, what has arrived, and the frames of it that were
//! seen.
//!
//! A segment is taken from the sequence space, shown to the capture and made to arrive in three steps, each of which
//! may come late, twice or never. Acknowledgements follow from what has arrived.

use crate::frame::transport::{Tcp, Transport, tcp_flags};
use crate::mix::TcpSign;
use crate::mix::planned::{Meaning, PlannedFrame};
use crate::mix::random::Random;
use crate::mix::talk::{Pair, Side, Talk};

#[derive(Debug)]
pub struct Connection {
    talk: Talk,
    /// Of client and server.
    ports: [u16; 2],
    ends: [End; 2],
    features: Features,
    round_trip_ns: u64,
    /// Since the first frame.
    time_ns: u64,
    /// Before the next frame, if it is not the usual time.
    pause_ns: Option<u64>,
    last_sender: Side,
    /// Set in the next segment besides what it has.
    added_flags: u8,
    is_reconnection: bool,
    frames: Vec<PlannedFrame>,
}

/// What the two sides agree on in their handshake.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    has_timestamps: bool,
    has_selective_acks: bool,
    has_congestion_marks: bool,
    window_scale: Option<u8>,
    /// Sequence numbers pass 2^32 early on.
    wraps_early: bool,
}

impl Features {
    pub fn any(random: &mut Random) -> Features {
        Features {
            has_timestamps: random.one_in(2),
            has_selective_acks: !random.one_in(3),
            has_congestion_marks: random.one_in(3),
            window_scale: (!random.one_in(4)).then(|| random.between(0, 14) as u8),
            wraps_early: random.one_in(3),
        }
    }
}

/// One side.
#[derive(Clone, Debug)]
struct End {
    /// Initial sequence number, that of its SYN.
    first: u32,
    /// The next sequence number of its own.
    next: u32,
    /// Everything of the other side before this has arrived.
    received: u32,
    /// What has arrived behind a gap, start and end.
    held: Vec<(u32, u32)>,
    window: Window,
    /// First value of its time stamps, which count milliseconds.
    clock: u32,
    /// The last time stamp that it got.
    echo: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Open,
    Closed,
}

/// Data with its place in the sequence.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    side: Side,
    sequence: u32,
    bytes: usize,
}

impl Connection {
    pub fn new(pair: &Pair, features: Features, random: &mut Random) -> Connection {
        Connection {
            talk: Talk::new(pair, &pair.v4),
            ports: [random.between(32_768, 60_999) as u16, [80, 443, 22, 5_432, 8_080][random.index(5)]],
            ends: [End::new(features, random), End::new(features, random)],
            features,
            round_trip_ns: random.between(4, 80) * 1_000_000,
            time_ns: 0,
            pause_ns: None,
            last_sender: Side::Client,
            added_flags: 0,
            is_reconnection: false,
            frames: Vec::new(),
        }
    }

    pub fn into_frames(self) -> Vec<PlannedFrame> {
        self.frames
    }

    /// The same ports with new sequence numbers.
    pub fn begin_again(&mut self, random: &mut Random) {
        self.ends = [End::new(self.features, random), End::new(self.features, random)];
        self.pause(self.round_trip_ns);
        self.is_reconnection = true;
    }

    /// The next frame comes this long after the one before.
    pub fn pause(&mut self, pause_ns: u64) {
        self.pause_ns = Some(pause_ns);
    }

    /// The next segment has these flags, too.
    pub fn add_flags(&mut self, flags: u8) {
        self.added_flags = flags;
    }

    /// Whether both sides understand marks of congestion.
    pub fn marks_congestion(&self) -> bool {
        self.features.has_congestion_marks
    }

    pub fn handshake(&mut self) {
        self.syn(Side::Client, &[], "SYN");
        self.syn_ack(Side::Server, &[], "SYN ACK");
        self.acknowledge(Side::Client, &[]);
    }

    /// Both sides send their SYN before that of the other comes (RFC 9293, figure 7). The SYN ACK of each repeats its
    /// SYN.
    pub fn open_simultaneously(&mut self) {
        self.syn(Side::Client, &[], "SYN of the client");
        self.syn(Side::Server, &[], "SYN of the server");
        self.syn_ack(Side::Client, &[TcpSign::Retransmission], "SYN ACK of the client");
        self.syn_ack(Side::Server, &[TcpSign::Retransmission], "SYN ACK of the server");
    }

    /// There was a handshake before the capture began.
    pub fn assume_open(&mut self) {
        for side in [Side::Client, Side::Server] {
            let first = self.ends[side as usize].next.wrapping_add(1);
            self.ends[side as usize].next = first;
            self.ends[side.other() as usize].received = first;
        }
    }

    pub fn syn(&mut self, side: Side, signs: &[TcpSign], description: &'static str) {
        let congestion = tcp_flags::ECE | tcp_flags::CWR;
        let flags = tcp_flags::SYN | if self.features.has_congestion_marks { congestion } else { 0 };
        self.opening(side, flags, signs, description);
    }

    pub fn syn_ack(&mut self, side: Side, signs: &[TcpSign], description: &'static str) {
        let congestion = if self.features.has_congestion_marks { tcp_flags::ECE } else { 0 };
        self.opening(side, tcp_flags::SYN | tcp_flags::ACK | congestion, signs, description);
    }

    /// A SYN takes its sequence number once, however often it is sent.
    fn opening(&mut self, side: Side, flags: u8, signs: &[TcpSign], description: &'static str) {
        let first = self.ends[side as usize].first;
        self.push(side, first, flags, &[], signs, description);
        let end = first.wrapping_add(1);
        self.ends[side as usize].next = end;
        self.ends[side as usize].window = Window::Open;
        self.ends[side.other() as usize].received = end;
    }

    /// A flag that takes no sequence number.
    pub fn control(&mut self, side: Side, flags: u8, signs: &[TcpSign], description: &'static str) {
        let next = self.ends[side as usize].next;
        self.push(side, next, flags, &[], signs, description);
    }

    pub fn acknowledge(&mut self, side: Side, signs: &[TcpSign]) {
        let description = match signs {
            [] => "TCP acknowledgement",
            [TcpSign::DuplicateAck] => "duplicate acknowledgement",
            [TcpSign::ZeroWindow] => "zero window",
            [TcpSign::WindowUpdate] => "window update",
            [TcpSign::KeepAliveAck] => "answer to a keep-alive",
            _ => "acknowledgement of unseen data",
        };
        self.control(side, tcp_flags::ACK, signs, description);
    }

    pub fn fin(&mut self, side: Side) {
        self.control(side, tcp_flags::FIN | tcp_flags::ACK, &[], "FIN");
        let end = self.ends[side as usize].next.wrapping_add(1);
        self.ends[side as usize].next = end;
        self.ends[side.other() as usize].received = end;
    }

    /// New data of `side`, not sent yet.
    pub fn take(&mut self, side: Side, bytes: usize) -> Segment {
        let sequence = self.ends[side as usize].next;
        self.ends[side as usize].next = sequence.wrapping_add(bytes as u32);
        Segment { side, sequence, bytes }
    }

    /// The segment passes the capture.
    pub fn show(&mut self, segment: &Segment, signs: &[TcpSign], description: &'static str) {
        let Segment { side, sequence, .. } = *segment;
        self.push(side, sequence, tcp_flags::PSH | tcp_flags::ACK, &segment.payload(), signs, description);
    }

    /// The segment reaches its destination.
    pub fn arrive(&mut self, segment: &Segment) {
        let end = segment.sequence.wrapping_add(segment.bytes as u32);
        self.ends[segment.side.other() as usize].receive(segment.sequence, end);
    }

    /// Data as it should be.
    pub fn data(&mut self, side: Side, bytes: usize) {
        self.data_marked(side, bytes, &[]);
    }

    /// Data, marked on its way if `signs` say so.
    pub fn data_marked(&mut self, side: Side, bytes: usize, signs: &[TcpSign]) {
        let segment = self.take(side, bytes);
        self.show(&segment, signs, "TCP data");
        self.arrive(&segment);
    }

    /// From here on `side` announces a window of zero.
    pub fn close_window(&mut self, side: Side) {
        self.ends[side as usize].window = Window::Closed;
    }

    pub fn open_window(&mut self, side: Side) {
        self.ends[side as usize].window = Window::Open;
    }

    /// One byte for which there is no room: it does not arrive and will be sent again.
    pub fn probe(&mut self, side: Side, signs: &[TcpSign], description: &'static str) {
        let sequence = self.ends[side as usize].next;
        self.show(&Segment { side, sequence, bytes: 1 }, signs, description);
    }

    /// RFC 9293, section 3.8.4.
    pub fn keep_alive(&mut self, side: Side, has_byte: bool) {
        let sequence = self.ends[side as usize].next.wrapping_sub(1);
        let segment = Segment { side, sequence, bytes: usize::from(has_byte) };
        let (signs, description) = (&[TcpSign::KeepAlive], "keep-alive");
        self.push(side, sequence, tcp_flags::ACK, &segment.payload(), signs, description);
    }

    fn push(
        &mut self,
        side: Side,
        sequence: u32,
        flags: u8,
        payload: &[u8],
        signs: &[TcpSign],
        description: &'static str,
    ) {
        let wait_ns = self.wait_for(side);
        let flags = flags | std::mem::take(&mut self.added_flags);
        let end = &self.ends[side as usize];
        let tcp = Tcp {
            source_port: self.ports[side as usize],
            destination_port: self.ports[side.other() as usize],
            sequence,
            acknowledgement: if flags & tcp_flags::ACK != 0 { end.received } else { 0 },
            flags,
            window: self.window(side, flags),
            options: self.options(side, flags),
        };
        let ecn = self.congestion_bits(payload, signs);
        let mut frame =
            self.talk.frame_marked(side, &Transport::Tcp(tcp), payload, (ecn, description)).with_signs(signs);
        frame.wait_ns = Some(wait_ns);
        if let Meaning::Packet(meaning) = &mut frame.meaning {
            meaning.is_reconnection = std::mem::take(&mut self.is_reconnection);
        }
        self.frames.push(frame);
        self.last_sender = side;
    }

    /// Half a round trip between the sides, and little between segments of the same one.
    fn wait_for(&mut self, side: Side) -> u64 {
        let usual_ns = if side == self.last_sender { BACK_TO_BACK_NS } else { self.round_trip_ns / 2 };
        let wait_ns = if self.frames.is_empty() { 0 } else { self.pause_ns.take().unwrap_or(usual_ns) };
        self.time_ns += wait_ns;
        wait_ns
    }

    /// The window field of a SYN is never scaled (RFC 7323).
    fn window(&self, side: Side, flags: u8) -> u16 {
        match self.ends[side as usize].window {
            Window::Closed => 0,
            Window::Open if flags & tcp_flags::RST != 0 => 0,
            Window::Open if flags & tcp_flags::SYN != 0 || self.features.window_scale.is_none() => 64_240,
            Window::Open => 502,
        }
    }

    fn options(&mut self, side: Side, flags: u8) -> Vec<u8> {
        if flags & tcp_flags::RST != 0 {
            return Vec::new();
        }
        let mut options = Vec::new();
        if flags & tcp_flags::SYN != 0 {
            options.extend_from_slice(&[2, 4, 5, 0xb4]);
            if self.features.has_selective_acks {
                options.extend_from_slice(&[1, 1, 4, 2]);
            }
            if let Some(scale) = self.features.window_scale {
                options.extend_from_slice(&[1, 3, 3, scale]);
            }
        }
        if self.features.has_timestamps {
            options.extend_from_slice(&self.timestamps(side, flags));
        }
        if self.features.has_selective_acks {
            options.extend_from_slice(&self.ends[side as usize].selective_ack());
        }
        options
    }

    fn timestamps(&mut self, side: Side, flags: u8) -> Vec<u8> {
        let end = &self.ends[side as usize];
        let value = end.clock.wrapping_add((self.time_ns / 1_000_000) as u32);
        let echo = if flags & tcp_flags::ACK != 0 { end.echo } else { 0 };
        self.ends[side.other() as usize].echo = value;
        [&[1, 1, 8, 10][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat()
    }

    /// Data may be marked, acknowledgements may not (RFC 3168, section 6.1.4).
    fn congestion_bits(&self, payload: &[u8], signs: &[TcpSign]) -> u8 {
        match signs {
            [TcpSign::CongestionExperienced] => 3,
            _ if self.features.has_congestion_marks && !payload.is_empty() => 2,
            _ => 0,
        }
    }
}

impl End {
    fn new(features: Features, random: &mut Random) -> End {
        let first = random.next_u64() as u32;
        let until_wrap = random.between(2, 4_000) as u32;
        let first = if features.wraps_early { until_wrap.wrapping_neg() } else { first };
        End {
            first,
            next: first,
            received: 0,
            held: Vec::new(),
            window: Window::Open,
            clock: random.next_u64() as u32,
            echo: 0,
        }
    }

    fn receive(&mut self, start: u32, end: u32) {
        self.held.push((start, end));
        while let Some(index) = self.held.iter().position(|(start, _)| *start == self.received) {
            self.received = self.held.swap_remove(index).1;
        }
    }

    /// Up to three stretches behind the gap (RFC 2018).
    fn selective_ack(&self) -> Vec<u8> {
        let mut stretches: Vec<(u32, u32)> = Vec::new();
        for (start, end) in &self.held {
            match stretches.last_mut() {
                Some((_, last)) if last == start => *last = *end,
                _ => stretches.push((*start, *end)),
            }
        }
        stretches.truncate(3);
        if stretches.is_empty() {
            return Vec::new();
        }
        let mut option = vec![1, 1, 5, 2 + 8 * stretches.len() as u8];
        let edges =
            stretches.iter().flat_map(|(start, end)| [start.to_be_bytes(), end.to_be_bytes()].concat());
        option.extend(edges);
        option
    }
}

impl Segment {
    /// Follows from the place in the sequence, so that what is sent again is the same again.
    fn payload(&self) -> Vec<u8> {
        let places = (0..self.bytes as u32).map(|offset| self.sequence.wrapping_add(offset));
        places.map(|place| (place.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
    }
}

/// Between segments that leave one behind the other.
const BACK_TO_BACK_NS: u64 = 40_000;
