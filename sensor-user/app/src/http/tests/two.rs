//! HTTP/2, by an encoder that knows both tables whole.

use super::*;
use crate::{
    harness::Sender::{Destination, Source},
    http::{start::PREFACE, two::huffman},
};
use proptest::prelude::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x01;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// A part of the static table.
const STATIC: [(usize, &str, &str); 9] = [
    (2, ":method", "GET"),
    (3, ":method", "POST"),
    (4, ":path", "/"),
    (8, ":status", "200"),
    (13, ":status", "404"),
    (1, ":authority", ""),
    (54, "server", ""),
    (58, "user-agent", ""),
    (28, "content-length", ""),
];
const STATIC_COUNT: usize = 61;
/// Of the dynamic table, each entry with 32 bytes more than its texts have.
const TABLE_BYTES: usize = 4096;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn integer(bytes: &mut Vec<u8>, pattern: u8, prefix_bits: u32, number: usize) {
    let mask = (1usize << prefix_bits) - 1;
    if number < mask {
        return bytes.push(pattern | number as u8);
    }
    bytes.push(pattern | mask as u8);
    let mut rest = number - mask;
    while rest >= 0x80 {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// The encoder of one side.
#[derive(Clone, Debug, Default)]
struct Encoder {
    /// Newest last.
    table: Vec<(String, String)>,
    /// What it does next: to choose among the ways to write a field.
    choices: Vec<u8>,
}

impl Encoder {
    fn choose(&mut self) -> u8 {
        let choice = self.choices.pop().unwrap_or_default();
        self.choices.insert(0, choice);
        choice
    }

    fn string(&mut self, bytes: &mut Vec<u8>, text: &str) {
        if self.choose().is_multiple_of(2) {
            integer(bytes, 0, 7, text.len());
            bytes.extend(text.as_bytes());
        } else {
            let coded = huffman::encode(text.as_bytes());
            integer(bytes, 0x80, 7, coded.len());
            bytes.extend(coded);
        }
    }

    fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in fields {
            let place = |(age, _): (usize, _)| STATIC_COUNT + 1 + age;
            let dynamic = |whole: bool| {
                let is_meant = |entry: &(String, String)| entry.0 == *name && (!whole || entry.1 == *value);
                self.table.iter().rev().enumerate().find(|(_, entry)| is_meant(entry)).map(place)
            };
            let fixed = |whole: bool| {
                let is_meant =
                    |entry: &&(usize, &str, &str)| entry.1 == *name && (!whole || entry.2 == *value);
                STATIC.iter().find(is_meant).map(|entry| entry.0)
            };
            let (whole, of_name) = (dynamic(true).or(fixed(true)), dynamic(false).or(fixed(false)));
            let choice = self.choose();
            if let Some(index) = whole.filter(|_| choice % 4 != 3) {
                integer(&mut bytes, 0x80, 7, index);
                continue;
            }
            let (pattern, prefix_bits) =
                [(0x40, 6), (0x00, 4), (0x10, 4), (0x40, 6)][usize::from(choice) % 4];
            integer(&mut bytes, pattern, prefix_bits, of_name.unwrap_or(0));
            if of_name.is_none() {
                self.string(&mut bytes, name);
            }
            self.string(&mut bytes, value);
            if pattern == 0x40 {
                self.table.push(((*name).to_owned(), (*value).to_owned()));
                while self.table.iter().map(|entry| entry.0.len() + entry.1.len() + 32).sum::<usize>()
                    > TABLE_BYTES
                {
                    self.table.remove(0);
                }
            }
        }
        bytes
    }

    /// HEADERS with all of the fields.
    fn headers(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
        frame(HEADERS, flags | END_HEADERS, stream, &self.block(fields))
    }
}

fn opened() -> Conversation {
    let client = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])].concat();
    let server = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat();
    Conversation::tcp(40_000, 50_051).say(Source, &client).say(Destination, &server)
}

const POST: [(&str, &str); 6] = [
    (":method", "POST"),
    (":path", "/service"),
    (":authority", "api.example:50051"),
    ("user-agent", "grpc/1"),
    ("content-type", "application/grpc"),
    ("content-length", "4"),
];

