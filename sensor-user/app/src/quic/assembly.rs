//! Puts the first message of a handshake together from pieces in any order, in bounded memory.

use super::frames::Crypto;
use crate::{
    output::{BufferId, Output},
    parser::Failure,
    pool::BUFFER_BYTES,
};

/// Pieces that do not touch each other. Clients are known to scramble a hello into a dozen.
const RANGES_MAX: usize = 24;

/// What has come of a message.
#[derive(Debug)]
pub struct Assembly {
    /// Taken with the first piece.
    buffer: Option<BufferId>,
    ranges: Ranges,
}

/// Bytes that are there, as ranges that neither overlap nor touch, in any order.
#[derive(Debug)]
struct Ranges {
    ranges: [(u16, u16); RANGES_MAX],
    count: usize,
}

const _: () = assert!(BUFFER_BYTES <= u16::MAX as usize);

impl Assembly {
    pub const NEW: Assembly = Assembly { buffer: None, ranges: Ranges::NEW };

    /// Takes a piece. The buffer then has all bytes from the first one on up to the first that is missing; there is
    /// none if too many are in use.
    pub fn add(&mut self, piece: Crypto<'_>, output: &mut Output<'_>) -> Result<Option<&BufferId>, Failure> {
        let start = usize::try_from(piece.offset).map_err(|_| Failure::Limit)?;
        let end = start.saturating_add(piece.data.len());
        if end > BUFFER_BYTES {
            return Err(Failure::Limit);
        }
        if self.buffer.is_none() {
            self.buffer = output.take_buffer();
        }
        let Some(buffer) = &self.buffer else { return Ok(None) };
        if !self.ranges.insert((start as u16, end as u16)) {
            return Err(Failure::Limit);
        }
        output.write_buffer(buffer, start, piece.data);
        output.set_buffer_length(buffer, self.ranges.end_of_first());
        Ok(Some(buffer))
    }

    /// Forgets what has come.
    pub fn clear(&mut self, output: &mut Output<'_>) {
        if let Some(buffer) = self.buffer.take() {
            output.release_buffer(buffer);
        }
        self.ranges = Ranges::NEW;
    }
}

impl Ranges {
    const NEW: Ranges = Ranges { ranges: [(0, 0); RANGES_MAX], count: 0 };

    /// Whether there was room.
    fn insert(&mut self, mut new: (u16, u16)) -> bool {
        let mut place = 0;
        while place < self.count {
            let old = self.ranges[place];
            if old.0 <= new.1 && new.0 <= old.1 {
                // What touches the two touches no third one that was passed: that would have touched the old one.
                new = (old.0.min(new.0), old.1.max(new.1));
                self.count -= 1;
                self.ranges[place] = self.ranges[self.count];
            } else {
                place += 1;
            }
        }
        let Some(free) = self.ranges.get_mut(self.count) else { return false };
        *free = new;
        self.count += 1;
        true
    }

    /// Up to where all bytes are there.
    fn end_of_first(&self) -> usize {
        let ranges = &self.ranges[..self.count];
        ranges.iter().find(|range| range.0 == 0).map_or(0, |range| usize::from(range.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_pieces_apart_than_there_is_room_for_are_refused() {
        let mut ranges = Ranges::NEW;
        for place in 0..RANGES_MAX as u16 {
            assert!(ranges.insert((place * 10, place * 10 + 5)));
        }
        assert!(!ranges.insert((1000, 1001)));
        assert!(ranges.insert((5, 10)), "what closes a gap needs no room");
        assert!(ranges.insert((1000, 1001)));
        assert_eq!(ranges.end_of_first(), 15);
    }

    proptest! {
        #[test]
        fn ranges_know_the_first_byte_that_is_missing(
            pieces in prop::collection::vec((0u16..60, 0u16..12), 0..40),
        ) {
            let mut ranges = Ranges::NEW;
            let mut bytes = [false; 80];
            for (start, length) in pieces {
                if ranges.insert((start, start + length)) {
                    bytes[usize::from(start)..usize::from(start + length)].fill(true);
                }
            }
            let missing = bytes.iter().position(|is_there| !is_there).unwrap();
            prop_assert_eq!(ranges.end_of_first(), missing);
        }
    }
}
