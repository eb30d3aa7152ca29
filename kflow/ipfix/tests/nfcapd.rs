//! nfcapd reads what is sent, and nfdump's totals are those of the records.

mod support;

use kflow::{DirectionCounters, FlowRecord, Sink};
use kflow_ipfix::{Biflow, Format, IpfixConfig, IpfixSink, Sampling, Transactions};
use std::collections::BTreeMap;
use std::net::IpAddr;
use support::nfcapd::{Collected, Nfcapd, Sum, Tuple};

const RECORDS: usize = 2_000;
const BATCH_RECORDS: usize = 100;

#[test]
fn every_flow_of_netflow_is_counted_as_it_is() {
    let records = support::flows(1, RECORDS);
    let netflow = |config: &mut IpfixConfig| config.format = Format::NetflowV9;
    let Some(collected) = collect("netflow", &records, netflow) else { return };
    assert_totals(&collected, &records);
}

#[test]
fn every_flow_of_ipfix_is_counted_as_it_is() {
    let records = support::with_applications(2, support::flows(2, RECORDS));
    let Some(collected) = collect("ipfix", &records, |_| {}) else { return };
    assert_totals(&collected, &records);
}

#[test]
fn totals_of_sampled_flows_are_multiplied_by_their_rate() {
    for format in [Format::Ipfix, Format::NetflowV9] {
        let records = support::sampled(support::flows(3, RECORDS));
        let Some(collected) = collect("sampled", &records, |config| config.format = format) else { return };
        assert_sums(&collected, &records, |record| record.sample_rate.into());
    }
}

#[test]
fn flows_that_are_said_to_be_sampled_as_flows_are_counted_as_they_are() {
    let records = support::sampled(support::flows(4, RECORDS));
    let as_flows = |config: &mut IpfixConfig| config.sampling = Sampling::Flows;
    let Some(collected) = collect("sampled-flows", &records, as_flows) else { return };
    assert_sums(&collected, &records, |_| 1);
}

#[test]
fn transactions_are_no_flows() {
    let flows = support::with_applications(5, support::flows(5, RECORDS));
    let records = support::with_transactions(flows);
    let Some(collected) = collect("left-out", &records, |_| {}) else { return };
    assert_totals(&collected, &records);
    let as_options = |config: &mut IpfixConfig| config.transactions = Transactions::Options;
    let Some(collected) = collect("options", &records, as_options) else { return };
    assert_sums(&collected, &records, |_| 1);
}

#[test]
fn both_directions_of_one_record_are_counted() {
    let records = support::flows(6, RECORDS);
    let in_one = |config: &mut IpfixConfig| config.biflow = Biflow::Rfc5103;
    let Some(collected) = collect("biflow", &records, in_one) else { return };
    let sum = |count: fn(&DirectionCounters) -> u64| -> u64 {
        records.iter().map(|record| count(&record.forward) + count(&record.reverse)).sum()
    };
    let in_flows: (u64, u64) = collected
        .tuples
        .values()
        .fold((0, 0), |(packets, bytes), sum| (packets + sum.packets, bytes + sum.bytes));
    assert_eq!(in_flows, (sum(|counters| counters.packets), sum(|counters| counters.bytes)));
    // One flow for both directions: what two records are counted as is twice as many.
    assert_eq!(collected.total.flows, records.len() as u64);
}

/// Sends records to nfcapd; what it makes of them.
fn collect(test: &str, records: &[FlowRecord], configure: impl Fn(&mut IpfixConfig)) -> Option<Collected> {
    let nfcapd = Nfcapd::start(test)?;
    let mut config = IpfixConfig::new(nfcapd.address);
    configure(&mut config);
    let mut sink = IpfixSink::open(config).unwrap();
    for batch in records.chunks(BATCH_RECORDS) {
        sink.write(batch).unwrap();
        nfcapd.wait_until_read();
    }
    sink.close().unwrap();
    let counters = sink.counters();
    assert_eq!(counters.records_sent.read() + counters.records_left_out.read(), records.len() as u64);
    assert_eq!(counters.records_failed.read(), 0);
    Some(nfcapd.collected())
}

/// Each flow, and all of them together, as they are in the records, and no gap in the sequence.
fn assert_totals(collected: &Collected, records: &[FlowRecord]) {
    assert_sums(collected, records, |_| 1);
    assert_eq!(collected.sequence_failures, 0, "{}", collected.log);
}

/// The same times what `rate` says. nfcapd does not count records of options, and so sees gaps where there are some.
fn assert_sums(collected: &Collected, records: &[FlowRecord], rate: impl Fn(&FlowRecord) -> u64) {
    let mut expected: BTreeMap<Tuple, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    for record in records {
        for (tuple, Sum { flows, packets, bytes }) in directions(record) {
            let sum = Sum { flows, packets: packets * rate(record), bytes: bytes * rate(record) };
            expected.entry(tuple).or_default().add(sum);
            total.add(sum);
        }
    }
    for (tuple, sum) in &expected {
        assert_eq!(collected.tuples.get(tuple), Some(sum), "{tuple:?}\n{}", collected.log);
    }
    assert_eq!(collected.tuples.len(), expected.len());
    assert_eq!(collected.total, total, "{}", collected.log);
}

/// What nfdump should say of a record: a flow for each direction that has packets.
fn directions(record: &FlowRecord) -> Vec<(Tuple, Sum)> {
    let (source, destination) = (&record.source, &record.destination);
    let is_icmp = record.protocol == 1 || record.protocol == 58;
    let icmp = u16::from(record.icmp.kind) << 8 | u16::from(record.icmp.code);
    [(source, destination, &record.forward), (destination, source, &record.reverse)]
        .into_iter()
        .filter(|(.., counters)| counters.packets > 0)
        .map(|(from, to, counters)| {
            let port = if is_icmp { icmp } else { to.port };
            let tuple = (text(from.address), from.port, text(to.address), port, record.protocol);
            (tuple, Sum { flows: 1, packets: counters.packets, bytes: counters.bytes })
        })
        .collect()
}

fn text(address: IpAddr) -> String {
    address.to_string()
}
