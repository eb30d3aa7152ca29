//! What a sensor has to arrive at, added up from what the generator meant to send.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::tcp_expected::TcpConversation;
use super::{InnerMeaning, PacketMeaning};
use crate::frame::tunnel::TunnelKind;
use crate::message::Said;

/// The counters of a whole mix. In JSON each map is a list of objects, the key and its value side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// By the outermost IP packet of a frame.
    #[serde(with = "as_list")]
    pub conversations: BTreeMap<ConversationKey, Conversation>,
    /// By the innermost IP packet; for frames without a tunnel that is the outermost one.
    #[serde(with = "as_list")]
    pub inner_conversations: BTreeMap<InnerKey, InnerConversation>,
    /// TCP conversations outside of tunnels whose every segment the generator can name.
    #[serde(with = "as_list")]
    pub tcp: BTreeMap<ConversationKey, TcpConversation>,
    /// Connections that took over the ports of one that had closed. A sensor whose records end with the connection
    /// makes that many records more than there are conversations.
    pub reconnections: u64,
    /// Frames of which the generator does not say what is innermost: tunnels that are cut, empty or too deep.
    pub inner_unstated: u64,
    /// Frames that belong to no flow: not IP, or cut or damaged in the IP header.
    pub not_flow: u64,
    /// What applications said, of conversations that are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationExpected>,
}

/// A transaction or session, and the conversation that it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationExpected {
    #[serde(flatten)]
    pub conversation: ConversationKey,
    #[serde(flatten)]
    pub said: Said,
}

/// The 5-tuple of a conversation, seen from whoever sent its first packet. Ports are zero for protocols without
/// ports. Fragments belong to the conversation of their datagram; those whose first fragment never comes form a
/// conversation with ports zero.
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

/// A conversation inside of a tunnel, and which tunnel: tenants may use the same addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InnerKey {
    #[serde(flatten)]
    pub conversation: ConversationKey,
    /// The tunnel directly around the packet.
    pub tunnel: TunnelKind,
    /// The tunnel's number where both directions carry the same one (VNI, GRE key, ERSPAN session), else zero.
    pub domain: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerConversation {
    /// Bytes are those of the innermost packet, frame bytes those of the whole frame.
    pub forward: Counters,
    pub reverse: Counters,
    /// Number of the tunnel around packets of the source; zero where the kind has none.
    pub forward_id: u32,
    /// The same of the destination.
    pub reverse_id: u32,
    /// IP headers outside of the innermost.
    pub depth: u8,
}

impl Expected {
    /// Packets of all conversations.
    pub fn packets(&self) -> u64 {
        self.conversations.values().map(|each| each.forward.packets + each.reverse.packets).sum()
    }

    /// Records of flows, of a sensor whose records end with the connection, if no timeout passes. Transactions beyond the
    /// first of a flow may have records of their own, in which no packet is counted.
    pub fn records(&self) -> u64 {
        self.conversations.len() as u64 + self.reconnections
    }

    /// Counts one packet. Keys are as this packet shows them; the conversation may stand under its reverse.
    pub(super) fn count(&mut self, meaning: &PacketMeaning, frame_bytes: usize) {
        self.reconnections += u64::from(meaning.is_reconnection);
        let known = &mut self.conversations;
        let (key, direction) = settle(known, meaning.key, ConversationKey::reversed);
        let conversation = known.entry(key).or_default();
        let counters = direction.of(&mut conversation.forward, &mut conversation.reverse);
        counters.add(meaning.packet_bytes, frame_bytes);
        let said = meaning.said.iter().cloned();
        self.applications.extend(said.map(|said| ApplicationExpected { conversation: key, said }));
        match &meaning.inner {
            Some(inner) => self.count_inner(inner, frame_bytes),
            None => self.inner_unstated += 1,
        }
        if let Some(tcp) = &meaning.tcp {
            let conversation = self.tcp.entry(key).or_default();
            direction.of(&mut conversation.forward, &mut conversation.reverse).add(tcp);
        }
    }

    fn count_inner(&mut self, inner: &InnerMeaning, frame_bytes: usize) {
        let known = &mut self.inner_conversations;
        let (key, direction) = settle(known, inner.key, InnerKey::reversed);
        let conversation = known.entry(key).or_default();
        conversation.depth = inner.depth;
        let counters = direction.of(&mut conversation.forward, &mut conversation.reverse);
        counters.add(inner.packet_bytes, frame_bytes);
        *direction.of(&mut conversation.forward_id, &mut conversation.reverse_id) = inner.id;
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Reverse,
}

impl Direction {
    fn of<T>(self, forward: T, reverse: T) -> T {
        match self {
            Direction::Forward => forward,
            Direction::Reverse => reverse,
        }
    }
}

/// The key under which a conversation stands, and which way this packet goes.
fn settle<K: Ord + Copy, V>(known: &BTreeMap<K, V>, key: K, reversed: impl Fn(K) -> K) -> (K, Direction) {
    let back = reversed(key);
    if key != back && known.contains_key(&back) {
        (back, Direction::Reverse)
    } else {
        (key, Direction::Forward)
    }
}

impl Counters {
    fn add(&mut self, packet_bytes: usize, frame_bytes: usize) {
        self.packets += 1;
        self.bytes += packet_bytes as u64;
        self.frame_bytes += frame_bytes as u64;
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

impl InnerKey {
    #[must_use]
    pub fn reversed(self) -> InnerKey {
        InnerKey { conversation: self.conversation.reversed(), ..self }
    }
}

/// A map whose keys are no text as a list.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Entry<K, V> {
        #[serde(flatten)]
        key: K,
        #[serde(flatten)]
        value: V,
    }

    pub fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map.iter().map(|(key, value)| Entry { key, value }))
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let list = Vec::<Entry<K, V>>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|entry| (entry.key, entry.value)).collect())
    }
}
