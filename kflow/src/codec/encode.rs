//! Records to message: words are computed from the records and packed as they come.
//!
//! The first CHF names the custom columns, the others are the records.

use super::RECORDS_MAX;
use super::customs::{self, CustomColumn, Layout, NAMES_MAX, Present};
use super::message::{Draft, Message, PREFIX_WORDS};
use super::packing::{Constant, WORD_BYTES_MAX};
use super::wire::{self, Member, pair, text_words, word_of};
use crate::columns;
use crate::error::Error;
use crate::protocol::is_icmp;
use crate::record::FlowRecord;
use std::net::IpAddr;

/// Writes flow messages. Keeps its buffers: once they have grown to the caller's batches, encoding allocates
/// nothing.
#[derive(Debug)]
pub struct Encoder {
    layout: Layout,
    constants: Constants,
    draft: Draft,
    message: Message,
}

/// Packed words that most records have.
#[derive(Clone, Copy, Debug)]
struct Constants {
    /// The words from the one after `sampleRate` to the one before `srcEthMac`, where the rate is scaled.
    sampling_scaled: Constant,
    /// `appProtocol` and the pointers before `ipv6DstAddr`.
    no_application: Constant,
}

/// The most words that one record can point to: two IPv6 addresses and all custom columns.
const TAIL_WORDS_MAX: usize = 2 * 2 + customs::WORDS_MAX;

/// The most words that the names of the custom columns can take, at no more than 31 bytes each.
const NAMES_WORDS_MAX: usize = 1 + NAMES_MAX * (wire::CUSTOM_WORDS + 4);

// The largest batch fits what a reader may unpack and what a file may frame.
const MESSAGE_WORDS: usize =
    1 + PREFIX_WORDS + (wire::CHF_WORDS + NAMES_WORDS_MAX) + RECORDS_MAX * (wire::CHF_WORDS + TAIL_WORDS_MAX);
const _: () = assert!(MESSAGE_WORDS <= super::MESSAGE_WORDS_MAX);
const _: () = assert!(MESSAGE_WORDS * WORD_BYTES_MAX <= super::MESSAGE_BYTES_MAX);

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder {
            layout: Layout::new(),
            constants: Constants::new(),
            draft: Draft::default(),
            message: Message::default(),
        }
    }

    /// Encodes a batch as one packed message. More than [`RECORDS_MAX`] records are an error.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Result<&[u8], Error> {
        if records.len() > RECORDS_MAX {
            return Err(Error::TooManyRecords { records: records.len() });
        }
        // A local value, so that its counters can live in registers.
        let mut draft = std::mem::take(&mut self.draft);
        draft.begin(records.len() + 1);
        draft.write_names(self.layout.named(records));
        let mut customs = Present::new(&self.layout);
        for record in records {
            customs.take(record, &self.layout);
            draft.write_record(record, &customs, &self.constants);
        }
        self.draft = draft;
        Ok(self.message.assemble(&mut self.draft))
    }
}

impl Draft {
    /// The first record names the custom columns and is no flow.
    fn write_names(&mut self, columns: &[CustomColumn]) {
        self.head.zeros(28);
        self.head.word(u64::from(wire::APPLICATION_NAMES ^ wire::APPLICATION_DEFAULT));
        self.head.zeros(9);
        let list_words = columns.len() * wire::CUSTOM_WORDS;
        self.head.word(self.tail_pointer(|offset| wire::composite_list_pointer(offset, list_words)));
        self.head.zeros(4);

        self.tail.reserve(NAMES_WORDS_MAX);
        self.tail.word(customs::tag(columns.len()));
        let mut texts_before = 0;
        for (index, custom) in columns.iter().enumerate() {
            let customs_after = columns.len() - 1 - index;
            let offset = customs_after * wire::CUSTOM_WORDS + texts_before;
            self.tail.word(u64::from(custom.id));
            self.tail.word(Member::Text as u64);
            self.tail.word(0);
            self.tail.word(wire::byte_list_pointer(offset, custom.name.len() + 1));
            texts_before += text_words(custom.name.len());
        }
        for custom in columns {
            for chunk in custom.name.as_bytes().chunks(8) {
                self.tail.word(word_of(chunk));
            }
            // The terminating zero of a text that fills its last word.
            self.tail.zeros(text_words(custom.name.len()) - custom.name.len().div_ceil(8));
        }
    }

    #[inline(always)]
    fn write_record(&mut self, record: &FlowRecord, customs: &Present<'_>, constants: &Constants) {
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
        let (sample_rate, sample_flag) = sampling(record.sample_rate);
        head.word(pair(columns::retransmitted_packets(record), sample_rate));
        if sample_flag == wire::SAMPLE_RATE_IS_SCALED {
            head.constant(&constants.sampling_scaled);
        } else {
            head.zeros(9);
        }
        head.word(source_mac);
        head.word(destination_mac);
        match record.app_protocol {
            None => head.constant(&constants.no_application),
            Some(protocol) => {
                head.word(u64::from(u32::from(protocol.number()) ^ wire::APPLICATION_DEFAULT));
                head.zeros(7);
            }
        }
        // What one record can point to; the tail grows with what records do point to.
        self.tail.reserve(TAIL_WORDS_MAX);
        self.write_address(destination_v6);
        self.write_address(source_v6);
        self.head
            .word(self.tail_pointer(|offset| wire::composite_list_pointer(offset, customs.list_words())));
        customs.write(&mut self.tail);
        self.head.zeros(4);
    }
}

impl Constants {
    fn new() -> Constants {
        let application = u64::from(wire::APPLICATION_NONE ^ wire::APPLICATION_DEFAULT);
        Constants {
            sampling_scaled: Constant::new(&[0, 0, 0, 0, wire::SAMPLE_RATE_IS_SCALED, 0, 0, 0, 0]),
            no_application: Constant::new(&[application, 0, 0, 0, 0, 0, 0, 0]),
        }
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
