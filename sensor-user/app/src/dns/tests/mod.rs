//! Conversations, and what comes of them.

mod laws;

use super::{
    build::{A, AAAA, ANSWER, AXFR, Build, CNAME, IN, PTR, SOA, SRV, TXT, conversations, piece, wire},
    message::flag,
    outstanding::QUERIES_MAX,
};
use crate::{
    harness::{Conversation, STEP_NS},
    limits::Limits,
    parser::{Failure, Sender::*, Transport},
};
use kflow::application::{AppProtocol, Application, protocols::dns};

const STEP_US: u32 = (STEP_NS / 1000) as u32;

fn udp() -> Conversation {
    Conversation::udp(40_000, 53)
}

fn only(transactions: &[Application]) -> &Application {
    assert_eq!(transactions.len(), 1, "{transactions:?}");
    &transactions[0]
}

fn query(id: u16) -> Vec<u8> {
    Build::query(id, "www.example.com", A).bytes()
}

fn answer(id: u16) -> Vec<u8> {
    Build::answer(id, "www.example.com", A).says(A, 300, &[192, 0, 2, 1]).bytes()
}

#[test]
fn a_query_and_its_answer_are_one_transaction() {
    let query = Build::query(0x1234, "www.Example.com", A).edns(1232, 0, 0x8000).bytes();
    let answer = Build::answer(0x1234, "www.example.com", A)
        .says(CNAME, 60, &[&piece(b"web")[..], &[0xC0, 16]].concat())
        .record(ANSWER, &[0xC0, 45], A, IN, 300, &[192, 0, 2, 7])
        .says(AAAA, 301, &[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        .edns(512, 0, 0)
        .bytes();
    let outcome = udp().say(Source, &query).say(Destination, &answer).run();
    assert_eq!(outcome.protocol, Some(AppProtocol::Dns));
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.latency_us(), Some(STEP_US));
    assert_eq!(transaction.text(dns::QUERY), Some("www.Example.com"));
    assert_eq!(transaction.text(dns::ANSWERS), Some("web.example.com/CNAME;192.0.2.7/A;2001:db8::1/AAAA"));
    assert_eq!(transaction.text(dns::ANSWER_TTLS), Some("60;300;301"));
    let numbers = [
        (dns::ID, 0x1234),
        (dns::QUERY_TYPE, 1),
        (dns::QUERY_CLASS, 1),
        (dns::RCODE, 0),
        (dns::FLAGS, 0x8100),
        (dns::QUESTION_COUNT, 1),
        (dns::ANSWER_COUNT, 3),
        (dns::EDNS_UDP_BYTES, 1232),
        (dns::EDNS_FLAGS, 0x8000),
    ];
    for (key, number) in numbers {
        assert_eq!(transaction.number(key), Some(number), "{key:?}");
    }
    assert_eq!(transaction.number(dns::REPEATED_QUERIES), None);
}

#[test]
fn answers_find_their_queries_in_any_order() {
    let outcome = udp()
        .say(Source, &query(1))
        .say(Source, &query(2))
        .say(Destination, &answer(2))
        .say(Destination, &answer(1))
        .run();
    let latencies: Vec<_> = outcome.transactions.iter().map(Application::latency_us).collect();
    assert_eq!(latencies.len(), 2);
    assert!(latencies.contains(&Some(STEP_US)) && latencies.contains(&Some(3 * STEP_US)), "{latencies:?}");
}

#[test]
fn a_repeated_query_is_the_same_transaction_and_waits_from_the_first_time() {
    let outcome = udp()
        .say(Source, &query(1))
        .say(Source, &query(1))
        .say(Source, &query(1))
        .say(Destination, &answer(1))
        .run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.number(dns::REPEATED_QUERIES), Some(2));
    assert_eq!(transaction.latency_us(), Some(3 * STEP_US));
}

#[test]
fn another_question_with_the_same_identifier_is_another_query() {
    let other = Build::query(1, "www.example.net", A).bytes();
    let outcome = udp().say(Source, &query(1)).say(Source, &other).say(Destination, &answer(1)).run();
    assert_eq!(outcome.transactions.len(), 2);
    let answered =
        outcome.transactions.iter().find(|transaction| transaction.latency_us().is_some()).unwrap();
    assert_eq!(answered.text(dns::QUERY), Some("www.example.com"));
}

