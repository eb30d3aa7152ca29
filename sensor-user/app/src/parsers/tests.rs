//! No parser takes what is another one's: openings of many protocols are put before all parsers.

mod openings;

use super::*;
use crate::parser::Transport;
use openings::Sample;

/// A port that no parser knows.
const PLAIN_PORT: u16 = 40_000;

impl Sample {
    fn opening<'a>(&self, bytes: &'a [u8], sender_port: u16, receiver_port: u16) -> Opening<'a> {
        let Sample { transport, sender, .. } = *self;
        Opening { bytes, transport, sender, sender_port, receiver_port }
    }

    /// On a port of its own, which only the side that serves has.
    fn at_home<'a>(&self, bytes: &'a [u8]) -> Opening<'a> {
        match self.sender {
            Sender::Source => self.opening(bytes, PLAIN_PORT, self.port),
            Sender::Destination => self.opening(bytes, self.port, PLAIN_PORT),
        }
    }
}

fn takers(opening: &Opening<'_>) -> Vec<Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.recognise(opening) == Recognition::Yes).collect()
}

/// Ports that parsers know and that clients may happen to have.
fn ports_of_clients() -> Vec<u16> {
    (1024..u16::MAX).filter(|port| Kind::ALL.iter().any(|kind| kind.ports().contains(port))).collect()
}

#[test]
fn every_opening_is_recognised_by_its_parser_alone() {
    for sample in openings::all() {
        let expected: Vec<Kind> = sample.kind.into_iter().collect();
        let opening = sample.at_home(&sample.bytes);
        assert_eq!(takers(&opening), expected, "{}", sample.name);
        assert_eq!(recognise(&opening).1, sample.kind, "{}", sample.name);
    }
}

#[test]
fn every_parser_has_an_opening() {
    let samples = openings::all();
    for kind in Kind::ALL {
        assert!(samples.iter().any(|sample| sample.kind == Some(*kind)), "{kind:?}");
    }
}

#[test]
fn the_port_that_a_client_happens_to_have_changes_nothing() {
    let ports = ports_of_clients();
    // Clients of these have a port of their own.
    let is_free = |sample: &Sample| !matches!(sample.kind, Some(Kind::Dhcp | Kind::Dhcpv6));
    for sample in openings::all().into_iter().filter(is_free) {
        for port in &ports {
            let opening = match sample.sender {
                Sender::Source => sample.opening(&sample.bytes, *port, sample.port),
                Sender::Destination => sample.opening(&sample.bytes, sample.port, *port),
            };
            assert_eq!(recognise(&opening).1, sample.kind, "{} with {port}", sample.name);
        }
    }
}

#[test]
fn no_part_of_a_stream_is_taken_for_another_protocol() {
    for sample in openings::all().into_iter().filter(|sample| sample.transport == Transport::Tcp) {
        for length in 1..sample.bytes.len() {
            let opening = sample.at_home(&sample.bytes[..length]);
            let takers = takers(&opening);
            assert!(
                takers.iter().all(|kind| Some(*kind) == sample.kind),
                "{} {length}: {takers:?}",
                sample.name
            );
            if let Some(kind) = sample.kind {
                assert_ne!(kind.recognise(&opening), Recognition::No, "{} {length}", sample.name);
            }
        }
    }
}

/// A line of HTTP as far as its end, and a message of DNS as a whole: the space is the length of a label.
const AMBIGUOUS: &[u8] = b"PRI *\0\0\x01\0\0\0\0\0\0 HTTP/1.1\r\nwww.example.com/123456\0\0\x01\0\x01";

#[test]
fn an_opening_that_several_may_take_waits_for_the_one_asked_first() {
    let opening = |length| Opening {
        bytes: &AMBIGUOUS[..length],
        transport: Transport::Tcp,
        sender: Sender::Source,
        sender_port: PLAIN_PORT,
        receiver_port: 53,
    };
    assert!((1..AMBIGUOUS.len()).any(|length| Kind::Http.recognise(&opening(length)) == Recognition::Yes));
    for length in 1..AMBIGUOUS.len() {
        assert_eq!(recognise(&opening(length)), (Recognition::More, None), "{length}");
    }
    assert_eq!(recognise(&opening(AMBIGUOUS.len())), (Recognition::Yes, Some(Kind::Dns)));
}
