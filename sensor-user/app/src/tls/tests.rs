//! Sessions from the first record to the last that is in the clear.

use super::{
    builder::{Hello, certificate, certificate_list, long, message, record, server_hello, short},
    *,
};
use crate::{
    harness::{
        Conversation, Outcome,
        Sender::{Destination, Source},
    },
    pool::BUFFER_BYTES,
};
use kflow::Application;
use proptest::prelude::*;

const CHANGE: [u8; 6] = [20, 3, 3, 0, 1, 1];
const RANDOM: [u8; 32] = [7; 32];

fn hello() -> Vec<u8> {
    record(22, &Hello::usual("www.example.org").message())
}

fn encrypted(kind: u8) -> Vec<u8> {
    record(kind, &[0xa5; 40])
}

/// What a server of TLS 1.2 says first, as messages.
fn server_flight() -> Vec<Vec<u8>> {
    let alpn = (16, long(&short(b"h2")));
    let own = certificate(&[(12, b"Some CA")], &[(12, b"www.example.org")], &[(0x82, b"example.org")]);
    vec![
        message(2, &server_hello(0x0303, &RANDOM, 0xc02f, &[(0xff01, vec![0]), alpn])),
        message(11, &certificate_list(&[own, vec![0x30; 700]])),
        message(12, &[1; 300]),
        message(14, &[]),
    ]
}

fn server_hello_1_3(random: &[u8; 32]) -> Vec<u8> {
    record(22, &message(2, &server_hello(0x0303, random, 0x1301, &[(43, vec![3, 4]), (51, vec![0; 36])])))
}

fn tls_1_2() -> Conversation {
    let flight: Vec<u8> = server_flight().concat();
    Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &record(22, &flight))
        .say(Source, &[record(22, &message(16, &[2; 60])), CHANGE.to_vec(), encrypted(22)].concat())
        .say(Destination, &[CHANGE.to_vec(), encrypted(22)].concat())
        .say(Source, &encrypted(23))
}

fn tls_1_3() -> Conversation {
    Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &[server_hello_1_3(&RANDOM), CHANGE.to_vec(), encrypted(23)].concat())
        .say(Source, &[CHANGE.to_vec(), encrypted(23)].concat())
}

fn session(conversation: &Conversation) -> Application {
    conversation.run().session.unwrap()
}

fn failures(outcome: &Outcome, failure: Failure) -> u64 {
    outcome.counts.read(AppProtocol::Tls).failures[failure as usize]
}

fn all_failures(outcome: &Outcome) -> u64 {
    outcome.counts.read(AppProtocol::Tls).failures.iter().sum()
}

#[test]
fn a_session_of_tls_1_2_has_what_both_sides_said() {
    let outcome = tls_1_2().run();
    assert_eq!(all_failures(&outcome), 0);
    let session = outcome.session.unwrap();
    assert_eq!(session.text(tls::SERVER_NAME), Some("www.example.org"));
    assert_eq!(session.text(tls::ALPN), Some("h2,http/1.1"));
    assert_eq!(session.text(tls::CLIENT_VERSIONS), Some("772-771"));
    assert_eq!(session.text(tls::CLIENT_CIPHERS), Some("4865-49199-156"));
    // printf 771,4865-49199-156,0-10-11-13-16-43,29-23,0 | md5sum
    assert_eq!(session.text(tls::JA3), Some("528100259cb8f1a06d911dd07ce90fc5"));
    // printf 771,49199,65281-16 | md5sum
    assert_eq!(session.text(tls::JA3S), Some("7bee5c1d424b7e5f943b06983bb11422"));
    assert!(session.text(tls::JA4).unwrap().starts_with("t13d0306h2_"));
    assert_eq!(session.number(tls::CLIENT_VERSION), Some(0x0303));
    assert_eq!(session.number(tls::VERSION), Some(0x0303));
    assert_eq!(session.number(tls::CIPHER), Some(0xc02f));
    assert_eq!(session.text(tls::SELECTED_ALPN), Some("h2"));
    assert_eq!(session.text(tls::CERTIFICATE_NAMES), Some("www.example.org;example.org"));
    assert_eq!(session.text(tls::CERTIFICATE_ISSUER), Some("Some CA"));
    assert_eq!(session.number(tls::ALERT), None);
    assert_eq!(session.latency_us(), Some(1000));
}

