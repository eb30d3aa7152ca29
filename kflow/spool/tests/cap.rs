//! What becomes of batches when there is no room for more: the oldest go, counted to the record.

mod support;

use kflow_spool::fs::fault::{FaultFs, Operation, Verdict};
use kflow_spool::fs::model::ModelFs;
use kflow_spool::{Config, Error, Reader, Reason, State, Tally, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

const NO_SPACE: i32 = 28;
const QUOTA: i32 = 122;

fn open_with(fs: &ModelFs, config: Config) -> (Writer, Reader) {
    let (writer, reader, _) = kflow_spool::open(Arc::new(fs.clone()), config).unwrap();
    (writer, reader)
}

/// Appends and commits batches with this many records each.
fn commit_each(writer: &mut Writer, records: std::ops::Range<u32>) {
    for records in records {
        writer.append(&[records as u8; 3000], records, 1).unwrap();
        writer.commit().unwrap();
    }
}

fn records(batches: &[kflow_spool::Batch]) -> u64 {
    batches.iter().map(|batch| u64::from(batch.records)).sum()
}

#[test]
fn at_the_cap_the_oldest_are_dropped_and_counted_to_the_record() {
    let fs = ModelFs::default();
    let (mut writer, mut reader) = open_with(&fs, config(6));
    commit_each(&mut writer, 0..100);
    let stats = writer.stats().read();
    assert_eq!(stats.state, State::AtCap);
    let left = acknowledge_all(&mut reader);
    let dropped = stats.dropped(Reason::Cap);
    assert!(dropped.batches > 80, "{dropped:?}");
    assert_eq!(dropped.batches + left.len() as u64, 100);
    assert_eq!(dropped.records + records(&left), (0..100).sum::<u64>());
    assert_eq!(left.last().unwrap().records, 99);
    assert_eq!(reader.stats().read().waiting, Tally::default());
}

#[test]
fn the_files_never_take_more_than_the_cap() {
    let fs = ModelFs::default();
    let (mut writer, _reader) = open_with(&fs, config(5));
    for records in 0..200 {
        writer.append(&[1; 5000], records, 1).unwrap();
        writer.commit().unwrap();
        let taken: usize = fs.files().values().map(|file| file.len().next_multiple_of(4096)).sum();
        assert!(taken as u64 <= config(5).bytes_max, "{taken}");
        assert!(taken as u64 <= writer.stats().read().file_bytes);
    }
}

#[test]
fn what_is_handed_out_when_it_is_dropped_is_counted_when_its_fate_is_known() {
    let fs = ModelFs::default();
    let (mut writer, mut reader) = open_with(&fs, config(6));
    commit_each(&mut writer, 0..3);
    let in_flight = drain(&mut reader);
    commit_each(&mut writer, 3..100);
    let before = writer.stats().read();
    assert_eq!(before.acknowledged.batches, 0);
    reader.acknowledge(in_flight[1].sequence).unwrap();
    let after = writer.stats().read();
    assert_eq!(after.acknowledged.batches, 2);
    assert_eq!(after.dropped_for_any_reason(), before.dropped_for_any_reason());
    drop(reader);
    let dropped = writer.stats().read().dropped(Reason::Cap);
    assert_eq!(dropped.batches, after.dropped(Reason::Cap).batches + 1);
    assert_eq!(dropped.records, after.dropped(Reason::Cap).records + 2);
}

#[test]
fn what_was_dropped_stays_counted_over_openings() {
    let fs = ModelFs::default();
    let (mut writer, reader) = open_with(&fs, config(6));
    commit_each(&mut writer, 0..50);
    let before = writer.stats().read();
    drop((writer, reader));
    let (writer, mut reader) = open_with(&fs, config(6));
    let after = writer.stats().read();
    assert_eq!((after.appended, after.acknowledged), (before.appended, before.acknowledged));
    assert!(after.dropped(Reason::Cap).batches >= before.dropped(Reason::Cap).batches);
    let left = acknowledge_all(&mut reader);
    assert_eq!(after.dropped(Reason::Cap).records + records(&left), (0..50).sum::<u64>());
}

#[test]
fn a_smaller_cap_holds_from_the_next_opening_on() {
    let fs = ModelFs::default();
    let (mut writer, reader) = open_with(&fs, config(50));
    commit_each(&mut writer, 0..100);
    drop((writer, reader));
    let (writer, mut reader) = open_with(&fs, config(6));
    let stats = writer.stats().read();
    assert!(stats.file_bytes <= config(6).bytes_max);
    let left = acknowledge_all(&mut reader);
    assert_eq!(stats.dropped(Reason::Cap).records + records(&left), (0..100).sum::<u64>());
}

#[test]
fn below_the_free_minimum_the_spool_does_not_grow() {
    let fs = ModelFs::default();
    fs.set_capacity(20 * SEGMENT_BYTES);
    let config = Config { disk_free_min: 10 * SEGMENT_BYTES, ..config(1000) };
    let (mut writer, mut reader) = open_with(&fs, config);
    commit_each(&mut writer, 0..200);
    let taken: usize = fs.files().values().map(|file| file.len().next_multiple_of(4096)).sum();
    assert!(taken as u64 <= 10 * SEGMENT_BYTES, "{taken}");
    let stats = writer.stats().read();
    assert_eq!(stats.state, State::DiskLow);
    let left = acknowledge_all(&mut reader);
    assert_eq!(stats.dropped(Reason::DiskLow).records + records(&left), (0..200).sum::<u64>());
}

#[test]
fn on_a_full_disk_the_oldest_make_room() {
    let fs = ModelFs::default();
    fs.set_capacity(8 * SEGMENT_BYTES);
    let (mut writer, mut reader) = open_with(&fs, config(1000));
    commit_each(&mut writer, 0..200);
    let stats = writer.stats().read();
    let left = acknowledge_all(&mut reader);
    assert!(left.len() > 10, "{}", left.len());
    assert_eq!(stats.dropped(Reason::DiskLow).records + records(&left), (0..200).sum::<u64>());
}

/// A file system on which nothing can be allocated while the switch is on.
fn without_room(number: i32) -> (FaultFs, ModelFs, Arc<AtomicBool>) {
    let inner = ModelFs::default();
    let is_full = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_full);
    let fs = FaultFs::new(Arc::new(inner.clone()), move |operation, _| {
        let fails = operation == Operation::Allocate && switch.load(Ordering::Relaxed);
        if fails { Verdict::Fail(number) } else { Verdict::Pass }
    });
    (fs, inner, is_full)
}

