//! Delivery, end to end: what the sensor's records say is what receivers and collectors have, and what they do not have
//! is counted.

use kflow::body::{BodyReader, ContentEncoding};
use kflow_mock::{Behaviour, Mock, MockConfig, Route};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system_tests::{Folder, Outcome, run_offline};
use traffic::mix::{Mix, Options, Traffic};
use traffic::pcap::{ByteOrder, Format, Writer};

const BODY_BYTES_MAX: usize = 64 << 20;

/// A folder with a capture in it, a token file, and what a sensor's config needs to send to a receiver.
struct Stage {
    folder: Folder,
    capture: PathBuf,
    mock: Mock,
}

impl Stage {
    fn set(mix: Mix) -> Stage {
        let folder = Folder::create();
        let mut writer =
            Writer::new(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little).expect("a vector");
        for frame in Traffic::new(Options { mix, seed: 5, conversations: 200 }) {
            writer.write(frame.time_ns, &frame.bytes).expect("a vector takes every write");
        }
        let capture = folder.write("mix.pcap", writer.finish().expect("a vector takes every write"));
        let mock = Mock::start(MockConfig::default()).expect("a port is free");
        let mut options = std::fs::OpenOptions::new();
        let token = options.write(true).create_new(true).mode(0o600).open(folder.file("token"));
        std::io::Write::write_all(&mut token.expect("a file"), MockConfig::default().token.as_bytes())
            .expect("a file takes a token");
        Stage { folder, capture, mock }
    }

    /// Runs a sensor over the capture that sends to the receiver, with more lines in its sections.
    fn run(&self, http: &str, device: &str, spool: &str) -> Outcome {
        let config = format!(
            "[flow]\ncapacity = 4096\n\
             [export.http]\nurls = [\"{}\"]\nemail = \"{}\"\ntoken_file = \"{}\"\ninterval_ms = 50\n{http}\n\
             [export.http.device]\n{device}\n\
             [export.http.spool]\n{spool}\n",
            self.mock.flow_url(),
            MockConfig::default().email,
            self.folder.file("token").display(),
        );
        let config = self.folder.write("sensor.toml", config);
        let path = |path: &Path| path.to_str().expect("temporary paths are plain").to_owned();
        run_offline(&["--pcap", &path(&self.capture), "--config", &path(&config), "--metrics", "off"], None)
    }

    fn small_spool(&self) -> String {
        format!(
            "directory = \"{}\"\nsegment_bytes = 1048576\nbytes_max = 16777216\ndisk_free_min_bytes = 0",
            self.folder.file("spool").display()
        )
    }
}

const STATIC_DEVICE: &str = "company_id = 7\nid = 42\nname = \"sensor_example\"";

