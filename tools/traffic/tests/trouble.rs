//! TCP in trouble against tshark's analysis: in every connection it finds what the generator means.

mod dissect;

use std::collections::BTreeMap;
use std::net::IpAddr;

use dissect::Tshark;
use traffic::mix::{
    ConversationKey, Expected, Mix, Options, TcpConversation, TcpExpected, TimedFrame, Traffic,
};

fn generate(mix: Mix, seed: u64, conversations: u32) -> (Vec<TimedFrame>, Expected) {
    let mut traffic = Traffic::new(Options { mix, seed, conversations });
    let frames = traffic.by_ref().collect();
    (frames, traffic.into_expected())
}

const TCP_FIELDS: [&str; 21] = [
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.duplicate_ack",
    "tcp.analysis.lost_segment",
    "tcp.analysis.ack_lost_segment",
    "tcp.analysis.zero_window",
    "tcp.analysis.zero_window_probe",
    "tcp.analysis.keep_alive",
    "tcp.analysis.keep_alive_ack",
    "tcp.analysis.window_update",
    "ip.dsfield.ecn",
    "tcp.flags.reset",
    "tcp.checksum.status",
    "ip.checksum.status",
    "tcp.seq_raw",
];

/// What tshark says of one segment; a field that is there is counted.
fn tcp_signs(row: &[String]) -> TcpExpected {
    let there = |at: usize| u64::from(!row[at].is_empty());
    TcpExpected {
        retransmitted: there(4),
        fast_retransmits: there(5),
        spurious_retransmits: there(6),
        out_of_order: there(7),
        duplicate_acks: there(8),
        lost_segments: there(9),
        acks_of_unseen: there(10),
        zero_windows: there(11),
        zero_window_probes: there(12),
        keep_alives: there(13),
        keep_alive_acks: there(14),
        window_updates: there(15),
        ecn_ce_packets: u64::from(row[16] == "3"),
        resets: u64::from(row[17] == "1"),
    }
}

fn add(sum: &mut TcpExpected, more: TcpExpected) {
    let TcpExpected {
        retransmitted,
        fast_retransmits,
        spurious_retransmits,
        out_of_order,
        duplicate_acks,
        lost_segments,
        acks_of_unseen,
        zero_windows,
        zero_window_probes,
        keep_alives,
        keep_alive_acks,
        window_updates,
        ecn_ce_packets,
        resets,
    } = more;
    sum.retransmitted += retransmitted;
    sum.fast_retransmits += fast_retransmits;
    sum.spurious_retransmits += spurious_retransmits;
    sum.out_of_order += out_of_order;
    sum.duplicate_acks += duplicate_acks;
    sum.lost_segments += lost_segments;
    sum.acks_of_unseen += acks_of_unseen;
    sum.zero_windows += zero_windows;
    sum.zero_window_probes += zero_window_probes;
    sum.keep_alives += keep_alives;
    sum.keep_alive_acks += keep_alive_acks;
    sum.window_updates += window_updates;
    sum.ecn_ce_packets += ecn_ce_packets;
    sum.resets += resets;
}

#[test]
fn tshark_finds_in_every_connection_what_the_generator_means() {
    let Some(tshark) = Tshark::find() else { return };
    for (mix, conversations) in [(Mix::TcpTrouble, 400), (Mix::Tcp, 100)] {
        for seed in 0..2 {
            let (frames, expected) = generate(mix, seed, conversations);
            let rows =
                tshark.fields(frames.iter().map(|frame| (frame.time_ns, &frame.bytes[..])), &TCP_FIELDS);
            assert_eq!(rows.len(), frames.len());
            let mut found: BTreeMap<ConversationKey, TcpConversation> = BTreeMap::new();
            for row in &rows {
                let key = ConversationKey {
                    source: row[0].parse().unwrap(),
                    source_port: row[2].parse().unwrap(),
                    destination: row[1].parse().unwrap(),
                    destination_port: row[3].parse().unwrap(),
                    protocol: 6,
                };
                let sum = match found.get_mut(&key.reversed()) {
                    Some(conversation) => &mut conversation.reverse,
                    None => &mut found.entry(key).or_default().forward,
                };
                add(sum, tcp_signs(row));
            }
            assert_eq!(found.len(), expected.tcp.len());
            for (key, conversation) in &expected.tcp {
                let shown = || story(&frames, &rows, *key);
                assert_eq!(found.get(key), Some(conversation), "{} {seed}: {key:?}{}", mix.name(), shown());
            }
        }
    }
}

/// The segments of one conversation, what the generator and what tshark calls them.
fn story(frames: &[TimedFrame], rows: &[Vec<String>], key: ConversationKey) -> String {
    let ours = frames.iter().zip(rows).filter(|(_, row)| {
        let ends: [IpAddr; 2] = [row[0].parse().unwrap(), row[1].parse().unwrap()];
        ends == [key.source, key.destination] || ends == [key.destination, key.source]
    });
    let lines = ours.map(|(frame, row)| {
        let signs = (4..16).filter(|at| !row[*at].is_empty()).map(|at| TCP_FIELDS[at]);
        let signs: Vec<_> = signs.collect();
        format!(
            "\n{} {} {} {} {signs:?}",
            frame.time_ns % 100_000_000_000,
            row[2],
            row[20],
            frame.description
        )
    });
    lines.collect()
}

#[test]
fn every_trouble_happens() {
    let (_, expected) = generate(Mix::TcpTrouble, 1, 400);
    let mut sum = TcpExpected::default();
    for conversation in expected.tcp.values() {
        add(&mut sum, conversation.forward);
        add(&mut sum, conversation.reverse);
    }
    let value = serde_json::to_value(sum).unwrap();
    for (name, count) in value.as_object().unwrap() {
        assert!(count.as_u64() > Some(20), "{name}: {count}");
    }
    assert!(expected.reconnections > 20, "{}", expected.reconnections);
    assert!(expected.records() > expected.conversations.len() as u64);
}
