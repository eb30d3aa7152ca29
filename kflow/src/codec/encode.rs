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

use super::packing::{Constant, Packer, WORD_BYTES_MAX};
use super::wire::{self, Member};
use super::{RECORDS_MAX, is_icmp};
use crate::columns::{self, CUSTOMS, Column, Custom, Kind};
use crate::error::Error;
use crate::record::FlowRecord;
use std::net::IpAddr;

/// Writes flow messages. Keeps its buffers: once they have grown to the caller's batches, encoding allocates
/// nothing.
#[derive(Debug)]
pub struct Encoder {
    layout: Layout,
    draft: Draft,
    table: Packer,
    message: Vec<u8>,
}

/// What is the same in every message.
#[derive(Debug)]
struct Layout {
    columns: [CustomColumn; CUSTOMS],
    constants: Constants,
}

/// A message in the making.
#[derive(Debug, Default)]
struct Draft {
    head: Packer,
    tail: Packer,
    /// Word at which the tail of the message begins.
    tail_start: usize,
}

/// A custom column, ready to be written.
#[derive(Clone, Copy, Debug)]
struct CustomColumn {
    id: u32,
    name: &'static str,
    value: fn(&FlowRecord) -> columns::Value,
    form: Form,
}

/// How the four words of a custom column come about.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// The value is one byte, which is at this place of the packed words.
    Byte { words: Constant, place: usize },
    /// The value is beside the id; words follow.
    Small { after: Constant },
    /// The value is a word of its own.
    Large { before: Constant, after: Constant },
}

/// Packed words that most records have.
#[derive(Clone, Copy, Debug)]
struct Constants {
    /// Sample rate 1, with the words from `sampleRate` to the one before `srcEthMac`.
    unsampled: Constant,
    /// `appProtocol` and the pointers before `ipv6DstAddr`.
    no_application: Constant,
    /// The tag of a list of custom columns, by their number.
    custom_tags: [Constant; CUSTOMS + 1],
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
        let mut all = columns::customs().map(|(column, custom)| CustomColumn::new(column, custom));
        Encoder {
            layout: Layout {
                columns: std::array::from_fn(|_| all.next().expect("CUSTOMS counts what the table has")),
                constants: Constants::new(),
            },
            draft: Draft::default(),
            table: Packer::default(),
            message: Vec::new(),
        }
    }

    /// Encodes a batch as one packed message. More than [`RECORDS_MAX`] records are an error.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Result<&[u8], Error> {
        if records.len() > RECORDS_MAX {
            return Err(Error::TooManyRecords { records: records.len() });
        }
        // A local value, so that its counters can live in registers.
        let mut draft = std::mem::take(&mut self.draft);
        draft.write_prefix(records.len() + 1);
        draft.write_names(&self.layout.columns);
        for record in records {
            draft.write_record(record, &self.layout);
        }
        self.draft = draft;
        Ok(self.assemble())
    }

    /// Joins the segment table and both parts of the draft to a message.
    fn assemble(&mut self) -> &[u8] {
        let words = (self.draft.tail_start + self.draft.tail.words()) as u32;
        self.table.clear();
        self.table.reserve(1);
        self.table.word(pair(0, words));
        self.message.clear();
        for part in [&mut self.table, &mut self.draft.head, &mut self.draft.tail] {
            self.message.extend_from_slice(part.finish());
        }
        &self.message
    }
}

impl Draft {
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
    fn write_names(&mut self, columns: &[CustomColumn; CUSTOMS]) {
        self.head.zeros(28);
        self.head.word(u64::from(wire::APPLICATION_NAMES ^ wire::APPLICATION_DEFAULT));
        self.head.zeros(9);
        self.head.word(
            self.tail_pointer(|offset| wire::composite_list_pointer(offset, CUSTOMS * wire::CUSTOM_WORDS)),
        );
        self.head.zeros(4);

        self.tail.word(custom_tag(CUSTOMS));
        let mut texts_before = 0;
        for (index, custom) in columns.iter().enumerate() {
            let customs_after = CUSTOMS - 1 - index;
            let offset = customs_after * wire::CUSTOM_WORDS + texts_before;
            self.tail.word(u64::from(custom.id));
            self.tail.word(Member::Text as u64);
            self.tail.word(0);
            self.tail.word(wire::byte_list_pointer(offset, custom.name.len() + 1));
            texts_before += text_words(custom.name);
        }
        for custom in columns {
            for chunk in custom.name.as_bytes().chunks(8) {
                self.tail.word(word_of(chunk));
            }
            // The terminating zero of a text that fills its last word.
            self.tail.zeros(text_words(custom.name) - custom.name.len().div_ceil(8));
        }
    }

