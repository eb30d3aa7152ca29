//! A capture by way of the sensor to a collector of others: its totals are those that the generator meant.

#[path = "../../kflow/ipfix/tests/support/nfcapd.rs"]
mod nfcapd;

use nfcapd::{Collected, Nfcapd, Sum, Tuple};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use system_tests::{Folder, run_offline};
use traffic::mix::{ConversationKey, Counters, Expected, Mix, Options, Traffic};
use traffic::pcap::{self, ByteOrder, Writer};

const CONVERSATIONS: u32 = 300;
/// Those whose protocols nfdump calls by the same names.
const MIXES: [Mix; 6] = [Mix::Tcp, Mix::Udp, Mix::Ipv6, Mix::Vlan, Mix::TcpTrouble, Mix::Applications];

#[test]
fn nfcapd_counts_what_the_generator_meant() {
    for mix in MIXES {
        let folder = Folder::create();
        let capture = folder.file("capture.pcap");
        let expected = generate(mix, &capture);
        let start = |section: &'static str| {
            let nfcapd = Nfcapd::start(&format!("{section}-{}", mix.name()))?;
            Some((section, nfcapd))
        };
        let (Some(ipfix), Some(netflow)) = (start("ipfix"), start("netflow_v9")) else { return };
        let collectors = [ipfix, netflow];
        let sections = collectors
            .iter()
            .map(|(section, nfcapd)| format!("[export.{section}]\ncollector = \"{}\"\n", nfcapd.address));
        let config = folder.write("sensor.toml", sections.collect::<String>());
        let path = |path: &Path| path.to_str().expect("temporary paths are plain").to_owned();
        let arguments = ["--pcap", &path(&capture), "--config", &path(&config)];
        let table = ["--flow-capacity", "4096", "--metrics", "off"];
        let outcome = run_offline(&[&arguments[..], &table].concat(), None);
        outcome.assert_conserves(&expected);
        for (section, nfcapd) in collectors {
            compare(&nfcapd.collected(), &expected, &format!("{} as {section}", mix.name()));
        }
    }
}

fn generate(mix: Mix, capture: &Path) -> Expected {
    let mut traffic = Traffic::new(Options { mix, seed: 5, conversations: CONVERSATIONS });
    let file = File::create(capture).expect("a capture file");
    let mut writer = Writer::new(file, pcap::Format::Pcap, ByteOrder::Little).expect("the file takes writes");
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).expect("the file takes writes");
    }
    writer.finish().expect("the file takes writes");
    traffic.into_expected()
}

/// Packets and bytes of each direction of each conversation. How many flows they are is the sensor's matter.
fn compare(collected: &Collected, expected: &Expected, what: &str) {
    let mut sums: BTreeMap<Tuple, Counters> = BTreeMap::new();
    for (key, conversation) in &expected.conversations {
        for (key, counters) in [(*key, conversation.forward), (key.reversed(), conversation.reverse)] {
            if counters.packets > 0 {
                let sum = sums.entry(tuple(&key)).or_default();
                sum.packets += counters.packets;
                sum.bytes += counters.bytes;
            }
        }
    }
    let mut found: BTreeMap<Tuple, Counters> = BTreeMap::new();
    for ((source, source_port, destination, port, protocol), sum) in &collected.tuples {
        // Where other protocols have a port, nfdump has the type and code of ICMP.
        let port = if matches!(protocol, 1 | 58) { 0 } else { *port };
        let tuple = (source.clone(), *source_port, destination.clone(), port, *protocol);
        let counters = found.entry(tuple).or_default();
        counters.packets += sum.packets;
        counters.bytes += sum.bytes;
    }
    for (tuple, sum) in &sums {
        let found = found.get(tuple).map(|sum| (sum.packets, sum.bytes));
        assert_eq!(found, Some((sum.packets, sum.bytes)), "{what}: {tuple:?}");
    }
    assert_eq!(found.len(), sums.len(), "{what}");
    let Sum { flows, packets, .. } = collected.total;
    assert_eq!((flows, packets), (collected.records.len() as u64, expected.packets()), "{what}");
    assert_eq!(collected.sequence_failures, 0, "{what}: {}", collected.log);
}

fn tuple(key: &ConversationKey) -> Tuple {
    let (source, destination) = (key.source.to_string(), key.destination.to_string());
    (source, key.source_port, destination, key.destination_port, key.protocol)
}
