//! Laws for any conversation.

use super::*;
use crate::harness::Sender::{Destination, Source};
use proptest::prelude::*;
use std::collections::VecDeque;

/// A message and what a naive reader has to know of it.
#[derive(Clone, Debug)]
enum Message {
    /// Method, how its body is framed, bytes of the body.
    Request(&'static str, Framing, usize),
    /// Status, framing and bytes.
    Answer(u16, Framing, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length,
    Chunked,
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let framing = || prop::sample::select(vec![Framing::None, Framing::Length, Framing::Chunked]);
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PROPFIND"]);
    let status = prop::sample::select(vec![100, 200, 204, 206, 304, 404, 503]);
    let request = (method, framing(), 1usize..100)
        .prop_map(|(method, framing, length)| Message::Request(method, framing, length));
    let answer = (status, framing(), 1usize..100)
        .prop_map(|(status, framing, length)| Message::Answer(status, framing, length));
    prop::collection::vec(prop_oneof![3 => request, 2 => answer], 0..60)
}

fn framed(head: &str, framing: Framing, length: usize) -> Vec<u8> {
    let body = "x".repeat(length);
    let text = match framing {
        Framing::None => format!("{head}\r\n"),
        Framing::Length => format!("{head}Content-Length: {length}\r\n\r\n{body}"),
        Framing::Chunked => {
            let (first, second) = body.split_at(length / 2);
            let first =
                if first.is_empty() { String::new() } else { format!("{:x}\r\n{first}\r\n", first.len()) };
            format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{first}{:X}\r\n{second}\r\n0\r\n\r\n",
                second.len()
            )
        }
    };
    text.into_bytes()
}

/// What is sent, and the transactions that it comes to by a list of all requests.
fn play(messages: &[Message]) -> (Conversation, Vec<String>) {
    const WAITING_MAX: usize = 16;
    let mut conversation = conversation();
    let mut waiting: VecDeque<(&str, String, bool)> = VecDeque::new();
    let mut transactions = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        match *message {
            Message::Request(method, framing, length) => {
                let head = format!("{method} /{index} HTTP/1.1\r\n");
                conversation = conversation.say(Source, &framed(&head, framing, length));
                let sent = if framing == Framing::None { "-".to_owned() } else { length.to_string() };
                waiting.push_back((method, sent, false));
                let still = waiting.iter().filter(|(.., is_given_up)| !is_given_up).count();
                if still > WAITING_MAX {
                    let oldest = waiting.iter_mut().find(|(.., is_given_up)| !is_given_up).unwrap();
                    oldest.2 = true;
                    transactions.push(format!("{} - {}", oldest.0, oldest.1));
                }
            }
            Message::Answer(status, framing, length) => {
                // Without a length it would be the last one.
                let framing = if framing == Framing::None { Framing::Length } else { framing };
                let is_interim = status == 100;
                let asked = if is_interim { None } else { waiting.pop_front() };
                let known = asked.filter(|(.., is_given_up)| !is_given_up);
                let is_head = known.as_ref().is_some_and(|(method, ..)| *method == "HEAD");
                let is_empty = is_head || matches!(status, 100 | 204 | 304);
                let head = format!("HTTP/1.1 {status} Text\r\n");
                let whole = framed(&head, framing, length);
                let head_bytes = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                let sent = if is_empty { &whole[..head_bytes] } else { &whole[..] };
                conversation = conversation.say(Destination, sent);
                let received =
                    if is_empty && framing == Framing::Chunked { "-".to_owned() } else { length.to_string() };
                if !is_interim {
                    let (method, sent, _) = known.unwrap_or(("-", "-".to_owned(), false));
                    transactions.push(format!("{method} {status} {sent} {received}"));
                }
            }
        }
    }
    transactions.extend(
        waiting
            .into_iter()
            .filter(|(.., is_given_up)| !is_given_up)
            .map(|(method, sent, _)| format!("{method} - {sent}")),
    );
    transactions.sort();
    (conversation, transactions)
}

/// As [`play`] names transactions.
fn names(outcome: &Outcome) -> Vec<String> {
    let mut names: Vec<String> = outcome
        .transactions
        .iter()
        .map(|transaction| {
            let number =
                |key| transaction.number(key).map_or("-".to_owned(), |number: u64| number.to_string());
            let mut name = format!("{} {}", text(transaction, http::METHOD), number(http::STATUS));
            name += &format!(" {}", number(http::REQUEST_BODY_BYTES));
            if transaction.number(http::STATUS).is_some() {
                name += &format!(" {}", number(http::RESPONSE_BODY_BYTES));
            }
            name
        })
        .collect();
    names.sort();
    names
}

proptest! {
    #[test]
    fn requests_and_answers_pair_as_in_a_queue_and_any_split_gives_the_same(
        messages in messages(),
        seed in any::<u64>(),
    ) {
        let (conversation, expected) = play(&messages);
        let outcome = conversation.run();
        prop_assert_eq!(names(&outcome), expected);
        prop_assert_eq!(failures(&outcome, Failure::Malformed), 0);
        prop_assert_eq!(conversation.run_split(seed).what(), outcome.what());
    }

    #[test]
    fn lines_of_any_sense_are_taken_and_any_split_gives_the_same(
        lines in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "POST /x\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 Up\nUpgrade: h2c\n\n", "\r\n", "\n",
                "Content-Length: 3\r\n", "Content-Length: x\r\n", "Transfer-Encoding: chunked\r\n", "Upgrade: a\r\n",
                "3\r\n", "abc\r\n", "0\r\n", "HTTP/1.1 100 \n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "garbage\n",
                " folded\r\n", "\0\0\0\u{4}\0\0\0\0\0", "\r", "HEAD / HTTP/1.0\r\n\r\n", "HTTP/1.1 204 \r\n\r\n",
            ])), 0..40),
        seed in any::<u64>(),
    ) {
        // What begins with something else, or ends HTTP, is recognised by segments.
        let mut conversation = conversation().say(Source, b"GET /first HTTP/1.1\r\n\r\n");
        for (is_source, line) in lines {
            conversation = conversation.say(if is_source { Source } else { Destination }, line.as_bytes());
        }
        prop_assert_eq!(conversation.run_split(seed).what(), conversation.run().what());
    }

    #[test]
    fn any_bytes_are_taken(
        opening in prop::sample::select(vec!["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", ""]),
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..10),
        seed in any::<u64>(),
    ) {
        let mut tcp = conversation().say(Source, opening.as_bytes());
        let mut udp = Conversation::udp(1900, 1900);
        for (is_source, bytes) in pieces {
            let sender = if is_source { Source } else { Destination };
            tcp = tcp.say(sender, &bytes);
            udp = udp.say(sender, &[opening.as_bytes(), &bytes].concat());
        }
        tcp.run_split(seed);
        udp.run();
    }
}
