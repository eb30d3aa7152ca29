//! An engine is killed at any moment, again and again, on the same directory: nothing that was acknowledged is lost, nothing
//! is there twice, and it opens without help.
//!
//! The process that is killed is this test, called again to do the work: batches by number, sealing, joining of files and
//! queries that fill the cache, in turns. A batch that was not acknowledged is sent again under its name by the next life.

mod support;

use flowdb::{BatchIdentity, Delivery, DeviceId, Engine};
use kflow::body::ContentEncoding;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Directory, ask, base_ms, body, flow, open};

/// How often it is killed.
const KILLS: u32 = 500;
/// Rows of a batch.
const ROWS: u64 = 3;
const MINUTES: u64 = 90;

const DIRECTORY: &str = "FLOWDB_CRASH_DIRECTORY";
const NEXT: &str = "FLOWDB_CRASH_NEXT";
const BASE: &str = "FLOWDB_CRASH_BASE";

/// The life that is to be cut short. Does nothing unless it is called for.
#[test]
fn a_life() {
    let variable = |name| std::env::var(name).ok();
    let (Some(directory), Some(next), Some(base)) = (variable(DIRECTORY), variable(NEXT), variable(BASE))
    else {
        return;
    };
    let (next, base) = (next.parse().expect("a number"), base.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads can be had").block_on(live(Path::new(&directory), next, base));
}

async fn live(directory: &Path, mut next: u64, base_ms: i64) {
    let config =
        flowdb::Config { query_threads: 1, log_bytes_max: 16 << 20, ..flowdb::Config::new(directory) };
    let engine = Engine::open_still(config).await.expect("it opens after whatever happened");
    let device = engine.devices().list()[0].id;
    let mut out = std::io::stdout();
    writeln!(out, "ready").expect("somebody listens");
    loop {
        let receipt = engine.ingest(batch(device, next, base_ms)).await.expect("the log has room");
        assert_eq!(receipt.rows, ROWS);
        writeln!(out, "took {next}").expect("somebody listens");
        next += 1;
        match next % 7 {
            1 | 4 => drop(engine.seal_all().await.expect("the disk takes it")),
            3 => engine.maintain(base_ms + 4 * 3_600_000).await.expect("files are joined"),
            5 => drop(ask(&engine, "SELECT l4_dst_port, count(*) FROM all_devices GROUP BY 1").await),
            _ => {}
        }
    }
}

fn batch(device: DeviceId, number: u64, base_ms: i64) -> Delivery {
    let start = base_ms + (number % MINUTES) as i64 * 60_000;
    let rows: Vec<_> = (0..ROWS).map(|row| flow(start + row as i64, row as u32, 80, number)).collect();
    Delivery {
        device: Some(device),
        identity: Some(BatchIdentity { sensor: "crash".to_owned(), epoch: 1, sequence: number }),
        encoding: ContentEncoding::Gzip,
        body: body(&rows),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_kills_lose_nothing_and_double_nothing() {
    // Kills leave what the kernel has: memory is as good as a disk, and does not make lives long.
    let directory = Directory::in_memory();
    let (engine, _) = open(&directory).await;
    engine.close().await.expect("it closes");
    let base_ms = base_ms();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut taken = BTreeSet::new();
    let mut lives_that_worked = 0;
    for kill in 1..=KILLS {
        let next = taken.last().map_or(1, |last| last + 1);
        let mut child = spawn(directory.path(), next, base_ms);
        let before = taken.len();
        // One in four is killed while it opens.
        let is_early = below(&mut random, 4) == 0;
        let wait = Duration::from_micros(below(&mut random, if is_early { 60_000 } else { 80_000 }));
        listen(&mut child, is_early, wait, &mut taken);
        lives_that_worked += u32::from(taken.len() > before);
        if kill % 50 == 0 {
            check(&directory, &taken).await;
        }
    }
    assert!(lives_that_worked > KILLS / 4, "only {lives_that_worked} of {KILLS} lives took a batch");
}

fn spawn(directory: &Path, next: u64, base_ms: i64) -> Child {
    Command::new(std::env::current_exe().expect("this test is a program"))
        .args(["--exact", "a_life", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(NEXT, next.to_string())
        .env(BASE, base_ms.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be started")
}

/// Kills the child after a while, and notes what it said until then.
fn listen(child: &mut Child, is_early: bool, wait: Duration, taken: &mut BTreeSet<u64>) {
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut lines = lines.map_while(Result::ok);
    if !is_early {
        assert!(lines.by_ref().any(|line| line.ends_with("ready")), "a life ended before it began");
    }
    // What is waited for is the moment of the kill, which is to be any.
    std::thread::sleep(wait);
    child.kill().expect("it is ours");
    for line in lines {
        taken.extend(line.strip_prefix("took ").and_then(|number| number.parse::<u64>().ok()));
    }
    child.wait().expect("it is ours");
}

/// What was acknowledged is there once; what was not is there once or not at all.
async fn check(directory: &Directory, taken: &BTreeSet<u64>) {
    let engine = Engine::open_still(directory.config()).await.expect("it opens after whatever happened");
    let (rows, report) = ask(&engine, "SELECT in_bytes, count(*) FROM all_devices GROUP BY 1").await;
    assert_eq!(report.quarantined, 0);
    let counts: BTreeMap<u64, u64> = rows
        .iter()
        .map(|row| row.split_once('|').expect("two columns"))
        .map(|(number, count)| (number.parse().expect("a number"), count.parse().expect("a number")))
        .collect();
    for number in taken {
        assert_eq!(counts.get(number), Some(&ROWS), "batch {number} of {}", taken.len());
    }
    let last = taken.last().copied().unwrap_or(0);
    for (number, count) in counts {
        assert!(
            count == ROWS && number <= last + 1,
            "batch {number} is there {count} times; {last} was taken"
        );
    }
    engine.close().await.expect("it closes");
}

/// A number below `end` (xorshift).
fn below(state: &mut u64, end: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % end
}
