//! tshark dissects every message without a complaint, and reads the values of the records.

mod support;

use kflow::{DirectionCounters, FlowRecord};
use kflow_ipfix::{
    Biflow, Delivery, Elements, Encoder, Format, IpfixConfig, Sampling, Transactions, Transport,
    UDP_MESSAGE_BYTES,
};
use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::decoder::Decoder;
use support::pcap;

const RECORDS: usize = 300;
const BATCH_RECORDS: usize = 50;

fn records() -> Vec<FlowRecord> {
    support::sampled(support::with_applications(21, support::flows(21, RECORDS)))
}

#[test]
fn ipfix_over_udp_is_dissected() {
    check("udp", &records(), |_| {});
}

#[test]
fn ipfix_over_tcp_is_dissected() {
    check("tcp", &records(), |config| config.transport = Transport::Tcp);
}

#[test]
fn records_of_both_directions_are_dissected() {
    check("biflow", &records(), |config| {
        config.biflow = Biflow::Rfc5103;
        config.sampling = Sampling::Flows;
    });
}

#[test]
fn standard_elements_are_dissected_by_default_preferences() {
    check("standard", &records(), |config| config.elements = Elements::Standard);
}

#[test]
fn netflow_is_dissected() {
    check("netflow", &records(), |config| config.format = Format::NetflowV9);
}

#[test]
fn transactions_are_dissected() {
    let Some(tshark) = Tshark::start("transactions") else { return };
    let config = IpfixConfig { transactions: Transactions::Options, ..config() };
    let messages = messages(&config, &support::with_transactions(records()));
    pcap::write_datagrams(&tshark.file, &messages, 4739);
    assert_eq!(tshark.complaints(&config), "");
}

fn config() -> IpfixConfig {
    IpfixConfig::new(([127, 0, 0, 1], 4739).into())
}

/// Sends records, and compares what tshark reads.
fn check(test: &str, records: &[FlowRecord], configure: impl Fn(&mut IpfixConfig)) {
    let Some(tshark) = Tshark::start(test) else { return };
    let mut config = config();
    configure(&mut config);
    let messages = messages(&config, records);
    match config.transport {
        Transport::Udp => pcap::write_datagrams(&tshark.file, &messages, 4739),
        Transport::Tcp => pcap::write_stream(&tshark.file, &messages, 4739),
    }
    assert_eq!(tshark.complaints(&config), "");
    let sides: Vec<(&FlowRecord, bool)> = records.iter().flat_map(|record| sides(record, &config)).collect();
    let values = tshark.values(&config);
    let compare = |field: &str, expected: Vec<String>| {
        let found = &values[field];
        let differs =
            found.iter().zip(&expected).enumerate().find(|(_, (found, expected))| found != expected);
        assert_eq!(differs, None, "{field}: found and expected");
        assert_eq!(found.len(), expected.len(), "{field}");
    };
    let numbers = |value: fn(&DirectionCounters) -> u64| -> Vec<String> {
        sides.iter().map(|(record, is_back)| value(counters(record, *is_back)).to_string()).collect()
    };
    compare("cflow.octets", numbers(|counters| counters.bytes));
    compare("cflow.packets", numbers(|counters| counters.packets));
    compare("cflow.tos", numbers(|counters| counters.tos.into()));
    compare("cflow.tcpflags", numbers(|counters| counters.tcp_flags.into()));
    compare("cflow.ttl_min", numbers(|counters| counters.ttl_min.into()));
    compare("cflow.ttl_max", numbers(|counters| counters.ttl_max.into()));
    compare("cflow.vlanid", numbers(|counters| counters.vlan.into()));
    let labels = sides.iter().filter_map(|(record, is_back)| counters(record, *is_back).mpls_label);
    compare("cflow.mpls_label", labels.map(|label| label.to_string()).collect());
    compare_flows(compare, records, &config);
    if config.format == Format::Ipfix {
        compare("cflow.layer2_octet_delta_count", numbers(|counters| counters.frame_bytes));
        let mut decoder = Decoder::default();
        let data = messages.iter().flat_map(|message| decoder.decode(message).records);
        let own = data.flat_map(|data| data.fields).filter(|field| field.enterprise == config.enterprise);
        // Values without bytes are not shown.
        let own = own.filter(|field| !field.bytes.is_empty()).map(|field| hex(&field.bytes));
        compare("cflow.enterprise_private_entry", own.collect());
    }
}

