//! Facts of a capture by tshark, in the form of a line of `expected.jsonl`.
//!
//! tshark prints a line of fields for each frame; the lines are added up as they come.

mod conversations;
mod frame;
mod messages;

use crate::child;
use anyhow::{Context, bail};
use conversations::Sums;
use frame::{Frame, Packet, fields};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Which of a frame's conversations is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Outermost,
    Innermost,
}

/// tshark puts datagrams together before it looks into them, and messages over several segments, whatever its user
/// prefers.
const PREFERENCES: [&str; 3] =
    ["tcp.desegment_tcp_streams:TRUE", "tls.desegment_ssl_records:TRUE", "ip.defragment:TRUE"];

/// The first line of what tshark says of itself; `None` if it is not installed.
pub fn version() -> Option<String> {
    let output =
        Command::new("tshark").arg("--version").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.to_lowercase();
    Some(line.split(" (").next()?.trim_end_matches('.').to_owned())
}

/// Runs tshark over a capture.
pub fn facts(capture: &Path, view: View, limit: Duration) -> anyhow::Result<Json> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(capture);
    for preference in PREFERENCES {
        command.args(["-o", preference]);
    }
    command.args(["-T", "fields", "-E", "separator=/t", "-E", "aggregator=\x1f"]);
    for field in fields() {
        command.args(["-e", field]);
    }
    let finished = child::run(&mut command, limit, |output| add_up(output, view))?;
    let sums = finished.output.context("read what tshark prints")?;
    let complaint = finished.stderr.trim().lines().last().unwrap_or_default();
    if finished.status.success() {
        return Ok(sums.facts(None));
    }
    if sums.packets == 0 {
        bail!("tshark does not read the capture: {complaint}");
    }
    Ok(sums.facts(Some(complaint)))
}

