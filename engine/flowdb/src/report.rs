//! What a query did to find its answer.

use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts while a query runs. Complete when its stream has ended.
#[derive(Debug, Default)]
pub struct Report {
    slices: AtomicU64,
    pruned: AtomicU64,
    summarised: AtomicU64,
    cached: AtomicU64,
    read: AtomicU64,
    open: AtomicU64,
    quarantined: AtomicU64,
    rows_read: AtomicU64,
    series: Mutex<Vec<&'static str>>,
}

/// How a slice was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceUse {
    /// Its statistics say that nothing of it matches.
    Pruned,
    /// Its summary had the answer.
    Summarised,
    /// The answer was in the cache.
    Cached,
    /// Its file was read.
    Read,
    /// It is not sealed yet: its rows were in memory.
    Open,
    /// Its file is damaged: the answer is without it.
    Quarantined,
}

/// A report at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportSnapshot {
    /// `full`, `fast`, both, or nothing if no flow table was asked.
    pub series: Vec<&'static str>,
    /// Slices within the time of the query: the sum of the following.
    pub slices: u64,
    pub pruned: u64,
    pub summarised: u64,
    pub cached: u64,
    pub read: u64,
    pub open: u64,
    pub quarantined: u64,
    pub rows_read: u64,
}

impl Report {
    pub fn count(&self, used: SliceUse) {
        let counter = match used {
            SliceUse::Pruned => &self.pruned,
            SliceUse::Summarised => &self.summarised,
            SliceUse::Cached => &self.cached,
            SliceUse::Read => &self.read,
            SliceUse::Open => &self.open,
            SliceUse::Quarantined => &self.quarantined,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.slices.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_rows(&self, rows: usize) {
        self.rows_read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Notes that a series was chosen.
    pub fn note_series(&self, name: &'static str) {
        let mut series = self.series.lock().expect("nothing panics while it is held");
        if !series.contains(&name) {
            series.push(name);
        }
    }

    pub fn snapshot(&self) -> ReportSnapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReportSnapshot {
            series: self.series.lock().expect("nothing panics while it is held").clone(),
            slices: load(&self.slices),
            pruned: load(&self.pruned),
            summarised: load(&self.summarised),
            cached: load(&self.cached),
            read: load(&self.read),
            open: load(&self.open),
            quarantined: load(&self.quarantined),
            rows_read: load(&self.rows_read),
        }
    }
}
