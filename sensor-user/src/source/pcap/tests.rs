//! Captures written byte by byte, read whole, in pieces, compressed and broken.

use std::io::{Cursor, Write};

use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::source::LinkType;

/// A frame that was lent: bytes, length on the wire, time, link type.
type Lent = (Vec<u8>, u32, u64, u16);

fn read_from(reader: impl Read + Send + 'static) -> (Vec<Lent>, Result<Received, SourceError>) {
    let mut source = PcapSource::from_reader(reader).expect("the file header is good");
    let mut lent = Vec::new();
    loop {
        let received = source.receive(Moment(0), |frames| {
            assert!((1..=BURST_FRAMES_MAX).contains(&frames.len()));
            lent.extend(frames.iter().map(|f| (f.bytes.to_vec(), f.wire_bytes, f.time.0, f.link.0)));
        });
        if !matches!(received, Ok(Received::Frames(_))) {
            assert_eq!(source.frames_offered(), lent.len() as u64);
            return (lent, received);
        }
    }
}

fn read(file: &[u8]) -> (Vec<Lent>, Result<Received, SourceError>) {
    read_from(Cursor::new(file.to_vec()))
}

fn read_whole(file: &[u8]) -> Vec<Lent> {
    let (lent, end) = read(file);
    assert_eq!(end.expect("the file is good"), Received::End);
    lent
}

/// What the frames before the damage were, where it is, and its text.
fn read_damaged(file: &[u8]) -> (usize, u64, String) {
    match read(file) {
        (lent, Err(SourceError::Damaged { offset, what })) => (lent.len(), offset, what),
        (_, end) => panic!("not damaged: {end:?}"),
    }
}

fn refused(file: &[u8]) -> String {
    PcapSource::from_reader(Cursor::new(file.to_vec())).expect_err("not a capture").to_string()
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
struct Order(fn(u32) -> [u8; 4], fn(u16) -> [u8; 2]);

const LITTLE: Order = Order(u32::to_le_bytes, u16::to_le_bytes);
const BIG: Order = Order(u32::to_be_bytes, u16::to_be_bytes);

impl Order {
    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| self.0(*word)).collect()
    }

    fn pcap(self, magic: u32, network: u32, records: &[&[u8]]) -> Vec<u8> {
        let version = self.1(2).into_iter().chain(self.1(4));
        let mut file: Vec<u8> = self.0(magic).into_iter().chain(version).collect();
        file.extend(self.words(&[0, 0, 65535, network]));
        file.extend(records.concat());
        file
    }

    fn record(self, time: (u32, u32), bytes: &[u8], on_wire: u32) -> Vec<u8> {
        let mut record = self.words(&[time.0, time.1, bytes.len() as u32, on_wire]);
        record.extend(bytes);
        record
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut block = self.words(&[kind, body.len().next_multiple_of(4) as u32 + 12]);
        block.extend(body);
        block.resize(block.len().next_multiple_of(4), 0);
        block.extend(self.0(block.len() as u32 + 4));
        block
    }

    fn section(self) -> Vec<u8> {
        let version = self.1(1).into_iter().chain(self.1(0));
        let mut body: Vec<u8> = self.0(0x1a2b_3c4d).into_iter().chain(version).collect();
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, snap_bytes: u32, options: &[u8]) -> Vec<u8> {
        let mut body: Vec<u8> = self.1(link).into_iter().chain([0, 0]).collect();
        body.extend(self.0(snap_bytes));
        body.extend(options);
        self.block(1, &body)
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option: Vec<u8> = self.1(code).into_iter().chain(self.1(value.len() as u16)).collect();
        option.extend(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn packet(self, interface: u32, units: u64, bytes: &[u8], options: &[u8]) -> Vec<u8> {
        let length = bytes.len() as u32;
        let mut body = self.words(&[interface, (units >> 32) as u32, units as u32, length, length + 4]);
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body)
    }
}

/// More than one burst and one fill of the buffer.
fn long_pcap() -> Vec<u8> {
    let records: Vec<_> =
        (0..1000u32).map(|n| LITTLE.record((n, 5), &vec![n as u8; n as usize], n)).collect();
    LITTLE.pcap(0xa1b2_c3d4, 1, &records.iter().map(|record| &record[..]).collect::<Vec<_>>())
}

