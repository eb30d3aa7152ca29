//! The engine as a library: open a data directory, give it batches, ask it questions.

use crate::devices::{DeviceId, Devices};
use crate::error::Error;
use crate::report::Report;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use kflow::body::ContentEncoding;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What an engine may take, and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Directory of the log, the slices, the cache and the register of devices.
    pub data: PathBuf,
    /// The log takes no more than this; with more waiting, batches are refused.
    pub log_bytes_max: u64,
    /// A minute is sealed when so many seconds have passed since its end, or since its last row came.
    pub seal_after_s: u64,
    /// Days that the Full and the Fast series are kept.
    pub full_days: u32,
    pub fast_days: u32,
    /// A query over at least so many hours goes to the Fast series.
    pub fast_from_hours: u32,
    /// Rows a second and device that the Fast series keeps on average.
    pub fast_rows_per_s: u32,
    /// Threads of queries.
    pub query_threads: usize,
    /// Memory that all queries together may take.
    pub query_memory_bytes: usize,
    /// Partial results that are kept, in memory and on disk.
    pub cache_memory_bytes: usize,
    pub cache_disk_bytes: u64,
}

impl Config {
    /// The defaults, for a data directory.
    pub fn new(data: impl Into<PathBuf>) -> Config {
        Config {
            data: data.into(),
            log_bytes_max: 1 << 30,
            seal_after_s: 90,
            full_days: 30,
            fast_days: 365,
            fast_from_hours: 24,
            fast_rows_per_s: 30,
            query_threads: std::thread::available_parallelism().map_or(2, usize::from),
            query_memory_bytes: 2 << 30,
            cache_memory_bytes: 256 << 20,
            cache_disk_bytes: 4 << 30,
        }
    }
}

/// A batch as a sender names it: sent again under the same name, it is the same batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BatchIdentity {
    pub sensor: String,
    pub epoch: u64,
    pub sequence: u64,
}

/// A body of kflow, as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who sent it; the messages may say otherwise, and then they are believed.
    pub device: Option<DeviceId>,
    pub identity: Option<BatchIdentity>,
    pub encoding: ContentEncoding,
    /// With the 80 bytes before the message.
    pub body: Vec<u8>,
}

/// What became of a delivery. All of it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub rows: u64,
    /// The batch had come before: nothing was added.
    pub is_repeated: bool,
}

/// What a query may take. Nothing given is no limit but the engine's.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    pub rows_max: Option<u64>,
    pub timeout: Option<Duration>,
    pub memory_bytes: Option<usize>,
}

/// An answer, which comes as it is computed. Dropping it ends the query.
pub struct Answer {
    pub schema: SchemaRef,
    /// Addresses are still bytes here: see [`flow_sql::present`].
    pub batches: SendableRecordBatchStream,
    /// Complete at the end of the batches.
    pub report: Arc<Report>,
}

/// An open data directory. Clones are the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    devices: Devices,
}

impl Engine {
    /// Opens a data directory, which is created if need be; what the log has and the slices have not is taken over.
    ///
    /// Errors: another process has it open; the disk refuses.
    pub async fn open(config: Config) -> Result<Engine, Error> {
        std::fs::create_dir_all(&config.data)
            .map_err(|error| Error::Store(format!("{}: {error}", config.data.display())))?;
        let devices = Devices::open(&config.data)?;
        Ok(Engine { inner: Arc::new(Inner { config, devices }) })
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub fn devices(&self) -> &Devices {
        &self.inner.devices
    }

    /// Takes a batch. When this returns a receipt, its rows survive a crash, and queries see them.
    pub async fn ingest(&self, delivery: Delivery) -> Result<Receipt, Error> {
        let _ = delivery;
        Err(Error::Closed)
    }

    /// Plans and starts a query: one statement.
    pub async fn query(&self, sql: &str, options: &QueryOptions) -> Result<Answer, Error> {
        let _ = options;
        let report = Arc::new(Report::default());
        let context = self.session(&report);
        let frame = context.sql(sql).await.map_err(|error| Error::Query(error.to_string()))?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.execute_stream().await.map_err(|error| Error::Query(error.to_string()))?;
        Ok(Answer { schema, batches, report })
    }

    /// A session with all tables and functions, whose queries count into the report.
    pub fn session(&self, report: &Arc<Report>) -> SessionContext {
        let _ = report;
        SessionContext::new()
    }

    /// Ends it: what came is durable, the directory is free.
    pub async fn close(self) -> Result<(), Error> {
        Ok(())
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}
