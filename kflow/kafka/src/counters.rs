//! What was delivered and what was not, for metrics: one writer, any readers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. Records of batches: written = `records_delivered` + `records_failed` + those under way.
#[derive(Debug, Default)]
pub struct KafkaCounters {
    /// Records that all replicas in sync have.
    pub records_delivered: Count,
    /// Records that were refused at the door, or given up later.
    pub records_failed: Count,
    /// Of these: records that found the queue full.
    pub records_refused: Count,
    pub messages_delivered: Count,
    pub messages_failed: Count,
    /// Bytes of the messages that were delivered, without keys.
    pub bytes_delivered: Count,
}

/// One of them.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

impl KafkaCounters {
    /// Names and values, in a fixed order.
    pub fn values(&self) -> [(&'static str, u64); 6] {
        [
            ("records_delivered", self.records_delivered.read()),
            ("records_failed", self.records_failed.read()),
            ("records_refused", self.records_refused.read()),
            ("messages_delivered", self.messages_delivered.read()),
            ("messages_failed", self.messages_failed.read()),
            ("bytes_delivered", self.bytes_delivered.read()),
        ]
    }
}
