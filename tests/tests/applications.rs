//! What applications said, end to end: every transaction that the generator means is in the records, value by value,
//! and nothing else is, however payloads get to the parsers and whatever of them may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use system_tests::{Folder, Outcome, run_offline};
use traffic::mix::{ConversationKey, Expected, Mix, Options, Traffic};
use traffic::pcap::{ByteOrder, Format, Writer};

const SEEDS: [u64; 3] = [1, 2, 3];

/// Fields and their values, and whether there was an answer.
type Said = (BTreeMap<String, String>, bool);

/// A mix in a file of the folder.
fn capture(folder: &Folder, seed: u64) -> (PathBuf, Expected) {
    let mut writer = Writer::new(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little).expect("a vector");
    let mut traffic = Traffic::new(Options { mix: Mix::Applications, seed, conversations: 300 });
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).expect("a vector takes every write");
    }
    let bytes = writer.finish().expect("a vector takes every write");
    (folder.write("mix.pcap", bytes), traffic.into_expected())
}

fn run(folder: &Folder, capture: &Path, config: &str) -> Outcome {
    let config = folder.write("sensor.toml", format!("[flow]\ncapacity = 4096\n{config}"));
    let path = |path: &Path| path.to_str().expect("temporary paths are plain").to_owned();
    run_offline(&["--pcap", &path(capture), "--config", &path(&config), "--metrics", "off"], None)
}

/// The fields that the generator states of each protocol; what is not among the values of a transaction has to be absent.
fn stated(expected: &Expected) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut stated: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for application in &expected.applications {
        let fields = application.said.fields.keys().map(String::as_str);
        stated.entry(&application.said.application).or_default().extend(fields);
    }
    stated
}

fn meant(expected: &Expected) -> BTreeMap<(ConversationKey, String), Vec<Said>> {
    let mut meant: BTreeMap<_, Vec<Said>> = BTreeMap::new();
    for application in &expected.applications {
        let said = &application.said;
        let all = meant.entry((application.conversation, said.application.clone())).or_default();
        all.push((said.fields.clone(), said.is_answered));
    }
    meant.values_mut().for_each(|all| all.sort());
    meant
}

