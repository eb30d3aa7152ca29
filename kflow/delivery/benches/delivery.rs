//! How many records a second get from a sensor's exporter to a receiver, at what price, in how many bytes.
//!
//! `cargo bench -p kflow-delivery --bench delivery` prints one JSON array on the standard output and a table for people on
//! the standard error. The receiver is a process of its own that reads bodies and answers 200, so that the CPU time of this
//! one is the sender's. Beside the sender runs what it cannot do without: encoding and compressing alone, and for the spool
//! the same bytes written and flushed to the same disk. `BENCH_DIRECTORY` says where the spool is; else it is in the target
//! folder.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use kflow::{
    EndReason, Endpoint, FlowRecord, MacAddress, TcpState,
    body::{BodyWriter, ContentEncoding},
    codec::Encoder,
    device::DeviceColumns,
};
use kflow_delivery::{
    Client, Credentials, Device, HttpConfig, ProxyConfig, Token,
    sender::{Columns, DeviceSource, FlowPack, Sender, SenderConfig, SenderParts},
};
use kflow_ipfix::IpfixConfig;
use kflow_spool::fs::RealFs;
use serde_json::{Value, json};
use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Records that are sent in one run, and runs of which the median counts.
const RECORDS: usize = 1 << 20;
const RUNS: usize = 5;
/// Records of a message, and how many a sensor's worker hands over at once.
const BATCH_RECORDS: usize = 4096;
const HANDED_OVER: usize = 512;

const MEMORY_GOAL: f64 = 1_000_000.0;
const SPOOL_GOAL: f64 = 300_000.0;

/// Tells this program that it is the receiver.
const RECEIVER: &str = "BENCH_RECEIVER";

fn main() {
    if env::var_os(RECEIVER).is_some() {
        return receive();
    }
    let records = typical_records();
    let receiver = Receiver::start();
    let (mut memory, mut spool, mut packing, mut writing) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        memory.push(send(&records, receiver.address, None));
        packing.push(pack(&records));
        let folder = folder();
        spool.push(send(&records, receiver.address, Some(&folder)));
        writing.push(write(&records, &folder));
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
    let [memory, spool, packing, writing] = [memory, spool, packing, writing].map(median);
    let [kflow, json, json_gzip, ipfix] = bytes(&records);
    let rate = |cost: &Cost| RECORDS as f64 / cost.wall.as_secs_f64();
    let cpu_ns = |cost: &Cost| cost.cpu.as_nanos() as f64 / RECORDS as f64;
    let alone = "encoding and gzip alone, one thread";
    let disk = "the same bodies written and fdatasynced";
    let results = [
        result("delivery memory", rate(&memory), "records/s", alone, rate(&packing), Some(MEMORY_GOAL)),
        result("delivery spool", rate(&spool), "records/s", disk, rate(&writing), Some(SPOOL_GOAL)),
        result("delivery memory cpu", cpu_ns(&memory), "ns/record", alone, cpu_ns(&packing), None),
        result("delivery spool cpu", cpu_ns(&spool), "ns/record", alone, cpu_ns(&packing), None),
        result("delivery bytes", kflow, "bytes/record", "JSON lines", json, None),
        result("delivery bytes gzip", kflow, "bytes/record", "JSON lines, gzip", json_gzip, None),
        result(
            "delivery bytes ipfix",
            kflow,
            "bytes/record",
            "IPFIX over UDP, two records a flow",
            ipfix,
            None,
        ),
    ];
    for result in &results {
        eprintln!(
            "{:<22} {:>12.1} {:<12} {:>7.3} x {} ({:.1})",
            result["name"].as_str().unwrap_or_default(),
            result["value"].as_f64().unwrap_or_default(),
            result["unit"].as_str().unwrap_or_default(),
            result["ratio"].as_f64().unwrap_or_default(),
            result["reference"].as_str().unwrap_or_default(),
            result["reference_value"].as_f64().unwrap_or_default(),
        );
    }
    println!("{}", Value::from(results.to_vec()));
}

