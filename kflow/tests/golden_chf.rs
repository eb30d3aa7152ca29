//! Messages of records with every field set, written once, whose bytes are where the wire format says.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow --test golden_chf` writes files that do not exist yet; existing ones never change.
//! A field's value follows from its ordinal in the schema, so no two fields have the same.

use kflow::codec::{ChfEncoder, Limits, decode_chf};
use kflow::{Chf, Custom, CustomValue};
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

#[expect(dead_code, reason = "of the readers of words only the first step is of use here")]
mod words;

/// Ordinal and byte offset of the fields that are 32-bit numbers.
const NUMBERS: [(u32, usize); 40] = [
    (1, 8),
    (2, 12),
    (3, 16),
    (4, 20),
    (7, 40),
    (8, 44),
    (9, 48),
    (10, 52),
    (11, 56),
    (12, 60),
    (13, 64),
    (14, 68),
    (15, 72),
    (16, 76),
    (17, 80),
    (18, 84),
    (19, 88),
    (20, 92),
    (21, 96),
    (22, 100),
    (23, 104),
    (24, 108),
    (27, 128),
    (30, 132),
    (31, 136),
    (38, 140),
    (39, 152),
    (40, 156),
    (41, 160),
    (42, 164),
    (43, 168),
    (46, 176),
    (47, 180),
    (48, 184),
    (49, 188),
    (52, 192),
    (53, 196),
    (54, 200),
    (55, 204),
    // The default, all bits set, is XORed with the value.
    (APP_PROTOCOL, 224),
];

/// The same of 64-bit numbers, the first two with a sign.
const LARGE_NUMBERS: [(u32, usize); 8] =
    [(0, 0), (33, 144), (5, 24), (6, 32), (25, 112), (26, 120), (58, 208), (59, 216)];

/// Ordinal and number of the pointer of texts, then of IPv6 addresses.
const TEXTS: [(u32, usize); 7] = [(28, 0), (29, 1), (32, 2), (34, 3), (35, 4), (36, 5), (37, 6)];
const ADDRESSES: [(u32, usize); 6] = [(56, 7), (57, 8), (61, 10), (62, 11), (63, 12), (64, 13)];
const CUSTOM: usize = 9;

const APP_PROTOCOL: u32 = 66;

fn number(ordinal: u32) -> u32 {
    0x8182_8300 + ordinal
}

fn large(ordinal: u32) -> u64 {
    0x9192_9394_9596_9700 + u64::from(ordinal)
}

fn text(ordinal: u32) -> String {
    format!("text {ordinal}")
}

fn address(ordinal: u32) -> [u8; 16] {
    std::array::from_fn(|index| (0x10 * index as u32 + ordinal) as u8)
}

/// All fields but the addresses of IPv6 and the custom columns.
fn chf() -> Chf {
    Chf {
        timestamp_nano: large(0) as i64,
        dst_as: number(1),
        dst_geo: number(2),
        dst_mac: number(3),
        header_len: number(4),
        in_bytes: large(5),
        in_pkts: large(6),
        input_port: number(7),
        ip_size: number(8),
        ipv4_dst_addr: number(9),
        ipv4_src_addr: number(10),
        l4_dst_port: number(11),
        l4_src_port: number(12),
        output_port: number(13),
        protocol: number(14),
        sampled_packet_size: number(15),
        src_as: number(16),
        src_geo: number(17),
        src_mac: number(18),
        tcp_flags: number(19),
        tos: number(20),
        vlan_in: number(21),
        vlan_out: number(22),
        ipv4_next_hop: number(23),
        mpls_type: number(24),
        out_bytes: large(25),
        out_pkts: large(26),
        tcp_retransmit: number(27),
        src_flow_tags: text(28),
        dst_flow_tags: text(29),
        sample_rate: number(30),
        device_id: number(31),
        flow_tags: text(32),
        timestamp: large(33) as i64,
        dst_bgp_as_path: text(34),
        dst_bgp_community: text(35),
        src_bgp_as_path: text(36),
        src_bgp_community: text(37),
        src_next_hop_as: number(38),
        dst_next_hop_as: number(39),
        src_geo_region: number(40),
        dst_geo_region: number(41),
        src_geo_city: number(42),
        dst_geo_city: number(43),
        big: true,
        sample_adj: false,
        ipv4_dst_next_hop: number(46),
        ipv4_src_next_hop: number(47),
        src_route_prefix: number(48),
        dst_route_prefix: number(49),
        src_route_length: 50,
        dst_route_length: 51,
        src_second_asn: number(52),
        dst_second_asn: number(53),
        src_third_asn: number(54),
        dst_third_asn: number(55),
        src_eth_mac: large(58),
        dst_eth_mac: large(59),
        is_metric: true,
        app_protocol: number(66),
        ..Chf::default()
    }
}

