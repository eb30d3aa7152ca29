//! The elements as Markdown, which `IPFIX.md` is a copy of.

use crate::element::{Element, Namespace, VARIABLE, application, netflow, own, standard};
use kflow::AppProtocol;
use kflow::columns::{self, Column};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The text of `IPFIX.md`.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(STANDARD_HEAD);
    for (part, elements) in STANDARD {
        for element in *elements {
            let (number, name, length) = (element.number, element.name, length(element));
            line(&mut text, &format!("| {number} | {name} | {length} | {part} |"));
        }
    }
    text.push_str(OWN_HEAD);
    for (part, elements) in OWN {
        for element in elements.iter().filter(|element| element.namespace != Namespace::Iana) {
            own_element(&mut text, part, element);
        }
    }
    text.push_str(APPLICATION_HEAD);
    let mut seen = BTreeSet::new();
    for protocol in AppProtocol::ALL {
        for (element, field) in application::fields(protocol).zip(protocol.fields()) {
            if !seen.insert(element.number) {
                continue;
            }
            let (number, length) = (element.number, length(&element));
            let number = match element.namespace {
                Namespace::Iana => format!("{number} {}", element.name),
                Namespace::Own { .. } => number.to_string(),
            };
            line(&mut text, &format!("| {number} | {length} | `{}` | {} |", field.name, field.meaning));
        }
    }
    text.push_str(NETFLOW_HEAD);
    for (part, elements) in NETFLOW {
        for element in *elements {
            let (number, name, length) = (element.number, element.name, length(element));
            line(&mut text, &format!("| {number} | {name} | {length} | {part} |"));
        }
    }
    text.push_str(TAIL);
    text
}

const EVERY: &str = "every record";

const STANDARD: &[(&str, &[Element])] = &[
    ("IPv4", standard::ADDRESSES_V4),
    ("IPv6", standard::ADDRESSES_V6),
    ("not ICMP", standard::PORTS),
    ("ICMP", standard::ICMP_V4),
    ("ICMPv6", standard::ICMP_V6),
    (EVERY, standard::PROTOCOL),
    ("every record, by default", standard::TIMES_MS),
    ("instead of these, by config", standard::TIMES_NS),
    (EVERY, standard::COUNTERS),
    (EVERY, standard::FLOW),
    ("a VLAN behind the outermost, fragments or congestion marks", &[standard::INNER_VLAN]),
    ("a stack of MPLS labels", standard::MPLS),
    ("a sample rate above 1", standard::SELECTOR),
    ("application known, not in records of options", &[standard::APPLICATION_NAME]),
];

const OWN: &[(&str, &[Element])] = &[
    ("path", own::PATH),
    ("PPPoE", own::PPPOE),
    ("latency", own::LATENCY),
    ("TCP, flow", own::CONNECTION),
    ("TCP", own::TCP),
    ("TCP trouble", own::TROUBLE),
    ("tunnel", own::TUNNEL),
    ("tunnel, outer source IPv4", own::TUNNEL_SOURCE_V4),
    ("tunnel, outer source IPv6", own::TUNNEL_SOURCE_V6),
    ("tunnel, outer destination IPv4", own::TUNNEL_DESTINATION_V4),
    ("tunnel, outer destination IPv6", own::TUNNEL_DESTINATION_V6),
    ("application", application::HEAD),
    ("application said", application::SAID),
];

const NETFLOW: &[(&str, &[Element])] = &[
    ("IPv4", standard::ADDRESSES_V4),
    ("IPv6", standard::ADDRESSES_V6),
    ("not ICMP", standard::PORTS),
    ("ICMP and ICMPv6", netflow::ICMP),
    (EVERY, standard::PROTOCOL),
    (EVERY, netflow::TIMES),
    (EVERY, netflow::COUNTERS),
    (EVERY, netflow::END_REASON),
    (EVERY, netflow::MACS),
    ("a stack of MPLS labels", standard::MPLS),
    ("a sample rate above 1", netflow::SAMPLER),
];

/// What the elements say that are no columns.
const MASKS: &[(&str, &str)] = &[
    (
        "latency_known",
        "Which of these are known, else 0: bit 0 `first_response_latency_us`, then minimum, mean, maximum.",
    ),
    ("tcp_known", "The same: bit 0 client, then server, total."),
    (
        "tcp_side_known",
        "The same: bit 0 `tcp_mss`, then `tcp_window_scale`, `receive_window`, `receive_window_min`, `rtt_min_us`, \
         `rtt_mean_us`, `rtt_max_us`, `rtt_jitter_us`.",
    ),
    (
        "application_known",
        "The same: bit n the protocol's field n of the list below; bit 31 `application_latency_us`.",
    ),
];

