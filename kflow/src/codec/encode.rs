//! Records to message: words are computed from the records and packed as they come.
//!
//! The message is written without the unpacked form ever being in memory, in one pass over the records:
//!
//! ```text
//! segment table │ root pointer, PackedCHF │ tag, CHF of the names, CHF, CHF, … │ what these point to, in order
//!               │ head ──────────────────────────────────────────────────────► │ tail ───────────────────────►
//! ```
//!
//! Head and tail grow in two packers. The size of the head is known from the number of records, so pointers
//! from head to tail are known when they are written.

use super::packing::{Packer, WORD_BYTES_MAX};
use super::wire::{self, Member};
use super::{RECORDS_MAX, is_icmp};
use crate::columns::{self, CUSTOMS, Column, Kind};
use crate::error::Error;
use crate::record::{FlowRecord, MacAddress};
use std::net::IpAddr;

/// Writes flow messages. Keeps its buffers: once they have grown to the caller's batches, encoding allocates
/// nothing.
#[derive(Debug)]
pub struct Encoder {
    customs: [CustomColumn; CUSTOMS],
    head: Packer,
    tail: Packer,
    /// Word at which the tail of the message begins.
    tail_start: usize,
    message: Vec<u8>,
}

/// A custom column, ready to be written.
#[derive(Clone, Copy, Debug)]
struct CustomColumn {
    id: u32,
    name: &'static str,
    member: Member,
    value: fn(&FlowRecord) -> columns::Value,
}

/// The most words that one record can point to: two IPv6 addresses and all custom columns.
const TAIL_WORDS_MAX: usize = 2 * 2 + 1 + CUSTOMS * wire::CUSTOM_WORDS;

/// The most words that the names of the custom columns can take, at no more than 31 bytes each.
const NAMES_WORDS_MAX: usize = CUSTOMS * 4;

/// The words before the first CHF: root pointer, `PackedCHF`'s pointer, tag of the list.
const PREFIX_WORDS: usize = 3;

// The largest batch fits what a reader may unpack and what a file may frame.
const MESSAGE_WORDS: usize =
    1 + PREFIX_WORDS + NAMES_WORDS_MAX + (RECORDS_MAX + 1) * (wire::CHF_WORDS + TAIL_WORDS_MAX);
