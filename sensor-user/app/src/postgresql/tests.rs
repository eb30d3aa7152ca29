//! Start-ups between a made-up client and server.

use super::*;
use crate::{
    Limits,
    harness::{Conversation, STEP_NS, Sender::*},
};
use kflow::Application;
use proptest::prelude::*;

const VERSION_3_0: u32 = 0x0003_0000;
const VERSION_3_2: u32 = 0x0003_0002;

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let length = (PACKET_HEADER_BYTES + body.len()) as u32;
    [&length.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

fn start_up(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let texts: String = parameters.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    packet(version, format!("{texts}\0").as_bytes())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = 4 + body.len() as u32;
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn authentication(kind: u32) -> Vec<u8> {
    message(b'R', &kind.to_be_bytes())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error() -> Vec<u8> {
    message(b'E', b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"bob\"\0\0")
}

fn bob() -> Vec<u8> {
    let parameters = [("user", "bob"), ("database", "shop"), ("application_name", "psql")];
    start_up(VERSION_3_0, &parameters)
}

fn client(bytes: &[u8]) -> Conversation {
    Conversation::tcp(40_000, 5432).say(Source, bytes)
}

/// A whole start-up, TLS refused.
fn conversation() -> Conversation {
    let welcome = [
        authentication(0),
        message(b'S', b"server_encoding\0UTF8\0"),
        message(b'S', b"server_version\x0017.2 (Debian)\0"),
        message(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]),
        message(b'N', b"SNOTICE\0C00000\0Mwelcome\0\0"),
        ready(),
    ];
    client(&packet(GSS_REQUEST, b""))
        .say(Destination, b"N")
        .say(Source, &packet(TLS_REQUEST, b""))
        .say(Destination, b"N")
        .say(Source, &bob())
        .say(Destination, &authentication(10))
        .say(Source, &message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05n,,n="))
        .say(Destination, &authentication(11))
        .say(Source, &message(b'p', b"c=biws"))
        .say(Destination, &welcome.concat())
        .say(Source, &message(b'Q', b"select 1\0"))
}

fn session_of(conversation: &Conversation) -> Application {
    conversation.run().session.expect("a session is known")
}

fn failures(conversation: &Conversation, failure: Failure) -> u64 {
    conversation.run().counts.read(AppProtocol::PostgreSql).failures[failure as usize]
}

#[test]
fn a_start_up_tells_who_wants_what_and_how_the_server_lets_them_in() {
    let outcome = conversation().run();
    assert_eq!(outcome.protocol, Some(AppProtocol::PostgreSql));
    let session = outcome.session.unwrap();
    assert_eq!(session.text(postgresql::USER), Some("bob"));
    assert_eq!(session.text(postgresql::DATABASE), Some("shop"));
    assert_eq!(session.text(postgresql::APPLICATION), Some("psql"));
    assert_eq!(session.text(postgresql::SERVER_VERSION), Some("17.2 (Debian)"));
    assert_eq!(session.text(postgresql::ERROR), None);
    assert_eq!(session.number(postgresql::VERSION), Some(u64::from(VERSION_3_0)));
    assert_eq!(session.number(postgresql::TLS), Some(0));
    assert_eq!(session.number(postgresql::AUTHENTICATION), Some(10));
    assert_eq!(session.latency_us(), Some((STEP_NS / 1000) as u32));
    let counts = outcome.counts.read(AppProtocol::PostgreSql);
    assert_eq!((counts.flows, counts.transactions, counts.failures), (1, 1, [0; 5]));
}

#[test]
fn an_error_ends_the_start_up_with_its_state() {
    let refused = client(&bob()).say(Destination, &authentication(5)).say(Destination, &error());
    let session = session_of(&refused);
    assert_eq!(session.text(postgresql::ERROR), Some("28P01"));
    assert_eq!(session.number(postgresql::AUTHENTICATION), Some(5));
    assert_eq!(refused.run().counts.read(AppProtocol::PostgreSql).transactions, 1);
}

#[test]
fn no_database_is_named_after_the_user_if_none_is_asked_for() {
    let nameless = start_up(VERSION_3_0, &[("user", "bob"), ("database", "")]);
    assert_eq!(session_of(&client(&nameless)).text(postgresql::DATABASE), None);
    let nobody = session_of(&client(&start_up(VERSION_3_0, &[])));
    assert_eq!((nobody.text(postgresql::USER), nobody.text(postgresql::DATABASE)), (None, None));
}

#[test]
fn version_3_2_starts_alike_and_may_be_negotiated_down() {
    let negotiated = client(&start_up(VERSION_3_2, &[("user", "bob"), ("_pq_.command_tag", "off")]))
        .say(Destination, &[message(b'v', &[0; 8]), authentication(0), ready()].concat());
    let session = session_of(&negotiated);
    assert_eq!(session.number(postgresql::VERSION), Some(u64::from(VERSION_3_2)));
    assert_eq!(session.number(postgresql::AUTHENTICATION), Some(0));
    assert_eq!(negotiated.run().counts.read(AppProtocol::PostgreSql).transactions, 1);
}

#[test]
fn a_yes_to_tls_is_the_end_of_what_can_be_read() {
    let encrypted = client(&packet(TLS_REQUEST, b"")).say(Destination, b"S");
    let unseen = client(&packet(TLS_REQUEST, b"")).say(Source, &[TLS_HANDSHAKE, 3, 1]);
    for (conversation, latency_us) in [(encrypted, Some((STEP_NS / 1000) as u32)), (unseen, None)] {
        // What follows is another protocol's, so that the session goes out by itself.
        let [session] = &conversation.run().transactions[..] else { panic!("one session") };
        assert_eq!(session.number(postgresql::TLS), Some(1));
        assert_eq!(session.latency_us(), latency_us);
    }
}

#[test]
fn what_gss_encrypts_is_not_looked_at() {
    let encrypted = client(&packet(GSS_REQUEST, b""))
        .say(Destination, b"G")
        .say(Source, b"\0\0\0\x04token")
        .say(Destination, b"\0\0\0\x04token");
    let outcome = encrypted.run();
    let counts = outcome.counts.read(AppProtocol::PostgreSql);
    assert_eq!((counts.transactions, counts.failures), (1, [0; 5]));
}

#[test]
fn a_request_to_cancel_is_recognised_and_says_nothing_of_a_session() {
    let outcome = client(&packet(CANCEL_REQUEST, &[0, 0, 0, 7, 0, 0, 0, 9])).run();
    assert_eq!(outcome.protocol, Some(AppProtocol::PostgreSql));
    assert_eq!(outcome.session, None);
    assert_eq!(outcome.counts.read(AppProtocol::PostgreSql).failures, [0; 5]);
}

#[test]
fn a_server_without_processes_refuses_in_the_words_of_protocol_2() {
    for opening in [bob(), packet(TLS_REQUEST, b"")] {
        let refused = client(&opening).say(Destination, b"Ecould not fork new process\n\0");
        let outcome = refused.run();
        let counts = outcome.counts.read(AppProtocol::PostgreSql);
        assert_eq!((counts.transactions, counts.failures), (1, [0; 5]));
    }
}

#[test]
fn a_start_up_that_is_never_over_counts_once_it_was_answered() {
    let unanswered = client(&bob());
    assert_eq!(unanswered.run().counts.read(AppProtocol::PostgreSql).transactions, 0);
    assert_eq!(session_of(&unanswered).text(postgresql::USER), Some("bob"));
    let answered = unanswered.say(Destination, &authentication(3));
    assert_eq!(answered.run().counts.read(AppProtocol::PostgreSql).transactions, 1);
}

#[test]
fn lengths_that_cannot_be_end_the_parsing() {
    for length in [0u32, 3, MESSAGE_BYTES_MAX as u32, u32::MAX] {
        let lie = [b"R", &length.to_be_bytes()[..], &[0; 8]].concat();
        assert_eq!(failures(&client(&bob()).say(Destination, &lie), Failure::Malformed), 1, "{length}");
    }
    for length in [0u32, 7, PACKET_BYTES_MAX as u32 + 1, u32::MAX] {
        let lie = [length.to_be_bytes(), VERSION_3_0.to_be_bytes()].concat();
        let late = client(&packet(TLS_REQUEST, b"")).say(Destination, b"N").say(Source, &lie);
        assert_eq!(failures(&late, Failure::Malformed), 1, "{length}");
    }
    let short = client(&packet(VERSION_3_0, b"user\0bo"));
    assert_eq!(session_of(&short).text(postgresql::USER), None, "a text without its end is none");
}

#[test]
fn of_a_long_error_only_the_state_in_front_is_wanted() {
    let long = [b"SFATAL\0C53300\0M".as_slice(), &[b'x'; 20_000], b"\0\0"].concat();
    let refused = client(&bob()).say(Destination, &message(b'E', &long));
    assert_eq!(session_of(&refused).text(postgresql::ERROR), Some("53300"));
}

#[test]
fn messages_that_no_server_starts_with_are_unsupported() {
    assert_eq!(failures(&client(&bob()).say(Destination, &message(b'T', &[0, 0])), Failure::Unsupported), 1);
    let version_2 =
        client(&packet(TLS_REQUEST, b"")).say(Destination, b"N").say(Source, &packet(0x2_0000, &[0; 288]));
    assert_eq!(failures(&version_2, Failure::Unsupported), 1);
}

#[test]
fn without_room_for_a_session_the_start_up_is_followed_all_the_same() {
    let limits = Limits { flows: 1, parsers: 1, drafts: 0, buffers: 1, ..Limits::default() };
    let outcome = conversation().with_limits(limits).run();
    assert_eq!(outcome.session, None);
    let counts = outcome.counts.read(AppProtocol::PostgreSql);
    assert_eq!((counts.transactions, counts.failures), (1, [0; 5]));
    assert!(counts.shed_drafts > 0);
}

#[test]
fn other_protocols_with_lengths_in_front_are_not_recognised() {
    let recognise = |bytes: &[u8]| {
        PostgreSql::recognise(&Opening {
            bytes,
            transport: Transport::Tcp,
            sender: Source,
            sender_port: 40_000,
            receiver_port: 5432,
        })
    };
    // A request for metadata in Kafka's protocol, and settings of HTTP/2.
    assert_eq!(recognise(b"\0\0\0\x1f\0\x03\0\x02\0\0\0\x01\0\x05kafka"), Recognition::No);
    assert_eq!(recognise(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"), Recognition::No);
    let opening = bob();
    for length in 0..=PACKET_HEADER_BYTES {
        assert_eq!(recognise(&opening[..length]), Recognition::More);
    }
    assert_eq!(recognise(&opening[..=PACKET_HEADER_BYTES]), Recognition::Yes);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_session(seed in any::<u64>()) {
        prop_assert_eq!(conversation().run_split(seed).what(), conversation().run().what());
    }

    #[test]
    fn any_bytes_are_taken(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..3),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..3),
        seed in any::<u64>(),
    ) {
        let mut started = client(&bob());
        let mut asked = client(&packet(TLS_REQUEST, b""));
        for bytes in messages {
            started = started.say(Destination, &bytes);
            asked = asked.say(Destination, &bytes);
        }
        for bytes in packets {
            asked = asked.say(Source, &bytes);
        }
        started.run_split(seed);
        asked.run_split(seed);
    }

    #[test]
    fn one_changed_byte_does_no_harm(place in 0usize..1000, byte in any::<u8>()) {
        let mut opening = bob();
        let place = place % opening.len();
        opening[place] = byte;
        client(&opening).say(Destination, &error()).run();
    }
}