/// The other flag, addresses of IPv6, and every member of a custom column's value.
fn chf_with_pointers() -> Chf {
    Chf {
        big: false,
        sample_adj: true,
        is_metric: false,
        ipv6_dst_addr: Some(address(56)),
        ipv6_src_addr: Some(address(57)),
        ipv6_src_next_hop: Some(address(61)),
        ipv6_dst_next_hop: Some(address(62)),
        ipv6_src_route_prefix: Some(address(63)),
        ipv6_dst_route_prefix: Some(address(64)),
        custom: customs(),
        ..chf()
    }
}

fn customs() -> Vec<Custom> {
    let values = [
        CustomValue::U32(0xA1A2_A3A4),
        CustomValue::F32(-0.15625),
        CustomValue::Text("eight of".to_owned()),
        CustomValue::U64(0xB1B2_B3B4_B5B6_B7B8),
        CustomValue::Address([192, 0, 2, 33].into()),
        CustomValue::U16(0xC1C2),
        CustomValue::U8(0xD1),
        CustomValue::Address(Ipv6Addr::from(address(6)).into()),
        CustomValue::Text(String::new()),
        CustomValue::Unknown,
    ];
    let customs = (0u32..).zip(values);
    customs
        .map(|(index, value)| Custom { id: number(100 + index), is_dimension: index % 3 == 1, value })
        .collect()
}

/// A struct in a message, as words.
struct Struct<'a> {
    words: &'a [u64],
    start: usize,
    data_words: usize,
}

impl Struct<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(offset + N <= self.data_words * 8);
        std::array::from_fn(|index| {
            let offset = offset + index;
            self.words[self.start + offset / 8].to_le_bytes()[offset % 8]
        })
    }

    /// What a pointer points to: see [`list`].
    fn pointer(&self, number: usize) -> (usize, u64, usize) {
        list(self.words, self.start + self.data_words + number)
    }

    fn byte_list(&self, number: usize) -> Vec<u8> {
        let (target, elements, count) = self.pointer(number);
        assert_eq!(elements, 2, "bytes");
        self.words[target..].iter().flat_map(|word| word.to_le_bytes()).take(count).collect()
    }

    fn is_null(&self, number: usize) -> bool {
        self.words[self.start + self.data_words + number] == 0
    }
}

/// Where a list begins, what its elements are, how many there are.
fn list(words: &[u64], pointer: usize) -> (usize, u64, usize) {
    let word = words[pointer];
    assert_eq!(word & 3, 1, "a list");
    (pointer + 1 + (word as u32 as usize >> 2), word >> 32 & 7, (word >> 35) as usize)
}

/// The structs of a list, of so many data words and pointers.
fn structs(words: &[u64], pointer: usize, data_words: usize, pointers: usize) -> Vec<Struct<'_>> {
    let (tag, elements, list_words) = list(words, pointer);
    assert_eq!(elements, 7, "structs");
    assert_eq!(words[tag] >> 32, (data_words | pointers << 16) as u64);
    let count = words[tag] as usize as u32 as usize >> 2;
    assert_eq!(list_words, count * (data_words + pointers));
    let starts = (0..count).map(|index| tag + 1 + index * (data_words + pointers));
    starts.map(|start| Struct { words, start, data_words }).collect()
}

/// Checks that a golden file reads as this record, and returns its words.
fn golden(name: &str, record: &Chf, written: &[u8]) -> Vec<u64> {
    let path = path(name);
    if std::env::var_os("KFLOW_UPDATE").is_some() && !path.exists() {
        fs::write(&path, written).unwrap();
    }
    let golden = fs::read(&path).unwrap();
    assert_eq!(decode_chf(&golden[4..], &Limits::default()).unwrap(), std::slice::from_ref(record));
    let words = words::Message::parse(&golden).0;
    assert_eq!(words::Message::parse(written).0, words, "{name} would be written differently now");
    assert_eq!(words[0], 1 << 48, "the root has no data and one pointer");
    words
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// As in a flow file, with the length in front.
fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_le_bytes(), message].concat()
}

fn encode(record: &Chf) -> Vec<u8> {
    frame(ChfEncoder::new().encode(std::slice::from_ref(record)).unwrap())
}

fn assert_numbers(chf: &Struct<'_>, is_old: bool) {
    for (ordinal, offset) in NUMBERS {
        if ordinal == APP_PROTOCOL {
            if !is_old {
                assert_eq!(u32::from_le_bytes(chf.bytes(offset)) ^ 0xFFFF_FFFF, number(ordinal));
            }
            continue;
        }
        assert_eq!(u32::from_le_bytes(chf.bytes(offset)), number(ordinal), "@{ordinal}");
    }
    for (ordinal, offset) in LARGE_NUMBERS {
        assert_eq!(u64::from_le_bytes(chf.bytes(offset)), large(ordinal), "@{ordinal}");
    }
    assert_eq!(chf.bytes(173), [50, 51], "srcRouteLength, dstRouteLength");
    for (ordinal, pointer) in TEXTS {
        assert_eq!(chf.byte_list(pointer), format!("{}\0", text(ordinal)).into_bytes(), "@{ordinal}");
    }
}

