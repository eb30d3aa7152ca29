//! Community IDs are those of the reference implementation, and the same from both ends.

mod support;

use kflow::{CommunityId, Endpoint, FlowRecord, IcmpKind};
use proptest::prelude::*;
use support::any_record;

const VECTORS: &str = include_str!("community_id/vectors.txt");

#[test]
fn ids_are_those_of_the_reference_implementation() {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    for line in lines.clone() {
        let (flow, expected) = line.rsplit_once(' ').unwrap();
        assert_eq!(CommunityId::of(&record(flow)).to_string(), expected, "{flow}");
    }
    assert_eq!(lines.count(), 173);
}

/// The record of a vector's flow.
fn record(flow: &str) -> FlowRecord {
    let fields: Vec<&str> = flow.split(' ').collect();
    let [protocol, source, destination, first, second] = fields[..] else {
        panic!("{flow}");
    };
    let mut record = FlowRecord {
        protocol: protocol.parse().unwrap(),
        source: Endpoint { address: source.parse().unwrap(), ..Endpoint::default() },
        destination: Endpoint { address: destination.parse().unwrap(), ..Endpoint::default() },
        ..FlowRecord::default()
    };
    if matches!(record.protocol, 1 | 58) {
        record.icmp = IcmpKind { kind: first.parse().unwrap(), code: second.parse().unwrap() };
    } else {
        record.source.port = first.parse().unwrap();
        record.destination.port = second.parse().unwrap();
    }
    record
}

proptest! {
    #[test]
    fn both_ends_of_a_flow_have_the_same_id(record in any_record()) {
        prop_assume!(!matches!(record.protocol, 1 | 58));
        let (source, destination) = (record.destination, record.source);
        let turned = FlowRecord { source, destination, ..record.clone() };
        prop_assert_eq!(CommunityId::of(&record), CommunityId::of(&turned));
    }
}

#[test]
fn an_answer_seen_first_gives_the_id_of_its_question() {
    for (question, answer) in
        [("1 10.0.0.1 10.0.0.2 8 0", "1 10.0.0.2 10.0.0.1 0 0"), ("58 ::1 ::2 135 0", "58 ::2 ::1 136 0")]
    {
        assert_eq!(CommunityId::of(&record(question)), CommunityId::of(&record(answer)));
    }
}

#[test]
fn the_connection_id_is_the_end_of_the_digest() {
    // The digest in base64, and its last four bytes.
    let id = CommunityId::of(&record("6 10.0.0.1 198.51.100.20 49152 443"));
    assert_eq!(id.to_string(), "1:Wxk7BEuT5zL3kOYt3jczaZwojZE=");
    assert_eq!(id.connection_id(), 0x9C28_8D91);
}