#[test]
fn a_session_of_tls_1_3_is_known_with_the_server_hello() {
    let outcome = tls_1_3().run();
    assert_eq!(outcome.counts.read(AppProtocol::Tls).transactions, 1);
    let session = outcome.session.unwrap();
    assert_eq!(session.number(tls::VERSION), Some(0x0304));
    assert_eq!(session.number(tls::CIPHER), Some(0x1301));
    // printf 771,4865,43-51 | md5sum
    assert_eq!(session.text(tls::JA3S), Some("f4febc55ea12b31ae17cfb7e614afda8"));
    assert_eq!(session.text(tls::CERTIFICATE_NAMES), None);
    assert_eq!(session.latency_us(), Some(1000));
}

#[test]
fn of_two_hellos_the_clients_first_and_the_servers_last_count() {
    let retry = server_hello::RETRY_RANDOM;
    let outcome = Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &[server_hello_1_3(&retry), CHANGE.to_vec()].concat())
        .say(Source, &[CHANGE.to_vec(), record(22, &Hello::usual("other.example").message())].concat())
        .say(
            Destination,
            &record(22, &message(2, &server_hello(0x0303, &RANDOM, 0x1302, &[(43, vec![3, 4])]))),
        )
        .run();
    assert_eq!(all_failures(&outcome), 0);
    assert_eq!(outcome.counts.read(AppProtocol::Tls).transactions, 1);
    let session = outcome.session.unwrap();
    assert_eq!(session.text(tls::SERVER_NAME), Some("www.example.org"));
    assert_eq!(session.number(tls::CIPHER), Some(0x1302));
    assert_eq!(session.latency_us(), Some(1000), "until the server asked for another hello");
}

#[test]
fn a_session_that_is_resumed_has_no_certificate() {
    let server = [record(22, &server_flight()[0]), CHANGE.to_vec(), encrypted(22)].concat();
    let outcome = Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &server)
        .say(Source, &[CHANGE.to_vec(), encrypted(22)].concat())
        .run();
    assert_eq!(all_failures(&outcome), 0);
    let session = outcome.session.unwrap();
    assert_eq!(session.number(tls::VERSION), Some(0x0303));
    assert_eq!(session.text(tls::CERTIFICATE_NAMES), None);
}

#[test]
fn the_first_fatal_alert_in_the_clear_is_noted() {
    let unrecognised_name = record(21, &[1, 112]);
    let refused = Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &[unrecognised_name, record(21, &[2, 40])].concat());
    let refused = session(&refused);
    assert_eq!(refused.number(tls::ALERT), Some(40));
    assert_eq!(refused.latency_us(), None);
    let distrusted = Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &record(22, &server_flight().concat()))
        .say(Source, &record(21, &[2, 48]));
    assert_eq!(session(&distrusted).number(tls::ALERT), Some(48));
}

#[test]
fn a_client_is_known_by_its_hello_not_by_its_direction() {
    let turned =
        Conversation::tcp(443, 40_000).say(Destination, &hello()).say(Source, &server_hello_1_3(&RANDOM));
    assert_eq!(session(&turned).number(tls::VERSION), Some(0x0304));
}

#[test]
fn after_lines_of_another_protocol_tls_may_follow() {
    let mut conversation = Conversation::tcp(40_000, 143).say(Destination, b"* OK ready\r\n");
    for line in ["a CAPABILITY\r\n", "* CAPABILITY IMAP4\r\na OK\r\n", "b STARTTLS\r\n", "b OK\r\n"] {
        let sender = if line.starts_with('*') || line.ends_with("OK\r\n") { Destination } else { Source };
        conversation = conversation.say(sender, line.as_bytes());
    }
    let outcome = conversation.say(Source, &hello()).say(Destination, &server_hello_1_3(&RANDOM)).run();
    let session = outcome.session.unwrap();
    assert_eq!(session.text(tls::SERVER_NAME), Some("www.example.org"));
    assert_eq!(session.number(tls::VERSION), Some(0x0304));
}

#[test]
fn the_header_of_a_load_balancer_is_passed_over() {
    let line = b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n";
    let conversation = Conversation::tcp(40_000, 443).say(Source, &[line, &hello()[..]].concat());
    for seed in 0..20 {
        let session = conversation.run_split(seed).session.unwrap();
        assert_eq!(session.text(tls::SERVER_NAME), Some("www.example.org"));
    }
}

