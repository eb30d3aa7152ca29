//! What became of records and batches, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread raises and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// At rest, and with what a spool brought along from earlier runs among what was offered:
///
/// offered = thinned + unpackable + waiting + delivered + rejected + abandoned + dropped by the spool
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that were pushed.
    pub offered: Counter,
    /// Left out; the sample rates of those that were sent stand for them.
    pub thinned: Counter,
    /// Could not be put into a message.
    pub unpackable: Counter,
    /// In the window, not yet packed.
    pub in_window: Counter,
    /// Packed into batches that wait in memory or are under way from there. The spool counts its own.
    pub in_memory: Counter,
    /// Accepted by a receiver.
    pub delivered: Counter,
    /// Refused for good by a receiver.
    pub rejected: Counter,
    /// Neither sent nor safe on disk when the sender was stopped.
    pub abandoned: Counter,

    /// Put into batches.
    pub packed: Counter,
    pub batches_delivered: Counter,
    pub batches_rejected: Counter,
    /// Bytes of bodies that receivers accepted.
    pub bytes_delivered: Counter,
    /// Attempts that failed and will be repeated.
    pub attempts_failed: Counter,
    /// Batches that the spool did not take, and that wait in memory instead.
    pub spool_refusals: Counter,
    /// Times that the spool could not be committed, read or told what is done.
    pub spool_failures: Counter,
    /// The latest thinning factor, in hundredths: 100 when every record goes.
    pub factor_hundredths: Counter,
}
