//! TCP connections over a network that loses, delays and repeats, each segment named as Wireshark 4.0 names it.
//!
//! ```text
//! opening ─► exchange ─► trouble ─► exchange ─► trouble … ─► closing ─► perhaps the same ports again
//! ```
//!
//! Between two troubles everything is acknowledged, so that what one leaves behind does not blur the next. Gaps of time
//! are chosen such that no definition is met by chance: what is late because it was overtaken comes within a tenth of a
//! millisecond, what was sent again after a timeout comes after a fifth of a second.

mod connection;

use std::mem;

use super::TcpSign;
use super::planned::PlannedFrame;
use super::random::Random;
use super::talk::{Pair, Side};
use crate::frame::transport::tcp_flags;
use connection::{Connection, Features};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let mut connection = Connection::new(pair, Features::any(random), random);
    let is_open = open(&mut connection, random);
    if is_open {
        work(&mut connection, random);
    }
    let is_closed = is_open && close(&mut connection, random);
    if is_closed && random.one_in(4) {
        connection.begin_again(random);
        connection.handshake();
        work(&mut connection, random);
        close(&mut connection, random);
    }
    connection.into_frames()
}

fn work(connection: &mut Connection, random: &mut Random) {
    exchange(connection, random);
    for _ in 0..random.between(1, 4) {
        let sender = any_side(random);
        match random.between(0, 8) {
            0 => timeout(connection, sender, random),
            1 => fast_retransmission(connection, sender, Loss::BehindCapture, random),
            2 => fast_retransmission(connection, sender, Loss::BeforeCapture, random),
            3 => spurious_retransmission(connection, sender, random),
            4 => reordering(connection, sender, random),
            5 => unseen(connection, sender, random),
            6 => zero_window(connection, sender, random),
            7 => keep_alive(connection, sender, random),
            _ => congestion(connection, sender, random),
        }
        exchange(connection, random);
    }
}

/// Whether data can follow.
fn open(connection: &mut Connection, random: &mut Random) -> bool {
    match random.between(0, 9) {
        // The capture begins in the middle of the connection.
        0 | 1 => connection.assume_open(),
        2 => connection.open_simultaneously(),
        3 => {
            half_open(connection, random);
            return false;
        }
        4 => {
            connection.syn(Side::Client, &[], "SYN");
            connection.control(Side::Server, tcp_flags::RST | tcp_flags::ACK, &[TcpSign::Reset], "RST");
            return false;
        }
        5 => {
            connection.syn(Side::Client, &[], "SYN");
            connection.pause(SECOND_NS);
            connection.syn(Side::Client, &[TcpSign::Retransmission], "SYN again");
            connection.syn_ack(Side::Server, &[], "SYN ACK");
            connection.acknowledge(Side::Client, &[]);
        }
        _ => connection.handshake(),
    }
    true
}

fn half_open(connection: &mut Connection, random: &mut Random) {
    connection.syn(Side::Client, &[], "SYN");
    if random.one_in(2) {
        return;
    }
    connection.syn_ack(Side::Server, &[], "SYN ACK");
    connection.pause(SECOND_NS);
    connection.syn_ack(Side::Server, &[TcpSign::Retransmission], "SYN ACK again");
}

/// Whether the connection is over afterwards.
fn close(connection: &mut Connection, random: &mut Random) -> bool {
    let first = any_side(random);
    match random.between(0, 4) {
        0 => return false,
        1 => connection.control(first, tcp_flags::RST | tcp_flags::ACK, &[TcpSign::Reset], "RST"),
        _ => {
            connection.fin(first);
            if random.one_in(2) {
                connection.acknowledge(first.other(), &[]);
            }
            connection.fin(first.other());
            connection.acknowledge(first, &[]);
        }
    }
    true
}

/// A request and its answer, with nothing left to acknowledge.
fn exchange(connection: &mut Connection, random: &mut Random) {
    connection.data(Side::Client, some_bytes(random));
    connection.acknowledge(Side::Server, &[]);
    for _ in 0..random.between(1, 3) {
        connection.data(Side::Server, some_bytes(random));
    }
    connection.acknowledge(Side::Client, &[]);
}

/// A segment is lost, and its sender waits for an acknowledgement until the timer runs out, once or twice.
fn timeout(connection: &mut Connection, sender: Side, random: &mut Random) {
    let lost = connection.take(sender, some_bytes(random));
    connection.show(&lost, &[], "TCP data");
    if random.one_in(2) {
        connection.data(sender, some_bytes(random));
        connection.acknowledge(sender.other(), &[TcpSign::DuplicateAck]);
    }
    let mut wait_ns = random.between(200, 400) * MILLISECOND_NS;
    for _ in 0..random.between(1, 2) {
        connection.pause(wait_ns);
        connection.show(&lost, &[TcpSign::Retransmission], "retransmission after a timeout");
        wait_ns *= 2;
    }
    connection.arrive(&lost);
    connection.acknowledge(sender.other(), &[]);
}

/// On which side of the capture a segment is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    BeforeCapture,
    BehindCapture,
}

