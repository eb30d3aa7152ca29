//! What the sensor understood of packets, end to end: TCP in trouble, tunnels and fragments of the generator, whose
//! every segment and inner packet has a meaning, against the records.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use system_tests::{Conversations, Folder, Outcome, run_offline};
use traffic::mix::{
    ConversationKey, Counters, Expected, InnerConversation, InnerKey, Mix, Options, TcpExpected, Traffic,
};
use traffic::pcap::{ByteOrder, Format, Writer};

/// A mix in a file of the folder.
fn capture(folder: &Folder, options: Options) -> (PathBuf, Expected) {
    let mut writer = Writer::new(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little).expect("a vector");
    let mut traffic = Traffic::new(options);
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).expect("a vector takes every write");
    }
    let bytes = writer.finish().expect("a vector takes every write");
    (folder.write("mix.pcap", bytes), traffic.into_expected())
}

fn run(folder: &Folder, capture: &std::path::Path, config: &str) -> Outcome {
    let config = folder.write("sensor.toml", format!("[flow]\ncapacity = 4096\n{config}"));
    let path = |path: &std::path::Path| path.to_str().expect("temporary paths are plain").to_owned();
    run_offline(&["--pcap", &path(capture), "--config", &path(&config), "--metrics", "off"], None)
}

fn objects(outcome: &Outcome) -> impl Iterator<Item = Value> + '_ {
    outcome.json.lines().map(|line| serde_json::from_str(line).expect("a line is an object"))
}

fn number(record: &Value, name: &str) -> u64 {
    record[name].as_u64().unwrap_or_else(|| panic!("{name} in {record}"))
}

