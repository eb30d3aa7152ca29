//! What applications say, against tshark's dissectors: in every conversation they find what the generator means.

mod dissect;
mod inspect;

use std::collections::{BTreeMap, BTreeSet};

use dissect::Tshark;
use inspect::inspect;
use traffic::message::{Protocol, Script};
use traffic::mix::{ConversationKey, Expected, Mix, Options, TimedFrame, Traffic};

fn generate(seed: u64) -> (Vec<TimedFrame>, Expected) {
    let mut traffic = Traffic::new(Options { mix: Mix::Applications, seed, conversations: 300 });
    let frames = traffic.by_ref().collect();
    (frames, traffic.into_expected())
}

/// Fields of tshark and what the generator calls them. A field that answers repeat is compared by its different values.
const FIELDS: [(&str, &str); 21] = [
    ("dns.qry.name", "dns_query"),
    ("dns.qry.type", "dns_query_type"),
    ("dns.flags.rcode", "dns_rcode"),
    ("tls.handshake.extensions_server_name", "tls_server_name"),
    ("x509ce.dNSName", "tls_certificate_names"),
    ("http.request.method", "http_method"),
    ("http.request.uri", "http_url"),
    ("http.host", "http_host"),
    ("http.response.code", "http_status"),
    ("http.referer", "http_referer"),
    ("dhcp.option.hostname", "dhcp_host_name"),
    ("dhcp.option.dhcp_server_id", "dhcp_server_id"),
    ("dhcpv6.client_domain", "dhcpv6_fqdn"),
    ("radius.User_Name", "radius_user"),
    ("radius.Acct_Session_Id", "radius_session_id"),
    ("ntp.flags.vn", "ntp_version"),
    ("snmp.community", "snmp_community"),
    ("sip.User-Agent", "sip_user_agent"),
    ("sip.Call-ID", "sip_call_id"),
    ("mysql.user", "mysql_user"),
    ("mysql.version", "mysql_server_version"),
];

type Values = BTreeMap<(ConversationKey, &'static str), BTreeSet<String>>;

/// What the generator means, in the fields that are compared.
fn meant(expected: &Expected) -> Values {
    let mut values = Values::new();
    for application in &expected.applications {
        for (_, field) in FIELDS {
            let Some(value) = application.said.fields.get(field) else { continue };
            let list = if field == "tls_certificate_names" { value.split(';') } else { value.split('\n') };
            let known = values.entry((application.conversation, field)).or_default();
            known.extend(list.map(str::to_owned));
        }
    }
    values
}

#[test]
fn tshark_reads_in_every_conversation_what_the_generator_means() {
    let Some(tshark) = Tshark::find() else { return };
    for seed in 1..=2 {
        let (frames, expected) = generate(seed);
        let names = FIELDS.iter().map(|(theirs, _)| *theirs);
        let names: Vec<_> = ["_ws.malformed"].into_iter().chain(names).collect();
        let rows = tshark.fields(frames.iter().map(|frame| (frame.time_ns, &frame.bytes[..])), &names);
        assert_eq!(rows.len(), frames.len());
        let mut found = Values::new();
        let mut given_up = BTreeSet::new();
        for (frame, row) in frames.iter().zip(&rows) {
            let key = conversation(frame, &expected);
            if !row[0].is_empty() {
                assert!(is_beyond_tshark(key), "seed {seed}: {key:?} {row:?}");
                given_up.insert(key);
            }
            for ((_, field), value) in FIELDS.iter().zip(&row[1..]).filter(|(_, value)| !value.is_empty()) {
                let known = found.entry((key, field)).or_default();
                known.extend(value.split(',').map(bare));
            }
        }
        assert!(given_up.len() < 30, "{} conversations are not compared", given_up.len());
        let meant = meant(&expected);
        let both = meant.keys().chain(found.keys()).filter(|(key, _)| !given_up.contains(key));
        for field in both.collect::<BTreeSet<_>>() {
            // tshark takes the answer to a HEAD that was sent ahead for one with a body.
            let methods = meant.get(&(field.0, "http_method"));
            if field.1 == "http_status" && methods.is_some_and(|methods| methods.contains("HEAD")) {
                continue;
            }
            assert_eq!(found.get(field), meant.get(field), "seed {seed}: {field:?}");
        }
    }
}

/// A value without what tshark has behind the last byte or the last label.
fn bare(value: &str) -> String {
    value.trim_end_matches("\\0").trim_end_matches('.').to_owned()
}

/// tshark gives up on lines of SSH that are cut, and on bodies in chunks of which the end is cut.
fn is_beyond_tshark(key: ConversationKey) -> bool {
    matches!(key.destination_port, 22 | 80 | 3_128 | 8_080)
}

fn conversation(frame: &TimedFrame, expected: &Expected) -> ConversationKey {
    let seen = inspect(&frame.bytes).unwrap().expect("all of it is IP");
    let key = ConversationKey {
        source: seen.source,
        source_port: seen.source_port,
        destination: seen.destination,
        destination_port: seen.destination_port,
        protocol: seen.protocol,
    };
    if expected.conversations.contains_key(&key) { key } else { key.reversed() }
}

#[test]
fn every_protocol_is_spoken_about_as_often_as_it_is_meant_to_be() {
    let mut traffic = Traffic::new(Options { mix: Mix::Applications, seed: 4, conversations: 2_000 });
    assert!(traffic.by_ref().all(|frame| frame.bytes.len() <= 1_514), "fits the usual length");
    let expected = traffic.into_expected();
    let mut conversations: BTreeMap<&str, BTreeSet<ConversationKey>> = BTreeMap::new();
    for application in &expected.applications {
        conversations.entry(&application.said.application).or_default().insert(application.conversation);
    }
    let share = |name: &str| conversations[name].len() / 20;
    assert_eq!(conversations.len(), 12, "{:?}", conversations.keys());
    assert!((32..=38).contains(&share("dns")), "{}", share("dns"));
    assert!((22..=28).contains(&share("tls")), "{}", share("tls"));
    assert!((17..=23).contains(&share("http")), "{}", share("http"));
    assert!(conversations.values().all(|keys| keys.len() >= 10), "each often enough");
    let silent = expected.conversations.len() - conversations.values().map(BTreeSet::len).sum::<usize>();
    assert!((60..=140).contains(&silent), "{silent} of no protocol");
    let answered = expected.applications.iter().filter(|each| each.said.is_answered).count();
    assert!(answered > 4 * (expected.applications.len() - answered), "most are answered: {answered}");
    assert!(expected.conversations.keys().any(|key| key.source.is_ipv6()));
}

#[test]
fn the_same_seed_gives_the_same_script() {
    for protocol in Protocol::ALL {
        let script = Script::new(protocol, 11);
        assert_eq!(script, Script::new(protocol, 11));
        assert!(!script.lines.is_empty(), "{protocol:?}");
        assert_eq!(script.said.is_empty(), protocol == Protocol::Unknown, "{protocol:?}");
    }
}
