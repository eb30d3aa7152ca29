//! Pools: drafts and buffers that flows take and give back.

use crate::limits::Limits;
use kflow::application::{AppProtocol, Draft};

/// What one buffer holds: a whole TLS record with its header and then some.
pub const BUFFER_BYTES: usize = 18 * 1024;

/// A draft that was taken; it has to be given back.
#[derive(Debug, PartialEq, Eq)]
pub struct DraftId(u32);

/// A buffer that was taken; it has to be given back.
#[derive(Debug, PartialEq, Eq)]
pub struct BufferId(u32);

/// Drafts. They are made as they are needed, up to the limit, and then kept.
#[derive(Debug)]
pub struct Drafts {
    drafts: Vec<Draft>,
    free: Vec<u32>,
    max: usize,
    text_bytes: usize,
}

/// Buffers of a fixed size, whose memory is reserved from the start and touched as they are used.
#[derive(Debug)]
pub struct Buffers {
    memory: Vec<u8>,
    lengths: Vec<usize>,
    free: Vec<u32>,
}

impl BufferId {
    pub(crate) fn index(&self) -> usize {
        self.0 as usize
    }
}

impl Drafts {
    pub fn new(limits: &Limits) -> Drafts {
        Drafts {
            drafts: Vec::with_capacity(limits.drafts),
            free: Vec::with_capacity(limits.drafts),
            max: limits.drafts,
            text_bytes: limits.text_bytes,
        }
    }

    /// Makes all of them.
    pub fn touch(&mut self) {
        for id in self.drafts.len()..self.max {
            let mut draft = Draft::new(self.text_bytes);
            draft.touch();
            self.drafts.push(draft);
            self.free.push(id as u32);
        }
    }

    /// `None` at the limit.
    pub fn take(&mut self, protocol: AppProtocol) -> Option<DraftId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.drafts.len() < self.max => {
                self.drafts.push(Draft::new(self.text_bytes));
                self.drafts.len() as u32 - 1
            }
            None => return None,
        };
        self.drafts[id as usize].begin(protocol);
        Some(DraftId(id))
    }

    pub fn draft(&self, id: &DraftId) -> &Draft {
        &self.drafts[id.0 as usize]
    }

    pub fn draft_mut(&mut self, id: &DraftId) -> &mut Draft {
        &mut self.drafts[id.0 as usize]
    }

    #[expect(clippy::needless_pass_by_value, reason = "what is given back is used up")]
    pub fn release(&mut self, id: DraftId) {
        self.free.push(id.0);
    }

    pub fn in_use(&self) -> usize {
        self.drafts.len() - self.free.len()
    }
}

impl Buffers {
    pub fn new(limits: &Limits) -> Buffers {
        Buffers {
            memory: vec![0; limits.buffers * BUFFER_BYTES],
            lengths: vec![0; limits.buffers],
            free: (0..limits.buffers as u32).rev().collect(),
        }
    }

    /// Has the memory there.
    pub fn touch(&mut self) {
        self.memory.fill(0);
    }

    /// An empty buffer; `None` at the limit.
    pub fn take(&mut self) -> Option<BufferId> {
        let id = self.free.pop()?;
        self.lengths[id as usize] = 0;
        Some(BufferId(id))
    }

    #[expect(clippy::needless_pass_by_value, reason = "what is given back is used up")]
    pub fn release(&mut self, id: BufferId) {
        self.free.push(id.0);
    }

    pub fn in_use(&self) -> usize {
        self.lengths.len() - self.free.len()
    }

    pub fn bytes(&self, id: &BufferId) -> &[u8] {
        &self.whole(id)[..self.lengths[id.0 as usize]]
    }

    /// Appends all of the bytes, or none if they do not fit.
    pub fn extend(&mut self, id: &BufferId, bytes: &[u8]) -> bool {
        let start = self.lengths[id.0 as usize];
        let fits = self.write(id, start, bytes);
        if fits {
            self.lengths[id.0 as usize] += bytes.len();
        }
        fits
    }

    /// Drops bytes at the start.
    pub fn consume(&mut self, id: &BufferId, bytes: usize) {
        let length = self.lengths[id.0 as usize];
        self.shift(id, bytes, length);
        self.lengths[id.0 as usize] = length.saturating_sub(bytes);
    }

    /// Moves to the start what is between so many bytes and the end, whether or not it counts.
    pub(crate) fn shift(&mut self, id: &BufferId, bytes: usize, end: usize) {
        if bytes < end {
            self.whole_mut(id).copy_within(bytes..end, 0);
        }
    }

    /// Everything behind the bytes that count, too.
    pub(crate) fn whole(&self, id: &BufferId) -> &[u8] {
        let start = id.0 as usize * BUFFER_BYTES;
        &self.memory[start..start + BUFFER_BYTES]
    }

    pub(crate) fn whole_mut(&mut self, id: &BufferId) -> &mut [u8] {
        let start = id.0 as usize * BUFFER_BYTES;
        &mut self.memory[start..start + BUFFER_BYTES]
    }

    /// Writes at a place without changing how many bytes count. Whether it fits.
    pub(crate) fn write(&mut self, id: &BufferId, at: usize, bytes: &[u8]) -> bool {
        let start = id.0 as usize * BUFFER_BYTES;
        let room = self.memory[start..start + BUFFER_BYTES].get_mut(at..);
        let Some(place) = room.and_then(|room| room.get_mut(..bytes.len())) else { return false };
        place.copy_from_slice(bytes);
        true
    }

    /// Sets how many bytes count.
    pub(crate) fn set_length(&mut self, id: &BufferId, length: usize) {
        self.lengths[id.0 as usize] = length.min(BUFFER_BYTES);
    }
}
