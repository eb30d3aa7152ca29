use super::*;
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::{Application, application::Datum};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};

const SOLICIT: u8 = 1;
const DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0x5e, 0x10, 0xab, 0xcd];

fn message(kind: u8, transaction_id: u32, options: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&transaction_id.to_be_bytes()[1..]);
    bytes.extend(options.concat());
    bytes
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = value.len() as u16;
    [&code.to_be_bytes(), &length.to_be_bytes(), value].concat()
}

/// Options within an option, behind zeros.
fn container(code: u16, zeros: usize, options: &[&[u8]]) -> Vec<u8> {
    option(code, &[vec![0; zeros], options.concat()].concat())
}

fn relayed(kind: u8, inner: &[u8]) -> Vec<u8> {
    let interface = option(18, b"eth0");
    [&[kind][..], &[0; RELAY_BYTES], &interface, &option(9, inner)].concat()
}

fn lease(address: &str, valid_s: u32, options: &[&[u8]]) -> Vec<u8> {
    let address: Ipv6Addr = address.parse().unwrap();
    option(5, &[&address.octets()[..], &[0; 4], &valid_s.to_be_bytes(), &options.concat()].concat())
}

fn prefix(address: &str, bits: u8, valid_s: u32) -> Vec<u8> {
    let address: Ipv6Addr = address.parse().unwrap();
    option(26, &[&[0; 4][..], &valid_s.to_be_bytes(), &[bits], &address.octets()].concat())
}

fn status(code: u16) -> Vec<u8> {
    option(13, &[&code.to_be_bytes()[..], b"because"].concat())
}

fn solicit() -> Vec<u8> {
    message(SOLICIT, 0xabcdef, &[&option(1, DUID)])
}

fn run(bytes: &[u8]) -> Outcome {
    Conversation::udp(546, 547).say(Source, bytes).run()
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Dhcpv6).failures
}

fn only(outcome: Outcome) -> Application {
    let [application] = <[_; 1]>::try_from(outcome.transactions).unwrap();
    application
}

fn read(bytes: &[u8]) -> Application {
    let outcome = run(bytes);
    assert_eq!(failures(&outcome), [0; 5]);
    only(outcome)
}

fn address(text: &str) -> Datum<'static> {
    Datum::Address(text.parse::<IpAddr>().unwrap())
}

#[test]
fn a_request_says_who_asks_for_what() {
    let name = option(39, b"\x01\x04host\x07example\x03org\0");
    let read = read(&message(SOLICIT, 0xabcdef, &[&option(1, DUID), &option(6, &[0, 23, 1, 0]), &name]));
    assert_eq!(read.number(dhcpv6::MESSAGE_TYPE), Some(1));
    assert_eq!(read.number(dhcpv6::TRANSACTION_ID), Some(0xabcdef));
    assert_eq!(read.text(dhcpv6::CLIENT_ID), Some("0003000102005e10abcd"));
    assert_eq!(read.text(dhcpv6::PARAMETERS), Some("23,256"));
    assert_eq!(read.text(dhcpv6::FQDN), Some("host.example.org"));
    assert_eq!(read.number(dhcpv6::STATUS), None);
}

#[test]
fn an_answer_says_what_the_client_gets() {
    let addresses = container(3, 12, &[&lease("2001:db8::7", 3600, &[]), &lease("2001:db8::8", 1800, &[])]);
    let prefixes = container(25, 12, &[&prefix("2001:db8:1::", 56, 7200)]);
    let read = read(&message(REPLY, 1, &[&option(2, DUID), &addresses, &prefixes]));
    assert_eq!(read.text(dhcpv6::SERVER_ID), Some("0003000102005e10abcd"));
    assert_eq!(read.value(dhcpv6::ADDRESS), Some(address("2001:db8::7")));
    assert_eq!(read.number(dhcpv6::VALID_S), Some(3600));
    assert_eq!(read.value(dhcpv6::PREFIX), Some(address("2001:db8:1::")));
    assert_eq!(read.number(dhcpv6::PREFIX_BITS), Some(56));
}

