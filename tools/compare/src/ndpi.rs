//! A second opinion: flows with counters, as nDPI's reader lists them.
//!
//! `ndpi_flows.tsv` has a heading with the names of its columns, and a line a flow: capture, protocol, both ends,
//! packets and frame bytes of both directions. nDPI splits flows by timeouts of its own, so they are added up by
//! 5-tuple. It looks into some tunnels, so what it lists is compared where one of the other two programs has the
//! 5-tuple as well; and it leaves later fragments out, so nothing is compared between addresses that have any.

use crate::conversation::{Conversation, Conversations, Key, Order, insert};
use crate::facts::{Facts, TCP};
use crate::field::{OUTER, Value};
use crate::judged::{Context, Judged, Pair};
use crate::matching::shortage;
use crate::sensor::Observed;
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;

pub const FLOWS: &str = "ndpi_flows.tsv";

/// Names of the fields, with those of the table that they are compared with.
pub const FIELDS: [(&str, &str); 2] = [("ndpi_packets", "packets"), ("ndpi_frame_bytes", "frame_bytes")];

/// Protocols that nDPI names; it gives the numbers of all others.
const PROTOCOLS: [(&str, u8); 12] = [
    ("ICMP", 1),
    ("IGMP", 2),
    ("TCP", 6),
    ("UDP", 17),
    ("GRE", 47),
    ("ESP", 50),
    ("AH", 51),
    ("ICMPV6", 58),
    ("OSPF", 89),
    ("PIM", 103),
    ("PGM", 113),
    ("VRRP", 112),
];

const ENDS: [&str; 5] = ["l4", "addr_a", "port_a", "addr_b", "port_b"];
const COUNTS: [&str; 4] = ["pkts_ab", "pkts_ba", "bytes_ab", "bytes_ba"];

/// By capture, relative to the folder; values in the order of [`FIELDS`].
pub type Flows = BTreeMap<String, Conversations>;

/// The words of the list.
#[derive(Debug)]
pub struct List<'a> {
    columns: Vec<&'a str>,
    pub rows: Vec<Vec<&'a str>>,
}

impl<'a> List<'a> {
    pub fn parse(text: &'a str) -> List<'a> {
        let mut lines = text.lines().map(|line| line.split('\t').collect());
        List { columns: lines.next().unwrap_or_default(), rows: lines.collect() }
    }

    /// Empty if there is no such column.
    pub fn word(&self, row: &[&'a str], column: &str) -> &'a str {
        let place = self.columns.iter().position(|name| *name == column);
        place.and_then(|place| row.get(place)).copied().unwrap_or_default()
    }

    /// The flow's 5-tuple. nDPI's shortening of IPv6 addresses is wrong at times: `::` twice names no address.
    pub fn key(&self, row: &[&'a str]) -> Option<(Key, Order)> {
        key(&ENDS.map(|column| self.word(row, column)).join(" "))
    }
}

pub fn parse(list: &List<'_>) -> anyhow::Result<Flows> {
    for column in ENDS.iter().chain(&COUNTS).chain(&["pcap"]) {
        ensure!(list.columns.contains(column), "no column `{column}`");
    }
    let mut flows = Flows::new();
    for (index, row) in list.rows.iter().enumerate() {
        let Some((key, order)) = list.key(row) else { continue };
        let place = || format!("line {}", index + 2);
        let numbers = COUNTS.map(|column| list.word(row, column).parse().with_context(place));
        let numbers = numbers.into_iter().collect::<anyhow::Result<Vec<u64>>>()?;
        let value = |ab: usize| Value::Counts(order.apply([numbers[ab], numbers[ab + 1]]));
        let flow = Conversation { has_tcp: key.protocol == TCP, values: vec![value(0), value(2)] };
        insert(flows.entry(list.word(row, "pcap").to_owned()).or_default(), key, flow);
    }
    Ok(flows)
}

/// `PROTOCOL ADDRESS PORT ADDRESS PORT`, the protocol by name or number, IPv6 addresses in brackets.
fn key(name: &str) -> Option<(Key, Order)> {
    let name = name.replace(['[', ']'], "");
    let (protocol, ends) = name.split_once(' ')?;
    match PROTOCOLS.iter().find(|(name, _)| *name == protocol) {
        Some((_, number)) => Key::parse(&format!("{number} {ends}")),
        None => Key::parse(&name),
    }
}

/// Compares what nDPI lists of the capture.
pub fn compare(
    context: Context<'_>,
    flows: &Conversations,
    ours: &Observed,
    theirs: &Facts,
    judged: &mut Judged,
) {
    let is_comparable = |key: &Key| {
        let is_known = ours.conversations.contains_key(key) || theirs.conversations.contains_key(key);
        is_known && !theirs.loose_pairs.contains(&key.addresses())
    };
    let places = FIELDS.map(|(_, name)| {
        OUTER.iter().position(|field| field.name == name).expect("nDPI's values are of fields of the table")
    });
    for (key, flow) in flows.iter().filter(|(key, _)| is_comparable(key)) {
        let our_values = places.map(|place| {
            ours.conversations.get(key).map_or(Value::Counts([0, 0]), |ours| ours.values[place].clone())
        });
        let missing_packets = shortage(&our_values[0], &flow.values[0]);
        for (((field, _), ours), theirs) in FIELDS.into_iter().zip(our_values).zip(&flow.values) {
            let pair = Pair {
                field,
                conversation: Some(*key),
                is_equal: ours == *theirs,
                is_nothing: false,
                missing_packets,
                ours: ours.shown(),
                theirs: theirs.shown(),
                rule: None,
            };
            judged.add(context, pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "pcap\tl4\taddr_a\tport_a\taddr_b\tport_b\tdir\tpkts_ab\tbytes_ab\tpkts_ba\tbytes_ba\n\
        a.pcap\tTCP\t192.0.2.9\t80\t192.0.2.1\t40000\t<->\t3\t300\t5\t500\n\
        a.pcap\tTCP\t192.0.2.1\t40000\t192.0.2.9\t80\t->\t1\t60\t0\t0\n\
        b.pcap\t88\t[2001:db8::1]\t0\t[ff02::a]\t0\t->\t1\t74\t0\t0\n";

    #[test]
    fn flows_of_one_5_tuple_add_up() {
        let flows = parse(&List::parse(LIST)).unwrap();
        let (key, flow) = flows["a.pcap"].first_key_value().unwrap();
        assert_eq!(key.to_string(), "6 192.0.2.1 40000 192.0.2.9 80");
        assert_eq!(flow.values, [Value::Counts([6, 3]), Value::Counts([560, 300])]);
        assert_eq!(flows["b.pcap"].first_key_value().unwrap().0.to_string(), "88 2001:db8::1 0 ff02::a 0");
    }

    #[test]
    fn list_that_lacks_a_column_or_a_number_says_which() {
        let error = parse(&List::parse(&LIST.replace("pkts_ba", "packets"))).unwrap_err();
        assert!(error.to_string().contains("pkts_ba"), "{error}");
        let error = parse(&List::parse(&LIST.replace("\t60\t", "\tmany\t"))).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
