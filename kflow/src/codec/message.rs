//! A message in the making: two packers that grow side by side, and how they become one message.
//!
//! The message is written without the unpacked form ever being in memory, in one pass over the records:
//!
//! ```text
//! segment table │ root pointer, PackedCHF │ tag, CHF, CHF, CHF, … │ what these point to, in order
//!               │ head ─────────────────────────────────────────► │ tail ───────────────────────►
//! ```
//!
//! The size of the head is known from the number of records, so pointers from head to tail are known when they
//! are written.

use super::packing::Packer;
use super::wire;

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) head: Packer,
    pub(super) tail: Packer,
    /// Word at which the tail of the message begins.
    tail_start: usize,
}

/// The finished message. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Message {
    table: Packer,
    bytes: Vec<u8>,
}

/// The words before the first CHF: root pointer, `PackedCHF`'s pointer, tag of the list.
pub(super) const PREFIX_WORDS: usize = 3;

impl Draft {
    /// Begins a message of so many CHFs, each of which the caller writes into the head.
    pub(super) fn begin(&mut self, structs: usize) {
        let list_words = structs * wire::CHF_WORDS;
        self.tail_start = PREFIX_WORDS + list_words;
        self.head.clear();
        self.tail.clear();
        self.head.reserve(self.tail_start);
        self.head.word(wire::struct_pointer(0, 0, 1));
        self.head.word(wire::composite_list_pointer(0, list_words));
        self.head.word(wire::composite_tag(structs, wire::CHF_DATA_WORDS, wire::CHF_POINTERS));
    }

    /// A pointer from the head's next word to the tail's next word.
    #[inline(always)]
    pub(super) fn tail_pointer(&self, pointer: impl FnOnce(usize) -> u64) -> u64 {
        pointer(self.end() - (self.head.words() + 1))
    }

    /// Writes the pointer to an IPv6 address and the address, or a null pointer.
    #[inline(always)]
    pub(super) fn write_address(&mut self, address: Option<[u8; 16]>) {
        let Some(octets) = address else {
            self.head.zeros(1);
            return;
        };
        self.head.word(self.tail_pointer(|offset| wire::byte_list_pointer(offset, octets.len())));
        let (first, second) = octets.split_at(8);
        self.tail.word(wire::word_of(first));
        self.tail.word(wire::word_of(second));
    }

    /// Words of the message once the head is complete, without its segment table.
    pub(super) fn end(&self) -> usize {
        self.tail_start + self.tail.words()
    }
}

impl Message {
    /// Joins the segment table and both parts of a draft whose head is complete.
    pub(super) fn assemble(&mut self, draft: &mut Draft) -> &[u8] {
        let words = draft.end() as u32;
        self.table.clear();
        self.table.reserve(1);
        self.table.word(wire::pair(0, words));
        self.bytes.clear();
        for part in [&mut self.table, &mut draft.head, &mut draft.tail] {
            self.bytes.extend_from_slice(part.finish());
        }
        &self.bytes
    }
}
