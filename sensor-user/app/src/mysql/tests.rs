//! Start-ups between a made-up server and client.

use super::*;
use crate::harness::{Conversation, Outcome, STEP_NS, Sender::*};
use kflow::Application;
use proptest::prelude::*;

const PROTOCOL_41: u32 = 0x0200;
const WITH_DATABASE: u32 = 0x0008;
const WITH_TLS: u32 = 0x0800;
const SECURE: u32 = 0x8000;
const WITH_PLUGIN: u32 = 0x0008_0000;
const WITH_ATTRIBUTES: u32 = 0x0010_0000;
const PROOF_WITH_LENGTH: u32 = 0x0020_0000;

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, number], body].concat()
}

fn greeting_body(version: &str) -> Vec<u8> {
    let mut body = [&[10], version.as_bytes(), &[0], &77u32.to_le_bytes(), b"saltsalt\0"].concat();
    body.extend_from_slice(&[0xFF, 0xFF, 0x21, 2, 0, 0xFF, 0xDF, 21]);
    body.extend_from_slice(&[0; 10]);
    body.extend_from_slice(b"moresaltsalt\0caching_sha2_password\0");
    body
}

fn greeting() -> Vec<u8> {
    packet(0, &greeting_body("8.0.36"))
}

/// What an answer of protocol 4.1 begins with, which is the whole of a request for TLS.
fn answer_start(capabilities: u32) -> Vec<u8> {
    let capabilities = capabilities | PROTOCOL_41;
    [&capabilities.to_le_bytes()[..], &(1u32 << 24).to_le_bytes(), &[45], &[0; 23]].concat()
}

fn answer(capabilities: u32, rest: &[&[u8]]) -> Vec<u8> {
    packet(1, &[answer_start(capabilities), rest.concat()].concat())
}

fn bob() -> Vec<u8> {
    let capabilities = WITH_DATABASE | SECURE | WITH_PLUGIN | WITH_ATTRIBUTES | PROOF_WITH_LENGTH;
    answer(capabilities, &[b"bob\0", &[32], &[0xAB; 32], b"shop\0caching_sha2_password\0", b"\x04\x01k\x01v"])
}

fn ok(number: u8) -> Vec<u8> {
    packet(number, &[0, 0, 0, 2, 0, 0, 0])
}

fn denied(number: u8) -> Vec<u8> {
    packet(number, b"\xFF\x15\x04#28000Access denied for user 'bob'@'localhost' (using password: YES)")
}

fn server(bytes: &[u8]) -> Conversation {
    Conversation::tcp(40_000, 3306).say(Destination, bytes)
}

/// A whole start-up: the server wants another proof, then more of it, and is content.
fn conversation() -> Conversation {
    server(&greeting())
        .say(Source, &bob())
        .say(Destination, &packet(2, b"\xFEmysql_native_password\0saltsaltsaltsaltsalt\0"))
        .say(Source, &packet(3, &[0xCD; 20]))
        .say(Destination, &packet(4, &[1, 3]))
        .say(Destination, &ok(5))
        .say(Source, &packet(0, b"\x03select 1"))
}

fn session_of(conversation: &Conversation) -> Application {
    conversation.run().session.expect("a session is known")
}

fn counted(outcome: &Outcome) -> (u64, [u64; 5]) {
    let counts = outcome.counts.read(AppProtocol::MySql);
    (counts.transactions, counts.failures)
}

fn failed(failure: Failure) -> [u64; 5] {
    Failure::ALL.map(|other| u64::from(other == failure))
}

fn recognised(bytes: &[u8]) -> Recognition {
    let (transport, sender, sender_port, receiver_port) = (Transport::Tcp, Destination, 3306, 40_000);
    MySql::recognise(&Opening { bytes, transport, sender, sender_port, receiver_port })
}

#[test]
fn a_start_up_tells_what_the_server_is_and_who_wants_in() {
    let outcome = conversation().run();
    assert_eq!(counted(&outcome), (1, [0; 5]));
    assert_eq!(outcome.protocol, Some(AppProtocol::MySql));
    let session = outcome.session.unwrap();
    assert_eq!(session.text(mysql::SERVER_VERSION), Some("8.0.36"));
    assert_eq!(session.number(mysql::CONNECTION_ID), Some(77));
    assert_eq!(session.text(mysql::USER), Some("bob"));
    assert_eq!(session.text(mysql::DATABASE), Some("shop"));
    assert_eq!(session.text(mysql::AUTHENTICATION), Some("caching_sha2_password"));
    assert_eq!((session.number(mysql::TLS), session.number(mysql::ERROR)), (None, None));
    assert_eq!(session.latency_us(), Some((STEP_NS / 1000) as u32));
}

