//! Conservation on a veth cable at low load: every frame sent is offered, accounted for, and in the record of
//! its conversation. Needs root.

use kflow::EndReason;
use netns::VethOptions;
use std::collections::BTreeMap;
use std::path::Path;
use system_tests::{
    Conversations, Folder, Outcome, Record, Sensor, Signal, Wire, needs_root, normalised, run_offline,
};
use traffic::mix::{Conversation, Expected, Mix, Options, Traffic};
use traffic::pcap::{ByteOrder, Format, Writer};

/// Deeper than any mix of this file has frames, so that even a worker that never runs loses none.
const DEEP: [&str; 2] = ["--frames", "32768"];
const CONVERSATIONS: u32 = 600;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// What the generator sends in fragments.
const NFS: u16 = 2049;
const TWO_QUEUES: VethOptions = VethOptions { queues: 2, mtu: 1500 };

fn sensor<'a>(wire: &'a Wire, source: &str, arguments: &[&str]) -> Sensor<'a> {
    let mut all = vec!["--source", source];
    all.extend(DEEP);
    all.extend(arguments);
    Sensor::capture(wire, &all)
}

/// Sends one mix to one sensor.
/// In these a conversation has one record, however many workers there are.
const UNFRAGMENTED: [Mix; 5] = [Mix::Tcp, Mix::Udp, Mix::Icmp, Mix::Vlan, Mix::Protocols];

fn run(wire: &Wire, mix: Mix, source: &str, arguments: &[&str]) -> (Outcome, Expected) {
    let sensor = sensor(wire, source, arguments);
    let expected = wire.send_mix(mix, 7, CONVERSATIONS);
    sensor.wait_for_offered(expected.packets() + expected.not_flow);
    (sensor.stop(), expected)
}

fn assert_mode(outcome: &Outcome, mode: &str) {
    let summary = outcome.summary.as_ref().expect("the sensor ended well");
    let is_mode = summary["mode"].as_str().is_some_and(|actual| actual.starts_with(mode));
    assert!(is_mode, "not captured by {mode}:\n{}", outcome.stderr);
}

#[test]
fn every_frame_reaches_its_conversation_by_native_xdp() {
    if !needs_root("native XDP") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for mix in [Mix::All, Mix::Vlan, Mix::Ipv6, Mix::Fragments] {
        let (outcome, expected) = run(&wire, mix, "xdp", &[]);
        assert_mode(&outcome, "native");
        outcome.assert_conserves(&expected);
    }
    assert!(!wire.has_program(), "the program is still attached");
}

#[test]
fn every_frame_reaches_its_conversation_by_generic_xdp() {
    if !needs_root("generic XDP") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let folder = Folder::create();
    let config = folder.write("generic.toml", "[capture]\nmode = \"generic\"\n");
    for mix in [Mix::All, Mix::Vlan] {
        let (outcome, expected) = run(&wire, mix, "xdp", &["--config", text(&config)]);
        assert_mode(&outcome, "generic");
        outcome.assert_conserves(&expected);
    }
}

#[test]
fn every_frame_reaches_its_conversation_by_af_packet() {
    if !needs_root("AF_PACKET") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for (mix, workers) in [(Mix::All, "1"), (Mix::Vlan, "1"), (Mix::Ipv6, "2")] {
        let sensor = sensor(&wire, "afpacket", &["--workers", workers]);
        let mut traffic = Traffic::new(Options { mix, seed: 7, conversations: CONVERSATIONS });
        // The kernel takes the outer tag off before packet sockets see a frame, and drops one that ends inside it.
        let frames: Vec<_> = traffic
            .by_ref()
            .filter(|frame| frame.description != "VLAN tag cut")
            .map(|frame| frame.bytes)
            .collect();
        let sent = wire.send(&frames);
        assert_eq!(sent, frames.len() as u64, "every frame fits the wire");
        sensor.wait_for_offered(sent);
        let outcome = sensor.stop();
        assert_mode(&outcome, "afpacket");
        outcome.assert_clean();
        let expected = Conversations::from(traffic.expected());
        outcome.conversations().assert_equal(&expected, mix.name());
        assert_eq!((outcome.ledger("offered"), outcome.ledger("dropped")), (sent, 0), "{}", outcome.stderr);
    }
}

