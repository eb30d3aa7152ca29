//! The writing side: batches go into a group, the group goes to the disk with one fdatasync.
//!
//! Until that has returned the group stays in memory. If it fails nobody knows what of the segment is on the disk, and a
//! second fdatasync would not tell: the segment is left as it is, and the group is written to a new one.

use crate::config::Config;
use crate::error::Error;
use crate::frame::{END, FRAME_HEADER_BYTES, FrameHeader, Place, frame_bytes};
use crate::fs::{File, Lock, write_all};
use crate::group::{Group, Part};
use crate::position::{Position, Sequence};
use crate::segment::{self, BLOCK_BYTES, GROUP_BATCHES_MAX, SEGMENT_BATCHES_MAX};
use crate::shared::{Ledger, Shared};
use crate::stats::{State, StatsHandle};
use std::io;
use std::mem;
use std::sync::{Arc, MutexGuard};

/// Appends batches to a spool. When it is dropped it commits what it can and tells the reader that nothing more comes.
#[derive(Debug)]
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Config,
    pub(crate) group: Group,
    /// Where the next batch that is appended will be.
    pub(crate) next: Position,
    pub(crate) next_number: u64,
    pub(crate) active: Option<Active>,
    /// Allocated, and kept for the time when the disk is full.
    pub(crate) spare: Option<Arc<dyn File>>,
    /// What had to be done for the segment that is written.
    pub(crate) pressure: State,
    /// What an earlier process left in doubt is safe.
    pub(crate) is_settled: bool,
    /// Room that opening the spool has made.
    pub(crate) credit_bytes: u64,
    pub(crate) is_closed: bool,
    /// Keeps other processes out, as the reader's does.
    pub(crate) _lock: Arc<dyn Lock>,
}

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub file: Arc<dyn File>,
    pub number: u64,
    /// Where the next group goes.
    pub offset: u64,
    pub end: u64,
    pub batches: u64,
}

impl Writer {
    /// Takes a batch of `records` records. It is safe, and the reader sees it, after the next commit. The kind is handed
    /// through. Commits by itself if the group gets too large.
    ///
    /// After an error the batch is not in the spool: the caller counts it, or tries again.
    pub fn append(&mut self, payload: &[u8], records: u32, kind: u8) -> Result<Sequence, Error> {
        let payload_bytes_max = segment::payload_bytes_max(self.config.segment_bytes);
        if payload.len() as u64 > payload_bytes_max {
            return Err(Error::TooLarge { payload_bytes: payload.len(), payload_bytes_max });
        }
        if !self.is_settled {
            // Sequences are handed out when a segment says so: the next process has to know.
            self.begin_segment()?;
        }
        let bytes = self.group.bytes() + frame_bytes(payload.len() as u64);
        let is_full = bytes > self.config.group_bytes_max || self.group.batches() >= GROUP_BATCHES_MAX;
        if is_full && !self.group.is_empty() {
            self.commit()?;
        }
        let header = FrameHeader {
            payload_bytes: payload.len() as u32,
            payload_checksum: crc32c::crc32c(payload),
            position: self.next,
            records,
            kind,
            ..FrameHeader::default()
        };
        self.group.push(header, payload);
        self.next = header.behind();
        self.shared.ledger().uncommitted = self.group.tally();
        Ok(Sequence(header.position.sequence))
    }

    /// Makes everything that was appended safe, and returns the highest sequence that was handed out so far.
    ///
    /// After an error a part may be safe; the rest stays where it is, and the next commit tries again.
    pub fn commit(&mut self) -> Result<Sequence, Error> {
        let mut retries = 1;
        while !self.group.is_empty() {
            match self.write_part() {
                Ok(Written::Part) => {}
                Ok(Written::NoRoom) => self.begin_segment()?,
                Err(source) => {
                    self.leave_active();
                    if retries == 0 {
                        self.shared.ledger().state = State::Failing;
                        return Err(Error::Io { what: "write to the spool".into(), source });
                    }
                    retries -= 1;
                }
            }
        }
        Ok(Sequence(self.next.sequence - 1))
    }

    /// Commits, and notes that nothing is missing behind it. The next opening then has nothing to repair.
    pub fn close(mut self) -> Result<(), Error> {
        self.close_now()
    }

    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    pub fn stats(&self) -> StatsHandle {
        StatsHandle(Arc::clone(&self.shared))
    }
}

enum Written {
    Part,
    /// No segment is written, or the next batch does not fit into it.
    NoRoom,
}

impl Writer {
    /// Writes what fits of the group to the segment, safely.
    fn write_part(&mut self) -> io::Result<Written> {
        let Some(active) = &mut self.active else { return Ok(Written::NoRoom) };
        let room_bytes = active.end.saturating_sub(active.offset);
        let Some(part) = self.group.part(room_bytes, SEGMENT_BATCHES_MAX - active.batches) else {
            return Ok(Written::NoRoom);
        };
        let place = Place { epoch: self.shared.epoch, segment: active.number, offset: active.offset };
        write_all(&*active.file, self.group.frames(&part, place), active.offset)?;
        self.shared.sync_file(&*active.file)?;
        active.count(&part);
        let end_offset = active.offset;
        self.group.remove(&part);
        let mut ledger = self.shared.ledger();
        ledger.segments.back_mut().expect("a segment is written").end_offset = end_offset;
        self.publish(ledger, &part);
        Ok(Written::Part)
    }

    /// Tells the reader of batches that are safe now.
    pub(crate) fn publish(&self, mut ledger: MutexGuard<'_, Ledger>, part: &Part) {
        ledger.safe = part.behind;
        ledger.uncommitted = self.group.tally();
        ledger.state = self.pressure;
        drop(ledger);
        self.shared.news().notify_all();
    }

    /// Ends the segment that is written behind what is safe in it, and gives back the room that it does not need.
    pub(crate) fn leave_active(&mut self) {
        let Some(active) = self.active.take() else { return };
        let cut = active.file.truncate(active.offset);
        if cut.is_ok() {
            let mut ledger = self.shared.ledger();
            ledger.segments.back_mut().expect("a segment was written").file_bytes = active.offset;
        }
    }

    fn close_now(&mut self) -> Result<(), Error> {
        if mem::replace(&mut self.is_closed, true) {
            return Ok(());
        }
        let committed = self.commit();
        let ended = committed.and_then(|_| self.write_end());
        self.shared.ledger().state = State::Closed;
        self.shared.news().notify_all();
        ended
    }

    /// Writes the frame that says that everything before it is safe.
    fn write_end(&mut self) -> Result<(), Error> {
        let Some(active) = self.active.take() else { return Ok(()) };
        let header = FrameHeader {
            position: self.next,
            safe_below: self.next.sequence,
            flags: END,
            ..Default::default()
        };
        let place = Place { epoch: self.shared.epoch, segment: active.number, offset: active.offset };
        let end = active.offset + FRAME_HEADER_BYTES;
        let written = write_all(&*active.file, &header.encode(place), active.offset);
        written
            .and_then(|()| active.file.truncate(end))
            .and_then(|()| self.shared.sync_file(&*active.file))
            .map_err(Error::io("write the end of the spool"))
    }
}

impl Active {
    pub fn count(&mut self, part: &Part) {
        self.offset = (self.offset + part.bytes).next_multiple_of(BLOCK_BYTES);
        self.batches += part.frames as u64;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left to tell; who wants to know calls `close`.
        let _ = self.close_now();
    }
}
