//! What the other program says of one capture: a line of `expected.jsonl`, or the same made on the spot.
//!
//! ```text
//! {"file": "captures/x.pcap", "packets": 12, "not_ip": 2, "error": "cut short", "conversations": {
//!     "6 192.0.2.1 40000 192.0.2.2 80": {"packets_ab": 6, "packets_ba": 4, "initial_rtt": 0.000041}}}
//! ```
//!
//! `a` is the side that was seen first, and the first of the name. What messages say is in lists beside, see
//! [`crate::message::theirs`].

use crate::conversation::{Conversation, Conversations, Key, insert};
use crate::field::Field;
use crate::message::{Messages, theirs};
use anyhow::Context;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub const TCP: u8 = 6;

/// IPv6 extension headers (IANA): hop-by-hop, routing, fragment, destination options, mobility.
const EXTENSION_HEADERS: [u8; 5] = [0, 43, 44, 60, 135];

#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub packets: u64,
    /// Frames without an IP header that the other program could name both addresses of.
    pub not_ip: u64,
    pub conversations: Conversations,
    pub messages: Messages,
    /// Pairs of addresses, the lower first, for which the other program names ports or protocol differently: it
    /// gives the ports of a datagram to the fragment that completes it instead of to all, and the protocol of IPv6
    /// as the first extension header.
    pub loose_pairs: BTreeSet<(IpAddr, IpAddr)>,
    /// What the other program complained of, if it gave up on the file.
    pub error: Option<String>,
}

impl Facts {
    pub fn read(line: &Json, fields: &[Field]) -> anyhow::Result<Facts> {
        let number = |name: &str| line[name].as_u64().with_context(|| format!("no number `{name}`"));
        let named = line["conversations"].as_object().context("no object `conversations`")?;
        let mut facts = Facts {
            packets: number("packets")?,
            not_ip: number("not_ip")?,
            conversations: Conversations::new(),
            messages: theirs::read(line),
            loose_pairs: BTreeSet::new(),
            error: line["error"].as_str().map(str::to_owned),
        };
        for (name, object) in named {
            let Some((key, order)) = Key::parse(name) else {
                facts.not_ip += packets(object);
                continue;
            };
            if is_loose(&key, object) {
                facts.loose_pairs.insert(key.addresses());
            }
            let values = fields.iter().map(|field| field.read_theirs(object, order)).collect();
            let conversation = Conversation { has_tcp: key.protocol == TCP, values };
            insert(&mut facts.conversations, key, conversation);
        }
        Ok(facts)
    }
}

fn packets(conversation: &Json) -> u64 {
    ["packets_ab", "packets_ba"].iter().filter_map(|side| conversation[side].as_u64()).sum()
}

fn is_loose(key: &Key, conversation: &Json) -> bool {
    let has_fragments =
        ["fragments_ab", "fragments_ba"].iter().any(|side| conversation[side].as_u64() > Some(0));
    let is_extension = key.a.0.is_ipv6() && EXTENSION_HEADERS.contains(&key.protocol);
    has_fragments || is_extension
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{OUTER, Value};
    use serde_json::json;

    fn read(conversations: &Json) -> Facts {
        let line = json!({"file": "x", "packets": 9, "not_ip": 1, "conversations": conversations});
        Facts::read(&line, &OUTER).unwrap()
    }

    #[test]
    fn conversation_is_read_whichever_side_is_first() {
        let facts = read(&json!({"6 192.0.2.9 80 192.0.2.1 40000": {"packets_ab": 5, "packets_ba": 3}}));
        let (key, conversation) = facts.conversations.first_key_value().unwrap();
        assert_eq!(key.to_string(), "6 192.0.2.1 40000 192.0.2.9 80");
        assert_eq!(conversation.values[0], Value::Counts([3, 5]));
        assert!(conversation.has_tcp && facts.loose_pairs.is_empty());
    }

    #[test]
    fn packet_without_an_address_counts_as_not_ip() {
        let facts = read(&json!({"17 192.0.2.1 0  0": {"packets_ab": 2}}));
        assert_eq!((facts.not_ip, facts.conversations.len()), (3, 0));
    }

    #[test]
    fn fragments_and_extension_headers_make_a_pair_loose() {
        let facts = read(&json!({
            "17 192.0.2.1 0 192.0.2.2 0": {"packets_ab": 1, "fragments_ab": 1},
            "0 2001:db8::1 0 2001:db8::2 0": {"packets_ab": 1, "fragments_ab": 0},
            "0 192.0.2.3 0 192.0.2.4 0": {"packets_ab": 1},
        }));
        let pair = |a: &str, b: &str| (a.parse().unwrap(), b.parse().unwrap());
        let expected = [pair("192.0.2.1", "192.0.2.2"), pair("2001:db8::1", "2001:db8::2")];
        assert_eq!(facts.loose_pairs, BTreeSet::from(expected));
    }

    #[test]
    fn line_without_a_count_names_what_it_lacks() {
        let error = Facts::read(&json!({"packets": 1, "conversations": {}}), &OUTER).unwrap_err();
        assert!(error.to_string().contains("not_ip"), "{error}");
    }
}
