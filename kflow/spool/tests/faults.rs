//! Disks that fail and come back.

mod support;

use kflow_spool::fs::fault::{FaultFs, Operation, Verdict};
use kflow_spool::fs::model::{ModelFs, Random};
use kflow_spool::{Batch, Config, Error, Reader, Reason, Sequence, State, Tally, Writer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use support::*;

const IO: i32 = 5;
const READ_ONLY: i32 = 30;
const NO_SPACE: i32 = 28;

/// Batches that went in and came out of a spool whose disk fails now and then.
#[derive(Default)]
struct Traffic {
    appended: Vec<(u64, u32)>,
    received: Vec<Batch>,
    acknowledged: Option<Sequence>,
}

impl Traffic {
    /// Writes and reads, and goes on after errors.
    fn run(&mut self, writer: &mut Writer, reader: &mut Reader) {
        for round in 0..12u32 {
            for records in 0..=round % 3 {
                if let Ok(sequence) = writer.append(&[round as u8; 2500], records, 1) {
                    self.appended.push((sequence.0, records));
                }
            }
            let _ = writer.commit();
            self.read(reader);
            if round % 2 == 0 {
                self.acknowledge(reader);
            }
        }
    }

    fn read(&mut self, reader: &mut Reader) {
        while let Ok(Some(batch)) = reader.next() {
            self.received.push(batch);
        }
    }

    fn acknowledge(&mut self, reader: &mut Reader) {
        let Some(last) = self.received.last() else { return };
        if reader.acknowledge(last.sequence).is_ok() {
            self.acknowledged = Some(last.sequence);
        }
    }

    fn sequences(&self) -> Vec<(u64, u32)> {
        self.received.iter().map(|batch| (batch.sequence.0, batch.records)).collect()
    }
}

/// Lets the operations fail whose numbers the plan says, counted from the first.
fn failing(inner: &ModelFs, number: i32, fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> FaultFs {
    let count = AtomicU64::new(0);
    FaultFs::new(Arc::new(inner.clone()), move |_, _| {
        let is_failing = fails(count.fetch_add(1, Ordering::Relaxed));
        if is_failing { Verdict::Fail(number) } else { Verdict::Pass }
    })
}

/// Runs traffic over a disk that fails as planned, then over one that works, and accounts for every batch.
fn survive(number: i32, fails: impl Fn(u64) -> bool + Clone + Send + Sync + 'static) {
    let disk = ModelFs::default();
    let mut traffic = Traffic::default();
    let fs = failing(&disk, number, fails);
    let Ok((mut writer, mut reader, _)) = kflow_spool::open(Arc::new(fs), config(1000)) else { return };
    traffic.run(&mut writer, &mut reader);
    let _ = writer.commit();
    traffic.read(&mut reader);
    assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
    let first = traffic.sequences();
    assert!(traffic.appended.starts_with(&first));
    // The disk may still fail. The process dies, and the next one has a disk that works.
    let disk = disk.kill();
    let uncommitted = writer.stats().read().uncommitted.batches as usize;
    drop((writer, reader));
    let (_writer, mut reader, recovery) = open(&disk);
    assert_eq!(recovery.missing, Tally::default());
    traffic.received.clear();
    traffic.read(&mut reader);
    assert_eq!(reader.stats().read().dropped_for_any_reason(), Tally::default());
    // What was handed out and not acknowledged comes again. An acknowledgement that failed may have got through.
    let second = traffic.sequences();
    let Some(start) = traffic.appended.iter().position(|batch| second.first() == Some(batch)) else {
        assert!(first.len() + uncommitted >= traffic.appended.len());
        return;
    };
    let acknowledged = traffic
        .acknowledged
        .map_or(0, |last| traffic.appended.iter().filter(|(sequence, _)| *sequence <= last.0).count());
    assert!((acknowledged..=first.len()).contains(&start));
    // Whether that is there which no commit returned for is not known.
    assert!(traffic.appended[start..].starts_with(&second));
    assert!(start + second.len() + uncommitted >= traffic.appended.len());
}

#[test]
fn any_operation_may_fail_once() {
    for number in [IO, NO_SPACE] {
        for nth in 0..400 {
            survive(number, move |operation| operation == nth);
        }
    }
}

#[test]
fn the_disk_may_be_gone_for_a_while() {
    for nth in 0..150 {
        survive(IO, move |operation| (nth..nth + 25).contains(&operation));
    }
}

#[test]
fn the_disk_may_go_for_good() {
    for nth in 0..200 {
        survive(IO, move |operation| operation >= nth);
    }
}

#[test]
fn operations_may_fail_at_random() {
    for seed in 0..200 {
        survive(IO, move |operation| Random(seed << 32 | operation).one_in(12));
    }
}

#[test]
fn reads_and_writes_may_be_short() {
    let disk = ModelFs::default();
    let count = AtomicU64::new(0);
    let fs = FaultFs::new(Arc::new(disk), move |operation, _| match operation {
        Operation::Read { .. } | Operation::Write => {
            Verdict::Short(1 + Random(count.fetch_add(1, Ordering::Relaxed)).below(900) as usize)
        }
        _ => Verdict::Pass,
    });
    let mut traffic = Traffic::default();
    for _ in 0..3 {
        let (mut writer, mut reader, _) = open(&fs);
        traffic.run(&mut writer, &mut reader);
        traffic.acknowledge(&mut reader);
    }
    assert_eq!(traffic.sequences(), traffic.appended);
}

/// A file system that fails while the switch is on.
fn switched(number: i32, fails: fn(Operation) -> bool) -> (FaultFs, Arc<AtomicBool>) {
    let is_failing = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_failing);
    let fs = FaultFs::new(Arc::new(ModelFs::default()), move |operation, _| {
        let fails = switch.load(Ordering::Relaxed) && fails(operation);
        if fails { Verdict::Fail(number) } else { Verdict::Pass }
    });
    (fs, is_failing)
}

fn changes_the_disk(operation: Operation) -> bool {
    use kflow_spool::fs::Access;
    !matches!(
        operation,
        Operation::Read { .. }
            | Operation::List
            | Operation::Length
            | Operation::FreeBytes
            | Operation::Lock
            | Operation::Random
            | Operation::Open(Access::Read)
    )
}

#[test]
fn a_disk_that_gets_read_only_is_told_and_the_writer_recovers_by_itself() {
    let (fs, is_read_only) = switched(READ_ONLY, changes_the_disk);
    let (mut writer, mut reader, _) = open(&fs);
    append(&mut writer, b"before");
    writer.commit().unwrap();
    is_read_only.store(true, Ordering::Relaxed);
    append(&mut writer, b"meanwhile");
    assert!(matches!(writer.commit(), Err(Error::Io { .. })));
    assert_eq!(writer.stats().read().state, State::Failing);
    // What is there can be read, and is not acknowledged by an error.
    let batch = reader.next().unwrap().unwrap();
    assert!(matches!(reader.acknowledge(batch.sequence), Err(Error::Io { .. })));
    assert_eq!(reader.stats().read().acknowledged, Tally::default());
    is_read_only.store(false, Ordering::Relaxed);
    writer.commit().unwrap();
    reader.acknowledge(batch.sequence).unwrap();
    assert_eq!(writer.stats().read().state, State::Working);
    assert_eq!(drain(&mut reader)[0].payload, b"meanwhile");
}

#[test]
fn a_failing_disk_bounds_what_waits_in_memory() {
    let (fs, is_failing) = switched(IO, changes_the_disk);
    let (mut writer, mut reader, _) = open(&fs);
    is_failing.store(true, Ordering::Relaxed);
    let taken = (0..1000).filter(|_| writer.append(&[1; 10_000], 1, 1).is_ok()).count();
    assert!((90..110).contains(&taken), "{taken}");
    assert_eq!(writer.stats().read().uncommitted.batches, taken as u64);
    is_failing.store(false, Ordering::Relaxed);
    writer.commit().unwrap();
    assert_eq!(drain(&mut reader).len(), taken);
}

#[test]
fn a_spool_on_a_read_only_disk_can_be_read() {
    let disk = ModelFs::default();
    let (mut writer, reader, _) = open(&disk);
    append(&mut writer, b"one");
    writer.close().unwrap();
    drop(reader);
    disk.set_read_only(true);
    let (mut writer, mut reader, _) = open(&disk);
    assert_eq!(drain(&mut reader).len(), 1);
    assert!(matches!(writer.append(b"two", 1, 1), Err(Error::Io { .. })));
    assert_eq!(writer.stats().read().state, State::Failing);
    disk.set_read_only(false);
    append(&mut writer, b"two");
    writer.commit().unwrap();
    assert_eq!(drain(&mut reader).len(), 1);
    assert_eq!(writer.stats().read().state, State::Working);
}

#[test]
fn a_spool_cannot_be_created_on_a_read_only_disk() {
    let disk = ModelFs::default();
    disk.set_read_only(true);
    let refused = kflow_spool::open(Arc::new(disk.clone()), config(1000));
    assert!(matches!(refused, Err(Error::Io { .. })));
    disk.set_read_only(false);
    assert!(open(&disk).2.is_new);
}

#[test]
fn what_an_fsync_that_failed_was_to_make_safe_is_written_again_elsewhere() {
    let disk = ModelFs::default();
    let (mut writer, mut reader, _) = open(&disk);
    append(&mut writer, b"safe");
    writer.commit().unwrap();
    append(&mut writer, b"in doubt");
    disk.fail_syncs(1);
    writer.commit().unwrap();
    let stats = writer.stats().read();
    assert_eq!((stats.sync_failures, stats.segments), (1, 2));
    assert_eq!(drain(&mut reader).len(), 2);
    // The segment whose fsync failed has nothing of the second batch.
    let disk = disk.lose_power(&mut Random(1));
    let (_writer, mut reader, _) = open(&disk);
    let batches = drain(&mut reader);
    assert_eq!(batches[1].payload, b"in doubt");
    assert_eq!(sequences(&batches), [1, 2]);
}

#[test]
fn what_an_earlier_process_could_not_make_safe_is_not_taken_for_safe() {
    let disk = ModelFs::default();
    let (mut writer, _reader, _) = open(&disk);
    append(&mut writer, b"in doubt");
    // The process dies of the fsync. Its successor finds the batch in the memory of the operating system.
    disk.fail_syncs(1);
    disk.fail_power_after(2);
    assert!(writer.commit().is_err());
    let disk = disk.kill();
    let (_writer, mut reader, recovery) = open(&disk);
    assert_eq!(recovery.rewritten.batches, 1);
    assert_eq!(drain(&mut reader).len(), 1);
    let disk = disk.lose_power(&mut Random(1));
    let (_writer, mut reader, _) = open(&disk);
    assert_eq!(drain(&mut reader)[0].payload, b"in doubt");
}

/// A disk that never gives back one block of one of the segments of a spool with twelve batches of 3000 records.
fn with_a_bad_block(segment: u64, block: u64) -> FaultFs {
    let disk = ModelFs::default();
    let (mut writer, _reader, _) = open(&disk);
    for round in 0..12 {
        append(&mut writer, &[round; 3000]);
    }
    writer.close().unwrap();
    FaultFs::new(Arc::new(disk.kill()), move |operation, name| match operation {
        Operation::Read { offset, bytes } if name == format!("{segment:020}.segment") => {
            let is_bad = offset < (block + 1) * 4096 && offset + bytes as u64 > block * 4096;
            if is_bad { Verdict::Fail(IO) } else { Verdict::Pass }
        }
        _ => Verdict::Pass,
    })
}

#[test]
fn a_place_that_is_never_given_back_costs_what_is_there_and_no_more() {
    for (segment, block) in [(1, 0), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 3)] {
        let (_writer, mut reader, _) = open(&with_a_bad_block(segment, block));
        let mut read = 0;
        let mut errors = 0;
        loop {
            match reader.next() {
                Ok(Some(_)) => read += 1,
                Ok(None) => break,
                Err(_) => errors += 1,
            }
            assert!(errors < 100, "segment {segment}, block {block}");
        }
        let lost = 12 - read;
        assert!(lost <= 2, "segment {segment}, block {block}: {lost}");
        assert_eq!(lost > 0, block > 0, "segment {segment}, block {block}");
        assert_eq!(errors > 0, block > 0);
        let corrupt = reader.stats().read().dropped(Reason::Corrupt);
        assert_eq!(corrupt, Tally { batches: lost, records: 3000 * lost, bytes: 3000 * lost });
        assert_eq!(reader.take_damage().is_empty(), block == 0);
    }
}

