//! `Chf` records to message, field by field at the places that the schema gives them.

use super::MESSAGE_WORDS_MAX;
use super::message::{Draft, Message};
use super::packing::Packer;
use super::wire::{self, Member, address_bytes, pair, text_words, word_of};
use crate::chf::{Chf, Custom, CustomValue};
use crate::error::Error;

/// Writes records of all fields as flow messages. Keeps its buffers: once they have grown to the caller's batches,
/// encoding allocates nothing.
#[derive(Debug, Default)]
pub struct ChfEncoder {
    draft: Draft,
    message: Message,
}

/// Words of one message without its segment table.
const WORDS_MAX: usize = MESSAGE_WORDS_MAX - 1;

impl ChfEncoder {
    pub fn new() -> ChfEncoder {
        ChfEncoder::default()
    }

    /// Encodes a batch as one packed message of a single segment. A message that would unpack to more than 64 MiB is
    /// [`Error::MessageTooLarge`].
    pub fn encode(&mut self, records: &[Chf]) -> Result<&[u8], Error> {
        if records.len() > WORDS_MAX / wire::CHF_WORDS {
            return Err(too_large());
        }
        let mut draft = std::mem::take(&mut self.draft);
        draft.begin(records.len());
        let written = records.iter().try_for_each(|record| draft.write_chf(record));
        self.draft = draft;
        written?;
        Ok(self.message.assemble(&mut self.draft))
    }
}

#[cold]
fn too_large() -> Error {
    Error::MessageTooLarge { bytes_max: MESSAGE_WORDS_MAX * 8 }
}

impl Draft {
    fn write_chf(&mut self, chf: &Chf) -> Result<(), Error> {
        let tail_words = tail_words(chf);
        if self.end().saturating_add(tail_words) > WORDS_MAX {
            return Err(too_large());
        }
        self.tail.reserve(tail_words);
        self.head.block(&data(chf));
        if tail_words == 0 {
            self.head.zeros(wire::CHF_POINTERS);
        } else {
            self.write_pointers(chf);
        }
        Ok(())
    }

    #[inline(always)]
    fn write_pointers(&mut self, chf: &Chf) {
        for text in texts(chf) {
            self.write_text(text);
        }
        for address in [chf.ipv6_dst_addr, chf.ipv6_src_addr] {
            self.write_address(address);
        }
        self.write_customs(&chf.custom);
        for address in [
            chf.ipv6_src_next_hop,
            chf.ipv6_dst_next_hop,
            chf.ipv6_src_route_prefix,
            chf.ipv6_dst_route_prefix,
        ] {
            self.write_address(address);
        }
    }

    /// Writes the pointer to a text and the text; a null pointer if it is empty.
    #[inline(always)]
    fn write_text(&mut self, text: &str) {
        if text.is_empty() {
            self.head.zeros(1);
            return;
        }
        self.head.word(self.tail_pointer(|offset| wire::byte_list_pointer(offset, text.len() + 1)));
        push_text(&mut self.tail, text);
    }

    /// Writes the pointer to the list and the list with what it points to; a null pointer if it is empty.
    #[inline(always)]
    fn write_customs(&mut self, customs: &[Custom]) {
        if customs.is_empty() {
            self.head.zeros(1);
            return;
        }
        let list_words = customs.len() * wire::CUSTOM_WORDS;
        self.head.word(self.tail_pointer(|offset| wire::composite_list_pointer(offset, list_words)));
        self.tail.word(wire::composite_tag(customs.len(), wire::CUSTOM_DATA_WORDS, wire::CUSTOM_POINTERS));
        let mut words_after = list_words;
        let mut data_before = 0;
        for custom in customs {
            words_after -= wire::CUSTOM_WORDS;
            self.tail.block(&custom_words(custom, words_after + data_before));
            data_before += data_words(&custom.value);
        }
        for custom in customs {
            match &custom.value {
                CustomValue::Text(text) => push_text(&mut self.tail, text),
                CustomValue::Address(address) => push_bytes(&mut self.tail, &address_bytes(*address)),
                _ => {}
            }
        }
    }
}

