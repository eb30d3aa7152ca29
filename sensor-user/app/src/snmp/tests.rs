use super::{
    ber::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE},
    *,
};
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::{Application, application::protocols::snmp};
use proptest::prelude::*;

const NULL: u8 = 5;
const GET: u8 = 0xa0;
const GET_NEXT: u8 = 0xa1;
const RESPONSE: u8 = 0xa2;
const TRAP_V1: u8 = 0xa4;
const GET_BULK: u8 = 0xa5;
const INFORM: u8 = 0xa6;
const TRAP_V2: u8 = 0xa7;

/// 1.3.6.1.2.1.1.5.0
const NAME: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 5, 0];

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    match content.len() {
        length @ 0..0x80 => [&[tag, length as u8], &content[..]].concat(),
        length => [&[tag, 0x82, (length >> 8) as u8, length as u8], &content[..]].concat(),
    }
}

fn integer(number: u8) -> Vec<u8> {
    element(INTEGER, &[&[number]])
}

fn binding(object: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[object]), &element(NULL, &[])])
}

fn pdu(kind: u8, request_id: &[u8], error_status: u8, bindings: &[&[u8]]) -> Vec<u8> {
    let list = element(SEQUENCE, bindings);
    element(kind, &[&element(INTEGER, &[request_id]), &integer(error_status), &integer(0), &list])
}

fn message(version: u8, pdu: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&integer(version), &element(OCTET_STRING, &[b"public"]), pdu])
}

fn get(request_id: u8) -> Vec<u8> {
    message(1, &pdu(GET, &[request_id], 0, &[&binding(NAME)]))
}

fn response(request_id: u8) -> Vec<u8> {
    message(1, &pdu(RESPONSE, &[request_id], 0, &[&binding(NAME)]))
}

fn version_3(message_id: u8, flags: u8) -> Vec<u8> {
    let header = [integer(message_id), integer(100), element(OCTET_STRING, &[&[flags]]), integer(3)].concat();
    let security = element(OCTET_STRING, &[b"security"]);
    let data = element(OCTET_STRING, &[b"encrypted"]);
    element(SEQUENCE, &[&integer(3), &element(SEQUENCE, &[&header]), &security, &data])
}

fn run(messages: &[(crate::harness::Sender, &[u8])]) -> Outcome {
    let conversation = Conversation::udp(40_000, 161);
    messages.iter().fold(conversation, |all, (sender, bytes)| all.say(*sender, bytes)).run()
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Snmp).failures
}

fn only(outcome: Outcome) -> Application {
    let [application] = <[_; 1]>::try_from(outcome.transactions).unwrap();
    application
}

fn read(bytes: &[u8]) -> Application {
    let outcome = run(&[(Source, bytes)]);
    assert_eq!(failures(&outcome), [0; 5]);
    only(outcome)
}

#[test]
fn a_request_and_its_response_are_one_transaction() {
    let request = message(0, &pdu(GET_NEXT, &[0x12, 0x34, 0x56, 0x78], 0, &[&binding(NAME), &binding(NAME)]));
    let response = message(0, &pdu(RESPONSE, &[0x12, 0x34, 0x56, 0x78], 2, &[&binding(&[0x2b, 7])]));
    let read = only(run(&[(Source, &request), (Destination, &response)]));
    assert_eq!(read.number(snmp::VERSION), Some(0));
    assert_eq!(read.text(snmp::COMMUNITY), Some("public"));
    assert_eq!(read.number(snmp::PDU), Some(1));
    assert_eq!(read.number(snmp::REQUEST_ID), Some(0x1234_5678));
    assert_eq!(read.number(snmp::ERROR_STATUS), Some(2));
    assert_eq!(read.number(snmp::OBJECTS), Some(2));
    assert_eq!(read.text(snmp::OBJECT), Some("1.3.6.1.2.1.1.5.0"));
    assert_eq!(read.latency_us(), Some((STEP_NS / 1000) as u32));
}

#[test]
fn a_request_without_a_response_has_no_error_status() {
    let outcome = run(&[(Source, &message(1, &pdu(GET_BULK, &[1], 7, &[&binding(NAME)])))]);
    assert_eq!(outcome.counts.read(AppProtocol::Snmp).unanswered, 1);
    let read = only(outcome);
    assert_eq!(read.number(snmp::PDU), Some(5));
    assert_eq!(read.number(snmp::ERROR_STATUS), None);
}

#[test]
fn traps_stand_alone_and_informs_do_not() {
    let times = [binding(&[0x2b, 6, 1, 2, 1, 1, 3, 0]), binding(NAME)].concat();
    let trap = run(&[(Source, &message(1, &pdu(TRAP_V2, &[9], 0, &[&times])))]);
    assert_eq!(trap.counts.read(AppProtocol::Snmp).unanswered, 0);
    let trap = only(trap);
    assert_eq!(trap.number(snmp::PDU), Some(7));
    assert_eq!(trap.number(snmp::OBJECTS), Some(2));
    assert_eq!(trap.text(snmp::OBJECT), Some("1.3.6.1.2.1.1.3.0"));
    let inform = message(1, &pdu(INFORM, &[9], 0, &[&times]));
    let inform = only(run(&[(Source, &inform), (Destination, &response(9))]));
    assert_eq!(inform.number(snmp::PDU), Some(6));
    assert!(inform.latency_us().is_some());
}

