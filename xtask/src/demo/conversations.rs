//! What the traffic consists of, how the kernel counts it, and how it shows in the sensor's records.

use std::net::IpAddr;

use anyhow::Context;
use netns::MirrorSelector;
use serde_json::Value;

use super::network::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};

/// Protocol numbers (IANA).
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// One kind of traffic between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub name: &'static str,
    family: Family,
    protocol: u8,
    /// The server's port; `None` for protocols without ports.
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// All that the demo's traffic must show.
pub const EXPECTED: [Conversation; 8] = [
    Conversation { name: "http v4", family: Family::V4, protocol: TCP, port: Some(80) },
    Conversation { name: "http v6", family: Family::V6, protocol: TCP, port: Some(80) },
    Conversation { name: "dns v4", family: Family::V4, protocol: UDP, port: Some(53) },
    Conversation { name: "dns v6", family: Family::V6, protocol: UDP, port: Some(53) },
    Conversation { name: "bulk v4", family: Family::V4, protocol: TCP, port: Some(5201) },
    Conversation { name: "bulk v6", family: Family::V6, protocol: TCP, port: Some(5201) },
    Conversation { name: "ping v4", family: Family::V4, protocol: ICMP, port: None },
    Conversation { name: "ping v6", family: Family::V6, protocol: ICMPV6, port: None },
];

/// Selectors of each conversation: client to server, server to client.
pub const SELECTORS_EACH: usize = 2;

impl Conversation {
    /// How the mirror port tells this conversation from the others.
    pub fn selectors(&self) -> [MirrorSelector; SELECTORS_EACH] {
        let (client, server) = self.family.addresses();
        [self.selector(client, server, "dport"), self.selector(server, client, "sport")]
    }

    fn selector(&self, source: &str, destination: &str, port_field: &str) -> MirrorSelector {
        let header = self.family.tc_header();
        let matching = |field: &str, value: &str, mask: &[&str]| {
            [&[header, field, value], mask].concat().into_iter().map(String::from).collect::<Vec<_>>()
        };
        let mut matches = vec![
            matching("protocol", &self.protocol.to_string(), &["0xff"]),
            matching("src", source, &[]),
            matching("dst", destination, &[]),
        ];
        matches.extend(self.port.map(|port| matching(port_field, &port.to_string(), &["0xffff"])));
        MirrorSelector { protocol: self.family.tc_protocol().into(), matches }
    }

    /// Whether a record is of this conversation.
    pub fn holds(&self, record: &Record) -> bool {
        let (client, server) = self.family.addresses();
        let is = |address: IpAddr, expected: &str| expected.parse() == Ok(address);
        let server_port = if is(record.source, client) && is(record.destination, server) {
            record.destination_port
        } else if is(record.source, server) && is(record.destination, client) {
            record.source_port
        } else {
            return false;
        };
        record.protocol == self.protocol && self.port.is_none_or(|port| port == server_port)
    }
}

impl Family {
    /// Client and server.
    fn addresses(self) -> (&'static str, &'static str) {
        match self {
            Family::V4 => (CLIENT_V4, SERVER_V4),
            Family::V6 => (CLIENT_V6, SERVER_V6),
        }
    }

    fn tc_protocol(self) -> &'static str {
        match self {
            Family::V4 => "ip",
            Family::V6 => "ipv6",
        }
    }

    fn tc_header(self) -> &'static str {
        match self {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        }
    }
}

/// What the demo looks at in one of the sensor's JSON lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    pub protocol: u8,
    pub forward_packets: u64,
    pub forward_bytes: u64,
    pub reverse_packets: u64,
    pub reverse_bytes: u64,
    pub end_reason: String,
    /// Mean over the answers, microseconds; unknown without one.
    pub response_us: Option<u64>,
    /// Segments of both directions that were sent again; none but of TCP.
    pub retransmitted: Option<u64>,
}

impl Record {
    pub fn parse(line: &str) -> anyhow::Result<Record> {
        let json: Value = serde_json::from_str(line).with_context(|| format!("record {line}"))?;
        Record::from_json(&json).with_context(|| format!("record {line}"))
    }

