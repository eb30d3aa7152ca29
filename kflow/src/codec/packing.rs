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
        // One zero run may be pending before them, and constants are copied with what is behind them.
        let needed = self.length + (words + 2) * WORD_BYTES_MAX + self.zeros_pending / ZERO_RUN_MAX * 2;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.max(self.bytes.len() * 2), 0);
        }
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Packs one word. The caller has reserved room.
    #[inline(always)]
    pub(super) fn word(&mut self, word: u64) {
        if word == 0 {
            self.zeros(1);
            return;
        }
        self.flush_zeros();
        self.words += 1;
        let Squeezed { tag, bytes, count } = squeeze(word);
        let slot = self.slot();
        slot[0] = tag;
        slot[1..9].copy_from_slice(&bytes.to_le_bytes());
        slot[9] = 0;
        self.length += 1 + count + usize::from(tag == 0xFF);
    }

    /// Packs words that are there already, quicker than one by one. The caller has reserved room.
    #[inline(always)]
    pub(super) fn block(&mut self, words: &[u64]) {
        let room = &mut self.bytes[self.length..];
        let mut length = 0;
        let mut zeros = self.zeros_pending;
        for word in words {
            if *word == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 0 {
                let run = zeros.min(ZERO_RUN_MAX);
                let slot = room[length..].first_chunk_mut::<2>().expect("room was reserved for every word");
                *slot = [0, (run - 1) as u8];
                length += 2;
                zeros -= run;
            }
            let Squeezed { tag, bytes, count } = squeeze(*word);
            let slot =
                room[length..].first_chunk_mut::<WORD_BYTES_MAX>().expect("room was reserved for every word");
            slot[0] = tag;
            slot[1..9].copy_from_slice(&bytes.to_le_bytes());
            slot[9] = 0;
            length += 1 + count + usize::from(tag == 0xFF);
        }
        self.length += length;
        self.zeros_pending = zeros;
        self.words += words.len();
    }

    /// Packs this many zero words.
    #[inline(always)]
    pub(super) fn zeros(&mut self, words: usize) {
        self.words += words;
        self.zeros_pending += words;
    }

    /// Appends words that were packed before. The caller has reserved room.
    #[inline(always)]
    pub(super) fn constant(&mut self, constant: &Constant) {
        self.flush_zeros();
        self.words += usize::from(constant.words);
        let room = &mut self.bytes[self.length..];
        room.first_chunk_mut::<CONSTANT_BYTES_MAX>()
            .expect("room was reserved for every word")
            .copy_from_slice(&constant.bytes);
        self.length += constant.length();
    }

    /// Appends words that were packed before, with another byte in one place.
    #[inline(always)]
    pub(super) fn constant_with(&mut self, constant: &Constant, place: usize, byte: u8) {
        self.constant(constant);
        self.bytes[self.length - constant.length() + place] = byte;
    }

    /// The packed bytes of everything given since the last [`Packer::clear`].
    pub(super) fn finish(&mut self) -> &[u8] {
        self.flush_zeros();
        &self.bytes[..self.length]
    }

    #[inline(always)]
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

    #[inline(always)]
    fn slot(&mut self) -> &mut [u8; WORD_BYTES_MAX] {
        self.bytes[self.length..].first_chunk_mut().expect("room was reserved for every word")
    }
}

/// A few words that are packed once and appended many times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constant {
    bytes: [u8; CONSTANT_BYTES_MAX],
    // Small, so that a column's constants are in one or two cache lines.
    length: u8,
    words: u8,
}

const CONSTANT_BYTES_MAX: usize = 16;

impl Constant {
    /// Packs words whose packed form has at most 16 bytes.
    pub(super) fn new(words: &[u64]) -> Constant {
        let mut packer = Packer::default();
        packer.reserve(words.len());
        for word in words {
            packer.word(*word);
        }
        let packed = packer.finish();
        let mut bytes = [0; CONSTANT_BYTES_MAX];
        bytes[..packed.len()].copy_from_slice(packed);
        Constant { bytes, length: packed.len() as u8, words: words.len() as u8 }
    }

    /// Packed bytes.
    pub(super) fn length(&self) -> usize {
        usize::from(self.length)
    }
}

struct Squeezed {
    tag: u8,
    /// The bytes other than zero, moved together to the low end.
    bytes: u64,
    /// How many these are.
    count: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Finds the bytes of a word that are not zero.
///
/// In most words they are the low bytes of one number or of the two 32-bit halves, and then the upper half
/// only has to move down.
#[inline(always)]
fn squeeze(word: u64) -> Squeezed {
    const LOW_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    // The multiplication moves bit 0 of byte `i` to bit `i` of the topmost byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;

    let present = ((((word & LOW_BITS) + LOW_BITS) | word) >> 7) & ONES;
    let tag = (present.wrapping_mul(GATHER) >> 56) as u8;
    let count = (present.wrapping_mul(ONES) >> 56) as usize;
    let (low, high) = (tag & 0xF, tag >> 4);
    if low & (low + 1) | high & (high + 1) != 0 {
        return Squeezed { tag, bytes: squeeze_any(word, present), count };
    }
    let low_count = (present as u32).wrapping_mul(ONES as u32) >> 24;
    let bytes = word & 0xFFFF_FFFF | word >> 32 << (8 * low_count);
    Squeezed { tag, bytes, count }
}

/// Moves the bytes of a word that are present (1 in `present`) to the low end, all of them at once.
#[cold]
fn squeeze_any(word: u64, present: u64) -> u64 {
    // Per byte that is present: how many absent ones are below it, which is how far it has to move.
    let mut distance = (present ^ ONES).wrapping_mul(ONES << 8) & (present * 0xFF);
    let mut bytes = word;
    for step in 0..3 {
        let moving = ((distance >> step) & ONES) * 0xFF;
        let shift = 8 << step;
        bytes = (bytes & !moving) | ((bytes & moving) >> shift);
        distance = (distance & !moving) | ((distance & moving) >> shift);
    }
    bytes
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
            let keep = (0..8)
                .filter(|index| tag >> index & 1 == 1)
                .fold(0, |mask, index| mask | 0xFF << (8 * index));
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
            let word = (0..8)
                .filter(|index| tag >> index & 1 == 1)
                .fold(0, |word, index| word | (0xA0 + index) << (8 * index));
            assert_eq!(pack(&[word]), pack_naively(&[word]), "tag {tag:#04x}");
        }
    }
}