const _: () = assert!(MESSAGE_WORDS <= super::MESSAGE_WORDS_MAX);
const _: () = assert!(MESSAGE_WORDS * WORD_BYTES_MAX <= super::MESSAGE_BYTES_MAX);

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    pub fn new() -> Encoder {
        let mut all = columns::customs().map(|(column, custom)| CustomColumn {
            id: custom.id,
            name: custom.name,
            member: member(column),
            value: column.value,
        });
        Encoder {
            customs: std::array::from_fn(|_| all.next().expect("CUSTOMS counts what the table has")),
            head: Packer::default(),
            tail: Packer::default(),
            tail_start: 0,
            message: Vec::new(),
        }
    }

    /// Encodes a batch as one packed message. More than [`RECORDS_MAX`] records are an error.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Result<&[u8], Error> {
        if records.len() > RECORDS_MAX {
            return Err(Error::TooManyRecords { records: records.len() });
        }
        self.write_prefix(records.len() + 1);
        self.write_names();
        for record in records {
            self.write_record(record);
        }
        Ok(self.assemble())
    }

    fn write_prefix(&mut self, structs: usize) {
        let list_words = structs * wire::CHF_WORDS;
        self.tail_start = PREFIX_WORDS + list_words;
        self.head.clear();
        self.tail.clear();
        self.head.reserve(self.tail_start);
        self.tail.reserve(NAMES_WORDS_MAX + structs * TAIL_WORDS_MAX);
        self.head.word(wire::struct_pointer(0, 0, 1));
        self.head.word(wire::composite_list_pointer(0, list_words));
        self.head.word(wire::composite_tag(structs, wire::CHF_DATA_WORDS, wire::CHF_POINTERS));
    }

    /// The first record names the custom columns and is no flow.
    fn write_names(&mut self) {
        self.head.zeros(28);
        self.head.word(u64::from(wire::APPLICATION_NAMES ^ wire::APPLICATION_DEFAULT));
        self.head.zeros(9);
        self.head.word(self.tail_pointer(|offset| {
            wire::composite_list_pointer(offset, CUSTOMS * wire::CUSTOM_WORDS)
        }));
        self.head.zeros(4);

        self.tail.word(wire::composite_tag(CUSTOMS, wire::CUSTOM_DATA_WORDS, wire::CUSTOM_POINTERS));
        let mut texts_before = 0;
        for (index, custom) in self.customs.iter().enumerate() {
            let customs_after = CUSTOMS - 1 - index;
            let offset = customs_after * wire::CUSTOM_WORDS + texts_before;
            self.tail.word(u64::from(custom.id));
            self.tail.word(Member::Text as u64);
            self.tail.word(0);
            self.tail.word(wire::byte_list_pointer(offset, custom.name.len() + 1));
            texts_before += text_words(custom.name);
        }
        for custom in &self.customs {
            for chunk in custom.name.as_bytes().chunks(8) {
                self.tail.word(word_of(chunk));
            }
            // The terminating zero of a text that fills its last word.
            self.tail.zeros(text_words(custom.name) - custom.name.len().div_ceil(8));
        }
    }

    fn write_record(&mut self, record: &FlowRecord) {
        let (source_v4, source_v6) = split(record.source.address);
        let (destination_v4, destination_v6) = split(record.destination.address);
        let (source_port, destination_port) = ports(record);
        let (sample_rate, sample_flag) = sampling(record.sample_rate);
        let (forward, reverse) = (&record.forward, &record.reverse);

        let head = &mut self.head;
        head.word(record.start_ns);
        head.zeros(2);
        head.word(forward.bytes);
        head.word(forward.packets);
        head.word(interface(record.destination.mac));
        head.word(pair(destination_v4, source_v4));
        head.word(pair(destination_port, source_port));
        head.word(pair(interface(record.source.mac) as u32, u32::from(record.protocol)));
        head.zeros(2);
        head.word(pair(u32::from(forward.tcp_flags | reverse.tcp_flags), u32::from(forward.tos | reverse.tos)));
        head.word(pair(u32::from(forward.vlan), u32::from(reverse.vlan)));
        head.zeros(1);
        head.word(reverse.bytes);
        head.word(reverse.packets);
        head.word(pair(0, sample_rate));
        head.zeros(4);
        head.word(sample_flag);
        head.zeros(4);
        head.word(record.source.mac.to_integer());
        head.word(record.destination.mac.to_integer());
        head.word(u64::from(wire::APPLICATION_NONE ^ wire::APPLICATION_DEFAULT));
        head.zeros(7);
        self.write_address(destination_v6);
        self.write_address(source_v6);
        self.write_customs(record);
        self.head.zeros(4);
    }

    /// Writes the pointer to an IPv6 address and the address, or a null pointer.
    fn write_address(&mut self, address: Option<[u8; 16]>) {
        let Some(octets) = address else {
            self.head.zeros(1);
            return;
        };
        self.head.word(self.tail_pointer(|offset| wire::byte_list_pointer(offset, octets.len())));
        let (first, second) = octets.split_at(8);
        self.tail.word(word_of(first));
        self.tail.word(word_of(second));
    }

    /// Writes the pointer to the custom columns that are not zero, and these.
    fn write_customs(&mut self, record: &FlowRecord) {
        let mut values = [0; CUSTOMS];
        let mut present = 0;
        for (value, custom) in values.iter_mut().zip(&self.customs) {
            *value = (custom.value)(record).number();
            present += usize::from(*value != 0);
        }
        if present == 0 {
            self.head.zeros(1);
            return;
        }
        self.head.word(
            self.tail_pointer(|offset| wire::composite_list_pointer(offset, present * wire::CUSTOM_WORDS)),
        );
        self.tail.word(wire::composite_tag(present, wire::CUSTOM_DATA_WORDS, wire::CUSTOM_POINTERS));
        for (value, custom) in values.into_iter().zip(&self.customs) {
            if value == 0 {
                continue;
            }
            let (small, large) = if custom.member == Member::U64 { (0, value) } else { (value, 0) };
            self.tail.word(u64::from(custom.id) | small << 32);
            self.tail.word(custom.member as u64);
            self.tail.word(large);
            self.tail.zeros(1);
        }
    }

    /// A pointer from the head's next word to the tail's next word.
    fn tail_pointer(&self, pointer: impl FnOnce(usize) -> u64) -> u64 {
        let target = self.tail_start + self.tail.words();
        pointer(target - (self.head.words() + 1))
    }

    /// Joins the segment table and both parts to a message.
    fn assemble(&mut self) -> &[u8] {
        let words = (self.tail_start + self.tail.words()) as u32;
        let mut table = Packer::default();
        table.reserve(1);
        table.word(pair(0, words));
        self.message.clear();
        self.message.extend_from_slice(table.finish());
        self.message.extend_from_slice(self.head.finish());
        self.message.extend_from_slice(self.tail.finish());
        &self.message
    }
}

/// The member of a custom column's value union that holds values of this column.
fn member(column: &Column) -> Member {
    match column.kind {
        Kind::U8 | Kind::EndReason => Member::U8,
        Kind::U16 => Member::U16,
        Kind::U32 => Member::U32,
        Kind::U64 | Kind::Address | Kind::Mac => Member::U64,
    }
}

fn split(address: IpAddr) -> (u32, Option<[u8; 16]>) {
    match address {
        IpAddr::V4(address) => (address.to_bits(), None),
        IpAddr::V6(address) => (0, Some(address.octets())),
    }
}

/// Source and destination port; an ICMP flow has its type and code in place of the latter.
fn ports(record: &FlowRecord) -> (u32, u32) {
    if is_icmp(record.protocol) {
        return (0, u32::from(record.icmp.kind) << 8 | u32::from(record.icmp.code));
    }
    (u32::from(record.source.port), u32::from(record.destination.port))
}

/// The sample rate as a receiver wants it, times 100, and the word that says so. A rate for which there is no
/// room that way goes as it is: a receiver multiplies it then.
fn sampling(rate: u32) -> (u32, u64) {
    match rate.checked_mul(wire::SAMPLE_RATE_SCALE) {
        Some(scaled) => (scaled, wire::SAMPLE_RATE_IS_SCALED),
        None => (rate, 0),
    }
}

/// The number that stands for the interface behind a link-layer address: its low 16 bits.
fn interface(mac: MacAddress) -> u64 {
    mac.to_integer() & 0xFFFF
}

/// The word with these two 32-bit fields, lower byte offset first.
fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) | u64::from(second) << 32
}

/// The word that holds these bytes, at most eight, and zeros after them.
fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Words of a text with its terminating zero.
fn text_words(text: &str) -> usize {
    (text.len() + 1).div_ceil(8)
}
