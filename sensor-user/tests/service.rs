//! The service unit and the example config: accepted by systemd and by the sensor, complete, and with no more
//! rights than capturing takes.

mod support;

use netns::{Child, Namespace, VethEnd, VethOptions, veth_pair};
use sensor_user::{
    config::{
        CollectorConfig, Config, DeviceConfig, HttpExportConfig, KafkaExportConfig, KafkaKey, KflowConfig,
    },
    flow::FlowTable,
    packet::reassembly::{Reassembler, ReassemblyConfig},
};
use std::{
    fs::{self, File},
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use support::{Folder, SENSOR, eventually, http_get, is_installed, is_root, kit, read};

const METRICS_ADDRESS: &str = "127.0.0.1:9102";
const FRAMES_SENT: usize = 10;
/// What a sensor says that was built before its eBPF program.
const WITHOUT_PROGRAM: &str = "without its eBPF program";
const START_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn sensor_accepts_the_example_config() {
    let output = Command::new(SENSOR)
        .args(["check", "--config"])
        .arg(kit("sensor.toml"))
        .output()
        .expect("the sensor was built for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let effective: toml::Table =
        toml::from_str(&String::from_utf8_lossy(&output.stdout)).expect("TOML is printed");
    let example: toml::Table = toml::from_str(&read(&kit("sensor.toml"))).expect("the example is TOML");
    assert_eq!(example, effective, "the example names every value that is in effect");
}

#[test]
fn example_config_has_every_key_there_is() {
    let mut config = Config::default();
    config.capture.interface = Some("eth1".to_owned());
    config.capture.pcap = Some("capture.pcap".into());
    config.export.json = Some("flows.jsonl".into());
    config.export.kflow = Some(KflowConfig::in_directory("flows".into()));
    config.applications.privacy.key_file = Some("key".into());
    config.export.http = Some(full_http());
    config.export.ipfix = Some(full_collector());
    config.export.netflow_v9 = Some(full_collector());
    config.export.kafka = Some(full_kafka());
    let full: toml::Table =
        toml::from_str(&toml::to_string(&config).expect("a config is TOML")).expect("it is TOML");
    // Keys that exclude others, or that few want, are there as comments.
    let example: toml::Table = toml::from_str(&uncommented()).expect("the example is TOML");
    assert_eq!(keys("", &example), keys("", &full));
}

/// The example with the keys and sections that are there as comments; prose has a blank after the sign.
fn uncommented() -> String {
    let example = read(&kit("sensor.toml"));
    let lines = example.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn defaults_of_commented_sections_are_as_they_say() {
    let example = Config::parse(&uncommented()).expect("the example is a config");
    let kafka = example.export.kafka.expect("the section was a comment");
    let default: KafkaExportConfig = toml::from_str(KAFKA).expect("it is a section");
    let KafkaExportConfig { brokers, topic, .. } = kafka.clone();
    assert_eq!(
        KafkaExportConfig {
            brokers,
            topic,
            key: kafka.key,
            ca_file: kafka.ca_file.clone(),
            client_certificate_file: kafka.client_certificate_file.clone(),
            client_key_file: kafka.client_key_file.clone(),
            username: kafka.username.clone(),
            password_file: kafka.password_file.clone(),
            ..default
        },
        kafka
    );
    let example = example.export.http.expect("the section was a comment");
    let default = HttpExportConfig::default();
    assert_eq!(example.spool, default.spool);
    let sizes = |config: &HttpExportConfig| {
        let HttpExportConfig { batch_records, window_records, memory_bytes, .. } = *config;
        let HttpExportConfig { interval_ms, records_per_s_max, stop_timeout_s, .. } = *config;
        let choices = (config.format, config.compression);
        (batch_records, window_records, memory_bytes, interval_ms, records_per_s_max, stop_timeout_s, choices)
    };
    assert_eq!(sizes(&example), sizes(&default));
}

/// Has every key.
fn full_http() -> HttpExportConfig {
    let text = Some("text".to_owned());
    let file = Some(PathBuf::from("file"));
    HttpExportConfig {
        region: text.clone(),
        token_file: file.clone(),
        token_credential: text.clone(),
        ca_file: file.clone(),
        client_certificate_file: file.clone(),
        client_key_file: file.clone(),
        proxy: text.clone(),
        sensor: text.clone(),
        device: DeviceConfig {
            api_url: text.clone(),
            id: Some(1),
            name: text.clone(),
            ip: Some(IpAddr::from([192, 0, 2, 7])),
            interface: text,
            plan: Some(1),
            site: Some(1),
            company_id: Some(1),
            columns: Vec::new(),
            cache_file: file,
        },
        ..HttpExportConfig::default()
    }
}

fn full_collector() -> CollectorConfig {
    let collector = "collector = \"192.0.2.7:4739\"\nmessage_bytes = 1400";
    toml::from_str(collector).expect("it is a collector")
}

const KAFKA: &str = "brokers = [\"broker.example:9092\"]\ntopic = \"flows\"";

fn full_kafka() -> KafkaExportConfig {
    let text = Some("text".to_owned());
    let file = Some(PathBuf::from("file"));
    KafkaExportConfig {
        key: Some(KafkaKey::Flow),
        ca_file: file.clone(),
        client_certificate_file: file.clone(),
        client_key_file: file.clone(),
        username: text,
        password_file: file,
        ..toml::from_str(KAFKA).expect("it is a section")
    }
}

#[test]
fn bytes_of_a_flow_and_of_a_datagram_are_as_documented() {
    let Config { flow, fragments, .. } = Config::default();
    let without_payload = |datagrams| {
        let timeout = Duration::from_secs(fragments.timeout_s);
        Reassembler::predicted_bytes(ReassemblyConfig { datagrams, memory_bytes: 0, timeout })
    };
    // Of two sizes, so that what is there once does not count.
    let flow_bytes = (FlowTable::predicted_bytes(flow.capacity)
        - FlowTable::predicted_bytes(flow.capacity / 2))
        / (flow.capacity / 2);
    let datagram_bytes = (without_payload(fragments.datagrams) - without_payload(fragments.datagrams / 2))
        / (fragments.datagrams / 2);
    let config_source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config.rs");
    for path in [kit("sensor.toml"), config_source] {
        let figures: Vec<usize> = read(&path).split(" bytes each").filter_map(last_number).collect();
        assert_eq!(figures, [flow_bytes, datagram_bytes], "in {}", path.display());
    }
}

#[test]
fn systemd_accepts_the_service_unit() {
    if !is_installed("systemd-analyze") {
        return;
    }
    let folder = Folder::create();
    let unit =
        folder.write("sensor.service", &read(&kit("sensor.service")).replace("/usr/bin/sensor", SENSOR));
    let output = Command::new("systemd-analyze").arg("verify").arg(&unit).output().expect("it is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("sensor")).collect();
    assert!(output.status.success() && ours.is_empty(), "{complaints}");
}

#[test]
fn capabilities_of_the_service_suffice_for_xdp() {
    if !is_root() || !is_installed("setpriv") {
        return;
    }
    let stage = Stage::create();
    let mut sensor = stage.start(&capabilities());
    let ready = eventually("the sensor is ready or has ended", || {
        if sensor.try_wait().expect("a child can be waited for").is_some() {
            return Some(false);
        }
        stage.ask("/readyz").is_some_and(|body| body == "ready\n").then_some(true)
    });
    if !ready && stage.log().contains(WITHOUT_PROGRAM) {
        return eprintln!("skipped: the sensor was built without its eBPF program");
    }
    assert!(ready, "{}", stage.log());
    stage.send_frames();
    let counted = format!("sensor_ledger_accounted_frames_total{{account=\"flow\"}} {FRAMES_SENT}\n");
    eventually("all frames are in flows", || stage.ask("/metrics")?.contains(&counted).then_some(()));
    let status = sensor.stop(START_LIMIT).expect("the sensor can be stopped");
    assert!(status.success(), "{}", stage.log());
}

#[test]
fn each_capability_of_the_service_is_needed() {
    if !is_root() || !is_installed("setpriv") {
        return;
    }
    let stage = Stage::create();
    for left_out in capabilities() {
        let others: Vec<String> = capabilities().into_iter().filter(|name| *name != left_out).collect();
        let mut sensor = stage.start(&others);
        let status = sensor.wait_for(START_LIMIT).expect("a child can be waited for");
        assert!(status.is_some_and(|status| !status.success()), "starts without {left_out}");
        let log = stage.log();
        if log.contains(WITHOUT_PROGRAM) {
            return eprintln!("skipped: the sensor was built without its eBPF program");
        }
        let is_refusal = ["privilege", "not permitted", "denied"].iter().any(|word| log.contains(word));
        assert!(is_refusal, "without {left_out} the kernel refuses, not something else: {log}");
    }
}

/// Two namespaces with a cable between them, and a sensor that any user may run.
struct Stage {
    folder: Folder,
    sender: Namespace,
    receiver: Namespace,
}

impl Stage {
    fn create() -> Stage {
        let folder = Folder::create();
        fs::copy(SENSOR, folder.0.join("sensor")).expect("the sensor was built for this test");
        let sender = Namespace::create("service-sender").expect("root makes namespaces");
        let receiver = Namespace::create("service-receiver").expect("root makes namespaces");
        let sending_end = VethEnd { addresses: &["192.0.2.1/24"], ..VethEnd::new(&sender, "out0") };
        let receiving_end = VethEnd::new(&receiver, "tap0");
        veth_pair(&sending_end, &receiving_end, VethOptions::default()).expect("root connects namespaces");
        Stage { folder, sender, receiver }
    }

    /// The sensor as nobody, with these capabilities and no way to others.
    fn start(&self, capabilities: &[String]) -> Child {
        let mut set = "-all".to_owned();
        for name in capabilities {
            set.push_str(&format!(",+{name}"));
        }
        let log = File::create(self.folder.0.join("log")).expect("the folder is ours");
        let mut command = self.receiver.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
            .args(["--inh-caps", "--ambient-caps", "--bounding-set"].map(|kind| format!("{kind}={set}")))
            .arg(self.folder.0.join("sensor"))
            // Few frames fit the locked memory that every process may have.
            .args(["run", "--interface", "tap0", "--source", "xdp", "--frames", "1024"])
            .args(["--metrics", METRICS_ADDRESS])
            .stdout(Stdio::null())
            .stderr(log);
        Child::spawn(&mut command).expect("setpriv is installed")
    }

    fn log(&self) -> String {
        read(&self.folder.0.join("log"))
    }

    fn ask(&self, path: &str) -> Option<String> {
        self.receiver.enter(|| http_get(METRICS_ADDRESS, path)).expect("the namespace is there")
    }

    /// Broadcast, so that nobody has to answer for an address.
    fn send_frames(&self) {
        let sent = self.sender.enter(|| {
            let socket = UdpSocket::bind("192.0.2.1:0")?;
            socket.set_broadcast(true)?;
            (0..FRAMES_SENT).try_for_each(|_| socket.send_to(b"frame", "192.0.2.255:9").map(|_| ()))
        });
        sent.expect("the namespace is there").expect("the device is up");
    }
}

/// Those of the unit, in setpriv's words.
fn capabilities() -> Vec<String> {
    let unit = read(&kit("sensor.service"));
    let values =
        |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).expect("the unit has both keys");
    let ambient = values("AmbientCapabilities=");
    assert_eq!(ambient, values("CapabilityBoundingSet="), "nothing beyond what the sensor starts with");
    ambient.split_whitespace().map(|name| name.trim_start_matches("CAP_").to_lowercase()).collect()
}

/// The number that a text ends with.
fn last_number(text: &str) -> Option<usize> {
    text.rsplit(' ').next()?.parse().ok()
}

/// `section.key` of every key, in order.
fn keys(prefix: &str, table: &toml::Table) -> Vec<String> {
    let mut keys: Vec<String> = table
        .iter()
        .flat_map(|(key, value)| match value {
            toml::Value::Table(section) => self::keys(&format!("{prefix}{key}."), section),
            _ => vec![format!("{prefix}{key}")],
        })
        .collect();
    keys.sort();
    keys
}
