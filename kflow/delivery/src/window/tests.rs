//! Totals stay right in the mean, flows stay whole, and no record goes uncounted.

use super::*;
use kflow::Endpoint;
use std::collections::HashMap;

/// A population of flows with one to four records each, a few of them heavy.
fn population() -> Vec<FlowRecord> {
    let mut records = Vec::new();
    for flow in 0..1_000_u32 {
        let [a, b] = [10 << 24 | flow, 172 << 24 | flow.wrapping_mul(2_654_435_761) >> 16];
        for span in 0..=flow % 4 {
            let mut record = FlowRecord {
                source: endpoint(a, 40_000 + (flow % 1_000) as u16),
                destination: endpoint(b, if flow % 3 == 0 { 443 } else { 53 }),
                protocol: if flow % 3 == 0 { 6 } else { 17 },
                start_ns: u64::from(span),
                ..FlowRecord::default()
            };
            record.forward.bytes = 100 + u64::from(flow.wrapping_mul(40_503) % 2_000);
            record.forward.packets = 1 + u64::from(flow % 7);
            records.push(record);
        }
    }
    records
}

fn endpoint(address: u32, port: u16) -> Endpoint {
    Endpoint { address: IpAddr::from(address.to_be_bytes()), port, ..Endpoint::default() }
}

fn flow_of(record: &FlowRecord) -> (IpAddr, u16) {
    (record.source.address, record.source.port)
}

fn filled(capacity: usize, seed: u64, records: &[FlowRecord]) -> (Taken<FlowRecord>, u64) {
    let mut window = Window::new(capacity, seed);
    let thinned = records.iter().map(|record| window.push(record.clone())).sum();
    (window.take(Vec::new()), thinned)
}

/// As much of a record as sums need, so that thousands of windows are filled in a short time.
#[derive(Clone, Copy)]
struct Light {
    flow: u64,
    group: usize,
    packets: u64,
    bytes: u64,
}

impl OfFlow for Light {
    /// SplitMix64.
    fn flow_hash(&self, seed: u64) -> u64 {
        let mut mixed = (self.flow ^ seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// Records, packets and bytes of both kinds of flows.
fn totals(records: &[Light], factor_hundredths: u32) -> [f64; 6] {
    let mut totals = [0.0; 6];
    for record in records {
        let values = [1, record.packets, record.bytes];
        for (total, value) in totals[3 * record.group..].iter_mut().zip(values) {
            *total += value as f64 * f64::from(factor_hundredths) / f64::from(FACTOR_ONE);
        }
    }
    totals
}

#[test]
fn records_that_fit_are_all_there() {
    let records = population();
    let (taken, thinned) = filled(records.len(), 1, &records);
    assert_eq!((taken.records.len(), taken.factor_hundredths, thinned), (records.len(), FACTOR_ONE, 0));
}

#[test]
fn totals_of_thinned_windows_are_within_one_percent_over_many_seeds() {
    const SEEDS: u64 = 3_000;
    let records: Vec<Light> = population()
        .iter()
        .map(|record| Light {
            flow: record.flow_hash(0),
            group: usize::from(record.protocol == 6),
            packets: record.forward.packets,
            bytes: record.forward.bytes,
        })
        .collect();
    let truth = totals(&records, FACTOR_ONE);
    for capacity in [2_000, 500] {
        let mut means = [0.0; 6];
        for seed in 0..SEEDS {
            let mut window = Window::new(capacity, seed);
            for record in &records {
                window.push(*record);
            }
            let taken = window.take(Vec::new());
            for (mean, value) in means.iter_mut().zip(totals(&taken.records, taken.factor_hundredths)) {
                *mean += value / SEEDS as f64;
            }
        }
        for (mean, truth) in means.into_iter().zip(truth) {
            let error = (mean / truth - 1.0).abs();
            assert!(error < 0.01, "{mean} in the mean, {truth} in truth, {capacity} of {}", records.len());
        }
    }
}

#[test]
fn flow_stays_or_goes_as_a_whole_and_every_record_is_counted() {
    let records = population();
    let mut spans = HashMap::new();
    for record in &records {
        *spans.entry(flow_of(record)).or_insert(0) += 1;
    }
    for seed in 0..20 {
        let (taken, thinned) = filled(500, seed, &records);
        assert!(taken.records.len() <= 500, "the window has no more room");
        assert!(taken.records.len() > 350, "no more goes than has to: {}", taken.records.len());
        assert_eq!(taken.records.len() as u64 + thinned, records.len() as u64);
        let mut kept = HashMap::new();
        for record in &taken.records {
            *kept.entry(flow_of(record)).or_insert(0) += 1;
        }
        assert!(kept.iter().all(|(flow, count)| spans[flow] == *count));
    }
}

#[test]
fn both_directions_of_a_conversation_are_one_flow() {
    for mut record in population() {
        let hash = record.flow_hash(7);
        std::mem::swap(&mut record.source, &mut record.destination);
        assert_eq!(record.flow_hash(7), hash);
        assert_ne!(record.flow_hash(8), hash);
    }
}

#[test]
fn next_window_begins_with_all_flows() {
    let records = population();
    let mut window = Window::new(100, 3);
    for record in &records {
        window.push(record.clone());
    }
    assert!(window.take(Vec::new()).factor_hundredths > FACTOR_ONE);
    assert_eq!(window.push(records[0].clone()), 0);
    assert_eq!(window.take(Vec::new()).factor_hundredths, FACTOR_ONE);
}

#[test]
fn one_flow_alone_in_too_many_records_goes_with_a_count() {
    let record = population().remove(0);
    let mut window = Window::new(10, 5);
    let thinned: u64 = (0..1_000).map(|_| window.push(record.clone())).sum();
    let taken = window.take(Vec::new());
    assert_eq!(taken.records.len() as u64 + thinned, 1_000);
}