#[test]
fn a_query_does_not_answer_the_query_of_the_other_side() {
    let outcome = udp().say(Source, &query(1)).say(Destination, &query(1)).say(Source, &answer(1)).run();
    let latencies: Vec<_> = outcome.transactions.iter().map(Application::latency_us).collect();
    assert_eq!(latencies.len(), 2);
    assert!(latencies.contains(&None) && latencies.contains(&Some(STEP_US)));
}

#[test]
fn an_answer_without_its_query_is_a_transaction_without_latency() {
    let outcome = udp().say(Destination, &answer(1)).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.latency_us(), None);
    assert_eq!(transaction.text(dns::QUERY), Some("www.example.com"));
    assert_eq!(transaction.text(dns::ANSWERS), Some("192.0.2.1/A"));
    assert_eq!(outcome.counts.read(AppProtocol::Dns).unanswered, 0);
}

#[test]
fn an_answer_without_a_question_answers_by_its_identifier() {
    let refused = Build::new(1, flag::RESPONSE | 5).bytes();
    let outcome = udp().say(Source, &query(1)).say(Destination, &refused).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.number(dns::RCODE), Some(5));
    assert_eq!(transaction.latency_us(), Some(STEP_US));
    assert_eq!(transaction.text(dns::QUERY), Some("www.example.com"));
}

#[test]
fn the_oldest_query_goes_without_answer_if_too_many_wait() {
    let count = QUERIES_MAX as u16 + 3;
    let queries = (0..count).fold(udp(), |conversation, id| conversation.say(Source, &query(id)));
    let outcome = queries.say(Destination, &answer(0)).say(Destination, &answer(count - 1)).run();
    // The answer to the one that went is by itself.
    assert_eq!(outcome.transactions.len(), usize::from(count) + 1);
    let unanswered = outcome.counts.read(AppProtocol::Dns).unanswered;
    assert_eq!(unanswered, u64::from(count) - 1);
    let first = &outcome.transactions[..3];
    let ids: Vec<_> = first.iter().map(|transaction| transaction.number(dns::ID)).collect();
    assert!(ids.contains(&Some(1)) && ids.contains(&Some(2)), "{ids:?}");
}

#[test]
fn without_drafts_queries_are_shed_and_their_answers_with_them() {
    let limits = Limits { drafts: 1, ..Limits { flows: 4, parsers: 4, buffers: 1, ..Limits::default() } };
    let outcome = udp()
        .with_limits(limits)
        .say(Source, &query(1))
        .say(Source, &query(2))
        .say(Destination, &answer(2))
        .say(Destination, &answer(1))
        .run();
    assert_eq!(only(&outcome.transactions).number(dns::ID), Some(1));
    assert_eq!(outcome.counts.read(AppProtocol::Dns).shed_drafts, 1);
}

#[test]
fn the_response_code_has_the_upper_bits_of_edns() {
    let bad_version = Build::answer(1, "example.com", A).edns(512, 1, 0).bytes();
    let outcome = udp().say(Destination, &bad_version).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.number(dns::RCODE), Some(16));
    assert_eq!(transaction.number(dns::EDNS_UDP_BYTES), None, "it is not the query's");
}

#[test]
fn of_several_questions_the_first_is_told() {
    let query = Build::query(1, "one.example", A).question(&wire("two.example"), AAAA, IN).bytes();
    let outcome = udp().say(Source, &query).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.text(dns::QUERY), Some("one.example"));
    assert_eq!(transaction.number(dns::QUESTION_COUNT), Some(2));
}

#[test]
fn updates_and_notifications_are_told_as_far_as_they_ask() {
    for opcode in [4, 5] {
        let request = Build::new(1, opcode << 11).question(&wire("example.com"), SOA, IN);
        let response = Build::new(1, flag::RESPONSE | opcode << 11).question(&wire("example.com"), SOA, IN);
        let outcome = udp().say(Source, &request.bytes()).say(Destination, &response.bytes()).run();
        let transaction = only(&outcome.transactions);
        assert_eq!(transaction.text(dns::QUERY), Some("example.com"));
        assert_eq!(transaction.latency_us(), Some(STEP_US));
    }
}