/// Sections of both byte orders, all block types, every resolution of the clock.
fn mixed_pcapng() -> Vec<u8> {
    let nano = LITTLE.option(9, &[9]);
    let binary = BIG.option(9, &[0x80 | 10]);
    let offset = LITTLE.option(14, &100i64.to_le_bytes());
    let pico = [LITTLE.option(9, &[12]), LITTLE.option(0, &[])].concat();
    let obsolete = [&[1, 0, 9, 9][..], &LITTLE.words(&[0, 7, 3, 3]), b"old"].concat();
    [
        LITTLE.section(),
        LITTLE.interface(1, 0, &[]),
        LITTLE.interface(101, 0, &nano),
        LITTLE.interface(276, 0, &offset),
        LITTLE.interface(1, 0, &pico),
        LITTLE.block(0x0bad, &[7; 5000]),
        LITTLE.packet(0, 3_000_001, b"micro", &[]),
        LITTLE.packet(1, 5_000_000_000, b"nanos", &LITTLE.option(1, b"a comment")),
        LITTLE.packet(2, 1, b"later", &[]),
        LITTLE.packet(3, 2500, b"picos", &[]),
        LITTLE.block(2, &obsolete),
        LITTLE.block(3, &[&LITTLE.words(&[6]), &b"simple"[..]].concat()),
        BIG.section(),
        BIG.interface(228, 4, &binary),
        BIG.packet(0, 1536, b"big", &[]),
        BIG.block(3, &[&BIG.words(&[99]), &b"snap"[..]].concat()),
        BIG.block(5, &[0; 12]),
    ]
    .concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Gives out a few bytes at a time, as a slow pipe does.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = out.len().min(7);
        self.0.read(&mut out[..bytes])
    }
}

#[test]
fn both_byte_orders_and_units_of_pcap_are_read() {
    for order in [LITTLE, BIG] {
        let records = [order.record((3, 7), b"abcd", 9), order.record((4, 0), b"", 0)];
        let records = [&records[0][..], &records[1][..]];
        let micro = [(b"abcd".to_vec(), 9, 3_000_007_000, 113), (vec![], 0, 4_000_000_000, 113)];
        assert_eq!(read_whole(&order.pcap(0xa1b2_c3d4, 113, &records)), micro);
        let nano = [(b"abcd".to_vec(), 9, 3_000_000_007, 113), (vec![], 0, 4_000_000_000, 113)];
        assert_eq!(read_whole(&order.pcap(0xa1b2_3c4d, 113, &records)), nano);
        let modified = [&order.words(&[3, 7, 4, 9, 1, 2])[..], b"abcd"].concat();
        assert_eq!(read_whole(&order.pcap(0xa1b2_cd34, 113, &[&modified])), micro[..1]);
    }
}

#[test]
fn a_header_without_records_is_an_empty_capture() {
    assert_eq!(read_whole(&LITTLE.pcap(0xa1b2_c3d4, 1, &[])), []);
    assert_eq!(read_whole(&BIG.section()), []);
}

#[test]
fn a_frame_check_sequence_is_cut_off() {
    let record = LITTLE.record((0, 0), b"frame+fcs!", 10);
    let lent = read_whole(&LITTLE.pcap(0xa1b2_c3d4, 0x2400_0001, &[&record]));
    assert_eq!(lent, [(b"frame+".to_vec(), 6, 0, 1)]);
    let file = [
        LITTLE.section(),
        LITTLE.interface(1, 0, &LITTLE.option(13, &[4])),
        LITTLE.packet(0, 0, b"12345678", &[]),
        LITTLE.packet(0, 0, b"12345678", &LITTLE.option(2, &LITTLE.words(&[6 << 5]))),
    ];
    let lent = read_whole(&file.concat());
    assert_eq!(
        (&lent[0].0[..], lent[0].1),
        (&b"12345678"[..], 8),
        "four bytes on the wire were not captured"
    );
    assert_eq!((&lent[1].0[..], lent[1].1), (&b"123456"[..], 6));
}