#[test]
fn jumbo_frames_of_several_buffers_are_whole() {
    if !needs_root("jumbo frames") {
        return;
    }
    let wire = Wire::lay(VethOptions { queues: 1, mtu: 9000 });
    for source in ["xdp", "afpacket"] {
        let sensor = sensor(&wire, source, &[]);
        let expected = wire.send_mix(Mix::Jumbo, 7, 200);
        let longest = expected.conversations.values().map(|each| each.forward.bytes.max(each.reverse.bytes));
        assert!(longest.max() > Some(9000), "the mix has long conversations");
        sensor.wait_for_offered(expected.packets());
        sensor.stop().assert_conserves(&expected);
    }
}

#[test]
fn vlan_tags_are_in_the_records_of_both_sources() {
    if !needs_root("VLAN tags") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let tags = |outcome: &Outcome| {
        let mut tags: Vec<_> =
            outcome.flows().map(|each| (each.key, each.forward_vlan, each.reverse_vlan)).collect();
        tags.sort();
        tags
    };
    let (by_xdp, _) = run(&wire, Mix::Vlan, "xdp", &[]);
    let (by_af_packet, _) = run(&wire, Mix::Vlan, "afpacket", &[]);
    assert!(by_xdp.flows().all(|record| record.forward_vlan > 0));
    assert_eq!(tags(&by_xdp), tags(&by_af_packet));
}

/// A conversation whose directions went to different workers would have a record for each of them.
fn assert_one_record_a_conversation(outcome: &Outcome, expected: &Expected) {
    outcome.assert_conserves(expected);
    let mut records: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in outcome.flows() {
        let (key, _) = normalised(record.key, Conversation::default());
        records.entry(key).or_default().push(record);
    }
    for (key, records) in records {
        // Queues have no order between them: a SYN that comes behind the end of its own connection starts anew.
        let is_restarted = key.protocol == TCP
            && records.len() == 2
            && records.iter().any(|record| record.end_reason == EndReason::EndOfFlow);
        // A packet whose fragments come in the wrong order is steered by its addresses.
        let is_fragmented = key.protocol == UDP
            && records.len() == 2
            && [key.source_port, key.destination_port].iter().any(|port| [0, NFS].contains(port));
        assert!(
            records.len() == 1 || is_restarted || is_fragmented,
            "{} records of {key:?}: {records:#?}",
            records.len()
        );
    }
}

#[test]
fn two_workers_on_two_queues_split_no_conversation() {
    if !needs_root("two queues") {
        return;
    }
    let wire = Wire::lay(TWO_QUEUES);
    for mix in UNFRAGMENTED {
        let sensor = sensor(&wire, "xdp", &["--workers", "2"]);
        let expected = wire.send_mix(mix, 11, CONVERSATIONS);
        sensor.wait_for_offered(expected.packets() + expected.not_flow);
        let metrics = sensor.metrics();
        assert_one_record_a_conversation(&sensor.stop(), &expected);
        for worker in ["0", "1"] {
            let frames = metrics.value(&format!("sensor_worker_frames_total{{worker=\"{worker}\"}}"));
            assert!(frames > Some(0.0), "worker {worker} had nothing to do");
        }
    }
}

#[test]
fn two_workers_that_share_one_queue_split_no_conversation() {
    if !needs_root("a shared queue") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for mix in UNFRAGMENTED {
        let (outcome, expected) = run(&wire, mix, "xdp", &["--workers", "2"]);
        assert_one_record_a_conversation(&outcome, &expected);
    }
    // Fragments that overtake their first one take it along to another worker, where the flow has another record.
    let (outcome, expected) = run(&wire, Mix::Fragments, "xdp", &["--workers", "2"]);
    outcome.assert_conserves(&expected);
}

#[test]
fn one_worker_on_two_queues_splits_no_conversation() {
    if !needs_root("two queues") {
        return;
    }
    let wire = Wire::lay(TWO_QUEUES);
    let (outcome, expected) = run(&wire, Mix::All, "xdp", &[]);
    assert_one_record_a_conversation(&outcome, &expected);
}

#[test]
fn sample_keeps_whole_conversations() {
    if !needs_root("sampling") {
        return;
    }
    let wire = Wire::lay(TWO_QUEUES);
    for source in ["xdp", "afpacket"] {
        let (outcome, expected) = run(&wire, Mix::Tcp, source, &["--sample-rate", "4", "--workers", "2"]);
        outcome.assert_clean();
        let whole = Conversations::from(&expected);
        let kept = outcome.conversations();
        for (key, conversation) in &kept.0 {
            assert_eq!(Some(conversation), whole.0.get(key), "{key:?} is not whole");
        }
        assert!((1..whole.0.len() / 2).contains(&kept.0.len()), "{} of {} kept", kept.0.len(), whole.0.len());
        assert!(outcome.records.iter().all(|record| record.sample_rate == 4));
        let left = outcome.dropped_by("kernel.sampled_out") + outcome.accounted_by("sampled_out");
        assert_eq!(left + outcome.accounted_by("flow"), expected.packets(), "{}", outcome.stderr);
        assert_eq!(outcome.ledger("offered"), expected.packets(), "{}", outcome.stderr);
    }
}