#[test]
fn a_crash_while_a_large_group_in_doubt_is_written_anew_loses_none_of_it() {
    let large = Config { segment_bytes: 64 << 10, ..config(1000) };
    let small = Config { segment_bytes: 8 << 10, ..config(1000) };
    for operations in 0..60 {
        let disk = ModelFs::default();
        let (mut writer, reader, _) = kflow_spool::open(Arc::new(disk.clone()), large.clone()).unwrap();
        for round in 0..10 {
            append(&mut writer, &[round; 3500]);
        }
        writer.commit().unwrap();
        let mut random = Random(operations);
        let disk = disk.lose_power(&mut random);
        drop((writer, reader));
        disk.fail_power_after(operations);
        let _ = kflow_spool::open(Arc::new(disk.clone()), small.clone());
        let disk = disk.lose_power(&mut random);
        let (_writer, mut reader, _) = kflow_spool::open(Arc::new(disk), small.clone()).unwrap();
        assert_eq!(sequences(&drain(&mut reader)), Vec::from_iter(1..=10), "after {operations} operations");
    }
}

#[test]
fn an_acknowledgement_that_an_earlier_process_could_not_make_safe_is_made_safe() {
    for seed in 0..20 {
        let disk = ModelFs::default();
        let (mut writer, mut reader, _) = open(&disk);
        for round in 0..12 {
            append(&mut writer, &[round; 3000]);
        }
        writer.commit().unwrap();
        let batches = drain(&mut reader);
        disk.fail_syncs(1);
        disk.fail_power_after(2);
        assert!(reader.acknowledge(batches[9].sequence).is_err());
        // The next process finds it in the memory of the operating system, and removes segments for it.
        let disk = disk.kill();
        let (writer, reader, _) = open(&disk);
        let segments = reader.stats().read().segments;
        let disk = disk.lose_power(&mut Random(seed));
        drop((writer, reader));
        let (_writer, reader, recovery) = open(&disk);
        assert_eq!(segments, 1);
        assert_eq!(recovery.missing, Tally::default(), "seed {seed}");
        assert_eq!(reader.stats().read().acknowledged.batches, 10);
    }
}

