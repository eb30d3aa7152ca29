//! Cap'n Proto unpacking: the bytes of a message in, its segments out, within limits.
//!
//! The message is unpacked in one pass, its segment table (its encoding specification, "Serialization over a stream")
//! with the rest. A message that was not packed is known by its first four bytes: they are zero if it is of one
//! segment, and then no packed message begins like that. Unpacked messages of more segments are not told apart.

use super::limits::Limits;
use crate::error::Error;
use capnp::Word;
use capnp::message::{Reader, ReaderOptions, ReaderSegments};
use std::ops::Range;

/// A message in memory.
pub(super) struct Unpacked {
    words: Vec<Word>,
    /// Where in `words` each segment is.
    segments: Vec<Range<usize>>,
}

impl Unpacked {
    /// Unpacks exactly one message.
    pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Unpacked, Error> {
        let words_max = limits.unpacked_bytes / 8;
        let words = match bytes {
            [0, 0, 0, 0, ..] => copy(bytes, words_max)?,
            _ => unpack(bytes, words_max)?,
        };
        let segments = read_table(&words, limits.segments)?;
        Ok(Unpacked { words, segments })
    }

    pub(super) fn reader(&self, limits: &Limits) -> Reader<&Unpacked> {
        let options = ReaderOptions {
            traversal_limit_in_words: Some(limits.unpacked_bytes / 8),
            nesting_limit: limits.nesting.try_into().unwrap_or(i32::MAX),
        };
        Reader::new(self, options)
    }
}

impl ReaderSegments for Unpacked {
    fn get_segment(&self, index: u32) -> Option<&[u8]> {
        let range = self.segments.get(index as usize)?;
        Some(Word::words_to_bytes(&self.words[range.clone()]))
    }

    fn len(&self) -> usize {
        self.segments.len()
    }
}

const ZERO: Word = capnp::word(0, 0, 0, 0, 0, 0, 0, 0);

/// The words of a message that is not packed.
fn copy(bytes: &[u8], words_max: usize) -> Result<Vec<Word>, Error> {
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(cut_short());
    }
    if words.len() > words_max {
        return Err(too_large(words_max));
    }
    Ok(words.iter().map(|bytes| word(*bytes)).collect())
}

fn unpack(packed: &[u8], words_max: usize) -> Result<Vec<Word>, Error> {
    // What a message of records packs to is a third of it or less.
    let mut words = Vec::with_capacity(words_max.min(packed.len() / 2));
    let mut rest = packed;
    while let Some((tag, after)) = rest.split_first() {
        rest = after;
        let zeros_or_literals = match *tag {
            0x00 => {
                words.push(ZERO);
                true
            }
            0xFF => {
                words.push(word(take(&mut rest)?));
                true
            }
            tag => {
                words.push(word(spread(tag, &mut rest)?.to_le_bytes()));
                false
            }
        };
        if zeros_or_literals {
            let [count] = take(&mut rest)?;
            let run = usize::from(count);
            if *tag == 0 {
                words.resize(words.len() + run, ZERO);
            } else {
                let literals = rest.split_off(..run * 8).ok_or_else(cut_short)?;
                words.extend(literals.as_chunks().0.iter().map(|bytes| word(*bytes)));
            }
        }
        if words.len() > words_max {
            return Err(too_large(words_max));
        }
    }
    Ok(words)
}

/// The word whose bytes that are not zero come next.
#[inline(always)]
fn spread(tag: u8, rest: &mut &[u8]) -> Result<u64, Error> {
    let (low, high) = (tag & 0xF, tag >> 4);
    let is_plain = low & (low + 1) | high & (high + 1) == 0;
    // In most words they are the low bytes of the two halves.
    if let (true, Some(bytes)) = (is_plain, rest.first_chunk()) {
        let bytes = u64::from_le_bytes(*bytes);
        let (low_count, high_count) = (low.count_ones(), high.count_ones());
        *rest = &rest[(low_count + high_count) as usize..];
        let of_low = bytes & low_bytes(low_count);
        let of_high = bytes >> (8 * low_count) & low_bytes(high_count);
        return Ok(of_low | of_high << 32);
    }
    spread_any(tag, rest)
}

#[cold]
fn spread_any(tag: u8, rest: &mut &[u8]) -> Result<u64, Error> {
    let mut word = [0; 8];
    for (index, byte) in word.iter_mut().enumerate() {
        if tag >> index & 1 == 1 {
            [*byte] = take(rest)?;
        }
    }
    Ok(u64::from_le_bytes(word))
}

/// All bits of so many bytes, at most four.
fn low_bytes(count: u32) -> u64 {
    (1 << (8 * count)) - 1
}

