//! What tests of the engine share: directories that go away, bodies of kflow, answers as text.

#![allow(dead_code, reason = "no test needs all of it")]

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use flowdb::{Config, Delivery, DeviceId, Engine, Error, NewDevice, QueryOptions, Receipt, ReportSnapshot};
use futures::TryStreamExt;
use kflow::body::{BodyWriter, ContentEncoding};
use kflow::chf::Chf;
use kflow::codec::ChfEncoder;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of a test, removed at its end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        Directory::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// In memory, where there is a file system of that kind.
    pub fn in_memory() -> Directory {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Directory::below(memory) } else { Directory::new() }
    }

    fn below(parent: &Path) -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("flowdb-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn config(&self) -> Config {
        Config { query_threads: 2, log_bytes_max: 16 << 20, ..Config::new(&self.0) }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens an engine that does nothing by itself, with a device.
pub async fn open(directory: &Directory) -> (Engine, DeviceId) {
    let engine = Engine::open_still(directory.config()).await.expect("the directory is fine");
    let new = NewDevice { name: "big_backbone_router".to_owned(), sample_rate: 1, ..NewDevice::default() };
    let device = engine.devices().create(new).expect("the register can be written").id;
    (engine, device)
}

/// A minute of long ago is not taken for now: tests count from this one, an hour before the test began.
pub fn base_ms() -> i64 {
    flowdb::clock::now_ms() / 3_600_000 * 3_600_000 - 2 * 3_600_000
}

pub fn body(records: &[Chf]) -> Vec<u8> {
    let mut encoder = ChfEncoder::default();
    let message = encoder.encode(records).expect("records fit");
    BodyWriter::new(ContentEncoding::Gzip).write(message).to_vec()
}

pub async fn send(engine: &Engine, device: DeviceId, records: &[Chf]) -> Result<Receipt, Error> {
    let body = body(records);
    engine
        .ingest(Delivery { device: Some(device), identity: None, encoding: ContentEncoding::Gzip, body })
        .await
}

/// A flow of one packet per 100 bytes.
pub fn flow(start_ms: i64, source: u32, port: u32, bytes: u64) -> Chf {
    Chf {
        timestamp_nano: start_ms * 1_000_000,
        protocol: 6,
        ipv4_src_addr: 0x0A00_0000 + source,
        ipv4_dst_addr: 0xC000_0201,
        l4_src_port: 40_000,
        l4_dst_port: port,
        in_bytes: bytes,
        in_pkts: bytes.div_ceil(100),
        sample_rate: 1,
        ..Chf::default()
    }
}

/// Rows as text, columns apart by bars.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut lines = Vec::new();
    for batch in batches {
        let formatters: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("every type can be printed"))
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = formatters.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

/// An answer and how it came about.
pub async fn ask(engine: &Engine, sql: &str) -> (Vec<String>, ReportSnapshot) {
    let answer =
        engine.query(sql, &QueryOptions::default()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let report = answer.report;
    let batches: Vec<RecordBatch> =
        answer.batches.try_collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    (lines(&batches), report.snapshot())
}