/// What is once in a record, whether it is of one direction or of both.
fn compare_flows(compare: impl Fn(&str, Vec<String>), records: &[FlowRecord], config: &IpfixConfig) {
    let is_one = config.biflow == Biflow::Rfc5103;
    let flows: Vec<(&FlowRecord, bool)> = records
        .iter()
        .flat_map(|record| sides(record, config))
        .filter(|(_, is_back)| !(is_one && *is_back))
        .collect();
    let of_each = |value: &dyn Fn(&FlowRecord, bool) -> Option<String>| -> Vec<String> {
        flows.iter().filter_map(|(record, is_back)| value(record, *is_back)).collect()
    };
    let sender = |record: &FlowRecord, is_back| if is_back { record.destination } else { record.source };
    let receiver = |record: &FlowRecord, is_back: bool| sender(record, !is_back);
    let family = |address: IpAddr, is_ipv6| (address.is_ipv6() == is_ipv6).then(|| address.to_string());
    compare("cflow.srcaddr", of_each(&|record, is_back| family(sender(record, is_back).address, false)));
    compare("cflow.dstaddr", of_each(&|record, is_back| family(receiver(record, is_back).address, false)));
    compare("cflow.srcaddrv6", of_each(&|record, is_back| family(sender(record, is_back).address, true)));
    compare("cflow.dstaddrv6", of_each(&|record, is_back| family(receiver(record, is_back).address, true)));
    compare("cflow.srcmac", of_each(&|record, is_back| Some(sender(record, is_back).mac.to_string())));
    compare("cflow.protocol", of_each(&|record, _| Some(record.protocol.to_string())));
    compare("cflow.flow_end_reason", of_each(&|record, _| Some((record.end_reason as u8).to_string())));
    let has_ports = |record: &FlowRecord| record.protocol != 1 && record.protocol != 58;
    let port = |record: &FlowRecord, port: u16| has_ports(record).then(|| port.to_string());
    compare("cflow.srcport", of_each(&|record, is_back| port(record, sender(record, is_back).port)));
    compare("cflow.dstport", of_each(&|record, is_back| port(record, receiver(record, is_back).port)));
    if config.format == Format::Ipfix {
        let time = |ns: u64| Some(time_of_day(ns));
        compare("cflow.abstimestart", of_each(&|record, _| time(record.start_ns)));
        compare("cflow.abstimeend", of_each(&|record, _| time(record.end_ns)));
        compare(
            "cflow.biflow_direction",
            of_each(&|_, is_back| Some(if is_back { "2" } else { "1" }.to_owned())),
        );
    }
}

/// Directions that are told of, and whether they are the way back.
fn sides<'a>(record: &'a FlowRecord, config: &IpfixConfig) -> impl Iterator<Item = (&'a FlowRecord, bool)> {
    let has_back = config.biflow == Biflow::Rfc5103 || record.reverse.packets > 0;
    [Some((record, false)), has_back.then_some((record, true))].into_iter().flatten()
}

fn counters(record: &FlowRecord, is_back: bool) -> &DirectionCounters {
    if is_back { &record.reverse } else { &record.forward }
}

fn messages(config: &IpfixConfig, records: &[FlowRecord]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(config.clone());
    let mut messages = Vec::new();
    for batch in records.chunks(BATCH_RECORDS) {
        encoder.encode(batch, 0, |message| {
            assert!(config.transport == Transport::Tcp || message.bytes.len() <= UDP_MESSAGE_BYTES);
            messages.push(message.bytes.to_vec());
            Delivery::Sent
        });
    }
    messages
}

const FIELDS: [&str; 23] = [
    "cflow.octets",
    "cflow.packets",
    "cflow.layer2_octet_delta_count",
    "cflow.tos",
    "cflow.tcpflags",
    "cflow.ttl_min",
    "cflow.ttl_max",
    "cflow.vlanid",
    "cflow.mpls_label",
    "cflow.srcaddr",
    "cflow.dstaddr",
    "cflow.srcaddrv6",
    "cflow.dstaddrv6",
    "cflow.srcmac",
    "cflow.protocol",
    "cflow.flow_end_reason",
    "cflow.srcport",
    "cflow.dstport",
    "cflow.abstimestart",
    "cflow.abstimeend",
    "cflow.biflow_direction",
    "cflow.selector_id",
    "cflow.enterprise_private_entry",
];

/// A capture file and tshark to read it.
struct Tshark {
    file: PathBuf,
}

impl Tshark {
    /// `None`, with a line that says so, where the program is not installed.
    fn start(test: &str) -> Option<Tshark> {
        if Command::new("tshark").arg("-v").output().is_err() {
            eprintln!("skipped: tshark is not installed");
            return None;
        }
        let name = format!("kflow-ipfix-tshark-{}-{test}.pcap", std::process::id());
        Some(Tshark { file: std::env::temp_dir().join(name) })
    }

    /// What it has to say of malformed and unexpected things.
    fn complaints(&self, config: &IpfixConfig) -> String {
        self.run(
            config,
            &[
                "-Y",
                "_ws.malformed || _ws.expert",
                "-T",
                "fields",
                "-e",
                "frame.number",
                "-e",
                "_ws.expert.message",
            ],
        )
    }

    /// All values of each field in their order, numbers in decimal.
    fn values(&self, config: &IpfixConfig) -> HashMap<&'static str, Vec<String>> {
        let mut arguments =
            vec!["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-E", "separator=/t"];
        arguments.extend(FIELDS.iter().flat_map(|field| ["-e", field]));
        let mut values: HashMap<&str, Vec<String>> =
            FIELDS.iter().map(|field| (*field, Vec::new())).collect();
        for line in self.run(config, &arguments).lines() {
            for (field, column) in FIELDS.iter().zip(line.split('\t')) {
                let found = column.split('|').filter(|value| !value.is_empty()).map(plain);
                values.entry(*field).or_default().extend(found);
            }
        }
        values
    }

    fn run(&self, config: &IpfixConfig, arguments: &[&str]) -> String {
        let preference = if config.elements == Elements::All { "200" } else { "60" };
        let output = Command::new("tshark")
            .arg("-r")
            .arg(&self.file)
            .args(["-o", &format!("cflow.max_template_fields:{preference}"), "-n"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Tshark {
    fn drop(&mut self) {
        let _ = fs::remove_file(Path::new(&self.file));
    }
}

/// As tshark prints a time on the day of the records.
fn time_of_day(ns: u64) -> String {
    let seconds = ns / 1_000_000_000 % 86_400;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("Nov 18, 2026 {hour:02}:{minute:02}:{second:02}.{:03}000000 UTC", ns / 1_000_000 % 1_000)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value as the tests write it.
fn plain(value: &str) -> String {
    if let Some(hex) = value.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).unwrap().to_string();
    }
    value.to_owned()
}