fn told(outcome: &Outcome, expected: &Expected) -> BTreeMap<(ConversationKey, String), Vec<Said>> {
    let stated = stated(expected);
    let mut told: BTreeMap<_, Vec<Said>> = BTreeMap::new();
    for record in &outcome.records {
        let Some(protocol) = record.app_protocol else { continue };
        let known = &stated[protocol.name()];
        let fields = record.fields.iter().filter(|(name, _)| known.contains(name.as_str()));
        let fields = fields.map(|(name, value)| (name.clone(), text(value))).collect();
        let all = told.entry((record.key, protocol.name().to_owned())).or_default();
        all.push((fields, record.application_latency_us.is_some()));
    }
    told.values_mut().for_each(|all| all.sort());
    told
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sorted_lines(outcome: &Outcome) -> Vec<&str> {
    let mut lines: Vec<_> = outcome.json.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_transaction_is_told_as_it_was_meant_and_no_other_is() {
    for seed in SEEDS {
        let folder = Folder::create();
        let (file, expected) = capture(&folder, seed);
        let outcome = run(&folder, &file, "");
        outcome.assert_conserves(&expected);
        assert_eq!(outcome.flow_records(), expected.records(), "{}", outcome.stderr);
        let (meant, told) = (meant(&expected), told(&outcome, &expected));
        for key in meant.keys().chain(told.keys()) {
            assert_eq!(told.get(key), meant.get(key), "seed {seed}: {key:?}");
        }
        assert_eq!(stated(&expected).len(), 12, "all protocols are spoken");
    }
}

#[test]
fn parser_threads_tell_the_same_as_workers() {
    for seed in SEEDS {
        let folder = Folder::create();
        let (file, expected) = capture(&folder, seed);
        let inline = run(&folder, &file, "");
        let threaded = run(&folder, &file, "[applications]\nparser_threads = 2\n");
        threaded.assert_conserves(&expected);
        assert_eq!(sorted_lines(&threaded), sorted_lines(&inline), "seed {seed}");
    }
}

/// Texts of each kind that privacy has an option for.
fn sensitive(expected: &Expected) -> BTreeMap<&'static str, BTreeSet<String>> {
    const FIELDS: [(&str, &[&str]); 3] = [
        ("dns_names", &["dns_query"]),
        (
            "host_names",
            &["http_host", "tls_server_name", "tls_certificate_names", "dhcp_host_name", "dhcpv6_fqdn"],
        ),
        (
            "user_names",
            &[
                "dhcp_client_id",
                "dhcp_client_mac",
                "dhcpv6_client_id",
                "mysql_user",
                "postgresql_user",
                "radius_calling_station",
                "radius_user",
                "sip_from",
                "sip_to",
                "sip_uri",
                "snmp_community",
            ],
        ),
    ];
    let mut texts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for fields in expected.applications.iter().map(|application| &application.said.fields) {
        for (option, names) in FIELDS {
            let values = names.iter().filter_map(|name| fields.get(*name));
            let values = values.flat_map(|value| value.split(';')).map(str::to_owned);
            texts.entry(option).or_default().extend(values);
        }
        // Data and type of each record that has a name in it.
        let answers = fields.get("dns_answers").into_iter().flat_map(|answers| answers.split(';'));
        let names = answers.filter_map(|answer| answer.rsplit_once('/')?.0.split(' ').next_back());
        let names = names.filter(|name| name.contains('.') && !name.starts_with("192.0.2."));
        texts.entry("dns_names").or_default().extend(names.map(str::to_owned));
        for url in ["http_url", "http_referer"].iter().filter_map(|name| fields.get(*name)) {
            let (before, query) = url.split_once('?').unwrap_or((url, ""));
            let host = before.strip_prefix("http://").and_then(|rest| rest.split('/').next());
            texts.entry("host_names").or_default().extend(host.map(str::to_owned));
            let queries = texts.entry("url_queries").or_default();
            queries.extend((!query.is_empty()).then(|| query.to_owned()));
        }
    }
    texts
}

#[test]
fn names_that_are_not_to_leave_are_nowhere_in_what_leaves() {
    let folder = Folder::create();
    let (file, expected) = capture(&folder, SEEDS[0]);
    let open = run(&folder, &file, "");
    let sensitive = sensitive(&expected);
    assert_eq!(sensitive.len(), 4);
    for (option, texts) in &sensitive {
        assert!(texts.len() > 20, "{option}: {} texts are no test", texts.len());
        assert!(texts.iter().all(|text| open.json.contains(text)), "{option}: what is kept is told");
        for treatment in ["hash", "drop"] {
            let config = format!("[applications.privacy]\n{option} = \"{treatment}\"\n");
            let outcome = run(&folder, &file, &config);
            outcome.assert_conserves(&expected);
            assert_eq!(outcome.records.len(), open.records.len());
            for text in texts {
                assert!(!outcome.json.contains(text), "{option} = {treatment}: {text} is told");
            }
            let others = sensitive.iter().filter(|(other, _)| *other != option);
            for text in others.flat_map(|(_, texts)| texts).filter(|text| !texts.contains(*text)) {
                assert!(outcome.json.contains(text), "{option} = {treatment}: {text} is not told");
            }
        }
    }
}

#[test]
fn sensors_that_do_not_look_into_payloads_count_the_same_flows() {
    let folder = Folder::create();
    let (file, expected) = capture(&folder, SEEDS[1]);
    let outcome = run(&folder, &file, "[applications]\nenabled = false\n");
    outcome.assert_conserves(&expected);
    assert_eq!(outcome.records.len(), expected.conversations.len());
    assert!(outcome.records.iter().all(|record| record.app_protocol.is_none()));
    assert!(!outcome.json.contains("\"app_protocol\"") && !outcome.json.contains("\"dns_"));
}