#[test]
fn an_unknown_operation_is_unsupported() {
    let strange = Build::new(1, 9 << 11).question(&wire("example.com"), A, IN).bytes();
    let outcome = udp().say(Source, &query(1)).say(Source, &strange).run();
    assert_eq!(outcome.counts.read(AppProtocol::Dns).failures[Failure::Unsupported as usize], 1);
}

#[test]
fn counts_that_lie_are_a_failure_and_what_is_there_is_told() {
    let mut lying = answer(1);
    lying[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
    let outcome = udp().say(Source, &query(1)).say(Destination, &lying).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.text(dns::ANSWERS), Some("192.0.2.1/A"));
    assert_eq!(transaction.number(dns::ANSWER_COUNT), Some(65_535));
    assert_eq!(outcome.counts.read(AppProtocol::Dns).failures[Failure::Malformed as usize], 1);
}

#[test]
fn a_server_may_cut_its_answer_where_it_wants() {
    let whole =
        Build::answer(1, "www.example.com", A).says(A, 1, &[192, 0, 2, 1]).says(A, 2, &[192, 0, 2, 2]);
    let mut cut = whole.bytes();
    cut[2] |= (flag::TRUNCATED >> 8) as u8;
    cut.truncate(cut.len() - 3);
    let outcome = udp().say(Source, &query(1)).say(Destination, &cut).run();
    assert_eq!(only(&outcome.transactions).text(dns::ANSWERS), Some("192.0.2.1/A"));
    assert_eq!(outcome.counts.read(AppProtocol::Dns).failures, [0; 5]);
}

#[test]
fn names_that_loop_are_malformed() {
    let looping = Build::new(1, 0).question(&[1, b'a', 0xC0, 12], A, IN).bytes();
    let outcome = udp().say(Source, &query(1)).say(Source, &looping).run();
    assert_eq!(outcome.counts.read(AppProtocol::Dns).failures[Failure::Malformed as usize], 1);
    assert_eq!(outcome.transactions.len(), 1);
}

#[test]
fn long_answers_are_cut_and_their_times_to_live_are_not() {
    let many = (0..40u32)
        .fold(Build::answer(1, "example.com", TXT), |build, ttl| build.says(TXT, ttl, &piece(&TXT_255)));
    let outcome = udp().say(Destination, &many.bytes()).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.text(dns::ANSWER_TTLS).unwrap().split(';').count(), 40);
    let answers = transaction.text(dns::ANSWERS).unwrap();
    assert!((3000..4096).contains(&answers.len()), "{}", answers.len());
    assert_eq!(outcome.counts.read(AppProtocol::Dns).texts_cut, 1);
}

const TXT_255: [u8; 255] = [b't'; 255];

#[test]
fn every_multicast_message_is_a_transaction() {
    const CACHE_FLUSH: u16 = 0x8000;
    let instance = [&piece(b"Room 2.1")[..], &wire("_ipp._tcp.local")].concat();
    let query = Build::new(0, 0).question(&wire("_ipp._tcp.local"), PTR, 0x8000 | IN).bytes();
    let answer = Build::new(0, flag::RESPONSE | flag::AUTHORITATIVE)
        .record(ANSWER, &instance, SRV, CACHE_FLUSH | IN, 120, &[0, 0, 0, 0, 2, 0x77, 1, b'p', 0])
        .bytes();
    let outcome =
        Conversation::udp(5353, 5353).say(Source, &query).say(Source, &answer).say(Source, &query).run();
    assert_eq!(outcome.protocol, Some(AppProtocol::Mdns));
    let names: Vec<_> = outcome.transactions.iter().map(|transaction| transaction.text(dns::QUERY)).collect();
    assert_eq!(names.iter().filter(|name| **name == Some("_ipp._tcp.local")).count(), 2);
    let answer =
        outcome.transactions.iter().find(|transaction| transaction.text(dns::ANSWERS).is_some()).unwrap();
    assert_eq!(answer.text(dns::QUERY), Some("Room 2.1._ipp._tcp.local"));
    assert_eq!(answer.text(dns::ANSWERS), Some("0 0 631 p/SRV"));
    assert_eq!(answer.number(dns::QUERY_TYPE), Some(33));
    assert!(outcome.transactions.iter().all(|transaction| transaction.number(dns::QUERY_CLASS) == Some(1)));
    assert_eq!(outcome.counts.read(AppProtocol::Mdns).unanswered, 2);
    assert_eq!(outcome.counts.read(AppProtocol::Mdns).flows, 1);
    assert_eq!(outcome.counts.read(AppProtocol::Dns).flows, 0);
}

