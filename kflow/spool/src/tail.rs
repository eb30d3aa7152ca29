//! The end of the newest segment, as a crash may have left it.
//!
//! A frame says what was safe when it was written, so only those of the last group are in doubt: it may have been committed
//! or not, and what can be read of it now may be in the memory of the operating system only.

use crate::frame::{FrameHeader, Place};
use crate::fs::{Access, File, Fs, read_full};
use crate::position::Position;
use crate::scan::Scan;
use crate::segment::{self, BLOCK_BYTES};
use crate::stock::Stored;
use std::io;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Behind the last batch.
    pub end: Position,
    /// Where what is not in doubt ends.
    pub safe_offset: u64,
    /// Where all that is whole ends.
    pub end_offset: u64,
    /// Batches that are whole, and in doubt.
    pub doubtful: Vec<(FrameHeader, Vec<u8>)>,
    /// The writer has closed the spool, so nothing can be missing at the end.
    pub is_closed: bool,
    /// Bytes behind the last frame that is whole.
    pub torn_bytes: u64,
    /// Nothing there can turn out to be more than that.
    pub is_rest_readable: bool,
}

impl Tail {
    /// Reads the newest segment of a spool, of which everything below the sequence `safe_below` was safe.
    ///
    /// An error if the disk gives back nothing from some place on: then nobody knows what is there.
    pub fn read(fs: &dyn Fs, epoch: u64, stored: &Stored, safe_below: u64) -> io::Result<Tail> {
        let file = fs.open(&segment::name(stored.number), Access::Read)?;
        let place = Place { epoch, segment: stored.number, offset: BLOCK_BYTES };
        let mut scan = Scan::new(&*file, place, stored.file_bytes);
        let mut frames = Vec::new();
        while let Some(found) = insist(&*file, stored, || scan.next())?.flatten() {
            frames.push((found.offset, found.header));
        }
        let stated = frames.iter().map(|(_, header)| header.safe_below).max();
        let safe_below = stored.first.sequence.max(safe_below).max(stated.unwrap_or(0));
        let mut tail =
            Tail { end: stored.first, safe_offset: BLOCK_BYTES, end_offset: BLOCK_BYTES, ..Tail::default() };
        for (offset, header) in frames {
            if header.is_end() {
                tail.is_closed = true;
                tail.end = tail.end.later(header.position);
                tail.end_offset = header.next_offset(offset);
                continue;
            }
            if header.position.sequence < safe_below {
                tail.end = tail.end.later(header.behind());
                tail.safe_offset = header.next_offset(offset);
                tail.end_offset = tail.safe_offset;
                continue;
            }
            let mut payload = Vec::new();
            let read = insist(&*file, stored, || scan.read_payload(offset, &header, &mut payload))?;
            if read == Some(true) {
                tail.end = tail.end.later(header.behind());
                tail.end_offset = header.next_offset(offset);
                tail.doubtful.push((header, payload));
            }
        }
        let rest = Rest::read(&*file, tail.end_offset, stored.file_bytes)?;
        tail.torn_bytes = rest.bytes;
        tail.is_rest_readable = rest.is_readable;
        Ok(tail)
    }
}

/// Reads once more what the disk has refused to give back, when it gives back the end of the segment again. `None` if it
/// refuses all the same: then this place is damaged. An error if the end is refused too.
fn insist<T>(
    file: &dyn File,
    stored: &Stored,
    mut read: impl FnMut() -> io::Result<T>,
) -> io::Result<Option<T>> {
    if let Ok(read) = read() {
        return Ok(Some(read));
    }
    Rest::read(file, stored.file_bytes.saturating_sub(1), stored.file_bytes)?;
    Ok(read().ok())
}

/// What is behind the last frame.
struct Rest {
    /// From there to the last byte that is not zero.
    bytes: u64,
    is_readable: bool,
}

impl Rest {
    /// An error if the last block cannot be read.
    fn read(file: &dyn File, offset: u64, end: u64) -> io::Result<Rest> {
        let mut rest = Rest { bytes: 0, is_readable: true };
        let mut at = offset;
        let mut block = [0; BLOCK_BYTES as usize];
        let mut last = Ok(());
        while at < end {
            let next = (at + BLOCK_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
            let bytes = &mut block[..(next.min(end) - at) as usize];
            match read_full(file, bytes, at) {
                Ok(read) => {
                    let data = bytes[..read].iter().rposition(|byte| *byte != 0);
                    rest.bytes = data.map_or(rest.bytes, |data| at + data as u64 + 1 - offset);
                    last = Ok(());
                }
                Err(error) => {
                    rest.is_readable = false;
                    last = Err(error);
                }
            }
            at = next;
        }
        last.map(|()| rest)
    }
}
