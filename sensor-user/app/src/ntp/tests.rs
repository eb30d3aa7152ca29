use super::*;
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::{Application, application::protocols::ntp};
use proptest::prelude::*;

const STEP_US: Option<u32> = Some((STEP_NS / 1000) as u32);

/// A message in the making.
#[derive(Clone, Debug)]
struct Time {
    first: u8,
    stratum: u8,
    reference_id: [u8; 4],
    origin: u64,
    transmit: u64,
}

impl Time {
    fn new(version: u8, mode: u8) -> Time {
        Time { first: version << 3 | mode, stratum: 0, reference_id: [0; 4], origin: 0, transmit: 0 }
    }

    fn ask(transmit: u64) -> Vec<u8> {
        Time { transmit, ..Time::new(4, 3) }.bytes()
    }

    fn answer(origin: u64) -> Vec<u8> {
        Time { origin, stratum: 2, reference_id: [192, 0, 2, 1], ..Time::new(4, 4) }.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let Time { first, stratum, reference_id, origin, transmit } = self;
        let mut bytes = vec![0; 48];
        bytes[..2].copy_from_slice(&[*first, *stratum]);
        bytes[12..16].copy_from_slice(reference_id);
        bytes[24..32].copy_from_slice(&origin.to_be_bytes());
        bytes[40..].copy_from_slice(&transmit.to_be_bytes());
        bytes
    }
}

fn control(is_answer: bool, sequence: u8, offset: u8, data: &[u8]) -> Vec<u8> {
    let operation = if is_answer { 0x82 } else { 2 };
    [&[0x16, operation, 0, sequence, 0, 0, 0, 0, 0, offset, 0, data.len() as u8], data].concat()
}

fn private(is_answer: bool, sequence: u8, items: u8) -> Vec<u8> {
    let first = if is_answer { 0x97 } else { 0x17 };
    [&[first, sequence, 3, 42, 0, items, 0, 72][..], &vec![0; 72 * usize::from(items)]].concat()
}

fn conversation() -> Conversation {
    Conversation::udp(40_000, 123)
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Ntp).failures
}

fn only(outcome: Outcome) -> Application {
    assert_eq!(failures(&outcome), [0; 5]);
    let [application] = <[_; 1]>::try_from(outcome.transactions).unwrap();
    application
}

#[test]
fn a_client_and_its_server_are_one_transaction() {
    let read = only(conversation().say(Source, &Time::ask(7)).say(Destination, &Time::answer(7)).run());
    assert_eq!(read.number(ntp::VERSION), Some(4));
    assert_eq!(read.number(ntp::MODE), Some(3));
    assert_eq!(read.number(ntp::STRATUM), Some(2));
    assert_eq!(read.number(ntp::LEAP), Some(0));
    assert_eq!(read.text(ntp::REFERENCE_ID), Some("c0000201"));
    assert_eq!(read.latency_us(), STEP_US);
}

#[test]
fn a_reference_clock_has_a_name_and_so_has_a_refusal() {
    let named = |stratum, reference_id: &[u8; 4]| {
        let answer = Time { stratum, reference_id: *reference_id, ..Time::new(3, 4) };
        let answer = Time { first: answer.first | 0xc0, ..answer };
        only(conversation().say(Destination, &answer.bytes()).run())
    };
    let of_clock = named(1, b"GPS\0");
    assert_eq!(of_clock.text(ntp::REFERENCE_ID), Some("GPS"));
    assert_eq!((of_clock.number(ntp::LEAP), of_clock.number(ntp::MODE)), (Some(3), Some(4)));
    assert_eq!(of_clock.latency_us(), None);
    assert_eq!(named(0, b"RATE").text(ntp::REFERENCE_ID), Some("RATE"));
    assert_eq!(named(0, &[0; 4]).text(ntp::REFERENCE_ID), None);
    assert_eq!(named(16, &[0; 4]).text(ntp::REFERENCE_ID), Some("00000000"));
}

#[test]
fn an_answer_to_something_else_is_no_answer() {
    let outcome = conversation()
        .say(Source, &Time::ask(7))
        .say(Destination, &Time::answer(8))
        .say(Source, &Time::answer(7))
        .run();
    assert_eq!(outcome.transactions.len(), 3);
    assert!(outcome.transactions.iter().all(|read| read.latency_us().is_none()));
    assert_eq!(outcome.counts.read(AppProtocol::Ntp).unanswered, 1);
}

#[test]
fn clients_that_do_not_tell_the_time_are_answered_too() {
    let outcome = conversation()
        .say(Source, &Time::ask(0))
        .say(Source, &Time::ask(0))
        .say(Destination, &Time::answer(0))
        .run();
    let mut latencies: Vec<_> = outcome.transactions.iter().map(Application::latency_us).collect();
    latencies.sort_unstable();
    assert_eq!(latencies, [None, STEP_US]);
}

#[test]
fn version_1_clients_have_no_mode() {
    let ask = Time { transmit: 7, ..Time::new(1, 0) }.bytes();
    let answer = Time { origin: 7, ..Time::new(1, 4) }.bytes();
    let read = only(conversation().say(Source, &ask).say(Destination, &answer).run());
    assert_eq!((read.number(ntp::VERSION), read.number(ntp::MODE)), (Some(1), Some(0)));
    assert_eq!(read.latency_us(), STEP_US);
}