fn own_element(text: &mut String, part: &str, element: &Element) {
    let Element { number, namespace, name, .. } = element;
    let column = column(name);
    let reverse = match namespace {
        Namespace::Own { reverse } if *reverse > 0 => reverse.to_string(),
        _ => String::new(),
    };
    let unit = column.map_or("", |column| column.unit);
    let mask = MASKS.iter().find(|(mask, _)| mask == name).map(|(_, meaning)| *meaning);
    let meaning = column.map(|column| column.meaning).or(mask).unwrap_or_default();
    let unknown = match column.map_or("", |column| column.unknown) {
        "" => String::new(),
        unknown => format!(" Unknown {unknown}."),
    };
    let length = length(element);
    let row =
        format!("| {number} | {reverse} | {length} | {part} | `{name}` | {unit} | {meaning}{unknown} |");
    line(text, &row);
}

/// The column that an own element is of.
fn column(name: &str) -> Option<&'static Column> {
    let is_it = |column: &&Column| column.name == name || column.name.strip_prefix("forward_") == Some(name);
    columns::printed().find(is_it)
}

fn length(element: &Element) -> String {
    match element.length {
        VARIABLE => "variable".to_owned(),
        length => length.to_string(),
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every write");
}

const HEAD: &str = "\
# IPFIX and NetFlow

What flow records are as IPFIX (RFC 7011) and as NetFlow version 9 (RFC 3954). This file is written from `src/element/`;
a test compares the two. What the columns mean exactly is in [COLUMNS.md](../COLUMNS.md).

- A flow is **two records**, one for each direction that has packets, in which source is who sent. `biflowDirection` (in
  IPFIX) says whose: 1 of the side that was seen first, 2 of the other. What is of the flow as a whole (latency, the
  connection, the application) is in the first of the two. With `biflow = rfc5103` there is one record, whose other
  direction is in reverse elements (enterprise 29305, and numbers of their own for own elements).
- A record has the **parts** that there is something to say in. Numbers of parts that it does not have are zero, or do not
  apply: no TCP for other protocols, no TCP trouble if there was none.
- Fields cannot be absent from one record, so a value that may be **unknown** is 0 if it is, and `…_known` says which are.
- A direction without packets has no record of its own, so what the other side announced in its handshake is not said then.
- With `elements = standard` there are only IANA's elements of the first table, except for those of records with a VLAN
  behind the outermost, fragments or congestion marks.
- Wireshark shows templates of up to 60 fields, unless its preference `cflow.max_template_fields` is raised; those of TCP
  with trouble and an application have more.
- The Community ID and what else follows from other columns is not sent.
- Texts are cut if a record would not fit a message otherwise, and that is counted.
";

const STANDARD_HEAD: &str = "
## Elements of IANA's

| element | name | bytes | in records with |
|---|---|---|---|
";

const OWN_HEAD: &str = "
## Own elements

Their enterprise number is configured. The default is 32473, which RFC 5612 reserves for examples: **this project has no
registered number.** It does among exporters and collectors that are all one's own; whoever has a number of their own, or
sends to a collector that others send to with 32473, sets another one.

Where there are two numbers, the first is of who sent the record's packets, and so of either direction in a record of one
direction; the second is of the other side in a record of both. `forward_` is left out of their names, and \"source\" in
their meaning is who sent. Numbers are 10000 more than those of own custom columns in COLUMNS.md (counted from 1000000),
10900 more than those of common ones.

| element | other side | bytes | part | column | unit | meaning |
|---|---|---|---|---|---|---|
";

const APPLICATION_HEAD: &str = "
## What applications said

The fields of a protocol come in this order behind the part \"application said\"; texts are UTF-8, addresses 4 or 16 bytes,
and variable fields that are unknown have no bytes. HTTP has IANA's elements where there are any, everything else own ones.

| element | bytes | field | meaning |
|---|---|---|---|
";

const NETFLOW_HEAD: &str = "
## NetFlow version 9

Two records for a flow. There is nothing in it for TCP's analysis, latencies, tunnels and applications. Times count from a
start that the exporter chooses: an hour before the first flow, and again when 49 days are over or a flow is older. A flow
that lasts longer than that begins later than it did, which is counted.

| field | name | bytes | in records with |
|---|---|---|---|
";

const TAIL: &str = "
## Sampling

Before the first record with a rate above 1, with every change of the rate and after every refresh, records of options
say the rate, in two ways, as collectors know one or the other:

| format | scope | fields |
|---|---|---|
| IPFIX | selectorId (302), which is the rate | selectorAlgorithm (304) 1, samplingPacketInterval (305) 1, samplingPacketSpace (306) rate − 1 |
| IPFIX | observationDomainId (149) | samplingInterval (34): the rate of what follows |
| NetFlow | System | FLOW_SAMPLER_ID (48), which is the rate, FLOW_SAMPLER_MODE (49) 2, FLOW_SAMPLER_RANDOM_INTERVAL (50) |
| NetFlow | System | SAMPLING_INTERVAL (34): the rate of what follows |

That is as if packets were sampled: collectors multiply packets and bytes by the rate, so that totals are estimates of
what there was. In truth whole flows are (see COLUMNS.md), and counters of single flows are exact as they are. With
`sampling = flows` that is what is said, for collectors that know it (RFC 7014): scope selectorId, flowSelectorAlgorithm
(390) 4, samplingProbability (311).

## Transactions

Transactions beyond the first of a span have records of their own, which are part of a flow and no flows. They are left
out and counted by default. With `transactions = options` they are records of options, whose scope is the flow's key
(addresses, ports or ICMP, protocol), with the times of request and answer, and the application's parts. Collectors do not
count these as flows. It is not the default because nfcapd (of nfdump 1.7.1) does not count records of options when it
checks sequence numbers, and reports losses that are none.
";

#[cfg(test)]
mod tests {
    use super::*;
    use kflow::columns::{Kind, Wire};

    fn own() -> impl Iterator<Item = &'static Element> {
        OWN.iter().flat_map(|(_, elements)| *elements).filter(|element| element.namespace != Namespace::Iana)
    }

    /// The number that follows from a custom column.
    fn number_of(column: &Column) -> Option<u16> {
        let Wire::Custom(custom) = column.wire else { return None };
        let own = custom.id.checked_sub(columns::OWN_IDS).map(|number| 10_000 + number);
        Some(own.unwrap_or(10_900 + custom.id) as u16)
    }

    #[test]
    fn numbers_are_unique_and_beyond_those_of_iana() {
        let mut numbers = BTreeSet::new();
        for element in own() {
            let Namespace::Own { reverse } = element.namespace else { unreachable!("they were filtered") };
            for number in [element.number, reverse].into_iter().filter(|number| *number > 0) {
                assert!(numbers.insert(number), "{}", element.name);
                assert!((10_000..16_384).contains(&number));
            }
        }
    }

    #[test]
    fn numbers_and_sizes_follow_from_columns() {
        for element in own() {
            let Some(found) = column(element.name) else {
                assert!(MASKS.iter().any(|(name, _)| *name == element.name), "{}", element.name);
                continue;
            };
            let Some(number) = number_of(found) else {
                assert_eq!((found.name, element.number), ("app_protocol", 10_510));
                continue;
            };
            // Addresses of IPv6 have numbers of their own.
            let is_ipv6 = found.kind() == Kind::Address && element.length == 16;
            assert_eq!(element.number, if is_ipv6 { number + 100 } else { number }, "{}", element.name);
            if let Namespace::Own { reverse: reverse @ 1.. } = element.namespace {
                let other = format!("reverse_{}", element.name);
                let other =
                    columns::printed().find(|column| column.name == other).expect("both sides have it");
                assert_eq!(Some(reverse), number_of(other), "{}", element.name);
            }
            let length = match found.kind() {
                Kind::U64 => 8,
                Kind::U32 => 4,
                Kind::U16 => 2,
                Kind::Address => element.length,
                _ => 1,
            };
            assert_eq!(element.length, length, "{}", element.name);
        }
    }

    #[test]
    fn every_column_is_sent_or_follows_from_others() {
        let elsewhere = [
            // In elements of IANA's.
            "start_ns",
            "end_ns",
            "source_address",
            "source_port",
            "destination_address",
            "destination_port",
            "protocol",
            "icmp_type",
            "icmp_code",
            "source_mac",
            "destination_mac",
            "end_reason",
            "sample_rate",
            "forward_packets",
            "forward_bytes",
            "forward_frame_bytes",
            "forward_tcp_flags",
            "forward_tos",
            "forward_vlan",
            "forward_inner_vlan",
            "forward_mpls_label",
            "forward_ttl_min",
            "forward_ttl_max",
            // In elements of the application's protocol.
            "application",
            // These follow.
            "community_id",
            "sampling",
        ];
        for column in columns::printed() {
            let name = column.name.replace("reverse_", "forward_");
            let name = if column.name.starts_with("tunnel_") { column.name } else { &name };
            let is_own = own().any(|element| self::column(element.name).is_some_and(|own| own.name == name));
            assert!(is_own || elsewhere.contains(&name), "{}", column.name);
        }
    }
}