    #[inline(always)]
    fn write_record(&mut self, record: &FlowRecord, layout: &Layout) {
        let (source_v4, source_v6) = split(record.source.address);
        let (destination_v4, destination_v6) = split(record.destination.address);
        let (source_port, destination_port) = ports(record);
        let (source_mac, destination_mac) =
            (record.source.mac.to_integer(), record.destination.mac.to_integer());
        let (forward, reverse) = (&record.forward, &record.reverse);

        let head = &mut self.head;
        head.word(record.start_ns);
        head.zeros(2);
        head.word(forward.bytes);
        head.word(forward.packets);
        head.word(u64::from(interface(destination_mac)));
        head.word(pair(destination_v4, source_v4));
        head.word(pair(destination_port, source_port));
        head.word(pair(interface(source_mac), u32::from(record.protocol)));
        head.zeros(2);
        head.word(pair(
            u32::from(forward.tcp_flags | reverse.tcp_flags),
            u32::from(forward.tos | reverse.tos),
        ));
        head.word(pair(u32::from(forward.vlan), u32::from(reverse.vlan)));
        head.zeros(1);
        head.word(reverse.bytes);
        head.word(reverse.packets);
        if record.sample_rate == 1 {
            head.constant(&layout.constants.unsampled);
        } else {
            let (sample_rate, sample_flag) = sampling(record.sample_rate);
            head.word(pair(0, sample_rate));
            head.zeros(4);
            head.word(sample_flag);
            head.zeros(4);
        }
        head.word(source_mac);
        head.word(destination_mac);
        head.constant(&layout.constants.no_application);
        self.write_address(destination_v6);
        self.write_address(source_v6);
        self.write_customs(record, layout);
        self.head.zeros(4);
    }

    /// Writes the pointer to an IPv6 address and the address, or a null pointer.
    #[inline(always)]
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
    #[inline(always)]
    fn write_customs(&mut self, record: &FlowRecord, layout: &Layout) {
        let mut values = [0; CUSTOMS];
        let mut present = 0;
        for (value, custom) in values.iter_mut().zip(&layout.columns) {
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
        self.tail.constant(&layout.constants.custom_tags[present]);
        for (value, custom) in values.into_iter().zip(&layout.columns) {
            if value == 0 {
                continue;
            }
            match &custom.form {
                Form::Byte { words, place } => self.tail.constant_with(words, *place, value as u8),
                Form::Small { after } => {
                    self.tail.word(u64::from(custom.id) | value << 32);
                    self.tail.constant(after);
                }
                Form::Large { before, after } => {
                    self.tail.constant(before);
                    self.tail.word(value);
                    self.tail.constant(after);
                }
            }
        }
    }

    /// A pointer from the head's next word to the tail's next word.
    #[inline(always)]
    fn tail_pointer(&self, pointer: impl FnOnce(usize) -> u64) -> u64 {
        let target = self.tail_start + self.tail.words();
        pointer(target - (self.head.words() + 1))
    }
}

impl CustomColumn {
    fn new(column: &Column, custom: &Custom) -> CustomColumn {
        let id = u64::from(custom.id);
        let member = member(column);
        let discriminant = member as u64;
        let form = match member {
            Member::U8 => Form::Byte {
                words: Constant::new(&[id | 0xFF << 32, discriminant, 0, 0]),
                // After the tag and the bytes of the id.
                place: Constant::new(&[id]).length(),
            },
            Member::U64 => {
                Form::Large { before: Constant::new(&[id, discriminant]), after: Constant::new(&[0]) }
            }
            _ => Form::Small { after: Constant::new(&[discriminant, 0, 0]) },
        };
        CustomColumn { id: custom.id, name: custom.name, value: column.value, form }
    }
}

impl Constants {
    fn new() -> Constants {
        let (sample_rate, sample_flag) = sampling(1);
        let application = u64::from(wire::APPLICATION_NONE ^ wire::APPLICATION_DEFAULT);
        Constants {
            unsampled: Constant::new(&[pair(0, sample_rate), 0, 0, 0, 0, sample_flag, 0, 0, 0, 0]),
            no_application: Constant::new(&[application, 0, 0, 0, 0, 0, 0, 0]),
            custom_tags: std::array::from_fn(|count| Constant::new(&[custom_tag(count)])),
        }
    }
}

fn custom_tag(count: usize) -> u64 {
    wire::composite_tag(count, wire::CUSTOM_DATA_WORDS, wire::CUSTOM_POINTERS)
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
fn interface(mac: u64) -> u32 {
    mac as u32 & 0xFFFF
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
