//! The engine as a library: open a data directory, give it batches, ask it questions.

use crate::cache::{CacheStats, PartialCache};
use crate::clock;
use crate::devices::{DeviceId, Devices};
use crate::error::Error;
use crate::files::Files;
use crate::ingest::Decoder;
use crate::log::{self, Append, Log, LogLimits, Replayed};
use crate::manifest::ManifestReport;
use crate::query;
use crate::report::Report;
use crate::rows::{Arrival, MinuteRows};
use crate::store::{self, Due, Sealed, Store};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionContext;
use kflow::body::ContentEncoding;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinHandle;

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
    /// Rows that are not sealed take no more memory than this, about.
    pub open_memory_bytes: usize,
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
            open_memory_bytes: 1 << 30,
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
    devices: Arc<Devices>,
    store: Arc<Store>,
    log: RwLock<Log>,
    opened: Opening,
    cache: Arc<PartialCache>,
    memory: Arc<RuntimeEnv>,
    /// Queries have threads of their own: however hard they are, batches are taken.
    queries: Option<Runtime>,
    maintenance: Mutex<Option<Maintenance>>,
}

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub replayed: Replayed,
    pub manifest: ManifestReport,
}

/// What an engine holds, and did since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EngineStats {
    pub store: store::Stats,
    pub log_bytes: u64,
    pub cache: CacheStats,
}

#[derive(Debug)]
struct Maintenance {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Between looks at what is due.
const MAINTENANCE_EVERY: Duration = Duration::from_secs(1);
const COMPACTION_EVERY: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 86_400_000;

impl Engine {
    /// Opens a data directory, which is created if need be; what the log has and the slices have not is taken over.
    ///
    /// Errors: another process has it open; the disk refuses.
    pub async fn open(config: Config) -> Result<Engine, Error> {
        let engine = Engine::open_still(config).await?;
        engine.start_maintenance();
        Ok(engine)
    }