#[test]
fn a_trap_of_version_1_names_its_enterprise() {
    let enterprise = element(OBJECT_IDENTIFIER, &[&[0x2b, 6, 1, 4, 1, 0x84, 0x00]]);
    let agent = element(0x40, &[&[192, 0, 2, 1]]);
    let time = element(0x43, &[&[1]]);
    let list = element(SEQUENCE, &[&binding(NAME)]);
    let trap = element(TRAP_V1, &[&enterprise, &agent, &integer(6), &integer(1), &time, &list]);
    let read = read(&message(0, &trap));
    assert_eq!(read.number(snmp::PDU), Some(4));
    assert_eq!(read.text(snmp::OBJECT), Some("1.3.6.1.4.1.512"));
    assert_eq!(read.number(snmp::OBJECTS), Some(1));
    assert_eq!(read.number(snmp::REQUEST_ID), None);
}

#[test]
fn version_3_is_told_by_its_message_identifier() {
    let read = only(run(&[(Source, &version_3(7, 7)), (Destination, &version_3(7, 3))]));
    assert_eq!(read.number(snmp::VERSION), Some(3));
    assert_eq!(read.number(snmp::REQUEST_ID), Some(7));
    assert_eq!(read.number(snmp::PDU), None);
    assert_eq!(read.text(snmp::COMMUNITY), None);
    assert!(read.latency_us().is_some());
    let trap = run(&[(Source, &version_3(7, 3))]);
    assert_eq!(trap.counts.read(AppProtocol::Snmp).unanswered, 0);
}

#[test]
fn identifiers_are_32_bits_without_sign() {
    let id = |bytes: &[u8]| read(&message(1, &pdu(GET, bytes, 0, &[]))).number(snmp::REQUEST_ID);
    assert_eq!(id(&[0xff]), Some(0xffff_ffff));
    assert_eq!(id(&[0x80, 0, 0, 0]), Some(0x8000_0000));
    assert_eq!(id(&[0, 0x80, 0, 0, 0]), Some(0x8000_0000));
    assert_eq!(id(&[0, 0xff]), Some(255));
}

#[test]
fn object_identifiers_are_written_in_full() {
    let object = |content: &[u8]| {
        let outcome = run(&[(Source, &message(1, &pdu(GET, &[1], 0, &[&binding(content)])))]);
        only(outcome).text(snmp::OBJECT).map(str::to_owned)
    };
    assert_eq!(object(&[0]).as_deref(), Some("0.0"));
    assert_eq!(object(&[39]).as_deref(), Some("0.39"));
    assert_eq!(object(&[40]).as_deref(), Some("1.0"));
    assert_eq!(object(&[0x88, 0x37, 3]).as_deref(), Some("2.999.3"));
    assert_eq!(object(&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]).as_deref(), Some("1.3.4294967295"));
    assert_eq!(object(&[]), None);
    assert_eq!(object(&[0x2b, 0x81]), None);
    assert_eq!(object(&[&[0x2b][..], &[0x81; 9], &[1]].concat()), None);
}

#[test]
fn a_request_that_is_sent_again_is_one_request_and_one_with_its_identifier_another() {
    let other = message(1, &pdu(GET, &[7], 0, &[&binding(&[0x2b, 7])]));
    let outcome = run(&[(Source, &get(7)), (Source, &get(7)), (Source, &other), (Destination, &response(7))]);
    assert_eq!(outcome.transactions.len(), 2);
    let answered = outcome.transactions.iter().find(|read| read.latency_us().is_some()).unwrap();
    assert_eq!(answered.text(snmp::OBJECT), Some("1.3.7"));
    let outcome = run(&[(Source, &get(7)), (Source, &get(7)), (Destination, &response(7))]);
    assert_eq!(only(outcome).latency_us(), Some((2 * STEP_NS / 1000) as u32));
}

#[test]
fn what_makes_no_sense_is_malformed_and_what_was_said_before_counts() {
    let sound = pdu(GET, &[1], 0, &[&binding(NAME)]);
    let wrong = [
        [message(1, &sound), vec![0]].concat(),
        message(1, &[&sound[..], &[NULL, 0]].concat()),
        message(1, &[&[GET, sound.len() as u8], &sound[2..]].concat()),
        message(1, &element(GET, &[&integer(1)])),
        message(1, &pdu(GET, &[1], 0, &[&[SEQUENCE, 9, 0]])),
        message(1, &pdu(GET, &[1], 0, &[&element(NULL, &[])])),
        message(1, &pdu(GET, &[1], 0, &[&element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[NAME])])])),
        message(1, &pdu(GET, &[1], 0, &[&binding(&[])])),
        message(1, &pdu(GET, &[1; 9], 0, &[])),
        message(1, &pdu(GET, &[], 0, &[])),
        version_3(1, 4)[..20].to_vec(),
    ];
    for bytes in wrong {
        let outcome = run(&[(Source, &bytes)]);
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 1, "{bytes:?}");
        assert!(only(outcome).number(snmp::VERSION).is_some());
    }
}

