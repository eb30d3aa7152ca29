//! The whole sender, killed at any moment a thousand times: what was durable arrives, and under its name only once.
//!
//! The child is this test program, which then runs `child` alone: it pushes numbered records, sends them to the receiver
//! of the parent, and says how many are safe on the disk. The parent kills it at a random moment, also while it starts,
//! and starts the next one on the same files.

use crate::support::{AMPLE, Folder, client, http};
use kflow::FlowRecord;
use kflow_delivery::{
    ContentEncoding, RetryConfig,
    device::Device,
    sender::{Columns, DeviceSource, FlowPack, Sender, SenderConfig, SenderParts},
};
use kflow_mock::{BatchNames, Behaviour, Fate, Mock, MockConfig, Received, Route};
use kflow_spool::fs::{RealFs, model::Random};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, io, thread};

const DIRECTORY: &str = "KFLOW_DELIVERY_TEST_DIRECTORY";
const RECEIVER: &str = "KFLOW_DELIVERY_TEST_RECEIVER";
const LIFE: &str = "KFLOW_DELIVERY_TEST_LIFE";
const SEED: &str = "KFLOW_DELIVERY_TEST_SEED";
/// At its beginning each line of the child has this, and those of the test harness do not.
const MARK: &str = "sender:";

const LIVES: u32 = 1000;
/// Records of life `n` have the numbers from `n` times this on.
const LIFE_RECORDS: u32 = 10_000;
/// Most that a life pushes.
const PUSHED_MAX: u64 = 400;

fn start(directory: &Path, url: &str) -> Sender<FlowRecord> {
    let disk = Arc::new(RealFs::create(directory).expect("the folder can be opened"));
    let limits =
        kflow_spool::Config { segment_bytes: 16 << 10, disk_free_min: 0, ..kflow_spool::Config::default() };
    let (writer, reader, _) = kflow_spool::open(disk, limits).expect("the spool opens");
    Sender::start(SenderParts {
        config: SenderConfig {
            interval: Duration::from_millis(2),
            batch_records: 20,
            retry: RetryConfig {
                delay_min: Duration::from_millis(1),
                delay_max: Duration::from_millis(3),
                ..RetryConfig::default()
            },
            sensor: Some("edge".into()),
            ..SenderConfig::default()
        },
        pack: FlowPack::new(Columns::OfDevice, ContentEncoding::Gzip),
        client: client(url, &http()),
        device: DeviceSource::Fixed(Device {
            id: 42,
            company_id: 7,
            name: "sensor_example".into(),
            sample_rate: 1,
            flow_rate_max: None,
            columns: Vec::new(),
        }),
        spool: Some((writer, reader)),
    })
    .expect("threads can be started")
}

fn record(number: u32) -> FlowRecord {
    let mut record = FlowRecord { protocol: 17, ..FlowRecord::default() };
    record.source.address = IpAddr::from(number.to_be_bytes());
    record.forward.packets = 1;
    record
}

/// How many of the records of this process are durable: in the order in which they were pushed, since the sender keeps
/// it. Fails if one went another way than by the disk.
fn durable(sender: &Sender<FlowRecord>) -> u64 {
    let watch = sender.watch();
    let spool = watch.spool.as_ref().expect("there is a spool").read();
    let counters = &watch.counters;
    for other in [&counters.thinned, &counters.unpackable, &counters.rejected, &counters.in_memory] {
        assert_eq!(other.read(), 0, "{counters:?}");
    }
    assert_eq!((counters.spool_refusals.read(), counters.spool_failures.read()), (0, 0));
    spool.appended.records - watch.spool_before.appended.records
}

#[test]
fn child() {
    let (Some(directory), Ok(url)) = (env::var_os(DIRECTORY), env::var(RECEIVER)) else { return };
    let number_of = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let mut random = Random(number_of(SEED));
    let first = number_of(LIFE) as u32 * LIFE_RECORDS;
    let sender = start(Path::new(&directory), &url);
    say("started", first);
    let (mut pushed, wanted) = (0, random.below(PUSHED_MAX));
    let mut said = 0;
    loop {
        let count = random.below(30).min(wanted - pushed);
        sender.push((pushed..pushed + count).map(|index| record(first + index as u32)));
        pushed += count;
        let durable = durable(&sender);
        if durable > said {
            said = durable;
            say("durable", durable);
        }
        thread::sleep(Duration::from_micros(random.below(1000)));
    }
}

