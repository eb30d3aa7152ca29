//! Reads a segment: finds frames, past damaged places too.
//!
//! Where no frame is, the next one is looked for at every multiple of 8 bytes; a header that is whole is trusted with its
//! length, also if its payload is damaged. So a segment is read in one pass, whatever is in it. A block that the disk
//! does not give back is a damaged one.

use crate::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, MAGIC, Place};
use crate::fs::{File, read_full};
use crate::segment::{BLOCK_BYTES, Decoded, HEADER_BYTES, SegmentHeader};
use std::io;

/// How often a disk that refuses and then does not is asked again.
const ATTEMPTS: u32 = 3;
const WINDOW_BYTES: u64 = 64 << 10;

/// Reads the header of a segment. A file that is too short has none.
pub(crate) fn read_header(file: &dyn File, number: u64) -> io::Result<Decoded> {
    let mut bytes = [0; HEADER_BYTES];
    let read = read_full(file, &mut bytes, 0)?;
    Ok(if read == HEADER_BYTES { SegmentHeader::decode(&bytes, number) } else { Decoded::Damaged })
}

/// Walks over the frames of a segment.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    file: &'a dyn File,
    /// Where the next frame is if nothing is damaged.
    place: Place,
    /// Frames end here at the latest.
    end: u64,
    window: Vec<u8>,
    window_offset: u64,
}

/// What is at the next place of a segment.
#[derive(Debug)]
pub(crate) struct Found {
    pub header: FrameHeader,
    pub offset: u64,
    /// Bytes before this frame that are no frame, though one was to be expected there.
    pub skipped_bytes: u64,
    /// The disk did not give back some of these, twice, though it gave back this frame.
    pub was_refused: Option<io::Error>,
}

impl<'a> Scan<'a> {
    /// Begins at `place`, where a frame is expected, and goes on to `end` at most.
    pub fn new(file: &'a dyn File, place: Place, end: u64) -> Scan<'a> {
        Scan { file, place, end, window: Vec::new(), window_offset: 0 }
    }

    /// Where the next frame is expected.
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// The next frame whose header is whole, or nothing up to the end.
    ///
    /// An error if the disk refuses to give back a place and whatever is behind it, or cannot make up its mind.
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        let expected = self.place.offset;
        let mut attempts = ATTEMPTS;
        loop {
            let mut refusal = None;
            let found = self.search(&mut refusal);
            let Some((offset, error)) = refusal else { return Ok(found) };
            // What is behind can be read, so the disk is there. Was it when it refused?
            let is_back = self.fill(offset, 1).is_ok();
            attempts -= 1;
            match found {
                Some(found) if !is_back => return Ok(Some(Found { was_refused: Some(error), ..found })),
                Some(_) if attempts > 0 => self.place.offset = expected,
                Some(_) | None => {
                    self.place.offset = expected;
                    return Err(error);
                }
            }
        }
    }

    /// The next frame. Tells where the disk first refused to give back something on the way.
    fn search(&mut self, refusal: &mut Option<(u64, io::Error)>) -> Option<Found> {
        let expected = self.place.offset;
        while self.place.offset.saturating_add(FRAME_HEADER_BYTES) <= self.end {
            let offset = self.place.offset;
            // Usually the frame is where it is expected, and nothing else is wanted of what is behind its header.
            let window_bytes = if offset == expected { FRAME_HEADER_BYTES } else { WINDOW_BYTES };
            match self.load(offset, window_bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    refusal.get_or_insert((offset, error));
                    self.place.offset = offset - offset % BLOCK_BYTES + BLOCK_BYTES;
                    continue;
                }
            }
            if let Some(header) = self.header_in_window() {
                self.place.offset = header.next_offset(offset);
                return Some(Found { header, offset, skipped_bytes: offset - expected, was_refused: None });
            }
            self.place.offset = self.next_candidate();
        }
        self.place.offset = expected;
        None
    }

    /// Whether the payload of a frame is as it was written.
    pub fn read_payload(&self, offset: u64, header: &FrameHeader, payload: &mut Vec<u8>) -> io::Result<bool> {
        payload.clear();
        payload.resize(header.payload_bytes as usize, 0);
        let read = read_full(self.file, payload, offset + FRAME_HEADER_BYTES)?;
        Ok(read == payload.len() && crc32c::crc32c(payload) == header.payload_checksum)
    }

    fn header_in_window(&self) -> Option<FrameHeader> {
        let bytes = self.window_from(self.place.offset).first_chunk()?;
        let header = FrameHeader::decode(bytes, self.place)?;
        let payload = self.place.offset.checked_add(FRAME_HEADER_BYTES)?;
        let end = payload.checked_add(u64::from(header.payload_bytes))?;
        (end <= self.end).then_some(header)
    }

    /// The next offset where the magic number is, or where the window ends.
    fn next_candidate(&self) -> u64 {
        let step = ALIGNMENT as usize;
        let bytes = self.window_from(self.place.offset);
        let mut candidates = bytes.chunks_exact(step).skip(1);
        let found = candidates.position(|chunk| chunk[..4] == MAGIC.to_le_bytes());
        let steps = found.map_or(bytes.len() / step, |found| found + 1).max(1);
        self.place.offset + (steps * step) as u64
    }

    fn window_from(&self, offset: u64) -> &[u8] {
        let start = offset.saturating_sub(self.window_offset) as usize;
        self.window.get(start..).unwrap_or_default()
    }

    /// Makes a header at `offset` part of the window, if the file is that long; returns how much of the window is left.
    fn load(&mut self, offset: u64, window_bytes: u64) -> io::Result<usize> {
        if self.window_offset > offset || self.window_from(offset).len() < FRAME_HEADER_BYTES as usize {
            let wanted = (self.end - offset).min(window_bytes) as usize;
            if let Err(error) = self.fill(offset, wanted) {
                // Only the block that is damaged is lost, with a header that reaches into it.
                let block = (BLOCK_BYTES - offset % BLOCK_BYTES) as usize;
                self.fill(offset, block.min(wanted)).map_err(|_| error)?;
            }
        }
        Ok(self.window_from(offset).len())
    }

    fn fill(&mut self, offset: u64, bytes: usize) -> io::Result<()> {
        self.window.clear();
        self.window_offset = offset;
        self.window.resize(bytes, 0);
        match read_full(self.file, &mut self.window, offset) {
            Ok(read) => self.window.truncate(read),
            Err(error) => {
                self.window.clear();
                return Err(error);
            }
        }
        Ok(())
    }
}
