//! A sensor that was built with Kafka, and brokers that are there, away, or want to know who it is.

mod support;

use kflow::{FlowRecord, codec};
use kflow_kafka::cluster::Cluster;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};
use support::{Folder, SENSOR, read};
use traffic::{
    mix::{Mix, Options, Traffic},
    pcap::{ByteOrder, Format, Writer},
};

const TOPIC: &str = "flows";

/// A folder with a capture in it, and what a sensor made of it.
struct Stage {
    folder: Folder,
    capture: PathBuf,
}

impl Stage {
    fn set() -> Stage {
        let folder = Folder::create();
        let mut writer =
            Writer::new(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little).expect("a vector");
        for frame in Traffic::new(Options { mix: Mix::All, seed: 5, conversations: 200 }) {
            writer.write(frame.time_ns, &frame.bytes).expect("a vector takes every write");
        }
        let capture = folder.0.join("mix.pcap");
        fs::write(&capture, writer.finish().expect("a vector takes every write"))
            .expect("a folder takes a file");
        Stage { folder, capture }
    }

    fn run(&self, section: &str) -> Output {
        let config = format!("[flow]\ncapacity = 4096\n[export.kafka]\ntopic = \"{TOPIC}\"\n{section}\n");
        Command::new(SENSOR)
            .args(["run", "--metrics", "off", "--pcap"])
            .arg(&self.capture)
            .arg("--config")
            .arg(self.folder.write("sensor.toml", &config))
            .arg("--json")
            .arg(self.folder.0.join("flows.jsonl"))
            .arg("--summary")
            .arg(self.folder.0.join("summary.json"))
            .output()
            .expect("the sensor was built for this test")
    }

    /// Runs a sensor that succeeds.
    fn succeed(&self, section: &str) {
        let output = self.run(section);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            read(&self.folder.0.join("flows.jsonl")).lines().map(str::to_owned).collect();
        assert!(lines.len() > 100, "{}", lines.len());
        lines.sort();
        lines
    }

    /// Offered, delivered, failed and refused.
    fn account(&self) -> [u64; 4] {
        let summary: Value =
            serde_json::from_str(&read(&self.folder.0.join("summary.json"))).expect("the summary is JSON");
        ["offered", "delivered", "failed", "refused"]
            .map(|name| summary["kafka"][name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}")))
    }
}

fn brokers(cluster: &Cluster) -> String {
    format!("brokers = [\"{}\"]\n", cluster.brokers())
}

#[test]
fn every_record_is_in_the_topic_as_it_is_in_the_file() {
    let stage = Stage::set();
    for compression in ["none", "snappy", "lz4"] {
        let cluster = Cluster::start(TOPIC, 3);
        stage.succeed(&format!("{}compression = \"{compression}\"", brokers(&cluster)));
        let lines = stage.lines();
        let count = lines.len() as u64;
        assert_eq!(stage.account(), [count, count, 0, 0]);
        let messages = cluster.messages(|messages| messages.len() >= lines.len());
        let mut found: Vec<String> =
            messages.into_iter().map(|message| String::from_utf8(message).expect("JSON is text")).collect();
        found.sort();
        assert_eq!(found, lines, "{compression}");
    }
}

#[test]
fn batches_of_kflow_have_every_record() {
    let (stage, cluster) = (Stage::set(), Cluster::start(TOPIC, 1));
    stage.succeed(&format!("{}format = \"kflow\"", brokers(&cluster)));
    let lines = stage.lines();
    let packets_of_lines: BTreeMap<u64, u64> = lines.iter().fold(BTreeMap::new(), |mut sums, line| {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let protocol = record["protocol"].as_u64().expect("a record has a protocol");
        *sums.entry(protocol).or_default() += record["forward_packets"].as_u64().expect("and packets");
        sums
    });
    let records = |messages: &[Vec<u8>]| -> Vec<FlowRecord> {
        messages.iter().flat_map(|message| codec::decode(message).expect("it is a flow message")).collect()
    };
    let messages = cluster.messages(|messages| records(messages).len() >= lines.len());
    let mut packets: BTreeMap<u64, u64> = BTreeMap::new();
    let records = records(&messages);
    for record in &records {
        *packets.entry(record.protocol.into()).or_default() += record.forward.packets;
    }
    let count = records.len();
    assert_eq!((count, packets), (lines.len(), packets_of_lines));
    assert_eq!(stage.account(), [count as u64, count as u64, 0, 0]);
}

#[test]
fn what_brokers_that_are_away_do_not_take_is_counted() {
    let stage = Stage::set();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    stage.succeed(&format!("brokers = [\"{address}\"]\nstop_timeout_s = 0"));
    let count = stage.lines().len() as u64;
    assert_eq!(stage.account(), [count, 0, count, 0]);
    stage.succeed(&format!("brokers = [\"{address}\"]\nstop_timeout_s = 0\nqueue_messages = 50"));
    assert_eq!(stage.account(), [count, 0, count, count - 50]);
}

#[test]
fn a_password_that_everybody_may_read_is_refused_and_not_shown() {
    let stage = Stage::set();
    let file = stage.folder.write("password", "s3cret\n");
    let section = format!(
        "brokers = [\"127.0.0.1:1\"]\nstop_timeout_s = 0\nsasl = \"plain\"\nusername = \"sensor\"\npassword_file = \"{}\"",
        file.display()
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let output = stage.run(&section);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("chmod 600"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    stage.succeed(&section);
}
