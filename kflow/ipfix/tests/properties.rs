//! Whatever records there are: a decoder that shares nothing with the encoder reads the same values, and no message is
//! larger than it may be.

#[path = "../../tests/support/mod.rs"]
mod any;
mod support;

use any::any_record;
use kflow::application::Datum;
use kflow::{DirectionCounters, EndReason, FlowRecord, TcpDirection, Tunnel};
use kflow_ipfix::{
    Biflow, Counts, Delivery, Encoder, Format, IpfixConfig, MESSAGE_BYTES_MIN, Sampling, Times, Transactions,
    Transport,
};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};
use support::decoder::Decoder;
use support::records::{Told, in_era, told};

const ENTERPRISE: u32 = 4_000_000_000;

fn any_config() -> impl Strategy<Value = IpfixConfig> {
    let size = prop_oneof![Just(MESSAGE_BYTES_MIN), MESSAGE_BYTES_MIN..3_000, Just(65_000)];
    let biflow = prop::sample::select(&[Biflow::TwoRecords, Biflow::Rfc5103][..]);
    let transactions = prop::sample::select(&[Transactions::LeaveOut, Transactions::Options][..]);
    let sampling = prop::sample::select(&[Sampling::Packets, Sampling::Flows][..]);
    (size, biflow, transactions, sampling, any::<bool>(), any::<u32>(), 1..20u32).prop_map(
        |(size, biflow, transactions, sampling, is_tcp, domain, refresh)| IpfixConfig {
            message_bytes_max: Some(size),
            biflow,
            transactions,
            sampling,
            domain,
            transport: if is_tcp { Transport::Tcp } else { Transport::Udp },
            times: Times::Nanoseconds,
            template_refresh_messages: refresh,
            enterprise: ENTERPRISE,
            ..IpfixConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 4739)))
        },
    )
}

/// All that a decoder is told by batches of records, and what became of the others.
fn exchange(config: &IpfixConfig, batches: &[Vec<FlowRecord>]) -> (Vec<Told>, Vec<Counts>) {
    let mut encoder = Encoder::new(config.clone());
    let mut decoder = Decoder::default();
    let mut all = Vec::new();
    let mut counts = Vec::new();
    for (batch, uptime_s) in batches.iter().zip(0..) {
        let sent = batch.iter().filter(|record| is_sent(record, config)).count();
        let mut next = 0..0;
        counts.push(encoder.encode(batch, uptime_s * 1_000_000_000, |message| {
            assert!(message.bytes.len() <= config.message_bytes());
            // Messages have the records in their order, and leave none out between them.
            assert!(message.records.start == next.end || message.records.start + 1 == next.end);
            assert!(!message.records.is_empty() && message.records.end <= sent);
            next = message.records.clone();
            let decoded = decoder.decode(message.bytes);
            assert_eq!(decoded.domain, config.domain);
            all.extend(decoded.records.iter().filter_map(|data| told(data, &decoded, config.enterprise)));
            Delivery::Sent
        }));
        assert_eq!(next.end, sent);
    }
    (all, counts)
}

fn is_sent(record: &FlowRecord, config: &IpfixConfig) -> bool {
    let has_options = config.transactions == Transactions::Options && config.format == Format::Ipfix;
    record.end_reason != EndReason::Transaction || has_options
}

/// Both directions of each flow together, in the order in which they came.
fn joined(all: Vec<Told>) -> Vec<Told> {
    let mut flows: Vec<Told> = Vec::new();
    for told in all {
        match flows.last_mut() {
            Some(first) if told.is_reverse && belongs(first, &told) => join(first, &told),
            _ => flows.push(told),
        }
    }
    flows
}

/// Whether these are the two directions of one flow: the second one is without packets of its own source.
fn belongs(first: &Told, second: &Told) -> bool {
    let is_open =
        !first.is_reverse && !first.is_transaction && first.record.reverse == DirectionCounters::default();
    let key = |told: &Told| (told.record.source, told.record.destination, told.record.start_ns);
    is_open && key(first) == key(second)
}

fn join(first: &mut Told, second: &Told) {
    let Tunnel { source, destination, .. } = second.record.tunnel;
    let turned = Tunnel { source: destination, destination: source, ..second.record.tunnel };
    assert_eq!(first.record.tunnel, turned);
    assert_eq!(first.record.end_ns, second.record.end_ns);
    first.record.reverse = second.record.reverse;
    first.record.tcp.reverse = second.record.tcp.reverse;
}

