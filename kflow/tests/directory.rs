//! The file sinks, on real directories.

use kflow::file::FileReader;
use kflow::sink::{DirectoryConfig, DirectorySink, DirectoryStats, SingleFileSink};
use kflow::{Error, FlowRecord, Sink};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory of its own for a test, removed afterwards.
struct TestDirectory(PathBuf);

impl TestDirectory {
    fn new(test: &str) -> TestDirectory {
        let path = std::env::temp_dir().join(format!("kflow-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        TestDirectory(path)
    }

    fn config(&self) -> DirectoryConfig {
        DirectoryConfig {
            directory: self.0.clone(),
            file_bytes_max: u64::MAX,
            file_age_max: Duration::from_secs(60),
            files_kept_max: None,
            bytes_kept_max: None,
        }
    }

    /// Names in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn count_records(&self, name: &str) -> usize {
        count_records(&self.0.join(name))
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn count_records(path: &Path) -> usize {
    let mut reader = FileReader::new(File::open(path).unwrap());
    let mut count = 0;
    while let Some(records) = reader.read().unwrap() {
        count += records.len();
    }
    count
}

/// Ten records that end at this second.
fn batch(end_s: u64) -> Vec<FlowRecord> {
    vec![FlowRecord { end_ns: end_s * 1_000_000_000, ..FlowRecord::default() }; 10]
}

#[test]
fn a_file_is_open_until_it_is_old_enough() {
    let directory = TestDirectory::new("age");
    let mut sink = DirectorySink::open(directory.config()).unwrap();
    assert!(directory.names().is_empty());
    sink.write(&batch(1000)).unwrap();
    sink.write(&batch(1059)).unwrap();
    assert_eq!(directory.names(), ["flows-19700101T001640Z-000001.kflow.open"]);
    sink.write(&batch(1060)).unwrap();
    assert_eq!(
        directory.names(),
        ["flows-19700101T001640Z-000001.kflow", "flows-19700101T001740Z-000002.kflow.open"]
    );
    assert_eq!(directory.count_records("flows-19700101T001640Z-000001.kflow"), 20);
}

#[test]
fn a_file_is_finished_by_time_though_no_record_comes() {
    let directory = TestDirectory::new("advance");
    let mut sink = DirectorySink::open(directory.config()).unwrap();
    sink.write(&batch(1000)).unwrap();
    sink.advance(1_060_000_000_000).unwrap();
    assert_eq!(directory.names(), ["flows-19700101T001640Z-000001.kflow"]);
}

#[test]
fn a_file_is_finished_when_it_is_large_enough() {
    let directory = TestDirectory::new("size");
    let config = DirectoryConfig { file_bytes_max: 1, ..directory.config() };
    let mut sink = DirectorySink::open(config).unwrap();
    sink.write(&batch(1000)).unwrap();
    sink.write(&batch(1000)).unwrap();
    assert_eq!(
        directory.names(),
        ["flows-19700101T001640Z-000001.kflow", "flows-19700101T001640Z-000002.kflow"]
    );
    assert_eq!(sink.stats().files_finished, 2);
}

#[test]
fn an_empty_batch_makes_no_file() {
    let directory = TestDirectory::new("empty");
    let mut sink = DirectorySink::open(directory.config()).unwrap();
    sink.write(&[]).unwrap();
    sink.close().unwrap();
    assert!(directory.names().is_empty());
}

#[test]
fn closing_and_dropping_finish_the_file() {
    let directory = TestDirectory::new("close");
    let mut sink = DirectorySink::open(directory.config()).unwrap();
    sink.write(&batch(1000)).unwrap();
    sink.close().unwrap();
    assert_eq!(directory.names(), ["flows-19700101T001640Z-000001.kflow"]);
    sink.write(&batch(1001)).unwrap();
    drop(sink);
    assert_eq!(
        directory.names(),
        ["flows-19700101T001640Z-000001.kflow", "flows-19700101T001641Z-000002.kflow"]
    );
}

#[test]
fn no_more_files_are_kept_than_wanted() {
    let directory = TestDirectory::new("files");
    let config = DirectoryConfig { file_bytes_max: 1, files_kept_max: Some(2), ..directory.config() };
    let mut sink = DirectorySink::open(config).unwrap();
    for second in 1..=5 {
        sink.write(&batch(second)).unwrap();
    }
    assert_eq!(
        directory.names(),
        ["flows-19700101T000004Z-000004.kflow", "flows-19700101T000005Z-000005.kflow"]
    );
    assert_eq!(sink.stats().files_removed, 3);
    let DirectoryStats { bytes_removed, bytes_written, .. } = sink.stats();
    let bytes_left: u64 =
        directory.names().iter().map(|name| fs::metadata(directory.0.join(name)).unwrap().len()).sum();
    assert_eq!(bytes_left, bytes_written - bytes_removed);
}

#[test]
fn no_more_bytes_are_kept_than_wanted_but_always_the_newest_file() {
    let directory = TestDirectory::new("bytes");
    fs::write(directory.0.join("notes.txt"), "not ours").unwrap();
    let config = DirectoryConfig { file_bytes_max: 1, bytes_kept_max: Some(1), ..directory.config() };
    let mut sink = DirectorySink::open(config).unwrap();
    for second in 1..=3 {
        sink.write(&batch(second)).unwrap();
    }
    assert_eq!(directory.names(), ["flows-19700101T000003Z-000003.kflow", "notes.txt"]);
}

#[test]
fn a_file_left_open_is_cut_to_whole_messages_and_finished() {
    let directory = TestDirectory::new("recover");
    let mut sink = DirectorySink::open(directory.config()).unwrap();
    sink.write(&batch(1000)).unwrap();
    sink.close().unwrap();
    let finished = directory.0.join("flows-19700101T001640Z-000001.kflow");
    let mut bytes = fs::read(&finished).unwrap();
    let half = bytes.len() / 2;
    bytes.extend_from_within(..half);
    fs::write(directory.0.join("flows-19700101T001700Z-000002.kflow.open"), bytes).unwrap();

    let mut sink = DirectorySink::open(directory.config()).unwrap();
    assert_eq!(sink.stats().files_recovered, 1);
    assert_eq!(directory.count_records("flows-19700101T001700Z-000002.kflow"), 10);
    sink.write(&batch(1100)).unwrap();
    assert_eq!(directory.names()[2], "flows-19700101T001820Z-000003.kflow.open");
}

#[test]
fn a_file_that_another_sink_writes_is_left_alone() {
    let directory = TestDirectory::new("locked");
    let mut first = DirectorySink::open(directory.config()).unwrap();
    first.write(&batch(1000)).unwrap();
    let second = DirectorySink::open(directory.config()).unwrap();
    assert_eq!(second.stats().files_recovered, 0);
    first.write(&batch(1001)).unwrap();
    first.close().unwrap();
    assert_eq!(directory.count_records("flows-19700101T001640Z-000001.kflow"), 20);
}

#[test]
fn a_single_file_is_written_from_its_beginning() {
    let directory = TestDirectory::new("single");
    let path = directory.0.join("flows.kflow");
    fs::write(&path, "something older").unwrap();
    let mut sink = SingleFileSink::create(&path).unwrap();
    sink.write(&batch(1)).unwrap();
    sink.write(&batch(2)).unwrap();
    sink.close().unwrap();
    assert_eq!(count_records(&path), 20);
}

#[test]
fn a_full_device_is_an_error_that_says_so() {
    let mut sink = SingleFileSink::create(Path::new("/dev/full")).unwrap();
    let Err(Error::Io { source, .. }) = sink.write(&batch(1)) else {
        panic!("a full device takes nothing");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
