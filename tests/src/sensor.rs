//! The sensor as its users run it: a process, its log, and what it leaves behind.

use crate::{
    Conversations, Folder, Metrics, Record, Signal, Wire, parse_records, sensor_program, wait_until,
};
use kflow::EndReason;
use netns::{Child, Namespace};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use traffic::mix::Expected;

/// Where a sensor in a namespace serves its metrics.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9102);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// The supervisor looks for signals ten times a second; a worker drains its rings for two seconds at most.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A sensor that captures live. Dropping it ends it.
#[derive(Debug)]
pub struct Sensor<'a> {
    process: Child,
    namespace: &'a Namespace,
    folder: Folder,
}

/// What a sensor left behind.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stderr: String,
    /// JSON lines as written.
    pub json: String,
    pub records: Vec<Record>,
    /// `None` if the sensor did not get to the point of writing one.
    pub summary: Option<Value>,
    /// Keeps the kflow files.
    pub folder: Folder,
}

impl<'a> Sensor<'a> {
    /// Starts a sensor on the tap of the wire and waits until it captures.
    pub fn capture(wire: &'a Wire, arguments: &[&str]) -> Sensor<'a> {
        let mut sensor = Sensor::start(&wire.far, arguments);
        sensor.wait_for_log("\"message\":\"capturing\"");
        sensor
    }

    /// Starts a sensor inside; returns at once.
    pub fn start(namespace: &'a Namespace, arguments: &[&str]) -> Sensor<'a> {
        let folder = Folder::create();
        let mut command = namespace.command(sensor_program());
        command.args(["run", "--interface", crate::TAP]).args(outputs(&folder)).args(arguments);
        command.stderr(File::create(folder.file("stderr")).expect("a log file")).stdin(Stdio::null());
        let process = Child::spawn(&mut command).expect("the sensor starts");
        Sensor { process, namespace, folder }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.file("stderr")).expect("the log is there from the start")
    }

    /// Waits until the log has the text; fails at once when the sensor has ended.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for_log_times(text, 1);
    }

    /// Waits until the log has the text that many times.
    pub fn wait_for_log_times(&mut self, text: &str, times: usize) {
        wait_until(&format!("{text} in the log"), || {
            let ended = self.process.try_wait().expect("the sensor can be waited for");
            let log = self.log();
            let found = log.matches(text).count();
            assert!(found >= times || ended.is_none(), "the sensor ended ({ended:?}):\n{log}");
            (found >= times).then_some(())
        });
    }

    pub fn signal(&self, signal: Signal) {
        signal.send(self.id());
    }

    /// Asks the sensor's own HTTP server.
    pub fn get(&self, path: &str, accept: &str) -> String {
        self.namespace
            .enter(|| get(path, accept))
            .expect("the namespace is there")
            .expect("the sensor answers")
    }

    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&body(&self.get("/metrics", "text/plain")))
    }

    /// Waits until that many frames are in the ledger and none is under way.
    pub fn wait_for_offered(&self, frames: u64) {
        wait_until(&format!("{frames} frames offered"), || {
            let metrics = self.metrics();
            let offered = metrics.sum("sensor_ledger_offered_frames_total");
            let in_flight = metrics.sum("sensor_ledger_in_flight_frames");
            (offered >= frames as f64 && in_flight == 0.0).then_some(())
        });
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let rollup =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id())).expect("the sensor runs");
        let line =
            rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("Rss is in every roll-up");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
    }

    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the sensor runs").count()
    }

    /// SIGTERM, then everything that the sensor left behind.
    pub fn stop(self) -> Outcome {
        self.end(Signal::Terminate)
    }

    pub fn end(self, signal: Signal) -> Outcome {
        self.signal(signal);
        self.outcome()
    }

    /// Waits for a sensor that ends by itself.
    pub fn outcome(mut self) -> Outcome {
        let status = self.process.wait_for(STOP_LIMIT).expect("the sensor can be waited for");
        let status = status.unwrap_or_else(|| panic!("the sensor does not end:\n{}", self.log()));
        Outcome::read(status, self.log(), self.folder)
    }
}

/// Runs a sensor over a capture; the arguments name the file.
pub fn run_offline(arguments: &[&str], input: Option<File>) -> Outcome {
    let folder = Folder::create();
    let mut command = Command::new(sensor_program());
    command.arg("run").args(outputs(&folder)).args(arguments);
    command.stdin(input.map_or_else(Stdio::null, Stdio::from));
    let output = command.output().expect("the sensor starts");
    Outcome::read(output.status, String::from_utf8_lossy(&output.stderr).into_owned(), folder)
}