    /// The same without a task that seals and compacts as time passes: for tools and tests, which do it themselves.
    pub async fn open_still(config: Config) -> Result<Engine, Error> {
        std::fs::create_dir_all(&config.data)
            .map_err(|error| Error::Store(format!("{}: {error}", config.data.display())))?;
        let limits =
            LogLimits { bytes_max: config.log_bytes_max, age_max_ms: i64::from(config.full_days) * DAY_MS };
        let opened = log::open(&config.data.join("log"), limits)?;
        let devices = Arc::new(Devices::open(&config.data)?);
        let files = Files::local(config.data.clone())?;
        let limits = store::Limits {
            seal_after_ms: i64::try_from(config.seal_after_s).unwrap_or(i64::MAX).saturating_mul(1000),
            full_days: config.full_days,
            fast_days: config.fast_days,
            fast_rows_per_s: config.fast_rows_per_s,
            open_bytes_max: config.open_memory_bytes,
        };
        let (store, manifest) = Store::open(files, limits, opened.epoch()).await?;
        let store = Arc::new(store);
        let (log, replayed) = {
            let store = Arc::clone(&store);
            let replay = move || opened.replay(store);
            tokio::task::spawn_blocking(replay).await.map_err(|_| Error::Closed)??
        };
        let cache = PartialCache::open(
            &config.data.join("cache"),
            config.cache_memory_bytes,
            config.cache_disk_bytes,
        )?;
        let pool = TrackConsumersPool::new(
            FairSpillPool::new(config.query_memory_bytes),
            NonZeroUsize::new(3).expect("it is three"),
        );
        let memory = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(|error| Error::Store(error.to_string()))?;
        let queries = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.query_threads.max(1))
            .thread_name("query")
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()
            .map_err(|error| Error::Store(format!("start threads for queries: {error}")))?;
        let inner = Inner {
            config,
            devices,
            store,
            log: RwLock::new(log),
            opened: Opening { replayed, manifest },
            cache: Arc::new(cache),
            memory,
            queries: Some(queries),
            maintenance: Mutex::new(None),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub fn devices(&self) -> &Devices {
        &self.inner.devices
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    /// What was found when it was opened.
    pub fn opening(&self) -> &Opening {
        &self.inner.opened
    }

    /// Takes a batch. When this returns a receipt, its rows survive a crash, and queries see them.
    pub async fn ingest(&self, delivery: Delivery) -> Result<Receipt, Error> {
        let now_ms = clock::now_ms();
        let Delivery { device, identity, encoding, body } = delivery;
        let age_max_ms = i64::from(self.inner.config.full_days) * DAY_MS;
        let decode = move || {
            let decoded = Decoder::new().decode(&body, encoding, Arrival { device, now_ms, age_max_ms })?;
            Ok((decoded, body))
        };
        let (decoded, body) = tokio::task::spawn_blocking(decode).await.map_err(|_| Error::Closed)??;
        let unknown = decoded.rows.iter().find(|rows| self.inner.devices.by_id(rows.device).is_none());
        if let Some(rows) = unknown {
            return Err(Error::UnknownDevice(format!("number {}", rows.device.0)));
        }
        let append = Append { identity, device, encoding, body, decoded, now_ms };
        let log = self.inner.log.read().await;
        log.append(append).await
    }

    /// Adds rows that are in no log; they are durable when this returns.
    pub async fn import(&self, rows: Vec<MinuteRows>) -> Result<(), Error> {
        self.inner.store.import(rows).await
    }

    /// Plans and starts a query: one statement.
    pub async fn query(&self, sql: &str, options: &QueryOptions) -> Result<Answer, Error> {
        query::start(self, sql, options).await
    }

    /// A session with all tables and functions, whose queries count into the report.
    pub fn session(&self, report: &Arc<Report>) -> SessionContext {
        query::session(self, report, &QueryOptions::default())
    }

    /// Seals what is open, whether its minute is over or not, and lets the log forget it.
    pub async fn seal_all(&self) -> Result<Sealed, Error> {
        let sealed = self.inner.store.seal(Due::All).await?;
        self.release().await;
        Ok(sealed)
    }

    /// Does what is due: seals, joins files, removes what is old.
    pub async fn maintain(&self, now_ms: i64) -> Result<(), Error> {
        self.inner.store.seal(Due::AsTimePasses { now_ms }).await?;
        self.release().await;
        self.inner.store.compact(now_ms).await?;
        self.inner.store.expire(now_ms).await?;
        Ok(())
    }

    async fn release(&self) {
        self.inner.log.read().await.release().await;
    }

    pub async fn stats(&self) -> EngineStats {
        EngineStats {
            store: self.inner.store.stats(),
            log_bytes: self.inner.log.read().await.file_bytes(),
            cache: self.inner.cache.stats(),
        }
    }

    /// Ends it: what came is durable, the directory is free.
    pub async fn close(self) -> Result<(), Error> {
        let maintenance = self.inner.maintenance.lock().expect("nothing panics while it is held").take();
        if let Some(Maintenance { stop, task }) = maintenance {
            let _ = stop.send(true);
            let _ = task.await;
        }
        self.inner.log.write().await.close();
        self.inner.cache.flush();
        Ok(())
    }

    fn start_maintenance(&self) {
        let (stop, stopped) = watch::channel(false);
        let weak = Arc::downgrade(&self.inner);
        let task = tokio::spawn(maintain_until(weak, stopped));
        *self.inner.maintenance.lock().expect("nothing panics while it is held") =
            Some(Maintenance { stop, task });
    }

    pub(crate) fn parts(&self) -> (&Arc<Store>, &Arc<Devices>, &Arc<PartialCache>, &Arc<RuntimeEnv>) {
        let Inner { store, devices, cache, memory, .. } = &*self.inner;
        (store, devices, cache, memory)
    }

    pub(crate) fn queries(&self) -> &tokio::runtime::Handle {
        self.inner.queries.as_ref().expect("it ends with the engine").handle()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime must not wait for its threads on a thread of another.
        if let Some(queries) = self.queries.take() {
            queries.shutdown_background();
        }
    }
}

async fn maintain_until(engine: Weak<Inner>, mut stopped: watch::Receiver<bool>) {
    let mut since_compaction = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(MAINTENANCE_EVERY) => {}
            _ = stopped.changed() => return,
        }
        let Some(inner) = engine.upgrade() else { return };
        let engine = Engine { inner };
        let now_ms = clock::now_ms();
        since_compaction += MAINTENANCE_EVERY;
        let done = if since_compaction >= COMPACTION_EVERY {
            since_compaction = Duration::ZERO;
            engine.maintain(now_ms).await
        } else {
            let sealed = engine.inner.store.seal(Due::AsTimePasses { now_ms }).await;
            engine.release().await;
            sealed.map(|_| ())
        };
        if let Err(error) = done {
            tracing::warn!(%error, "slices cannot be sealed; the rows stay in the log and in memory");
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}