#[test]
fn of_a_server_alone_its_values_are_known() {
    let outcome = Conversation::tcp(443, 40_000).say(Source, &record(22, &server_flight().concat())).run();
    let session = outcome.session.unwrap();
    assert_eq!(session.number(tls::CIPHER), Some(0xc02f));
    assert_eq!(session.text(tls::CERTIFICATE_ISSUER), Some("Some CA"));
    assert_eq!(session.latency_us(), None);
}

#[test]
fn messages_in_records_of_any_size_are_the_same_messages() {
    let expected = tls_1_2().run().what();
    for size in [1, 2, 3, 5, 100, 1000] {
        let in_pieces = |messages: &[u8]| -> Vec<u8> {
            messages.chunks(size).flat_map(|piece| record(22, piece)).collect()
        };
        let outcome = Conversation::tcp(40_000, 443)
            .say(Source, &in_pieces(&Hello::usual("www.example.org").message()))
            .say(Destination, &in_pieces(&server_flight().concat()))
            .run();
        assert_eq!(outcome.what(), expected, "{size}");
    }
}

#[test]
fn a_hello_in_records_of_one_byte_stays_within_a_flows_budget() {
    let pieces: Vec<u8> =
        Hello::usual("www.example.org").message().iter().flat_map(|byte| record(22, &[*byte])).collect();
    let limits = crate::Limits { flows: 4, parsers: 4, drafts: 4, buffers: 4, ..crate::Limits::default() };
    let conversation = Conversation::tcp(40_000, 443).say(Source, &pieces).with_limits(limits);
    assert_eq!(session(&conversation).text(tls::SERVER_NAME), Some("www.example.org"));
}

#[test]
fn a_hello_that_is_longer_than_a_buffer_is_at_the_limit() {
    let fits = Hello::new(&[0x1301; 8000]).message();
    assert!(fits.len() < BUFFER_BYTES);
    let pieces: Vec<u8> = fits.chunks(10_000).flat_map(|piece| record(22, piece)).collect();
    let outcome = Conversation::tcp(40_000, 443).say(Source, &pieces).run();
    assert!(outcome.session.unwrap().text(tls::JA4).unwrap().starts_with("t12i9900"));

    let many = Hello::new(&[0x1301; 10_000]).message();
    let pieces: Vec<u8> = many.chunks(10_000).flat_map(|piece| record(22, piece)).collect();
    let outcome = Conversation::tcp(40_000, 443).say(Source, &pieces).run();
    assert_eq!(failures(&outcome, Failure::Limit), 1);
}

#[test]
fn of_a_chain_that_is_longer_than_a_buffer_the_first_certificate_is_read() {
    let own = certificate(&[], &[(12, b"www.example.org")], &[]);
    let chain = message(11, &certificate_list(&[own, vec![0x30; 30_000]]));
    let records: Vec<u8> = chain.chunks(16_000).flat_map(|piece| record(22, piece)).collect();
    let outcome = Conversation::tcp(40_000, 443)
        .say(Source, &hello())
        .say(Destination, &[record(22, &server_flight()[0]), records].concat())
        .run();
    assert_eq!(all_failures(&outcome), 0);
    assert_eq!(outcome.session.unwrap().text(tls::CERTIFICATE_NAMES), Some("www.example.org"));
}

#[test]
fn a_record_without_a_message_of_the_protocol_is_malformed() {
    let wrong: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &record(22, &message(99, b"?")),
        &[22, 3, 3, 0xff, 0xff],
        &record(22, &message(2, &[3])),
    ];
    for answer in wrong {
        let outcome = Conversation::tcp(40_000, 443).say(Source, &hello()).say(Destination, answer).run();
        assert_eq!(failures(&outcome, Failure::Malformed), 1, "{answer:?}");
        assert_eq!(outcome.session.unwrap().text(tls::SERVER_NAME), Some("www.example.org"));
    }
}

#[test]
fn what_only_looks_like_a_hello_at_first_is_none() {
    let openings: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n",
        &[22, 3, 1, 0, 50, 11, 0, 0, 46],
        &[22, 2, 1, 0, 50, 1, 0, 0, 46],
        &[22, 3, 1, 0, 50, 1, 0, 0, 5],
        &[22, 3, 1, 0xff, 50, 1, 0, 0, 46],
        &[0x80, 46, 1, 3, 1, 0, 3, 0, 0, 0, 9],
    ];
    for opening in openings {
        let outcome = Conversation::tcp(40_000, 443).say(Source, opening).run();
        assert_ne!(outcome.protocol, Some(AppProtocol::Tls), "{opening:?}");
    }
}

