//! A second opinion on messages: the JA4 fingerprint and the name of a host that nDPI gives to a flow.
//!
//! Fingerprints are compared as if tshark had said them, with what nDPI writes otherwise than the definition of JA4 put
//! right from what tshark says of the hello: see [`as_defined`].
//!
//! Of hosts nDPI names one a flow, of any of its messages, as [`text::host`] has it, and of a long name the last 79
//! characters: one that ours says has to be it. It has names for more protocols than these; those of the others are not
//! compared, nor is what it finds inside of tunnels.

use super::{FIELDS, Messages, text};
use crate::conversation::Key;
use crate::facts::Facts;
use crate::judged::{Context, Judged, MessageCounts, Said};
use crate::ndpi::List;
use crate::sensor::Observed;
use std::collections::BTreeMap;

pub const HOST_NAME: &str = "ndpi_host_name";

/// Protocols of which a host's name is compared, as nDPI calls them.
const PROTOCOLS: [&str; 6] = ["DNS", "HTTP", "LLMNR", "MDNS", "QUIC", "TLS"];
/// What names a host in records.
const HOST_FIELDS: [&str; 4] = ["dns_query", "http_host", "quic_server_name", "tls_server_name"];
const CHARACTERS_MAX: usize = 79;
/// The first digits of SHA-256 of nothing.
const HASH_OF_NOTHING: &str = "e3b0c44298fc";
const NO_HASH: &str = "000000000000";

/// What nDPI says of one flow; empty where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub key: Key,
    pub host_name: String,
    pub ja4: String,
}

/// By capture, relative to the folder.
pub type Flows = BTreeMap<String, Vec<Flow>>;

/// A list without these columns says nothing.
pub fn parse(list: &List<'_>) -> Flows {
    let mut flows = Flows::new();
    for row in &list.rows {
        let Some((key, _)) = list.key(row) else { continue };
        // Such as `91.26/TLS.ntop`.
        let protocol = list.word(row, "ndpi_proto").split(['/', '.']).find(|word| PROTOCOLS.contains(word));
        let host_name = protocol.map_or("", |_| list.word(row, "hostname_sni")).to_owned();
        let flow = Flow { key, host_name, ja4: list.word(row, "ja4").to_owned() };
        flows.entry(list.word(row, "pcap").to_owned()).or_default().push(flow);
    }
    flows
}

/// Adds the fingerprints to what theirs says.
pub fn add_fingerprints(theirs: &mut Facts, flows: &[Flow]) {
    for Flow { key, ja4, host_name } in flows {
        if !theirs.conversations.contains_key(key) {
            continue;
        }
        // DTLS is TLS, too.
        let protocol = if ja4.starts_with('q') { "quic" } else { "tls" };
        let first = |field| theirs.messages.named(key, &format!("{protocol}_{field}")).first();
        let has_server_name = match first("ja3") {
            // tshark did not see the hello.
            None => !host_name.is_empty(),
            Some(_) => first("server_name").is_some(),
        };
        let ja4 = as_defined(ja4, has_server_name, first("alpn").map(String::as_str));
        theirs.messages.add(*key, &format!("{protocol}_ja4"), ja4);
    }
}

/// A fingerprint as JA4 is defined: `d` where the client names a server, `i` where it does not (nDPI: where the name
/// is a domain, and where it is not); the first and the last character of the first protocol that it offers (nDPI:
/// the first two); twelve zeros in the place of a hash of nothing (nDPI: the hash of nothing).
fn as_defined(ja4: &str, has_server_name: bool, protocols: Option<&str>) -> String {
    let Some((start, hashes)) = ja4.split_once('_') else { return ja4.to_owned() };
    let parts = (start.get(..3), start.get(4..8), start.get(8..));
    let (Some(version), Some(counts), Some(protocol)) = parts else { return ja4.to_owned() };
    let named = if has_server_name { 'd' } else { 'i' };
    let protocol = match protocols.map(|all| all.split(',').next().unwrap_or_default().as_bytes()) {
        None | Some([]) => protocol.to_owned(),
        Some([only]) => format!("{0}{0}", char::from(*only)),
        Some([first, .., last]) => format!("{}{}", char::from(*first), char::from(*last)),
    };
    format!("{version}{named}{counts}{protocol}_{}", hashes.replace(HASH_OF_NOTHING, NO_HASH))
}

/// Compares the hosts of a capture.
pub fn compare_hosts(
    context: Context<'_>,
    flows: &[Flow],
    ours: &Observed,
    theirs: &Facts,
    judged: &mut Judged,
) {
    let is_known = |key| ours.conversations.contains_key(key) || theirs.conversations.contains_key(key);
    for Flow { key, host_name, .. } in flows.iter().filter(|flow| is_known(&flow.key)) {
        if host_name.is_empty() {
            continue;
        }
        let hosts = hosts(&ours.messages, key);
        let host = text::host(host_name);
        let is_cut = host_name.chars().count() == CHARACTERS_MAX;
        let is_equal = hosts.iter().any(|ours| *ours == host || is_cut && ours.ends_with(&host));
        judged.add_said(
            context,
            Said {
                field: HOST_NAME,
                conversation: *key,
                counts: MessageCounts { reported: 1, equal: u64::from(is_equal), alone: 0 },
                ours: if hosts.is_empty() { "nothing".to_owned() } else { hosts.join(", ") },
                theirs: host,
            },
        );
    }
}

