//! What is on the disk: the segments with their headers, the cursor, and the identity that they share.

use crate::cursor::{self, Slot};
use crate::error::Error;
use crate::frame::Place;
use crate::fs::{Access, Fs};
use crate::position::Position;
use crate::room::SPARE_NAME;
use crate::scan::{Scan, read_header};
use crate::segment::{self, BLOCK_BYTES, Decoded, SEQUENCES_MAX, SegmentHeader};
use std::io;

/// The files of a spool.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    /// `None`: nothing says which spool this is.
    pub epoch: Option<u64>,
    /// Those of this epoch in which something can be read, or that are known to be empty; in the order of their numbers.
    pub segments: Vec<Stored>,
    /// Those that a later one says are void.
    pub void: Vec<Stored>,
    pub unreadable: Vec<Unreadable>,
    /// The newest header that is whole.
    pub newest_header: Option<SegmentHeader>,
    /// Of this epoch, the one that counts first.
    pub slots: Vec<Slot>,
    pub has_cursor: bool,
    /// The highest number of all segments.
    pub newest_number: u64,
    /// What the spare segment takes.
    pub spare_bytes: u64,
}

/// A segment on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub number: u64,
    pub file_bytes: u64,
    pub header: Option<SegmentHeader>,
    /// What is before its first batch; by the first frame that is whole if the header is not.
    pub first: Position,
}

/// A segment of which nothing can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreadable {
    pub number: u64,
    pub file_bytes: u64,
    /// Nothing is in it. Otherwise it is of another spool, or the disk may give it back another time.
    pub is_void: bool,
}

impl Stock {
    pub fn take(fs: &dyn Fs) -> Result<Stock, Error> {
        let names = fs.list().map_err(Error::io("list the spool"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
        numbers.sort_unstable();
        let mut stock = Stock {
            slots: cursor::read(fs).map_err(Error::io("read the cursor of the spool"))?,
            has_cursor: names.iter().any(|name| name == cursor::NAME),
            newest_number: numbers.last().copied().unwrap_or(0),
            spare_bytes: fs.open(SPARE_NAME, Access::Read).and_then(|file| file.length()).unwrap_or(0),
            ..Stock::default()
        };
        let found = stock.read_headers(fs, &numbers)?;
        stock.identify(&found);
        for stored in found {
            stock.sort_in(fs, stored).map_err(Error::io("read the newest segment of the spool"))?;
        }
        Ok(stock)
    }

    /// Reads the headers of segments. An error if the disk gives back nothing that says which spool it is.
    fn read_headers(&self, fs: &dyn Fs, numbers: &[u64]) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        let mut refused = None;
        for &number in numbers {
            let file = match fs.open(&segment::name(number), Access::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(format!("open {}", segment::name(number)))(error)),
            };
            let header = match read_header(&*file, number) {
                Ok(Decoded::Header(header)) => Some(header),
                Ok(Decoded::Damaged) => None,
                Ok(Decoded::Later { version }) => return Err(Error::Version { version }),
                Err(error) => {
                    refused = Some(error);
                    None
                }
            };
            let file_bytes = file.length().map_err(Error::io("measure a segment of the spool"))?;
            found.push(Stored { number, file_bytes, header, first: Position::default() });
        }
        match refused {
            Some(error) if self.slots.is_empty() && found.iter().all(|stored| stored.header.is_none()) => {
                Err(Error::io("read the spool")(error))
            }
            _ => Ok(found),
        }
    }

    /// Finds out which spool this is. A file of another one that somebody has put here does not decide.
    fn identify(&mut self, found: &[Stored]) {
        let newest = |is_meant: &dyn Fn(&SegmentHeader) -> bool| {
            found.iter().rev().filter_map(|stored| stored.header).find(is_meant)
        };
        let by_cursor = self.slots.first().map(|slot| slot.epoch).filter(|_| !found.is_empty());
        let of_cursor = newest(&|header| Some(header.epoch) == by_cursor);
        self.newest_header = of_cursor.or_else(|| newest(&|_| true));
        self.epoch = self.newest_header.map(|header| header.epoch).or(by_cursor);
        self.slots.retain(|slot| Some(slot.epoch) == self.epoch);
    }

    /// Puts a segment where it belongs. An error if the disk does not give back the newest one: an older one that is not
    /// there leaves a gap that is counted, but what the newest one holds nobody else knows.
    fn sort_in(&mut self, fs: &dyn Fs, mut stored: Stored) -> io::Result<()> {
        let Stored { number, file_bytes, .. } = stored;
        if self.newest_header.is_some_and(|newest| number < newest.oldest) {
            self.void.push(stored);
            return Ok(());
        }
        let is_foreign = stored.header.is_some_and(|header| Some(header.epoch) != self.epoch);
        let first = match (stored.header, self.epoch) {
            (Some(header), _) => Ok(Some(header.first)),
            (None, Some(epoch)) => first_frame(fs, epoch, &stored),
            (None, None) => Ok(None),
        };
        match first {
            Ok(Some(first)) if !is_foreign => {
                stored.first = first;
                self.segments.push(stored);
            }
            Err(error) if number == self.newest_number => return Err(error),
            first => {
                let is_void = first.is_ok() && !is_foreign;
                self.unreadable.push(Unreadable { number, file_bytes, is_void });
            }
        }
        Ok(())
    }

    /// The slot of the cursor that counts.
    pub fn slot(&self) -> Option<&Slot> {
        self.slots.first()
    }

    /// No sequence from here on was ever handed out.
    pub fn sequence_limit(&self) -> u64 {
        // Each segment raises the limit by so much at most, also one whose header cannot be read.
        let limit_by = |number: u64, limit: u64| {
            limit.saturating_add(self.newest_number.saturating_sub(number).saturating_mul(SEQUENCES_MAX))
        };
        let by_header = self.newest_header.map(|header| limit_by(header.number, header.sequence_limit));
        let by_cursor = self.slot().map(|slot| {
            let limit = limit_by(slot.newest_segment, slot.sequence_limit).max(slot.position.sequence);
            // Segments were taken away, and nobody knows how many.
            if self.newest_number < slot.newest_segment { limit.saturating_add(LEAP) } else { limit }
        });
        by_header.max(by_cursor).unwrap_or(1)
    }
}

/// More sequences than a spool uses up in its life: a segment with each of the 2^19 is 8 TiB of segments.
const LEAP: u64 = 1 << 40;

/// Where the first frame is that is whole.
fn first_frame(fs: &dyn Fs, epoch: u64, stored: &Stored) -> io::Result<Option<Position>> {
    let file = fs.open(&segment::name(stored.number), Access::Read)?;
    let place = Place { epoch, segment: stored.number, offset: BLOCK_BYTES };
    let found = Scan::new(&*file, place, stored.file_bytes).next()?;
    Ok(found.map(|found| found.header.position))
}