fn add_up(output: BufReader<impl Read>, view: View) -> anyhow::Result<Sums> {
    let mut sums = Sums::default();
    for line in output.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            continue;
        }
        let frame = Frame::parse(&line).with_context(|| format!("line of frame {}", sums.packets + 1))?;
        sums.add(&frame, Packet::of(&frame, view));
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A line with the given fields set.
    fn line(set: &[(&str, &str)]) -> String {
        let value = |field: &str| set.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value);
        fields().map(value).collect::<Vec<_>>().join("\t")
    }

    fn sums(lines: &[String], view: View) -> Json {
        let text = lines.join("\n");
        add_up(BufReader::new(text.as_bytes()), view).unwrap().facts(None)
    }

    const SEGMENT: [(&str, &str); 8] = [
        ("frame.len", "74"),
        ("frame.protocols", "eth:ethertype:ip:tcp"),
        ("ip.src", "192.0.2.1"),
        ("ip.dst", "192.0.2.2"),
        ("ip.proto", "6"),
        ("ip.len", "60"),
        ("tcp.srcport", "40000"),
        ("tcp.dstport", "80"),
    ];

    #[test]
    fn both_directions_add_up_under_the_side_seen_first() {
        let there = line(&SEGMENT);
        let back = line(&[
            ("frame.len", "60"),
            ("frame.protocols", "eth:ethertype:ip:tcp"),
            ("ip.src", "192.0.2.2"),
            ("ip.dst", "192.0.2.1"),
            ("ip.proto", "6"),
            ("ip.len", "40"),
            ("tcp.srcport", "80"),
            ("tcp.dstport", "40000"),
            ("tcp.analysis.duplicate_ack", "1"),
            ("tcp.analysis.initial_rtt", "0.000041000"),
        ]);
        let arp = line(&[("frame.len", "42"), ("frame.protocols", "eth:ethertype:arp")]);
        let facts = sums(&[there.clone(), back, there, arp], View::Outermost);
        assert_eq!(facts["packets"], 4);
        assert_eq!(facts["not_ip"], 1);
        let expected = json!({"packets_ab": 2, "frame_bytes_ab": 148, "ip_bytes_ab": 120, "fragments_ab": 0,
            "packets_ba": 1, "frame_bytes_ba": 60, "ip_bytes_ba": 40, "fragments_ba": 0,
            "duplicate_ack_ba": 1, "initial_rtt": 0.000041});
        assert_eq!(facts["conversations"], json!({"6 192.0.2.1 40000 192.0.2.2 80": expected}));
    }

    #[test]
    fn tunnelled_segment_is_no_segment_of_the_outer_conversation() {
        let mut tunnelled = SEGMENT.to_vec();
        tunnelled.extend([("tcp.analysis.retransmission", "1"), ("tcp.analysis.initial_rtt", "0.1")]);
        for (name, value) in &mut tunnelled {
            match *name {
                "frame.protocols" => *value = "eth:ethertype:ip:gre:ip:tcp",
                "ip.src" => *value = "198.51.100.1\x1f192.0.2.1",
                "ip.dst" => *value = "198.51.100.2\x1f192.0.2.2",
                "ip.proto" => *value = "47\x1f6",
                "ip.len" => *value = "84\x1f60",
                _ => {}
            }
        }
        let tunnelled = [line(&tunnelled)];
        let outer = json!({"packets_ab": 1, "frame_bytes_ab": 74, "ip_bytes_ab": 84, "fragments_ab": 0});
        let facts = sums(&tunnelled, View::Outermost);
        assert_eq!(facts["conversations"], json!({"47 198.51.100.1 0 198.51.100.2 0": outer}));
        let inner = json!({"packets_ab": 1, "frame_bytes_ab": 74, "ip_bytes_ab": 60, "fragments_ab": 0,
            "retransmission_ab": 1, "initial_rtt": 0.1});
        let facts = sums(&tunnelled, View::Innermost);
        assert_eq!(facts["conversations"], json!({"6 192.0.2.1 40000 192.0.2.2 80": inner}));
    }

    #[test]
    fn messages_are_listed_under_their_conversation_with_all_that_they_say() {
        let with = |protocols: &'static str, more: &[(&'static str, &'static str)]| {
            let mut set = SEGMENT.to_vec();
            set.retain(|(name, _)| *name != "frame.protocols");
            set.push(("frame.protocols", protocols));
            line(&[&set[..], more].concat())
        };
        let request = [("http.request.method", "GET\x1fPUT"), ("http.host", "example.com")];
        let lines = [
            line(&SEGMENT),
            with("eth:ethertype:ip:tcp:http", &request),
            with("eth:ethertype:ip:tcp:tls:http", &request),
            with("eth:ethertype:ip:tcp:socks:ip:tcp:http", &request),
            with("eth:ethertype:ip:tcp:capwap.data:http", &request),
            with("eth:ethertype:ip:tcp:tls", &[("tls.handshake.type", "1")]),
        ];
        let facts = sums(&lines, View::Outermost);
        let name = "6 192.0.2.1 40000 192.0.2.2 80";
        let entry = json!({"frame": 2, "conversation": name, "http.request.method": ["GET", "PUT"],
            "http.host": ["example.com"]});
        assert_eq!(facts["http"], json!([entry]));
        let hello = json!({"frame": 6, "conversation": name, "tls.handshake.type": ["1"]});
        assert_eq!(facts["tls"], json!([hello]));
        assert_eq!(facts["dns"], json!([]));
    }

    #[test]
    fn handshake_in_datagrams_is_one_of_quic_or_none() {
        let in_datagram = |protocols| {
            let datagram = [
                ("frame.protocols", protocols),
                ("ip.src", "192.0.2.1"),
                ("ip.dst", "192.0.2.2"),
                ("ip.proto", "17"),
                ("udp.srcport", "40000"),
                ("udp.dstport", "443"),
                ("tls.handshake.type", "1"),
            ];
            sums(&[line(&datagram)], View::Outermost)["tls"].as_array().unwrap().len()
        };
        assert_eq!(in_datagram("eth:ethertype:ip:udp:quic:tls"), 1);
        assert_eq!(in_datagram("eth:ethertype:ip:udp:openvpn:tls"), 0);
    }

    #[test]
    fn line_with_too_few_fields_names_its_frame() {
        let text = format!("{}\n1\t2\n", line(&SEGMENT));
        let error = add_up(BufReader::new(text.as_bytes()), View::Outermost).unwrap_err();
        assert!(error.to_string().contains("frame 2"), "{error}");
    }
}