fn result(
    name: &str,
    value: f64,
    unit: &str,
    reference: &str,
    reference_value: f64,
    goal: Option<f64>,
) -> Value {
    json!({
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value,
        "goal": goal.map(|goal| format!("{goal} {unit}")),
        "met": goal.map(|goal| value >= goal),
    })
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// Measures wall time, and the CPU time of all threads of this process.
fn measured(work: impl FnOnce()) -> Cost {
    let (start, cpu_before) = (Instant::now(), cpu());
    work();
    Cost { wall: start.elapsed(), cpu: cpu() - cpu_before }
}

/// User and system time of this process in clock ticks of 10 ms (proc(5), fields 14 and 15 of `stat`).
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("proc is mounted");
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in brackets");
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.wall);
    costs[costs.len() / 2]
}

/// All records through a sender, until the receiver has them.
fn send(records: &[FlowRecord], receiver: SocketAddr, spool: Option<&PathBuf>) -> Cost {
    let spool = spool.map(|folder| {
        let disk = Arc::new(RealFs::create(folder).expect("a folder"));
        let limits = kflow_spool::Config { disk_free_min: 0, ..kflow_spool::Config::default() };
        let (writer, reader, _) = kflow_spool::open(disk, limits).expect("a spool");
        (writer, reader)
    });
    let credentials =
        Credentials { email: "bench@example.com".into(), token: Token::new("token").expect("a token") };
    let http = HttpConfig { proxy: ProxyConfig::Direct, ..HttpConfig::default() };
    let client = Client::new(&[format!("http://{receiver}/chf")], &credentials, &http).expect("a client");
    let sender = Sender::start(SenderParts {
        config: SenderConfig {
            window_records: 1 << 16,
            batch_records: BATCH_RECORDS,
            ..SenderConfig::default()
        },
        pack: FlowPack::new(Columns::OfDevice, ContentEncoding::Gzip),
        client,
        device: DeviceSource::Fixed(device()),
        spool,
    })
    .expect("threads");
    let counters = sender.watch().counters.clone();
    let cost = measured(|| {
        for handed_over in records.chunks(HANDED_OVER).cycle().take(RECORDS / HANDED_OVER) {
            // The measure is what gets through, so nothing may be thinned.
            while counters.in_window.read() > 1 << 15 {
                std::thread::sleep(Duration::from_micros(100));
            }
            sender.push(handed_over.iter().cloned());
        }
        assert!(sender.stop(Duration::from_secs(120)), "everything is delivered");
    });
    assert_eq!(counters.delivered.read(), RECORDS as u64);
    cost
}

fn device() -> Device {
    Device {
        id: 42,
        company_id: 7,
        name: "bench".into(),
        sample_rate: 1,
        flow_rate_max: None,
        columns: Vec::new(),
    }
}

/// What a sender does to records, and nothing else.
fn pack(records: &[FlowRecord]) -> Cost {
    let mut encoder = Encoder::for_device(&DeviceColumns::new(42));
    let mut body = BodyWriter::new(ContentEncoding::Gzip);
    measured(|| {
        for batch in records.chunks(BATCH_RECORDS).cycle().take(RECORDS / BATCH_RECORDS) {
            std::hint::black_box(body.write(encoder.encode(batch).expect("a batch")));
        }
    })
}

/// What a spool does to bodies at the least.
fn write(records: &[FlowRecord], folder: &std::path::Path) -> Cost {
    let mut encoder = Encoder::for_device(&DeviceColumns::new(42));
    let mut body = BodyWriter::new(ContentEncoding::Gzip);
    let batches = records
        .chunks(BATCH_RECORDS)
        .map(|batch| body.write(encoder.encode(batch).expect("a batch")).to_vec());
    let bodies: Vec<Vec<u8>> = batches.collect();
    let mut file = File::create(folder.join("bare")).expect("a file");
    measured(|| {
        for body in bodies.iter().cycle().take(RECORDS / BATCH_RECORDS) {
            file.write_all(body).and_then(|()| file.sync_data()).expect("the disk has room");
        }
    })
}