#[test]
fn streams_are_answered_in_any_order() {
    let (mut client, mut server) = (Encoder::default(), Encoder::default());
    let outcome = opened()
        .say(Source, &client.headers(1, 0, &POST))
        .say(
            Source,
            &client.headers(3, END_STREAM, &[(":method", "GET"), (":path", "/"), (":authority", "b")]),
        )
        .say(Source, &frame(DATA, END_STREAM, 1, b"body"))
        .say(
            Destination,
            &server.headers(3, 0, &[(":status", "404"), ("server", "s"), ("content-length", "9")]),
        )
        .say(Destination, &server.headers(1, 0, &[(":status", "103")]))
        .say(Destination, &server.headers(1, 0, &[(":status", "200"), ("content-type", "application/grpc")]))
        .say(Destination, &frame(DATA, 0, 1, b"answer"))
        .say(Destination, &server.headers(1, END_STREAM, &[("grpc-status", "0")]))
        .run();
    assert_eq!(summary(&outcome), ["GET / 404 - 9", "POST /service 200 4 -"]);
    let post = outcome.transactions.iter().find(|one| text(one, http::METHOD) == "POST").unwrap();
    assert_eq!(text(post, http::HOST), "api.example:50051");
    assert_eq!(text(post, http::USER_AGENT), "grpc/1");
    assert_eq!(text(post, http::REQUEST_CONTENT_TYPE), "application/grpc");
    assert_eq!(text(post, http::CONTENT_TYPE), "application/grpc");
    assert_eq!(text(post, http::VERSION), "2");
    assert_eq!(post.latency_us(), Some(3000), "from the fifth message to the eighth");
}

#[test]
fn a_header_block_may_come_in_padded_and_continued_frames() {
    let mut client = Encoder::default();
    let block = client.block(&POST);
    let (first, rest) = block.split_at(7);
    let (second, third) = rest.split_at(1);
    let padded = [&[3, 0, 0, 0, 0, 16], first, &[0; 3]].concat();
    let bytes = [
        frame(HEADERS, PADDED | PRIORITY | END_STREAM, 1, &padded),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, END_HEADERS, 1, third),
    ];
    let outcome = opened().say(Source, &bytes.concat()).run();
    assert_eq!(summary(&outcome), ["POST /service - 4 -"]);
}

