//! Segments in order: one side of a connection, and the bytes of it that are kept.
//!
//! ```text
//!        next            next + contiguous      pieces, beyond what is missing
//!         │ kept, wanted whole  │                ┌──────┐      ┌───┐
//! ────────┴─────────────────────┴────────────────┴──────┴──────┴───┴──►  sequence numbers
//! ```
//!
//! What is next in a stream and wanted at once is never kept. A buffer is held only while a parser waits for more, or
//! while something is missing before what came. Sequence numbers compare by RFC 1982.

use crate::{
    limits::Limits,
    pool::{BUFFER_BYTES, BufferId, Buffers},
};

/// Pieces that wait behind something that is missing.
const PIECES_MAX: usize = 4;

/// One side of a connection.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Sequence number of the first byte, if the SYN was seen.
    pub start: Option<u32>,
    /// Sequence number of the first byte that nobody has taken.
    pub next: u32,
    /// Bytes from `next` on that nobody wants to see.
    pub skip: u64,
    /// Bytes that have to be there before the parser is asked again.
    pub need: usize,
    /// When the first of the kept bytes came.
    pub start_ns: u64,
    pub progress: Progress,
    kept: Option<BufferId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing came.
    #[default]
    New,
    /// The next byte is the one after the last.
    Aligned,
    /// The next message may begin at the start of any segment.
    Lost,
    /// Nothing more is wanted.
    Done,
}

/// The bytes that are kept of all streams.
#[derive(Debug)]
pub(crate) struct Kept {
    buffers: Buffers,
    holdings: Vec<Holding>,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, Default)]
struct Holding {
    contiguous: usize,
    /// Start and end of pieces, counted from `next`; in order, apart from each other and from what is contiguous.
    pieces: [(usize, usize); PIECES_MAX],
    count: usize,
}

/// What became of bytes that should be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Kept,
    /// There is no buffer.
    NoRoom,
    /// They are too far behind what is missing, or are one piece too many.
    TooFar,
}

impl Kept {
    pub fn new(limits: &Limits) -> Kept {
        Kept { buffers: Buffers::new(limits), holdings: vec![Holding::default(); limits.buffers] }
    }

    pub fn touch(&mut self) {
        self.buffers.touch();
    }

    pub fn in_use(&self) -> usize {
        self.buffers.in_use()
    }

    /// Whether nothing is kept of a side.
    #[inline]
    pub fn is_idle(side: &Side) -> bool {
        side.kept.is_none()
    }

    /// The kept bytes that are next.
    pub fn contiguous(&self, side: &Side) -> &[u8] {
        let Some(id) = &side.kept else { return &[] };
        &self.buffers.whole(id)[..self.holdings[id.index()].contiguous]
    }

    /// Where what is missing ends, counted from `next`.
    pub fn hole_end(&self, side: &Side) -> Option<usize> {
        let holding = &self.holdings[side.kept.as_ref()?.index()];
        (holding.count > 0).then_some(holding.pieces[0].0)
    }

    /// Keeps bytes at a distance from `next`. Those that are there already stay.
    pub fn keep(&mut self, side: &mut Side, at: usize, bytes: &[u8]) -> Keeping {
        let end = at + bytes.len();
        if end > BUFFER_BYTES {
            return Keeping::TooFar;
        }
        let id = match &side.kept {
            Some(id) => id,
            None => {
                let Some(id) = self.buffers.take() else { return Keeping::NoRoom };
                self.holdings[id.index()] = Holding::default();
                side.kept.insert(id)
            }
        };
        let holding = &mut self.holdings[id.index()];
        let known = holding.contiguous.saturating_sub(at).min(bytes.len());
        if !holding.add(at, end) {
            return Keeping::TooFar;
        }
        let is_inside = self.buffers.write(id, at + known, &bytes[known..]);
        debug_assert!(is_inside);
        Keeping::Kept
    }

    /// Passes over bytes from `next` on, kept or not.
    pub fn advance(&mut self, side: &mut Side, bytes: u64) {
        let Some(id) = side.kept.take() else {
            side.skip += bytes;
            return;
        };
        let holding = &mut self.holdings[id.index()];
        let extent = holding.extent() as u64;
        if bytes >= extent {
            side.next = side.next.wrapping_add(extent as u32);
            side.skip += bytes - extent;
            self.buffers.release(id);
            return;
        }
        let bytes = bytes as usize;
        side.next = side.next.wrapping_add(bytes as u32);
        self.buffers.shift(&id, bytes, holding.extent());
        holding.advance(bytes);
        side.kept = Some(id);
    }

