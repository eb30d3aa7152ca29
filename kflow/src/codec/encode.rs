//! Records to message: words are computed from the records and packed as they come.
//!
//! The first CHF names the custom columns, the others are the records.

use super::RECORDS_MAX;
use super::customs::{self, CustomColumn, Layout, NAMES_MAX, Present};
use super::mapping::Mapping;
use super::message::{Draft, Message, PREFIX_WORDS};
use super::packing::{Constant, WORD_BYTES_MAX};
use super::wire::{self, Member, pair, text_words, word_of};
use crate::columns;
use crate::device::DeviceColumns;
use crate::error::Error;
use crate::protocol::is_icmp;
use crate::record::FlowRecord;
use std::net::IpAddr;

/// Writes flow messages. Keeps its buffers: once they have grown to the caller's batches, encoding allocates
/// nothing.
#[derive(Debug)]
pub struct Encoder {
    layout: Layout,
    /// In place of the layout, for a device.
    mapping: Option<Mapping>,
    constants: Constants,
    draft: Draft,
    message: Message,
    losses: Losses,
}

/// What an encoder had no room for, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Numbers that the type of the device's column could not hold: left out of their records.
    pub values_left_out: u64,
    /// Texts that were cut: at [`TEXT_BYTES_MAX`] bytes a record; for a device at [`CUSTOM_TEXT_BYTES_MAX`] a text too.
    ///
    /// [`TEXT_BYTES_MAX`]: crate::application::TEXT_BYTES_MAX
    /// [`CUSTOM_TEXT_BYTES_MAX`]: crate::chf::CUSTOM_TEXT_BYTES_MAX
    pub texts_cut: u64,
    /// Records whose sample rate is not what it should be, see [`Encoder::encode_thinned`].
    pub rates_inexact: u64,
}

/// The factor of [`Encoder::encode_thinned`] that changes nothing.
pub const UNTHINNED: u32 = 100;

/// Packed words that most records have.
#[derive(Clone, Copy, Debug)]
struct Constants {
    /// The words from the one after `sampleRate` to the one before `srcEthMac`, where the rate is in hundredths.
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
    /// Messages say the names of their columns: for files and for this project's own receivers.
    pub fn new() -> Encoder {
        Encoder {
            layout: Layout::new(),
            mapping: None,
            constants: Constants::new(0),
            draft: Draft::default(),
            message: Message::default(),
            losses: Losses::default(),
        }
    }

    /// Messages are in the numbers of a device, for a receiver that knows them. Columns that the device does not have,
    /// or whose type is another, are left out.
    ///
    /// What applications said is in slots if the device has the column `APP_PROTOCOL`; retransmitted and out of order
    /// packets of both directions are then added up in `RETRANSMITTED_OUT_PKTS` and `OOORDER_IN_PKTS`. A device without
    /// that column has columns of their own for some fields of DNS, HTTP, TLS and QUIC (`KFLOW_DNS_…`, `KFLOW_HTTP_…`).
    pub fn for_device(device: &DeviceColumns) -> Encoder {
        Encoder {
            mapping: Some(Mapping::new(device)),
            constants: Constants::new(device.device_id()),
            ..Encoder::new()
        }
    }

    /// Encodes a batch as one packed message. More than [`RECORDS_MAX`] records are an error.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Result<&[u8], Error> {
        self.encode_thinned(records, UNTHINNED)
    }

    /// The same of a batch that others were taken out of: each record stands for so many hundredths of a record, and
    /// its sample rate is multiplied by that; a rate of zero, which says nothing, as if it were one. A factor below
    /// [`UNTHINNED`] counts as that one.
    ///
    /// The message has the rate in hundredths, so the product is exact. A product above [`u32::MAX`] hundredths (one in
    /// 42 949 672.95) is sent as that number to the receiver of a device; otherwise as a whole number, rounded, and at
    /// most [`u32::MAX`]. [`Losses::rates_inexact`] counts the records for which that made a difference.
    pub fn encode_thinned(&mut self, records: &[FlowRecord], factor_hundredths: u32) -> Result<&[u8], Error> {
        if records.len() > RECORDS_MAX {
            return Err(Error::TooManyRecords { records: records.len() });
        }
        let factor = factor_hundredths.max(UNTHINNED);
        let told = |rate: u32| rate.max(u32::from(factor > UNTHINNED));
        // Local values, so that their counters can live in registers.
        let mut draft = std::mem::take(&mut self.draft);
        let mut losses = self.losses;
        let mut customs = Present::new(&self.layout);
        if let Some(mapping) = &self.mapping {
            draft.begin(records.len());
            for record in records {
                customs.take_mapped(record, mapping, &mut losses);
                let sampling = Sampling::in_hundredths(told(record.sample_rate), factor, &mut losses);
                draft.write_record(record, &customs, &self.constants, sampling);
            }
        } else {
            draft.begin(records.len() + 1);
            draft.write_names(self.layout.named(records));
            for record in records {
                customs.take(record, &self.layout, &mut losses);
                let sampling = Sampling::of(told(record.sample_rate), factor, &mut losses);
                draft.write_record(record, &customs, &self.constants, sampling);
            }
        }
        self.draft = draft;
        self.losses = losses;
        Ok(self.message.assemble(&mut self.draft))
    }

    pub fn losses(&self) -> Losses {
        self.losses
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
    fn write_record(
        &mut self,
        record: &FlowRecord,
        customs: &Present<'_>,
        constants: &Constants,
        sampling: Sampling,
    ) {
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
        head.word(pair(columns::retransmitted_packets(record), sampling.rate));
        if sampling.is_scaled {
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
    fn new(device_id: u32) -> Constants {
        let application = u64::from(wire::APPLICATION_NONE ^ wire::APPLICATION_DEFAULT);
        let device = u64::from(device_id);
        Constants {
            sampling_scaled: Constant::new(&[device, 0, 0, 0, wire::SAMPLE_RATE_IS_SCALED, 0, 0, 0, 0]),
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

/// A sample rate on the wire.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    rate: u32,
    /// The rate is in hundredths.
    is_scaled: bool,
}

impl Sampling {
    /// In hundredths where there is room, and otherwise as a whole number, which a receiver multiplies itself.
    #[inline(always)]
    fn of(rate: u32, factor: u32, losses: &mut Losses) -> Sampling {
        match rate.checked_mul(factor) {
            Some(rate) => Sampling { rate, is_scaled: true },
            None => Sampling::whole(rate, factor, losses),
        }
    }

    #[cold]
    fn whole(rate: u32, factor: u32, losses: &mut Losses) -> Sampling {
        let hundredths = u64::from(rate) * u64::from(factor);
        let scale = u64::from(wire::SAMPLE_RATE_SCALE);
        let rounded = (hundredths + scale / 2) / scale;
        let rate = u32::try_from(rounded).unwrap_or(u32::MAX);
        losses.rates_inexact += u64::from(u64::from(rate) * scale != hundredths);
        Sampling { rate, is_scaled: false }
    }

    /// Common receivers multiply in 32 bits, so they are not left to.
    #[inline(always)]
    fn in_hundredths(rate: u32, factor: u32, losses: &mut Losses) -> Sampling {
        let product = rate.checked_mul(factor);
        losses.rates_inexact += u64::from(product.is_none());
        Sampling { rate: product.unwrap_or(u32::MAX), is_scaled: true }
    }
}

/// The number that stands for the interface behind a link-layer address: its low 16 bits.
fn interface(mac: u64) -> u32 {
    mac as u32 & 0xFFFF
}