fn delivery(outcome: &Outcome, name: &str) -> u64 {
    let summary = outcome.summary.as_ref().expect("the sensor wrote a summary");
    summary["delivery"][name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"))
}

/// recovered + offered = what became of it.
fn assert_accounted(outcome: &Outcome) {
    let sum = |names: &[&str]| names.iter().map(|name| delivery(outcome, name)).sum::<u64>();
    let fates =
        ["delivered", "thinned", "unpackable", "rejected", "dropped_by_spool", "abandoned", "waiting"];
    assert_eq!(sum(&["recovered", "offered"]), sum(&fates), "{:?}", outcome.summary);
    assert_eq!(delivery(outcome, "offered"), outcome.records.len() as u64, "every record is offered");
}

/// Sums of packets and bytes of both directions by protocol number.
type Totals = BTreeMap<u64, [u64; 4]>;

fn add(totals: &mut Totals, protocol: u64, values: [u64; 4]) {
    for (total, value) in totals.entry(protocol).or_default().iter_mut().zip(values) {
        *total += value;
    }
}

fn totals_of_lines(json: &str) -> Totals {
    let mut totals = Totals::new();
    for line in json.lines() {
        let record: Value = serde_json::from_str(line).expect("a JSON line");
        let number = |name: &str| record[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"));
        let values = ["forward_packets", "forward_bytes", "reverse_packets", "reverse_bytes"].map(number);
        add(&mut totals, number("protocol"), values);
    }
    totals
}

/// Of all messages that the mock has read, each once.
fn totals_received(mock: &Mock) -> Totals {
    let mut totals = Totals::new();
    let mut names = std::collections::BTreeSet::new();
    for request in mock.requests() {
        if !names.insert(request.header("x-kflow-batch").concat()) {
            continue;
        }
        for chf in request.records.expect("it is a flow message") {
            assert_eq!((chf.sample_rate, chf.sample_adj, chf.device_id), (100, true, 42));
            add(
                &mut totals,
                u64::from(chf.protocol),
                [chf.in_pkts, chf.in_bytes, chf.out_pkts, chf.out_bytes],
            );
        }
    }
    totals
}

#[test]
fn receiver_has_what_the_records_say() {
    for spool in [false, true] {
        let stage = Stage::set(Mix::All);
        let spool = if spool { stage.small_spool() } else { "enabled = false".to_owned() };
        let outcome = stage.run("", STATIC_DEVICE, &spool);
        outcome.assert_clean();
        assert_eq!(stage.mock.faults(), Vec::<String>::new());
        assert_eq!(totals_received(&stage.mock), totals_of_lines(&outcome.json), "{spool}");
        assert_eq!(delivery(&outcome, "delivered"), outcome.records.len() as u64, "{}", outcome.stderr);
        assert_accounted(&outcome);
    }
}

#[test]
fn device_is_looked_up_and_its_columns_are_used() {
    let stage = Stage::set(Mix::Applications);
    let device = format!("api_url = \"{}\"\nip = \"192.0.2.7\"", stage.mock.api_url());
    let outcome = stage.run("", &device, "enabled = false");
    outcome.assert_clean();
    assert_eq!(stage.mock.faults(), Vec::<String>::new());
    assert_accounted(&outcome);
    let requests = stage.mock.requests();
    let flows = requests.iter().filter(|request| request.route == Route::Flow);
    let records: Vec<_> =
        flows.flat_map(|request| request.records.clone().expect("a flow message")).collect();
    let delivered = delivery(&outcome, "delivered") + delivery(&outcome, "thinned");
    assert_eq!(delivered, outcome.records.len() as u64, "{}", outcome.stderr);
    // STR00 of the mock's device: names of hosts, queries and users.
    let names = records.iter().flat_map(|chf| &chf.custom).filter(|custom| custom.id == 2887).count();
    assert!(names > 100, "{names} of {}", records.len());
}

#[test]
fn messages_that_name_their_columns_are_the_same_records() {
    let stage = Stage::set(Mix::Applications);
    let outcome = stage.run("format = \"kflow\"\ncompression = \"zstd\"", STATIC_DEVICE, "enabled = false");
    outcome.assert_clean();
    let mut reader = BodyReader::new(BODY_BYTES_MAX);
    let mut lines = Vec::new();
    for request in stage.mock.requests() {
        assert_eq!(request.header("content-encoding"), ["zstd"]);
        let message = reader.read(&request.body, ContentEncoding::Zstd).expect("a body");
        for record in kflow::codec::decode(message).expect("a message") {
            let mut line = Vec::new();
            kflow::text::write_json(&record, &mut line);
            lines.push(String::from_utf8(line).expect("JSON is text").trim_end().to_owned());
        }
    }
    assert_eq!(lines, outcome.json.lines().collect::<Vec<_>>());
}

#[test]
fn records_wait_in_the_spool_while_the_receiver_is_away() {
    let stage = Stage::set(Mix::All);
    stage.mock.usually(Route::Flow, Behaviour::status(503));
    let first = stage.run("stop_timeout_s = 0", STATIC_DEVICE, &stage.small_spool());
    first.assert_clean();
    assert_accounted(&first);
    assert_eq!(delivery(&first, "delivered"), 0);
    assert_eq!(delivery(&first, "waiting"), first.records.len() as u64, "{}", first.stderr);

    stage.mock.usually(Route::Flow, Behaviour::Honest);
    let second = stage.run("", STATIC_DEVICE, &stage.small_spool());
    second.assert_clean();
    assert_accounted(&second);
    assert_eq!(delivery(&second, "recovered"), first.records.len() as u64);
    assert_eq!(delivery(&second, "delivered"), (first.records.len() + second.records.len()) as u64);
    let mut expected = totals_of_lines(&first.json);
    for (protocol, values) in totals_of_lines(&second.json) {
        add(&mut expected, protocol, values);
    }
    assert_eq!(totals_received(&stage.mock), expected);
}

#[test]
fn device_is_remembered_for_a_start_without_the_api() {
    let mut stage = Stage::set(Mix::Udp);
    let device = format!("api_url = \"{}\"\nname = \"sensor_example\"", stage.mock.api_url());
    let first = stage.run("", &device, &stage.small_spool());
    assert_accounted(&first);
    // Nobody listens where the API was.
    let port = stage.mock.address().port();
    stage.mock = Mock::start(MockConfig::default()).expect("a port is free");
    assert_ne!(stage.mock.address().port(), port);
    let second = stage.run("stop_timeout_s = 5", &device, &stage.small_spool());
    assert_accounted(&second);
    assert_eq!(delivery(&second, "abandoned"), 0, "{}", second.stderr);
    assert_eq!(stage.mock.faults(), Vec::<String>::new());
}

#[test]
fn records_that_nobody_takes_are_counted_as_abandoned() {
    let stage = Stage::set(Mix::Udp);
    stage.mock.usually(Route::Flow, Behaviour::status(500));
    let outcome = stage.run("stop_timeout_s = 0", STATIC_DEVICE, "enabled = false");
    assert_accounted(&outcome);
    assert_eq!(delivery(&outcome, "abandoned"), outcome.records.len() as u64, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("abandoned at the end"), "{}", outcome.stderr);
}

#[test]
fn token_is_in_no_output() {
    let stage = Stage::set(Mix::Udp);
    stage.mock.usually(Route::Flow, Behaviour::status(401));
    let outcome = stage.run("stop_timeout_s = 1", STATIC_DEVICE, "enabled = false");
    assert!(outcome.stderr.contains("401"), "{}", outcome.stderr);
    let summary = outcome.summary.as_ref().map(Value::to_string).unwrap_or_default();
    for output in [&outcome.stderr, &outcome.json, &summary] {
        assert!(!output.contains(&MockConfig::default().token));
    }
}

#[test]
fn token_that_everybody_may_read_is_refused() {
    let stage = Stage::set(Mix::Udp);
    let token = stage.folder.file("token");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(token, mode).expect("the file is ours");
    let outcome = stage.run("", STATIC_DEVICE, "enabled = false");
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stderr.contains("chmod 600"), "{}", outcome.stderr);
}

#[test]
fn collectors_are_sent_what_the_config_says() {
    let stage = Stage::set(Mix::All);
    let sockets = [("ipfix", 10), ("netflow_v9", 9)].map(|(section, version)| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket has time limits");
        (section, version, socket)
    });
    let sections = sockets.iter().map(|(section, _, socket)| {
        let collector = socket.local_addr().expect("a socket has an address");
        format!("[export.{section}]\ncollector = \"{collector}\"\n")
    });
    let config = stage.folder.write("sensor.toml", sections.collect::<String>());
    let path = |path: &Path| path.to_str().expect("temporary paths are plain").to_owned();
    let arguments = ["--pcap", &path(&stage.capture), "--config", &path(&config), "--metrics", "off"];
    let outcome = run_offline(&arguments, None);
    outcome.assert_clean();
    for (section, version, socket) in &sockets {
        let mut message = [0; 65536];
        let length = socket.recv(&mut message).expect("a message was sent");
        assert!(length > 20, "{section}: {length} bytes");
        assert_eq!(message[..2], u16::to_be_bytes(*version), "{section}");
    }
    let summary = outcome.summary.as_ref().expect("the sensor wrote a summary");
    for sink in ["ipfix", "netflow_v9"] {
        assert_eq!(summary["records"]["written_by"][sink], outcome.records.len(), "{summary}");
    }
}