#[inline(always)]
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = after;
    Ok(*taken)
}

#[inline(always)]
fn word([a, b, c, d, e, f, g, h]: [u8; 8]) -> Word {
    capnp::word(a, b, c, d, e, f, g, h)
}

/// Where the segments are: all that follows the table, neither more nor less.
fn read_table(words: &[Word], segments_max: usize) -> Result<Vec<Range<usize>>, Error> {
    let numbers = Word::words_to_bytes(words).as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let mut numbers = numbers.map(|number| number as usize);
    let count = numbers.next().ok_or_else(cut_short)? + 1;
    if count > segments_max {
        return Err(Error::malformed(format!("it is of {count} segments")));
    }
    // A number each and their count, in whole words.
    let mut start = (count + 1).div_ceil(2);
    let mut segments = Vec::with_capacity(count.min(words.len()));
    for _ in 0..count {
        let end = start + numbers.next().ok_or_else(cut_short)?;
        segments.push(start..end);
        start = end;
    }
    if start > words.len() {
        return Err(cut_short());
    }
    if start < words.len() {
        return Err(Error::malformed(format!("{} words follow the message", words.len() - start)));
    }
    Ok(segments)
}

#[cold]
fn cut_short() -> Error {
    Error::malformed("it ends before it should")
}

#[cold]
fn too_large(words_max: usize) -> Error {
    Error::malformed(format!("it unpacks to more than {} bytes", words_max * 8))
}

#[cfg(test)]
mod tests {
    use super::super::packing::Packer;
    use super::*;
    use proptest::prelude::*;

    fn numbers(words: &[Word]) -> Vec<u64> {
        Word::words_to_bytes(words).as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }

    proptest! {
        #[test]
        fn unpacking_what_was_packed_gives_the_same_words(
            runs in prop::collection::vec((any::<u64>(), any::<u64>(), 0usize..600), 0..20),
        ) {
            let words: Vec<u64> =
                runs.iter().flat_map(|(word, keep, run)| std::iter::repeat_n(0, *run).chain([word & keep])).collect();
            let mut packer = Packer::default();
            packer.reserve(words.len());
            words.iter().for_each(|word| packer.word(*word));
            let packed = packer.finish();
            prop_assert_eq!(numbers(&unpack(packed, words.len()).unwrap()), &words[..]);
            prop_assert!(words.is_empty() || unpack(packed, words.len() - 1).is_err());
        }

        #[test]
        fn words_that_follow_as_they_are_are_taken_over(first in any::<[u8; 8]>(), run in 0u8..=255, byte: u8) {
            let literals = vec![byte; 8 * usize::from(run)];
            let packed = [&[0xFF][..], &first, &[run], &literals].concat();
            let unpacked = unpack(&packed, 256).unwrap();
            prop_assert_eq!(Word::words_to_bytes(&unpacked), [&first[..], &literals].concat());
            prop_assert!(unpack(&packed[..packed.len() - 1], 256).is_err());
        }
    }

    #[test]
    fn every_tag_is_unpacked_right() {
        for tag in 1..=254u8 {
            let bytes: Vec<u8> = (0..tag.count_ones() as u8).map(|index| 0xA0 + index).collect();
            let mut expected = [0; 8];
            let present = (0..8).filter(|index| tag >> index & 1 == 1);
            present.zip(&bytes).for_each(|(index, byte)| expected[index] = *byte);
            // At the end of the message, and with bytes behind it.
            for more in [vec![], vec![0x00, 9, 0x00, 9], [0x00, 9].repeat(8)] {
                let packed = [&[tag][..], &bytes, &more].concat();
                let unpacked = numbers(&unpack(&packed, 100).unwrap());
                assert_eq!(unpacked[0].to_le_bytes(), expected, "tag {tag:#04x}");
                assert_eq!(unpacked.len(), 1 + more.len() / 2 * 10, "tag {tag:#04x}");
            }
        }
    }

    #[test]
    fn a_message_that_is_not_packed_is_read_if_it_is_of_one_segment() {
        let message = [0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        let unpacked = Unpacked::read(&message, &Limits::default()).unwrap();
        assert_eq!(unpacked.get_segment(0), Some(&message[8..]));
        assert_eq!(unpacked.get_segment(1), None);
        assert!(Unpacked::read(&message[..23], &Limits::default()).is_err());
        assert!(Unpacked::read(&message[..16], &Limits::default()).is_err());
        assert!(Unpacked::read(&[&message[..], &[0; 8]].concat(), &Limits::default()).is_err());
    }
}
