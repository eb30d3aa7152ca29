//! A disk of the operating system that is full or read-only: a small tmpfs. Needs root.

mod support;

use kflow_spool::fs::RealFs;
use kflow_spool::{Config, Error, Reader, Reason, State, Writer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::{SEGMENT_BYTES, TestDirectory, acknowledge_all, append, config, drain};

/// A file system of its own, unmounted afterwards.
struct Mount(TestDirectory);

impl Mount {
    /// `None` if this process may not mount.
    fn new(test: &str, bytes: u64) -> Option<Mount> {
        let mount = Mount(TestDirectory::new(test));
        let size = format!("size={bytes}");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "none", mount.text()]);
        if !mounted {
            eprintln!("skipped: mounting a tmpfs needs root");
            return None;
        }
        Some(mount)
    }

    fn text(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn remount(&self, option: &str) {
        assert!(run("mount", &["-o", &format!("remount,{option}"), self.text()]));
    }

    fn open(&self, config: Config) -> (Writer, Reader) {
        let fs = RealFs::create(self.0.path()).unwrap();
        let (writer, reader, _) = kflow_spool::open(Arc::new(fs), config).unwrap();
        (writer, reader)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.text()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn is_full(directory: &Path) -> bool {
    std::fs::write(directory.join("other"), vec![1; SEGMENT_BYTES as usize]).is_err()
}

#[test]
fn on_a_full_disk_the_oldest_make_room_and_are_counted() {
    let Some(mount) = Mount::new("full", 12 * SEGMENT_BYTES) else { return };
    let (mut writer, mut reader) = mount.open(config(1000));
    for records in 0..300 {
        writer.append(&[1; 3000], records, 1).unwrap();
        writer.commit().unwrap();
    }
    let stats = writer.stats().read();
    assert_eq!(stats.state, State::DiskLow);
    let left: u64 = acknowledge_all(&mut reader).iter().map(|batch| u64::from(batch.records)).sum();
    assert!(left > 0);
    assert_eq!(stats.dropped(Reason::DiskLow).records + left, (0..300).sum::<u64>());
}

#[test]
fn a_disk_that_others_fill_is_told_and_used_again_when_there_is_room() {
    let Some(mount) = Mount::new("others", 12 * SEGMENT_BYTES) else { return };
    let (mut writer, mut reader) = mount.open(config(1000));
    let directory = mount.0.path();
    let mut filler = 0;
    while std::fs::write(directory.join(format!("filler-{filler}")), [1; 4096]).is_ok() {
        filler += 1;
    }
    assert!(is_full(directory));
    let mut taken = 0;
    let error = loop {
        writer.append(&[1; 3000], 1, 1).unwrap();
        taken += 1;
        if let Err(error) = writer.commit() {
            break error;
        }
        // The reader keeps up to nothing, so in the end there is one segment, and it may not go.
        assert!(taken < 1000);
        if writer.stats().read().dropped_for_any_reason().batches > 20 {
            break Error::NoRoom { source: std::io::ErrorKind::StorageFull.into() };
        }
    };
    assert!(matches!(error, Error::NoRoom { .. }));
    for filler in 0..filler {
        let _ = std::fs::remove_file(directory.join(format!("filler-{filler}")));
    }
    let _ = std::fs::remove_file(directory.join("other"));
    writer.commit().unwrap();
    let read = acknowledge_all(&mut reader).len() as u64;
    let stats = writer.stats().read();
    assert_eq!(stats.uncommitted.batches, 0);
    assert_eq!(read + stats.dropped(Reason::DiskLow).batches, taken);
}

#[test]
fn a_disk_that_is_mounted_read_only_can_be_read_and_is_used_when_it_is_not_any_more() {
    let Some(mount) = Mount::new("read-only", 12 * SEGMENT_BYTES) else { return };
    let (mut writer, reader) = mount.open(config(1000));
    append(&mut writer, b"one");
    writer.close().unwrap();
    drop(reader);
    mount.remount("ro");
    let (mut writer, mut reader) = mount.open(config(1000));
    let batch = drain(&mut reader).remove(0);
    assert!(matches!(writer.append(b"two", 1, 1), Err(Error::Io { .. })));
    assert_eq!(writer.stats().read().state, State::Failing);
    assert!(matches!(reader.acknowledge(batch.sequence), Err(Error::Io { .. })));
    mount.remount("rw");
    append(&mut writer, b"two");
    writer.commit().unwrap();
    reader.acknowledge(batch.sequence).unwrap();
    assert_eq!(writer.stats().read().state, State::Working);
    assert_eq!(drain(&mut reader)[0].payload, b"two");
}