fn key(record: &Value) -> ConversationKey {
    let address = |name: &str| record[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
    ConversationKey {
        source: address("source_address"),
        source_port: number(record, "source_port") as u16,
        destination: address("destination_address"),
        destination_port: number(record, "destination_port") as u16,
        protocol: number(record, "protocol") as u8,
    }
}

#[test]
fn tcp_in_trouble_is_counted_segment_by_segment() {
    for seed in [1, 2, 3] {
        let folder = Folder::create();
        let (file, expected) = capture(&folder, Options { mix: Mix::TcpTrouble, seed, conversations: 400 });
        let outcome = run(&folder, &file, "");
        outcome.assert_conserves(&expected);
        // Ports that are used again give a record each.
        let mut sums: BTreeMap<ConversationKey, [TcpExpected; 2]> = BTreeMap::new();
        for record in objects(&outcome) {
            let key = key(&record);
            let is_forward = expected.tcp.contains_key(&key);
            let key = if is_forward { key } else { key.reversed() };
            for (direction, name) in [(0, "forward"), (1, "reverse")] {
                let sum =
                    &mut sums.entry(key).or_default()[if is_forward { direction } else { 1 - direction }];
                add(sum, &record, name);
            }
        }
        assert_eq!(sums.len(), expected.tcp.len());
        for (key, conversation) in &expected.tcp {
            let meant = [conversation.forward, conversation.reverse].map(told);
            assert_eq!(sums[key], meant, "seed {seed}: {key:?}");
        }
        let all = expected.tcp.values().flat_map(|both| [both.forward, both.reverse]);
        let trouble: u64 = all.map(|side| side.retransmitted + side.out_of_order + side.zero_windows).sum();
        assert!(trouble > 100, "{trouble} segments in trouble are no test");
    }
}

fn add(sum: &mut TcpExpected, record: &Value, direction: &str) {
    let count = |name: &str| number(record, &format!("{direction}_{name}"));
    sum.retransmitted += count("retransmitted_packets");
    sum.fast_retransmits += count("fast_retransmits");
    sum.spurious_retransmits += count("spurious_retransmits");
    sum.out_of_order += count("out_of_order_packets");
    sum.duplicate_acks += count("duplicate_acks");
    sum.lost_segments += count("lost_segments");
    sum.zero_windows += count("zero_windows");
    sum.keep_alives += count("keep_alives");
    sum.ecn_ce_packets += count("ecn_ce_packets");
}

/// What a record has of it.
fn told(meant: TcpExpected) -> TcpExpected {
    TcpExpected {
        acks_of_unseen: 0,
        zero_window_probes: 0,
        keep_alive_acks: 0,
        window_updates: 0,
        resets: 0,
        ..meant
    }
}

/// Conversations inside by what tells them apart, the lower end first.
fn inner_of(outcome: &Outcome) -> BTreeMap<(String, u64, ConversationKey), InnerConversation> {
    let mut sums: BTreeMap<_, InnerConversation> = BTreeMap::new();
    for record in objects(outcome) {
        let tunnel = record["tunnel"].as_str().unwrap_or("none").to_owned();
        let is_in_tunnel = tunnel != "none";
        let of_tunnel = |name: &str| if is_in_tunnel { number(&record, name) } else { 0 };
        let counters = |direction: &str| Counters {
            packets: number(&record, &format!("{direction}_packets")),
            bytes: number(&record, &format!("{direction}_bytes")),
            frame_bytes: number(&record, &format!("{direction}_frame_bytes")),
        };
        let conversation = InnerConversation {
            forward: counters("forward"),
            reverse: counters("reverse"),
            forward_id: of_tunnel("tunnel_forward_id") as u32,
            reverse_id: of_tunnel("tunnel_reverse_id") as u32,
            depth: of_tunnel("tunnel_depth") as u8,
        };
        let own = u64::from(conversation.forward_id.max(conversation.reverse_id));
        let (key, conversation) = in_order(key(&record), conversation);
        let sum = sums.entry((tunnel, own, key)).or_default();
        *sum = added(*sum, conversation);
    }
    sums
}

fn in_order(key: ConversationKey, conversation: InnerConversation) -> (ConversationKey, InnerConversation) {
    if (key.source, key.source_port) <= (key.destination, key.destination_port) {
        return (key, conversation);
    }
    let InnerConversation { forward, reverse, forward_id, reverse_id, depth } = conversation;
    let turned = InnerConversation {
        forward: reverse,
        reverse: forward,
        forward_id: reverse_id,
        reverse_id: forward_id,
        depth,
    };
    (key.reversed(), turned)
}

fn added(a: InnerConversation, b: InnerConversation) -> InnerConversation {
    let sum = |a: Counters, b: Counters| Counters {
        packets: a.packets + b.packets,
        bytes: a.bytes + b.bytes,
        frame_bytes: a.frame_bytes + b.frame_bytes,
    };
    InnerConversation {
        forward: sum(a.forward, b.forward),
        reverse: sum(a.reverse, b.reverse),
        forward_id: a.forward_id.max(b.forward_id),
        reverse_id: a.reverse_id.max(b.reverse_id),
        depth: a.depth.max(b.depth),
    }
}

fn inner_meant(expected: &Expected) -> BTreeMap<(String, u64, ConversationKey), InnerConversation> {
    let mut meant: BTreeMap<_, InnerConversation> = BTreeMap::new();
    for (InnerKey { conversation: key, tunnel, .. }, conversation) in &expected.inner_conversations {
        let own = u64::from(conversation.forward_id.max(conversation.reverse_id));
        let (key, conversation) = in_order(*key, *conversation);
        // In JSON both name tunnels alike.
        let name = serde_json::to_value(tunnel).expect("a kind is a name");
        let sum = meant.entry((name.as_str().expect("a name").to_owned(), own, key)).or_default();
        *sum = added(*sum, conversation);
    }
    meant
}

#[test]
fn inside_of_tunnels_is_counted_as_meant_tenants_apart() {
    let folder = Folder::create();
    let (file, expected) = capture(&folder, Options { mix: Mix::Tunnels, seed: 5, conversations: 400 });
    let outcome = run(&folder, &file, "[tunnels]\ncount = \"inner\"\n");
    outcome.assert_clean();
    assert_eq!(expected.inner_unstated, 0);
    let (ours, meant) = (inner_of(&outcome), inner_meant(&expected));
    for (key, conversation) in &meant {
        assert_eq!(ours.get(key), Some(conversation), "{key:?}");
    }
    assert_eq!(ours.len(), meant.len());
    assert!(meant.keys().any(|(tunnel, ..)| tunnel == "vxlan"));
}

#[test]
fn both_sides_of_a_tunnel_are_counted_apart() {
    let folder = Folder::create();
    let (file, expected) = capture(&folder, Options { mix: Mix::Tunnels, seed: 6, conversations: 200 });
    let outcome = run(&folder, &file, "[tunnels]\ncount = \"both\"\n");
    assert!(outcome.status.success(), "{}", outcome.stderr);
    let outside = outcome
        .json
        .lines()
        .filter(|line| line.contains("\"tunnel\":\"none\"") || !line.contains("\"tunnel\":"));
    let records = system_tests::parse_records(&outside.collect::<Vec<_>>().join("\n"));
    Conversations::of_records(&records).assert_equal(&Conversations::from(&expected), "outside");
    let inside = |(key, conversation): (&(String, u64, ConversationKey), &InnerConversation)| {
        (key.0 != "none").then(|| (key.clone(), *conversation))
    };
    let ours: BTreeMap<_, _> = inner_of(&outcome).iter().filter_map(inside).collect();
    let meant: BTreeMap<_, _> = inner_meant(&expected).iter().filter_map(inside).collect();
    assert_eq!(ours, meant);
    assert_eq!(outcome.ledger("offered"), outcome.ledger("accounted"));
}

#[test]
fn hostile_frames_are_all_accounted_for_in_every_mode() {
    let folder = Folder::create();
    let (file, expected) = capture(&folder, Options { mix: Mix::Hostile, seed: 7, conversations: 600 });
    for count in ["outer", "inner", "both"] {
        // So little memory that everything has to be given up now and then.
        let config = format!(
            "[tunnels]\ncount = \"{count}\"\n[fragments]\ndatagrams = 16\nmemory_bytes = 65536\ntimeout_s = 1\n"
        );
        let outcome = run(&folder, &file, &config);
        assert!(outcome.status.success(), "{count}: {}", outcome.stderr);
        let offered = expected.packets() + expected.not_flow;
        assert_eq!(outcome.ledger("offered"), offered, "{count}: {}", outcome.stderr);
        assert_eq!(outcome.ledger("accounted"), offered, "{count}: {}", outcome.stderr);
    }
}

#[test]
fn reset_half_open_and_silent_connections_say_so() {
    let folder = Folder::create();
    let (file, _) = capture(&folder, Options { mix: Mix::TcpTrouble, seed: 4, conversations: 600 });
    let outcome = run(&folder, &file, "");
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    for record in objects(&outcome) {
        *states.entry(record["tcp_state"].as_str().expect("a state").to_owned()).or_default() += 1;
    }
    for state in ["closed", "reset_by_source", "reset_by_destination", "half_open", "established"] {
        assert!(states.contains_key(state), "{states:?}");
    }
}
