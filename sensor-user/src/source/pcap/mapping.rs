//! A regular file, mapped. In: an open file. Out: its bytes as one slice, mapped in and out in windows.
//!
//! Page faults are what reading a mapping costs, so pages are populated in windows ahead of the reader and
//! dropped behind it; the page cache keeps them for the next reader.
//!
//! The length is taken once. What is appended later is not seen. If the file is truncated while it is read,
//! touching a page behind its new end kills the process with SIGBUS; captures that somebody rewrites in place
//! belong on standard input.

#![expect(unsafe_code, reason = "mapping a file is unsafe, since another process can change it")]

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap, UncheckedAdvice};

/// Populated ahead and dropped behind at once.
const WINDOW_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Mapping {
    map: Mmap,
    /// Everything before is consumed.
    position: usize,
    populated_end: usize,
    dropped_end: usize,
}

impl Mapping {
    pub(super) fn new(file: &File) -> io::Result<Mapping> {
        // SAFETY: the mapping is read-only and its bytes are checked as they are read, each time they are read;
        // no decision outlives the bytes it was made on beyond one burst. A writer can change what is seen, not
        // break memory safety of the walker, which bounds-checks against the length of the mapping. Truncation
        // raises SIGBUS, which ends the process and is documented above.
        let map = unsafe { Mmap::map(file)? };
        // A hint: without it the file is read all the same.
        let _ = map.advise(Advice::Sequential);
        let mut mapping = Mapping { map, position: 0, populated_end: 0, dropped_end: 0 };
        mapping.populate();
        Ok(mapping)
    }

    pub(super) fn window(&self) -> &[u8] {
        &self.map[self.position..]
    }

    pub(super) fn offset(&self) -> u64 {
        self.position as u64
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.position += bytes;
        assert!(self.position <= self.map.len(), "no more is consumed than the window has");
        if self.populated_end - self.position.min(self.populated_end) < WINDOW_BYTES / 4 {
            self.populate();
            self.drop_behind();
        }
    }

    /// Maps the next window in one call. Kernels before 5.14 refuse, then pages are faulted in one by one.
    fn populate(&mut self) {
        let start = self.populated_end.max(self.position / WINDOW_BYTES * WINDOW_BYTES);
        let end = (start + WINDOW_BYTES).min(self.map.len());
        if start < end {
            let _ = self.map.advise_range(Advice::PopulateRead, start, end - start);
        }
        self.populated_end = end;
    }

    /// Gives back the page-table entries behind the reader, so that a large file does not look like memory in use.
    fn drop_behind(&mut self) {
        let end = self.position / WINDOW_BYTES * WINDOW_BYTES;
        if end <= self.dropped_end {
            return;
        }
        let bytes = end - self.dropped_end;
        // SAFETY: the range lies within a shared, read-only file mapping, where dropped pages come back from the
        // page cache with the same bytes if they are touched again; `&mut self` proves that no frame is borrowed.
        let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, self.dropped_end, bytes) };
        self.dropped_end = end;
    }
}
