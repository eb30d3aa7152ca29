//! Cap'n Proto packing: words in, packed bytes out.
//!
//! A word becomes a tag byte, whose bits say which of the eight bytes are not zero, and those bytes. Two tags
//! are special: after 0x00 comes the number of further zero words, after 0xFF (all eight bytes present) the
//! number of further words that follow as they are, which is always zero here.

/// Packs words, one after the other, into a buffer that it keeps.
#[derive(Debug, Default)]
pub(super) struct Packer {
    /// Room for packed bytes; those from `length` on mean nothing.
    bytes: Vec<u8>,
    length: usize,
    /// Zero words that were given but not yet written.
    zeros_pending: usize,
    /// Words given since the last [`Packer::clear`].
    words: usize,
}

/// The most bytes that one word can become: tag, eight bytes and the count after 0xFF.
pub(super) const WORD_BYTES_MAX: usize = 10;

/// A zero run says its own length in one byte beside the first word.
const ZERO_RUN_MAX: usize = 256;

impl Packer {
    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.zeros_pending = 0;
        self.words = 0;
    }

    /// Makes room for this many words, so that giving them does not allocate.
    pub(super) fn reserve(&mut self, words: usize) {
        // One zero run may be pending before them.
        let needed = self.length + (words + 1) * WORD_BYTES_MAX + self.zeros_pending / ZERO_RUN_MAX * 2;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.max(self.bytes.len() * 2), 0);
        }
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Packs one word. The caller has reserved room.
    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        if word == 0 {
            self.zeros(1);
            return;
        }
        self.flush_zeros();
        self.words += 1;
        let (tag, present) = squeeze(word);
        let slot = self.slot();
        slot[0] = tag;
        slot[1..9].copy_from_slice(&present.to_le_bytes());
        slot[9] = 0;
        self.length += 1 + tag.count_ones() as usize + usize::from(tag == 0xFF);
    }

    /// Packs this many zero words.
    #[inline]
    pub(super) fn zeros(&mut self, words: usize) {
        self.words += words;
        self.zeros_pending += words;
    }

    /// The packed bytes of everything given since the last [`Packer::clear`].
    pub(super) fn finish(&mut self) -> &[u8] {
        self.flush_zeros();
        &self.bytes[..self.length]
    }

    #[inline]
    fn flush_zeros(&mut self) {
        while self.zeros_pending > 0 {
            let run = self.zeros_pending.min(ZERO_RUN_MAX);
            let slot = self.slot();
            slot[0] = 0;
            slot[1] = (run - 1) as u8;
            self.length += 2;
            self.zeros_pending -= run;
        }
    }

    #[inline]
    fn slot(&mut self) -> &mut [u8; WORD_BYTES_MAX] {
        self.bytes[self.length..].first_chunk_mut().expect("room was reserved for every word")
    }
}

/// The tag of a word and its bytes other than zero, moved together to the low end.
///
/// All eight bytes are worked on at once: no branch depends on the data, which the branch predictor could
/// not guess.
#[inline]
fn squeeze(word: u64) -> (u8, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    // The multiplication moves bit 0 of byte `i` to bit `i` of the topmost byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;

    let present = ((((word & LOW_BITS) + LOW_BITS) | word) >> 7) & ONES;
    let tag = (present.wrapping_mul(GATHER) >> 56) as u8;
    // Per byte that is present: how many absent ones are below it, which is how far it has to move.
    let mut distance = ((present ^ ONES).wrapping_mul(ONES << 8)) & (present * 0xFF);
    let mut bytes = word;
    for step in 0..3 {
        let moving = ((distance >> step) & ONES) * 0xFF;
        let shift = 8 << step;
        bytes = (bytes & !moving) | ((bytes & moving) >> shift);
        distance = (distance & !moving) | ((distance & moving) >> shift);
    }
    (tag, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packing as the format's description has it, byte by byte.
    fn pack_naively(words: &[u64]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            let bytes = word.to_le_bytes();
            let tag = (0..8).fold(0, |tag, index| tag | u8::from(bytes[index] != 0) << index);
            packed.push(tag);
            packed.extend(bytes.iter().filter(|byte| **byte != 0));
            if tag == 0xFF {
                packed.push(0);
            }
            if tag == 0 {
                let run = rest.iter().take(255).take_while(|word| **word == 0).count();
                packed.push(run as u8);
                rest = &rest[run..];
            }
        }
        packed
    }

    fn pack(words: &[u64]) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.reserve(words.len());
        for word in words {
            packer.word(*word);
        }
        assert_eq!(packer.words(), words.len());
        packer.finish().to_vec()
    }

    /// Words in which every byte is as likely zero as not.
    fn sparse_word() -> impl Strategy<Value = u64> {
        (any::<u64>(), any::<u8>()).prop_map(|(word, tag)| {
            let keep = (0..8).filter(|index| tag >> index & 1 == 1).fold(0, |mask, index| mask | 0xFF << (8 * index));
            word & keep
        })
    }

    proptest! {
        #[test]
        fn packing_equals_the_naive_one(words in prop::collection::vec(sparse_word(), 0..100)) {
            prop_assert_eq!(pack(&words), pack_naively(&words));
        }

        #[test]
        fn zero_runs_of_any_length_equal_the_naive_ones(runs in prop::collection::vec(0usize..600, 1..4)) {
            let words: Vec<u64> = runs.iter().flat_map(|run| std::iter::repeat_n(0, *run).chain([7])).collect();
            prop_assert_eq!(pack(&words), pack_naively(&words));
        }
    }

    #[test]
    fn every_tag_is_packed_right() {
        for tag in 0..=255u8 {
            let word = (0..8).filter(|index| tag >> index & 1 == 1).fold(0, |word, index| word | (0xA0 + index) << (8 * index));
            assert_eq!(pack(&[word]), pack_naively(&[word]), "tag {tag:#04x}");
        }
    }
}
