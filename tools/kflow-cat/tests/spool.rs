//! kflow spool as its users run it.

use kflow_spool::fs::RealFs;
use kflow_spool::{Config, Reader, Writer};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// A directory of its own for a test, removed afterwards.
struct TestDirectory(PathBuf);

impl TestDirectory {
    fn new(test: &str) -> TestDirectory {
        let path = std::env::temp_dir().join(format!("kflow-spool-tool-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        TestDirectory(path)
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(directory: &Path) -> (Writer, Reader) {
    let config = Config { segment_bytes: 16 << 10, disk_free_min: 0, ..Config::default() };
    let fs = Arc::new(RealFs::create(directory).unwrap());
    let (writer, reader, _) = kflow_spool::open(fs, config).unwrap();
    (writer, reader)
}

/// Two segments of ten batches with 100 records each, of which three were acknowledged.
fn fill(directory: &Path) -> (Writer, Reader) {
    let (mut writer, mut reader) = open(directory);
    for _ in 0..10 {
        writer.append(&[1; 2000], 100, 7).unwrap();
    }
    writer.commit().unwrap();
    let third = (0..3).map(|_| reader.next().unwrap().unwrap().sequence).last().unwrap();
    reader.acknowledge(third).unwrap();
    (writer, reader)
}

fn run(verb: &str, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kflow"));
    command.args(["spool", verb]).arg(directory).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The first segment, with one byte of its second batch changed.
fn damage(directory: &Path) {
    let path = directory.join("00000000000000000001.segment");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 + 2064 + 500] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn segments_are_listed_with_what_waits_in_them() {
    let directory = TestDirectory::new("ls");
    drop(fill(&directory.0));
    let output = run("ls", &directory.0);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["1", "1-5", "5", "500", "10000", "3", "2", "0"]);
    assert_eq!(lines[2], ["2", "6-10", "5", "500", "10000", "closed", "0", "5", "0"]);
    assert_eq!(text.lines().last().unwrap(), "7 batches wait, 700 records in 14000 bytes");
}

#[test]
fn batches_are_listed_one_by_one() {
    let directory = TestDirectory::new("batches");
    drop(fill(&directory.0));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kflow"));
    let output = command.args(["spool", "ls", "--batches"]).arg(&directory.0).output().unwrap();
    let text = stdout(&output);
    assert_eq!(text.lines().filter(|line| line.contains("kind 7, at byte ")).count(), 10, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(" done ")).count(), 3, "{text}");
}

#[test]
fn a_spool_in_use_can_be_looked_at_and_not_repaired() {
    let directory = TestDirectory::new("in-use");
    let _spool = fill(&directory.0);
    assert!(run("ls", &directory.0).status.success());
    let verified = run("verify", &directory.0);
    assert!(verified.status.success(), "{}", stdout(&verified));
    let repaired = run("repair", &directory.0);
    assert_eq!(repaired.status.code(), Some(1));
    assert!(stderr(&repaired).contains("another process has the spool open"), "{}", stderr(&repaired));
}

#[test]
fn a_spool_that_is_whole_is_found_so() {
    let directory = TestDirectory::new("whole");
    drop(fill(&directory.0));
    let output = run("verify", &directory.0);
    assert!(output.status.success(), "{}", stdout(&output));
    assert_eq!(stdout(&output), "10 batches are whole, 1000 records in 20000 bytes\n");
}

#[test]
fn damage_is_told_with_its_place_and_what_it_costs() {
    let directory = TestDirectory::new("damage");
    drop(fill(&directory.0));
    damage(&directory.0);
    let before = fs::read(directory.0.join("00000000000000000001.segment")).unwrap();
    let output = run("verify", &directory.0);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("segment 1: 2064 bytes damaged at byte 6160"), "{text}");
    assert!(text.contains("segment 1: 1 batches lost, 100 records"), "{text}");
    assert!(text.contains("9 batches are whole"), "{text}");
    assert_eq!(fs::read(directory.0.join("00000000000000000001.segment")).unwrap(), before);
}

#[test]
fn repair_tells_what_opening_does_and_loses_nothing() {
    let directory = TestDirectory::new("repair");
    drop(fill(&directory.0));
    // What a process leaves that dies while it writes.
    let newest = directory.0.join("00000000000000000002.segment");
    let mut bytes = fs::read(&newest).unwrap();
    let end = bytes.len() - 64;
    bytes.truncate(end);
    bytes.extend([0x77; 1000]);
    fs::write(&newest, bytes).unwrap();
    let output = run("repair", &directory.0);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("1000 bytes of a torn end were cut off"), "{}", stdout(&output));
    let (_writer, mut reader) = open(&directory.0);
    assert_eq!(std::iter::from_fn(|| reader.next().unwrap()).count(), 7);
}

#[test]
fn a_directory_without_a_spool_is_left_alone() {
    let directory = TestDirectory::new("none");
    for verb in ["ls", "verify", "repair"] {
        let output = run(verb, &directory.0);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("there is no spool in"), "{}", stderr(&output));
    }
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[test]
fn the_help_has_examples() {
    for arguments in
        [&["--help"][..], &["spool", "--help"], &["spool", "verify", "--help"], &["cat", "--help"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_kflow")).args(arguments).output().unwrap();
        assert!(output.status.success());
        assert!(stdout(&output).contains("Examples:\n  kflow "), "{arguments:?}: {}", stdout(&output));
    }
}
