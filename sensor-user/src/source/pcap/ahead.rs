//! Brings record headers into the cache before the walker comes. In: the mapped bytes ahead. Out: nothing but warm
//! cache lines, so that a wrong guess costs time and never a frame.
//!
//! Where a record starts is known only once the header before it was read, and each of those reads misses every
//! cache: one walker waits for memory at every packet. So scouts set out at several places ahead, each finds
//! something that looks like a record, and they walk in turns; their misses overlap. Beside each header they touch
//! the line behind it, which the decoder will read.

use std::hint::black_box;

/// Scouts that walk at the same time.
const SCOUTS: usize = 16;
/// One scout's way.
const SEGMENT_BYTES: usize = 32 << 10;
const REGION_BYTES: usize = SCOUTS * SEGMENT_BYTES;
/// Warm the next region once this little is warm.
const LOW_BYTES: usize = 128 << 10;
/// Where a scout gives up looking for a record.
const SEARCH_BYTES: usize = 4096;
/// Regions that are left alone after one where most scouts found nothing.
const PAUSE_REGIONS: usize = 16;
/// From the start of a record: beyond it and the link, network and transport headers, a line at most.
const TOUCH_BYTES: usize = 80;

/// How far ahead the file is warm.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    warm_bytes: usize,
}

impl Ahead {
    /// Warms the next region if it is time. `step` gives the length of what looks like a record at an offset.
    pub(super) fn warm(&mut self, window: &[u8], step: impl Fn(&[u8]) -> Option<usize>) {
        if self.warm_bytes >= LOW_BYTES {
            return;
        }
        let Some(region) = window.get(self.warm_bytes..self.warm_bytes + REGION_BYTES) else { return };
        let found = walk_region(region, step);
        let regions = if found < SCOUTS / 2 { PAUSE_REGIONS } else { 1 };
        self.warm_bytes += regions * REGION_BYTES;
    }

    /// The walker went on.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.warm_bytes = self.warm_bytes.saturating_sub(bytes);
    }
}

/// Returns how many scouts found a record.
fn walk_region(region: &[u8], step: impl Fn(&[u8]) -> Option<usize>) -> usize {
    let mut scouts: [&[u8]; SCOUTS] = [&[]; SCOUTS];
    for (scout, segment) in scouts.iter_mut().zip(region.chunks_exact(SEGMENT_BYTES)) {
        *scout = first_record(segment, &step);
    }
    let found = scouts.iter().filter(|scout| !scout.is_empty()).count();
    let mut touched = 0;
    let mut walking = found;
    while walking > 0 {
        walking = 0;
        for scout in &mut scouts {
            let Some(bytes) = step(scout) else { continue };
            touched ^= scout.get(TOUCH_BYTES).copied().unwrap_or(0);
            *scout = scout.get(bytes..).unwrap_or(&[]);
            walking += 1;
        }
    }
    black_box(touched);
    found
}

/// The segment from the first place on where two things like records follow each other; empty if there is none.
fn first_record<'a>(segment: &'a [u8], step: &impl Fn(&[u8]) -> Option<usize>) -> &'a [u8] {
    for at in 0..SEARCH_BYTES {
        let here = &segment[at..];
        let Some(bytes) = step(here) else { continue };
        if here.get(bytes..).is_some_and(|next| step(next).is_some()) {
            return here;
        }
    }
    &[]
}