/// Bytes of a record on the wire.
fn bytes(records: &[FlowRecord]) -> [f64; 4] {
    let mut encoder = Encoder::for_device(&DeviceColumns::new(42));
    let mut body = BodyWriter::new(ContentEncoding::Gzip);
    let batch = &records[..BATCH_RECORDS];
    let kflow = body.write(encoder.encode(batch).expect("a batch")).len();
    let mut json = Vec::new();
    for record in batch {
        kflow::text::write_json(record, &mut json);
        json.push(b'\n');
    }
    let json_gzip = body.write(&json).len();
    let mut ipfix = 0;
    let mut collector = kflow_ipfix::Encoder::new(IpfixConfig::new(SocketAddr::from(([127, 0, 0, 1], 4739))));
    collector.encode(batch, 0, |message| {
        ipfix += message.bytes.len();
        kflow_ipfix::Delivery::Sent
    });
    [kflow, json.len(), json_gzip, ipfix].map(|bytes| bytes as f64 / BATCH_RECORDS as f64)
}

/// Three of ten are TCP with all metrics; the others are short UDP flows. Addresses, ports and counts are pseudo-random.
fn typical_records() -> Vec<FlowRecord> {
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let records = (0..4 * BATCH_RECORDS).map(|index| {
        let start_ns = 1_790_000_000_000_000_000 + draw() * 1000;
        let mut end = |port| Endpoint {
            address: IpAddr::from([10, draw() as u8 & 15, draw() as u8, draw() as u8]),
            port,
            mac: MacAddress([2, 0, 0, 0, 0, draw() as u8 & 7]),
        };
        let is_tcp = index % 10 < 3;
        let (source, destination) = (end(32_768 + index as u16 % 28_000), end(if is_tcp { 443 } else { 53 }));
        let mut record = FlowRecord {
            start_ns,
            end_ns: start_ns + draw() * 10,
            source,
            destination,
            protocol: if is_tcp { 6 } else { 17 },
            end_reason: EndReason::EndOfFlow,
            ..FlowRecord::default()
        };
        for direction in [&mut record.forward, &mut record.reverse] {
            direction.packets = 1 + draw() % 40;
            direction.bytes = direction.packets * (60 + draw() % 1200);
            direction.frame_bytes = direction.bytes + 14 * direction.packets;
            (direction.ttl_min, direction.ttl_max) = (57, 57);
        }
        if is_tcp {
            record.forward.tcp_flags = 0x1b;
            record.reverse.tcp_flags = 0x1b;
            record.tcp.state = TcpState::Closed;
            record.tcp.server_network_us = Some(draw() as u32 % 90_000);
            record.tcp.client_network_us = Some(draw() as u32 % 900);
            record.tcp.reverse.rtt_mean_us = Some(draw() as u32 % 90_000);
            record.tcp.reverse.rtt_samples = draw() as u32 % 30;
        }
        record
    });
    records.collect()
}

fn folder() -> PathBuf {
    let parent = env::var_os("BENCH_DIRECTORY")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = parent.join(format!("delivery-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A process that takes bodies.
struct Receiver {
    process: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start() -> Receiver {
        let program = env::current_exe().expect("a program knows where it is");
        let mut process = Command::new(program)
            .env(RECEIVER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the receiver says where it listens");
        Receiver { address: line.trim().parse().expect("an address"), process }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The receiver: says its address, and takes bodies until its input ends.
fn receive() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    println!("{}", listener.local_addr().expect("a listener has an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn serve(stream: TcpStream) {
    let mut answers = stream.try_clone().expect("a socket can be shared");
    let mut requests = BufReader::with_capacity(1 << 18, stream);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).is_ok_and(|bytes| bytes == 0) {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        body.resize(length, 0);
        if requests.read_exact(&mut body).is_err()
            || answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err()
        {
            return;
        }
    }
}