/// The record as far as IPFIX tells of it.
fn expected(record: &FlowRecord, config: &IpfixConfig) -> FlowRecord {
    let mut expected = FlowRecord {
        start_ns: in_era(record.start_ns.min(record.end_ns)),
        end_ns: in_era(record.end_ns),
        sample_rate: record.sample_rate.max(1),
        ..record.clone()
    };
    if record.end_reason == EndReason::Transaction {
        return FlowRecord {
            start_ns: expected.start_ns,
            end_ns: expected.end_ns,
            source: kflow::Endpoint { mac: kflow::MacAddress::default(), ..record.source },
            destination: kflow::Endpoint { mac: kflow::MacAddress::default(), ..record.destination },
            protocol: record.protocol,
            icmp: record.icmp,
            sample_rate: expected.sample_rate,
            end_reason: EndReason::Transaction,
            app_protocol: record.app_protocol,
            transactions: record.transactions,
            application: record.application.clone(),
            ..FlowRecord::default()
        };
    }
    for counters in [&mut expected.forward, &mut expected.reverse] {
        counters.mpls_label = counters.mpls_label.map(|label| label & 0xF_FFFF);
    }
    if config.biflow == Biflow::TwoRecords {
        // A direction without packets is not told of, but that nothing at all was sent is.
        if record.reverse.packets == 0 {
            expected.reverse = DirectionCounters::default();
            expected.tcp.reverse = TcpDirection::default();
        } else if record.forward.packets == 0 {
            expected.forward = DirectionCounters::default();
            expected.tcp.forward = TcpDirection::default();
        }
    }
    expected
}

/// Texts of the first are beginnings of those of the second, and everything else is the same.
fn assert_same_but_cut(found: &FlowRecord, expected: &FlowRecord) -> bool {
    let (Some(cut), Some(whole)) = (&found.application, &expected.application) else {
        assert_same(found, expected);
        return false;
    };
    let mut is_cut = false;
    for ((field, cut), (_, whole)) in cut.values().zip(whole.values()) {
        if let (Datum::Text(cut), Datum::Text(whole)) = (cut, whole) {
            assert!(whole.starts_with(cut), "{}", field.name);
            is_cut |= cut.len() < whole.len();
        } else {
            assert_eq!(cut, whole, "{}", field.name);
        }
    }
    assert_eq!(cut.values().count(), whole.values().count());
    assert_eq!(cut.latency_us(), whole.latency_us());
    let without = |record: &FlowRecord| FlowRecord { application: None, ..record.clone() };
    assert_same(&without(found), &without(expected));
    is_cut
}

/// Directions that are told of.
fn sides(record: &FlowRecord, config: &IpfixConfig) -> usize {
    let is_one = config.biflow == Biflow::Rfc5103 || record.end_reason == EndReason::Transaction;
    if is_one || record.forward.packets == 0 || record.reverse.packets == 0 { 1 } else { 2 }
}

/// Directions that are told of, each as the record and whether it is the way back.
fn netflow_sides(record: &FlowRecord) -> Vec<(&FlowRecord, bool)> {
    let (has_forward, has_reverse) = (record.forward.packets > 0, record.reverse.packets > 0);
    let forward = (has_forward || !has_reverse).then_some((record, false));
    forward.into_iter().chain(has_reverse.then_some((record, true))).collect()
}

/// Whether the flow lasts longer than NetFlow can say.
fn assert_same_netflow(found: &FlowRecord, record: &FlowRecord, is_back: bool) -> bool {
    let (from, to, counters) = match is_back {
        false => (record.source, record.destination, &record.forward),
        true => (record.destination, record.source, &record.reverse),
    };
    let ms = |ns: u64| ns / 1_000_000 * 1_000_000;
    let (start_ns, end_ns) = (ms(record.start_ns.min(record.end_ns)), ms(record.end_ns));
    let is_clamped = end_ns - start_ns > (u64::from(u32::MAX) - 1_000) * 1_000_000;
    // Header times end in 2106; a message has times of 49 days.
    let is_in_time = end_ns / 1_000_000_000 < u64::from(u32::MAX) - 50 * 86_400;
    let expected = FlowRecord {
        start_ns: if is_clamped || !is_in_time { found.start_ns } else { start_ns },
        end_ns: if is_in_time { end_ns } else { found.end_ns },
        source: from,
        destination: to,
        protocol: record.protocol,
        icmp: record.icmp,
        forward: DirectionCounters {
            frame_bytes: 0,
            fragments: 0,
            inner_vlan: 0,
            ecn_ce_packets: 0,
            mpls_label: counters.mpls_label.map(|label| label & 0xF_FFFF),
            ..*counters
        },
        end_reason: record.end_reason,
        sample_rate: record.sample_rate.max(1),
        ..FlowRecord::default()
    };
    assert_same(found, &expected);
    is_clamped
}

fn assert_same(found: &FlowRecord, expected: &FlowRecord) {
    let lines = |record: &FlowRecord| -> Vec<String> {
        format!("{record:#?}").lines().map(|line| line.trim().to_owned()).collect()
    };
    let (found, expected) = (lines(found), lines(expected));
    let differs = found.iter().zip(&expected).enumerate().find(|(_, (found, expected))| found != expected);
    assert_eq!(differs, None, "found and expected, from this line of the record on");
}

