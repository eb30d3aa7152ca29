//! Fragments that no sender without faults makes. They all belong to the conversation of their datagram.

use std::ops::Range;

use crate::frame::ip::{Fragment, protocol};
use crate::frame::transport::{Icmp, Transport, Udp};
use crate::mix::ConversationKey;
use crate::mix::planned::PlannedFrame;
use crate::mix::random::Random;
use crate::mix::talk::{Pair, Side, Talk, Way, key};

pub fn plan(pair: &Pair, random: &mut Random) -> Vec<PlannedFrame> {
    let ip = if random.one_in(2) { &pair.v6 } else { &pair.v4 };
    let talk = Talk::new(pair, ip);
    let datagram = Datagram::new(talk.way(Side::Client), random);
    match random.between(0, 8) {
        0 => overlapping(&datagram, random),
        1 => teardrop(&datagram),
        2 => flood_of_tiny(&datagram, random),
        3 => never_complete(&datagram),
        4 => first_never_comes(&datagram),
        5 => first_comes_last(&datagram),
        6 => again_and_again(&datagram),
        7 => of_no_length(&datagram),
        _ => beyond_the_end(&Talk::new(pair, &pair.v4), random),
    }
}

/// A UDP datagram to be cut at will.
struct Datagram<'a> {
    way: &'a Way,
    key: ConversationKey,
    identification: u32,
    segment: Vec<u8>,
}

impl<'a> Datagram<'a> {
    fn new(way: &'a Way, random: &mut Random) -> Datagram<'a> {
        let source_port = random.between(1_024, 65_535) as u16;
        let transport = Transport::Udp(Udp { source_port, destination_port: 2_049 });
        let segment = way.ip.segment(&transport, &random.bytes(SEGMENT_BYTES - 8));
        let identification = random.next_u64() as u32;
        Datagram { way, key: key(&way.ip, &transport), identification, segment }
    }

    /// Whether more follow is said as the last byte of the datagram has it.
    fn part(&self, range: Range<usize>, description: &'static str) -> PlannedFrame {
        let more = range.end < self.segment.len();
        self.piece(range.start, more, &self.segment[range], description)
    }

    fn piece(&self, offset: usize, more: bool, part: &[u8], description: &'static str) -> PlannedFrame {
        self.piece_of(self.key, offset, more, (part, description))
    }

    fn piece_of(
        &self,
        key: ConversationKey,
        offset: usize,
        more: bool,
        (part, description): (&[u8], &'static str),
    ) -> PlannedFrame {
        let fragment = Fragment { offset: offset as u16, more, identification: self.identification };
        self.way.plain(&self.way.ip.fragment(protocol::UDP, part, fragment), key, description)
    }

    fn key_without_ports(&self) -> ConversationKey {
        ConversationKey { source_port: 0, destination_port: 0, ..self.key }
    }
}

/// Later fragments say something else of bytes that came before.
fn overlapping(datagram: &Datagram<'_>, random: &mut Random) -> Vec<PlannedFrame> {
    let other = random.bytes(800);
    vec![
        datagram.part(0..800, "first fragment"),
        datagram.piece(400, true, &other, "fragment over the end of the first"),
        datagram.piece(8, true, &other[..80], "fragment inside of the first"),
        datagram.piece(0, true, &datagram.segment[..1_200], "fragment over all others"),
        datagram.part(1_200..SEGMENT_BYTES, "last fragment"),
    ]
}

/// The second fragment ends before the first one does.
fn teardrop(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    vec![
        datagram.part(0..40, "first fragment"),
        datagram.piece(24, false, &datagram.segment[24..28], "last fragment inside of the first"),
    ]
}

/// Eight bytes each: the least that IP allows.
fn flood_of_tiny(datagram: &Datagram<'_>, random: &mut Random) -> Vec<PlannedFrame> {
    let count = random.between(20, SEGMENT_BYTES as u64 / 8) as usize;
    (0..count).map(|index| datagram.part(index * 8..index * 8 + 8, "tiny fragment")).collect()
}

fn never_complete(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    vec![
        datagram.part(0..400, "first fragment"),
        datagram.part(1_200..SEGMENT_BYTES, "last fragment behind a gap that stays"),
    ]
}

fn first_never_comes(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    let later = [400..800, 800..1_200, 1_200..SEGMENT_BYTES].map(|range| {
        let more = range.end < SEGMENT_BYTES;
        let part = (&datagram.segment[range.clone()], "fragment whose first never comes");
        datagram.piece_of(datagram.key_without_ports(), range.start, more, part)
    });
    later.into()
}

fn first_comes_last(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    [1_200..SEGMENT_BYTES, 400..1_200, 0..400]
        .map(|range| datagram.part(range, "fragment before the first"))
        .into()
}

/// The same fragment many times, one that is not a multiple of eight, and one that claims to be the end too early.
fn again_and_again(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    let mut frames = vec![datagram.part(0..400, "first fragment")];
    frames.extend((0..40).map(|_| datagram.part(400..800, "the same fragment")));
    frames.push(datagram.piece(800, true, &datagram.segment[800..811], "fragment of eleven bytes"));
    frames.push(datagram.piece(400, false, &datagram.segment[400..600], "second end"));
    frames.push(datagram.part(1_200..SEGMENT_BYTES, "last fragment"));
    frames
}

/// Nothing but headers. There are no ports to be seen.
fn of_no_length(datagram: &Datagram<'_>) -> Vec<PlannedFrame> {
    [(0, true), (8, true), (8, true), (16, false)]
        .map(|(offset, more)| {
            datagram.piece_of(datagram.key_without_ports(), offset, more, (&[], "empty fragment"))
        })
        .into()
}

/// The "ping of death": the end lies beyond the longest datagram.
fn beyond_the_end(talk: &Talk, random: &mut Random) -> Vec<PlannedFrame> {
    let way = talk.way(Side::Client);
    let echo = Transport::Icmp(Icmp::echo_request(1, 1));
    let segment = way.ip.segment(&echo, &random.bytes(SEGMENT_BYTES - 8));
    let identification = random.next_u64() as u32;
    let piece = |offset, more| {
        let fragment = Fragment { offset, more, identification };
        let packet = way.ip.fragment(protocol::ICMP, &segment, fragment);
        way.plain(&packet, key(&way.ip, &echo), "fragment of an oversize echo request")
    };
    vec![piece(0, true), piece(LAST_OFFSET - 1_024, true), piece(LAST_OFFSET, false)]
}

/// Of datagrams here, transport header and all.
const SEGMENT_BYTES: usize = 1_408;

/// 13 bits of eight bytes each.
const LAST_OFFSET: u16 = 0xfff8;