/// The data of a record, at its places.
#[inline(always)]
fn data(chf: &Chf) -> [u64; wire::CHF_DATA_WORDS] {
    [
        chf.timestamp_nano as u64,
        pair(chf.dst_as, chf.dst_geo),
        pair(chf.dst_mac, chf.header_len),
        chf.in_bytes,
        chf.in_pkts,
        pair(chf.input_port, chf.ip_size),
        pair(chf.ipv4_dst_addr, chf.ipv4_src_addr),
        pair(chf.l4_dst_port, chf.l4_src_port),
        pair(chf.output_port, chf.protocol),
        pair(chf.sampled_packet_size, chf.src_as),
        pair(chf.src_geo, chf.src_mac),
        pair(chf.tcp_flags, chf.tos),
        pair(chf.vlan_in, chf.vlan_out),
        pair(chf.ipv4_next_hop, chf.mpls_type),
        chf.out_bytes,
        chf.out_pkts,
        pair(chf.tcp_retransmit, chf.sample_rate),
        pair(chf.device_id, chf.src_next_hop_as),
        chf.timestamp as u64,
        pair(chf.dst_next_hop_as, chf.src_geo_region),
        pair(chf.dst_geo_region, chf.src_geo_city),
        u64::from(chf.dst_geo_city) | flags_and_lengths(chf),
        pair(chf.ipv4_dst_next_hop, chf.ipv4_src_next_hop),
        pair(chf.src_route_prefix, chf.dst_route_prefix),
        pair(chf.src_second_asn, chf.dst_second_asn),
        pair(chf.src_third_asn, chf.dst_third_asn),
        chf.src_eth_mac,
        chf.dst_eth_mac,
        u64::from(chf.app_protocol ^ wire::APPLICATION_DEFAULT),
    ]
}

/// The texts in the order of their pointers.
fn texts(chf: &Chf) -> [&str; 7] {
    [
        &chf.src_flow_tags,
        &chf.dst_flow_tags,
        &chf.flow_tags,
        &chf.dst_bgp_as_path,
        &chf.dst_bgp_community,
        &chf.src_bgp_as_path,
        &chf.src_bgp_community,
    ]
}

/// Words that a record adds to the tail.
fn tail_words(chf: &Chf) -> usize {
    let texts = texts(chf).into_iter().filter(|text| !text.is_empty()).map(|text| text_words(text.len()));
    let addresses = [
        &chf.ipv6_dst_addr,
        &chf.ipv6_src_addr,
        &chf.ipv6_src_next_hop,
        &chf.ipv6_dst_next_hop,
        &chf.ipv6_src_route_prefix,
        &chf.ipv6_dst_route_prefix,
    ];
    let addresses = addresses.into_iter().flatten().count() * 2;
    let customs = chf.custom.iter().map(|custom| wire::CUSTOM_WORDS + data_words(&custom.value));
    texts.sum::<usize>() + addresses + customs.sum::<usize>() + usize::from(!chf.custom.is_empty())
}

/// The bytes 172 to 174, behind `dstGeoCity`.
#[inline(always)]
fn flags_and_lengths(chf: &Chf) -> u64 {
    let flag = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
    flag(chf.big, wire::IS_BIG)
        | flag(chf.sample_adj, wire::SAMPLE_RATE_IS_SCALED)
        | flag(chf.is_metric, wire::IS_METRIC)
        | u64::from(chf.src_route_length) << 40
        | u64::from(chf.dst_route_length) << 48
}

/// The words of a custom column; what a pointer points to is `offset` words behind them.
#[inline(always)]
fn custom_words(custom: &Custom, offset: usize) -> [u64; wire::CUSTOM_WORDS] {
    let (member, small, large, pointer) = match &custom.value {
        CustomValue::U8(number) => (Member::U8, u32::from(*number), 0, 0),
        CustomValue::U16(number) => (Member::U16, u32::from(*number), 0, 0),
        CustomValue::U32(number) => (Member::U32, *number, 0, 0),
        CustomValue::U64(number) => (Member::U64, 0, *number, 0),
        CustomValue::F32(number) => (Member::F32, number.to_bits(), 0, 0),
        CustomValue::Text(text) => (Member::Text, 0, 0, wire::byte_list_pointer(offset, text.len() + 1)),
        CustomValue::Address(_) => {
            (Member::Address, 0, 0, wire::byte_list_pointer(offset, wire::ADDRESS_BYTES))
        }
        CustomValue::Unknown => (Member::Address, 0, 0, 0),
    };
    let is_dimension = if custom.is_dimension { wire::IS_DIMENSION } else { 0 };
    [pair(custom.id, small), member as u64 | is_dimension, large, pointer]
}

/// Words that a value points to.
#[inline(always)]
fn data_words(value: &CustomValue) -> usize {
    match value {
        CustomValue::Text(text) => text_words(text.len()),
        CustomValue::Address(_) => wire::ADDRESS_BYTES.div_ceil(8),
        _ => 0,
    }
}

/// Appends a text and the zeros behind it. The caller has reserved room.
#[inline(always)]
fn push_text(tail: &mut Packer, text: &str) {
    push_bytes(tail, text.as_bytes());
    if text.len().is_multiple_of(8) {
        tail.zeros(1);
    }
}

#[inline(always)]
fn push_bytes(tail: &mut Packer, bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks();
    for word in words {
        tail.word(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        tail.word(word_of(rest));
    }
}
