//! Room on the disk: segments begin, spare ones are kept, the oldest go.
//!
//! A new segment is written whole, header and first group, before it gets its name, so one that has its name can be read.
//! Its header says what was dropped for it, and only then is that removed. So after a crash at any moment it is known what
//! is dropped, and nothing that is counted as dropped comes back. A spool that refuses what is new drops nothing: it only
//! takes the room of what is done with.

use crate::config::WhenFull;
use crate::error::{Error, is_full};
use crate::frame::Place;
use crate::fs::{Access, File, write_all};
use crate::group::Part;
use crate::segment::{self, BLOCK_BYTES, SEGMENT_BATCHES_MAX, SEQUENCES_MAX, SegmentHeader};
use crate::shared::{Doomed, Ledger, Segment};
use crate::stats::{Reason, State};
use crate::writer::{Active, Writer};
use std::io;
use std::mem;
use std::sync::Arc;

/// A segment that has no number yet. Nobody reads it.
pub(crate) const SPARE_NAME: &str = "spare";

impl Writer {
    /// Begins a segment with what fits into it of the group.
    pub(crate) fn begin_segment(&mut self) -> Result<(), Error> {
        let mut length = self.config.segment_bytes;
        if !self.is_settled {
            // The last segment of an earlier process ends before the first batch in doubt, so all are in this one.
            length = length.max((BLOCK_BYTES + self.group.bytes()).next_multiple_of(BLOCK_BYTES));
        }
        let begun = self.make_room(length).and_then(|room| {
            self.begin_in_room(length)?;
            // The rest is not needed for what is safe now.
            self.settle();
            self.keep_to_cap();
            let _ = self.shared.remove_doomed();
            if room.is_for_spare {
                let _ = self.allocate_spare(self.config.segment_bytes);
            }
            Ok(())
        });
        if let Err(error) = &begun {
            let is_full = matches!(error, Error::NoRoom { .. });
            self.shared.ledger().state = if is_full { State::NoRoom } else { State::Failing };
        }
        begun
    }

    /// Makes sure that another segment keeps to the limits, and then a spare one: drops the oldest if they may be dropped.
    fn make_room(&mut self, length: u64) -> Result<Room, Error> {
        self.leave_active();
        let _ = self.shared.remove_doomed();
        // A file system that does not tell counts as one with room; when it has none it tells.
        let free = self.shared.fs.free_bytes().unwrap_or(u64::MAX);
        let mut ledger = self.shared.ledger();
        ledger.doom_done();
        let taken = ledger.file_bytes();
        // The spare one of an earlier process is taken for its room alone.
        let now = if self.spare.is_some() { 0 } else { length.saturating_sub(ledger.spare_bytes) };
        let credit = mem::take(&mut self.credit_bytes);
        let lacking = |growth: u64| Lacking {
            under_cap: (taken + growth).saturating_sub(self.config.bytes_max),
            on_disk: (self.config.disk_free_min.saturating_add(growth).saturating_sub(free))
                .min(growth.saturating_sub(credit)),
        };
        let with_spare = lacking(now + self.config.segment_bytes);
        // To open a spool costs nothing that waits in it, unless there is no other way.
        let wanted = if self.is_settled { with_spare } else { lacking(now) };
        let mut freed = ledger.doomed.iter().map(|doomed| doomed.file_bytes).sum::<u64>();
        self.pressure = State::Working;
        while freed < wanted.most() {
            let (reason, pressure) = wanted.pressure(freed);
            let Some(dropped) = self.drop_oldest(&mut ledger, reason) else { break };
            freed += dropped;
            self.pressure = pressure;
        }
        drop(ledger);
        let needed = match self.config.when_full {
            // What is too much under the cap can be dropped when another segment is there.
            WhenFull::DropOldest => lacking(now).on_disk,
            WhenFull::Refuse => lacking(now).most(),
        };
        if freed < needed {
            freed += self.empty_last();
        }
        if freed < needed {
            return Err(Error::NoRoom { source: io::ErrorKind::StorageFull.into() });
        }
        Ok(Room { is_for_spare: freed >= with_spare.most() })
    }

    /// Drops what could not be dropped before: a last segment that alone is larger than the cap, which is smaller than it
    /// was.
    fn keep_to_cap(&mut self) {
        let mut ledger = self.shared.ledger();
        let mut over = ledger.file_bytes().saturating_sub(self.config.bytes_max);
        for doomed in &ledger.doomed {
            over = over.saturating_sub(doomed.file_bytes);
        }
        while over > 0 {
            let Some(dropped) = self.drop_oldest(&mut ledger, Reason::Cap) else { return };
            self.pressure = State::AtCap;
            over = over.saturating_sub(dropped);
        }
    }

    fn drop_oldest(&self, ledger: &mut Ledger, reason: Reason) -> Option<u64> {
        match self.config.when_full {
            WhenFull::DropOldest => ledger.drop_oldest(reason),
            WhenFull::Refuse => None,
        }
    }

    fn begin_in_room(&mut self, length: u64) -> Result<(), Error> {
        loop {
            let Err(source) = self.begin_in_spare(length) else { return Ok(()) };
            if !is_full(&source) {
                return Err(Error::Io { what: "begin a segment of the spool".into(), source });
            }
            let dropped = self.drop_oldest(&mut self.shared.ledger(), Reason::DiskLow);
            if dropped.is_some() {
                self.pressure = State::DiskLow;
            } else if self.empty_last() == 0 {
                return Err(Error::NoRoom { source });
            }
        }
    }

