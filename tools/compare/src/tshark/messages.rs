//! What a frame's messages say, in the form of an entry of a list of facts.

use super::frame::{Frame, Packet};
use serde_json::{Map, Value as Json, json};

/// A list of facts: messages of one protocol.
#[derive(Debug)]
pub struct List {
    pub name: &'static str,
    /// A frame with one of these has such a message.
    present: &'static [&'static str],
    /// What is taken down of it.
    fields: &'static [&'static str],
}

pub static LISTS: [List; 4] = [
    List {
        name: "dns",
        present: &["dns.qry.name"],
        fields: &["dns.id", "dns.flags.response", "dns.qry.name", "dns.qry.type", "dns.flags.rcode"],
    },
    List {
        name: "tls",
        present: &["tls.handshake.type"],
        fields: &[
            "tls.handshake.type",
            "tls.handshake.extensions_server_name",
            "tls.handshake.extensions_alpn_str",
            "tls.handshake.ja3",
            "tls.handshake.ja3s",
        ],
    },
    List {
        name: "http",
        present: &["http.request.method", "http.response.code"],
        fields: &[
            "http.request.method",
            "http.host",
            "http.request.uri",
            "http.user_agent",
            "http.response.code",
        ],
    },
    List {
        name: "dhcp",
        present: &["dhcp.type"],
        fields: &[
            "dhcp.type",
            "dhcp.option.dhcp",
            "dhcp.option.hostname",
            "dhcp.ip.your",
            "dhcp.hw.mac_addr",
        ],
    },
];

/// Everything that tshark is asked for messages.
pub fn fields() -> impl Iterator<Item = &'static str> {
    LISTS.iter().flat_map(|list| list.fields).copied()
}

impl List {
    /// The frame's entry, if its packet has such a message of its own: not one that was encrypted, nor a handshake of
    /// TLS in datagrams of anything but QUIC, nor one inside of CAPWAP, which the sensor does not open.
    pub fn entry(&self, frame: &Frame<'_>, packet: &Packet<'_>) -> Option<Map<String, Json>> {
        if !packet.is_whole_path || !self.present.iter().any(|field| frame.has(field)) {
            return None;
        }
        let layers = frame.layers();
        let is_encrypted = self.name != "tls" && layers.clone().any(|layer| matches!(layer, "tls" | "quic"));
        let is_carried = self.name == "tls" && !packet.is_tcp && !layers.clone().any(|layer| layer == "quic");
        let is_closed = layers.clone().any(|layer| layer.starts_with("capwap"));
        if is_encrypted || is_carried || is_closed {
            return None;
        }
        let values = |field: &&'static str| {
            let values: Vec<&str> = frame.occurrences(field).collect();
            (!values.is_empty()).then(|| ((*field).to_owned(), json!(values)))
        };
        Some(self.fields.iter().filter_map(values).collect())
    }
}
