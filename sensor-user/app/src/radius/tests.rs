use super::*;
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::{Application, application::Datum};
use proptest::prelude::*;
use std::net::IpAddr;

fn message(code: u8, identifier: u8, attributes: &[&[u8]]) -> Vec<u8> {
    signed(code, identifier, 1, attributes)
}

/// With an authenticator that begins with this byte.
fn signed(code: u8, identifier: u8, authenticator: u8, attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = (20 + attributes.len() as u16).to_be_bytes();
    let header = [code, identifier, length[0], length[1], authenticator];
    [&header[..], &[0x5a; 15], &attributes].concat()
}

fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, value.len() as u8 + 2], value].concat()
}

fn login(identifier: u8) -> Vec<u8> {
    message(ACCESS_REQUEST, identifier, &[&attribute(1, b"ada"), &attribute(4, &[192, 0, 2, 1])])
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Radius).failures
}

fn only(outcome: Outcome) -> Application {
    let [application] = <[_; 1]>::try_from(outcome.transactions).unwrap();
    application
}

fn run(messages: &[(crate::harness::Sender, &[u8])]) -> Outcome {
    let conversation = Conversation::udp(40_000, 1812);
    messages.iter().fold(conversation, |all, (sender, bytes)| all.say(*sender, bytes)).run()
}

fn address(text: &str) -> Datum<'static> {
    Datum::Address(text.parse::<IpAddr>().unwrap())
}

#[test]
fn a_login_is_one_transaction_and_the_answer_fills_what_the_request_lacked() {
    let request = message(
        ACCESS_REQUEST,
        7,
        &[
            &attribute(1, b"ada"),
            &attribute(4, &[192, 0, 2, 1]),
            &attribute(5, &[0, 0, 1, 0]),
            &attribute(6, &[0, 0, 0, 2]),
            &attribute(30, b"00-00-5E-00-53-01:guests"),
            &attribute(31, b"00-00-5E-00-53-02"),
            &attribute(32, b"gate"),
        ],
    );
    let answer = message(
        ACCESS_ACCEPT,
        7,
        &[
            &attribute(1, b"ada@example.org"),
            &attribute(7, &[0, 0, 0, 1]),
            &attribute(8, &[198, 51, 100, 9]),
            &attribute(9, &[255, 255, 255, 0]),
        ],
    );
    let outcome = run(&[(Source, &request), (Destination, &answer)]);
    assert_eq!(failures(&outcome), [0; 5]);
    let read = only(outcome);
    assert_eq!(read.number(radius::CODE), Some(1));
    assert_eq!(read.number(radius::ANSWER_CODE), Some(2));
    assert_eq!(read.number(radius::IDENTIFIER), Some(7));
    assert_eq!(read.text(radius::USER), Some("ada"));
    assert_eq!(read.value(radius::NAS_ADDRESS), Some(address("192.0.2.1")));
    assert_eq!(read.number(radius::NAS_PORT), Some(256));
    assert_eq!(read.number(radius::SERVICE_TYPE), Some(2));
    assert_eq!(read.text(radius::CALLED_STATION), Some("00-00-5E-00-53-01:guests"));
    assert_eq!(read.text(radius::CALLING_STATION), Some("00-00-5E-00-53-02"));
    assert_eq!(read.text(radius::NAS_ID), Some("gate"));
    assert_eq!(read.text(radius::FRAMED_PROTOCOL), Some("1"));
    assert_eq!(read.value(radius::FRAMED_ADDRESS), Some(address("198.51.100.9")));
    assert_eq!(read.value(radius::FRAMED_MASK), Some(address("255.255.255.0")));
    assert_eq!(read.latency_us(), Some((STEP_NS / 1000) as u32));
}