#[test]
fn every_field_of_an_ipv4_record_is_where_the_format_says() {
    let words = golden("chf4.kflow", &chf(), &encode(&chf()));
    let records = structs(&words, 1, 29, 14);
    let [record] = &records[..] else { panic!("one record") };
    assert_numbers(record, false);
    assert_eq!(record.bytes(172), [0b101], "big, sampleAdj, isMetric");
    assert_eq!(record.bytes(175), [0]);
    assert_eq!(record.bytes(228), [0; 4]);
    assert!(ADDRESSES.iter().all(|(_, pointer)| record.is_null(*pointer)));
    assert!(record.is_null(CUSTOM));
}

#[test]
fn every_field_of_an_ipv6_record_is_where_the_format_says() {
    let words = golden("chf6.kflow", &chf_with_pointers(), &encode(&chf_with_pointers()));
    let records = structs(&words, 1, 29, 14);
    let [record] = &records[..] else { panic!("one record") };
    assert_numbers(record, false);
    assert_eq!(record.bytes(172), [0b010], "big, sampleAdj, isMetric");
    for (ordinal, pointer) in ADDRESSES {
        assert_eq!(record.byte_list(pointer), address(ordinal), "@{ordinal}");
    }
}

#[test]
fn every_member_of_a_custom_column_is_where_the_format_says() {
    let words = golden("chf6.kflow", &chf_with_pointers(), &encode(&chf_with_pointers()));
    let record = &structs(&words, 1, 29, 14)[0];
    let customs = structs(&words, record.start + record.data_words + CUSTOM, 3, 1);
    assert_eq!(customs.len(), 10);
    for (index, custom) in (0u32..).zip(&customs) {
        assert_eq!(u32::from_le_bytes(custom.bytes(0)), number(100 + index), "id");
        assert_eq!(custom.bytes(10), [u8::from(index % 3 == 1)], "isDimension");
        assert_eq!(custom.bytes(11), [0; 5]);
    }
    let members = customs.iter().map(|custom| u16::from_le_bytes(custom.bytes(8)));
    assert!(members.eq([0, 1, 2, 3, 4, 5, 6, 4, 2, 4]));
    let small: Vec<u32> = customs.iter().map(|custom| u32::from_le_bytes(custom.bytes(4))).collect();
    assert_eq!(small, [0xA1A2_A3A4, 0xBE20_0000, 0, 0, 0, 0xC1C2, 0xD1, 0, 0, 0]);
    for (index, custom) in customs.iter().enumerate() {
        let large = if index == 3 { 0xB1B2_B3B4_B5B6_B7B8 } else { 0 };
        assert_eq!(u64::from_le_bytes(custom.bytes(16)), large);
        assert_eq!(custom.is_null(0), ![2, 4, 7, 8].contains(&index));
    }
    assert_eq!(customs[2].byte_list(0), b"eight of\0");
    assert_eq!(customs[4].byte_list(0), [4, 192, 0, 2, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(customs[7].byte_list(0), [&[6][..], &address(6)].concat());
    assert_eq!(customs[8].byte_list(0), b"\0");
}

#[test]
fn a_record_of_an_older_schema_is_read_and_what_it_does_not_know_is_the_default() {
    let old = Chf { app_protocol: 0xFFFF_FFFF, ..chf_with_pointers() };
    let words = golden("chf_old.kflow", &old, &older(&encode(&chf_with_pointers())));
    let records = structs(&words, 1, 28, 14);
    let [record] = &records[..] else { panic!("one record") };
    assert_numbers(record, true);
    assert_eq!(structs(&words, record.start + record.data_words + CUSTOM, 3, 1).len(), 10);
}

/// A message of one record without the last of its data words, as senders wrote it before there was one.
fn older(frame_of_new: &[u8]) -> Vec<u8> {
    let mut words = words::Message::parse(frame_of_new).0;
    // Root and list pointer, then the tag. Pointers behind the word that goes point past it by the same distance.
    words[1] = 1 | 7 << 32 | 42 << 35;
    words[2] = 1 << 2 | 28 << 32 | 14 << 48;
    words.remove(3 + 28);
    let table = (words.len() as u64) << 32;
    frame(&pack([table].into_iter().chain(words)))
}

/// Packs without runs of more than one word.
fn pack(words: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut packed = Vec::new();
    for word in words {
        let bytes = word.to_le_bytes();
        let tag = (0..8).fold(0u8, |tag, index| tag | u8::from(bytes[index] != 0) << index);
        packed.push(tag);
        packed.extend(bytes.into_iter().filter(|byte| *byte != 0));
        if tag == 0 || tag == 0xFF {
            packed.push(0);
        }
    }
    packed
}
