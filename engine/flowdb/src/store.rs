//! The store: rows that are open, parts that are sealed, and how the one becomes the other.
//!
//! ```text
//!          apply                freeze                     commit
//! batch ──────────► open slice ────────► frozen ─► files ────────► parts (Full, Fast)
//!                   by minute            sorted    durable         by minute
//! ```
//!
//! A query takes a snapshot of all three under one lock, so it sees every row once. Rows are in the log until the commit
//! that has them; up to where the log may forget is what [`Store::releasable`] says.

mod check;
mod compact;
mod parts;
mod seal;

pub use check::{Checked, DamagedPart};
pub use parts::Part;
pub use seal::{Due, Sealed};

use crate::devices::DeviceId;
use crate::engine::BatchIdentity;
use crate::error::Error;
use crate::files::Files;
use crate::manifest::{Commit, LogPosition, Manifest, ManifestReport, PartId, Series};
use crate::minute::{Minute, Span};
use crate::rows::MinuteRows;
use crate::seen::Seen;
use datafusion::arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parts::{MetadataCache, PartsByMinute};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

/// What the store keeps, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub seal_after_ms: i64,
    pub full_days: u32,
    pub fast_days: u32,
    pub fast_rows_per_s: u32,
    /// Open rows take no more memory than this, about: with more they are sealed at once.
    pub open_bytes_max: usize,
}

/// The slices of all devices.
#[derive(Debug)]
pub struct Store {
    files: Files,
    ends: MetadataCache,
    limits: Limits,
    state: RwLock<State>,
    manifest: tokio::sync::Mutex<Manifest>,
    /// Files that no part is in any more, and the parts that were: removed once no query has them.
    doomed: std::sync::Mutex<Vec<Doomed>>,
}

#[derive(Debug)]
struct Doomed {
    file: String,
    readers: Vec<Weak<Part>>,
}

#[derive(Debug, Default)]
struct State {
    devices: HashMap<DeviceId, DeviceSlices>,
    seen: Seen,
    next_part: u64,
    /// Up to where the log is in here.
    applied: LogPosition,
    /// Up to where the log is in parts, by device and minute: for what is read from the log again.
    covered: HashMap<(DeviceId, Minute), u64>,
    open_bytes: usize,
}

#[derive(Debug, Default)]
struct DeviceSlices {
    full: PartsByMinute,
    fast: PartsByMinute,
    open: BTreeMap<Minute, OpenSlice>,
    /// Frozen and not yet committed, in order.
    frozen: Vec<Arc<Frozen>>,
}

#[derive(Debug, Default)]
struct OpenSlice {
    batches: Vec<RecordBatch>,
    /// Of the log.
    first_sequence: u64,
    first_arrival_ms: i64,
    bytes: usize,
}

/// Rows that go to the disk.
#[derive(Debug)]
pub struct Frozen {
    pub device: DeviceId,
    pub minute: Minute,
    pub batches: Vec<RecordBatch>,
    pub log: LogPosition,
    first_sequence: u64,
    bytes: usize,
}

/// What a query reads of a device: every row of a span once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub parts: Vec<Arc<Part>>,
    /// Rows that are in no part yet.
    pub open: Vec<OpenRows>,
}

#[derive(Clone, Debug)]
pub struct OpenRows {
    pub minute: Minute,
    pub batches: Vec<RecordBatch>,
}

/// Counts of what a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    pub devices: u64,
    pub open_rows: u64,
    pub open_bytes: u64,
    pub full: SeriesStats,
    pub fast: SeriesStats,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SeriesStats {
    pub parts: u64,
    pub rows: u64,
    pub bytes: u64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
}