fn say(what: &str, number: impl std::fmt::Display) {
    // One system call, so a line is said or not.
    io::stdout().write_all(format!("\n{MARK} {what} {number}\n").as_bytes()).unwrap();
    io::stdout().flush().unwrap();
}

/// What the receiver has, and what the children have said.
#[derive(Default)]
struct Seen {
    /// Numbers of records, and how often they were taken under different names.
    received: BTreeMap<u32, u32>,
    repeated: u64,
    durable: BTreeSet<u32>,
    lives_with_records: u32,
}

impl Seen {
    fn take(&mut self, requests: Vec<Received>) {
        for request in requests {
            assert_eq!(request.faults, Vec::<String>::new());
            match request.fate {
                Fate::Left => {}
                Fate::Repeated => self.repeated += 1,
                Fate::Taken => {
                    for record in request.records.expect("it is a flow message") {
                        *self.received.entry(record.ipv4_src_addr).or_default() += 1;
                    }
                }
            }
        }
    }

    /// One life, and its end after so long, counted from the start of the process or from when it works.
    fn live(&mut self, directory: &Path, url: &str, life: u32, random: &mut Random) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture", "--test-threads", "1"])
            .env(DIRECTORY, directory)
            .env(RECEIVER, url)
            .env(LIFE, life.to_string())
            .env(SEED, random.draw().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        if !random.one_in(5) {
            // Works; otherwise it may well die while it opens the spool.
            said.extend(lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(MARK)));
        }
        let length_us = if random.one_in(30) { 300_000 } else { 20_000 };
        thread::sleep(Duration::from_micros(random.below(length_us)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "the child ended by itself"
        );
        said.extend(lines.map(Result::unwrap));
        let counts = said.iter().filter_map(|line| line.strip_prefix("sender: durable "));
        let durable = counts.map(|count| count.parse::<u32>().unwrap()).max().unwrap_or(0);
        self.durable.extend((0..durable).map(|index| life * LIFE_RECORDS + index));
        self.lives_with_records += u32::from(durable > 0);
    }
}

/// What a receiver does that has bad days: refuses, breaks off before and after it took a batch.
fn moods(random: &mut Random) -> impl Iterator<Item = Behaviour> + use<> {
    let count = if random.one_in(2) { random.below(6) } else { 0 };
    let drawn: Vec<u64> = (0..count).map(|_| random.below(6)).collect();
    drawn.into_iter().map(|draw| match draw {
        0 => Behaviour::status(503),
        1 => Behaviour::CloseWithoutAnswer,
        2 => Behaviour::ResetAfter { body_bytes: 40 },
        3 => Behaviour::HonestThenClose,
        _ => Behaviour::Honest,
    })
}

/// Where an fsync costs nothing, there is time for more. A process that is killed leaves the same there.
fn folder(name: &str) -> Folder {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { Folder::new_in(memory, name) } else { Folder::new(name) }
}

#[test]
fn what_was_durable_arrives_once_however_often_the_sender_is_killed() {
    let config = MockConfig { batch_names: BatchNames::Remember, ..MockConfig::default() };
    let mock = Mock::start(config).unwrap();
    let folder = folder("crash");
    let mut random = Random(env::var(SEED).map_or(1, |seed| seed.parse().unwrap()));
    let mut seen = Seen::default();
    for life in 0..LIVES {
        mock.script(Route::Flow, moods(&mut random));
        seen.live(folder.path(), &mock.flow_url(), life, &mut random);
        seen.take(mock.take_requests(Duration::ZERO));
    }
    // The next start is all that is needed.
    let sender = start(folder.path(), &mock.flow_url());
    let spool = sender.watch().spool.clone().expect("there is a spool");
    assert!(sender.stop(AMPLE), "everything goes in time");
    seen.take(mock.take_requests(Duration::ZERO));
    assert_eq!(spool.read().dropped_for_any_reason(), kflow_spool::Tally::default());

    let lost: Vec<&u32> = seen.durable.iter().filter(|number| !seen.received.contains_key(number)).collect();
    assert_eq!(lost, Vec::<&u32>::new(), "durable, and not received");
    let twice: Vec<_> = seen.received.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(twice, Vec::new(), "received under two names");
    let Seen { repeated, lives_with_records, .. } = seen;
    eprintln!(
        "{LIVES} lives, {lives_with_records} with durable records; {} records received, {} of them known to be durable; \
         {repeated} batches repeated",
        seen.received.len(),
        seen.durable.len()
    );
    assert!(repeated > 100 && lives_with_records > LIVES / 3, "{repeated} {lives_with_records}");
}
