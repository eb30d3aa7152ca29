//! Conversations and their values: two endpoints and a protocol, whichever side was seen first.

use crate::field::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A 5-tuple whose sides stand in order, so that both directions have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub protocol: u8,
    /// The lower side.
    pub a: (IpAddr, u16),
    pub b: (IpAddr, u16),
}

/// Which side of a key a program names first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    AsKey,
    Reversed,
}

/// What one program says of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Whether a TCP conversation is in it.
    pub has_tcp: bool,
    /// One for each field of the table, in its order.
    pub values: Vec<Value>,
}

pub type Conversations = BTreeMap<Key, Conversation>;

impl Key {
    pub fn new(protocol: u8, source: (IpAddr, u16), destination: (IpAddr, u16)) -> (Key, Order) {
        if source <= destination {
            return (Key { protocol, a: source, b: destination }, Order::AsKey);
        }
        (Key { protocol, a: destination, b: source }, Order::Reversed)
    }

    /// Parses `PROTOCOL ADDRESS PORT ADDRESS PORT`.
    pub fn parse(name: &str) -> Option<(Key, Order)> {
        let words: Vec<&str> = name.split(' ').collect();
        let [protocol, source, source_port, destination, destination_port] = words[..] else { return None };
        let source = (source.parse().ok()?, source_port.parse().ok()?);
        let destination = (destination.parse().ok()?, destination_port.parse().ok()?);
        Some(Key::new(protocol.parse().ok()?, source, destination))
    }

    /// Both addresses, the lower first.
    pub fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.a.0, self.b.0)
    }

    /// The key of everything between the two addresses.
    #[must_use]
    pub fn of_addresses(&self) -> Key {
        Key { protocol: 0, a: (self.a.0, 0), b: (self.b.0, 0) }
    }
}

impl Order {
    /// What is said of there and back, in the order of the key.
    pub fn apply(self, [there, back]: [u64; 2]) -> [u64; 2] {
        match self {
            Order::AsKey => [there, back],
            Order::Reversed => [back, there],
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { protocol, a, b } = self;
        write!(f, "{protocol} {} {} {} {}", a.0, a.1, b.0, b.1)
    }
}

impl Conversation {
    /// Adds what is said of another part of the same conversation.
    pub fn add(&mut self, other: Conversation) {
        self.has_tcp |= other.has_tcp;
        for (sum, value) in self.values.iter_mut().zip(other.values) {
            sum.add(value);
        }
    }
}

/// Adds a conversation to those of its key.
pub fn insert(conversations: &mut Conversations, key: Key, conversation: Conversation) {
    match conversations.get_mut(&key) {
        Some(sum) => sum.add(conversation),
        None => {
            conversations.insert(key, conversation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        let (there, order) = Key::parse("6 192.0.2.1 40000 192.0.2.2 80").unwrap();
        let (back, reversed) = Key::parse("6 192.0.2.2 80 192.0.2.1 40000").unwrap();
        assert_eq!(there, back);
        assert_eq!((order, reversed), (Order::AsKey, Order::Reversed));
        assert_eq!(there.to_string(), "6 192.0.2.1 40000 192.0.2.2 80");
    }

    #[test]
    fn name_without_an_address_is_no_key() {
        for name in ["17 192.0.2.1 0  0", "17 192.0.2.1 0 192.0.2.2", "", "x 192.0.2.1 0 192.0.2.2 0"] {
            assert_eq!(Key::parse(name), None, "{name}");
        }
    }

    #[test]
    fn parts_of_a_conversation_add_up() {
        let part = |has_tcp, counts| Conversation { has_tcp, values: vec![Value::Counts(counts)] };
        let mut conversations = Conversations::new();
        let (key, _) = Key::parse("6 192.0.2.1 40000 192.0.2.2 80").unwrap();
        insert(&mut conversations, key, part(false, [1, 2]));
        insert(&mut conversations, key, part(true, [10, 20]));
        assert_eq!(conversations[&key], part(true, [11, 22]));
    }
}