#[test]
fn a_refusal_ends_the_start_up_with_code_and_state() {
    let refused = server(&greeting()).say(Source, &bob()).say(Destination, &denied(2));
    assert_eq!(counted(&refused.run()), (1, [0; 5]));
    let session = session_of(&refused);
    assert_eq!(session.number(mysql::ERROR), Some(1045));
    assert_eq!(session.text(mysql::SQL_STATE), Some("28000"));
}

#[test]
fn a_server_may_refuse_instead_of_greeting() {
    let blocked = server(&packet(0, b"\xFF\x69\x04Host '192.0.2.1' is blocked"));
    assert_eq!(counted(&blocked.run()), (1, [0; 5]));
    let session = session_of(&blocked);
    assert_eq!((session.number(mysql::ERROR), session.text(mysql::SQL_STATE)), (Some(1129), None));
    let crowded = session_of(&server(&packet(0, b"\xFF\x10\x04#08004Too many connections")));
    assert_eq!((crowded.number(mysql::ERROR), crowded.text(mysql::SQL_STATE)), (Some(1040), Some("08004")));
}

#[test]
fn a_server_may_refuse_to_wait_for_the_answer() {
    let late = server(&greeting()).say(Destination, &packet(1, b"\xFF\x87\x04#08S01Got timeout"));
    assert_eq!(counted(&late.run()), (1, [0; 5]));
    assert_eq!(session_of(&late).number(mysql::ERROR), Some(1159));
}

#[test]
fn a_request_for_tls_is_the_end_of_what_can_be_read() {
    let old = [(0x0800u16 | 1).to_le_bytes().as_slice(), &[0; 3]].concat();
    for request in [answer_start(WITH_TLS | SECURE), old] {
        let encrypted = server(&greeting()).say(Source, &packet(1, &request)).say(Source, &[0x16, 3, 1]);
        let outcome = encrypted.run();
        assert_eq!(counted(&outcome), (1, [0; 5]));
        // What follows is another protocol's, so that the session goes out by itself.
        let [session] = &outcome.transactions[..] else { panic!("one session") };
        assert_eq!(session.number(mysql::TLS), Some(1));
        assert_eq!(session.text(mysql::SERVER_VERSION), Some("8.0.36"));
        assert_eq!((session.text(mysql::USER), session.latency_us()), (None, None));
    }
}

#[test]
fn proofs_of_every_form_are_passed_over() {
    let long = [0xEE; 300];
    let forms: [(u32, Vec<u8>); 6] = [
        (0, b"proof\0".to_vec()),
        (SECURE, [&[20], &long[..20]].concat()),
        (PROOF_WITH_LENGTH, [&[20], &long[..20]].concat()),
        (PROOF_WITH_LENGTH, [&[0xFC, 0x2C, 1], &long[..]].concat()),
        (PROOF_WITH_LENGTH, [&[0xFD, 0x2C, 1, 0], &long[..]].concat()),
        (PROOF_WITH_LENGTH, [&[0xFE, 0x2C, 1, 0, 0, 0, 0, 0, 0], &long[..]].concat()),
    ];
    for (capabilities, proof) in forms {
        let capabilities = capabilities | WITH_DATABASE | WITH_PLUGIN;
        let answer = answer(capabilities, &[b"bob\0", &proof, b"shop\0dialog"]);
        let session = session_of(&server(&greeting()).say(Source, &answer));
        assert_eq!(session.text(mysql::USER), Some("bob"));
        assert_eq!(session.text(mysql::DATABASE), Some("shop"));
        assert_eq!(session.text(mysql::AUTHENTICATION), Some("dialog"), "ended by the packet");
    }
}

