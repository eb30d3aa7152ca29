//! Sealed parts in memory: what is known of them, and where they are found.

use super::SeriesStats;
use crate::error::Error;
use crate::files::Files;
use crate::manifest::{PartEntry, PartId};
use crate::minute::{Minute, Span};
use crate::summary::Summary;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// A part, and whether it can be read.
#[derive(Debug)]
pub struct Part {
    entry: PartEntry,
    is_damaged: AtomicBool,
}

/// Ends of files, where their columns are: of those that were read lately.
#[derive(Debug, Default)]
pub struct MetadataCache {
    state: Mutex<Ends>,
}

#[derive(Debug, Default)]
struct Ends {
    files: HashMap<String, Known>,
    clock: u64,
}

#[derive(Debug)]
struct Known {
    metadata: Arc<OnceCell<ArrowReaderMetadata>>,
    used: u64,
}

/// Files whose ends are kept: those of two weeks of hours, of some devices.
const FILES_MAX: usize = 2048;

impl MetadataCache {
    pub async fn of(&self, files: &Files, part: &PartEntry) -> Result<ArrowReaderMetadata, Error> {
        let cell = self.cell(&part.file);
        let read = || crate::part::read_metadata(files, &part.file, part.end_checksum);
        cell.get_or_try_init(read).await.cloned()
    }

    fn cell(&self, name: &str) -> Arc<OnceCell<ArrowReaderMetadata>> {
        let mut state = self.state.lock().expect("nothing panics while it is held");
        state.clock += 1;
        let Ends { files, clock } = &mut *state;
        if let Some(known) = files.get_mut(name) {
            known.used = *clock;
            return Arc::clone(&known.metadata);
        }
        if files.len() >= FILES_MAX {
            let mut uses: Vec<u64> = files.values().map(|known| known.used).collect();
            uses.sort_unstable();
            let oldest = uses[FILES_MAX / 8];
            files.retain(|_, known| known.used > oldest);
        }
        let metadata = Arc::new(OnceCell::new());
        files.insert(name.to_owned(), Known { metadata: Arc::clone(&metadata), used: *clock });
        metadata
    }
}

impl Part {
    pub fn new(entry: PartEntry) -> Part {
        Part { entry, is_damaged: AtomicBool::new(false) }
    }

    pub fn entry(&self) -> &PartEntry {
        &self.entry
    }

    /// What it says of its rows; `None` if that cannot be read, and then the rows have to tell.
    pub async fn summary(&self, files: &Files) -> Option<Summary> {
        let PartEntry { file, summary_at, summary_bytes, .. } = &self.entry;
        let range = *summary_at..summary_at + summary_bytes;
        let bytes = files.read_ranges(file, &[range]).await.ok()?.pop()?;
        Summary::from_bytes(&bytes).ok()
    }

    /// Whether its file could not be read once: answers are without it, and say so.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    pub fn mark_damaged(&self) {
        self.is_damaged.store(true, Ordering::Relaxed);
    }
}

/// The parts of a device and series.
#[derive(Debug, Default)]
pub struct PartsByMinute {
    by_minute: BTreeMap<Minute, Vec<Arc<Part>>>,
    minute_of: HashMap<PartId, Minute>,
}

/// Parts have no more minutes than this.
pub const MINUTES_MAX: i64 = 60;

impl PartsByMinute {
    pub fn insert(&mut self, part: Arc<Part>) {
        self.minute_of.insert(part.entry.id, part.entry.from);
        self.by_minute.entry(part.entry.from).or_default().push(part);
    }

    pub fn remove(&mut self, id: PartId) -> Option<Arc<Part>> {
        let minute = self.minute_of.remove(&id)?;
        let parts = self.by_minute.get_mut(&minute)?;
        let place = parts.iter().position(|part| part.entry.id == id)?;
        let part = parts.swap_remove(place);
        if parts.is_empty() {
            self.by_minute.remove(&minute);
        }
        Some(part)
    }

    /// Parts with rows in the span, in the order of time.
    pub fn touching(&self, span: Span) -> Vec<Arc<Part>> {
        let minutes = span.minutes();
        let from = Minute(minutes.start.0.saturating_sub(MINUTES_MAX));
        let candidates = self.by_minute.range(from..minutes.end.max(from)).flat_map(|(_, parts)| parts);
        candidates.filter(|part| part.entry.rows_span().touches(span)).cloned().collect()
    }

    pub fn first(&self) -> Option<Minute> {
        self.by_minute.keys().next().copied()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.by_minute.values().flatten()
    }

    pub fn count(&self, stats: &mut SeriesStats) {
        for part in self.all() {
            let PartEntry { rows, bytes, first_ms, last_ms, .. } = part.entry;
            stats.parts += 1;
            stats.rows += rows;
            stats.bytes += bytes;
            stats.first_ms = Some(stats.first_ms.map_or(first_ms, |first| first.min(first_ms)));
            stats.last_ms = Some(stats.last_ms.map_or(last_ms, |last| last.max(last_ms)));
        }
    }
}
