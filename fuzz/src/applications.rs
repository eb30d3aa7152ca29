//! Conversations of applications: what each side says, to a parser by way of the whole inspector.
//!
//! Input: one byte of setup (1: over TCP, if the parser knows both; 2: on other ports than its own; 4: with tiny
//! limits), one that the pieces of the stream follow from, then messages: two bytes little endian, of which the highest
//! bit says who speaks (1: the destination), the others how many bytes follow.

use crate::{take, take_up_to};
use sensor_app::{
    Limits, Parser, Sender, Transport,
    harness::{Conversation, LIMITS},
};

/// Bits of the first byte.
pub mod setup {
    pub const TCP: u8 = 1;
    pub const OTHER_PORTS: u8 = 2;
    pub const TINY: u8 = 4;
}

/// So little that every limit is reached.
const TINY: Limits = Limits {
    parsers: 1,
    drafts: 2,
    text_bytes: 40,
    buffers: 1,
    work_bytes: 20_000,
    transactions_per_span: 4,
    ..LIMITS
};

/// Who speaks is the highest bit of a message's length.
const IS_DESTINATION: u16 = 1 << 15;

/// The law: nothing panics, everything is given back, and how a stream is split does not matter.
pub fn converse<P: Parser>(input: &[u8]) {
    let mut rest = input;
    let Some([bits, seed]) = take::<2>(&mut rest) else { return };
    let is_tcp = match P::TRANSPORTS {
        [only] => *only == Transport::Tcp,
        _ => bits & setup::TCP != 0,
    };
    let port = if bits & setup::OTHER_PORTS != 0 { 40_001 } else { P::PORTS[0] };
    let mut conversation =
        if is_tcp { Conversation::tcp(40_000, port) } else { Conversation::udp(40_000, port) };
    while let Some(length) = take::<2>(&mut rest).map(u16::from_le_bytes) {
        let sender = if length & IS_DESTINATION != 0 { Sender::Destination } else { Sender::Source };
        conversation = conversation.say(sender, take_up_to(&mut rest, usize::from(length & !IS_DESTINATION)));
    }
    if bits & setup::TINY != 0 {
        conversation = conversation.with_limits(TINY);
        conversation.run();
        conversation.run_split(u64::from(seed) | 1 << 8);
        return;
    }
    let whole = conversation.run();
    if is_tcp {
        let split = conversation.run_split(u64::from(seed) | 1 << 8);
        // Where nobody knows the opening, the start of every segment is tried for a while.
        if whole.counts.openings_unknown + split.counts.openings_unknown == 0 {
            assert_eq!(whole.what(), split.what());
        }
    }
}

/// An input of these messages, for seeds.
pub fn write(bits: u8, messages: &[(Sender, &[u8])]) -> Vec<u8> {
    let mut input = vec![bits, 0];
    for (sender, bytes) in messages {
        let who = if *sender == Sender::Destination { IS_DESTINATION } else { 0 };
        input.extend_from_slice(&(bytes.len() as u16 | who).to_le_bytes());
        input.extend_from_slice(bytes);
    }
    input
}
