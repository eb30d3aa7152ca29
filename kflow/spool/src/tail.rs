//! The end of the newest segment, as a crash may have left it.
//!
//! A frame says what was safe when it was written, so only those of the last group are in doubt: it may have been committed
//! or not, and what can be read of it now may be in the memory of the operating system only.

use crate::frame::{FrameHeader, Place};
use crate::fs::{File, read_full};
use crate::position::Position;
use crate::scan::Scan;
use crate::segment::BLOCK_BYTES;
use crate::stock::Stored;
use std::io;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Behind the last batch.
    pub end: Position,
    /// Where what is not in doubt ends.
    pub safe_offset: u64,
    /// Batches that are whole, and in doubt.
    pub doubtful: Vec<(FrameHeader, Vec<u8>)>,
    /// The writer has closed the spool, so nothing can be missing at the end.
    pub is_closed: bool,
    /// Bytes behind the last frame that is whole.
    pub torn_bytes: u64,
}

impl Tail {
    /// Reads the newest segment of a spool, of which everything below the sequence `safe_below` was safe.
    ///
    /// An error if the disk gives back nothing from some place on: then nobody knows what is there.
    pub fn read(epoch: u64, stored: &Stored, safe_below: u64) -> io::Result<Tail> {
        let frames = read_frames(epoch, stored);
        let stated = frames.iter().map(|(_, header)| header.safe_below).max();
        let safe_below = stored.first.sequence.max(safe_below).max(stated.unwrap_or(0));
        let mut tail = Tail { end: stored.first, safe_offset: BLOCK_BYTES, ..Tail::default() };
        let mut end_offset = BLOCK_BYTES;
        let place = Place { epoch, segment: stored.number, offset: BLOCK_BYTES };
        let scan = Scan::new(&*stored.file, place, stored.file_bytes);
        for (offset, header) in frames {
            if header.is_end() {
                tail.is_closed = true;
                tail.end = tail.end.later(header.position);
                end_offset = offset + header.frame_bytes();
                continue;
            }
            if header.position.sequence < safe_below {
                tail.end = tail.end.later(header.behind());
                tail.safe_offset = offset + header.frame_bytes();
                end_offset = tail.safe_offset;
                continue;
            }
            let mut payload = Vec::new();
            if scan.read_payload(offset, &header, &mut payload) {
                tail.end = tail.end.later(header.behind());
                end_offset = offset + header.frame_bytes();
                tail.doubtful.push((header, payload));
            }
        }
        tail.torn_bytes = data_behind(&*stored.file, end_offset, stored.file_bytes)?;
        Ok(tail)
    }
}

/// All frames of a segment whose headers are whole.
fn read_frames(epoch: u64, stored: &Stored) -> Vec<(u64, FrameHeader)> {
    let place = Place { epoch, segment: stored.number, offset: BLOCK_BYTES };
    let mut scan = Scan::new(&*stored.file, place, stored.file_bytes);
    let mut frames = Vec::new();
    // What the disk does not give back at the end is torn.
    while let Ok(Some(found)) = scan.next() {
        frames.push((found.offset, found.header));
    }
    frames
}

/// Bytes from `offset` to the last one that is not zero. An error if the last of them cannot be read.
fn data_behind(file: &dyn File, offset: u64, end: u64) -> io::Result<u64> {
    let mut data = 0;
    let mut at = offset;
    let mut window = vec![0; BLOCK_BYTES as usize];
    let mut last = Ok(());
    while at < end {
        let read = read_full(file, &mut window, at);
        let read = match read {
            Ok(read) => {
                last = Ok(());
                read
            }
            Err(error) => {
                last = Err(error);
                0
            }
        };
        if let Some(last) = window[..read].iter().rposition(|byte| *byte != 0) {
            data = at + last as u64 + 1 - offset;
        }
        at += BLOCK_BYTES;
    }
    last.map(|()| data)
}