#[test]
fn accounting_names_its_session() {
    let address_of_nas = attribute(95, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    let start = message(
        ACCOUNTING_REQUEST,
        1,
        &[&attribute(40, &[0, 0, 0, 1]), &attribute(44, b"0001"), &address_of_nas],
    );
    let read = only(Conversation::udp(40_000, 1813).say(Source, &start).run());
    assert_eq!(read.number(radius::ACCOUNTING_STATUS), Some(1));
    assert_eq!(read.text(radius::SESSION_ID), Some("0001"));
    assert_eq!(read.value(radius::NAS_ADDRESS), Some(address("2001:db8::7")));
    assert_eq!(read.number(radius::ANSWER_CODE), None);
    assert_eq!(read.latency_us(), None);
}

#[test]
fn a_request_that_is_sent_again_is_one_request() {
    let answer = message(ACCESS_REJECT, 7, &[]);
    let outcome = run(&[(Source, &login(7)), (Source, &login(7)), (Destination, &answer)]);
    assert_eq!(only(outcome).latency_us(), Some((2 * STEP_NS / 1000) as u32));
}

#[test]
fn an_identifier_that_is_used_again_is_another_request() {
    let other = signed(ACCESS_REQUEST, 7, 2, &[&attribute(1, b"grace")]);
    let answer = message(ACCESS_ACCEPT, 7, &[]);
    let outcome = run(&[(Source, &login(7)), (Source, &other), (Destination, &answer)]);
    assert_eq!(outcome.counts.read(AppProtocol::Radius).unanswered, 1);
    let answered = outcome.transactions.iter().find(|read| read.latency_us().is_some()).unwrap();
    assert_eq!(answered.text(radius::USER), Some("grace"));
    assert_eq!(outcome.transactions.len(), 2);
}

#[test]
fn an_answer_alone_is_a_transaction() {
    let outcome = run(&[(Destination, &message(ACCESS_CHALLENGE, 7, &[&attribute(1, b"ada")]))]);
    assert_eq!(outcome.counts.read(AppProtocol::Radius).unanswered, 0);
    let read = only(outcome);
    assert_eq!(read.number(radius::CODE), Some(11));
    assert_eq!(read.number(radius::ANSWER_CODE), Some(11));
    assert_eq!(read.text(radius::USER), Some("ada"));
}

#[test]
fn an_answer_of_the_side_that_asked_answers_nothing() {
    let outcome = run(&[(Source, &login(7)), (Source, &message(ACCESS_ACCEPT, 7, &[]))]);
    assert_eq!(outcome.transactions.len(), 2);
    assert!(outcome.transactions.iter().all(|read| read.latency_us().is_none()));
}

#[test]
fn the_oldest_of_too_many_requests_is_given_up() {
    let requests: Vec<Vec<u8>> = (0..=WAITING_MAX as u8).map(login).collect();
    let mut said: Vec<_> = requests.iter().map(|bytes| (Source, &bytes[..])).collect();
    let (first, last) = (message(ACCESS_ACCEPT, 0, &[]), message(ACCESS_ACCEPT, 1, &[]));
    said.extend([(Destination, &first[..]), (Destination, &last[..])]);
    let outcome = run(&said);
    // The first one has left unanswered, and its answer comes alone.
    assert_eq!(outcome.transactions.len(), WAITING_MAX + 2);
    let latencies = outcome.transactions.iter().filter(|read| read.latency_us().is_some());
    assert_eq!(latencies.count(), 1);
}

#[test]
fn what_makes_no_sense_is_malformed_and_what_was_said_before_counts() {
    let wrong: [&[u8]; 6] =
        [&[2, 1], &[2, 0], &[2, 30, 1], &[2], &attribute(8, &[1, 2, 3]), &attribute(95, &[0; 4])];
    for bytes in wrong {
        let outcome = run(&[(Source, &message(ACCESS_REQUEST, 7, &[&attribute(1, b"ada"), bytes]))]);
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1, "{bytes:?}");
        assert_eq!(only(outcome).text(radius::USER), Some("ada"));
    }
}

