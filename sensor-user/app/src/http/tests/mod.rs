//! Conversations by hand, and laws that hold for any.

mod laws;
mod one;
mod two;

use super::Http;
use crate::{
    harness::{Conversation, Outcome, Sender},
    parser::{Failure, Opening, Parser, Recognition, Transport},
};
use kflow::{
    AppProtocol, Application,
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
