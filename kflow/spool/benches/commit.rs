//! How fast batches get safe, beside a bare loop that writes the same bytes to a file and waits for the disk.
//!
//! `cargo bench -p kflow-spool` prints a line a size of group. Both take turns, and the median of the rounds counts. A disk
//! that others use as well makes figures of one run differ from those of another; the ratio is what stays.

use kflow_spool::fs::RealFs;
use kflow_spool::{Config, Sequence};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What 4096 records come to.
const PAYLOAD_BYTES: usize = 60_000;
const RECORDS: u32 = 4096;
const ROUNDS: usize = 7;
const BATCHES_PER_ROUND: usize = 512;

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spool-bench");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("the target folder can be written");
    let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|n| (n * 31 % 251) as u8).collect();
    println!(
        "batches of {RECORDS} records in {PAYLOAD_BYTES} bytes, {BATCHES_PER_ROUND} a round, median of {ROUNDS}"
    );
    println!(
        "{:>6} {:>26} {:>26} {:>6} {:>26}",
        "group", "spool", "write + fdatasync", "ratio", "read + acknowledge"
    );
    for group in [1, 4, 16, 64] {
        measure(&directory, &payload, group);
    }
    let _ = fs::remove_dir_all(&directory);
}

fn measure(directory: &Path, payload: &[u8], group: usize) {
    let mut spool = Vec::new();
    let mut bare = Vec::new();
    let mut read = Vec::new();
    for _ in 0..ROUNDS {
        let (written, taken) = run_spool(&directory.join("spool"), payload, group);
        spool.push(written);
        read.push(taken);
        bare.push(run_bare(&directory.join("bare"), payload, group));
    }
    let (spool, bare, read) = (median(spool), median(bare), median(read));
    let ratio = bare / spool;
    println!("{group:>6} {:>26} {:>26} {ratio:>6.2} {:>26}", figures(spool), figures(bare), figures(read));
}

/// Seconds that it took to make all batches safe, and to read and acknowledge them.
fn run_spool(directory: &Path, payload: &[u8], group: usize) -> (f64, f64) {
    let fs = Arc::new(RealFs::create(directory).expect("the target folder can be written"));
    let config = Config { disk_free_min: 0, ..Config::default() };
    let (mut writer, mut reader, _) = kflow_spool::open(fs, config).expect("the spool is new");
    let written = seconds(|| {
        for _ in 0..BATCHES_PER_ROUND / group {
            for _ in 0..group {
                writer.append(payload, RECORDS, 0).expect("the disk has room");
            }
            writer.commit().expect("the disk works");
        }
    });
    let read = seconds(|| {
        let mut last = Sequence(0);
        for count in 1..=BATCHES_PER_ROUND {
            let batch = reader.next().expect("the disk works").expect("all was committed");
            last = batch.sequence;
            black_box(batch);
            if count % group == 0 {
                reader.acknowledge(last).expect("the disk works");
            }
        }
        assert_eq!(reader.stats().read().acknowledged.batches, last.0);
    });
    drop((writer, reader));
    fs::remove_dir_all(directory).expect("the spool is closed");
    (written, read)
}

fn run_bare(path: &Path, payload: &[u8], group: usize) -> f64 {
    let mut file = File::create(path).expect("the target folder can be written");
    let bytes = payload.repeat(group);
    let seconds = seconds(|| {
        for _ in 0..BATCHES_PER_ROUND / group {
            file.write_all(&bytes).expect("the disk has room");
            file.sync_data().expect("the disk works");
        }
    });
    fs::remove_file(path).expect("it was created above");
    seconds
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn figures(seconds: f64) -> String {
    let batches = BATCHES_PER_ROUND as f64 / seconds;
    format!("{:.0} MB/s {batches:.0} batches/s", batches * PAYLOAD_BYTES as f64 / 1e6)
}
