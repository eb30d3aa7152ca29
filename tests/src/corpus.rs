//! What another program says of a capture: one JSON object a line, with the counters of every conversation.

use crate::Conversations;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use traffic::mix::{Conversation, ConversationKey, Counters};

/// The facts of one capture.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Relative to the folder of the corpus.
    pub file: String,
    pub packets: u64,
    pub conversations: Conversations,
    /// Pairs of addresses, the lower first, for which the other program names ports or protocol differently:
    /// it gives the ports of a datagram to the fragment that completes it instead of the first, and the protocol
    /// of IPv6 as the first extension header.
    pub loose_pairs: BTreeSet<(IpAddr, IpAddr)>,
    /// Keys without an address: packets that the other program could not name.
    pub unnamed: Vec<String>,
    /// What the other program complained of, if it gave up on the file.
    pub error: Option<String>,
}

/// Reads `expected.jsonl`.
pub fn read_expected(lines: &str) -> Vec<Capture> {
    lines.lines().map(read_capture).collect()
}

fn read_capture(line: &str) -> Capture {
    let object: Value = serde_json::from_str(line).expect("a line is a JSON object");
    let conversations = object["conversations"].as_object().expect("conversations are an object");
    let unnamed = conversations.keys().filter(|name| key(name).is_none()).cloned().collect();
    let parts = conversations.iter().filter_map(|(name, counters)| {
        Some((key(name)?, Conversation { forward: side(counters, "ab"), reverse: side(counters, "ba") }))
    });
    Capture {
        file: object["file"].as_str().expect("a file name").to_owned(),
        packets: object["packets"].as_u64().expect("a number of packets"),
        conversations: Conversations::sum(parts),
        loose_pairs: conversations.iter().filter_map(|(name, counters)| loose_pair(name, counters)).collect(),
        unnamed,
        error: object["error"].as_str().map(str::to_owned),
    }
}

/// `PROTOCOL ADDRESS PORT ADDRESS PORT`
fn key(name: &str) -> Option<ConversationKey> {
    let mut words = name.split(' ');
    let protocol = words.next()?.parse().ok()?;
    let source: IpAddr = words.next()?.parse().ok()?;
    let source_port = words.next()?.parse().ok()?;
    let destination: IpAddr = words.next()?.parse().ok()?;
    let destination_port = words.next()?.parse().ok()?;
    Some(ConversationKey { source, source_port, destination, destination_port, protocol })
}

fn loose_pair(name: &str, counters: &Value) -> Option<(IpAddr, IpAddr)> {
    let key = key(name)?;
    let has_fragments = ["fragments_ab", "fragments_ba"].iter().any(|side| counters[side].as_u64() > Some(0));
    let is_extension = key.source.is_ipv6() && EXTENSION_HEADERS.contains(&key.protocol);
    (has_fragments || is_extension).then(|| pair(key))
}

/// The addresses of a key, the lower first.
pub fn pair(key: ConversationKey) -> (IpAddr, IpAddr) {
    (key.source.min(key.destination), key.source.max(key.destination))
}

/// IPv6 extension headers (IANA): hop-by-hop, routing, fragment, destination options, mobility.
const EXTENSION_HEADERS: [u8; 5] = [0, 43, 44, 60, 135];

fn side(counters: &Value, side: &str) -> Counters {
    let number = |name: &str| counters[format!("{name}_{side}")].as_u64().unwrap_or(0);
    Counters { packets: number("packets"), bytes: number("ip_bytes"), frame_bytes: number("frame_bytes") }
}