/// More than there are templates for what a record has only.
const MANY_RECORDS: usize = 2_500;

#[test]
fn records_of_more_shapes_than_there_are_templates_are_read_back() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let records = prop::collection::vec(any_record(), MANY_RECORDS).new_tree(&mut runner).unwrap().current();
    for biflow in [Biflow::TwoRecords, Biflow::Rfc5103] {
        let config = IpfixConfig {
            biflow,
            transactions: Transactions::Options,
            times: Times::Nanoseconds,
            message_bytes_max: Some(65_000),
            enterprise: ENTERPRISE,
            ..IpfixConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 4739)))
        };
        let (all, _) = exchange(&config, std::slice::from_ref(&records));
        let flows = joined(all);
        assert_eq!(flows.len(), records.len());
        for (told, record) in flows.iter().zip(&records) {
            assert!(!assert_same_but_cut(&told.record, &expected(record, &config)));
        }
        let templates = flows.iter().map(|told| told.template).max().unwrap();
        assert!(templates > 256 + 1_000, "{templates} is the last template");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn records_are_read_back_as_they_were(
        config in any_config(),
        batches in prop::collection::vec(prop::collection::vec(any_record(), 0..12), 1..6),
    ) {
        let (all, counts) = exchange(&config, &batches);
        let flows = joined(all);
        let sent: Vec<&FlowRecord> = batches.iter().flatten().filter(|record| is_sent(record, &config)).collect();
        prop_assert_eq!(flows.len(), sent.len());
        let mut cut = 0;
        for (told, record) in flows.iter().zip(&sent) {
            prop_assert_eq!(told.is_transaction, record.end_reason == EndReason::Transaction);
            cut += u64::from(assert_same_but_cut(&told.record, &expected(record, &config)));
        }
        let left_out = batches.iter().flatten().count() - sent.len();
        prop_assert_eq!(counts.iter().map(|counts| counts.left_out).sum::<u64>(), left_out as u64);
        prop_assert_eq!(counts.iter().map(|counts| counts.cut).sum::<u64>(), cut);
        prop_assert!(config.message_bytes() < 10_000 || cut == 0);
    }

    #[test]
    fn what_comes_behind_lost_messages_is_read(
        config in any_config(),
        batches in prop::collection::vec(prop::collection::vec(any_record(), 0..12), 1..6),
        fates in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let mut encoder = Encoder::new(config.clone());
        let mut decoder = Decoder::of_lossy();
        let mut fates = fates.into_iter().cycle();
        for batch in &batches {
            let mut told_of = Vec::new();
            let sent = batch.iter().filter(|record| is_sent(record, &config)).collect::<Vec<_>>();
            let mut is_lost = vec![false; sent.len()];
            encoder.encode(batch, 0, |message| {
                let arrives = fates.next().unwrap();
                if arrives {
                    // Panics if a template is not known.
                    let decoded = decoder.decode(message.bytes);
                    let records = decoded.records.iter().filter_map(|data| told(data, &decoded, config.enterprise));
                    told_of.extend(records);
                } else {
                    is_lost[message.records.clone()].fill(true);
                }
                if arrives { Delivery::Sent } else { Delivery::Failed }
            });
            // All of a record that is not lost came; of the others a part may have.
            let whole = sent.iter().zip(&is_lost).filter(|(_, is_lost)| !**is_lost).map(|(record, _)| *record);
            let least: usize = whole.map(|record| sides(record, &config)).sum();
            prop_assert!(told_of.len() >= least);
            let most: usize = sent.iter().map(|record| sides(record, &config)).sum();
            prop_assert!(told_of.len() <= most);
        }
    }

    #[test]
    fn netflow_is_read_back_as_it_was(
        config in any_config(),
        batches in prop::collection::vec(prop::collection::vec(any_record(), 0..20), 1..6),
    ) {
        let config = IpfixConfig { format: Format::NetflowV9, transport: Transport::Udp, ..config };
        let (all, counts) = exchange(&config, &batches);
        let sent = batches.iter().flatten().filter(|record| is_sent(record, &config));
        let sides: Vec<(&FlowRecord, bool)> = sent.flat_map(netflow_sides).collect();
        prop_assert_eq!(all.len(), sides.len());
        let mut clamped = 0;
        for (told, (record, is_back)) in all.iter().zip(sides) {
            clamped += u64::from(assert_same_netflow(&told.record, record, is_back));
        }
        // Counted once for both directions.
        prop_assert!(clamped >= counts.iter().map(|counts| counts.clamped).sum::<u64>());
    }
}
