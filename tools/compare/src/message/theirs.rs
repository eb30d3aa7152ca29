//! What tshark says of messages: the lists `dns`, `tls`, `http` and `dhcp` of a line of facts.
//!
//! ```text
//! "dns": [{"frame": 3, "conversation": "17 192.0.2.1 40000 192.0.2.9 53", "dns.id": ["0x0001"], ...}, ...]
//! ```
//!
//! An entry is a frame, its values lists of all that it has. Differences of definition:
//!
//! - **Inside of tunnels.** What a tunnel carries is none of the conversation outside. Such an entry is known by a
//!   conversation that is neither TCP nor UDP, or by the port of a tunnel.
//! - **Decrypted.** Files may have keys, with which theirs reads what TLS protects: after a conversation's first
//!   hello, nothing but TLS is read.
//! - **First question.** Of several questions in a message of DNS the first one counts. A message whose name theirs
//!   cannot read says nothing.
//! - **Interim answers** of HTTP (1xx) are not the answer, but for 101, after which another protocol follows.
//! - **Encrypted extensions.** What a server selects is compared as far as its ServerHello says so.
//! - **Several hellos in a frame** have one list of protocols, which cannot be told apart: it is left out.

use super::Messages;
use super::dns::{self, Message, Question};
use super::text;
use crate::conversation::Key;
use crate::facts::TCP;
use serde_json::Value as Json;
use std::collections::BTreeMap;

pub const UDP: u8 = 17;

/// Ports of what carries other packets or streams inside: L2TP, GTP-U, Teredo, GRE and MPLS in UDP, CAPWAP, Geneve,
/// VXLAN; OpenVPN and RADIUS, which carry TLS in messages of their own.
const CARRIER_PORTS: [u16; 14] =
    [1194, 1645, 1646, 1701, 1812, 1813, 2152, 3544, 4754, 4789, 5246, 5247, 6081, 6635];

const CLIENT_HELLO: &str = "1";
const SERVER_HELLO: &str = "2";
const ENCRYPTED_EXTENSIONS: &str = "8";
const SWITCHING_PROTOCOLS: &str = "101";
const NO_ADDRESS: &str = "0.0.0.0";

/// Reads all lists; those that are not there are empty.
pub fn read(facts: &Json) -> Messages {
    let mut messages = Messages::default();
    let tls = entries(facts, "tls");
    let mut first_hello: BTreeMap<Key, u64> = BTreeMap::new();
    for entry in &tls {
        let frame = first_hello.entry(entry.key).or_insert(entry.frame);
        *frame = entry.frame.min(*frame);
    }
    let is_clear = |entry: &&Entry<'_>| first_hello.get(&entry.key).is_none_or(|hello| entry.frame < *hello);
    let dns_messages = entries(facts, "dns").iter().filter(is_clear).flat_map(dns_of).collect();
    for transaction in dns::transactions(dns_messages) {
        add_dns(&mut messages, &transaction);
    }
    entries(facts, "http").iter().filter(is_clear).for_each(|entry| add_http(&mut messages, entry));
    entries(facts, "dhcp").iter().for_each(|entry| add_dhcp(&mut messages, entry));
    tls.iter().for_each(|entry| add_tls(&mut messages, entry));
    messages
}

/// Adds what a transaction of DNS says, each value with the identifier, so that values of two do not change places.
pub fn add_dns(messages: &mut Messages, Message { key, id, question, rcode }: &Message) {
    messages.add(*key, "dns_query", format!("{id:#06x} {}", question.name));
    messages.add(*key, "dns_query_type", format!("{id:#06x} {}", question.kind));
    if let Some(rcode) = rcode {
        messages.add(*key, "dns_rcode", format!("{id:#06x} {rcode}"));
    }
}

/// One frame of a list.
#[derive(Debug)]
struct Entry<'a> {
    frame: u64,
    key: Key,
    values: &'a Json,
}

