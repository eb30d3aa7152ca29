//! What becomes of batches when there is no room for more and none may be dropped: the newest wait in memory.

mod support;

use kflow_spool::fs::model::ModelFs;
use kflow_spool::{Config, Error, Reader, State, Tally, WhenFull, Writer};
use std::sync::Arc;
use support::*;

fn refusing(segments_max: u64) -> Config {
    Config { when_full: WhenFull::Refuse, ..config(segments_max) }
}

fn open_with(fs: &ModelFs, config: Config) -> (Writer, Reader) {
    let (writer, reader, _) = kflow_spool::open(Arc::new(fs.clone()), config).unwrap();
    (writer, reader)
}

/// Appends and commits batches of one record each until that is refused, and returns how many were appended.
fn fill(writer: &mut Writer) -> u64 {
    for count in 1..10_000 {
        writer.append(&[count as u8; 3000], 1, 1).unwrap();
        match writer.commit() {
            Ok(_) => {}
            Err(Error::NoRoom { .. }) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nothing is ever refused");
}

fn taken(fs: &ModelFs) -> u64 {
    fs.files().values().map(|file| file.len().next_multiple_of(4096) as u64).sum()
}

/// Reads and acknowledges in turns with commits, and returns how many batches there were.
fn drain_all(writer: &mut Writer, reader: &mut Reader) -> u64 {
    let mut count = 0;
    loop {
        let batches = acknowledge_all(reader);
        if batches.is_empty() {
            return count;
        }
        count += batches.len() as u64;
        writer.commit().unwrap();
    }
}

#[test]
fn at_the_cap_a_commit_is_refused_and_nothing_is_dropped() {
    let fs = ModelFs::default();
    let (mut writer, mut reader) = open_with(&fs, refusing(6));
    let appended = fill(&mut writer);
    assert!(appended > 10, "{appended}");
    let stats = writer.stats().read();
    assert_eq!((stats.state, stats.uncommitted.batches), (State::NoRoom, 1));
    assert_eq!(stats.appended.batches, appended - 1);
    assert!(taken(&fs) <= refusing(6).bytes_max);
    // Again is no better, and changes nothing.
    assert!(matches!(writer.commit(), Err(Error::NoRoom { .. })));
    assert_eq!(drain_all(&mut writer, &mut reader), appended);
    let stats = writer.stats().read();
    assert_eq!((stats.state, stats.uncommitted), (State::Working, Tally::default()));
    assert_eq!(stats.dropped_for_any_reason(), Tally::default());
}

#[test]
fn a_segment_that_is_acknowledged_makes_room_for_the_next_commit() {
    let fs = ModelFs::default();
    let (mut writer, mut reader) = open_with(&fs, refusing(4));
    let mut appended = fill(&mut writer);
    let mut read = Vec::new();
    for _ in 0..50 {
        // A segment holds three of these.
        for _ in 0..3 {
            read.push(reader.next().unwrap().unwrap().sequence);
        }
        reader.acknowledge(*read.last().unwrap()).unwrap();
        writer.commit().unwrap();
        appended += fill(&mut writer);
        assert!(taken(&fs) <= refusing(4).bytes_max);
    }
    assert_eq!(read.len() as u64 + drain_all(&mut writer, &mut reader), appended);
    assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
}

#[test]
fn an_append_is_refused_when_the_group_is_full_too() {
    let fs = ModelFs::default();
    let config = Config { group_bytes_max: 20_000, ..refusing(4) };
    let (mut writer, mut reader) = open_with(&fs, config);
    let mut appended = fill(&mut writer);
    while writer.append(&[1; 3000], 1, 1).is_ok() {
        appended += 1;
        assert!(appended < 1000, "an append is never refused");
    }
    assert!(writer.stats().read().uncommitted.bytes <= 20_000);
    assert_eq!(drain_all(&mut writer, &mut reader), appended);
    writer.append(&[1; 3000], 1, 1).unwrap();
}

#[test]
fn a_low_disk_refuses_until_it_has_room_again() {
    for (capacity, disk_free_min) in [(20, 10), (8, 0)] {
        let fs = ModelFs::default();
        fs.set_capacity(capacity * SEGMENT_BYTES);
        let config = Config { disk_free_min: disk_free_min * SEGMENT_BYTES, ..refusing(1000) };
        let (mut writer, mut reader) = open_with(&fs, config);
        let appended = fill(&mut writer);
        assert!(taken(&fs) <= (capacity - disk_free_min) * SEGMENT_BYTES);
        fs.set_capacity(100 * SEGMENT_BYTES);
        writer.commit().unwrap();
        assert_eq!(acknowledge_all(&mut reader).len() as u64, appended);
        assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
    }
}

#[test]
fn a_smaller_cap_drops_nothing_either() {
    let fs = ModelFs::default();
    let (mut writer, reader) = open_with(&fs, refusing(50));
    let committed = fill(&mut writer) - 1;
    let fs = fs.kill();
    drop((writer, reader));
    let (mut writer, mut reader) = open_with(&fs, refusing(6));
    // Nobody knows whether the last one was committed before the process was killed, so it is to be written anew.
    assert_eq!(writer.stats().read().state, State::NoRoom);
    assert!(matches!(writer.append(b"more", 1, 1), Err(Error::NoRoom { .. })));
    assert_eq!(drain_all(&mut writer, &mut reader), committed);
    assert!(taken(&fs) <= refusing(6).bytes_max);
    assert_eq!(writer.stats().read().dropped_for_any_reason(), Tally::default());
}

#[test]
fn what_is_in_doubt_on_a_full_disk_is_still_there_after_another_crash() {
    for when_full in [WhenFull::Refuse, WhenFull::DropOldest] {
        let config = Config { when_full, ..config(1000) };
        let fs = ModelFs::default();
        let (mut writer, mut reader) = open_with(&fs, config.clone());
        append(&mut writer, b"acknowledged");
        writer.commit().unwrap();
        acknowledge_all(&mut reader);
        append(&mut writer, b"committed");
        writer.commit().unwrap();
        let files = fs.kill().files();
        let segments = files.into_iter().filter(|(name, _)| name != "spare");
        let fs = ModelFs::from_files(segments.collect());
        // What the end of the segment gives back is not enough for another one.
        fs.set_capacity(taken(&fs));
        let (mut writer, reader) = open_with(&fs, config.clone());
        assert_eq!(writer.stats().read().state, State::NoRoom);
        assert!(matches!(writer.commit(), Err(Error::NoRoom { .. })));
        assert_eq!(writer.stats().read().uncommitted.batches, 1);
        let fs = fs.kill();
        fs.set_capacity(u64::MAX);
        drop((writer, reader));
        let (_writer, mut reader) = open_with(&fs, config);
        assert_eq!(drain(&mut reader)[0].payload, b"committed");
    }
}