#[test]
fn lengths_that_are_not_the_datagrams() {
    let with_length = |length: u16| {
        let mut bytes = login(8);
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let whole = login(8).len() as u16;
    let malformed = |length| {
        let outcome = run(&[(Source, &login(7)), (Source, &with_length(length))]);
        (failures(&outcome)[Failure::Malformed as usize], outcome.transactions.len())
    };
    assert_eq!(malformed(whole), (0, 2));
    assert_eq!(malformed(25), (0, 2), "what is behind is padding");
    assert_eq!(malformed(whole + 1), (1, 2));
    assert_eq!(malformed(19), (1, 1));
    assert_eq!(malformed(4097), (1, 1));
    assert_eq!(malformed(0), (1, 1));
}

#[test]
fn a_message_that_the_capture_cut_is_cut_and_what_was_said_before_counts() {
    let request = login(7);
    for length in 25..request.len() {
        let outcome = Conversation::udp(40_000, 1812).say(Source, &request).cut_to(length).run();
        assert_eq!(failures(&outcome)[Failure::Cut as usize], 1, "{length}");
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 0);
        assert_eq!(only(outcome).text(radius::USER), Some("ada"));
    }
}

#[test]
fn codes_that_are_not_known_are_unsupported() {
    let outcome = run(&[(Source, &login(7)), (Source, &message(26, 8, &[]))]);
    assert_eq!(failures(&outcome)[Failure::Unsupported as usize], 1);
}

#[test]
fn other_ports_need_a_request_that_proves_itself() {
    let protocol = |bytes: &[u8]| Conversation::udp(40_000, 5000).say(Source, bytes).run().protocol;
    let known = Some(AppProtocol::Radius);
    assert_eq!(protocol(&login(1)), known);
    assert_eq!(protocol(&[login(1), vec![0]].concat()), None);
    assert_eq!(
        protocol(&message(ACCESS_REQUEST, 1, &[&attribute(1, b"ada"), &attribute(2, &[7; 16])])),
        None
    );
    assert_eq!(protocol(&message(ACCESS_REQUEST, 1, &[&attribute(1, b"ada"), &attribute(4, &[1])])), None);
    assert_eq!(protocol(&message(ACCESS_ACCEPT, 1, &[&attribute(1, b"ada"), &attribute(4, &[1; 4])])), None);
    let stop = [attribute(40, &[0, 0, 0, 2]), attribute(44, b"1")].concat();
    assert_eq!(protocol(&message(ACCOUNTING_REQUEST, 1, &[&stop])), known);
    assert_eq!(protocol(&message(DISCONNECT_REQUEST, 1, &[&stop])), known);
    assert_eq!(run(&[(Source, &message(ACCESS_ACCEPT, 1, &[]))]).protocol, known);
    assert_eq!(run(&[(Source, &message(99, 1, &[]))]).protocol, None);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        code in prop::sample::select(vec![ACCESS_REQUEST, ACCESS_ACCEPT, ACCOUNTING_REQUEST, COA_ACK]),
        attributes in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0usize..40,
    ) {
        let attributes: Vec<Vec<u8>> = attributes.iter().map(|(kind, value)| attribute(*kind, value)).collect();
        let mut bytes = message(code, 7, &[&attributes.concat(), &tail]);
        run(&[(Source, &login(7)), (Destination, &bytes)]);
        bytes.truncate(bytes.len().saturating_sub(cut));
        run(&[(Source, &login(7)), (Destination, &bytes)]);
    }

    #[test]
    fn every_request_is_in_one_transaction_and_no_answer_is_lost(
        said in prop::collection::vec((any::<bool>(), 0u8..4), 1..60),
    ) {
        let messages: Vec<_> = said
            .iter()
            .enumerate()
            .map(|(turn, (is_request, identifier))| match is_request {
                true => (Source, signed(ACCESS_REQUEST, *identifier, turn as u8, &[])),
                false => (Destination, message(ACCESS_ACCEPT, *identifier, &[])),
            })
            .collect();
        let messages: Vec<_> = messages.iter().map(|(sender, bytes)| (*sender, &bytes[..])).collect();
        let outcome = run(&messages);
        let of = |key, code| outcome.transactions.iter().filter(|read| read.number(key) == Some(code)).count();
        let requests = said.iter().filter(|(is_request, _)| *is_request).count();
        prop_assert_eq!(of(radius::CODE, 1), requests);
        prop_assert_eq!(of(radius::ANSWER_CODE, 2), said.len() - requests);
    }
}
