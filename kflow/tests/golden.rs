//! Flow files that were written once and must stay readable, and whose bytes are where the wire format says.
//!
//! The fields are read at their byte offsets by a few lines of this file, not by generated code.
//! `KFLOW_UPDATE=1 cargo test -p kflow --test golden` writes files that do not exist yet; existing ones never
//! change.

use kflow::codec::Encoder;
use kflow::file::{self, FileReader};
use kflow::{DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, MacAddress};
use std::fs;
use std::path::Path;

#[test]
fn an_ipv4_tcp_flow_is_where_the_format_says() {
    let message = golden_message("tcp4.kflow", &[tcp4()]);
    let flow = message.flow(1);
    assert_eq!(flow.u64(0), 1_795_000_000_123_456_789, "timestampNano");
    assert_eq!(flow.u64(24), 5_000, "inBytes");
    assert_eq!(flow.u64(32), 12, "inPkts");
    assert_eq!(flow.u32(40), 0x0001, "inputPort");
    assert_eq!(flow.u32(48), 0xC633_6414, "ipv4DstAddr");
    assert_eq!(flow.u32(52), 0x0A00_0001, "ipv4SrcAddr");
    assert_eq!(flow.u32(56), 443, "l4DstPort");
    assert_eq!(flow.u32(60), 49_152, "l4SrcPort");
    assert_eq!(flow.u32(64), 0xEEFF, "outputPort");
    assert_eq!(flow.u32(68), 6, "protocol");
    assert_eq!(flow.u32(88), 0x1B | 0x12, "tcpFlags");
    assert_eq!(flow.u32(92), 0xB8 | 0x01, "tos");
    assert_eq!(flow.u32(96), 100, "vlanIn");
    assert_eq!(flow.u32(100), 200, "vlanOut");
    assert_eq!(flow.u64(112), 70_000, "outBytes");
    assert_eq!(flow.u64(120), 60, "outPkts");
    assert_eq!(flow.u32(132), 1_600, "sampleRate");
    assert_eq!(flow.byte(172), 0b010, "big, sampleAdj, isMetric");
    assert_eq!(flow.u64(208), 0x0242_AACC_EEFF, "srcEthMac");
    assert_eq!(flow.u64(216), 0x0242_AC11_0001, "dstEthMac");
    assert_eq!(flow.u32(224) ^ 0xFFFF_FFFF, 0, "appProtocol");
    assert_eq!(flow.pointers_set(), [9], "only custom is there");
    flow.assert_zero_but(&[0..8, 24..44, 48..72, 88..104, 112..128, 132..136, 172..173, 208..228]);
    assert_eq!(
        flow.customs(),
        [
            (1_000_001, 3, 1_795_000_030_123_456_789),
            (1_000_002, 3, 5_168),
            (1_000_004, 0, 3),
            (1_000_006, 6, 0x1B),
            (1_000_008, 6, 0xB8),
            (1_000_003, 3, 70_840),
            (1_000_005, 0, 4),
            (1_000_007, 6, 0x12),
            (1_000_009, 6, 0x01),
            (1_000_010, 6, 3),
            (5, 0, 7),
        ]
    );
}

