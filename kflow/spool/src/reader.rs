//! The reading side: safe batches in order, and how far they were acknowledged.
//!
//! Whether a batch is handed out or dropped is decided under the lock of the ledger, after it was read: so each is one or
//! the other, whatever the writer drops meanwhile.

use crate::cursor::{Cursor, Slot};
use crate::error::Error;
use crate::frame::{FrameHeader, Place};
use crate::fs::{Access, File, Lock};
use crate::position::{Position, Sequence, Tally};
use crate::scan::{Found, Scan, read_header};
use crate::segment::{self, BLOCK_BYTES};
use crate::shared::{Ledger, Segment, Shared};
use crate::stats::{Reason, StatsHandle};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Hands out the batches of a spool, oldest first.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    cursor: Cursor,
    /// What the cursor says.
    written: Slot,
    /// Number of the segment that is read, and where the next frame is expected in it.
    segment: u64,
    offset: u64,
    /// Handed out and not acknowledged, in order.
    in_flight: VecDeque<InFlight>,
    damage: Vec<Damage>,
    refused: Option<Refused>,
    /// Keeps other processes out, as the writer's does.
    _lock: Arc<dyn Lock>,
}

/// What was appended, as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub sequence: Sequence,
    pub records: u32,
    pub kind: u8,
    pub payload: Vec<u8>,
}

/// A part of a segment that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    /// Of the first byte, from the beginning of the file.
    pub offset: u64,
    pub bytes: u64,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// There is something to read.
    Ready,
    TimedOut,
    /// Nothing is there, and nothing will come: the writer is gone.
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    segment: u64,
    sequence: u64,
    tally: Tally,
    behind: Position,
    /// All that was corrupt up to this batch.
    corrupt: Tally,
}

/// What the disk did not give back the last time it was asked.
#[derive(Clone, Copy, Debug)]
struct Refused {
    /// Segment and offset.
    place: (u64, u64),
    /// How often in a row.
    count: u32,
}

