//! Sums over the frames of a capture, by conversation and by the side that sent, and what their messages say.

use super::frame::{ANALYSIS, Frame, INITIAL_RTT, Packet};
use super::messages::LISTS;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Sums {
    pub packets: u64,
    not_ip: u64,
    conversations: BTreeMap<String, Map<String, Json>>,
    /// In the order of [`LISTS`].
    messages: [Vec<Json>; LISTS.len()],
}

impl Sums {
    /// Counts a frame; `None` for the packet if it has no IP header.
    pub fn add(&mut self, frame: &Frame<'_>, packet: Option<Packet<'_>>) {
        self.packets += 1;
        let Some(packet) = packet else {
            self.not_ip += 1;
            return;
        };
        let (name, side) = self.place(&packet);
        for (list, messages) in LISTS.iter().zip(&mut self.messages) {
            let Some(mut entry) = list.entry(frame, &packet) else { continue };
            entry.insert("frame".to_owned(), json!(self.packets));
            entry.insert("conversation".to_owned(), json!(name));
            messages.push(Json::Object(entry));
        }
        let conversation = self.conversations.entry(name).or_default();
        let mut count = |what: &str, number: u64| {
            let sum = conversation.entry(format!("{what}_{side}")).or_insert_with(|| json!(0));
            *sum = json!(sum.as_u64().expect("sums are whole numbers") + number);
        };
        count("packets", 1);
        count("frame_bytes", frame.number("frame.len", 0));
        count("ip_bytes", packet.ip_bytes);
        count("fragments", u64::from(packet.is_fragment));
        if !packet.is_tcp {
            return;
        }
        for (field, name) in ANALYSIS {
            if frame.has(field) {
                count(name, 1);
            }
        }
        if let Ok(seconds) = frame.value(INITIAL_RTT, 0).parse::<f64>() {
            conversation.insert("initial_rtt".to_owned(), json!(seconds));
        }
    }

    /// The name of the packet's conversation, after the side that was seen first, and which side sent it.
    fn place(&self, packet: &Packet<'_>) -> (String, &'static str) {
        let Packet { protocol, source, source_port, destination, destination_port, .. } = packet;
        let there = format!("{protocol} {source} {source_port} {destination} {destination_port}");
        let back = format!("{protocol} {destination} {destination_port} {source} {source_port}");
        if self.conversations.contains_key(&back) && !self.conversations.contains_key(&there) {
            return (back, "ba");
        }
        (there, "ab")
    }

    pub fn facts(self, error: Option<&str>) -> Json {
        let conversations: Map<String, Json> =
            self.conversations.into_iter().map(|(name, sums)| (name, Json::Object(sums))).collect();
        let mut facts =
            json!({"packets": self.packets, "not_ip": self.not_ip, "conversations": conversations});
        for (list, messages) in LISTS.iter().zip(self.messages) {
            facts[list.name] = json!(messages);
        }
        if let Some(error) = error {
            facts["error"] = json!(error);
        }
        facts
    }
}
