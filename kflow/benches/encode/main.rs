//! How fast records become messages and messages become records again, and how many bytes they take.
//!
//! `cargo bench -p kflow --bench encode` prints one JSON array on the standard output and a table for people
//! on the standard error. The reference does the same work with the capnp crate's builder and packed writer,
//! run in turns with ours.

#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, missing_debug_implementations, reason = "generated code, see src/lib.rs")]
#[path = "../../src/chf_capnp.rs"]
mod chf_capnp;
mod records;
#[path = "../reference/mod.rs"]
mod reference;
#[path = "../reference/chf.rs"]
mod reference_chf;
mod wire;

use kflow::application::Datum;
use kflow::codec::{Encoder, decode};
use kflow::{CommunityId, FlowRecord, columns, text};
use records::{application_records, typical_records};
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
    let mut results = vec![
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
    results.extend(wire::results(&records, ""));
    results.extend(wire::results(&applications, " apps"));
    results.iter().for_each(print);
    println!("{}", Value::from(results));
}

/// A line of the table for people.
fn print(result: &Value) {
    let value = result["value"].as_f64().unwrap_or_default();
    let unit = result["unit"].as_str().unwrap_or_default();
    let each = if unit == "records/s" { format!("{:.0} ns", 1e9 / value) } else { String::new() };
    eprintln!(
        "{:<24} {:>12.1} {:<10} {:>9} {:>8.3} x {} ({:.1})",
        result["name"].as_str().unwrap_or_default(),
        value,
        unit,
        each,
        result["ratio"].as_f64().unwrap_or_default(),
        result["reference"].as_str().unwrap_or_default(),
        result["reference_value"].as_f64().unwrap_or_default(),
    );
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