#[test]
fn the_spare_segment_is_there_when_the_disk_gets_full() {
    for number in [NO_SPACE, QUOTA] {
        let (fs, _, is_full) = without_room(number);
        let (mut writer, _reader, _) = open(&fs);
        is_full.store(true, Ordering::Relaxed);
        // A segment holds three of these.
        commit_each(&mut writer, 0..6);
        assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
    }
}

#[test]
fn when_nothing_helps_the_error_says_so_and_nothing_is_lost() {
    let (fs, _, is_full) = without_room(QUOTA);
    let (mut writer, mut reader, _) = open(&fs);
    is_full.store(true, Ordering::Relaxed);
    commit_each(&mut writer, 0..6);
    writer.append(&[1; 3000], 6, 1).unwrap();
    assert!(matches!(writer.commit(), Err(Error::NoRoom { .. })));
    assert_eq!(writer.stats().read().state, State::NoRoom);
    assert_eq!(writer.stats().read().uncommitted.records, 6);
    is_full.store(false, Ordering::Relaxed);
    writer.commit().unwrap();
    assert_eq!(writer.stats().read().uncommitted, Tally::default());
    let left = acknowledge_all(&mut reader);
    let dropped = writer.stats().read().dropped(Reason::DiskLow);
    assert_eq!(records(&left) + dropped.records, (0..=6).sum::<u64>());
}

#[test]
fn a_segment_that_is_done_with_makes_room_for_the_next_one() {
    let fs = ModelFs::default();
    // For one segment, the cursor and its successor.
    fs.set_capacity(SEGMENT_BYTES + 6 * 4096);
    let (mut writer, mut reader) = open_with(&fs, config(1000));
    for records in 0..30 {
        commit_each(&mut writer, records..records + 1);
        assert_eq!(acknowledge_all(&mut reader).len(), 1);
    }
    assert_eq!(writer.stats().read().acknowledged.batches, 30);
}

