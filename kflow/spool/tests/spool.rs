//! A spool as its users see it, on the files of the operating system.

mod support;

use kflow_spool::fs::RealFs;
use kflow_spool::{Error, Reader, Recovery, Sequence, State, Tally, Wait, Writer};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use support::*;

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_secs(600);

fn open_real(path: &Path) -> (Writer, Reader, Recovery) {
    let fs = RealFs::create(path).unwrap();
    kflow_spool::open(Arc::new(fs), config(100)).unwrap()
}

#[test]
fn what_is_committed_is_handed_out_in_order() {
    let directory = TestDirectory::new("order");
    let (mut writer, mut reader, recovery) = open_real(directory.path());
    assert!(recovery.is_new);
    assert_eq!(writer.append(b"first", 10, 3).unwrap(), Sequence(1));
    assert_eq!(writer.append(b"", 0, 4).unwrap(), Sequence(2));
    assert_eq!(writer.commit().unwrap(), Sequence(2));
    let batches = drain(&mut reader);
    assert_eq!(sequences(&batches), [1, 2]);
    assert_eq!((batches[0].records, batches[0].kind, &batches[0].payload[..]), (10, 3, &b"first"[..]));
    assert_eq!((batches[1].records, batches[1].kind, &batches[1].payload[..]), (0, 4, &b""[..]));
}

#[test]
fn what_is_not_committed_is_not_handed_out() {
    let directory = TestDirectory::new("uncommitted");
    let (mut writer, mut reader, _) = open_real(directory.path());
    append(&mut writer, b"waits");
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!(writer.stats().read().uncommitted, Tally { batches: 1, records: 5, bytes: 5 });
    writer.commit().unwrap();
    assert_eq!(drain(&mut reader).len(), 1);
}

#[test]
fn what_is_acknowledged_does_not_come_again() {
    let directory = TestDirectory::new("acknowledged");
    let (mut writer, mut reader, _) = open_real(directory.path());
    for payload in [b"one", b"two", b"six"] {
        append(&mut writer, payload);
    }
    writer.commit().unwrap();
    let batches = drain(&mut reader);
    reader.acknowledge(batches[1].sequence).unwrap();
    drop((writer, reader));

    let (mut writer, mut reader, recovery) = open_real(directory.path());
    assert!(recovery.was_closed);
    assert_eq!(recovery.waiting, Tally { batches: 1, records: 3, bytes: 3 });
    assert_eq!(drain(&mut reader), batches[2..]);
    assert_eq!(append(&mut writer, b"new"), Sequence(4));
    let stats = writer.stats().read();
    assert_eq!((stats.appended.batches, stats.acknowledged.batches, stats.waiting.batches), (3, 2, 1));
}

#[test]
fn the_epoch_lasts_as_long_as_the_spool() {
    let directory = TestDirectory::new("epoch");
    let epoch = open_real(directory.path()).0.epoch();
    assert_eq!(open_real(directory.path()).1.epoch(), epoch);
    fs::remove_dir_all(directory.path()).unwrap();
    assert_ne!(open_real(directory.path()).0.epoch(), epoch);
}

#[test]
fn acknowledged_segments_are_removed() {
    let directory = TestDirectory::new("removed");
    let (mut writer, mut reader, _) = open_real(directory.path());
    for _ in 0..100 {
        append(&mut writer, &[7; 1000]);
    }
    writer.commit().unwrap();
    let segments = || {
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".segment")).count()
    };
    assert_eq!(segments(), 10);
    assert_eq!(acknowledge_all(&mut reader).len(), 100);
    assert_eq!(segments(), 1);
    assert_eq!(reader.stats().read().segments, 1);
}

#[test]
fn a_second_opening_is_refused_until_the_first_one_ends() {
    let directory = TestDirectory::new("lock");
    let (writer, reader, _) = open_real(directory.path());
    let again = || kflow_spool::open(Arc::new(RealFs::create(directory.path()).unwrap()), config(100));
    assert!(matches!(again(), Err(Error::Locked)));
    let stats = writer.stats();
    drop(writer);
    assert!(matches!(again(), Err(Error::Locked)));
    drop(reader);
    assert!(again().is_ok());
    assert_eq!(stats.read().state, State::Closed);
}

