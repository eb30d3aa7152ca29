//! The codec beside other Cap'n Proto implementations: the capnp crate's builder and the `capnp` tool.

#[rustfmt::skip]
#[expect(clippy::all, clippy::pedantic, missing_debug_implementations, reason = "generated code, see src/lib.rs")]
#[path = "../src/chf_capnp.rs"]
mod chf_capnp;
#[path = "../benches/reference/mod.rs"]
mod reference;
mod support;

use kflow::application::{Draft, protocols::dns};
use kflow::codec::{Encoder, decode};
use kflow::{AppProtocol, FlowRecord, TunnelKind};
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

#[test]
fn another_senders_ids_are_mapped_by_name_and_what_does_not_apply_is_left_out() {
    let mut message = capnp::message::Builder::new_default();
    let root: chf_capnp::packed_c_h_f::Builder<'_> = message.init_root();
    let mut structs = root.init_msgs(2);
    let mut names = structs.reborrow().get(0);
    names.set_app_protocol(101);
    let mut customs = names.init_custom(5);
    let columns =
        [(7, "TUNNEL_SRC_ADDR"), (8, "TUNNEL"), (9, "TCP_STATE"), (10, "HTTP_PATH"), (1, "RESPONSES")];
    for (index, (id, name)) in (0..).zip(columns) {
        begin_custom(&mut customs, index, id).set_str_val(name);
    }
    let mut flow = structs.get(1);
    flow.set_protocol(17);
    let mut customs = flow.init_custom(5);
    begin_custom(&mut customs, 0, 10).set_str_val("not known here");
    // The short form of an IPv4 address, and a small number in a large member.
    begin_custom(&mut customs, 1, 7).set_addr_val(&[4, 192, 0, 2, 1]);
    begin_custom(&mut customs, 2, 8).set_uint64_val(TunnelKind::Gre as u64);
    begin_custom(&mut customs, 3, 9).set_uint8_val(3);
    begin_custom(&mut customs, 4, 1).set_uint32_val(12);
    let mut packed = Vec::new();
    capnp::serialize_packed::write_message(&mut packed, &message).unwrap();

    let mut expected = FlowRecord { protocol: 17, sample_rate: 0, ..FlowRecord::default() };
    expected.tunnel.kind = TunnelKind::Gre;
    expected.tunnel.source = [192, 0, 2, 1].into();
    expected.latency.responses = 12;
    assert_eq!(decode(&packed).unwrap(), [expected]);
}

#[test]
fn slots_without_a_use_are_left_out_and_of_two_values_the_last_counts() {
    let mut message = capnp::message::Builder::new_default();
    let root: chf_capnp::packed_c_h_f::Builder<'_> = message.init_root();
    let mut structs = root.init_msgs(4);
    let mut names = structs.reborrow().get(0);
    names.set_app_protocol(101);
    let mut customs = names.init_custom(5);
    let columns = [(1, "STR00"), (2, "STR01"), (3, "STR20"), (4, "INT00"), (5, "TRANSACTIONS")];
    for (index, (id, name)) in (0..).zip(columns) {
        begin_custom(&mut customs, index, id).set_str_val(name);
    }
    // A protocol that is known, one that is not, and none.
    for (index, app_protocol) in [(1, 1), (2, 77), (3, 0)] {
        let mut flow = structs.reborrow().get(index);
        flow.set_app_protocol(app_protocol);
        let mut customs = flow.init_custom(6);
        begin_custom(&mut customs, 0, 1).set_str_val("first.example");
        begin_custom(&mut customs, 1, 1).set_str_val("second\0example");
        begin_custom(&mut customs, 2, 2).set_uint32_val(7);
        begin_custom(&mut customs, 3, 3).set_str_val("DNS says nothing here");
        begin_custom(&mut customs, 4, 4).set_uint16_val(28);
        begin_custom(&mut customs, 5, 5).set_uint8_val(2);
    }
    let mut packed = Vec::new();
    capnp::serialize_packed::write_message(&mut packed, &message).unwrap();

    let mut draft = Draft::new(100);
    draft.begin(AppProtocol::Dns);
    draft.text(dns::QUERY, "second\u{FFFD}example".as_bytes());
    draft.number(dns::QUERY_TYPE, 28u32);
    let none = FlowRecord { sample_rate: 0, ..FlowRecord::default() };
    let some = FlowRecord {
        app_protocol: Some(AppProtocol::Dns),
        transactions: 2,
        application: Some(draft.to_application(None)),
        ..none.clone()
    };
    assert_eq!(decode(&packed).unwrap(), [some, none.clone(), none]);
}

/// The value, to be set, of a custom column with this id.
fn begin_custom<'a>(
    customs: &'a mut capnp::struct_list::Builder<'_, chf_capnp::custom::Owned>,
    index: u32,
    id: u32,
) -> chf_capnp::custom::value::Builder<'a> {
    let mut column = customs.reborrow().get(index);
    column.set_id(id);
    column.init_value()
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
