//! nfcapd and nfdump of Debian's package nfdump: a collector that others wrote.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A collector that listens on a port of its own, and ends with its value.
pub struct Nfcapd {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
}

/// What tells flows apart: addresses and ports as printed, and the protocol.
pub type Tuple = (String, u16, String, u16, u8);

/// Flows, packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub flows: u64,
    pub packets: u64,
    pub bytes: u64,
}

/// What nfdump says of all that was collected.
#[derive(Debug)]
pub struct Collected {
    pub tuples: BTreeMap<Tuple, Sum>,
    pub total: Sum,
    /// Each record, by the names of nfdump's columns.
    pub records: Vec<BTreeMap<String, String>>,
    pub sequence_failures: u64,
    pub log: String,
}

impl Sum {
    pub fn add(&mut self, other: Sum) {
        self.flows += other.flows;
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl Nfcapd {
    /// `None`, with a line that says so, where the programs are not installed.
    pub fn start(test: &str) -> Option<Nfcapd> {
        if ["nfcapd", "nfdump"].iter().any(|name| Command::new(name).arg("-V").output().is_err()) {
            eprintln!("skipped: nfcapd and nfdump (package nfdump) are not installed");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("kflow-ipfix-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(folder.with_extension("log")).unwrap();
        let child = Command::new("nfcapd")
            .args(["-b", "127.0.0.1", "-t", "3600", "-B", "4000000", "-p", &address.port().to_string()])
            .arg("-w")
            .arg(&folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let collector = Nfcapd { child, folder, address };
        collector.wait(|waiting| waiting.is_some());
        Some(collector)
    }

    /// Until all that was sent has been read.
    pub fn wait_until_read(&self) {
        self.wait(|waiting| waiting == Some(0));
    }

    /// Until the bytes that wait in its socket are as wanted; `None` while there is no socket.
    fn wait(&self, is_good: impl Fn(Option<u64>) -> bool) {
        const LOOKS: u32 = 15_000;
        const NAP: Duration = Duration::from_millis(2);
        for _ in 0..LOOKS {
            if is_good(waiting_bytes(self.address.port())) {
                return;
            }
            std::thread::sleep(NAP);
        }
        panic!("nfcapd did not get there in {LOOKS} looks, {NAP:?} apart");
    }

    /// Ends the collector and reads what it has.
    pub fn collected(mut self) -> Collected {
        self.wait_until_read();
        let kill = ["-TERM".to_owned(), self.child.id().to_string()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let nfdump = |arguments: &[&str]| {
            let output = Command::new("nfdump").arg("-R").arg(&self.folder).args(arguments).output().unwrap();
            assert!(output.status.success(), "nfdump: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let (records, total) = parse_csv(&nfdump(&["-o", "csv", "-6"]));
        let mut tuples: BTreeMap<Tuple, Sum> = BTreeMap::new();
        for record in &records {
            tuples.entry(tuple(record)).or_default().add(Sum {
                flows: 1,
                packets: number(&record["ipkt"]) + number(&record["opkt"]),
                bytes: number(&record["ibyt"]) + number(&record["obyt"]),
            });
        }
        let information = nfdump(&["-I"]);
        let failures = information.lines().find_map(|line| line.strip_prefix("Sequence failures:"));
        let sequence_failures = number(failures.unwrap_or_default().trim());
        let log = fs::read_to_string(self.folder.with_extension("log")).unwrap();
        Collected { tuples, total, records, sequence_failures, log }
    }
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(self.folder.with_extension("log"));
    }
}

fn tuple(record: &BTreeMap<String, String>) -> Tuple {
    let protocol = match record["pr"].as_str() {
        "TCP" => 6,
        "UDP" => 17,
        "ICMP" => 1,
        "ICMP6" => 58,
        "GRE" => 47,
        other => panic!("nfdump's protocol {other}"),
    };
    // Of ICMP the column has type and code with a point between.
    let port = |text: &str| match text.split_once('.') {
        Some((kind, code)) => (number(kind) << 8 | number(code)) as u16,
        None => number(text) as u16,
    };
    (record["sa"].clone(), port(&record["sp"]), record["da"].clone(), port(&record["dp"]), protocol)
}

/// The lines of records, and the sums at the end.
fn parse_csv(text: &str) -> (Vec<BTreeMap<String, String>>, Sum) {
    let (table, summary) = text.split_once("Summary\n").expect("nfdump ends with a summary");
    let table = parse_table(table);
    let sums = parse_table(summary).remove(0);
    let total = Sum {
        flows: number(&sums["flows"]),
        packets: number(&sums["packets"]),
        bytes: number(&sums["bytes"]),
    };
    (table, total)
}

fn parse_table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("there is a line of names").split(',').collect();
    let row = |line: &str| {
        let values = line.split(',').map(|value| value.trim().to_owned());
        names.iter().map(|name| (*name).to_owned()).zip(values).collect()
    };
    lines.filter(|line| !line.trim().is_empty()).map(row).collect()
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("nfdump's {text:?} is no number"))
}

/// Bytes that wait in the socket bound to this port, as the kernel lists it.
fn waiting_bytes(port: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let local = format!("0100007F:{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace();
        (columns.nth(1)? == local).then_some(())?;
        let queues = columns.nth(2)?;
        u64::from_str_radix(queues.split_once(':')?.1, 16).ok()
    })
}