#[test]
fn a_batch_that_fits_into_no_segment_is_refused() {
    let directory = TestDirectory::new("large");
    let (mut writer, mut reader, _) = open_real(directory.path());
    let largest = SEGMENT_BYTES as usize - 4096 - 64;
    assert!(matches!(writer.append(&vec![1; largest + 1], 1, 1), Err(Error::TooLarge { .. })));
    append(&mut writer, &vec![2; largest]);
    writer.commit().unwrap();
    assert_eq!(drain(&mut reader)[0].payload.len(), largest);
}

#[test]
fn a_group_that_gets_too_large_is_committed() {
    let directory = TestDirectory::new("group");
    let (mut writer, mut reader, _) = open_real(directory.path());
    for _ in 0..=1024 {
        append(&mut writer, &[1; 1024]);
    }
    let committed = drain(&mut reader).len();
    assert!((900..=1024).contains(&committed), "{committed}");
}

#[test]
fn only_what_was_handed_out_can_be_acknowledged() {
    let directory = TestDirectory::new("handed-out");
    let (mut writer, mut reader, _) = open_real(directory.path());
    append(&mut writer, b"a");
    append(&mut writer, b"b");
    writer.commit().unwrap();
    let first = reader.next().unwrap().unwrap().sequence;
    assert!(matches!(reader.acknowledge(Sequence(first.0 + 1)), Err(Error::NotHandedOut { .. })));
    reader.acknowledge(first).unwrap();
    reader.acknowledge(first).unwrap();
    assert_eq!(reader.stats().read().acknowledged.batches, 1);
}

#[test]
fn waiting_ends_with_a_commit_and_with_the_writer() {
    let directory = TestDirectory::new("wait");
    let (mut writer, mut reader, _) = open_real(directory.path());
    assert_eq!(reader.wait(Duration::ZERO), Wait::TimedOut);
    let waiting = thread::spawn(move || {
        assert_eq!(reader.wait(FOREVER), Wait::Ready);
        assert_eq!(acknowledge_all(&mut reader).len(), 1);
        assert_eq!(reader.wait(FOREVER), Wait::Closed);
    });
    append(&mut writer, b"at last");
    writer.commit().unwrap();
    // The end is only told when there is nothing left to read.
    writer.close().unwrap();
    waiting.join().unwrap();
}

#[test]
fn the_state_tells_that_the_writer_is_gone() {
    let directory = TestDirectory::new("state");
    let (writer, reader, _) = open_real(directory.path());
    assert_eq!(reader.stats().read().state, State::Working);
    drop(writer);
    assert_eq!(reader.stats().read().state, State::Closed);
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let directory = TestDirectory::new("config");
    let refused = |config| {
        let fs = Arc::new(RealFs::create(directory.path()).unwrap());
        assert!(matches!(kflow_spool::open(fs, config), Err(Error::Config { .. })));
    };
    refused(config(3));
    refused(kflow_spool::Config { segment_bytes: 10_000, ..config(100) });
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn threads_write_and_read_at_the_same_time() {
    let directory = TestDirectory::new("threads");
    let (mut writer, mut reader, _) = open_real(directory.path());
    let reading = thread::spawn(move || {
        let mut read = 0;
        while reader.wait(FOREVER) == Wait::Ready {
            read += acknowledge_all(&mut reader).len();
        }
        read
    });
    for group in 0..50u8 {
        for _ in 0..10 {
            append(&mut writer, &[group; 700]);
        }
        writer.commit().unwrap();
    }
    let stats = writer.stats();
    writer.close().unwrap();
    assert_eq!(reading.join().unwrap(), 500);
    assert_eq!(stats.read().waiting, Tally::default());
}