#[test]
fn temporary_addresses_are_addresses() {
    let addresses = container(4, 4, &[&lease("2001:db8::9", 60, &[])]);
    assert_eq!(read(&message(REPLY, 1, &[&addresses])).value(dhcpv6::ADDRESS), Some(address("2001:db8::9")));
}

#[test]
fn the_first_status_that_is_no_success_counts_wherever_it_is() {
    let statuses = |options: &[&[u8]]| read(&message(REPLY, 1, options)).number(dhcpv6::STATUS);
    assert_eq!(statuses(&[&status(0)]), Some(0));
    assert_eq!(statuses(&[&status(0), &container(3, 12, &[&status(2), &status(3)])]), Some(2));
    let in_lease = container(3, 12, &[&lease("2001:db8::7", 0, &[&status(4)])]);
    assert_eq!(statuses(&[&in_lease, &status(5)]), Some(4));
    assert_eq!(statuses(&[&container(25, 12, &[&status(6)]), &status(0)]), Some(6));
}

#[test]
fn of_a_relayed_message_the_innermost_counts() {
    let mut bytes = solicit();
    for _ in 0..RELAYS_MAX {
        bytes = relayed(RELAY_FORWARD, &bytes);
        assert_eq!(read(&bytes).number(dhcpv6::MESSAGE_TYPE), Some(1));
    }
}

#[test]
fn more_relays_than_a_message_may_pass_are_at_the_limit() {
    let mut deep = solicit();
    for _ in 0..1000 {
        deep = relayed(RELAY_FORWARD, &deep);
    }
    let outcome = Conversation::udp(547, 547).say(Source, &solicit()).say(Source, &deep).run();
    assert_eq!(failures(&outcome)[Failure::Limit as usize], 1);
    assert_eq!(run(&deep).protocol, None);
}

#[test]
fn every_message_is_a_transaction_and_answers_of_the_same_flow_have_latencies() {
    let forward = |kind, id| relayed(RELAY_FORWARD, &message(kind, id, &[&option(1, DUID)]));
    let back = |kind, id| relayed(RELAY_REPLY, &message(kind, id, &[&option(2, DUID)]));
    let outcome = Conversation::udp(547, 547)
        .say(Source, &forward(SOLICIT, 1))
        .say(Source, &forward(SOLICIT, 2))
        .say(Destination, &back(ADVERTISE, 1))
        .say(Destination, &back(REPLY, 3))
        .say(Source, &back(ADVERTISE, 2))
        .run();
    let mut latencies: Vec<_> = outcome.transactions.iter().map(Application::latency_us).collect();
    latencies.sort_unstable();
    assert_eq!(latencies, [None, None, None, None, Some((2 * STEP_NS / 1000) as u32)]);
    assert_eq!(outcome.counts.read(AppProtocol::Dhcpv6).unanswered, 0);
}

#[test]
fn what_makes_no_sense_is_malformed_and_what_was_said_before_counts() {
    let wrong = [
        option(6, &[0, 1, 2]),
        vec![0, 1, 0],
        vec![0, 2, 0, 10, 1],
        option(39, &[]),
        option(39, &[0, 64]),
        option(13, &[0]),
        container(3, 11, &[]),
        container(4, 3, &[]),
        container(3, 12, &[&[0, 5, 0, 24, 1]]),
        container(3, 12, &[&option(5, &[0; 23])]),
        container(3, 12, &[&lease("2001:db8::1", 1, &[&[1]])]),
        container(25, 12, &[&prefix("2001:db8::", 129, 1)]),
    ];
    for bytes in wrong {
        let outcome = run(&message(SOLICIT, 0xabcdef, &[&option(1, DUID), &bytes]));
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1, "{bytes:?}");
        let read = only(outcome);
        assert_eq!(read.text(dhcpv6::CLIENT_ID), Some("0003000102005e10abcd"));
    }
}