/// The hosts that our records name, as nDPI would.
fn hosts(messages: &Messages, key: &Key) -> Vec<String> {
    let mut hosts = Vec::new();
    for (index, field) in FIELDS.iter().enumerate().filter(|(_, field)| HOST_FIELDS.contains(&field.name)) {
        for value in messages.values(key, index) {
            // Names of DNS are behind their identifier.
            let name = if field.name == "dns_query" {
                value.split_once(' ').map_or("", |(_, name)| name)
            } else {
                value
            };
            hosts.push(text::host(name));
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explained::Explanations;
    use crate::field::OUTER;
    use crate::judged::Difference;
    use serde_json::json;

    const NAME: &str = "6 192.0.2.1 40000 192.0.2.9 443";
    const LIST: &str = "pcap\tl4\taddr_a\tport_a\taddr_b\tport_b\tndpi_proto\thostname_sni\tja4\n\
        a.pcap\tTCP\t192.0.2.1\t40000\t192.0.2.9\t443\t91.26/TLS.ntop\twww.example.com\tt13d1516h2_a_b\n\
        a.pcap\tTCP\t192.0.2.1\t40001\t192.0.2.9\t443\t91.26/TLS.ntop\tother.example\t\n\
        a.pcap\tUDP\t192.0.2.1\t137\t192.0.2.9\t137\t10/NetBIOS\thost\t\n";

    fn flows() -> Vec<Flow> {
        parse(&List::parse(LIST))["a.pcap"].clone()
    }

    fn facts() -> Facts {
        let line = json!({"packets": 1, "not_ip": 0, "conversations": {NAME: {"packets_ab": 1}}});
        Facts::read(&line, &OUTER).unwrap()
    }

    /// What is compared and what differs if our record names this host.
    fn compared(host: &str) -> (u64, Vec<Difference>) {
        let theirs = facts();
        let (key, _) = Key::parse(NAME).unwrap();
        let mut messages = Messages::default();
        messages.add(key, "tls_server_name", host.to_owned());
        let ours = Observed {
            conversations: theirs.conversations.clone(),
            messages,
            reported: vec![true; OUTER.len()],
            has_messages: true,
            not_flow: BTreeMap::new(),
            complaint: None,
        };
        let explanations = Explanations::parse("").unwrap();
        let context = Context { capture: "a.pcap", explanations: &explanations, accounts: &ours.not_flow };
        let mut judged = Judged::default();
        compare_hosts(context, &flows(), &ours, &theirs, &mut judged);
        (judged.messages[HOST_NAME].reported, judged.differences)
    }

    #[test]
    fn host_of_a_flow_is_one_that_ours_names() {
        assert_eq!(compared("WWW.example.com:443"), (1, vec![]));
        let (_, differences) = compared("example.com");
        assert_eq!(
            (differences[0].ours.as_str(), differences[0].theirs.as_str()),
            ("example.com", "www.example.com")
        );
    }

    #[test]
    fn only_protocols_that_the_sensor_parses_have_a_host() {
        let hosts: Vec<String> = flows().into_iter().map(|flow| flow.host_name).collect();
        assert_eq!(hosts, ["www.example.com", "other.example", ""]);
    }

    #[test]
    fn fingerprints_are_compared_as_if_tshark_had_said_them() {
        let mut theirs = facts();
        add_fingerprints(&mut theirs, &flows());
        let (key, _) = Key::parse(NAME).unwrap();
        assert_eq!(theirs.messages.named(&key, "tls_ja4"), ["t13d1516h2_a_b"]);
        assert_eq!(theirs.messages.keys().count(), 1);
    }

    #[test]
    fn fingerprint_of_a_hello_that_tshark_saw_is_as_defined() {
        let mut theirs = facts();
        let (key, _) = Key::parse(NAME).unwrap();
        theirs.messages.add(key, "tls_ja3", "00ff".to_owned());
        theirs.messages.add(key, "tls_alpn", "http/1.1,h2".to_owned());
        add_fingerprints(&mut theirs, &flows());
        assert_eq!(theirs.messages.named(&key, "tls_ja4"), ["t13i1516h1_a_b"]);
        assert_eq!(as_defined("t12i150000_ab_e3b0c44298fc", true, None), "t12d150000_ab_000000000000");
        assert_eq!(as_defined("t13d0101ht_ab_cd", true, Some("x")), "t13d0101xx_ab_cd");
        assert_eq!(as_defined("", true, None), "");
    }
}