#[test]
fn an_upgraded_request_is_answered_on_the_first_stream() {
    let (mut client, mut server) = (Encoder::default(), Encoder::default());
    let outcome = conversation()
        .say(Source, b"GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
        .say(Destination, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        .say(Destination, &frame(SETTINGS, 0, 0, &[]))
        .say(Destination, &server.headers(1, END_STREAM, &[(":status", "200")]))
        .say(Source, &[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .say(Source, &client.headers(3, END_STREAM, &[(":method", "GET"), (":path", "/")]))
        .say(Destination, &server.headers(3, END_STREAM, &[(":status", "404")]))
        .run();
    assert_eq!(summary(&outcome), ["GET / 404 - -", "GET /up 200 - -"]);
}

#[test]
fn a_server_may_speak_first() {
    let outcome = Conversation::tcp(40_000, 50_051)
        .say(Destination, &frame(SETTINGS, 0, 0, &[]))
        .say(Source, PREFACE)
        .say(Source, &Encoder::default().headers(1, END_STREAM, &[(":method", "GET"), (":path", "/")]))
        .run();
    assert_eq!(summary(&outcome), ["GET / - - -"]);
}

#[test]
fn pushed_answers_are_transactions_and_streams_that_are_reset_are_unanswered() {
    let (mut client, mut server) = (Encoder::default(), Encoder::default());
    let get = |path| [(":method", "GET"), (":path", path)];
    let promise = [[0, 0, 0, 2].as_slice(), &server.block(&get("/pushed"))].concat();
    let outcome = opened()
        .say(Source, &client.headers(1, END_STREAM, &get("/reset")))
        .say(Destination, &frame(PUSH_PROMISE, END_HEADERS, 1, &promise))
        .say(Destination, &server.headers(2, 0, &[(":status", "200")]))
        .say(Destination, &frame(RST_STREAM, 0, 1, &[0; 4]))
        .say(Destination, &server.headers(7, 0, &[(":status", "404")]))
        .run();
    assert_eq!(summary(&outcome), ["- - 404 - -", "GET /pushed 200 - -", "GET /reset - - -"]);
}

#[test]
fn header_blocks_without_end_are_at_the_limit() {
    let mut endless = frame(HEADERS, 0, 1, &[0x82]);
    for _ in 0..3000 {
        endless.extend(frame(CONTINUATION, 0, 1, b""));
    }
    let large = frame(HEADERS, END_HEADERS, 1, &[0x82; 20_000]);
    let many = frame(HEADERS, END_HEADERS, 1, &[0x82; 2000]);
    for bytes in [endless, large, many] {
        let outcome = opened().say(Source, &bytes).run();
        assert_eq!(failures(&outcome, Failure::Limit), 1);
        assert_eq!(outcome.transactions, []);
    }
}

#[test]
fn frames_that_make_no_sense_are_malformed() {
    let cases = [
        frame(CONTINUATION, END_HEADERS, 1, b""),
        frame(HEADERS, END_HEADERS, 0, &[0x82]),
        frame(HEADERS, END_HEADERS | PADDED, 1, &[9, 0x82]),
        frame(HEADERS, END_HEADERS | PRIORITY, 1, &[0, 0]),
        frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0]),
        [frame(HEADERS, 0, 1, &[0x82]), frame(DATA, 0, 1, b"x")].concat(),
        [frame(HEADERS, 0, 1, &[0x82]), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(RST_STREAM, 0, 1, &[0; 3]),
        frame(HEADERS, END_HEADERS, 1, &[0xbe]),
    ];
    for bytes in cases {
        let outcome = opened().say(Source, &bytes).run();
        assert_eq!(failures(&outcome, Failure::Malformed), 1, "{bytes:?}");
    }
}

#[test]
fn without_memory_for_the_tables_fields_that_are_spelt_out_are_known() {
    let limits = crate::Limits { flows: 4, parsers: 4, buffers: 0, ..crate::Limits::default() };
    let mut client = Encoder::default();
    let first = client.headers(1, END_STREAM, &POST);
    let second = client.headers(3, END_STREAM, &POST);
    let outcome = opened().with_limits(limits).say(Source, &first).say(Source, &second).run();
    assert_eq!(summary(&outcome), ["POST - - - -", "POST /service - 4 -"]);
    assert_eq!(outcome.counts.shed_buffers, 1);
}

fn requests() -> impl Strategy<Value = Vec<(usize, usize, usize, usize)>> {
    prop::collection::vec((0usize..4, 0usize..4, 0usize..4, 0usize..30), 0..60)
}

proptest! {
    /// Whatever way the encoder writes fields, and whatever way the bytes come.
    #[test]
    fn what_is_encoded_is_said(
        requests in requests(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
        seed in any::<u64>(),
    ) {
        let mut client = Encoder { choices, ..Encoder::default() };
        let mut server = client.clone();
        let mut conversation = opened();
        let mut expected = Vec::new();
        for (index, (path, agent, other, body)) in requests.into_iter().enumerate() {
            let stream = 2 * index as u32 + 1;
            let path = ["/", "/a", "/ä?b=c", "/a/long/path/that/is/asked/for"][path];
            let agent = ["", "agent/1", "agent/2", "a much longer name of an agent"][agent];
            let other = ["x", "yy", "", "z z"][other];
            let fields = [
                (":method", "GET"),
                (":path", path),
                ("x-other", other),
                ("user-agent", agent),
                (other, "unknown"),
            ];
            let length = body.to_string();
            let request = client.headers(stream, if body == 0 { END_STREAM } else { 0 }, &fields);
            let data = if body == 0 { Vec::new() } else { frame(DATA, END_STREAM, stream, &vec![0; body]) };
            let answer = server.headers(stream, 0, &[(":status", "200"), ("x", other), ("content-length", &length)]);
            conversation = conversation
                .say(Source, &[request, data.clone()].concat())
                .say(Destination, &[answer, data].concat());
            expected.push(format!("GET {path} {agent} {body}"));
        }
        let outcome = conversation.run();
        let mut found: Vec<String> = outcome.transactions.iter().map(|one| {
            let body = one.number(http::RESPONSE_BODY_BYTES).unwrap();
            format!("GET {} {} {body}", text(one, http::URL), text(one, http::USER_AGENT))
        }).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(conversation.run_split(seed).what(), outcome.what());
    }

    #[test]
    fn frames_of_any_payload_are_taken_and_any_split_gives_the_same(
        frames in prop::collection::vec(
            (any::<bool>(), 0u8..11, any::<u8>(), 0u32..5, prop::collection::vec(any::<u8>(), 0..30)), 0..30),
        seed in any::<u64>(),
    ) {
        let mut conversation = opened();
        for (is_source, kind, flags, stream, payload) in frames {
            let sender = if is_source { Source } else { Destination };
            conversation = conversation.say(sender, &frame(kind, flags, stream, &payload));
        }
        prop_assert_eq!(conversation.run_split(seed).what(), conversation.run().what());
    }
}
