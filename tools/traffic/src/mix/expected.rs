//! What a sensor has to arrive at, added up from what the generator meant to send.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The counters of a whole mix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// In JSON a list of objects, each the key and its counters side by side.
    #[serde(serialize_with = "serialize_list", deserialize_with = "deserialize_list")]
    pub conversations: BTreeMap<ConversationKey, Conversation>,
    /// Frames that belong to no flow: not IP, or cut or damaged in the IP header.
    pub not_flow: u64,
}

/// The 5-tuple of a conversation, seen from whoever sent its first packet. Ports are zero for protocols without
/// ports and for later fragments, which form a conversation of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConversationKey {
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    /// IP protocol number; for IPv6 that of the upper layer.
    pub protocol: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// From the source of the key to its destination.
    pub forward: Counters,
    pub reverse: Counters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub packets: u64,
    /// Layer 3: the IP packet without link header and padding.
    pub bytes: u64,
    /// The whole frame without check sequence.
    pub frame_bytes: u64,
}

impl Expected {
    /// Packets of all conversations.
    pub fn packets(&self) -> u64 {
        self.conversations.values().map(|each| each.forward.packets + each.reverse.packets).sum()
    }

    /// Counts one packet. `key` is as this packet shows it; the conversation may stand under its reverse.
    pub(crate) fn count(&mut self, key: ConversationKey, packet_bytes: usize, frame_bytes: usize) {
        let counters = match self.conversations.get_mut(&key.reversed()) {
            Some(conversation) if key != key.reversed() => &mut conversation.reverse,
            _ => &mut self.conversations.entry(key).or_default().forward,
        };
        counters.packets += 1;
        counters.bytes += packet_bytes as u64;
        counters.frame_bytes += frame_bytes as u64;
    }
}

impl ConversationKey {
    #[must_use]
    pub fn reversed(self) -> ConversationKey {
        ConversationKey {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: ConversationKey,
    #[serde(flatten)]
    conversation: Conversation,
}

fn serialize_list<S: Serializer>(
    conversations: &BTreeMap<ConversationKey, Conversation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(conversations.len()))?;
    for (key, conversation) in conversations {
        list.serialize_element(&Entry { key: *key, conversation: *conversation })?;
    }
    list.end()
}

fn deserialize_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<ConversationKey, Conversation>, D::Error> {
    let list = Vec::<Entry>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|entry| (entry.key, entry.conversation)).collect())
}
