//! The codec beside other Cap'n Proto implementations: the capnp crate's builder and the `capnp` tool.

#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, missing_debug_implementations, reason = "generated code, see src/lib.rs")]
#[path = "../src/chf_capnp.rs"]
mod chf_capnp;
#[path = "../benches/reference/mod.rs"]
mod reference;
mod support;

use kflow::FlowRecord;
use kflow::codec::{Encoder, decode};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};
use support::any_record;

proptest! {
    #[test]
    fn what_the_builder_of_the_capnp_crate_writes_is_read(records in prop::collection::vec(any_record(), 0..20)) {
        let mut message = Vec::new();
        reference::encode(&records, &mut message);
        prop_assert_eq!(decode(&message).unwrap(), records);
    }

    #[test]
    fn the_message_says_the_same_as_that_of_the_capnp_crate(records in prop::collection::vec(any_record(), 0..20)) {
        let mut reference = Vec::new();
        reference::encode(&records, &mut reference);
        let mut encoder = Encoder::new();
        let ours = encoder.encode(&records).unwrap();
        prop_assert_eq!(canonical(ours), canonical(&reference));
    }
}

/// The message's canonical form, in which equal contents are equal words.
fn canonical(message: &[u8]) -> Vec<u64> {
    let message = capnp::serialize_packed::read_message(message, Default::default()).unwrap();
    let words = message.canonicalize().unwrap();
    capnp::Word::words_to_bytes(&words)
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[test]
fn the_capnp_tool_reads_our_messages() {
    let records = vec![FlowRecord { sample_rate: 7, protocol: 6, ..FlowRecord::default() }; 3];
    let mut encoder = Encoder::new();
    let message = encoder.encode(&records).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/chf.capnp");
    let child = Command::new("capnp")
        .args(["decode", "--packed", schema, "PackedCHF"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: the capnp tool (package capnproto) is not installed");
        return;
    };
    child.stdin.take().expect("it is piped").write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("sampleRate = 700,").count(), 3, "{text}");
    assert_eq!(text.matches("appProtocol = 101").count(), 1, "{text}");
    assert_eq!(text.matches("strVal = \"FLOW_END_REASON\"").count(), 1, "{text}");
}
