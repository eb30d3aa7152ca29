//! Records as the sensor writes them in JSON, and their sums by conversation.

use kflow::{AppProtocol, EndReason};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use traffic::mix::{Conversation, ConversationKey, Counters};

/// What the tests look at of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: ConversationKey,
    pub forward: Counters,
    pub reverse: Counters,
    pub forward_vlan: u64,
    pub reverse_vlan: u64,
    pub end_reason: EndReason,
    pub sample_rate: u64,
    pub app_protocol: Option<AppProtocol>,
    pub transactions: u64,
    pub application_latency_us: Option<u64>,
    /// What the application said, by the names of its fields.
    pub fields: Map<String, Value>,
}

/// Sums over the records of each conversation; keys stand in their normalised order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversations(pub BTreeMap<ConversationKey, Conversation>);

/// Parses JSON lines.
pub fn parse_records(lines: &str) -> Vec<Record> {
    lines.lines().map(parse_record).collect()
}

fn parse_record(line: &str) -> Record {
    let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let number = |name: &str| object[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"));
    let text = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("{name} in {line}"));
    let address = |name| text(name).parse().unwrap_or_else(|_| panic!("{name} in {line}"));
    let counters = |direction: &str| Counters {
        packets: number(&format!("{direction}_packets")),
        bytes: number(&format!("{direction}_bytes")),
        frame_bytes: number(&format!("{direction}_frame_bytes")),
    };
    let end_reason = text("end_reason");
    let app_protocol = object.get("app_protocol").map(|name| {
        let mut all = AppProtocol::ALL.into_iter();
        all.find(|protocol| name == protocol.name()).unwrap_or_else(|| panic!("app_protocol of {line}"))
    });
    let fields = app_protocol.into_iter().flat_map(AppProtocol::fields);
    let fields = fields.filter_map(|field| Some((field.name.to_owned(), object.get(field.name)?.clone())));
    Record {
        key: ConversationKey {
            source: address("source_address"),
            source_port: number("source_port") as u16,
            destination: address("destination_address"),
            destination_port: number("destination_port") as u16,
            protocol: number("protocol") as u8,
        },
        forward: counters("forward"),
        reverse: counters("reverse"),
        forward_vlan: number("forward_vlan"),
        reverse_vlan: number("reverse_vlan"),
        end_reason: EndReason::ALL
            .into_iter()
            .find(|reason| reason.name() == end_reason)
            .unwrap_or_else(|| panic!("end reason of {line}")),
        sample_rate: number("sample_rate"),
        app_protocol,
        transactions: app_protocol.map_or(0, |_| number("transactions")),
        application_latency_us: object
            .get("application_latency_us")
            .map(|_| number("application_latency_us")),
        fields: fields.collect(),
    }
}

/// The same conversation whichever side was seen first.
pub fn normalised(key: ConversationKey, conversation: Conversation) -> (ConversationKey, Conversation) {
    let source = (key.source, key.source_port);
    if source <= (key.destination, key.destination_port) {
        return (key, conversation);
    }
    let Conversation { forward, reverse } = conversation;
    (key.reversed(), Conversation { forward: reverse, reverse: forward })
}

impl Conversations {
    pub fn of_records(records: &[Record]) -> Conversations {
        let parts = records
            .iter()
            .map(|record| (record.key, Conversation { forward: record.forward, reverse: record.reverse }));
        Conversations::sum(parts)
    }

    pub fn sum(parts: impl IntoIterator<Item = (ConversationKey, Conversation)>) -> Conversations {
        let mut sums = Conversations::default();
        for (key, conversation) in parts {
            let (key, conversation) = normalised(key, conversation);
            let sum = sums.0.entry(key).or_default();
            add(&mut sum.forward, conversation.forward);
            add(&mut sum.reverse, conversation.reverse);
        }
        sums
    }

    pub fn packets(&self) -> u64 {
        self.0.values().map(|each| each.forward.packets + each.reverse.packets).sum()
    }

    /// Panics with the conversations that differ, a few of them.
    pub fn assert_equal(&self, expected: &Conversations, what: &str) {
        let keys = self.0.keys().chain(expected.0.keys());
        let mut different: Vec<_> = keys.filter(|key| self.0.get(key) != expected.0.get(key)).collect();
        different.sort();
        different.dedup();
        let shown = different.iter().take(5).map(|key| {
            format!("\n{key:?}\n  sensor   {:?}\n  expected {:?}", self.0.get(key), expected.0.get(key))
        });
        let shown: String = shown.collect();
        assert!(different.is_empty(), "{what}: {} conversations differ:{shown}", different.len());
    }
}

impl From<&traffic::mix::Expected> for Conversations {
    fn from(expected: &traffic::mix::Expected) -> Conversations {
        Conversations::sum(expected.conversations.iter().map(|(key, conversation)| (*key, *conversation)))
    }
}

fn add(sum: &mut Counters, counters: Counters) {
    sum.packets += counters.packets;
    sum.bytes += counters.bytes;
    sum.frame_bytes += counters.frame_bytes;
}