#[test]
fn a_captured_length_above_the_wire_length_is_tolerated() {
    let record = LITTLE.record((0, 0), b"abcdef", 2);
    assert_eq!(read_whole(&LITTLE.pcap(0xa1b2_c3d4, 1, &[&record])), [(b"abcdef".to_vec(), 6, 0, 1)]);
}

#[test]
fn every_block_type_and_clock_of_pcapng_is_read() {
    let expected: [(&[u8], u32, u64, u16); 8] = [
        (b"micro", 9, 3_000_001_000, 1),
        (b"nanos", 9, 5_000_000_000, 101),
        (b"later", 9, 100_000_001_000, 276),
        (b"picos", 9, 2, 1),
        (b"old", 3, 7, 101),
        (b"simple", 6, 7, 1),
        (b"big", 7, 1_500_000_000, 228),
        (b"snap", 99, 1_500_000_000, 228),
    ];
    let lent = read_whole(&mixed_pcapng());
    let lent: Vec<_> =
        lent.iter().map(|(bytes, wire, time, link)| (&bytes[..], *wire, *time, *link)).collect();
    assert_eq!(lent, expected);
}

#[test]
fn times_beyond_what_a_moment_holds_stay_at_its_ends() {
    let before = LITTLE.option(14, &i64::MIN.to_le_bytes());
    let after = LITTLE.option(14, &i64::MAX.to_le_bytes());
    let file = [
        LITTLE.section(),
        LITTLE.interface(1, 0, &before),
        LITTLE.interface(1, 0, &after),
        LITTLE.interface(1, 0, &LITTLE.option(9, &[0])),
        LITTLE.interface(1, 0, &LITTLE.option(9, &[0xff])),
        LITTLE.interface(1, 0, &LITTLE.option(9, &[0x7f])),
    ];
    let packets: Vec<u8> =
        (0..5).flat_map(|interface| LITTLE.packet(interface, u64::MAX, b"", &[])).collect();
    let times: Vec<u64> = read_whole(&[file.concat(), packets].concat()).iter().map(|lent| lent.2).collect();
    assert_eq!(times, [0, u64::MAX, u64::MAX, 0, 1]);
}

#[test]
fn a_slow_pipe_gives_the_same_frames() {
    for file in [long_pcap(), mixed_pcapng()] {
        let expected = read_whole(&file);
        assert!(read_from(Trickle(Cursor::new(file))).0 == expected);
    }
}

#[test]
fn compressed_files_of_several_parts_give_the_same_frames() {
    for file in [long_pcap(), mixed_pcapng()] {
        let expected = read_whole(&file);
        let (first, second) = file.split_at(file.len() / 3);
        assert!(read_whole(&[gzip(first), gzip(second)].concat()) == expected);
        let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        assert!(read_whole(&[skippable.clone(), zstd(first), skippable, zstd(second)].concat()) == expected);
    }
}

#[test]
fn a_path_is_read_like_a_pipe() {
    let path = std::env::temp_dir().join(format!("pcap-source-{}.pcap.gz", std::process::id()));
    std::fs::write(&path, gzip(&long_pcap())).expect("the temporary folder takes a file");
    let mut source = PcapSource::open(&path).expect("the file was just written");
    while !matches!(source.receive(Moment(0), |_| ()), Ok(Received::End)) {}
    std::fs::remove_file(&path).expect("the file was just read");
    assert_eq!((source.frames_offered(), source.bytes_read()), (1000, long_pcap().len() as u64));
    assert!(matches!(PcapSource::open(&path), Err(OpenError::Unreadable(_))));
}

#[test]
fn frames_before_the_damage_are_lent() {
    let good = LITTLE.record((0, 0), &[0; 60], 60);
    let wild = LITTLE.words(&[0, 0, u32::MAX, 60]);
    let file = LITTLE.pcap(0xa1b2_c3d4, 1, &[&good, &good, &wild]);
    let what = "record header claims 4294967295 captured bytes, limit is 262144".to_string();
    assert_eq!(read_damaged(&file), (2, 24 + 2 * 76, what));
    let what = "file ends inside a packet: 12 of 60 bytes".to_string();
    assert_eq!(read_damaged(&LITTLE.pcap(0xa1b2_c3d4, 1, &[&good, &good[..28]])), (1, 100, what));
    let what = "file ends inside a record header: 5 of 16 bytes".to_string();
    assert_eq!(read_damaged(&LITTLE.pcap(0xa1b2_c3d4, 1, &[&good, &good[..5]])), (1, 100, what));
}

