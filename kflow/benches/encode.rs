//! How fast records become messages and messages become records again, and how many bytes they take.
//!
//! `cargo bench -p kflow --bench encode` prints one JSON array on the standard output and a table for people
//! on the standard error. The reference does the same work with the capnp crate's builder and packed writer,
//! run in turns with ours.

#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, missing_debug_implementations, reason = "generated code, see src/lib.rs")]
#[path = "../src/chf_capnp.rs"]
mod chf_capnp;
mod reference;

use kflow::application::protocols::{dns, http};
use kflow::application::{Datum, Draft};
use kflow::codec::{Encoder, decode};
use kflow::{
    AppProtocol, CommunityId, DirectionCounters, EndReason, Endpoint, FlowRecord, Latency, MacAddress,
    TcpDirection, TcpRecord, TcpState, columns, text,
};
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// Records of one message, and messages of one run.
const BATCH_RECORDS: usize = 1000;
const RUN_MESSAGES: usize = 200;
/// Runs of which the median counts.
const RUNS: usize = 9;

/// Goal for encoding, per second on one core.
const ENCODE_GOAL: f64 = 2_000_000.0;

fn main() {
    let records = typical_records(3);
    let (message, [ours, capnp]) = encode_in_turns(&records);
    let (_, [udp, capnp_udp]) = encode_in_turns(&typical_records(10));
    let (_, [tcp, capnp_tcp]) = encode_in_turns(&typical_records(0));
    let applications = application_records();
    let (applications_message, [said, capnp_said]) = encode_in_turns(&applications);
    let mut reference_message = Vec::new();
    reference::encode(&records, &mut reference_message);
    let [identified, hashed] = in_turns([
        &mut || black_box(&records).iter().for_each(|record| _ = black_box(CommunityId::of(record).text())),
        &mut || black_box(&records).iter().for_each(|record| _ = black_box(CommunityId::of(record))),
    ]);
    let [decoded, copied] = decode_in_turns(&message);
    let [heard, copied_heard] = decode_in_turns(&applications_message);
    let [json, serde] = write_json_in_turns(&records);
    let [told, serde_told] = write_json_in_turns(&applications);
    let bytes = message.len() as f64 / BATCH_RECORDS as f64;
    let reference_bytes = reference_message.len() as f64 / BATCH_RECORDS as f64;
    let applications_bytes = applications_message.len() as f64 / BATCH_RECORDS as f64;
    let results = [
        result(
            "kflow encode",
            ours,
            "records/s",
            "capnp builder and packed writer",
            capnp,
            Some(ENCODE_GOAL),
        ),
        result("kflow encode udp", udp, "records/s", "capnp builder and packed writer", capnp_udp, None),
        result("kflow encode tcp", tcp, "records/s", "capnp builder and packed writer", capnp_tcp, None),
        result("kflow encode apps", said, "records/s", "capnp builder and packed writer", capnp_said, None),
        result("kflow community id", identified, "records/s", "its digest without the text", hashed, None),
        result("kflow decode", decoded, "records/s", "copy of the message", copied, None),
        result("kflow decode apps", heard, "records/s", "copy of the message", copied_heard, None),
        result("kflow json", json, "records/s", "serde_json, a map of the same columns", serde, None),
        result(
            "kflow json apps",
            told,
            "records/s",
            "serde_json, a map of the same columns",
            serde_told,
            None,
        ),
        result("kflow record", bytes, "bytes", "capnp builder and packed writer", reference_bytes, None),
        result("kflow record apps", applications_bytes, "bytes", "a record without application", bytes, None),
    ];
    for result in &results {
        eprintln!(
            "{:<18} {:>12.1} {:<10} {:>8.3} x {} ({:.1})",
            result["name"].as_str().unwrap_or_default(),
            result["value"].as_f64().unwrap_or_default(),
            result["unit"].as_str().unwrap_or_default(),
            result["ratio"].as_f64().unwrap_or_default(),
            result["reference"].as_str().unwrap_or_default(),
            result["reference_value"].as_f64().unwrap_or_default(),
        );
    }
    println!("{}", Value::from(results.to_vec()));
}

/// The message of a batch, and how fast it is made by us and by the reference.
fn encode_in_turns(records: &[FlowRecord]) -> (Vec<u8>, [f64; 2]) {
    let mut encoder = Encoder::new();
    let mut reference_message = Vec::new();
    let rates = in_turns([
        &mut || {
            black_box(encoder.encode(black_box(records)).expect("the batch is small"));
        },
        &mut || {
            reference::encode(black_box(records), &mut reference_message);
            black_box(&reference_message);
        },
    ]);
    (encoder.encode(records).expect("the batch is small").to_vec(), rates)
}

