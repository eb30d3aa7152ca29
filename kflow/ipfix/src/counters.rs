//! What was sent and what was not, for metrics: one writer, any readers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. Records of batches: written = `records_sent` + `records_failed` + `records_left_out`.
#[derive(Debug, Default)]
pub struct IpfixCounters {
    /// Records all of which was handed to the operating system, less those of which it said later that they got lost.
    pub records_sent: Count,
    /// Records of which a part or all could not be sent, or got lost as far as the operating system knows.
    pub records_failed: Count,
    /// Transactions that config or format leave out.
    pub records_left_out: Count,
    /// Records of which a text was cut, for want of room in the message.
    pub records_cut: Count,
    /// Flows of more than 49 days, of which NetFlow cannot say when they began.
    pub records_clamped: Count,
    pub messages_sent: Count,
    /// Bytes of these.
    pub bytes_sent: Count,
    pub messages_failed: Count,
    /// Sockets opened over UDP, connections established over TCP.
    pub connects: Count,
    /// Attempts that failed.
    pub connects_failed: Count,
    /// Connections that the peer closed, that broke, or that were left because the peer read nothing.
    pub disconnects: Count,
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

    /// Takes back what was counted too early.
    pub(crate) fn take(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }
}

impl IpfixCounters {
    /// Names and values, in a fixed order.
    pub fn values(&self) -> [(&'static str, u64); 11] {
        [
            ("records_sent", self.records_sent.read()),
            ("records_failed", self.records_failed.read()),
            ("records_left_out", self.records_left_out.read()),
            ("records_cut", self.records_cut.read()),
            ("records_clamped", self.records_clamped.read()),
            ("messages_sent", self.messages_sent.read()),
            ("bytes_sent", self.bytes_sent.read()),
            ("messages_failed", self.messages_failed.read()),
            ("connects", self.connects.read()),
            ("connects_failed", self.connects_failed.read()),
            ("disconnects", self.disconnects.read()),
        ]
    }
}