#[test]
fn a_client_may_greet_as_ssl_2_0_did_and_go_on_with_tls() {
    let ciphers = [0, 0, 0x2f, 0, 0, 0x35, 1, 0, 0x80];
    let body = [&[1, 3, 1, 0, 9, 0, 0, 0, 16][..], &ciphers, &[8; 16]].concat();
    let hello = [&[0x80, body.len() as u8][..], &body].concat();
    let flight = server_flight().concat();
    let conversation =
        Conversation::tcp(40_000, 443).say(Source, &hello).say(Destination, &record(22, &flight));
    let session = session(&conversation);
    assert_eq!(session.number(tls::CLIENT_VERSION), Some(0x0301));
    assert_eq!(session.text(tls::CLIENT_CIPHERS), Some("47-53-65664"));
    assert_eq!(session.text(tls::JA3), None);
    assert_eq!(session.number(tls::VERSION), Some(0x0303));
    assert_eq!(session.latency_us(), Some(1000));

    let own = certificate(&[(12, b"Some CA")], &[(12, b"old.example")], &[]);
    let start = [&[4, 0, 1, 0, 2][..], &(own.len() as u16).to_be_bytes(), &[0, 3, 0, 16]].concat();
    let answer = [start, own, vec![1, 0, 0x80], vec![6; 16]].concat();
    let record = [&(answer.len() as u16 | 0x8000).to_be_bytes()[..], &answer].concat();
    let conversation = Conversation::tcp(40_000, 443).say(Source, &hello).say(Destination, &record);
    let session = self::session(&conversation);
    assert_eq!(session.number(tls::VERSION), Some(2));
    assert_eq!(session.text(tls::CERTIFICATE_NAMES), Some("old.example"));
}

#[test]
fn without_a_buffer_a_message_over_several_records_is_at_the_limit() {
    let pieces: Vec<u8> =
        Hello::usual("www.example.org").message().chunks(50).flat_map(|piece| record(22, piece)).collect();
    let limits = crate::Limits { flows: 4, parsers: 4, drafts: 4, buffers: 0, ..crate::Limits::default() };
    let outcome = Conversation::tcp(40_000, 443).say(Source, &pieces).with_limits(limits).run();
    assert_eq!(failures(&outcome, Failure::Limit), 1);
    assert_eq!(outcome.counts.shed_buffers, 1);
}

#[test]
fn the_state_of_a_flow_is_small() {
    assert!(size_of::<Tls>() <= 96);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_session(seed in any::<u64>()) {
        prop_assert_eq!(tls_1_2().run_split(seed).what(), tls_1_2().run().what());
        prop_assert_eq!(tls_1_3().run_split(seed).what(), tls_1_3().run().what());
    }

    #[test]
    fn any_bytes_after_a_hello_are_taken(
        client in prop::collection::vec(any::<u8>(), 0..200),
        server in prop::collection::vec(any::<u8>(), 0..200),
        seed in any::<u64>(),
    ) {
        Conversation::tcp(40_000, 443)
            .say(Source, &hello())
            .say(Source, &client)
            .say(Destination, &server)
            .run_split(seed);
    }

    #[test]
    fn any_records_and_messages_are_taken(
        contents in prop::collection::vec((20u8..25, 0u8..25, prop::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..8),
        seed in any::<u64>(),
    ) {
        let mut conversation = Conversation::tcp(40_000, 443).say(Source, &hello());
        for (kind, message_kind, body, is_client) in contents {
            let sender = if is_client { Source } else { Destination };
            conversation = conversation.say(sender, &record(kind, &message(message_kind, &body)));
        }
        conversation.run_split(seed);
    }

    #[test]
    fn a_damaged_conversation_is_taken(place in 0usize..1700, byte in any::<u8>(), seed in any::<u64>()) {
        let mut flight = record(22, &server_flight().concat());
        let place = place % flight.len();
        flight[place] = byte;
        Conversation::tcp(40_000, 443).say(Source, &hello()).say(Destination, &flight).run_split(seed);
    }
}