#[test]
fn clients_before_4_1_name_user_and_database_as_well() {
    let answer = packet(1, b"\x08\0\xFF\xFF\xFFbob\0proofpro\0shop");
    let session = session_of(&server(&greeting()).say(Source, &answer).say(Destination, &ok(2)));
    assert_eq!(session.text(mysql::USER), Some("bob"));
    assert_eq!(session.text(mysql::DATABASE), Some("shop"));
    assert_eq!(session.text(mysql::AUTHENTICATION), None);
    let nowhere = packet(1, b"\0\0\xFF\xFF\xFFbob\0proofpro\0shop");
    assert_eq!(session_of(&server(&greeting()).say(Source, &nowhere)).text(mysql::DATABASE), None);
}

#[test]
fn a_start_up_that_is_never_over_counts_once_the_answer_was_answered() {
    let unanswered = server(&greeting()).say(Source, &bob());
    assert_eq!(counted(&unanswered.run()), (0, [0; 5]));
    assert_eq!(counted(&unanswered.say(Destination, &packet(2, &[1, 4])).run()), (1, [0; 5]));
}

#[test]
fn lengths_that_cannot_be_end_the_parsing() {
    let beyond_the_packet = answer(SECURE, &[b"bob\0", &[200], b"short"]);
    let beyond_all = answer(PROOF_WITH_LENGTH, &[b"bob\0", &[0xFE], &[0xFF; 8]]);
    for lie in [beyond_the_packet, beyond_all, packet(1, b""), packet(1, &[0; 4]), packet(7, b"no answer")] {
        let outcome = server(&greeting()).say(Source, &lie).run();
        assert_eq!(counted(&outcome), (0, failed(Failure::Malformed)), "{lie:?}");
    }
    let long = answer(PROOF_WITH_LENGTH, &[b"bob\0", &[0xFC, 0, 0x40], &[1; 0x4000]]);
    let outcome = server(&greeting()).say(Source, &long).run();
    assert_eq!(counted(&outcome), (0, failed(Failure::Limit)));
}

#[test]
fn only_a_whole_greeting_is_recognised() {
    for opening in [greeting(), packet(0, b"\xFF\x69\x04Host is blocked")] {
        for length in 0..opening.len() {
            assert_eq!(recognised(&opening[..length]), Recognition::More, "{length}");
        }
        assert_eq!(recognised(&opening), Recognition::Yes);
    }
    let old = [&[10], b"3.23.58\0".as_slice(), &[7, 0, 0, 0], b"saltsalt\0", &[0, 0]].concat();
    assert_eq!(recognised(&packet(0, &old)), Recognition::Yes);
}

#[test]
fn what_is_nearly_a_greeting_is_none() {
    let mut filler = greeting_body("8.0.36");
    filler["?8.0.36?id..saltsalt".len()] = 1;
    let bodies = [
        greeting_body("x8.0"),
        greeting_body("8.0\x07"),
        greeting_body(&"8".repeat(2000)),
        filler,
        b"\x0A8.0".to_vec(),
        b"\xFF\x03\0Not a code of servers".to_vec(),
        b"\xFF\x69\x04not\na text".to_vec(),
        b"\xFF".to_vec(),
        vec![],
        b"\x098.0.36".to_vec(),
    ];
    for body in bodies {
        assert_eq!(recognised(&packet(0, &body)), Recognition::No, "{body:?}");
    }
    assert_eq!(recognised(&packet(1, &greeting_body("8.0.36"))), Recognition::No);
    assert_eq!(recognised(b"SSH-2.0-x\r\n"), Recognition::No);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_session(seed in any::<u64>()) {
        prop_assert_eq!(conversation().run_split(seed).what(), conversation().run().what());
    }

    #[test]
    fn any_bytes_are_taken(
        answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3),
        verdicts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3),
        capabilities in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let mut greeted = server(&greeting());
        let mut answered = server(&greeting()).say(Source, &bob());
        for body in answers {
            greeted = greeted.say(Source, &answer(capabilities, &[&body]));
        }
        for body in verdicts {
            greeted = greeted.say(Destination, &body);
            answered = answered.say(Destination, &packet(2, &body));
        }
        greeted.run_split(seed);
        answered.run_split(seed);
    }

    #[test]
    fn one_changed_byte_does_no_harm(place in 0usize..1000, byte in any::<u8>()) {
        let mut opening = greeting();
        let place = place % opening.len();
        opening[place] = byte;
        server(&opening).say(Source, &bob()).say(Destination, &ok(2)).run();
    }
}
