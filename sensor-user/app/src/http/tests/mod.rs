//! Conversations by hand, and laws that hold for any.

mod laws;
mod one;
mod two;

use super::Http;
use crate::{
    harness::{Conversation, Outcome, Sender},
    inspector::{Inspector, Payload},
    parser::{Failure, Opening, Parser, Recognition, Transport},
    privacy::Privacy,
};
use kflow::{
    AppProtocol, Application, FlowRecord,
    application::{Key, protocols::http},
};

/// A client's port and a server's.
fn conversation() -> Conversation {
    Conversation::tcp(40_000, 80)
}

fn text(application: &Application, key: Key) -> &str {
    application.text(key).unwrap_or("-")
}

/// One transaction in a line: method, target, status and the lengths of the bodies, in order of targets.
fn summary(outcome: &Outcome) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let mut lines: Vec<String> = outcome
        .transactions
        .iter()
        .map(|transaction| {
            let (method, url) = (text(transaction, http::METHOD), text(transaction, http::URL));
            let status = number(transaction.number(http::STATUS));
            let sent = number(transaction.number(http::REQUEST_BODY_BYTES));
            let received = number(transaction.number(http::RESPONSE_BODY_BYTES));
            format!("{method} {url} {status} {sent} {received}")
        })
        .collect();
    lines.sort();
    lines
}

fn failures(outcome: &Outcome, failure: Failure) -> u64 {
    outcome.counts.read(AppProtocol::Http).failures[failure as usize]
}

#[test]
fn ports_are_only_a_hint() {
    let recognise = |bytes: &[u8], transport, receiver_port| {
        let opening =
            Opening { bytes, transport, sender: Sender::Source, sender_port: 40_000, receiver_port };
        Http::recognise(&opening)
    };
    assert_eq!(recognise(b"GET /x HTTP/1.1\r\n", Transport::Tcp, 31_337), Recognition::Yes);
    assert_eq!(recognise(b"OPTIONS\nHost: a\n\n", Transport::Tcp, 31_337), Recognition::No);
    assert_eq!(recognise(b"OPTIONS\nHost: a\n\n", Transport::Tcp, 80), Recognition::Yes);
    assert_eq!(recognise(b"\x16\x03\x01", Transport::Tcp, 80), Recognition::No);
    assert_eq!(recognise(b"M-SEARCH * HTTP/1.1\r\n", Transport::Udp, 1900), Recognition::Yes);
    assert_eq!(recognise(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Transport::Udp, 80), Recognition::No);
}

#[test]
fn a_datagram_is_a_transaction_of_its_own() {
    let outcome = Conversation::udp(50_000, 1900)
        .say(
            Sender::Source,
            b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\r\n",
        )
        .say(Sender::Destination, b"HTTP/1.1 200 OK\r\nSERVER: device/1\r\nEXT:\r\n\r\n")
        .say(Sender::Source, b"NOTIFY * HTTP/1.1\r\nHOST: [ff02::c]:1900\r\nUser-Agent: no empty line")
        .say(Sender::Source, b"something else")
        .run();
    assert_eq!(summary(&outcome), ["- - 200 - -", "M-SEARCH * - - -", "NOTIFY * - - -"]);
    assert!(outcome.transactions.iter().any(|one| text(one, http::USER_AGENT) == "no empty line"));
    assert!(outcome.transactions.iter().any(|one| text(one, http::SERVER) == "device/1"));
    assert!(outcome.transactions.iter().all(|one| one.latency_us().is_none()));
    assert_eq!(failures(&outcome, Failure::Malformed), 1);
}

/// A packet over TCP: who sent it, what of it was captured, and its length and sequence number. It acknowledges all that
/// the other side has sent before.
type Packet<'a> = (Sender, &'a [u8], u32, u32);

/// What URLs, hosts, statuses and latencies come of packets of a connection whose start was seen or not.
fn inspect(packets: &[Packet<'_>], start: Option<u32>) -> Vec<(String, String, Option<u64>, Option<u32>)> {
    let mut inspector = Inspector::new(crate::harness::LIMITS, Privacy::default());
    let mut transactions = Vec::new();
    let mut sent = [None; 2];
    for (index, (sender, bytes, wire_bytes, sequence)) in packets.iter().enumerate() {
        sent[sender.index()] = Some(sequence.wrapping_add(*wire_bytes));
        let payload = Payload {
            slot: 0,
            is_fresh: index == 0,
            transport: Transport::Tcp,
            sender: *sender,
            sender_port: 80,
            receiver_port: 80,
            bytes,
            wire_bytes: *wire_bytes,
            sequence: *sequence,
            start,
            acknowledged: sent[sender.other().index()],
            time_ns: index as u64 * 1_000_000,
        };
        inspector.inspect(&payload, &mut |transaction| transactions.push(transaction.application));
    }
    let annotation = inspector.annotate(0, true, &FlowRecord::default(), &mut |_| {});
    assert_eq!(inspector.in_use(), [0; 3], "everything was given back");
    transactions.extend(annotation.application);
    let said = transactions.iter().map(|one| {
        let (url, host) = (text(one, http::URL).to_owned(), text(one, http::HOST).to_owned());
        (url, host, one.number(http::STATUS), one.latency_us())
    });
    let mut said: Vec<_> = said.collect();
    said.sort();
    said
}

#[test]
fn a_gap_ends_when_the_other_side_has_acknowledged_beyond_it() {
    let answer: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    let said = inspect(
        &[
            (Sender::Source, b"GET /one HTTP/1.1\r\n\r\n", 21, 0),
            // The first answer, of 38 bytes, is missing.
            (Sender::Source, b"GET /two HTTP/1.1\r\n\r\n", 21, 21),
            (Sender::Destination, answer, answer.len() as u32, 38),
            (Sender::Source, b"GET /three HTTP/1.1\r\n\r\n", 23, 42),
            (Sender::Destination, answer, answer.len() as u32, 38 + answer.len() as u32),
        ],
        Some(0),
    );
    let statuses: Vec<_> = said.iter().map(|(url, _, status, _)| (url.as_str(), *status)).collect();
    assert_eq!(statuses.iter().filter(|(_, status)| *status == Some(201)).count(), 2, "{statuses:?}");
}

/// Captures often keep the first bytes of each packet only.
#[test]
fn heads_that_the_capture_cut_say_what_they_can() {
    let said = inspect(
        &[
            (Sender::Source, b"GET /one HTTP/1.1\r\nHost: a.example\r\nUser-Ag", 500, 0),
            (Sender::Destination, b"HTTP/1.1 404 Not Found\r\nContent-Le", 1000, 0),
            (Sender::Source, b"GET /two HTT", 400, 500),
            (Sender::Destination, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 40, 1000),
        ],
        Some(0),
    );
    let one = ("/one".to_owned(), "a.example".to_owned(), Some(404), Some(1000));
    let two = ("/two".to_owned(), "-".to_owned(), Some(200), Some(1000));
    assert_eq!(said, [one, two]);
}

#[test]
fn a_byte_that_keeps_a_connection_alive_is_no_opening() {
    let request = b"GET /alive HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let said =
        inspect(&[(Sender::Source, b"\0", 1, 9), (Sender::Source, request, request.len() as u32, 10)], None);
    assert_eq!(said, [("/alive".to_owned(), "a.example".to_owned(), None, None)]);
}