#[test]
fn a_message_that_the_capture_cut_is_cut_and_what_was_said_before_counts() {
    let request = get(7);
    for length in 16..request.len() {
        let outcome = Conversation::udp(40_000, 161).say(Source, &request).cut_to(length).run();
        assert_eq!(failures(&outcome)[Failure::Cut as usize], 1, "{length}");
        assert_eq!(failures(&outcome)[Failure::Malformed as usize], 0);
        let read = only(outcome);
        assert_eq!(read.text(snmp::COMMUNITY), Some("public"));
        assert_eq!(read.number(snmp::REQUEST_ID).is_some(), length >= 18, "{length}");
    }
}

#[test]
fn what_is_no_message_is_counted() {
    let indefinite = [&[SEQUENCE, 0x80][..], &get(1)[2..]].concat();
    let endless = [&[SEQUENCE, 0x85, 0, 0, 0, 0, 9][..], &get(1)[2..]].concat();
    let long_tag = [&[0x3f][..], &get(1)[1..]].concat();
    let outcome = run(&[
        (Source, &get(1)),
        (Source, &[]),
        (Source, &indefinite),
        (Source, &endless),
        (Source, &long_tag),
        (Source, &message(1, &[0xa9, 0])),
        (Source, &message(2, &pdu(GET, &[1], 0, &[]))),
    ]);
    assert_eq!(failures(&outcome)[Failure::Malformed as usize], 5);
    assert_eq!(failures(&outcome)[Failure::Unsupported as usize], 1);
    assert_eq!(outcome.transactions.len(), 1);
}

#[test]
fn other_ports_need_the_whole_message() {
    let protocol = |bytes: &[u8]| Conversation::udp(40_000, 5000).say(Source, bytes).run().protocol;
    assert_eq!(protocol(&get(1)), Some(AppProtocol::Snmp));
    assert_eq!(protocol(&version_3(1, 4)), Some(AppProtocol::Snmp));
    assert_eq!(protocol(&[get(1), vec![0]].concat()), None);
    let mut cut = get(1);
    cut.pop();
    assert_eq!(protocol(&cut), None);
    assert_eq!(run(&[(Source, &cut)]).protocol, Some(AppProtocol::Snmp));
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        place in 0usize..60,
        byte in any::<u8>(),
    ) {
        run(&[(Source, &get(1)), (Destination, &bytes)]);
        let around = message(1, &element(GET, &[&bytes]));
        run(&[(Source, &get(1)), (Destination, &around)]);
        for mut nearly in [get(1), response(1), version_3(1, 4)] {
            let place = place % nearly.len();
            nearly[place] = byte;
            run(&[(Source, &get(1)), (Destination, &nearly)]);
        }
    }

    #[test]
    fn every_request_is_in_one_transaction_and_no_response_is_lost(
        said in prop::collection::vec((any::<bool>(), 0u8..20), 1..60),
    ) {
        let messages: Vec<_> = said
            .iter()
            .enumerate()
            .map(|(turn, (is_request, id))| match is_request {
                true => (Source, message(1, &pdu(GET, &[*id], 0, &[&binding(&[0x2b, turn as u8])]))),
                false => (Destination, response(*id)),
            })
            .collect();
        let messages: Vec<_> = messages.iter().map(|(sender, bytes)| (*sender, &bytes[..])).collect();
        let outcome = run(&messages);
        let requests = said.iter().filter(|(is_request, _)| *is_request).count();
        let read = &outcome.transactions;
        prop_assert_eq!(read.iter().filter(|read| read.number(snmp::PDU) == Some(0)).count(), requests);
        let responses = read.iter().filter(|read| read.number(snmp::ERROR_STATUS).is_some()).count();
        prop_assert_eq!(responses, said.len() - requests);
    }

    #[test]
    fn object_identifiers_read_as_they_were_written(
        first in 0u64..3,
        second in 0u64..40,
        rest in prop::collection::vec(any::<u32>(), 0..20),
    ) {
        let mut content = Vec::new();
        let numbers: Vec<u64> = rest.into_iter().map(u64::from).collect();
        for number in [first * 40 + second].iter().chain(&numbers) {
            let digits = (64 - number.leading_zeros()).div_ceil(7).max(1);
            for digit in (0..digits).rev() {
                let goes_on = if digit > 0 { 0x80 } else { 0 };
                content.push((number >> (7 * digit)) as u8 & 0x7f | goes_on);
            }
        }
        let numbers: Vec<String> = [first, second].iter().chain(&numbers).map(u64::to_string).collect();
        let expected = numbers.join(".");
        let read = read(&message(1, &pdu(GET, &[1], 0, &[&binding(&content)])));
        prop_assert_eq!(read.text(snmp::OBJECT), Some(expected.as_str()));
    }
}