fn outputs(folder: &Folder) -> Vec<std::ffi::OsString> {
    let files = [("--json", "records.jsonl"), ("--kflow", "kflow"), ("--summary", "summary.json")];
    files.into_iter().flat_map(|(flag, name)| [flag.into(), folder.file(name).into()]).collect()
}

impl Outcome {
    fn read(status: ExitStatus, stderr: String, folder: Folder) -> Outcome {
        let json = fs::read_to_string(folder.file("records.jsonl")).unwrap_or_default();
        // A killed sensor leaves half a line.
        let whole = json.rfind('\n').map_or("", |end| &json[..=end]);
        let records = parse_records(whole);
        let summary = fs::read_to_string(folder.file("summary.json")).ok();
        let summary = summary.map(|text| serde_json::from_str(&text).expect("the summary is JSON"));
        Outcome { status, stderr, json, records, summary, folder }
    }

    /// Where the kflow files are.
    pub fn kflow(&self) -> std::path::PathBuf {
        self.folder.file("kflow")
    }

    /// A number of the ledger, such as `offered`.
    pub fn ledger(&self, name: &str) -> u64 {
        self.ledger_value(&[name]).unwrap_or_else(|| panic!("no {name} in the ledger:\n{}", self.stderr))
    }

    /// A number by name of the account, zero if nothing was accounted under it.
    pub fn accounted_by(&self, account: &str) -> u64 {
        self.ledger_value(&["accounted_by", account]).unwrap_or(0)
    }

    /// A number by reason, zero if nothing was dropped for it.
    pub fn dropped_by(&self, reason: &str) -> u64 {
        self.ledger_value(&["drops_by", reason]).unwrap_or(0)
    }

    fn ledger_value(&self, path: &[&str]) -> Option<u64> {
        let ledger = &self.summary.as_ref()?["ledger"];
        path.iter().try_fold(ledger, |value, name| value.get(name))?.as_u64()
    }

    /// Records of flows: not those of transactions that have a record of their own, in which no packet is counted.
    pub fn flow_records(&self) -> u64 {
        self.flows().count() as u64
    }

    /// Records of flows: all but those that transactions have of their own.
    pub fn flows(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.end_reason != EndReason::Transaction)
    }

    pub fn conversations(&self) -> Conversations {
        Conversations::of_records(&self.records)
    }

    /// Exit status 0, a ledger that balances, no record lost, and both outputs the same.
    pub fn assert_clean(&self) {
        assert!(self.status.success(), "{}:\n{}", self.status, self.stderr);
        self.assert_balanced();
        let printed = crate::kflow_json(&self.kflow());
        assert_eq!(self.json, printed, "JSON lines and kflow files differ");
    }

    /// offered = accounted + dropped, and every record that was produced is written or counted as shed.
    pub fn assert_balanced(&self) {
        let (offered, accounted, dropped) =
            (self.ledger("offered"), self.ledger("accounted"), self.ledger("dropped"));
        assert_eq!(offered, accounted + dropped, "offered = accounted + dropped:\n{}", self.stderr);
        assert_eq!(self.conversations().packets(), self.accounted_by("flow"), "packets:\n{}", self.stderr);
        let records = &self.summary.as_ref().expect("the ledger came from it")["records"];
        let produced = records["produced"].as_u64();
        assert_eq!(produced, Some(self.records.len() as u64), "records:\n{}", self.stderr);
    }

    /// Every frame of the mix is accounted for as the generator meant it, and none was dropped.
    pub fn assert_conserves(&self, expected: &Expected) {
        self.assert_clean();
        self.conversations().assert_equal(&Conversations::from(expected), "conservation");
        assert_eq!(self.ledger("dropped"), 0, "{}", self.stderr);
        assert_eq!(self.ledger("offered"), expected.packets() + expected.not_flow, "{}", self.stderr);
        assert_eq!(self.accounted_by("flow"), expected.packets(), "{}", self.stderr);
    }
}

fn get(path: &str, accept: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&METRICS, HTTP_TIMEOUT)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: sensor\r\nAccept: {accept}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What follows the head of an HTTP answer.
pub fn body(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}
