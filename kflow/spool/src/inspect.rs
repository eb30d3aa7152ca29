//! Looks at a spool from outside: what is in it, and what of it is damaged. Changes nothing and takes no lock, so a process
//! may be at work in it meanwhile; what that removes on the way is left out.

use crate::error::Error;
use crate::frame::{FrameHeader, Place};
use crate::fs::{Access, File, Fs};
use crate::position::{Position, Sequence, Tally};
use crate::reader::Damage;
use crate::scan::Scan;
use crate::segment::{self, BLOCK_BYTES};
use crate::stock::{Stock, Stored};
use std::io;
use std::mem;

/// A spool as it is on the disk.
#[derive(Debug)]
pub struct Inspection<'a> {
    fs: &'a dyn Fs,
    stock: Stock,
}

/// What a segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    pub number: u64,
    pub file_bytes: u64,
    pub is_header_damaged: bool,
    /// Those that are whole, in order.
    pub batches: Vec<BatchReport>,
    /// Batches that should be there and are not whole.
    pub lost: Tally,
    pub damage: Vec<Damage>,
    /// The writer closed the spool behind the last batch.
    pub is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchReport {
    pub sequence: Sequence,
    pub records: u32,
    pub bytes: u32,
    pub kind: u8,
    /// From the beginning of the file.
    pub offset: u64,
    pub state: BatchState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Acknowledged.
    Done,
    Waiting,
    /// Of the last group, of which nobody knows whether it was committed.
    InDoubt,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Headers,
    /// The checksums of payloads too.
    Payloads,
}

impl<'a> Inspection<'a> {
    /// An error if the disk does not give back what says which spool this is.
    pub fn begin(fs: &'a dyn Fs) -> Result<Inspection<'a>, Error> {
        Ok(Inspection { fs, stock: Stock::take(fs)? })
    }

    /// Whether there is nothing of a spool.
    pub fn is_empty(&self) -> bool {
        self.stock.newest_number == 0 && !self.stock.has_cursor
    }

    /// `None` if nothing says so.
    pub fn epoch(&self) -> Option<u64> {
        self.stock.epoch
    }

    /// How many of the two slots of the cursor are whole.
    pub fn cursor_slots(&self) -> usize {
        self.stock.slots.len()
    }

    /// Batches with lower sequences are done with.
    pub fn done_below(&self) -> Sequence {
        Sequence(self.stock.slot().map_or(0, |slot| slot.position.sequence))
    }

    /// Segments of which nothing can be read, and their lengths.
    pub fn unreadable(&self) -> impl Iterator<Item = (u64, u64)> {
        self.stock.unreadable.iter().map(|segment| (segment.number, segment.file_bytes))
    }

    /// The segments, oldest first, but for those that were removed meanwhile.
    pub fn segments(&self, depth: Depth) -> impl Iterator<Item = Result<SegmentReport, Error>> {
        (0..self.stock.segments.len()).filter_map(move |index| self.segment(index, depth).transpose())
    }

    fn segment(&self, index: usize, depth: Depth) -> Result<Option<SegmentReport>, Error> {
        let stored = &self.stock.segments[index];
        let name = segment::name(stored.number);
        let file = match self.fs.open(&name, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(format!("open {name}"))(error)),
        };
        let next = self.stock.segments.get(index + 1).map(|next| next.first);
        let mut walk = Walk::new(stored, next, self.done_below());
        walk.run(&*file, self.stock.epoch.expect("segments are listed by their epoch"), depth);
        Ok(Some(walk.report))
    }
}

/// On the way through a segment.
struct Walk<'a> {
    stored: &'a Stored,
    /// Where the next segment begins.
    next: Option<Position>,
    done_below: Sequence,
    position: Position,
    /// Frames whose payload is not as it was written.
    broken: Vec<(u64, FrameHeader)>,
    report: SegmentReport,
}

impl Walk<'_> {
    fn new(stored: &Stored, next: Option<Position>, done_below: Sequence) -> Walk<'_> {
        let report = SegmentReport {
            number: stored.number,
            file_bytes: stored.file_bytes,
            is_header_damaged: stored.header.is_none(),
            ..SegmentReport::default()
        };
        Walk { stored, next, done_below, position: stored.first, broken: Vec::new(), report }
    }

    fn run(&mut self, file: &dyn File, epoch: u64, depth: Depth) {
        let place = Place { epoch, segment: self.stored.number, offset: BLOCK_BYTES };
        let mut scan = Scan::new(file, place, self.stored.file_bytes);
        let mut safe_below = self.stored.first.sequence;
        let mut payload = Vec::new();
        while self.next.is_none_or(|next| self.position.is_before(next)) {
            let Ok(Some(found)) = scan.next() else { break };
            let header = found.header;
            if self.next.is_some_and(|next| header.position.sequence >= next.sequence) {
                break;
            }
            safe_below = safe_below.max(header.safe_below);
            self.note(found.offset - found.skipped_bytes, found.skipped_bytes);
            self.go_to(header.position);
            if header.is_end() {
                self.report.is_closed = true;
                break;
            }
            let is_whole = match depth {
                Depth::Headers => true,
                Depth::Payloads => scan.read_payload(found.offset, &header, &mut payload).unwrap_or(false),
            };
            self.position = self.position.later(header.behind());
            if !is_whole {
                self.broken.push((found.offset, header));
                continue;
            }
            self.report.batches.push(BatchReport {
                sequence: Sequence(header.position.sequence),
                records: header.records,
                bytes: header.payload_bytes,
                kind: header.kind,
                offset: found.offset,
                state: BatchState::Waiting,
            });
        }
        if let Some(next) = self.next.filter(|next| self.position.is_before(*next)) {
            self.note(scan.offset(), self.stored.file_bytes.saturating_sub(scan.offset()));
            self.go_to(next);
        }
        let is_settled = self.next.is_some() || self.report.is_closed;
        self.judge(if is_settled { u64::MAX } else { safe_below });
    }

    /// Goes on to a position. Batches on the way there are lost.
    fn go_to(&mut self, position: Position) {
        self.report.lost += position.since(self.position);
        self.position = self.position.later(position);
    }

    fn note(&mut self, offset: u64, bytes: u64) {
        if bytes > 0 {
            self.report.damage.push(Damage { segment: self.stored.number, offset, bytes });
        }
    }

    /// Decides about batches when it is known which of them were safe.
    fn judge(&mut self, safe_below: u64) {
        // One that is broken and was never safe is one that is being written, or was when power failed.
        for (offset, header) in mem::take(&mut self.broken) {
            if header.position.sequence < safe_below {
                self.note(offset, header.frame_bytes());
                self.report.lost += header.tally();
            }
        }
        for batch in &mut self.report.batches {
            if batch.sequence < self.done_below {
                batch.state = BatchState::Done;
            } else if batch.sequence.0 >= safe_below {
                batch.state = BatchState::InDoubt;
            }
        }
    }
}

impl SegmentReport {
    /// Whether something in it is not as it was written.
    pub fn is_damaged(&self) -> bool {
        self.is_header_damaged || !self.lost.is_zero() || !self.damage.is_empty()
    }

    /// Its batches in a state.
    pub fn tally(&self, state: BatchState) -> Tally {
        let batches = self.batches.iter().filter(|batch| batch.state == state);
        batches.map(BatchReport::tally).sum()
    }
}

impl BatchReport {
    pub fn tally(&self) -> Tally {
        Tally { batches: 1, records: u64::from(self.records), bytes: u64::from(self.bytes) }
    }
}