    fn begin_in_spare(&mut self, length: u64) -> io::Result<()> {
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => {
                self.shared.remove_doomed()?;
                self.allocate_spare(length)?;
                self.spare.take().expect("a spare segment was allocated")
            }
        };
        let number = self.next_number;
        self.next_number += 1;
        self.shared.ledger().spare_bytes = 0;
        let begun = self.begin_file(&spare, number, length);
        if begun.is_err() {
            // Under the one name or the other, it is of no use: nobody knows what of it is on the disk.
            let _ = self.shared.fs.remove(SPARE_NAME);
            self.shared.ledger().doomed.push(Doomed { number, file_bytes: length });
        }
        begun
    }

    fn begin_file(&mut self, file: &Arc<dyn File>, number: u64, length: u64) -> io::Result<()> {
        let part = self.group.part(length - BLOCK_BYTES, SEGMENT_BATCHES_MAX);
        let header = self.header(number);
        write_all(&**file, &header.encode(), 0)?;
        let mut active =
            Active { file: Arc::clone(file), number, offset: BLOCK_BYTES, end: length, batches: 0 };
        if let Some(part) = &part {
            let place = Place { epoch: header.epoch, segment: number, offset: BLOCK_BYTES };
            write_all(&**file, self.group.frames(part, place), BLOCK_BYTES)?;
            active.count(part);
        }
        self.shared.sync_file(&**file)?;
        self.shared.fs.rename(SPARE_NAME, &segment::name(number))?;
        self.shared.sync_names()?;
        self.enlist(active, &header, part);
        Ok(())
    }

    fn header(&self, number: u64) -> SegmentHeader {
        let ledger = self.shared.ledger();
        let [cap, disk_low, missing, _corrupt] = ledger.dropped;
        SegmentHeader {
            epoch: self.shared.epoch,
            number,
            first: self.group.first().unwrap_or(self.next),
            sequence_limit: self.next.sequence.saturating_add(SEQUENCES_MAX),
            oldest: ledger.segments.front().map_or(number, |segment| segment.number),
            dropped: [cap, disk_low, missing],
        }
    }

    /// Makes a segment the one that is written.
    fn enlist(&mut self, active: Active, header: &SegmentHeader, part: Option<Part>) {
        if let Some(part) = &part {
            self.group.remove(part);
        }
        let mut ledger = self.shared.ledger();
        ledger.segments.push_back(Segment {
            number: active.number,
            first: header.first,
            end_offset: active.offset,
            file_bytes: active.end,
        });
        ledger.sequence_limit = header.sequence_limit;
        ledger.doom_done();
        match part {
            Some(part) => self.publish(ledger, &part),
            None => ledger.state = self.pressure,
        }
        self.active = Some(active);
    }

    /// Ends the segment that an earlier process left, behind what is safe in it.
    fn settle(&mut self) {
        if mem::replace(&mut self.is_settled, true) {
            return;
        }
        let left = self.shared.ledger().end_left_segment();
        if let Some(left) = left {
            self.shared.cut(left.number, left.end_offset);
        }
    }

    /// Allocates a spare segment. One that is there may hold anything that an earlier process did not get to its end.
    fn allocate_spare(&mut self, length: u64) -> io::Result<()> {
        let file = self.shared.fs.open(SPARE_NAME, Access::Create)?;
        self.shared.ledger().spare_bytes = 0;
        if let Err(error) = file.allocate(length) {
            let _ = self.shared.fs.remove(SPARE_NAME);
            return Err(error);
        }
        self.spare = Some(file);
        self.shared.ledger().spare_bytes = length;
        Ok(())
    }

    /// Takes the frames out of the last segment if they are done with, and returns how much room that makes. The header
    /// stays: it knows which sequences were in use.
    fn empty_last(&self) -> u64 {
        if !self.is_settled && !self.group.is_empty() {
            // What is in doubt is on the disk there, and only there.
            return 0;
        }
        let last = {
            let ledger = self.shared.ledger();
            let is_done = !ledger.done.is_before(ledger.safe);
            ledger.segments.back().copied().filter(|last| is_done && last.file_bytes > BLOCK_BYTES)
        };
        let Some(last) = last else { return 0 };
        let file = self.shared.fs.open(&segment::name(last.number), Access::ReadWrite);
        if file.and_then(|file| file.truncate(BLOCK_BYTES)).is_err() {
            return 0;
        }
        let mut ledger = self.shared.ledger();
        let segment = ledger.segments.back_mut().expect("only the writer removes the last segment");
        segment.file_bytes = BLOCK_BYTES;
        segment.end_offset = BLOCK_BYTES;
        last.file_bytes - BLOCK_BYTES
    }
}

#[derive(Debug)]
struct Room {
    is_for_spare: bool,
}

/// Bytes that are too many.
#[derive(Clone, Copy, Debug)]
struct Lacking {
    under_cap: u64,
    on_disk: u64,
}

impl Lacking {
    fn most(self) -> u64 {
        self.under_cap.max(self.on_disk)
    }

    /// What lacks when so much was freed, and what that is called.
    fn pressure(self, freed: u64) -> (Reason, State) {
        if freed < self.under_cap { (Reason::Cap, State::AtCap) } else { (Reason::DiskLow, State::DiskLow) }
    }
}