/// The entries of a list, but for what tunnels carry.
fn entries<'a>(facts: &'a Json, list: &str) -> Vec<Entry<'a>> {
    let all = facts[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = |values: &'a Json| {
        let (key, _) = Key::parse(values["conversation"].as_str()?)?;
        let frame = values["frame"].as_u64()?;
        (!is_tunnel(&key)).then_some(Entry { frame, key, values })
    };
    all.iter().filter_map(entry).collect()
}

fn is_tunnel(key: &Key) -> bool {
    let is_carrier = |port: u16| CARRIER_PORTS.contains(&port);
    !matches!(key.protocol, TCP | UDP) || is_carrier(key.a.1) || is_carrier(key.b.1)
}

impl<'a> Entry<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values[name].as_array().into_iter().flatten().filter_map(Json::as_str)
    }

    /// The first one; empty if there is none.
    fn first(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }
}

/// The messages of a frame, of which a segment may have several.
fn dns_of(entry: &Entry<'_>) -> Vec<Message> {
    let ids: Vec<&str> = entry.all("dns.id").collect();
    let names: Vec<&str> = entry.all("dns.qry.name").collect();
    let mut kinds = entry.all("dns.qry.type");
    let mut rcodes = entry.all("dns.flags.rcode");
    let mut messages = Vec::new();
    // With as many questions as messages, each has its own.
    let one_each = if ids.len() == names.len() { ids.len() } else { 1 };
    let of_each = ids.iter().zip(entry.all("dns.flags.response")).zip(&names).take(one_each);
    for ((id, response), name) in of_each {
        let kind = kinds.next().unwrap_or_default().to_owned();
        let rcode = matches!(response, "1" | "True").then(|| rcodes.next().unwrap_or_default().to_owned());
        let id = id.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let Some(id) = id.filter(|_| !text::is_unreadable(name)) else { continue };
        messages.push(Message {
            key: entry.key,
            id,
            question: Question { name: text::name(name), kind },
            rcode,
        });
    }
    messages
}

fn add_http(messages: &mut Messages, entry: &Entry<'_>) {
    let fields = [
        ("http_method", "http.request.method"),
        ("http_host", "http.host"),
        ("http_url", "http.request.uri"),
        ("http_user_agent", "http.user_agent"),
    ];
    for (field, name) in fields {
        let written = text::of_field(field);
        entry.all(name).for_each(|value| messages.add(entry.key, field, written(value)));
    }
    let is_final = |code: &&str| *code == SWITCHING_PROTOCOLS || !(code.len() == 3 && code.starts_with('1'));
    for code in entry.all("http.response.code").filter(is_final) {
        messages.add(entry.key, "http_status", code.to_owned());
    }
}

fn add_dhcp(messages: &mut Messages, entry: &Entry<'_>) {
    let fields = [
        ("dhcp_operation", "dhcp.type"),
        ("dhcp_message_type", "dhcp.option.dhcp"),
        ("dhcp_host_name", "dhcp.option.hostname"),
        ("dhcp_your_address", "dhcp.ip.your"),
        // Client identifiers that are hardware addresses come after that of the header.
        ("dhcp_client_mac", "dhcp.hw.mac_addr"),
    ];
    for (field, name) in fields {
        let value = entry.first(name);
        if value != NO_ADDRESS {
            messages.add(entry.key, field, text::plain(value));
        }
    }
}

