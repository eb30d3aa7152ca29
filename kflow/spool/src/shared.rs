//! What writer and reader share: which segments there are, how far each side is, and the account.
//!
//! All of it is behind one lock that is held for a few assignments, never while the disk works.

use crate::cursor::Slot;
use crate::fs::{Access, File, Fs};
use crate::position::{Position, Tally};
use crate::segment::{self, BLOCK_BYTES};
use crate::stats::{Reason, State, Stats};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Shared {
    pub fs: Arc<dyn Fs>,
    pub epoch: u64,
    ledger: Mutex<Ledger>,
    /// Told when something new is safe, and when the writer goes.
    news: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Oldest first. The last one is the one that is written.
    pub segments: VecDeque<Segment>,
    /// Up to where batches are safe on the disk.
    pub safe: Position,
    /// Up to where batches were handed out, or given up.
    pub read: Position,
    /// What both slots of the cursor say is done with.
    pub done: Position,
    pub acknowledged: Tally,
    pub dropped: [Tally; 4],
    pub last_drop: Option<Reason>,
    pub uncommitted: Tally,
    /// Segments that are to be removed.
    pub doomed: Vec<Doomed>,
    pub spare_bytes: u64,
    pub sequence_limit: u64,
    /// The segment that the reader is in. A file that is dropped takes room until it is closed.
    pub reading: Option<(u64, Arc<dyn File>)>,
    pub state: State,
    pub sync_failures: u64,
}

/// A segment with what may still be wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub number: u64,
    /// What is before it. It ends where the next one begins.
    pub first: Position,
    /// Frames end here at the latest.
    pub end_offset: u64,
    pub file_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doomed {
    pub number: u64,
    pub file_bytes: u64,
}

impl Shared {
    pub fn new(fs: Arc<dyn Fs>, epoch: u64, ledger: Ledger) -> Shared {
        Shared { fs, epoch, ledger: Mutex::new(ledger), news: Condvar::new() }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every change is whole before something can panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn news(&self) -> &Condvar {
        &self.news
    }

    /// Removes the files of segments that are done with. What cannot be removed now is tried again the next time.
    pub fn remove_doomed(&self) -> io::Result<()> {
        loop {
            let Some(doomed) = self.ledger().doomed.pop() else { return Ok(()) };
            match self.fs.remove(&segment::name(doomed.number)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.ledger().doomed.push(doomed);
                    return Err(error);
                }
            }
        }
    }

    /// Cuts a segment that is not written any more to the blocks that are needed up to `end`. Returns how many bytes less
    /// that is.
    pub fn cut(&self, number: u64, end: u64) -> u64 {
        // Not in the middle of a block, which would be written again.
        let end = end.next_multiple_of(BLOCK_BYTES);
        let bytes = self.ledger().segment(number).map(|segment| segment.file_bytes);
        let Some(cut) = bytes.and_then(|bytes| bytes.checked_sub(end)).filter(|cut| *cut > 0) else {
            return 0;
        };
        let file = self.fs.open(&segment::name(number), Access::ReadWrite);
        // Otherwise it takes more room than it needs, which is counted.
        if file.and_then(|file| file.truncate(end)).is_ok()
            && let Some(segment) = self.ledger().segment(number)
        {
            segment.file_bytes = end;
            return cut;
        }
        0
    }

    pub fn sync_file(&self, file: &dyn File) -> io::Result<()> {
        self.count_failure(file.sync())
    }

    pub fn sync_names(&self) -> io::Result<()> {
        self.count_failure(self.fs.sync())
    }

    fn count_failure(&self, synced: io::Result<()>) -> io::Result<()> {
        synced.inspect_err(|_| self.ledger().sync_failures += 1)
    }
}

impl Ledger {
    /// Where the segment at `index` ends.
    pub fn end_of(&self, index: usize) -> Position {
        self.segments.get(index + 1).map_or(self.safe, |next| next.first)
    }

    fn segment(&mut self, number: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.number == number)
    }

    /// Drops the oldest segment, unless it is the last, and returns how much room that makes.
    pub fn drop_oldest(&mut self, reason: Reason) -> Option<u64> {
        if self.segments.len() < 2 {
            return None;
        }
        let end = self.end_of(0);
        let segment = self.segments.pop_front()?;
        self.doom(segment);
        if self.read.is_before(end) {
            self.give_up(end, reason);
            self.last_drop = Some(reason);
        }
        Some(segment.file_bytes)
    }

    /// Goes on to `position`: what was not handed out before it never will be.
    pub fn give_up(&mut self, position: Position, reason: Reason) {
        self.dropped[reason as usize] += position.since(self.read);
        self.read = self.read.later(position);
    }

    /// Dooms the segments that are wholly done with.
    pub fn doom_done(&mut self) {
        while self.segments.len() > 1 && !self.done.is_before(self.segments[1].first) {
            let segment = self.segments.pop_front().expect("there are two");
            self.doom(segment);
        }
    }

    /// Whether segments are wholly done with at `position`.
    pub fn is_segment_done(&self, position: Position) -> bool {
        self.segments.len() > 1 && !position.is_before(self.segments[1].first)
    }

    /// The segment before the one that was begun, which is doomed if there is nothing in it.
    pub fn end_left_segment(&mut self) -> Option<Segment> {
        let index = self.segments.len().checked_sub(2)?;
        let left = self.segments[index];
        if left.first.is_before(self.end_of(index)) {
            return Some(left);
        }
        self.segments.remove(index);
        self.doom(left);
        None
    }

    fn doom(&mut self, segment: Segment) {
        let Segment { number, file_bytes, .. } = segment;
        self.doomed.push(Doomed { number, file_bytes });
        self.reading.take_if(|(reading, _)| *reading == number);
    }

    /// Whether batches are safe that were not handed out.
    pub fn has_news(&self) -> bool {
        self.read.is_before(self.safe)
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub fn newest_number(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.number)
    }

    /// What the spool takes on the disk, in whole blocks.
    pub fn file_bytes(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.file_bytes);
        let doomed = self.doomed.iter().map(|doomed| doomed.file_bytes);
        let files = segments.chain(doomed).chain([self.spare_bytes]);
        files.map(|bytes| bytes.next_multiple_of(BLOCK_BYTES)).sum::<u64>() + OTHER_FILES_BYTES
    }

    /// What the cursor says when all that was handed out is acknowledged.
    pub fn slot(&self) -> Slot {
        Slot {
            epoch: 0,
            generation: 0,
            position: self.read,
            acknowledged: self.acknowledged,
            corrupt: self.dropped[Reason::Corrupt as usize],
            newest_segment: self.newest_number(),
            sequence_limit: self.sequence_limit,
            safe: self.safe,
        }
    }

    pub fn waiting(&self) -> Tally {
        self.safe.before.without(self.acknowledged).without(self.dropped.iter().copied().sum())
    }

    pub fn stats(&self) -> Stats {
        Stats {
            appended: self.safe.before,
            acknowledged: self.acknowledged,
            dropped: self.dropped,
            waiting: self.waiting(),
            uncommitted: self.uncommitted,
            state: self.state,
            sync_failures: self.sync_failures,
            segments: self.segments.len() as u64,
            file_bytes: self.file_bytes(),
        }
    }
}

/// The cursor, the one that takes its place, the lock.
pub(crate) const OTHER_FILES_BYTES: u64 = 5 * BLOCK_BYTES;