/// How fast a message is decoded, and copied.
fn decode_in_turns(message: &[u8]) -> [f64; 2] {
    let mut copy = vec![0; message.len()];
    in_turns([
        &mut || {
            black_box(decode(black_box(message)).expect("it was just encoded"));
        },
        &mut || {
            copy.copy_from_slice(black_box(message));
            black_box(&copy);
        },
    ])
}

/// How fast JSON lines are written by us and by the reference.
fn write_json_in_turns(records: &[FlowRecord]) -> [f64; 2] {
    let (mut lines, mut reference_lines) = (Vec::new(), Vec::new());
    let rates = in_turns([
        &mut || {
            lines.clear();
            black_box(records).iter().for_each(|record| text::write_json(record, &mut lines));
            black_box(&lines);
        },
        &mut || {
            reference_lines.clear();
            black_box(records).iter().for_each(|record| write_with_serde(record, &mut reference_lines));
            black_box(&reference_lines);
        },
    ]);
    assert_eq!(lines, reference_lines, "both write the same lines");
    rates
}

/// What [`text::write_json`] does, by the general serializer.
fn write_with_serde(record: &FlowRecord, lines: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::new(&mut *lines);
    let mut map = serializer.serialize_map(None).expect("a vector takes every write");
    for column in columns::printed() {
        let Some(value) = column.value(record) else {
            continue;
        };
        let written = match value {
            columns::Value::Number(number) => map.serialize_entry(column.name, &number),
            columns::Value::Address(address) => map.serialize_entry(column.name, &address),
            columns::Value::Mac(mac) => map.serialize_entry(column.name, &format_args!("{mac}")),
            columns::Value::Name(name) => map.serialize_entry(column.name, name),
            columns::Value::CommunityId(id) => map.serialize_entry(column.name, &format_args!("{id}")),
            columns::Value::Fields(application) => {
                application.values().try_for_each(|(field, value)| match value {
                    Datum::Number(number) => map.serialize_entry(field.name, &number),
                    Datum::Text(text) => map.serialize_entry(field.name, text),
                    Datum::Address(address) => map.serialize_entry(field.name, &address),
                })
            }
        };
        written.expect("a vector takes every write");
    }
    map.end().expect("a vector takes every write");
    lines.push(b'\n');
}

fn result(
    name: &str,
    value: f64,
    unit: &str,
    reference: &str,
    reference_value: f64,
    goal: Option<f64>,
) -> Value {
    json!({
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value,
        "goal": goal,
        "met": goal.map(|goal| value >= goal),
    })
}

/// Records per second of both, each the median of its runs, which take turns.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn in_turns(mut bodies: [&mut dyn FnMut(); 2]) -> [f64; 2] {
    let mut rates = [[0.0; RUNS]; 2];
    for run in 0..RUNS {
        for (body, rates) in bodies.iter_mut().zip(&mut rates) {
            let start = Instant::now();
            for _ in 0..RUN_MESSAGES {
                body();
            }
            rates[run] = (BATCH_RECORDS * RUN_MESSAGES) as f64 / start.elapsed().as_secs_f64();
        }
    }
    rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[RUNS / 2]
    })
}

/// IPv4 flows as a sensor exports them, so many of ten UDP and the others TCP, sizes from a few packets to
/// many.
fn typical_records(udp_of_ten: u64) -> Vec<FlowRecord> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..BATCH_RECORDS)
        .map(|_| {
            let is_udp = random.below(10) < udp_of_ten;
            let start_ns = 1_795_000_000_000_000_000 + random.below(60_000_000_000);
            FlowRecord {
                start_ns,
                end_ns: start_ns + random.below(30_000_000_000),
                source: endpoint(&mut random, [0x02, 0x42, 0xAC, 0x11, 0x00, 0x02], 49_152),
                destination: endpoint(&mut random, [0x02, 0x42, 0xAC, 0x11, 0x00, 0x01], 443),
                protocol: if is_udp { 17 } else { 6 },
                forward: counters(&mut random, if is_udp { 0 } else { 0x1B }),
                reverse: counters(&mut random, if is_udp { 0 } else { 0x1B }),
                end_reason: if is_udp { EndReason::IdleTimeout } else { EndReason::EndOfFlow },
                latency: latency(&mut random),
                tcp: if is_udp { TcpRecord::default() } else { tcp(&mut random) },
                ..FlowRecord::default()
            }
        })
        .collect()
}