#[test]
fn dropping_while_the_reader_is_at_work_counts_each_batch_once() {
    let fs = ModelFs::default();
    let (mut writer, mut reader) = open_with(&fs, config(5));
    let reading = std::thread::spawn(move || {
        let mut read = 0;
        while reader.wait(std::time::Duration::from_secs(600)) == kflow_spool::Wait::Ready {
            let batches = acknowledge_all(&mut reader);
            read += records(&batches);
        }
        (read, reader.stats().read())
    });
    commit_each(&mut writer, 0..2000);
    writer.close().unwrap();
    let (read, stats) = reading.join().unwrap();
    assert_eq!(stats.waiting, Tally::default());
    assert_eq!(stats.acknowledged.records, read);
    assert_eq!(read + stats.dropped(Reason::Cap).records, (0..2000).sum::<u64>());
}

/// What a spool holds after many processes opened it and were killed at once.
fn open_and_kill(mut fs: ModelFs, config: &Config) -> (ModelFs, Vec<u64>) {
    let (writer, mut reader) = open_with(&fs, config.clone());
    let before = sequences(&drain(&mut reader));
    drop((writer, reader));
    for _ in 0..20 {
        fs = fs.kill();
        drop(open_with(&fs, config.clone()).0.stats());
    }
    let fs = fs.kill();
    let (_writer, mut reader) = open_with(&fs, config.clone());
    assert_eq!(sequences(&drain(&mut reader)), before);
    (fs.kill(), before)
}

#[test]
fn to_open_a_spool_again_and_again_costs_nothing_that_waits() {
    for (capacity, disk_free_min) in [(u64::MAX, 0), (10, 0), (20, 12)] {
        let fs = ModelFs::default();
        fs.set_capacity(capacity.saturating_mul(SEGMENT_BYTES));
        let config = Config { disk_free_min: disk_free_min * SEGMENT_BYTES, ..config(9) };
        let (mut writer, reader) = open_with(&fs, config.clone());
        commit_each(&mut writer, 0..100);
        assert!(!writer.stats().read().dropped_for_any_reason().is_zero());
        let fs = fs.kill();
        drop((writer, reader));
        let (_, left) = open_and_kill(fs, &config);
        assert!(left.len() > 10, "{}", left.len());
    }
}

#[test]
fn what_waits_on_a_disk_that_others_have_filled_can_be_acknowledged() {
    let fs = ModelFs::default();
    let (mut writer, reader) = open_with(&fs, config(1000));
    commit_each(&mut writer, 0..20);
    drop((writer, reader));
    let taken: usize = fs.files().values().map(|file| file.len().next_multiple_of(4096)).sum();
    fs.set_capacity(taken as u64);
    let (writer, mut reader) = open_with(&fs, config(1000));
    let batches = drain(&mut reader);
    assert_eq!(batches.len(), 20);
    // To the block: not even the next cursor fits.
    let taken: usize = fs.files().values().map(|file| file.len().next_multiple_of(4096)).sum();
    fs.set_capacity(taken as u64);
    let fs = fs.kill();
    drop((writer, reader));
    let (_writer, mut reader) = open_with(&fs, config(1000));
    assert_eq!(drain(&mut reader).len(), 20);
    reader.acknowledge(batches[9].sequence).unwrap();
    assert_eq!(reader.stats().read().acknowledged.batches, 10);
}

#[test]
fn a_cap_below_the_only_segment_holds_too() {
    let fs = ModelFs::default();
    let large = Config { segment_bytes: 256 << 10, bytes_max: 2 << 20, ..config(0) };
    let (mut writer, reader) = open_with(&fs, large);
    for records in 0..60 {
        writer.append(&[1; 3000], records, 1).unwrap();
    }
    writer.commit().unwrap();
    drop((writer, reader));
    let (mut writer, mut reader) = open_with(&fs, config(6));
    commit_each(&mut writer, 60..62);
    let stats = writer.stats().read();
    assert!(stats.file_bytes <= config(6).bytes_max, "{stats:?}");
    assert_eq!(stats.dropped(Reason::Cap).records + records(&drain(&mut reader)), (0..62).sum::<u64>());
}
