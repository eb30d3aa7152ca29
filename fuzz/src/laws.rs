//! What holds for every record that the sensor makes, and for what is written of it.

use kflow::{
    DirectionCounters, EndReason, FlowRecord, Latency, TcpDirection, TcpRecord,
    application::Datum,
    codec::{Encoder, decode},
    text,
};

const TCP: u8 = 6;

/// A record that packets can have led to.
pub fn assert_possible(record: &FlowRecord) {
    let FlowRecord { source, destination, forward, reverse, tcp, .. } = record;
    assert!(record.start_ns <= record.end_ns);
    let is_transaction = record.end_reason == EndReason::Transaction;
    assert_eq!(forward.packets + reverse.packets > 0, !is_transaction);
    assert!(!is_transaction || record.app_protocol.is_some());
    assert_application(record);
    assert_eq!(source.address.is_ipv4(), destination.address.is_ipv4());
    assert_eq!(record.tunnel.source.is_ipv4(), record.tunnel.destination.is_ipv4());
    for counters in [forward, reverse] {
        assert_counters(counters);
    }
    assert_latency(&record.latency);
    if record.protocol != TCP {
        assert_eq!(*tcp, TcpRecord::default());
        return;
    }
    assert_segments(&tcp.forward, forward.packets);
    assert_segments(&tcp.reverse, reverse.packets);
}

/// What was said is of the record's protocol, and something.
fn assert_application(record: &FlowRecord) {
    let FlowRecord { app_protocol, transactions, .. } = *record;
    assert!(transactions == 0 || app_protocol.is_some());
    // Transactions are counted in the record of their span.
    assert!(transactions == 0 || record.end_reason != EndReason::Transaction);
    let Some(application) = &record.application else { return };
    assert_eq!(app_protocol, Some(application.protocol()));
    assert!(!application.is_empty());
}

fn assert_counters(counters: &DirectionCounters) {
    assert!(u64::from(counters.fragments) <= counters.packets);
    assert!(u64::from(counters.ecn_ce_packets) <= counters.packets);
    assert!(counters.ttl_min <= counters.ttl_max);
    if counters.packets == 0 {
        assert_eq!(*counters, DirectionCounters::default());
    }
}

fn assert_latency(latency: &Latency) {
    let Latency { response_min_us, response_mean_us, response_max_us, responses, .. } = latency;
    assert!(response_min_us <= response_mean_us && response_mean_us <= response_max_us);
    assert_eq!(response_min_us.is_some(), *responses > 0);
}

/// What is counted of one side's segments, of which there were no more than `packets`.
fn assert_segments(direction: &TcpDirection, packets: u64) {
    let sum = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum::<u64>();
    let TcpDirection {
        retransmitted_packets,
        fast_retransmits,
        spurious_retransmits,
        repeated_retransmits,
        out_of_order_packets,
        duplicate_acks,
        lost_segments,
        keep_alives,
        zero_windows,
        rtt_min_us,
        rtt_mean_us,
        rtt_max_us,
        rtt_samples,
        ..
    } = *direction;
    // A segment is one of these at most …
    let troubles = [retransmitted_packets, out_of_order_packets, duplicate_acks, keep_alives];
    assert!(sum(&troubles) <= packets);
    assert!(u64::from(lost_segments.max(zero_windows)) <= packets);
    // … and these are kinds of retransmissions.
    assert!(sum(&[fast_retransmits, spurious_retransmits]) <= u64::from(retransmitted_packets));
    assert!(repeated_retransmits <= retransmitted_packets);
    assert!(direction.retransmitted_bytes == 0 || retransmitted_packets > 0);
    assert!(rtt_min_us <= rtt_mean_us && rtt_mean_us <= rtt_max_us);
    assert_eq!(rtt_samples > 0, rtt_min_us.is_some());
    assert_eq!(direction.rtt_jitter_us.is_some(), rtt_samples > 1);
    assert!(direction.receive_window_min <= direction.receive_window);
    assert_eq!(direction.receive_window_min.is_some(), direction.receive_window.is_some());
}

/// Records come back from kflow as they were, and each is an object of JSON on a line of its own, whose members say
/// what the application said.
pub fn assert_expressible(records: &[FlowRecord], encoder: &mut Encoder) {
    let message = encoder.encode(records).expect("what the sensor makes can be encoded");
    assert_eq!(decode(message).expect("our own message decodes"), records);
    let mut line = Vec::new();
    for record in records {
        line.clear();
        text::write_json(record, &mut line);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&line) else {
            panic!("{}", String::from_utf8_lossy(&line));
        };
        for (field, value) in record.application.iter().flat_map(|application| application.values()) {
            let printed = &object[field.name];
            match value {
                Datum::Number(number) => assert_eq!(printed, &number),
                Datum::Text(text) => assert_eq!(printed, text),
                Datum::Address(address) => assert_eq!(printed, &address.to_string()),
            }
        }
    }
}
