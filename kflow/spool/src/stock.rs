//! What is on the disk: the segments with their headers, the cursor, and the identity that they share.

use crate::cursor::{self, Slot};
use crate::error::Error;
use crate::frame::Place;
use crate::fs::{Access, File, Fs};
use crate::position::Position;
use crate::scan::{Scan, read_header};
use crate::segment::{self, BLOCK_BYTES, Decoded, SEQUENCES_MAX, SegmentHeader};
use std::io;
use std::sync::Arc;

/// The files of a spool.
#[derive(Debug)]
pub(crate) struct Stock {
    /// `None`: nothing says which spool this is.
    pub epoch: Option<u64>,
    /// Those of this epoch in which something can be read, or that are known to be empty; in the order of their numbers.
    pub segments: Vec<Stored>,
    /// Those that a later one says are void.
    pub void: Vec<(u64, u64)>,
    /// Those of which nothing can be read; number and bytes.
    pub unreadable: Vec<(u64, u64)>,
    /// The disk refused to give something back, so that what is unreadable now may not be later.
    pub has_read_errors: bool,
    /// The newest header that is whole.
    pub newest_header: Option<SegmentHeader>,
    /// Of this epoch, the one that counts first.
    pub slots: Vec<Slot>,
    pub has_cursor: bool,
    /// The highest number of all segments.
    pub newest_number: u64,
}

/// A segment on the disk.
#[derive(Debug)]
pub(crate) struct Stored {
    pub number: u64,
    pub file: Arc<dyn File>,
    pub file_bytes: u64,
    pub header: Option<SegmentHeader>,
    /// What is before its first batch; by the first frame that is whole if the header is not.
    pub first: Position,
}

impl Stock {
    pub fn take(fs: &dyn Fs) -> Result<Stock, Error> {
        let names = fs.list().map_err(Error::io("list the spool"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
        numbers.sort_unstable();
        let slots = cursor::read(fs).map_err(Error::io("read the cursor of the spool"))?;
        let mut stock = Stock {
            epoch: None,
            segments: Vec::new(),
            void: Vec::new(),
            unreadable: Vec::new(),
            has_read_errors: false,
            newest_header: None,
            slots,
            has_cursor: names.iter().any(|name| name == cursor::NAME),
            newest_number: numbers.last().copied().unwrap_or(0),
        };
        let found = stock.read_headers(fs, &numbers)?;
        stock.newest_header = found.iter().rev().find_map(|stored| stored.header);
        let first_slot = stock.slots.first().map(|slot| slot.epoch);
        stock.epoch =
            stock.newest_header.map(|header| header.epoch).or(first_slot.filter(|_| !found.is_empty()));
        stock.slots.retain(|slot| Some(slot.epoch) == stock.epoch);
        for stored in found {
            if let Some(error) = stock.sort_in(stored) {
                return Err(Error::io("read the newest segment of the spool")(error));
            }
        }
        Ok(stock)
    }

    /// Opens the segments and reads their headers. An error if the disk gives back nothing that says which spool it is.
    fn read_headers(&mut self, fs: &dyn Fs, numbers: &[u64]) -> Result<Vec<Stored>, Error> {
        let mut found = Vec::new();
        let mut refused = None;
        for &number in numbers {
            let (stored, decoded) = match open_stored(fs, number) {
                Ok(stored) => {
                    let decoded = read_header(&*stored.file, number);
                    (stored, decoded)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(format!("open {}", segment::name(number)))(error)),
            };
            let header = match decoded {
                Ok(Decoded::Header(header)) => Some(header),
                Ok(Decoded::Damaged) => None,
                Ok(Decoded::Later { version }) => return Err(Error::Version { version }),
                Err(error) => {
                    refused = Some(error);
                    None
                }
            };
            found.push(Stored { header, ..stored });
        }
        self.has_read_errors = refused.is_some();
        match refused {
            Some(error) if self.slots.is_empty() && found.iter().all(|stored| stored.header.is_none()) => {
                Err(Error::io("read the spool")(error))
            }
            _ => Ok(found),
        }
    }

    /// Puts a segment where it belongs. Returns why the disk does not give back the newest one: an older one that is not
    /// there leaves a gap that is counted, but what the newest one holds nobody else knows.
    fn sort_in(&mut self, mut stored: Stored) -> Option<io::Error> {
        let (number, file_bytes) = (stored.number, stored.file_bytes);
        if self.newest_header.is_some_and(|newest| number < newest.oldest) {
            self.void.push((number, file_bytes));
            return None;
        }
        let is_foreign = stored.header.is_some_and(|header| Some(header.epoch) != self.epoch);
        let first = match (stored.header, self.epoch) {
            (Some(header), _) => Ok(Some(header.first)),
            (None, Some(epoch)) => first_frame(epoch, &stored),
            (None, None) => Ok(None),
        };
        match first {
            Ok(Some(first)) if !is_foreign => {
                stored.first = first;
                self.segments.push(stored);
            }
            Err(error) if number == self.newest_number => return Some(error),
            Ok(_) => self.unreadable.push((number, file_bytes)),
            Err(_) => {
                self.has_read_errors = true;
                self.unreadable.push((number, file_bytes));
            }
        }
        None
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
fn first_frame(epoch: u64, stored: &Stored) -> io::Result<Option<Position>> {
    let place = Place { epoch, segment: stored.number, offset: BLOCK_BYTES };
    let found = Scan::new(&*stored.file, place, stored.file_bytes).next()?;
    Ok(found.map(|found| found.header.position))
}

fn open_stored(fs: &dyn Fs, number: u64) -> io::Result<Stored> {
    let file = fs.open(&segment::name(number), Access::Read)?;
    let file_bytes = file.length()?;
    Ok(Stored { number, file, file_bytes, header: None, first: Position::default() })
}
