//! Calls between made-up telephones.

use super::*;
use crate::{
    Limits,
    harness::{Conversation, Outcome, STEP_NS, Sender::*},
};
use kflow::application::protocols::sip;
use proptest::prelude::*;
use transactions::WAITING_MAX;

/// A message: its start line, the headers that all of one transaction share, further lines, and a body.
fn message(start: &str, cseq: &str, lines: &[&str], body: &str) -> Vec<u8> {
    let branch = cseq.replace(' ', "");
    let further: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{start}\r\nVia: SIP/2.0/UDP host.example;rport;branch=z9hG4bK{branch}\r\n\
         From: \"Bob\" <sip:bob@example>;tag=1\r\nTo: <sip:alice@example>\r\nCall-ID: call@example\r\n\
         CSeq: {cseq}\r\n{further}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn request(cseq: &str) -> Vec<u8> {
    let method = cseq.split(' ').nth(1).unwrap();
    message(&format!("{method} sip:alice@example SIP/2.0"), cseq, &["User-Agent: phone/1"], "v=0\r\n")
}

fn answer(status: &str, cseq: &str) -> Vec<u8> {
    message(&format!("SIP/2.0 {status}"), cseq, &["Server: exchange/1"], "")
}

/// What is said in a call, each side's turn by itself.
fn turns() -> [(Sender, Vec<Vec<u8>>); 5] {
    [
        (Source, vec![request("1 INVITE")]),
        (Destination, vec![answer("100 Trying", "1 INVITE"), answer("180 Ringing", "1 INVITE")]),
        (Destination, vec![answer("200 OK", "1 INVITE")]),
        (Source, vec![request("1 ACK"), request("2 BYE")]),
        (Destination, vec![answer("200 OK", "2 BYE")]),
    ]
}

fn call_in_datagrams() -> Conversation {
    let messages =
        turns().into_iter().flat_map(|(sender, messages)| messages.into_iter().map(move |m| (sender, m)));
    messages.fold(Conversation::udp(40_000, 5060), |call, (sender, message)| call.say(sender, &message))
}

fn call_in_a_stream() -> Conversation {
    turns().into_iter().fold(Conversation::tcp(40_000, 5060), |call, (sender, messages)| {
        call.say(sender, &messages.join(&b"\r\n\r\n"[..]))
    })
}

fn datagrams(messages: &[(Sender, Vec<u8>)]) -> Outcome {
    let start = Conversation::udp(5060, 5060);
    messages.iter().fold(start, |call, (sender, message)| call.say(*sender, message)).run()
}

fn failures(outcome: &Outcome) -> [u64; 5] {
    outcome.counts.read(AppProtocol::Sip).failures
}

fn failed(failure: Failure) -> [u64; 5] {
    Failure::ALL.map(|other| u64::from(other == failure))
}