#[test]
fn a_batch_that_is_dropped_while_it_is_read_is_not_handed_out() {
    let is_reading = Arc::new(AtomicBool::new(false));
    let writer: Arc<Mutex<Option<Writer>>> = Arc::default();
    let (switch, other_side) = (Arc::clone(&is_reading), Arc::clone(&writer));
    let fs = FaultFs::new(Arc::new(ModelFs::default()), move |operation, _| {
        let is_payload = matches!(operation, Operation::Read { bytes: 3000, .. });
        if is_payload && switch.swap(false, Ordering::Relaxed) {
            // Meanwhile the writer needs the room.
            let mut writer = other_side.lock().unwrap();
            let writer = writer.as_mut().unwrap();
            while writer.stats().read().dropped_for_any_reason().is_zero() {
                append(writer, &[2; 3000]);
                writer.commit().unwrap();
            }
        }
        Verdict::Pass
    });
    let (mut opened, mut reader, _) = kflow_spool::open(Arc::new(fs), config(5)).unwrap();
    append(&mut opened, &[1; 3000]);
    opened.commit().unwrap();
    let stats = opened.stats();
    *writer.lock().unwrap() = Some(opened);
    is_reading.store(true, Ordering::Relaxed);
    let read = acknowledge_all(&mut reader);
    assert!(read.iter().all(|batch| batch.payload == [2; 3000]));
    let stats = stats.read();
    assert_eq!(stats.waiting, Tally::default());
    assert_eq!(stats.appended, stats.acknowledged + stats.dropped(Reason::Cap));
}

