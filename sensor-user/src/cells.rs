//! Counters that one thread writes and the metrics server reads, without a lock or a locked instruction.

use crate::packet::{
    Anomaly, NotFlow, NotInner, Packet,
    reassembly::{Ending, ReassemblyCounts, ReassemblyLevels, Refusal},
};
use hdrhistogram::Histogram;
use kflow::{AppProtocol, EndReason};
use sensor_app::{Counts, Failure, ProtocolCounts};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds without an atomic read-modify-write: there is one writer.
    #[inline(always)]
    pub fn add(&self, amount: u64) {
        self.set(self.read() + amount);
    }

    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker did. Aligned, so that two workers never write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCells {
    pub frames: Cell,
    pub frame_bytes: Cell,
    pub bursts: Cell,
    /// Frames that were counted to a flow.
    pub flow_packets: Cell,
    /// Frames that belong to no flow, by reason.
    pub not_flow: [Cell; NotFlow::ALL.len()],
    pub anomalies: [Cell; Anomaly::ALL.len()],
    /// Packets that were found inside of others.
    pub inner_packets: Cell,
    /// Packets in which none was found although protocol or port hinted at it, by reason.
    pub not_inner: [Cell; NotInner::ALL.len()],
    /// Packets that were counted to flows beside the one that accounts for their frame.
    pub packets_beside: Cell,
    pub reassembly: ReassemblyCells,
    pub busy_ns: Cell,
    pub idle_ns: Cell,
    pub flows: Cell,
    pub flows_created: Cell,
    /// Records by end reason.
    pub records: [Cell; EndReason::ALL.len()],
    pub evicted_embryonic: Cell,
    pub evicted_idlest: Cell,
    pub evicted_crowded: Cell,
    /// Records that found no room on the way to the exporter.
    pub records_shed: Arc<Cell>,
    pub kernel_offered: Cell,
    pub kernel_dropped: Cell,
    /// Frames waiting in the fill rings that the worker owns.
    pub fill_level: Cell,
    /// Frames waiting for the worker in its receive rings.
    pub receive_level: Cell,
    /// 1 while the worker has a source.
    pub attached: Cell,
    pub burst_time: SharedHistogram,
}

impl WorkerCells {
    #[inline(always)]
    pub fn note_anomaly(&self, packet: &Packet) {
        if let Some(anomaly) = packet.anomaly {
            self.anomalies[anomaly as usize].add(1);
        }
    }

    pub fn note_inner(&self, found: Result<(), NotInner>) {
        match found {
            Ok(()) => self.inner_packets.add(1),
            Err(reason) => self.not_inner[reason as usize].add(1),
        }
    }
}

/// What the reassembler of a worker did.
#[derive(Debug, Default)]
pub struct ReassemblyCells {
    pub fragments: Cell,
    pub resolved: Cell,
    pub claimed: Cell,
    pub unclaimed: Cell,
    pub ended: [Cell; Ending::ALL.len()],
    pub refused: [Cell; Refusal::ALL.len()],
    pub duplicate: Cell,
    pub overlapping: Cell,
    pub conflicting: Cell,
    pub late: Cell,
    pub first_without_ports: Cell,
    pub assembling: Cell,
    pub memory_bytes: Cell,
}

impl ReassemblyCells {
    pub fn publish(&self, counts: &ReassemblyCounts, levels: ReassemblyLevels) {
        self.fragments.set(counts.fragments);
        self.resolved.set(counts.resolved);
        self.claimed.set(counts.claimed);
        self.unclaimed.set(counts.unclaimed);
        for (cell, datagrams) in self.ended.iter().zip(counts.ended) {
            cell.set(datagrams);
        }
        for (cell, fragments) in self.refused.iter().zip(counts.refused) {
            cell.set(fragments);
        }
        self.duplicate.set(counts.duplicate);
        self.overlapping.set(counts.overlapping);
        self.conflicting.set(counts.conflicting);
        self.late.set(counts.late);
        self.first_without_ports.set(counts.first_without_ports);
        self.assembling.set(levels.assembling as u64);
        self.memory_bytes.set(levels.memory_bytes as u64);
    }