/// What there is to read.
struct View {
    segment: u64,
    offset: u64,
    end_offset: u64,
    /// Behind the last batch of the segment.
    end: Position,
    read: Position,
    has_next: bool,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, cursor: Cursor, written: Slot, lock: Arc<dyn Lock>) -> Reader {
        let segment = shared.ledger().segments.front().map_or(0, |segment| segment.number);
        Reader {
            shared,
            cursor,
            written,
            segment,
            offset: BLOCK_BYTES,
            in_flight: VecDeque::new(),
            damage: Vec::new(),
            refused: None,
            _lock: lock,
        }
    }

    /// The next batch, or `None` if all that is safe was handed out.
    ///
    /// After an error the same batch comes next. What is damaged is passed over and counted; so is what the disk refuses
    /// to give back [`REFUSALS_MAX`] times in a row while it gives back what is behind it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end; this goes on with what is appended"
    )]
    pub fn next(&mut self) -> Result<Option<Batch>, Error> {
        while let Some(view) = self.view() {
            if let Some(batch) = self.read(&view)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Waits until there is something to read, the writer is gone, or the time is over.
    pub fn wait(&self, timeout: Duration) -> Wait {
        let ledger = self.shared.ledger();
        let nothing = |ledger: &mut Ledger| !ledger.has_news() && !ledger.is_closed();
        let waited = self.shared.news().wait_timeout_while(ledger, timeout, nothing);
        let (ledger, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match (ledger.has_news(), ledger.is_closed()) {
            (true, _) => Wait::Ready,
            (false, true) => Wait::Closed,
            (false, false) => Wait::TimedOut,
        }
    }

    /// Takes the batch with this sequence and all before it for delivered. They are not handed out again, also after a
    /// crash. Costs an fsync: acknowledging many at once is as safe and cheaper.
    ///
    /// After an error they are still to be acknowledged, here or with a later one.
    pub fn acknowledge(&mut self, sequence: Sequence) -> Result<(), Error> {
        if sequence.0 >= self.shared.ledger().read.sequence {
            return Err(Error::NotHandedOut { sequence });
        }
        let count = self.in_flight.iter().take_while(|batch| batch.sequence <= sequence.0).count();
        let Some(last) = count.checked_sub(1).map(|index| self.in_flight[index]) else {
            return Ok(());
        };
        let tally: Tally = self.in_flight.range(..count).map(|batch| batch.tally).sum();
        let (slot, is_segment_done) = self.slot(tally, last);
        let written = self.cursor.write(slot).and_then(|()| {
            // A segment goes when both slots say so. Then a slot that is damaged later takes nothing along.
            if is_segment_done { self.cursor.write(slot) } else { Ok(()) }
        });
        written.map_err(|source| {
            self.shared.ledger().sync_failures += 1;
            Error::Io { what: "write the cursor of the spool".into(), source }
        })?;
        self.in_flight.drain(..count);
        self.written = slot;
        let mut ledger = self.shared.ledger();
        ledger.acknowledged += tally;
        if is_segment_done {
            ledger.done = slot.position;
            ledger.doom_done();
        }
        drop(ledger);
        // What cannot be removed now takes room, nothing else, and goes with a later one.
        let _ = self.shared.remove_doomed();
        Ok(())
    }

    /// Damaged parts of segments that were come across since the last call, at most [`DAMAGE_MAX`] of them.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        mem::take(&mut self.damage)
    }

    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    pub fn stats(&self) -> StatsHandle {
        StatsHandle(Arc::clone(&self.shared))
    }

    /// What the cursor says when the batches up to `last` are acknowledged, which is so many more, and whether segments
    /// are done with then.
    fn slot(&self, tally: Tally, last: InFlight) -> (Slot, bool) {
        let ledger = self.shared.ledger();
        let mut slot = Slot { epoch: self.shared.epoch, ..ledger.slot() };
        slot.acknowledged += tally;
        if self.in_flight.back().is_some_and(|newest| last.sequence < newest.sequence) {
            slot.position = last.behind;
            slot.corrupt = last.corrupt;
        }
        (slot, ledger.is_segment_done(slot.position))
    }

    /// Where there is something to read. Goes past segments that were read or dropped.
    fn view(&mut self) -> Option<View> {
        let mut ledger = self.shared.ledger();
        let mut index = ledger.segments.partition_point(|segment| segment.number < self.segment);
        while index < ledger.segments.len() {
            let segment = ledger.segments[index];
            if segment.number != self.segment {
                self.segment = segment.number;
                self.offset = BLOCK_BYTES;
            }
            let end = ledger.end_of(index);
            if ledger.read.is_before(end) {
                let has_next = index + 1 < ledger.segments.len();
                let Segment { number, end_offset, .. } = segment;
                let (offset, read) = (self.offset, ledger.read);
                return Some(View { segment: number, offset, end_offset, end, read, has_next });
            }
            index += 1;
        }
        // Nothing is read for now, so nothing is held open that may have to make room.
        ledger.reading = None;
        None
    }

    /// Reads on in a segment. `None` if what was found there is nothing to hand out.
    fn read(&mut self, view: &View) -> Result<Option<Batch>, Error> {
        let failed = Error::io(format!("read {}", segment::name(view.segment)));
        let file = match self.file(view.segment) {
            Ok(file) => file,
            // Its batches are counted when the end is passed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.pass_end(view);
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let place = Place { epoch: self.shared.epoch, segment: view.segment, offset: view.offset };
        let mut scan = Scan::new(&*file, place, view.end_offset);
        let found = match scan.next() {
            Ok(Some(Found { was_refused: Some(error), .. })) if self.may_come_back(view) => {
                return Err(failed(error));
            }
            Ok(found) => found.filter(|found| !found.header.is_end() && is_valid(&found.header, view)),
            Err(error) if self.may_come_back(view) || !self.is_disk_alive(view) => {
                return Err(failed(error));
            }
            Err(_) => None,
        };
        let Some(found) = found else {
            self.pass_end(view);
            return Ok(None);
        };
        let mut payload = Vec::new();
        let is_known = found.header.position.sequence < view.read.sequence;
        let is_whole = match scan.read_payload(found.offset, &found.header, &mut payload) {
            _ if is_known => true,
            Err(error) if self.may_come_back(view) => return Err(failed(error)),
            read => read.unwrap_or(false),
        };
        self.offset = scan.offset();
        self.refused = None;
        self.note_damage(view.segment, found.offset - found.skipped_bytes, found.skipped_bytes);
        if !is_whole {
            self.note_damage(view.segment, found.offset, found.header.frame_bytes());
        }
        let is_wanted = is_whole && !is_known;
        Ok(if is_wanted { self.claim(view.segment, &found, payload) } else { None })
    }

    /// Counts that the disk refused to give back what is at a place. It may do so the next time it is asked; if it never
    /// does the place is damaged.
    fn may_come_back(&mut self, view: &View) -> bool {
        let place = (view.segment, view.offset);
        let count = self.refused.filter(|refused| refused.place == place).map_or(0, |refused| refused.count);
        self.refused = Some(Refused { place, count: count + 1 });
        count + 1 < REFUSALS_MAX
    }

    /// Hands a batch out, unless it was dropped.
    fn claim(&mut self, segment: u64, found: &Found, payload: Vec<u8>) -> Option<Batch> {
        let FrameHeader { position, records, kind, .. } = found.header;
        let mut ledger = self.shared.ledger();
        if position.sequence < ledger.read.sequence {
            return None;
        }
        ledger.give_up(position, Reason::Corrupt);
        ledger.read = ledger.read.later(found.header.behind());
        let corrupt = ledger.dropped[Reason::Corrupt as usize];
        drop(ledger);
        let (tally, behind) = (found.header.tally(), found.header.behind());
        self.in_flight.push_back(InFlight { segment, sequence: position.sequence, tally, behind, corrupt });
        Some(Batch { sequence: Sequence(position.sequence), records, kind, payload })
    }

    /// Goes on behind a segment in which nothing more can be read: what is missing up to its end is lost.
    fn pass_end(&mut self, view: &View) {
        let bytes = view.end_offset.saturating_sub(view.offset);
        self.note_damage(view.segment, view.offset, bytes);
        self.offset = self.offset.max(view.end_offset);
        let mut ledger = self.shared.ledger();
        if ledger.read.is_before(view.end) {
            ledger.give_up(view.end, Reason::Corrupt);
        }
    }

    /// Whether something behind a place that cannot be read can be read, so that it is the place and not the disk.
    fn is_disk_alive(&self, view: &View) -> bool {
        let next = {
            let ledger = self.shared.ledger();
            let next = ledger.segments.iter().find(|segment| segment.number > view.segment);
            next.map(|segment| segment.number)
        };
        let Some(next) = next.filter(|_| view.has_next) else { return false };
        let file = self.shared.fs.open(&segment::name(next), Access::Read);
        file.and_then(|file| read_header(&*file, next)).is_ok()
    }

    fn file(&self, segment: u64) -> io::Result<Arc<dyn File>> {
        let reading = self.shared.ledger().reading.clone();
        if let Some((number, file)) = reading
            && number == segment
        {
            return Ok(file);
        }
        let file = self.shared.fs.open(&segment::name(segment), Access::Read)?;
        let mut ledger = self.shared.ledger();
        if ledger.segments.iter().any(|listed| listed.number == segment) {
            ledger.reading = Some((segment, Arc::clone(&file)));
        }
        Ok(file)
    }

    fn note_damage(&mut self, segment: u64, offset: u64, bytes: u64) {
        if bytes > 0 && self.damage.len() < DAMAGE_MAX {
            self.damage.push(Damage { segment, offset, bytes });
        }
    }
}

/// Whether a frame is one of its segment and not void because the next segment has its batch.
fn is_valid(header: &FrameHeader, view: &View) -> bool {
    !view.has_next || header.position.sequence < view.end.sequence
}

impl Drop for Reader {
    fn drop(&mut self) {
        let slot = Slot { epoch: self.shared.epoch, ..self.shared.ledger().slot() };
        if slot.safe != self.written.safe {
            // Tells what is missing if the end of the newest segment is damaged, and is not needed otherwise.
            let Slot { position, corrupt, .. } = if self.in_flight.is_empty() { slot } else { self.written };
            let _ = self.cursor.write(Slot { position, corrupt, ..slot });
        }
        let mut ledger = self.shared.ledger();
        let oldest = ledger.segments.front().map_or(0, |segment| segment.number);
        let gone = self.in_flight.iter().filter(|batch| batch.segment < oldest);
        let lost: Tally = gone.map(|batch| batch.tally).sum();
        let reason = ledger.last_drop.unwrap_or(Reason::Cap);
        ledger.dropped[reason as usize] += lost;
        ledger.reading = None;
    }
}

/// How often the disk is asked for what it refuses to give back.
pub const REFUSALS_MAX: u32 = 8;

/// How many damaged places a reader remembers.
pub const DAMAGE_MAX: usize = 64;
