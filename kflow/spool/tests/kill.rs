//! A process that is killed at any moment, again and again, on the files of the operating system.
//!
//! The child is this test program, which then runs `child` alone. It says what it is about to do and what it has done; the
//! parent kills it somewhere in between, and holds the next child to what this one has said.

mod support;

use kflow_spool::fs::RealFs;
use kflow_spool::fs::model::Random;
use kflow_spool::{Batch, Config, Sequence, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::{TestDirectory, config, drain};

const DIRECTORY: &str = "KFLOW_SPOOL_TEST_DIRECTORY";
const SEED: &str = "KFLOW_SPOOL_TEST_SEED";
/// At its beginning each line of the child has this, and those of the test harness do not.
const MARK: &str = "spool:";

fn config_of_both() -> Config {
    Config { disk_free_min: 0, ..config(100_000) }
}

#[test]
fn child() {
    let (Some(directory), Ok(seed)) = (env::var_os(DIRECTORY), env::var(SEED)) else { return };
    let mut random = Random(seed.parse().unwrap());
    let fs = Arc::new(RealFs::create(Path::new(&directory)).unwrap());
    let (mut writer, mut reader, _) = kflow_spool::open(fs, config_of_both()).unwrap();
    say("open", writer.epoch());
    loop {
        for _ in 0..=random.below(4) {
            let payload = vec![random.draw() as u8; random.below(3000) as usize];
            let sequence = writer.append(&payload, payload.len() as u32, payload.len() as u8).unwrap();
            say("appended", format_args!("{} {}", sequence.0, digest(&payload)));
        }
        say("committed", writer.commit().unwrap().0);
        let mut last = None;
        for _ in 0..random.below(8) {
            let Some(Batch { sequence, payload, .. }) = reader.next().unwrap() else { break };
            say("read", format_args!("{} {}", sequence.0, digest(&payload)));
            last = Some(sequence);
        }
        if let Some(last) = last {
            say("acknowledging", last.0);
            reader.acknowledge(last).unwrap();
            say("acknowledged", last.0);
        }
    }
}

fn say(what: &str, details: impl std::fmt::Display) {
    let line = format!("\n{MARK} {what} {details}\n");
    // One system call, so a line is said or not.
    io::stdout().write_all(line.as_bytes()).unwrap();
    io::stdout().flush().unwrap();
}

/// The length of a payload and what it is filled with.
fn digest(payload: &[u8]) -> u64 {
    (payload.len() as u64) << 8 | u64::from(payload.first().copied().unwrap_or(0))
}

/// What the children have said.
#[derive(Default)]
struct Said {
    epoch: Option<u64>,
    appended: BTreeMap<u64, u64>,
    /// Those that the running child has appended and not committed.
    pending: Vec<u64>,
    committed: BTreeSet<u64>,
    read: u64,
    acknowledged: u64,
    acknowledging: u64,
    /// The last one that was read by the child that is running.
    read_by_this: u64,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some(said) = line.strip_prefix(MARK) else { return };
        let words: Vec<&str> = said.split_whitespace().collect();
        // The last line may be cut off.
        let [what, ref numbers @ ..] = words[..] else { return };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        match (what, &numbers[..]) {
            ("open", [epoch]) => {
                assert_eq!(*self.epoch.get_or_insert(*epoch), *epoch);
                self.read_by_this = 0;
                self.pending.clear();
            }
            ("appended", [sequence, digest]) => {
                assert_eq!(self.appended.insert(*sequence, *digest), None, "a sequence is used again");
                self.pending.push(*sequence);
            }
            ("committed", [_]) => self.committed.extend(self.pending.drain(..)),
            ("read", [sequence, digest]) => self.hear_read(*sequence, *digest),
            ("acknowledging", [sequence]) => self.acknowledging = *sequence,
            ("acknowledged", [sequence]) => self.acknowledged = *sequence,
            _ => panic!("what does {line} mean?"),
        }
    }

    fn hear_read(&mut self, sequence: u64, digest: u64) {
        // The child may die before it can say what it has appended; then nobody has heard of it.
        let appended = self.appended.entry(sequence).or_insert(digest);
        assert_eq!(*appended, digest, "a batch is not as it was appended");
        assert!(sequence > self.acknowledged, "a batch comes again that was acknowledged");
        assert!(sequence > self.read_by_this, "the order is not kept");
        let before = self.read_by_this.max(self.acknowledged);
        // An acknowledgement may have got through though the child did not live to say so.
        let before = before.max(self.acknowledging.min(sequence - 1));
        let lost = self.committed.range(before + 1..sequence).next();
        assert_eq!(lost, None, "{sequence} comes, and a batch before it does not");
        self.read_by_this = sequence;
        self.read = self.read.max(sequence);
    }
}

/// Where an fsync costs nothing, there is time for more. A process that is killed leaves the same there.
#[test]
fn nothing_that_was_committed_is_lost_by_killing_the_process_a_thousand_times() {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    survive_kills(&TestDirectory::new_in(&above, "kill-often"), 1000);
}

#[test]
fn nothing_that_was_committed_is_lost_by_killing_the_process_that_waits_for_the_disk() {
    survive_kills(&TestDirectory::new("kill"), 40);
}

fn survive_kills(directory: &TestDirectory, kills: u64) {
    let mut random = Random(env::var(SEED).map_or(1, |seed| seed.parse().unwrap()));
    let mut said = Said::default();
    for _ in 0..kills {
        live_and_kill(directory.path(), &mut random, &mut said);
    }
    let fs = Arc::new(RealFs::open(directory.path()).unwrap());
    let (_writer, mut reader, _) = kflow_spool::open(fs, config_of_both()).unwrap();
    said.read_by_this = 0;
    for batch in drain(&mut reader) {
        said.hear_read(batch.sequence.0, digest(&batch.payload));
    }
    assert!(Some(&said.read) >= said.committed.last());
    assert_eq!(reader.stats().read().dropped_for_any_reason(), Tally::default());
    reader.acknowledge(Sequence(said.read)).unwrap();
    assert_eq!(reader.stats().read().waiting, Tally::default());
    assert!(said.committed.len() as u64 > kills);
}

fn live_and_kill(directory: &Path, random: &mut Random, said: &mut Said) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory)
        .env(SEED, random.draw().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines_left = random.below(60);
    for line in lines {
        said.hear(&line.unwrap());
        if lines_left == 0 {
            child.kill().unwrap();
        }
        lines_left = lines_left.saturating_sub(1);
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "the child ended by itself");
}