fn add_tls(messages: &mut Messages, entry: &Entry<'_>) {
    let is_quic = entry.key.protocol == UDP;
    let has = |kind| entry.all("tls.handshake.type").any(|each| each == kind);
    let hellos = entry.all("tls.handshake.type").filter(|kind| [CLIENT_HELLO, SERVER_HELLO].contains(kind));
    let hellos = hellos.count();
    let protocols =
        entry.all("tls.handshake.extensions_alpn_str").map(text::plain).collect::<Vec<_>>().join(",");
    let (server_name, alpn, ja3) = if is_quic {
        ("quic_server_name", "quic_alpn", "quic_ja3")
    } else {
        ("tls_server_name", "tls_alpn", "tls_ja3")
    };
    for name in entry.all("tls.handshake.extensions_server_name") {
        messages.add(entry.key, server_name, text::plain(name));
    }
    for hash in entry.all("tls.handshake.ja3") {
        messages.add(entry.key, ja3, hash.to_owned());
    }
    if has(CLIENT_HELLO) && hellos == 1 {
        messages.add(entry.key, alpn, protocols);
    } else if has(SERVER_HELLO) && hellos == 1 && !has(ENCRYPTED_EXTENSIONS) && !is_quic {
        messages.add(entry.key, "tls_selected_alpn", protocols);
    }
    if !is_quic {
        entry.all("tls.handshake.ja3s").for_each(|hash| messages.add(entry.key, "tls_ja3s", hash.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const UDP_NAME: &str = "17 192.0.2.1 40000 192.0.2.9 53";
    const TCP_NAME: &str = "6 192.0.2.1 40000 192.0.2.9 443";

    fn values(facts: &Json, conversation: &str, field: &str) -> Vec<String> {
        read(facts).named(&Key::parse(conversation).unwrap().0, field).to_vec()
    }

    fn entry(frame: u64, conversation: &str, lists: &Json) -> Json {
        let mut entry = lists.clone();
        entry["frame"] = json!(frame);
        entry["conversation"] = json!(conversation);
        entry
    }

    #[test]
    fn query_and_answer_of_dns_say_their_question_once() {
        let query = json!({"dns.id": ["0x00ff"], "dns.flags.response": ["0"], "dns.qry.name": ["example.com"],
            "dns.qry.type": ["28"]});
        let mut answer = query.clone();
        answer["dns.flags.response"] = json!(["1"]);
        answer["dns.flags.rcode"] = json!(["3"]);
        let facts = json!({"dns": [entry(1, UDP_NAME, &query), entry(2, UDP_NAME, &answer)]});
        assert_eq!(values(&facts, UDP_NAME, "dns_query"), ["0x00ff example.com"]);
        assert_eq!(values(&facts, UDP_NAME, "dns_query_type"), ["0x00ff 28"]);
        assert_eq!(values(&facts, UDP_NAME, "dns_rcode"), ["0x00ff 3"]);
    }

    #[test]
    fn of_several_questions_the_first_counts_and_of_several_messages_each() {
        let names = |ids: Json, responses: Json| {
            let lists = json!({"dns.id": ids, "dns.flags.response": responses,
                "dns.qry.name": ["a", "b"], "dns.qry.type": ["1", "28"], "dns.flags.rcode": ["0"]});
            let facts = json!({"dns": [entry(1, UDP_NAME, &lists)]});
            (values(&facts, UDP_NAME, "dns_query_type"), values(&facts, UDP_NAME, "dns_rcode"))
        };
        assert_eq!(names(json!(["0x0001"]), json!(["0"])), (vec!["0x0001 1".to_owned()], vec![]));
        let (kinds, rcodes) = names(json!(["0x0001", "0x0002"]), json!(["0", "1"]));
        assert_eq!((kinds.len(), rcodes), (2, vec!["0x0002 0".to_owned()]));
    }

    #[test]
    fn name_that_theirs_cannot_read_is_no_message() {
        let lists = json!({"dns.id": ["0x0001"], "dns.flags.response": ["0"], "dns.qry.type": ["1"],
            "dns.qry.name": ["<Name too long>"]});
        assert_eq!(read(&json!({"dns": [entry(1, UDP_NAME, &lists)]})), Messages::default());
    }

    #[test]
    fn what_tunnels_carry_is_none_of_their_conversation() {
        let lists = json!({"http.request.method": ["GET"]});
        for tunnel in ["47 192.0.2.1 0 192.0.2.9 0", "17 192.0.2.1 2152 192.0.2.9 2152"] {
            assert_eq!(read(&json!({"http": [entry(1, tunnel, &lists)]})), Messages::default(), "{tunnel}");
        }
    }

    #[test]
    fn nothing_but_tls_is_read_after_the_first_hello() {
        let request = json!({"http.request.method": ["CONNECT"]});
        let secret = json!({"http.request.method": ["GET"]});
        let facts = json!({
            "http": [entry(1, TCP_NAME, &request), entry(5, TCP_NAME, &secret)],
            "tls": [entry(3, TCP_NAME, &json!({"tls.handshake.type": ["1"]}))],
        });
        assert_eq!(values(&facts, TCP_NAME, "http_method"), ["CONNECT"]);
    }

    #[test]
    fn messages_of_http_in_one_frame_are_all_there_but_for_interim_answers() {
        let lists =
            json!({"http.request.method": ["POST", "GET"], "http.response.code": ["100", "200", "101"]});
        let facts = json!({"http": [entry(1, TCP_NAME, &lists)]});
        assert_eq!(values(&facts, TCP_NAME, "http_method"), ["POST", "GET"]);
        assert_eq!(values(&facts, TCP_NAME, "http_status"), ["200", "101"]);
    }

    #[test]
    fn protocols_are_those_that_the_side_which_sent_the_hello_names() {
        let client = json!({"tls.handshake.type": ["1"], "tls.handshake.extensions_alpn_str": ["h2", "http/1.1"],
            "tls.handshake.extensions_server_name": ["example.com"], "tls.handshake.ja3": ["00ff"]});
        let server = json!({"tls.handshake.type": ["2", "11"], "tls.handshake.extensions_alpn_str": ["h2"],
            "tls.handshake.ja3s": ["ff00"]});
        let facts = json!({"tls": [entry(1, TCP_NAME, &client), entry(2, TCP_NAME, &server)]});
        assert_eq!(values(&facts, TCP_NAME, "tls_alpn"), ["h2,http/1.1"]);
        assert_eq!(values(&facts, TCP_NAME, "tls_selected_alpn"), ["h2"]);
        assert_eq!(values(&facts, TCP_NAME, "tls_server_name"), ["example.com"]);
        assert_eq!(values(&facts, TCP_NAME, "tls_ja3s"), ["ff00"]);
        let quic = json!({"tls": [entry(1, UDP_NAME, &client), entry(2, UDP_NAME, &server)]});
        assert_eq!(values(&quic, UDP_NAME, "quic_ja3"), ["00ff"]);
        assert_eq!(values(&quic, UDP_NAME, "tls_ja3s"), [] as [&str; 0]);
    }

    #[test]
    fn selected_protocol_that_was_encrypted_is_not_compared() {
        let lists = json!({"tls.handshake.type": ["2", "8"], "tls.handshake.extensions_alpn_str": ["h2"]});
        let facts = json!({"tls": [entry(1, TCP_NAME, &lists)]});
        assert_eq!(values(&facts, TCP_NAME, "tls_selected_alpn"), [] as [&str; 0]);
    }

    #[test]
    fn hardware_address_of_a_client_is_that_of_the_header() {
        let lists = json!({"dhcp.type": ["1"], "dhcp.ip.your": ["0.0.0.0"],
            "dhcp.hw.mac_addr": ["02:00:00:00:00:01", "02:00:00:00:00:02"]});
        let facts = json!({"dhcp": [entry(1, "17 0.0.0.0 68 255.255.255.255 67", &lists)]});
        let said = |field| values(&facts, "17 0.0.0.0 68 255.255.255.255 67", field);
        assert_eq!(said("dhcp_client_mac"), ["02:00:00:00:00:01"]);
        assert_eq!(said("dhcp_your_address"), [] as [&str; 0]);
        assert_eq!(said("dhcp_operation"), ["1"]);
    }
}
