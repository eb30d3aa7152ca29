//! How fast records become messages of IPFIX and NetFlow, and how many bytes they take, beside kflow and JSON.
//!
//! `cargo bench -p kflow-ipfix` prints one JSON array on the standard output and a table for people on the standard
//! error. All formats take turns on the same records, so that they are compared under the same conditions. A record is
//! one flow: both of its directions.

#[path = "../tests/support/typical.rs"]
mod typical;

use kflow::codec::Encoder as Packed;
use kflow::{FlowRecord, text};
use kflow_ipfix::{Biflow, Delivery, Elements, Encoder, Format, IpfixConfig};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// Records of a batch, and batches of a run.
const BATCH_RECORDS: usize = 512;
const RUN_BATCHES: usize = 100;
/// Runs of which the median counts.
const RUNS: usize = 9;

/// Takes a batch, and returns how many bytes it became.
type Take = Box<dyn FnMut(&[FlowRecord]) -> usize>;

/// A format by its name.
struct Competitor {
    name: &'static str,
    take: Take,
}

fn main() {
    let mut results = Vec::new();
    for (what, records) in [
        ("", typical::records(BATCH_RECORDS, 3)),
        (" udp", typical::records(BATCH_RECORDS, 10)),
        (" tcp", typical::records(BATCH_RECORDS, 0)),
        (" apps", typical::with_applications(typical::records(BATCH_RECORDS, 5))),
    ] {
        let mut competitors = competitors();
        let bytes: Vec<f64> = competitors.iter_mut().map(|competitor| bytes(competitor, &records)).collect();
        let ns = in_turns(&mut competitors, &records);
        // The first is the one that the others are compared with.
        for ((competitor, ns_of_record), bytes) in competitors.iter().zip(&ns).zip(&bytes) {
            let name = format!("{}{what}", competitor.name);
            let ratio = ns_of_record / ns[0];
            eprintln!(
                "{name:<24} {ns_of_record:>8.1} ns/record {ratio:>6.2} x kflow {bytes:>8.1} bytes/record"
            );
            results.push(json!({
                "name": name,
                "value": ns_of_record,
                "unit": "ns/record",
                "reference": "kflow packed",
                "reference_value": ns[0],
                "ratio": ratio,
                "bytes": bytes,
            }));
        }
    }
    println!("{}", Value::from(results));
}

fn competitors() -> Vec<Competitor> {
    let mut packed = Packed::new();
    let mut lines = Vec::new();
    let ipfix = IpfixConfig::new(([127, 0, 0, 1], 4739).into());
    let standard = IpfixConfig { elements: Elements::Standard, ..ipfix.clone() };
    let biflow = IpfixConfig { biflow: Biflow::Rfc5103, ..ipfix.clone() };
    let netflow = IpfixConfig { format: Format::NetflowV9, ..ipfix.clone() };
    let mut all = vec![
        Competitor {
            name: "kflow packed",
            take: Box::new(move |records| packed.encode(records).expect("the batch is small").len()),
        },
        Competitor {
            name: "json",
            take: Box::new(move |records| {
                lines.clear();
                records.iter().for_each(|record| text::write_json(record, &mut lines));
                lines.len()
            }),
        },
    ];
    let formats =
        [("ipfix", ipfix), ("ipfix standard", standard), ("ipfix rfc5103", biflow), ("netflow v9", netflow)];
    all.extend(formats.map(|(name, config)| {
        let mut encoder = Encoder::new(config);
        let take = move |records: &[FlowRecord]| {
            let mut bytes = 0;
            encoder.encode(records, 0, |message| {
                bytes += black_box(message.bytes).len();
                Delivery::Sent
            });
            bytes
        };
        Competitor { name, take: Box::new(take) }
    }));
    all
}

/// Bytes of a record in the long run, with templates as often as they come.
fn bytes(competitor: &mut Competitor, records: &[FlowRecord]) -> f64 {
    let bytes: usize = (0..RUN_BATCHES).map(|_| (competitor.take)(records)).sum();
    bytes as f64 / (RUN_BATCHES * records.len()) as f64
}

/// Nanoseconds a record of each, the median of its runs, which take turns.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn in_turns(competitors: &mut [Competitor], records: &[FlowRecord]) -> Vec<f64> {
    let mut runs = vec![Vec::with_capacity(RUNS); competitors.len()];
    for _ in 0..RUNS {
        for (competitor, runs) in competitors.iter_mut().zip(&mut runs) {
            let start = Instant::now();
            for _ in 0..RUN_BATCHES {
                black_box((competitor.take)(black_box(records)));
            }
            runs.push(start.elapsed().as_nanos() as f64 / (RUN_BATCHES * records.len()) as f64);
        }
    }
    let median = |mut runs: Vec<f64>| {
        runs.sort_by(f64::total_cmp);
        runs[RUNS / 2]
    };
    runs.into_iter().map(median).collect()
}