#[test]
fn an_ipv6_icmp_flow_is_where_the_format_says() {
    let message = golden_message("icmp6.kflow", &[icmp6()]);
    let flow = message.flow(1);
    assert_eq!(flow.u32(48), 0, "ipv4DstAddr");
    assert_eq!(flow.u32(52), 0, "ipv4SrcAddr");
    assert_eq!(flow.u32(56), 0x8003, "l4DstPort is type and code");
    assert_eq!(flow.u32(60), 0, "l4SrcPort");
    assert_eq!(flow.u32(68), 58, "protocol");
    assert_eq!(flow.u32(132), 100, "sampleRate");
    assert_eq!(flow.pointers_set(), [7, 8, 9]);
    let octets = |last| [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    assert_eq!(flow.bytes(7), octets(2), "ipv6DstAddr");
    assert_eq!(flow.bytes(8), octets(1), "ipv6SrcAddr");
    assert_eq!(flow.customs(), [(1_000_001, 3, 2_000), (1_000_010, 6, 1)]);
}

#[test]
fn the_first_record_names_the_custom_columns() {
    let message = golden_message("empty.kflow", &[FlowRecord::default()]);
    let names = message.flow(0);
    assert_eq!(names.u32(224) ^ 0xFFFF_FFFF, 101, "appProtocol");
    assert_eq!(names.pointers_set(), [9]);
    names.assert_zero_but(std::slice::from_ref(&(224..228)));
    assert_eq!(
        names.custom_texts(),
        [
            (1_000_001, "FLOW_END_NS"),
            (1_000_002, "FRAME_BYTES_IN"),
            (1_000_004, "FRAGMENTS_IN"),
            (1_000_006, "TCP_FLAGS_IN"),
            (1_000_008, "TOS_IN"),
            (1_000_003, "FRAME_BYTES_OUT"),
            (1_000_005, "FRAGMENTS_OUT"),
            (1_000_007, "TCP_FLAGS_OUT"),
            (1_000_009, "TOS_OUT"),
            (1_000_010, "FLOW_END_REASON"),
            (5, "FRAGMENTS"),
        ]
        .map(|(id, name)| (id, name.to_owned()))
    );
    assert_eq!(message.flow(1).customs(), [(1_000_010, 6, 1)]);
}

fn tcp4() -> FlowRecord {
    FlowRecord {
        start_ns: 1_795_000_000_123_456_789,
        end_ns: 1_795_000_030_123_456_789,
        source: Endpoint {
            address: [10, 0, 0, 1].into(),
            port: 49_152,
            mac: MacAddress([0x02, 0x42, 0xAA, 0xCC, 0xEE, 0xFF]),
        },
        destination: Endpoint {
            address: [198, 51, 100, 20].into(),
            port: 443,
            mac: MacAddress([0x02, 0x42, 0xAC, 0x11, 0x00, 0x01]),
        },
        protocol: 6,
        icmp: IcmpKind::default(),
        forward: DirectionCounters {
            packets: 12,
            bytes: 5_000,
            frame_bytes: 5_168,
            fragments: 3,
            tcp_flags: 0x1B,
            tos: 0xB8,
            vlan: 100,
        },
        reverse: DirectionCounters {
            packets: 60,
            bytes: 70_000,
            frame_bytes: 70_840,
            fragments: 4,
            tcp_flags: 0x12,
            tos: 0x01,
            vlan: 200,
        },
        end_reason: EndReason::EndOfFlow,
        sample_rate: 16,
    }
}

fn icmp6() -> FlowRecord {
    let endpoint =
        |last: u16| Endpoint { address: [0x2001, 0xDB8, 0, 0, 0, 0, 0, last].into(), ..Endpoint::default() };
    FlowRecord {
        start_ns: 1_000,
        end_ns: 2_000,
        source: endpoint(1),
        destination: endpoint(2),
        protocol: 58,
        icmp: IcmpKind { kind: 128, code: 3 },
        ..FlowRecord::default()
    }
}

/// Checks that a golden file reads as these records and that they are still written like that, and returns
/// its only message.
fn golden_message(name: &str, records: &[FlowRecord]) -> Message {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let mut written = Vec::new();
    file::append(records, &mut Encoder::new(), &mut written).unwrap();
    if std::env::var_os("KFLOW_UPDATE").is_some() && !path.exists() {
        fs::write(&path, &written).unwrap();
    }
    let golden = fs::read(&path).unwrap();
    let mut reader = FileReader::new(golden.as_slice());
    assert_eq!(reader.read().unwrap().as_deref(), Some(records));
    assert!(reader.read().unwrap().is_none());
    let message = Message::parse(&golden);
    assert_eq!(Message::parse(&written).0, message.0, "{name} would be written differently now");
    message
}

/// The words of a message's only segment.
struct Message(Vec<u64>);

/// A `CHF`, found by its first word's index.
struct Flow<'a> {
    words: &'a [u64],
    start: usize,
}

impl Message {
    fn parse(frame: &[u8]) -> Message {
        let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
        assert_eq!(frame.len(), 4 + length);
        let words = unpack(&frame[4..]);
        assert_eq!(words[0] as u32, 0, "one segment");
        assert_eq!((words[0] >> 32) as usize, words.len() - 1, "of the rest's size");
        Message(words[1..].to_vec())
    }

    fn flow(&self, index: usize) -> Flow<'_> {
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
    fn byte(&self, offset: usize) -> u8 {
        self.words[self.start + offset / 8].to_le_bytes()[offset % 8]
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|index| self.byte(offset + index)))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|index| self.byte(offset + index)))
    }

    fn assert_zero_but(&self, used: &[std::ops::Range<usize>]) {
        for offset in 0..232 {
            if !used.iter().any(|range| range.contains(&offset)) {
                assert_eq!(self.byte(offset), 0, "byte {offset}");
            }
        }
    }

    fn pointers_set(&self) -> Vec<usize> {
        (0..14).filter(|pointer| self.words[self.start + 29 + pointer] != 0).collect()
    }

    fn bytes(&self, pointer: usize) -> Vec<u8> {
        byte_list(self.words, self.start + 29 + pointer)
    }

    /// Indices of the first words of the custom columns.
    fn custom_starts(&self) -> Vec<usize> {
        let (tag, list_words) = composite_list(self.words, self.start + 29 + 9);
        assert_eq!(self.words[tag] >> 32, 3 | 1 << 16, "a Custom has 3 data words and a pointer");
        assert_eq!(list_words, 4 * (self.words[tag] as u32 as usize >> 2));
        (0..list_words / 4).map(|index| tag + 1 + 4 * index).collect()
    }

    /// Id, discriminant and number of the custom columns.
    fn customs(&self) -> Vec<(u32, u16, u64)> {
        let numbers = self.custom_starts().into_iter().map(|start| {
            let words = &self.words[start..start + 4];
            let (discriminant, small, large) = (words[1] as u16, words[0] >> 32, words[2]);
            assert_eq!(words[1] >> 16, 0, "isDimension and the bytes beside it");
            assert_eq!(words[3], 0, "no pointer");
            assert!(small == 0 || large == 0);
            (words[0] as u32, discriminant, small | large)
        });
        numbers.collect()
    }

    /// Id and text of the custom columns.
    fn custom_texts(&self) -> Vec<(u32, String)> {
        let texts = self.custom_starts().into_iter().map(|start| {
            assert_eq!(self.words[start + 1], 2, "strVal");
            let mut text = byte_list(self.words, start + 3);
            assert_eq!(text.pop(), Some(0), "a text ends in a zero");
            (self.words[start] as u32, String::from_utf8(text).unwrap())
        });
        texts.collect()
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
