//! Where parsers put what they find.

use crate::{
    counts::Counts,
    parser::Failure,
    pool::{Buffers, Drafts},
};
use kflow::application::{AppProtocol, Draft};

pub use crate::pool::{BufferId, DraftId};

/// What a parser may do to the world.
#[derive(Debug)]
pub struct Output<'a> {
    pub(crate) drafts: &'a mut Drafts,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) counts: &'a mut Counts,
    pub(crate) session: &'a mut Option<Session>,
    pub(crate) completed: &'a mut Vec<Completed>,
}

/// When a transaction took place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The end of the request; `None` if it was not seen.
    pub request_ns: Option<u64>,
    /// The start of the answer; `None` if there was none.
    pub answer_ns: Option<u64>,
}

/// A draft that is complete.
#[derive(Debug)]
pub(crate) struct Completed {
    pub draft: DraftId,
    pub timing: Timing,
}

/// What is known of a session.
#[derive(Debug)]
pub(crate) struct Session {
    pub draft: DraftId,
    pub latency_us: Option<u32>,
}

impl Timing {
    pub fn latency_us(self) -> Option<u32> {
        let elapsed_ns = self.answer_ns?.saturating_sub(self.request_ns?);
        Some(u32::try_from(elapsed_ns / 1000).unwrap_or(u32::MAX))
    }
}

impl Output<'_> {
    /// Begins a transaction. `None` if too many wait already: the transaction is counted as shed, and the parser goes
    /// on without it.
    pub fn begin(&mut self, protocol: AppProtocol) -> Option<DraftId> {
        let id = self.drafts.take(protocol);
        if id.is_none() {
            self.counts.of(protocol).shed_drafts += 1;
        }
        id
    }

    pub fn draft(&mut self, id: &DraftId) -> &mut Draft {
        self.drafts.draft_mut(id)
    }

    /// The transaction is over, with or without an answer.
    pub fn complete(&mut self, draft: DraftId, timing: Timing) {
        self.completed.push(Completed { draft, timing });
    }

    /// It was no transaction after all.
    pub fn discard(&mut self, draft: DraftId) {
        self.drafts.release(draft);
    }

    /// The values that every record of the flow has; there is one such set a flow. `None` if there is no room.
    pub fn session(&mut self, protocol: AppProtocol) -> Option<&mut Draft> {
        if self.session.is_none() {
            let draft = self.begin(protocol)?;
            *self.session = Some(Session { draft, latency_us: None });
        }
        let session = self.session.as_ref().expect("it was just begun");
        Some(self.drafts.draft_mut(&session.draft))
    }

    /// The same values, beside a buffer to set them from.
    pub fn session_beside(&mut self, protocol: AppProtocol, id: &BufferId) -> (Option<&mut Draft>, &[u8]) {
        let has_room = self.session(protocol).is_some();
        let session = self.session.as_ref().filter(|_| has_room);
        (session.map(|session| self.drafts.draft_mut(&session.draft)), self.buffers.bytes(id))
    }

    /// The session stands: client and server have greeted each other. Counts as a transaction.
    pub fn establish(&mut self, protocol: AppProtocol, timing: Timing) {
        self.counts.of(protocol).transactions += 1;
        self.counts.note_latency(protocol, timing.latency_us());
        if let Some(session) = self.session {
            session.latency_us = timing.latency_us();
        }
    }

    /// Counts a message that could not be parsed, although the parser goes on.
    pub fn note_failure(&mut self, protocol: AppProtocol, failure: Failure) {
        self.counts.of(protocol).failures[failure as usize] += 1;
    }

    /// Room for bytes that a parser has to see together although they do not come together: at most
    /// [`crate::pool::BUFFER_BYTES`]. `None` if there is no room; counted.
    pub fn take_buffer(&mut self) -> Option<BufferId> {
        let id = self.buffers.take();
        self.counts.shed_buffers += u64::from(id.is_none());
        id
    }

    pub fn buffer(&self, id: &BufferId) -> &[u8] {
        self.buffers.bytes(id)
    }

    /// Appends all of the bytes, or none if they do not fit.
    pub fn extend_buffer(&mut self, id: &BufferId, bytes: &[u8]) -> bool {
        self.buffers.extend(id, bytes)
    }

    /// Writes at a place, as far ahead as the buffer reaches, without changing how many bytes count. Whether it fits.
    pub fn write_buffer(&mut self, id: &BufferId, at: usize, bytes: &[u8]) -> bool {
        self.buffers.write(id, at, bytes)
    }

    /// Sets how many bytes of a buffer count, all of which have been written.
    pub fn set_buffer_length(&mut self, id: &BufferId, length: usize) {
        self.buffers.set_length(id, length);
    }

    /// Drops bytes at the start of a buffer.
    pub fn consume_buffer(&mut self, id: &BufferId, bytes: usize) {
        self.buffers.consume(id, bytes);
    }

    /// All of a buffer's memory, for a parser that has an order of its own in it. It begins with what whoever had it
    /// before left there.
    pub fn buffer_memory(&mut self, id: &BufferId) -> &mut [u8] {
        self.buffers.whole_mut(id)
    }

    pub fn release_buffer(&mut self, id: BufferId) {
        self.buffers.release(id);
    }
}
