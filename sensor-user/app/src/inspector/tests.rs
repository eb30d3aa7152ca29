//! What the inspector promises beside its parsers: nothing leaves without being counted.

use super::{Inspector, Payload};
use crate::{Privacy, Sender, Transport, harness::LIMITS};
use kflow::{AppProtocol, FlowRecord};

fn payload(bytes: &[u8], is_fresh: bool, time_ns: u64) -> Payload<'_> {
    Payload {
        slot: 0,
        is_fresh,
        transport: Transport::Udp,
        sender: Sender::Source,
        sender_port: 40_000,
        receiver_port: 53,
        bytes,
        wire_bytes: bytes.len() as u32,
        sequence: 0,
        start: None,
        acknowledged: None,
        time_ns,
    }
}

fn query(id: u8) -> Vec<u8> {
    [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &b"\x07example\0\0\x01\0\x01"[..]].concat()
}

#[test]
fn what_a_flow_leaves_behind_whose_end_was_not_told_is_counted() {
    let mut inspector = Inspector::new(LIMITS, Privacy::default());
    let queries = [1, 2].map(query);
    for (index, query) in queries.iter().enumerate() {
        inspector.inspect(&payload(query, index == 0, 1), &mut |_| panic!("nothing is complete"));
    }
    // Another flow is in the slot.
    inspector.inspect(&payload(&query(3), true, 2), &mut |_| panic!("nothing is complete"));
    let counts = inspector.counts().read(AppProtocol::Dns);
    assert_eq!((counts.flows, counts.transactions, counts.unexported), (2, 2, 2));
}

#[test]
fn every_flow_is_recognised_or_counted_as_unknown() {
    let mut inspector = Inspector::new(LIMITS, Privacy::default());
    inspector.inspect(&payload(b"neither this nor that", true, 1), &mut |_| {});
    assert_eq!(inspector.counts().flows_unknown, 0, "the next payload may tell");
    inspector.annotate(0, true, &FlowRecord::default(), &mut |_| {});
    assert_eq!(inspector.counts().flows_unknown, 1);
}
