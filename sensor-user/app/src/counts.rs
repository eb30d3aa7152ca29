//! What happened to payloads, by protocol.

use crate::parser::Failure;
use kflow::AppProtocol;

const PROTOCOLS: usize = AppProtocol::ALL.len();

/// Since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the order of [`AppProtocol::ALL`].
    pub protocols: [ProtocolCounts; PROTOCOLS],
    /// Payloads that no parser took for the opening of its protocol.
    pub openings_unknown: u64,
    /// Flows of which no parser knew the opening.
    pub flows_unknown: u64,
    /// Flows that were not parsed for want of parser states.
    pub shed_parsers: u64,
    /// Times that bytes could not be kept for want of buffers.
    pub shed_buffers: u64,
    latencies: Vec<(AppProtocol, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolCounts {
    /// Flows that were recognised.
    pub flows: u64,
    /// Requests with or without an answer, and sessions that stand.
    pub transactions: u64,
    /// Of those, requests without an answer.
    pub unanswered: u64,
    /// Transactions beyond what a span exports.
    pub unexported: u64,
    /// Transactions and sessions for which there was no draft.
    pub shed_drafts: u64,
    /// Transactions of which a text was cut for want of room.
    pub texts_cut: u64,
    /// Messages that could not be parsed, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Flows that used up their budget.
    pub over_budget: u64,
}

impl Counts {
    pub fn of(&mut self, protocol: AppProtocol) -> &mut ProtocolCounts {
        &mut self.protocols[index(protocol)]
    }

    pub fn read(&self, protocol: AppProtocol) -> &ProtocolCounts {
        &self.protocols[index(protocol)]
    }

    pub(crate) fn note_latency(&mut self, protocol: AppProtocol, latency_us: Option<u32>) {
        if let Some(latency_us) = latency_us {
            self.latencies.push((protocol, latency_us));
        }
    }

    /// Whether there are latencies that nobody asked for yet.
    #[inline]
    pub fn has_latencies(&self) -> bool {
        !self.latencies.is_empty()
    }

    /// Latencies, microseconds, since this was last asked.
    pub fn drain_latencies(&mut self) -> impl Iterator<Item = (AppProtocol, u32)> {
        self.latencies.drain(..)
    }
}

const fn index(protocol: AppProtocol) -> usize {
    let mut index = 0;
    while AppProtocol::ALL[index] as u16 != protocol as u16 {
        index += 1;
    }
    index
}