    /// Fragments whose flow is still to be told.
    pub fn waiting(&self) -> u64 {
        let told = [&self.resolved, &self.claimed, &self.unclaimed].map(Cell::read).iter().sum();
        self.fragments.read().saturating_sub(told)
    }
}

/// What the inspector of applications did: the one of a worker, or of a parser thread.
#[derive(Debug, Default)]
pub struct ApplicationCells {
    /// In the order of [`AppProtocol::ALL`].
    pub protocols: [ProtocolCells; AppProtocol::ALL.len()],
    pub flows_unknown: Cell,
    /// Flows that were not parsed for want of parser states.
    pub shed_parsers: Cell,
    /// Times that bytes were not kept for want of buffers.
    pub shed_buffers: Cell,
    /// Payloads that found no room on the way to a parser thread.
    pub shed_payloads: Cell,
    /// Records of flows that went out without what their parser thread knew, for the same reason.
    pub shed_annotations: Cell,
    /// Records that transactions have of their own.
    pub transaction_records: Cell,
    /// Of the records of a parser thread, those that found no room on the way to the exporter.
    pub records_shed: Arc<Cell>,
}

#[derive(Debug, Default)]
pub struct ProtocolCells {
    pub flows: Cell,
    pub transactions: Cell,
    pub unanswered: Cell,
    pub unexported: Cell,
    pub shed_drafts: Cell,
    pub texts_cut: Cell,
    pub failures: [Cell; Failure::ALL.len()],
    pub over_budget: Cell,
    /// Nanoseconds, as all durations.
    pub latency: SharedHistogram,
}

impl ApplicationCells {
    pub fn publish(&self, counts: &Counts) {
        for (cells, counts) in self.protocols.iter().zip(&counts.protocols) {
            cells.publish(counts);
        }
        self.flows_unknown.set(counts.flows_unknown);
        self.shed_parsers.set(counts.shed_parsers);
        self.shed_buffers.set(counts.shed_buffers);
    }
}

impl ProtocolCells {
    fn publish(&self, counts: &ProtocolCounts) {
        self.flows.set(counts.flows);
        self.transactions.set(counts.transactions);
        self.unanswered.set(counts.unanswered);
        self.unexported.set(counts.unexported);
        self.shed_drafts.set(counts.shed_drafts);
        self.texts_cut.set(counts.texts_cut);
        for (cell, failures) in self.failures.iter().zip(counts.failures) {
            cell.set(failures);
        }
        self.over_budget.set(counts.over_budget);
    }
}

/// What the exporter did, for each sink.
#[derive(Debug, Default)]
pub struct SinkCells {
    pub records_written: Cell,
    pub records_failed: Cell,
    /// Writes and flushes that failed.
    pub failures: Cell,
}

/// A histogram of nanoseconds that its one writer publishes now and then.
///
/// The writer keeps its own and adds it here about once a second; the reader holds the lock only to copy.
#[derive(Debug)]
pub struct SharedHistogram(Mutex<Histogram<u64>>);

/// Largest value kept apart: one minute.
const NANOSECONDS_MAX: u64 = 60_000_000_000;

/// An empty histogram of durations, to two significant digits.
pub fn duration_histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, NANOSECONDS_MAX, 2)
        .expect("the bounds are in order and the digits allowed");
    histogram.auto(false);
    histogram
}

impl Default for SharedHistogram {
    fn default() -> SharedHistogram {
        SharedHistogram(Mutex::new(duration_histogram()))
    }
}

impl SharedHistogram {
    /// Moves what `local` holds into the shared histogram; skips when a reader has it right now.
    pub fn publish(&self, local: &mut Histogram<u64>) {
        let Ok(mut shared) = self.0.try_lock() else { return };
        shared.add(&*local).expect("both have the same bounds");
        local.reset();
    }

    pub fn read(&self) -> Histogram<u64> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
