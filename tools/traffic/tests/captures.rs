//! Capture files of every flavour: what is written can be read, by this crate and by tcpdump.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use proptest::prelude::*;
use traffic::mix::{Mix, Options, TimedFrame, Traffic};
use traffic::pcap::{ByteOrder, CapturedFrame, Format, ReadError, Writer, read};

fn written(frames: &[TimedFrame], format: Format, order: ByteOrder) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format, order).unwrap();
    for frame in frames {
        writer.write(frame.time_ns, &frame.bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// What the format keeps of a frame.
fn kept(frame: &TimedFrame, format: Format) -> CapturedFrame {
    let time_ns = match format {
        Format::Pcap => Some(frame.time_ns / 1_000 * 1_000),
        Format::PcapNanoseconds | Format::Pcapng => Some(frame.time_ns),
        Format::PcapngSimple => None,
    };
    CapturedFrame { time_ns, bytes: frame.bytes.clone(), wire_bytes: frame.bytes.len() as u32 }
}

fn flavours() -> impl Iterator<Item = (Format, ByteOrder)> {
    Format::ALL.into_iter().flat_map(|format| ByteOrder::ALL.map(|order| (format, order)))
}

fn mixed_frames() -> Vec<TimedFrame> {
    Traffic::new(Options { mix: Mix::All, seed: 11, conversations: 100 }).collect()
}

#[test]
fn every_flavour_is_read_back_as_written() {
    let frames = mixed_frames();
    for (format, order) in flavours() {
        let expected: Vec<_> = frames.iter().map(|frame| kept(frame, format)).collect();
        assert_eq!(read(&written(&frames, format, order)), Ok(expected), "{} {order:?}", format.name());
    }
}

#[test]
fn headers_are_those_of_the_formats() {
    let pcap = written(&[], Format::Pcap, ByteOrder::Little);
    assert_eq!(pcap, b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0");
    let nanoseconds = written(&[], Format::PcapNanoseconds, ByteOrder::Big);
    assert_eq!(nanoseconds, b"\xa1\xb2\x3c\x4d\0\x02\0\x04\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\x01");
    let pcapng = written(&[], Format::Pcapng, ByteOrder::Big);
    let section =
        b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c";
    let interface = b"\0\0\0\x01\0\0\0\x20\0\x01\0\0\0\x04\0\0\0\x09\0\x01\x09\0\0\0\0\0\0\0\0\0\0\x20";
    assert_eq!(pcapng, [&section[..], interface].concat());
}

#[test]
fn a_cut_frame_keeps_its_length_on_the_wire() {
    for format in [Format::Pcap, Format::PcapNanoseconds, Format::Pcapng] {
        let mut writer = Writer::new(Vec::new(), format, ByteOrder::Big).unwrap();
        writer.write_cut(1_000, &[1, 2, 3], 1_500).unwrap();
        let frames = read(&writer.finish().unwrap()).unwrap();
        let expected = CapturedFrame { time_ns: Some(1_000), bytes: vec![1, 2, 3], wire_bytes: 1_500 };
        assert_eq!(frames, [expected]);
    }
}

#[test]
fn a_file_cut_short_is_an_error_and_says_where() {
    let file = written(&mixed_frames()[..2], Format::Pcap, ByteOrder::Little);
    assert!(matches!(read(&file[..file.len() - 1]), Err(ReadError::CutShort { .. })));
    assert_eq!(read(b"GIF89a"), Err(ReadError::NotACapture));
}

#[test]
fn tcpdump_reads_every_flavour_and_finds_no_wrong_checksum() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: tcpdump is not installed");
        return;
    }
    let frames = mixed_frames();
    for (format, order) in flavours() {
        let path = scratch(&format!("flavour-{}-{order:?}.pcap", format.name()));
        fs::write(&path, written(&frames, format, order)).unwrap();
        assert_eq!(tcpdump(&path, &["-q"]).lines().count(), frames.len(), "{} {order:?}", format.name());
        fs::remove_file(path).unwrap();
    }

    let good: Vec<_> = [Mix::Tcp, Mix::Udp, Mix::Icmp, Mix::Ipv6, Mix::Vlan]
        .into_iter()
        .flat_map(|mix| Traffic::new(Options { mix, seed: 2, conversations: 50 }))
        .collect();
    let path = scratch("checksums.pcap");
    fs::write(&path, written(&good, Format::PcapNanoseconds, ByteOrder::Little)).unwrap();
    let text = tcpdump(&path, &["-vv"]);
    fs::remove_file(path).unwrap();
    for complaint in ["bad ", "incorrect", "truncated"] {
        let found = text.lines().find(|line| line.contains(complaint) && !line.contains("[|domain]"));
        assert_eq!(found, None, "tcpdump says {complaint}");
    }
    assert!(text.contains("(correct)") && text.contains("udp sum ok"));
}

fn tcpdump(path: &Path, options: &[&str]) -> String {
    let output = Command::new("tcpdump").args(["-n", "-e", "-r"]).arg(path).args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("traffic-{}-{name}", std::process::id()))
}

proptest! {
    #[test]
    fn reading_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn reading_a_damaged_file_does_not_panic(
        flavour in 0usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let frames: Vec<_> = Traffic::new(Options { mix: Mix::Udp, seed: 1, conversations: 2 }).collect();
        let (format, order) = flavours().nth(flavour).unwrap();
        let mut file = written(&frames, format, order);
        for (place, byte) in damage {
            let index = place.index(file.len());
            file[index] = byte;
        }
        let _ = read(&file);
    }
}