#[test]
fn the_port_tells_link_local_names_and_the_wish_for_recursion_tells_plain_dns() {
    let local = Build::new(1, 0).question(&wire("printer"), A, IN).bytes();
    let protocol = |port, query: &[u8]| Conversation::udp(40_000, port).say(Source, query).run().protocol;
    assert_eq!(protocol(5355, &local), Some(AppProtocol::Llmnr));
    assert_eq!(protocol(5353, &local), Some(AppProtocol::Mdns));
    assert_eq!(protocol(5353, &query(1)), Some(AppProtocol::Dns));
}

#[test]
fn messages_of_a_stream_pair_like_datagrams() {
    let query = Build::query(7, "example.com", A).framed();
    let answer = Build::answer(7, "example.com", A).says(A, 1, &[192, 0, 2, 1]).framed();
    let outcome = Conversation::tcp(40_000, 53).say(Source, &query).say(Destination, &answer).run();
    let transaction = only(&outcome.transactions);
    assert_eq!(transaction.latency_us(), Some(STEP_US));
    assert_eq!(transaction.text(dns::ANSWERS), Some("192.0.2.1/A"));
}

#[test]
fn a_zone_transfer_is_one_transaction() {
    let query = Build::query(7, "example.com", AXFR).framed();
    let first = Build::answer(7, "example.com", AXFR).says(A, 1, &[192, 0, 2, 1]).framed();
    let next = Build::new(7, flag::RESPONSE).record(ANSWER, &wire("a.example"), A, IN, 1, &[192, 0, 2, 2]);
    let outcome = Conversation::tcp(40_000, 53)
        .say(Source, &query)
        .say(Destination, &first)
        .say(Destination, &next.clone().framed())
        .say(Destination, &next.framed())
        .run();
    assert_eq!(only(&outcome.transactions).text(dns::ANSWERS), Some("192.0.2.1/A"));
}

#[test]
fn of_a_long_message_of_a_stream_the_beginning_is_told() {
    let long =
        (0..200).fold(Build::answer(7, "example.com", TXT), |build, _| build.says(TXT, 5, &piece(&TXT_255)));
    let outcome = Conversation::tcp(40_000, 53)
        .say(Source, &Build::query(7, "example.com", TXT).framed())
        .say(Destination, &long.framed())
        .say(Source, &Build::query(8, "example.com", A).framed())
        .say(Destination, &Build::answer(8, "example.com", A).framed())
        .run();
    assert_eq!(outcome.transactions.len(), 2);
    assert!(outcome.transactions.iter().all(|transaction| transaction.latency_us() == Some(STEP_US)));
    assert_eq!(outcome.counts.read(AppProtocol::Dns).failures, [0; 5]);
}

#[test]
fn every_type_of_record_in_the_seeds_is_told() {
    for (transport, messages) in conversations() {
        let conversation = match transport {
            Transport::Udp => udp(),
            Transport::Tcp => Conversation::tcp(40_000, 53),
        };
        let said = messages.iter();
        let outcome =
            said.fold(conversation, |conversation, (sender, bytes)| conversation.say(*sender, bytes)).run();
        assert_eq!(outcome.counts.read(AppProtocol::Dns).failures, [0; 5]);
        for transaction in outcome.transactions {
            assert!(transaction.number(dns::RCODE).is_some() || transaction.text(dns::ANSWERS).is_none());
            assert!(!transaction.text(dns::ANSWERS).unwrap_or_default().contains(r"\#"), "{transaction:?}");
        }
    }
}