#[test]
fn a_relay_that_carries_less_than_it_says_is_malformed() {
    let mut bytes = relayed(RELAY_FORWARD, &solicit());
    bytes.pop();
    let outcome = run(&bytes);
    assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1);
    assert_eq!(only(outcome).number(dhcpv6::TRANSACTION_ID), Some(0xabcdef));
    let outcome = run(&[&[RELAY_REPLY][..], &[0; RELAY_BYTES]].concat());
    assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1);
    assert_eq!(only(outcome).number(dhcpv6::MESSAGE_TYPE), Some(13));
}

#[test]
fn a_message_that_the_capture_cut_is_cut_and_what_was_said_before_counts() {
    let bytes =
        relayed(RELAY_FORWARD, &message(SOLICIT, 0xabcdef, &[&option(1, DUID), &option(6, &[0, 23])]));
    for length in bytes.len() - 6..bytes.len() {
        let outcome = Conversation::udp(547, 547).say(Source, &bytes).cut_to(length).run();
        assert_eq!(failures(&outcome)[Failure::Cut as usize], 1);
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 0);
        assert_eq!(only(outcome).text(dhcpv6::CLIENT_ID), Some("0003000102005e10abcd"));
    }
}

#[test]
fn messages_with_flags_in_place_of_an_identifier_have_none() {
    let read = read(&message(DHCPV4_QUERY, 0x80_0000, &[&option(87, &[1, 1, 6, 0])]));
    assert_eq!(read.number(dhcpv6::MESSAGE_TYPE), Some(20));
    assert_eq!(read.number(dhcpv6::TRANSACTION_ID), None);
}

#[test]
fn other_ports_need_a_duid_and_nothing_but_options() {
    let protocol = |bytes: &[u8]| Conversation::udp(40_000, 5000).say(Source, bytes).run().protocol;
    let known = Some(AppProtocol::Dhcpv6);
    assert_eq!(protocol(&solicit()), known);
    assert_eq!(protocol(&relayed(RELAY_FORWARD, &solicit())), known);
    assert_eq!(protocol(&[solicit(), vec![0]].concat()), None);
    assert_eq!(protocol(&message(SOLICIT, 1, &[])), None);
    assert_eq!(protocol(&message(SOLICIT, 1, &[&option(1, &[0, 9, 1])])), None);
    assert_eq!(protocol(&message(TYPE_MAX, 1, &[&option(1, DUID)])), None);
    assert_eq!(run(&message(TYPE_MAX, 1, &[])).protocol, known);
    assert_eq!(run(&message(TYPE_MAX + 1, 1, &[])).protocol, None);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        kind in prop::sample::select(vec![SOLICIT, REPLY, RELAY_FORWARD, RELAY_REPLY]),
        options in prop::collection::vec((0u16..45, prop::collection::vec(any::<u8>(), 0..60)), 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let options: Vec<Vec<u8>> = options.iter().map(|(code, value)| option(*code, value)).collect();
        let bytes = [&[kind][..], &[0; 3], &options.concat(), &tail].concat();
        let conversation = Conversation::udp(546, 547).say(Source, &solicit());
        conversation.say(Destination, &bytes).say(Source, &relayed(kind, &bytes)).run();
    }

    #[test]
    fn every_beginning_of_a_message_is_taken_for_what_it_is(length in 0usize..64) {
        let whole = relayed(RELAY_FORWARD, &solicit());
        let length = length.min(whole.len());
        let outcome = run(&whole[..length]);
        // The relay's header is enough, but of what it carries the identifier has to be there.
        let of_relay = 1 + RELAY_BYTES..1 + RELAY_BYTES + 8 + 4;
        let is_enough = of_relay.contains(&length) || length >= of_relay.end + 4;
        prop_assert_eq!(outcome.transactions.len(), usize::from(is_enough));
        prop_assert_eq!(failures(&outcome) == [0; 5], outcome.transactions.is_empty() || length == whole.len());
    }
}
