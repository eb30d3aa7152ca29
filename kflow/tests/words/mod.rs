//! Golden files as plain words: a message's fields are read at their byte offsets by a few lines, not by
//! generated code.

use kflow::FlowRecord;
use kflow::codec::Encoder;
use kflow::file::{self, FileReader};
use std::fs;
use std::path::{Path, PathBuf};

/// Checks that a golden file reads as this record and that it is still written like that, and returns its only
/// message.
pub fn golden_message(name: &str, record: &FlowRecord) -> Message {
    let mut written = Vec::new();
    file::append(std::slice::from_ref(record), &mut Encoder::new(), &mut written).unwrap();
    if std::env::var_os("KFLOW_UPDATE").is_some() && !path(name).exists() {
        fs::write(path(name), &written).unwrap();
    }
    let message = earlier_message(name, record);
    assert_eq!(Message::parse(&written).0, message.0, "{name} would be written differently now");
    message
}

/// Checks that a golden file reads as this record and returns its only message.
pub fn earlier_message(name: &str, record: &FlowRecord) -> Message {
    let golden = fs::read(path(name)).unwrap();
    let mut reader = FileReader::new(golden.as_slice());
    assert_eq!(reader.read().unwrap().as_deref(), Some(std::slice::from_ref(record)));
    assert!(reader.read().unwrap().is_none());
    Message::parse(&golden)
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The words of a message's only segment.
pub struct Message(pub Vec<u64>);

/// A `CHF`, found by its first word's index.
pub struct Flow<'a> {
    words: &'a [u64],
    start: usize,
}

impl Message {
    pub fn parse(frame: &[u8]) -> Message {
        let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
        assert_eq!(frame.len(), 4 + length);
        let words = unpack(&frame[4..]);
        assert_eq!(words[0] as u32, 0, "one segment");
        assert_eq!((words[0] >> 32) as usize, words.len() - 1, "of the rest's size");
        Message(words[1..].to_vec())
    }

    pub fn flow(&self, index: usize) -> Flow<'_> {
        let words = self.0.as_slice();
        assert_eq!(words[0], 1 << 48, "the root has no data and one pointer");
        let (tag, list_words) = composite_list(words, 1);
        let count = words[tag] as u32 as usize >> 2;
        assert_eq!(words[tag] >> 32, 29 | 14 << 16, "a CHF has 29 data words and 14 pointers");
        assert_eq!(list_words, count * 43);
        assert!(index < count);
        Flow { words, start: tag + 1 + 43 * index }
    }
}

impl Flow<'_> {
    pub fn byte(&self, offset: usize) -> u8 {
        self.words[self.start + offset / 8].to_le_bytes()[offset % 8]
    }

    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|index| self.byte(offset + index)))
    }

    pub fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|index| self.byte(offset + index)))
    }

    pub fn assert_zero_but(&self, used: &[std::ops::Range<usize>]) {
        for offset in 0..232 {
            if !used.iter().any(|range| range.contains(&offset)) {
                assert_eq!(self.byte(offset), 0, "byte {offset}");
            }
        }
    }

    pub fn pointers_set(&self) -> Vec<usize> {
        (0..14).filter(|pointer| self.words[self.start + 29 + pointer] != 0).collect()
    }

    pub fn bytes(&self, pointer: usize) -> Vec<u8> {
        byte_list(self.words, self.start + 29 + pointer)
    }

    /// Indices of the first words of the custom columns.
    fn custom_starts(&self) -> Vec<usize> {
        let (tag, list_words) = composite_list(self.words, self.start + 29 + 9);
        assert_eq!(self.words[tag] >> 32, 3 | 1 << 16, "a Custom has 3 data words and a pointer");
        assert_eq!(list_words, 4 * (self.words[tag] as u32 as usize >> 2));
        (0..list_words / 4).map(|index| tag + 1 + 4 * index).collect()
    }

    /// Id, discriminant and number of the custom columns that have one.
    pub fn customs(&self) -> Vec<(u32, u16, u64)> {
        let numbers = self.custom_starts().into_iter().filter_map(|start| {
            let words = &self.words[start..start + 4];
            let (discriminant, small, large) = (words[1] as u16, words[0] >> 32, words[2]);
            assert_eq!(words[1] >> 16, 0, "isDimension and the bytes beside it");
            assert!(small == 0 || large == 0);
            assert_eq!(
                words[3] != 0,
                matches!(discriminant, 2 | 4),
                "a text and an address are behind a pointer"
            );
            (words[3] == 0).then_some((words[0] as u32, discriminant, small | large))
        });
        numbers.collect()
    }

    /// Id and text of the custom columns that are texts.
    pub fn custom_texts(&self) -> Vec<(u32, String)> {
        let texts = self.custom_pointers(2).map(|(id, mut text)| {
            assert_eq!(text.pop(), Some(0), "a text ends in a zero");
            (id, String::from_utf8(text).unwrap())
        });
        texts.collect()
    }

    /// Id and bytes of the custom columns that are addresses.
    pub fn custom_addresses(&self) -> Vec<(u32, Vec<u8>)> {
        self.custom_pointers(4).collect()
    }

    /// Id and bytes of the custom columns with this discriminant, which have a pointer.
    fn custom_pointers(&self, discriminant: u64) -> impl Iterator<Item = (u32, Vec<u8>)> {
        let starts = self.custom_starts().into_iter();
        let these = starts.filter(move |start| self.words[start + 1] == discriminant);
        these.map(|start| (self.words[start] as u32, byte_list(self.words, start + 3)))
    }
}

/// Index of the tag of the list of structs that a pointer points to, and the list's words without the tag.
fn composite_list(words: &[u64], pointer: usize) -> (usize, usize) {
    let word = words[pointer];
    assert_eq!(word & 3, 1, "a list pointer");
    assert_eq!(word >> 32 & 7, 7, "of structs");
    (target(word, pointer), (word >> 35) as usize)
}

fn byte_list(words: &[u64], pointer: usize) -> Vec<u8> {
    let word = words[pointer];
    assert_eq!(word & 3, 1, "a list pointer");
    assert_eq!(word >> 32 & 7, 2, "of bytes");
    let start = target(word, pointer);
    let bytes = words[start..].iter().flat_map(|word| word.to_le_bytes());
    bytes.take((word >> 35) as usize).collect()
}

fn target(word: u64, pointer: usize) -> usize {
    pointer + 1 + (word as u32 as usize >> 2)
}

/// Undoes Cap'n Proto's packing.
fn unpack(mut packed: &[u8]) -> Vec<u64> {
    let mut words = Vec::new();
    while let [tag, rest @ ..] = packed {
        packed = rest;
        let mut word = [0; 8];
        for (index, byte) in word.iter_mut().enumerate() {
            if tag >> index & 1 == 1 {
                *byte = packed[0];
                packed = &packed[1..];
            }
        }
        words.push(u64::from_le_bytes(word));
        if *tag == 0 {
            words.extend(std::iter::repeat_n(0, packed[0].into()));
            packed = &packed[1..];
        } else if *tag == 0xFF {
            assert_eq!(packed[0], 0, "the encoder writes no literal runs");
            packed = &packed[1..];
        }
    }
    words
}