/// Three duplicate acknowledgements tell the sender what is missing.
fn fast_retransmission(connection: &mut Connection, sender: Side, loss: Loss, random: &mut Random) {
    let lost = connection.take(sender, some_bytes(random));
    let mut first_signs = [].as_slice();
    match loss {
        Loss::BehindCapture => connection.show(&lost, &[], "TCP data"),
        Loss::BeforeCapture => first_signs = &[TcpSign::LostSegment],
    }
    for _ in 0..3 {
        let next = connection.take(sender, some_bytes(random));
        connection.show(&next, mem::take(&mut first_signs), "TCP data behind a gap");
        connection.arrive(&next);
        connection.acknowledge(sender.other(), &[TcpSign::DuplicateAck]);
    }
    connection.pause(MILLISECOND_NS);
    connection.show(&lost, &[TcpSign::FastRetransmission], "fast retransmission");
    connection.arrive(&lost);
    connection.acknowledge(sender.other(), &[]);
}

/// The acknowledgement came too late for the timer of the sender.
fn spurious_retransmission(connection: &mut Connection, sender: Side, random: &mut Random) {
    let segment = connection.take(sender, some_bytes(random));
    connection.show(&segment, &[], "TCP data");
    connection.arrive(&segment);
    connection.acknowledge(sender.other(), &[]);
    connection.pause(random.between(1, 300) * MILLISECOND_NS);
    connection.show(&segment, &[TcpSign::SpuriousRetransmission], "spurious retransmission");
    connection.acknowledge(sender.other(), &[TcpSign::DuplicateAck]);
}

/// A segment overtakes one or two others.
fn reordering(connection: &mut Connection, sender: Side, random: &mut Random) {
    let overtaken: Vec<_> =
        (0..random.between(1, 2)).map(|_| connection.take(sender, some_bytes(random))).collect();
    let fast = connection.take(sender, some_bytes(random));
    connection.show(&fast, &[TcpSign::LostSegment], "TCP data ahead of its turn");
    connection.arrive(&fast);
    if random.one_in(2) {
        connection.pause(OVERTAKING_NS / 2);
        connection.acknowledge(sender.other(), &[TcpSign::DuplicateAck]);
    }
    for late in &overtaken {
        connection.pause(OVERTAKING_NS / 2);
        connection.show(late, &[TcpSign::OutOfOrder], "TCP data that was overtaken");
        connection.arrive(late);
    }
    connection.acknowledge(sender.other(), &[]);
}

/// A segment arrives that the capture has not seen. Wireshark takes the next acknowledgement for one of unseen data,
/// too, because the gap is still in the sequence.
fn unseen(connection: &mut Connection, sender: Side, random: &mut Random) {
    let unseen = connection.take(sender, some_bytes(random));
    connection.arrive(&unseen);
    connection.acknowledge(sender.other(), &[TcpSign::AckOfUnseen]);
    let next = connection.take(sender, some_bytes(random));
    connection.show(&next, &[TcpSign::LostSegment], "TCP data behind a gap");
    connection.arrive(&next);
    connection.acknowledge(sender.other(), &[TcpSign::AckOfUnseen]);
}

/// The receiver has no room, is asked whether it has some again, and then has.
fn zero_window(connection: &mut Connection, sender: Side, random: &mut Random) {
    connection.data(sender, some_bytes(random));
    connection.close_window(sender.other());
    connection.acknowledge(sender.other(), &[TcpSign::ZeroWindow]);
    for _ in 0..random.between(0, 2) {
        connection.pause(random.between(200, 400) * MILLISECOND_NS);
        connection.probe(sender, &[TcpSign::ZeroWindowProbe], "zero window probe");
        connection.acknowledge(sender.other(), &[TcpSign::ZeroWindow]);
    }
    connection.open_window(sender.other());
    connection.pause(random.between(1, 300) * MILLISECOND_NS);
    connection.acknowledge(sender.other(), &[TcpSign::WindowUpdate]);
}

/// Nothing to say, but the other side is to know that it is still there.
fn keep_alive(connection: &mut Connection, sender: Side, random: &mut Random) {
    let has_byte = random.one_in(2);
    for _ in 0..random.between(1, 3) {
        connection.pause(random.between(300, 1_500) * MILLISECOND_NS);
        connection.keep_alive(sender, has_byte);
        connection.acknowledge(sender.other(), &[TcpSign::KeepAliveAck]);
    }
}

/// A router marks a packet instead of dropping it; the receiver echoes that, the sender slows down and says so.
fn congestion(connection: &mut Connection, sender: Side, random: &mut Random) {
    if !connection.marks_congestion() {
        return;
    }
    connection.data_marked(sender, some_bytes(random), &[TcpSign::CongestionExperienced]);
    connection.add_flags(tcp_flags::ECE);
    connection.acknowledge(sender.other(), &[]);
    connection.add_flags(tcp_flags::CWR);
    connection.data(sender, some_bytes(random));
    connection.acknowledge(sender.other(), &[]);
}

fn any_side(random: &mut Random) -> Side {
    if random.one_in(2) { Side::Client } else { Side::Server }
}

/// At least two: a single byte would pass for a keep-alive.
fn some_bytes(random: &mut Random) -> usize {
    random.between(2, 1_400) as usize
}

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// From an overtaken segment to the one that overtook it; round trips are longer.
const OVERTAKING_NS: u64 = 100_000;