    fn from_json(json: &Value) -> anyhow::Result<Record> {
        let number = |name: &str| json[name].as_u64().with_context(|| format!("{name} is not a number"));
        let text = |name: &str| json[name].as_str().with_context(|| format!("{name} is not a text"));
        let address = |name: &str| text(name)?.parse().with_context(|| format!("{name} is not an address"));
        let port = |name: &str| u16::try_from(number(name)?).with_context(|| format!("{name} is not a port"));
        let retransmitted = |direction: &str| json[format!("{direction}_retransmitted_packets")].as_u64();
        Ok(Record {
            source: address("source_address")?,
            source_port: port("source_port")?,
            destination: address("destination_address")?,
            destination_port: port("destination_port")?,
            protocol: u8::try_from(number("protocol")?).context("protocol is not a protocol number")?,
            forward_packets: number("forward_packets")?,
            forward_bytes: number("forward_bytes")?,
            reverse_packets: number("reverse_packets")?,
            reverse_bytes: number("reverse_bytes")?,
            end_reason: text("end_reason")?.into(),
            response_us: json["response_latency_mean_us"].as_u64(),
            retransmitted: retransmitted("forward").zip(retransmitted("reverse")).map(|(to, from)| to + from),
        })
    }

    pub fn protocol_name(&self) -> String {
        match self.protocol {
            ICMP => "icmp".into(),
            TCP => "tcp".into(),
            UDP => "udp".into(),
            ICMPV6 => "icmp6".into(),
            other => other.to_string(),
        }
    }
}

/// Sums over the records of one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub records: u64,
    pub packets: u64,
    pub bytes: u64,
}

/// What the sensor reported, by conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// In the order of [`EXPECTED`].
    pub conversations: [Seen; EXPECTED.len()],
    /// Neighbour discovery, multicast and the like.
    pub others: Seen,
}

impl Tally {
    /// All of them.
    pub fn records(&self) -> u64 {
        self.conversations.iter().map(|seen| seen.records).sum::<u64>() + self.others.records
    }

    pub fn add(&mut self, record: &Record) {
        let index = EXPECTED.iter().position(|conversation| conversation.holds(record));
        let seen = index.map_or(&mut self.others, |index| &mut self.conversations[index]);
        seen.records += 1;
        seen.packets += record.forward_packets + record.reverse_packets;
        seen.bytes += record.forward_bytes + record.reverse_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"source_address":"2001:db8::1","source_port":40000,
        "destination_address":"2001:db8::2","destination_port":80,"protocol":6,
        "forward_packets":5,"forward_bytes":500,"reverse_packets":4,"reverse_bytes":4000,
        "end_reason":"end_of_flow","start_ns":1,"sample_rate":1}"#;

    #[test]
    fn record_is_read_from_a_json_line() {
        let record = Record::parse(LINE).unwrap();
        assert_eq!(record.source, "2001:db8::1".parse::<IpAddr>().unwrap());
        assert_eq!((record.source_port, record.destination_port), (40000, 80));
        assert_eq!((record.forward_packets, record.reverse_bytes), (5, 4000));
        assert_eq!(record.end_reason, "end_of_flow");
        assert_eq!((record.response_us, record.retransmitted), (None, None));
    }

    #[test]
    fn record_without_a_field_names_the_field() {
        let error = Record::parse(&LINE.replace("reverse_packets", "other")).unwrap_err();
        assert!(format!("{error:#}").contains("reverse_packets"), "{error:#}");
    }

    #[test]
    fn record_belongs_to_one_conversation_whichever_side_was_first() {
        let record = Record::parse(LINE).unwrap();
        let turned = Record {
            source: record.destination,
            source_port: record.destination_port,
            destination: record.source,
            destination_port: record.source_port,
            ..record.clone()
        };
        for record in [&record, &turned] {
            let names: Vec<_> =
                EXPECTED.iter().filter(|expected| expected.holds(record)).map(|c| c.name).collect();
            assert_eq!(names, ["http v6"]);
        }
    }

    #[test]
    fn strangers_belong_to_no_conversation() {
        let record = Record::parse(LINE).unwrap();
        let other_port = Record { destination_port: 81, ..record.clone() };
        let other_host = Record { destination: "2001:db8::3".parse().unwrap(), ..record.clone() };
        let server_port_at_client = Record { source_port: 80, destination_port: 40000, ..record };
        let mut tally = Tally::default();
        for record in [other_port, other_host, server_port_at_client] {
            tally.add(&record);
        }
        assert_eq!(tally.conversations, [Seen::default(); EXPECTED.len()]);
        assert_eq!(tally.others, Seen { records: 3, packets: 27, bytes: 13500 });
    }

    #[test]
    fn selectors_say_both_directions() {
        let [to_server, to_client] = EXPECTED[2].selectors();
        assert_eq!(to_server.protocol, "ip");
        assert!(to_server.matches.contains(&["ip", "dport", "53", "0xffff"].map(String::from).to_vec()));
        assert!(to_client.matches.contains(&["ip", "src", SERVER_V4].map(String::from).to_vec()));
    }
}