#[test]
fn a_disk_that_fails_while_a_spool_is_opened_costs_nothing() {
    let disk = ModelFs::default();
    let (mut writer, reader, _) = open(&disk);
    for round in 0..20 {
        append(&mut writer, &[round; 2500]);
        if round % 5 == 4 {
            writer.commit().unwrap();
        }
    }
    let disk = disk.kill();
    drop((writer, reader));
    for (nth, length) in (0..90).flat_map(|nth| [(nth, 1), (nth, 3), (nth, 12)]) {
        // Each time the disk as it was.
        let disk = ModelFs::from_files(disk.files());
        let fs = failing(&disk, IO, move |operation| (nth..nth + length).contains(&operation));
        let (writer, mut reader) = loop {
            if let Ok((writer, reader, _)) = kflow_spool::open(Arc::new(fs.clone()), config(1000)) {
                break (writer, reader);
            }
        };
        let mut read = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(batch)) => read.push(batch.sequence.0),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        // What is in doubt is written by the next commit, if it could not be written at once.
        drop((writer, reader));
        let (_writer, mut reader, _) = open(&disk);
        let all = sequences(&drain(&mut reader));
        assert_eq!(all, Vec::from_iter(1..=20), "{length} operations fail from the {nth}th on");
        assert!(all.starts_with(&read));
    }
}
