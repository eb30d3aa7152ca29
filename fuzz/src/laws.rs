//! What holds for every record that the sensor makes, and for what is written of it.

use kflow::{
    DirectionCounters, FlowRecord, Latency, TcpDirection, TcpRecord,
    codec::{Encoder, decode},
    text,
};

const TCP: u8 = 6;

/// A record that packets can have led to.
pub fn assert_possible(record: &FlowRecord) {
    let FlowRecord { source, destination, forward, reverse, tcp, .. } = record;
    assert!(record.start_ns <= record.end_ns);
    assert!(forward.packets + reverse.packets > 0);
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

/// Records come back from kflow as they were, and each is an object of JSON on a line of its own.
pub fn assert_expressible(records: &[FlowRecord], encoder: &mut Encoder) {
    let message = encoder.encode(records).expect("what the sensor makes can be encoded");
    assert_eq!(decode(message).expect("our own message decodes"), records);
    let mut line = Vec::new();
    for record in records {
        line.clear();
        text::write_json(record, &mut line);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        assert!(matches!(serde_json::from_slice(&line), Ok(serde_json::Value::Object(_))));
    }
}