/// Method and status of transactions, in the order of the methods.
fn told(outcome: &Outcome) -> Vec<(Option<&str>, Option<u64>)> {
    let mut told: Vec<_> = outcome
        .transactions
        .iter()
        .map(|transaction| (transaction.text(sip::METHOD), transaction.number(sip::STATUS)))
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn a_call_is_an_invitation_and_a_farewell_with_their_final_answers() {
    for call in [call_in_datagrams(), call_in_a_stream()] {
        let outcome = call.run();
        assert_eq!(outcome.protocol, Some(AppProtocol::Sip));
        assert_eq!(told(&outcome), [(Some("BYE"), Some(200)), (Some("INVITE"), Some(200))]);
        assert_eq!(failures(&outcome), [0; 5]);
        let invite =
            outcome.transactions.iter().find(|call| call.text(sip::METHOD) == Some("INVITE")).unwrap();
        assert_eq!(invite.text(sip::URI), Some("sip:alice@example"));
        assert_eq!(invite.text(sip::FROM), Some("\"Bob\" <sip:bob@example>;tag=1"));
        assert_eq!(invite.text(sip::TO), Some("<sip:alice@example>"));
        assert_eq!(invite.text(sip::USER_AGENT), Some("phone/1"));
        assert_eq!(invite.text(sip::CALL_ID), Some("call@example"));
        assert_eq!(invite.latency_us(), Some((STEP_NS / 1000) as u32), "to the first answer");
    }
}

#[test]
fn headers_are_read_by_their_compact_names_and_over_several_lines() {
    let invite = b"INVITE tel:+1 SIP/2.0\nv: SIP/2.0/UDP a\nf: Bob\r\n <sip:bob@example>\n\t;tag=1\nT : sip:alice@example\n\
        no header\ni:c1\ncseq: 7\r\n INVITE\nuser-agent:\nFROM: sip:late@example\nl: 0\n\n";
    let ok = b"SIP/2.0 200\r\nCall-Id: c1\r\nCSeq: 7 INVITE\r\n\r\n";
    let outcome = datagrams(&[(Source, invite.to_vec()), (Destination, ok.to_vec())]);
    let [call] = &outcome.transactions[..] else { panic!("{outcome:?}") };
    assert_eq!(call.text(sip::FROM), Some("Bob <sip:bob@example> ;tag=1"));
    assert_eq!(call.text(sip::TO), Some("sip:alice@example"));
    assert_eq!(call.text(sip::CALL_ID), Some("c1"));
    assert_eq!(call.text(sip::USER_AGENT), Some(""));
    assert_eq!(call.text(sip::URI), Some("tel:+1"));
    assert_eq!(call.number(sip::STATUS), Some(200));
}

#[test]
fn requests_of_both_sides_with_equal_numbers_keep_their_own_answers() {
    let plain =
        |start: &str, method: &str| format!("{start}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n").into_bytes();
    let outcome = datagrams(&[
        (Source, plain("OPTIONS sip:a SIP/2.0", "OPTIONS")),
        (Destination, plain("OPTIONS sip:b SIP/2.0", "OPTIONS")),
        (Source, plain("SIP/2.0 404 Not Found", "OPTIONS")),
        (Destination, plain("SIP/2.0 200 OK", "OPTIONS")),
    ]);
    let status_of = |uri| {
        let found = outcome.transactions.iter().find(|transaction| transaction.text(sip::URI) == Some(uri));
        found.and_then(|transaction| transaction.number(sip::STATUS))
    };
    assert_eq!((status_of("sip:a"), status_of("sip:b")), (Some(200), Some(404)));
}

#[test]
fn a_call_that_is_cancelled_is_two_transactions() {
    let outcome = datagrams(&[
        (Source, request("1 INVITE")),
        (Destination, answer("100 Trying", "1 INVITE")),
        (Source, request("1 CANCEL")),
        (Destination, answer("200 OK", "1 CANCEL")),
        (Destination, answer("487 Request Terminated", "1 INVITE")),
        (Source, request("1 ACK")),
    ]);
    assert_eq!(told(&outcome), [(Some("CANCEL"), Some(200)), (Some("INVITE"), Some(487))]);
}

#[test]
fn repetitions_are_passed_over() {
    let outcome = datagrams(&[
        (Source, request("1 REGISTER")),
        (Source, request("1 REGISTER")),
        (Destination, answer("401 Unauthorized", "1 REGISTER")),
        (Destination, answer("401 Unauthorized", "1 REGISTER")),
        (Source, request("1 REGISTER")),
        (Source, request("2 REGISTER")),
        (Destination, answer("200 OK", "2 REGISTER")),
    ]);
    assert_eq!(told(&outcome), [(Some("REGISTER"), Some(200)), (Some("REGISTER"), Some(401))]);
}

#[test]
fn without_a_final_answer_the_latest_one_counts_and_without_any_none() {
    let outcome = datagrams(&[
        (Source, request("1 INVITE")),
        (Destination, answer("100 Trying", "1 INVITE")),
        (Destination, answer("183 Session Progress", "1 INVITE")),
        (Source, request("2 OPTIONS")),
    ]);
    assert_eq!(told(&outcome), [(Some("INVITE"), Some(183)), (Some("OPTIONS"), None)]);
    assert_eq!(outcome.counts.read(AppProtocol::Sip).unanswered, 1);
}

#[test]
fn answers_alone_are_a_transaction_of_unknown_latency() {
    let outcome = datagrams(&[
        (Source, answer("180 Ringing", "1 INVITE")),
        (Source, answer("200 OK", "1 INVITE")),
        (Source, answer("200 OK", "1 INVITE")),
    ]);
    assert_eq!(told(&outcome), [(Some("INVITE"), Some(200))]);
    assert_eq!(outcome.transactions[0].latency_us(), None);
    assert_eq!(outcome.transactions[0].text(sip::URI), None);
}

#[test]
fn beyond_what_may_wait_the_oldest_goes_out_and_may_still_be_answered() {
    let count = WAITING_MAX + 1;
    let mut messages: Vec<_> = (0..count).map(|call| (Source, request(&format!("{call} INVITE")))).collect();
    messages.push((Destination, answer("180 Ringing", "100 INVITE")));
    messages.extend((0..count).map(|call| (Destination, answer("486 Busy Here", &format!("{call} INVITE")))));
    let outcome = datagrams(&messages);
    let told = told(&outcome);
    assert_eq!(told.len(), count + 1);
    assert_eq!(told.iter().filter(|(_, status)| *status == Some(486)).count(), count);
    assert_eq!(failures(&outcome), failed(Failure::Limit));
}

#[test]
fn without_room_for_drafts_transactions_are_shed_as_a_whole() {
    let limits = Limits { flows: 1, parsers: 1, drafts: 0, buffers: 1, ..Limits::default() };
    let outcome = call_in_datagrams().with_limits(limits).run();
    assert!(outcome.transactions.is_empty());
    assert_eq!(outcome.counts.read(AppProtocol::Sip).shed_drafts, 2);
}

#[test]
fn datagrams_that_keep_the_path_open_are_no_messages() {
    let outcome = datagrams(&[
        (Source, request("1 OPTIONS")),
        (Source, b"\r\n\r\n".to_vec()),
        (Source, b"\0\0\0\0".to_vec()),
        (Destination, [b"\r\n".to_vec(), answer("200 OK", "1 OPTIONS")].concat()),
    ]);
    assert_eq!(told(&outcome), [(Some("OPTIONS"), Some(200))]);
    assert_eq!(failures(&outcome), [0; 5]);
}

#[test]
fn a_datagram_that_is_no_message_is_malformed_and_the_next_one_is_read() {
    let endless = [b"SIP/2.0 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(4000)].concat();
    let outcome = datagrams(&[
        (Source, request("1 OPTIONS")),
        (Destination, b"SIP/2.0 20 OK\r\n\r\n".to_vec()),
        (Destination, endless),
        (Destination, answer("200 OK", "1 OPTIONS")),
    ]);
    assert_eq!(told(&outcome), [(Some("OPTIONS"), Some(200))]);
    let expected = Failure::ALL.map(|other| u64::from([Failure::Malformed, Failure::Limit].contains(&other)));
    assert_eq!(failures(&outcome), expected);
}

#[test]
fn a_stream_of_endless_headers_or_with_a_length_that_is_none_is_not_followed() {
    let endless = [b"SIP/2.0 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(4000)].concat();
    let stream = |bytes: &[u8]| Conversation::tcp(40_000, 5060).say(Source, bytes).run();
    assert_eq!(failures(&stream(&endless)), failed(Failure::Limit));
    for length in ["-1", "x", "", "99999999999999999999999"] {
        let lie = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(failures(&stream(lie.as_bytes())), failed(Failure::Malformed), "{length}");
    }
    let longest = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {}\r\n\r\nrest", u64::MAX);
    assert_eq!(told(&stream(longest.as_bytes())), [(Some("OPTIONS"), None)]);
    let other = [request("1 OPTIONS"), b"HTTP/1.1 200 OK\r\n".to_vec()].concat();
    assert_eq!(failures(&stream(&other)), failed(Failure::Malformed));
}

#[test]
fn start_lines_are_told_from_those_of_other_protocols() {
    let recognise = message::recognise;
    for yes in
        ["INVITE sip:a SIP/2.0\r\n", "X urn:service:sos sip/2.0\n", "SIP/2.0 699\r\n", "SIP/2.0 100 Trying\n"]
    {
        assert_eq!(recognise(yes.as_bytes()), Recognition::Yes, "{yes}");
        for length in 0..yes.len() {
            assert_eq!(recognise(&yes.as_bytes()[..length]), Recognition::More, "{yes}");
        }
    }
    let long = format!("INVITE sip:{} SIP/2.0\r\n", "a".repeat(3000));
    for no in [
        "GET http://a/ HTTP/1.1\r\n",
        "OPTIONS rtsp://a RTSP/1.0\r\n",
        "OPTIONS *",
        "EHLO a\r\n",
        "SIP/2.0 700 No\r\n",
        "SIP/2.0 1000\r\n",
        "SIP/3.0",
        "invite sip:a SIP/2.0\r\n",
        "INVITE sip:a\x01",
        " sip:a SIP/2.0\r\n",
        "INVITE 1:a",
        "\r\n\r\n",
        &long,
    ] {
        assert_eq!(recognise(no.as_bytes()), Recognition::No, "{no}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_transactions(seed in any::<u64>()) {
        prop_assert_eq!(call_in_a_stream().run_split(seed).what(), call_in_a_stream().run().what());
    }

    #[test]
    fn any_bytes_are_taken(
        lines in prop::collection::vec("[ -~\\t\\r\\n:;=,]{0,30}", 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        seed in any::<u64>(),
    ) {
        let text = lines.join("\n");
        for transport in [Conversation::tcp(40_000, 5060), Conversation::udp(40_000, 5060)] {
            let headers = format!("INVITE sip:a SIP/2.0\r\n{text}\r\n\r\n");
            let branch = format!("SIP/2.0 200 OK\r\nVia: {text}\r\nCSeq: {text}\r\n\r\n");
            transport.say(Source, headers.as_bytes()).say(Destination, branch.as_bytes())
                .say(Source, &bytes).say(Destination, b"SIP/2.0 ").say(Destination, &bytes).run_split(seed);
        }
    }

    #[test]
    fn a_head_ends_where_its_first_empty_line_does(bytes in prop::collection::vec(prop::sample::select(b"a \r\n".to_vec()), 0..30)) {
        let end = message::head_bytes(&bytes);
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mut expected = 0;
        let is_ended = lines.any(|line| {
            expected += line.len();
            line.ends_with(b"\n") && line.trim_ascii().is_empty()
        });
        prop_assert_eq!(end, is_ended.then_some(expected));
    }
}