/// The same with an answered request each: of DNS over UDP, of HTTP over TCP.
fn application_records() -> Vec<FlowRecord> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut draft = Draft::new(1_000);
    let mut records = typical_records(5);
    for record in &mut records {
        let host = random.below(1_000);
        if record.protocol == 17 {
            answered_query(&mut draft, host);
        } else {
            answered_request(&mut draft, host);
        }
        record.app_protocol = Some(draft.protocol());
        record.transactions = 1;
        let latency_us = 200 + random.below(100_000) as u32;
        record.application = Some(Box::new(draft.to_application(Some(latency_us))));
    }
    records
}

fn answered_query(draft: &mut Draft, host: u64) {
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, format!("host{host}.example.org").as_bytes());
    draft.text(dns::ANSWERS, b"198.51.100.17/A;198.51.100.18/A");
    draft.text(dns::ANSWER_TTLS, b"300;300");
    let numbers = [
        (dns::QUERY_TYPE, 1u32),
        (dns::RCODE, 0),
        (dns::ID, 0x4000 + host as u32),
        (dns::FLAGS, 0x8180),
        (dns::ANSWER_COUNT, 2),
        (dns::QUERY_CLASS, 1),
        (dns::EDNS_UDP_BYTES, 1_232),
        (dns::EDNS_FLAGS, 0),
        (dns::QUESTION_COUNT, 1),
    ];
    numbers.into_iter().for_each(|(key, number)| draft.number(key, number));
}

fn answered_request(draft: &mut Draft, host: u64) {
    draft.begin(AppProtocol::Http);
    draft.text(http::URL, format!("/articles/{host}?session={:x}", host * 7_919).as_bytes());
    draft.text(http::HOST, format!("www{host}.example.org").as_bytes());
    draft.text(http::USER_AGENT, b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    draft.text(http::METHOD, b"GET");
    draft.text(http::VERSION, b"1.1");
    draft.text(http::CONTENT_TYPE, b"text/html; charset=utf-8");
    draft.text(http::SERVER, b"nginx/1.26.3");
    draft.number(http::STATUS, 200u32);
    draft.number(http::RESPONSE_BODY_BYTES, host * 100);
}

fn endpoint(random: &mut Random, mac: [u8; 6], port: u16) -> Endpoint {
    let address = 0x0A00_0000 | random.below(1 << 24) as u32;
    Endpoint {
        address: std::net::Ipv4Addr::from_bits(address).into(),
        port: port + random.below(1000) as u16,
        mac: MacAddress(mac),
    }
}

fn counters(random: &mut Random, tcp_flags: u8) -> DirectionCounters {
    let magnitude = 1 + random.below(10);
    let packets = 1 + random.below(1 << magnitude);
    let bytes = packets * (40 + random.below(1400));
    DirectionCounters {
        packets,
        bytes,
        frame_bytes: bytes + packets * 14,
        tcp_flags,
        ttl_min: 57,
        ttl_max: 57,
        ..DirectionCounters::default()
    }
}

fn latency(random: &mut Random) -> Latency {
    let mean_us = 200 + random.below(100_000) as u32;
    Latency {
        first_response_us: Some(mean_us),
        response_min_us: Some(mean_us / 2),
        response_mean_us: Some(mean_us),
        response_max_us: Some(mean_us * 2),
        responses: 1 + random.below(8) as u32,
    }
}

/// A whole connection of which one in eight lost packets.
fn tcp(random: &mut Random) -> TcpRecord {
    let (client_us, server_us) = (random.below(2_000) as u32, random.below(80_000) as u32);
    TcpRecord {
        state: TcpState::Closed,
        handshake: 7,
        client_network_us: Some(client_us),
        server_network_us: Some(server_us),
        total_network_us: Some(client_us + server_us),
        forward: tcp_direction(random, 0x02),
        reverse: tcp_direction(random, 0x12),
    }
}

fn tcp_direction(random: &mut Random, first_flags: u8) -> TcpDirection {
    let lost = if random.below(8) == 0 { 1 + random.below(20) as u32 } else { 0 };
    let rtt_us = 100 + random.below(80_000) as u32;
    TcpDirection {
        first_flags,
        mss: Some(1_460),
        window_scale: Some(7),
        sack_permitted: true,
        retransmitted_packets: lost,
        retransmitted_bytes: u64::from(lost) * 1_460,
        fast_retransmits: lost,
        duplicate_acks: lost * 3,
        lost_segments: lost,
        receive_window: Some(64_256 + random.below(1 << 20) as u32),
        receive_window_min: Some(64_256),
        rtt_min_us: Some(rtt_us),
        rtt_mean_us: Some(rtt_us + 300),
        rtt_max_us: Some(rtt_us * 2),
        rtt_jitter_us: Some(rtt_us / 10),
        rtt_samples: 1 + random.below(200) as u32,
        ..TcpDirection::default()
    }
}

/// A xorshift generator: the same records in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
