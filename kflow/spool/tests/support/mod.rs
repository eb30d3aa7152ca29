//! What the tests share.

#![allow(dead_code, reason = "each test program uses a part")]

use kflow_spool::fs::Fs;
use kflow_spool::{Batch, Config, Reader, Recovery, Sequence, WhenFull, Writer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The smallest spools there are.
pub const SEGMENT_BYTES: u64 = 16 << 10;

pub fn config(segments_max: u64) -> Config {
    Config {
        bytes_max: segments_max * SEGMENT_BYTES + Config::OTHER_FILES_BYTES,
        segment_bytes: SEGMENT_BYTES,
        disk_free_min: 0,
        group_bytes_max: 1 << 20,
        when_full: WhenFull::DropOldest,
    }
}

pub fn open(fs: &(impl Fs + Clone + 'static)) -> (Writer, Reader, Recovery) {
    kflow_spool::open(Arc::new(fs.clone()), config(1000)).unwrap()
}

/// Takes all there is, without acknowledging it.
pub fn drain(reader: &mut Reader) -> Vec<Batch> {
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

pub fn sequences(batches: &[Batch]) -> Vec<u64> {
    batches.iter().map(|batch| batch.sequence.0).collect()
}

pub fn acknowledge_all(reader: &mut Reader) -> Vec<Batch> {
    let batches = drain(reader);
    if let Some(last) = batches.last() {
        reader.acknowledge(last.sequence).unwrap();
    }
    batches
}

/// Appends a batch of as many records as its payload has bytes.
pub fn append(writer: &mut Writer, payload: &[u8]) -> Sequence {
    writer.append(payload, payload.len() as u32, 1).unwrap()
}

/// A directory of its own for a test, removed afterwards.
pub struct TestDirectory(PathBuf);

impl TestDirectory {
    pub fn new(test: &str) -> TestDirectory {
        TestDirectory::new_in(&std::env::temp_dir(), test)
    }

    pub fn new_in(above: &Path, test: &str) -> TestDirectory {
        let path = above.join(format!("kflow-spool-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        TestDirectory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
