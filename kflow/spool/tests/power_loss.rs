//! Thousands of short lives of a spool on a disk that loses power, in processes that are killed.

mod support;

use kflow_spool::fs::model::{ModelFs, Random};
use kflow_spool::{Batch, Config, Error, Reader, Reason, Sequence, Tally, WhenFull, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use support::config;

/// What the test knows of a spool.
struct World {
    random: Random,
    fs: ModelFs,
    config: Config,
    /// Every batch that was appended, ever.
    appended: BTreeMap<u64, Batch>,
    /// Those that a commit said were safe.
    committed: BTreeSet<u64>,
    /// Those that this process appended and has not committed.
    pending: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    /// Those of which an acknowledgement returned.
    acknowledged: BTreeSet<u64>,
    /// Those of which an acknowledgement began.
    maybe_acknowledged: BTreeSet<u64>,
    epoch: Option<u64>,
}

struct Process {
    writer: Writer,
    reader: Reader,
    in_flight: Vec<u64>,
    last_read: u64,
}

impl World {
    fn new(seed: u64, config: Config) -> World {
        World {
            random: Random(seed),
            fs: ModelFs::default(),
            config,
            appended: BTreeMap::new(),
            committed: BTreeSet::new(),
            pending: BTreeSet::new(),
            delivered: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            maybe_acknowledged: BTreeSet::new(),
            epoch: None,
        }
    }

    /// Opens the spool, also if power fails meanwhile.
    fn start(&mut self) -> Process {
        loop {
            if self.random.one_in(4) {
                self.fs.fail_power_after(self.random.below(60));
            }
            match kflow_spool::open(Arc::new(self.fs.clone()), self.config.clone()) {
                Ok((writer, reader, _)) => {
                    // An epoch is there for good once the spool was opened.
                    assert_eq!(*self.epoch.get_or_insert(writer.epoch()), writer.epoch());
                    return Process { writer, reader, in_flight: Vec::new(), last_read: 0 };
                }
                Err(_) => self.crash(),
            }
        }
    }

    fn crash(&mut self) {
        let is_kill = self.random.one_in(3);
        self.fs = if is_kill { self.fs.kill() } else { self.fs.lose_power(&mut self.random) };
        self.pending.clear();
    }

    /// One process, to its end by whatever.
    fn live(&mut self) {
        let mut process = self.start();
        if self.random.one_in(2) {
            self.fs.fail_power_after(self.random.below(200));
        }
        for _ in 0..self.random.below(30) {
            if self.step(&mut process).is_err() {
                break;
            }
        }
        if self.random.one_in(4) {
            drop(process.reader);
            if process.writer.close().is_ok() {
                self.committed.append(&mut self.pending);
            }
            // Where it is not, nobody knows.
            self.pending.clear();
        } else {
            self.crash();
        }
        // A process that gave up is gone, and with it the power.
        if self.fs.files().is_empty() || self.random.one_in(2) {
            self.crash();
        }
    }

    fn step(&mut self, process: &mut Process) -> Result<(), Error> {
        match self.random.below(10) {
            0..3 => self.append(process),
            3..6 => {
                if self.random.one_in(8) {
                    // The first one makes a segment useless, the second one the one after it too.
                    self.fs.fail_syncs(1 + self.random.below(2));
                }
                self.commit(process)
            }
            6..8 => (0..self.random.below(10)).try_for_each(|_| self.read(process)),
            _ => self.acknowledge(process),
        }
    }

    fn append(&mut self, process: &mut Process) -> Result<(), Error> {
        for _ in 0..=self.random.below(4) {
            let mut payload = vec![0xa5; (self.random.below(12) * self.random.below(300)) as usize];
            let salt = self.random.draw().to_le_bytes();
            payload.iter_mut().zip(salt).for_each(|(byte, salt)| *byte = salt);
            let batch = Batch {
                sequence: Sequence(0),
                records: self.random.below(5000) as u32,
                kind: self.random.draw() as u8,
                payload,
            };
            let sequence = process.writer.append(&batch.payload, batch.records, batch.kind)?;
            let before = self.appended.insert(sequence.0, Batch { sequence, ..batch });
            assert_eq!(before, None, "a sequence is used again");
            self.pending.insert(sequence.0);
        }
        Ok(())
    }

    fn commit(&mut self, process: &mut Process) -> Result<(), Error> {
        let committed = process.writer.commit();
        self.fs.fail_syncs(0);
        // Where the disk fails the next commit tries again; where it does not come back that fails too.
        committed.or_else(|_| process.writer.commit())?;
        self.committed.append(&mut self.pending);
        Ok(())
    }

    fn read(&mut self, process: &mut Process) -> Result<(), Error> {
        let Some(batch) = process.reader.next()? else { return Ok(()) };
        let sequence = batch.sequence.0;
        assert_eq!(self.appended.get(&sequence), Some(&batch), "a batch is not as it was appended");
        assert!(!self.pending.contains(&sequence), "a batch is handed out that was not committed");
        assert!(!self.acknowledged.contains(&sequence), "a batch comes again that was acknowledged");
        assert!(sequence > process.last_read, "the order is not kept");
        process.last_read = sequence;
        process.in_flight.push(sequence);
        self.delivered.insert(sequence);
        Ok(())
    }

    fn acknowledge(&mut self, process: &mut Process) -> Result<(), Error> {
        let count = self.random.below(process.in_flight.len() as u64 + 1) as usize;
        let acknowledged: Vec<u64> = process.in_flight.drain(..count).collect();
        let Some(last) = acknowledged.last() else { return Ok(()) };
        self.maybe_acknowledged.extend(&acknowledged);
        process.reader.acknowledge(Sequence(*last))?;
        self.acknowledged.extend(&acknowledged);
        Ok(())
    }

    /// Reads all that is left, and accounts for every batch.
    fn finish(&mut self) {
        let (writer, reader, _) = kflow_spool::open(Arc::new(self.fs.clone()), self.config.clone()).unwrap();
        let mut process = Process { writer, reader, in_flight: Vec::new(), last_read: 0 };
        while self.read_to_the_end(&mut process) {
            // What was in doubt may have found no room before.
            process.writer.commit().unwrap();
        }
        let stats = process.reader.stats().read();
        let dropped = stats.dropped_for_any_reason();
        assert_eq!(stats.waiting, Tally::default());
        assert_eq!(stats.appended, stats.acknowledged + dropped);
        assert_eq!(stats.uncommitted, Tally::default());
        assert!(stats.file_bytes <= self.config.bytes_max);

        let lost =
            self.tally(|sequence| self.committed.contains(&sequence) && !self.delivered.contains(&sequence));
        let unacknowledged = self.tally(|sequence| !self.acknowledged.contains(&sequence));
        assert!(
            is_part(lost, dropped) && is_part(dropped, unacknowledged),
            "{lost:?} {unacknowledged:?} {stats:?}"
        );
        let uncommitted = self.tally(|sequence| !self.committed.contains(&sequence));
        assert!(is_part(stats.dropped(Reason::Corrupt), uncommitted), "{stats:?}");
        let is_roomy = self.config.bytes_max > 100 * self.config.segment_bytes;
        if is_roomy || self.config.when_full == WhenFull::Refuse {
            assert_eq!(lost, Tally::default());
            assert_eq!(stats.dropped(Reason::Cap), Tally::default());
            assert_eq!(stats.dropped(Reason::Missing), Tally::default());
        }
    }

    /// Reads and acknowledges all that is safe, and returns whether that was anything.
    fn read_to_the_end(&mut self, process: &mut Process) -> bool {
        loop {
            let before = process.in_flight.len();
            self.read(process).unwrap();
            if process.in_flight.len() == before {
                break;
            }
        }
        let Some(last) = process.in_flight.last() else { return false };
        process.reader.acknowledge(Sequence(*last)).unwrap();
        process.in_flight.clear();
        true
    }

    /// Sums up the batches that are meant.
    fn tally(&self, is_meant: impl Fn(u64) -> bool) -> Tally {
        let meant = self.appended.values().filter(|batch| is_meant(batch.sequence.0));
        meant.fold(Tally::default(), |sum, batch| {
            let bytes = batch.payload.len() as u64;
            sum + Tally { batches: 1, records: u64::from(batch.records), bytes }
        })
    }
}

fn is_part(part: Tally, whole: Tally) -> bool {
    part.batches <= whole.batches && part.records <= whole.records && part.bytes <= whole.bytes
}

fn live_and_die(seeds: std::ops::Range<u64>, config: &Config) {
    for seed in seeds {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, config.clone());
            for _ in 0..1 + world.random.below(5) {
                world.live();
            }
            world.crash();
            world.finish();
        });
        assert!(result.is_ok(), "seed {seed} fails");
    }
}

#[test]
fn what_is_committed_survives_any_loss_of_power() {
    live_and_die(0..1200, &config(1000));
}

#[test]
fn at_the_cap_every_batch_survives_or_is_counted() {
    live_and_die(10_000..10_800, &config(5));
}

#[test]
fn what_is_refused_at_the_cap_costs_nothing_that_was_committed() {
    live_and_die(20_000..20_800, &Config { when_full: WhenFull::Refuse, ..config(4) });
}