    /// Forgets what is kept.
    pub fn release(&mut self, side: &mut Side) {
        if let Some(id) = side.kept.take() {
            self.buffers.release(id);
        }
    }
}

impl Holding {
    fn extent(&self) -> usize {
        match self.count {
            0 => self.contiguous,
            count => self.pieces[count - 1].1,
        }
    }

    /// Adds a range. Whether there is room for it.
    fn add(&mut self, start: usize, end: usize) -> bool {
        if start > self.contiguous {
            return self.add_piece(start, end);
        }
        self.contiguous = self.contiguous.max(end);
        self.absorb();
        true
    }

    fn add_piece(&mut self, start: usize, end: usize) -> bool {
        let touching = |piece: &(usize, usize)| piece.0 <= end && start <= piece.1;
        let first = self.pieces[..self.count].iter().position(touching);
        let Some(first) = first else {
            if self.count == PIECES_MAX {
                return false;
            }
            let place =
                self.pieces[..self.count].iter().position(|piece| piece.0 > start).unwrap_or(self.count);
            self.pieces.copy_within(place..self.count, place + 1);
            self.pieces[place] = (start, end);
            self.count += 1;
            return true;
        };
        let touched = self.pieces[first..self.count].iter().take_while(|piece| touching(piece)).count();
        let last = first + touched - 1;
        self.pieces[first] = (start.min(self.pieces[first].0), end.max(self.pieces[last].1));
        self.pieces.copy_within(last + 1..self.count, first + 1);
        self.count -= touched - 1;
        true
    }

    /// Takes up pieces that are no longer apart from what is contiguous.
    fn absorb(&mut self) {
        while self.count > 0 && self.pieces[0].0 <= self.contiguous {
            self.contiguous = self.contiguous.max(self.pieces[0].1);
            self.pieces.copy_within(1..self.count, 0);
            self.count -= 1;
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.contiguous = self.contiguous.saturating_sub(bytes);
        let mut kept = 0;
        for place in 0..self.count {
            let (start, end) = self.pieces[place];
            if end > bytes {
                self.pieces[kept] = (start.saturating_sub(bytes), end - bytes);
                kept += 1;
            }
        }
        self.count = kept;
        self.absorb();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        flows: 1,
        parsers: 1,
        drafts: 1,
        text_bytes: 1,
        buffers: 1,
        work_bytes: 1,
        transactions_per_span: 1,
    };

    #[test]
    fn at_the_limits_nothing_is_kept() {
        let mut kept = Kept::new(&LIMITS);
        let (mut first, mut second) = (Side::default(), Side::default());
        assert_eq!(kept.keep(&mut first, BUFFER_BYTES, b"x"), Keeping::TooFar);
        for piece in 0..PIECES_MAX {
            assert_eq!(kept.keep(&mut first, 10 * piece + 10, b"x"), Keeping::Kept);
        }
        assert_eq!(kept.keep(&mut first, 5, b"x"), Keeping::TooFar);
        assert_eq!(kept.keep(&mut first, 0, b"x"), Keeping::Kept);
        assert_eq!(kept.keep(&mut second, 0, b"x"), Keeping::NoRoom);
        kept.release(&mut first);
        assert_eq!(kept.keep(&mut second, 0, b"x"), Keeping::Kept);
        assert_eq!(kept.in_use(), 1);
    }

    proptest! {
        /// Ranges of a text in any order, some of it passed over in between.
        #[test]
        fn what_is_contiguous_is_what_was_sent(
            steps in prop::collection::vec((0usize..200, 0usize..40, 0usize..3), 1..40),
        ) {
            let text: Vec<u8> = (0..=255).collect();
            let mut kept = Kept::new(&LIMITS);
            let mut side = Side::default();
            let mut is_there = [false; 256];
            for (start, length, passed) in steps {
                let next = side.next as usize;
                let (from, to) = (start.max(next), (start + length).min(256));
                if side.skip == 0 && from < to && kept.keep(&mut side, from - next, &text[from..to]) == Keeping::Kept {
                    is_there[from..to].fill(true);
                }
                let contiguous = kept.contiguous(&side);
                let expected = is_there[next..].iter().take_while(|is_there| **is_there).count();
                prop_assert_eq!(contiguous, &text[next..next + expected]);
                let passed = passed.min(contiguous.len());
                if passed > 0 {
                    kept.advance(&mut side, passed as u64);
                }
                prop_assert_eq!(side.next as usize, next + passed);
            }
            kept.release(&mut side);
            prop_assert_eq!(kept.in_use(), 0);
        }
    }
}