const FILTERS: [&str; 5] = [
    "include_prefixes = [\"198.18.0.0/25\", \"2001:db8:2::/48\"]\n",
    "exclude_prefixes = [\"198.18.0.64/26\", \"10.0.1.0/24\", \"2001:db8:1::/48\"]\n",
    "include_ports = [53, 443]\n",
    "exclude_ports = [443, 80]\nexclude_protocols = [1, 58]\n",
    "include_prefixes = [\"198.18.0.0/24\"]\nexclude_prefixes = [\"198.18.0.0/25\"]\ninclude_protocols = [6, 17]\n",
];

#[test]
fn filter_keeps_the_same_conversations_in_kernel_worker_and_file() {
    if !needs_root("filters") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    let folder = Folder::create();
    let capture = folder.file("all.pcap");
    write_capture(&capture, Mix::All, 7);
    let mut sizes = Vec::new();
    for (index, filter) in FILTERS.iter().enumerate() {
        let config = folder.write(&format!("filter{index}.toml"), format!("[filter]\n{filter}"));
        let arguments = ["--config", text(&config)];
        let (by_xdp, expected) = run(&wire, Mix::All, "xdp", &arguments);
        by_xdp.assert_clean();
        let file =
            run_offline(&["--config", text(&config), "--pcap", text(&capture), "--metrics", "off"], None);
        file.assert_clean();
        let kept = file.conversations();
        by_xdp.conversations().assert_equal(&kept, &format!("XDP and file: {filter}"));
        assert_eq!(by_xdp.ledger("offered"), expected.packets() + expected.not_flow);
        let filtered = by_xdp.dropped_by("kernel.filtered");
        assert_eq!(filtered, expected.packets() - kept.packets(), "{}", by_xdp.stderr);
        let sensor = sensor(&wire, "afpacket", &arguments);
        wire.send_mix(Mix::All, 7, CONVERSATIONS);
        // A frame that ends inside its VLAN tag does not get to packet sockets.
        sensor.wait_for_offered(expected.packets());
        let by_af_packet = sensor.stop();
        by_af_packet.assert_clean();
        by_af_packet.conversations().assert_equal(&kept, &format!("AF_PACKET and file: {filter}"));
        sizes.push(kept.0.len());
    }
    let all = write_capture(&capture, Mix::All, 7).conversations.len();
    assert!(sizes.iter().all(|kept| (1..all).contains(kept)), "each filter keeps some: {sizes:?} of {all}");
}

#[test]
fn reload_puts_the_new_filter_in_place() {
    if !needs_root("reload") {
        return;
    }
    let wire = Wire::lay(VethOptions::default());
    for source in ["xdp", "afpacket"] {
        let folder = Folder::create();
        let config = folder.write("sensor.toml", "[filter]\ninclude_ports = [443]\n");
        let mut sensor = sensor(&wire, source, &["--config", text(&config)]);
        let first = wire.send_mix(Mix::Udp, 1, 100);
        sensor.wait_for_offered(first.packets());

        folder.write("sensor.toml", "[filter]\ninclude_portz = [53]\n");
        sensor.signal(Signal::Reload);
        sensor.wait_for_log("filter not reloaded");

        folder.write("sensor.toml", "[filter]\ninclude_ports = [53]\n");
        sensor.signal(Signal::Reload);
        sensor.wait_for_log("\"filter reloaded\"");
        let second = wire.send_mix(Mix::Udp, 2, 100);
        sensor.wait_for_offered(first.packets() + second.packets());

        let outcome = sensor.stop();
        outcome.assert_clean();
        outcome.conversations().assert_equal(&Conversations::from(&second), source);
    }
}

fn write_capture(path: &Path, mix: Mix, seed: u64) -> Expected {
    let file = std::fs::File::create(path).expect("a file of the test");
    let mut writer = Writer::new(std::io::BufWriter::new(file), Format::PcapNanoseconds, ByteOrder::Little)
        .expect("a capture can be written");
    let mut traffic = Traffic::new(Options { mix, seed, conversations: CONVERSATIONS });
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).expect("a capture can be written");
    }
    writer.finish().expect("a capture can be written");
    traffic.into_expected()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are plain")
}