#[test]
fn peers_and_broadcasts_stand_alone() {
    let mut peers = Conversation::udp(123, 123);
    for mode in [1, 2, 5] {
        peers = peers.say(Source, &Time::new(4, mode).bytes()).say(Destination, &Time::new(4, mode).bytes());
    }
    let outcome = peers.run();
    assert_eq!(outcome.transactions.len(), 6);
    assert_eq!(outcome.counts.read(AppProtocol::Ntp).unanswered, 0);
}

#[test]
fn control_and_private_messages_are_pairs_and_long_answers_count_once() {
    let outcome = conversation()
        .say(Source, &control(false, 1, 0, b""))
        .say(Destination, &control(true, 1, 0, b"data"))
        .say(Destination, &control(true, 1, 4, b"more"))
        .say(Source, &private(false, 0, 0))
        .say(Destination, &private(true, 0, 6))
        .say(Destination, &private(true, 1, 6))
        .run();
    assert_eq!(failures(&outcome), [0; 5]);
    let mut modes: Vec<_> =
        outcome.transactions.iter().map(|read| (read.number(ntp::MODE), read.latency_us())).collect();
    modes.sort_unstable();
    assert_eq!(modes, [(Some(6), STEP_US), (Some(7), STEP_US)]);
}

#[test]
fn an_answer_that_was_seen_late_counts_too() {
    let outcome = Conversation::udp(123, 40_000)
        .say(Source, &private(true, 3, 6))
        .say(Source, &private(true, 4, 6))
        .run();
    assert_eq!(only(outcome).number(ntp::MODE), Some(7));
}

#[test]
fn lengths_are_those_that_a_message_can_have() {
    let is_known = |version, tail: &[u8]| {
        let bytes = [&Time::new(version, 3).bytes()[..], tail].concat();
        conversation().say(Source, &bytes).run().protocol.is_some()
    };
    for (length, is_possible) in [(0, true), (4, true), (20, true), (24, true), (8, false), (1, false)] {
        assert_eq!(is_known(4, &vec![0; length]), is_possible, "{length}");
    }
    for (length, is_possible) in [(0, true), (12, true), (20, true), (68, true), (72, false), (3, false)] {
        assert_eq!(is_known(3, &vec![0; length]), is_possible, "{length}");
    }
    let extension = [&[1, 4, 0, 36][..], &[0; 32]].concat();
    assert!(is_known(4, &extension.repeat(3)));
    assert!(is_known(4, &[&extension[..], &[0; 24]].concat()));
    for wrong in [0, 12, 35, 40] {
        assert!(!is_known(4, &[&[1, 4, 0, wrong][..], &[0; 32]].concat()), "{wrong}");
    }
}

#[test]
fn what_makes_no_sense_is_counted() {
    let mut cut_data = control(true, 1, 0, b"data");
    cut_data.pop();
    let mut cut_items = private(true, 0, 1);
    cut_items.pop();
    let outcome = conversation()
        .say(Source, &Time::ask(7))
        .say(Source, &Time::ask(7)[..47])
        .say(Source, &cut_data)
        .say(Source, &cut_items)
        .say(Source, &[])
        .say(Source, &Time::new(5, 3).bytes())
        .say(Source, &Time::new(0, 3).bytes())
        .say(Source, &Time::new(2, 0).bytes())
        .run();
    assert_eq!(failures(&outcome)[Failure::Malformed as usize], 4);
    assert_eq!(failures(&outcome)[Failure::Unsupported as usize], 3);
    assert_eq!(outcome.transactions.len(), 1);
}

#[test]
fn a_message_that_the_capture_cut_is_cut() {
    let long = [&Time::ask(8)[..], &[1, 4, 0, 36], &[0; 32]].concat();
    let outcome = conversation().say(Source, &Time::ask(7)).say(Source, &long).cut_to(60).run();
    assert_eq!(failures(&outcome)[Failure::Cut as usize], 1);
    assert_eq!(outcome.transactions.len(), 1);
}

#[test]
fn other_ports_are_not_tried() {
    assert_eq!(Conversation::udp(40_000, 124).say(Source, &Time::ask(7)).run().protocol, None);
    assert_eq!(
        Conversation::udp(123, 40_000).say(Source, &Time::ask(7)).run().protocol,
        Some(AppProtocol::Ntp)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_taken(first in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let bytes = [&[first][..], &bytes].concat();
        conversation().say(Source, &bytes).say(Source, &Time::ask(7)).say(Destination, &bytes).run();
    }

    #[test]
    fn every_request_is_in_one_transaction(said in prop::collection::vec((any::<bool>(), 0u64..6), 1..60)) {
        let conversation = said.iter().fold(conversation(), |all, (is_request, time)| match is_request {
            true => all.say(Source, &Time::ask(*time)),
            false => all.say(Destination, &Time::answer(*time)),
        });
        let outcome = conversation.run();
        let of_mode = |mode| outcome.transactions.iter().filter(|read| read.number(ntp::MODE) == Some(mode)).count();
        let answered = outcome.transactions.iter().filter(|read| read.latency_us().is_some()).count();
        let requests = said.iter().filter(|(is_request, _)| *is_request).count();
        prop_assert_eq!(of_mode(3), requests);
        prop_assert_eq!(of_mode(4) + answered, said.len() - requests);
    }
}