#[test]
fn damaged_blocks_are_told_apart() {
    let start = [LITTLE.section(), LITTLE.interface(1, 0, &[]), LITTLE.packet(0, 0, b"good", &[])].concat();
    let offset = start.len() as u64;
    let damaged = |block: &[u8]| read_damaged(&[&start[..], block].concat());
    let mut packet = LITTLE.packet(0, 0, b"good", &[]);
    assert_eq!(damaged(&packet[..30]), (1, offset, "file ends inside a block: 30 of 36 bytes".to_string()));
    packet[32] = 40;
    let what = "block lengths differ: 36 ahead of the block, 40 behind it".to_string();
    assert_eq!(damaged(&packet), (1, offset, what));
    let what = "packet of interface 9, but the section describes 1".to_string();
    assert_eq!(damaged(&LITTLE.packet(9, 0, b"lost", &[])), (1, offset, what));
    let what = "file ends inside a block: 500 of 1012 bytes".to_string();
    assert_eq!(damaged(&LITTLE.block(0x0bad, &[0; 1000])[..500]), (1, offset + 500, what));
    let what = "block header claims 10 bytes, which no such block can have".to_string();
    assert_eq!(damaged(&LITTLE.words(&[6, 10])), (1, offset, what));
}

#[test]
fn what_was_decompressed_before_the_damage_is_lent() {
    for compressed in [gzip(&long_pcap()), zstd(&long_pcap())] {
        let (frames, _, what) = read_damaged(&compressed[..compressed.len() - 9]);
        assert!(frames > 0 && what.starts_with("compressed data"), "{frames} frames, {what}");
    }
    let mut file = gzip(&long_pcap());
    let end = file.len();
    file[end - 8] ^= 1;
    let (frames, _, what) = read_damaged(&file);
    assert_eq!(frames, 1000);
    assert_eq!(what, "compressed data is broken: checksum or length of a gzip member does not match");
}

#[test]
fn what_is_not_a_capture_is_refused() {
    assert_eq!(refused(b""), "not a capture: it is empty");
    assert_eq!(refused(b"\x89PNG\r\n"), "not a capture: it starts with 89 50 4e 47");
    let header = LITTLE.pcap(0xa1b2_c3d4, 1, &[]);
    assert_eq!(refused(&header[..12]), "not a capture: it ends inside the file header, after 12 bytes");
    assert_eq!(refused(&gzip(b"text")), "not a capture: it starts with 74 65 78 74");
    let mut newer = header;
    newer[4] = 3;
    assert_eq!(refused(&newer), "not a capture: it says pcap version 3.4, only 2.x is known");
}

#[test]
fn every_link_type_fits() {
    let file = BIG.pcap(0xa1b2_c3d4, 0xffff, &[&BIG.record((0, 0), b"x", 1)]);
    assert_eq!(read_whole(&file)[0].3, LinkType(0xffff).0);
}

/// Reads to the end, whatever it is. Frames never outnumber the bytes that they came from.
fn read_anything(file: Vec<u8>) {
    let Ok(mut source) = PcapSource::from_reader(Cursor::new(file)) else { return };
    while let Ok(Received::Frames(_)) = source.receive(Moment(0), |_| ()) {}
    assert!(source.frames_offered() <= source.bytes_read());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_without_panic(start in 0..5usize, bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let start = [
            vec![],
            LITTLE.pcap(0xa1b2_c3d4, 1, &[]),
            [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat(),
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0],
            vec![0x28, 0xb5, 0x2f, 0xfd],
        ][start].clone();
        read_anything([start, bytes].concat());
    }

    #[test]
    fn mutated_captures_are_read_without_panic(
        kind in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let plain = [mixed_pcapng(), long_pcap()[..20_000].to_vec()];
        let mut file = match kind {
            0 | 1 => plain[kind].clone(),
            2 => gzip(&plain[1]),
            _ => zstd(&plain[1]),
        };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(file.len() * 4).max(1));
        read_anything(file);
    }
}