impl Store {
    /// Reads the manifest, and removes files that no commit knows: they were being written when a process ended, and their
    /// rows are in the log.
    pub async fn open(
        files: Files,
        limits: Limits,
        log_epoch: u64,
    ) -> Result<(Store, ManifestReport), Error> {
        let (manifest, report) = Manifest::open(files.clone()).await?;
        let holdings = manifest.holdings();
        let mut state = State {
            seen: Seen::new(holdings.seen.clone()),
            next_part: holdings.next_part.max(1),
            applied: LogPosition { epoch: log_epoch, sequence: 0 },
            ..State::default()
        };
        for entry in holdings.parts.values() {
            state.next_part = state.next_part.max(entry.id.0 + 1);
            if entry.log.epoch == log_epoch && entry.series == Series::Full {
                let covered = state.covered.entry((entry.device, entry.from)).or_default();
                *covered = entry.log.sequence.max(*covered);
            }
            let slices = state.devices.entry(entry.device).or_default();
            slices.series(entry.series).insert(Arc::new(Part::new(entry.clone())));
        }
        if report.damaged.is_empty() {
            let known: std::collections::HashSet<&str> =
                holdings.parts.values().map(|entry| entry.file.as_str()).collect();
            for directory in [FULL, FAST] {
                for (name, _) in files.list(directory).await? {
                    if !known.contains(name.as_str()) {
                        files.remove(&name).await?;
                    }
                }
            }
        }
        let manifest = tokio::sync::Mutex::new(manifest);
        let doomed = std::sync::Mutex::default();
        let ends = MetadataCache::default();
        Ok((Store { files, ends, limits, state: RwLock::new(state), manifest, doomed }, report))
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Where the columns of a part are in its file.
    pub async fn metadata(&self, part: &Part) -> Result<ArrowReaderMetadata, Error> {
        self.ends.of(&self.files, part.entry()).await
    }

    /// Whether a batch came before.
    pub fn has_seen(&self, batch: &BatchIdentity) -> bool {
        self.read().seen.contains(batch)
    }

    /// Takes the rows of a batch that the log has at this sequence. Sequences come in order. Rows that are in parts already
    /// are left out, which happens when the log is read again.
    pub fn apply(&self, sequence: u64, identity: Option<&BatchIdentity>, rows: Vec<MinuteRows>, now_ms: i64) {
        let mut state = self.write();
        state.applied.sequence = state.applied.sequence.max(sequence);
        if let Some(identity) = identity {
            state.seen.insert(identity);
        }
        for rows in rows {
            if state.covered.get(&(rows.device, rows.minute)).is_some_and(|&covered| sequence <= covered) {
                continue;
            }
            state.add_open(rows, sequence, now_ms);
        }
    }

    /// The log was read again: what comes now is new.
    pub fn end_replay(&self) {
        self.write().covered = HashMap::new();
    }

    /// Up to which sequence the log may forget: everything before is in parts.
    pub fn releasable(&self) -> u64 {
        let state = self.read();
        let of_device = |slices: &DeviceSlices| {
            let open = slices.open.values().map(|slice| slice.first_sequence);
            open.chain(slices.frozen.iter().map(|frozen| frozen.first_sequence)).min()
        };
        let first = state.devices.values().filter_map(of_device).min();
        first.map_or(state.applied.sequence, |first| first.saturating_sub(1))
    }

    /// What a query over a span reads of a device. Rows that are not sealed are in both series.
    pub fn snapshot(&self, device: DeviceId, series: Series, span: Span) -> Snapshot {
        let state = self.read();
        let Some(slices) = state.devices.get(&device) else { return Snapshot::default() };
        let parts = match series {
            Series::Full => slices.full.touching(span),
            Series::Fast => slices.fast.touching(span),
        };
        let minutes = span.minutes();
        let open = slices.open.range(minutes.clone()).map(|(&minute, slice)| (minute, &slice.batches));
        let frozen = slices.frozen.iter().map(|frozen| (frozen.minute, &frozen.batches));
        let frozen = frozen.filter(|(minute, _)| minutes.contains(minute));
        let open = open.chain(frozen).map(|(minute, batches)| OpenRows { minute, batches: batches.clone() });
        Snapshot { parts, open: open.collect() }
    }

    /// When the first row of a device began; `None` if there is none.
    pub fn first_ms(&self, device: DeviceId) -> Option<i64> {
        let state = self.read();
        let slices = state.devices.get(&device)?;
        let open = slices.open.keys().chain(slices.frozen.iter().map(|frozen| &frozen.minute));
        let sealed = slices.full.first().into_iter().chain(slices.fast.first());
        open.copied().chain(sealed).min().map(Minute::start_ms)
    }

    pub fn stats(&self) -> Stats {
        let state = self.read();
        let mut stats = Stats {
            devices: state.devices.len() as u64,
            open_bytes: state.open_bytes as u64,
            ..Stats::default()
        };
        for slices in state.devices.values() {
            let open = slices.open.values().flat_map(|slice| &slice.batches);
            let frozen = slices.frozen.iter().flat_map(|frozen| &frozen.batches);
            stats.open_rows += open.chain(frozen).map(|batch| batch.num_rows() as u64).sum::<u64>();
            slices.full.count(&mut stats.full);
            slices.fast.count(&mut stats.fast);
        }
        stats
    }

    /// All parts of a series, for those who look after files.
    pub fn all_parts(&self) -> Vec<Arc<Part>> {
        let state = self.read();
        let slices = state.devices.values();
        slices.flat_map(|slices| slices.full.all().chain(slices.fast.all())).cloned().collect()
    }

    /// Makes a change durable, then visible. The lock of the manifest is held until both are done, so changes come in order.
    async fn commit(
        &self,
        manifest: &mut Manifest,
        mut commit: Commit,
        finish: impl FnOnce(&mut State),
    ) -> Result<(), Error> {
        {
            let mut state = self.write();
            commit.seen = state.seen.take_changed();
            commit.next_part = state.next_part;
        }
        let committed = manifest.commit(&commit).await;
        let mut state = self.write();
        if let Err(error) = committed {
            state.seen.mark_changed(commit.seen.into_keys());
            return Err(error);
        }
        let mut files: HashMap<String, Vec<Weak<Part>>> = HashMap::new();
        for id in &commit.remove {
            for part in state.remove(*id) {
                files.entry(part.entry().file.clone()).or_default().push(Arc::downgrade(&part));
            }
        }
        for entry in &commit.add {
            // A part that moved has its number still.
            for part in state.remove(entry.id) {
                files.entry(part.entry().file.clone()).or_default().push(Arc::downgrade(&part));
            }
            let slices = state.devices.entry(entry.device).or_default();
            slices.series(entry.series).insert(Arc::new(Part::new(entry.clone())));
        }
        finish(&mut state);
        let mut doomed = self.doomed.lock().expect("nothing panics while it is held");
        for (file, readers) in files {
            if !state.has_file(&file) {
                doomed.push(Doomed { file, readers });
            }
        }
        Ok(())
    }

    /// Removes files that nothing is in and nobody reads.
    pub async fn remove_doomed(&self) -> Result<(), Error> {
        let free: Vec<String> = {
            let mut doomed = self.doomed.lock().expect("nothing panics while it is held");
            let (free, kept) = std::mem::take(&mut *doomed)
                .into_iter()
                .partition(|doomed| doomed.readers.iter().all(|reader| reader.strong_count() == 0));
            *doomed = kept;
            free.into_iter().map(|doomed: Doomed| doomed.file).collect()
        };
        for file in free {
            self.files.remove(&file).await?;
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nothing panics while it is held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("nothing panics while it is held")
    }
}

/// Directories of the series' files.
const FULL: &str = "full";
const FAST: &str = "fast";

impl State {
    fn add_open(&mut self, rows: MinuteRows, sequence: u64, now_ms: i64) {
        let bytes = rows.batch.get_array_memory_size();
        let slices = self.devices.entry(rows.device).or_default();
        let slice = slices.open.entry(rows.minute).or_insert_with(|| OpenSlice {
            first_sequence: sequence,
            first_arrival_ms: now_ms,
            ..OpenSlice::default()
        });
        slice.batches.push(rows.batch);
        slice.bytes += bytes;
        self.open_bytes += bytes;
    }

    fn take_part_id(&mut self) -> PartId {
        let id = PartId(self.next_part);
        self.next_part += 1;
        id
    }

    fn remove(&mut self, id: PartId) -> Vec<Arc<Part>> {
        let slices = self.devices.values_mut();
        slices.flat_map(|slices| [slices.full.remove(id), slices.fast.remove(id)]).flatten().collect()
    }

    fn has_file(&self, file: &str) -> bool {
        let mut parts = self.devices.values().flat_map(|slices| slices.full.all().chain(slices.fast.all()));
        parts.any(|part| part.entry().file == file)
    }
}

impl DeviceSlices {
    fn series(&mut self, series: Series) -> &mut PartsByMinute {
        match series {
            Series::Full => &mut self.full,
            Series::Fast => &mut self.fast,
        }
    }
}
