//! Capture files, end to end: what the generator meant is what the records say, in every kind of file, whole,
//! cut and damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use system_tests::{Conversations, Folder, Outcome, is_installed, run_offline};
use traffic::mix::{Expected, Mix, Options, Traffic};
use traffic::pcap::{self, ByteOrder, Format, Writer};

const CONVERSATIONS: u32 = 150;

/// A small table, so that a run is over in milliseconds.
fn run(capture: &str, input: Option<File>) -> Outcome {
    run_offline(&["--pcap", capture, "--flow-capacity", "4096"], input)
}

fn capture_bytes(options: Options, format: Format, order: ByteOrder) -> (Vec<u8>, Expected) {
    let mut writer = Writer::new(Vec::new(), format, order).expect("a vector takes every write");
    let mut traffic = Traffic::new(options);
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).expect("a vector takes every write");
    }
    (writer.finish().expect("a vector takes every write"), traffic.into_expected())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are plain")
}

/// The file itself, and compressed by whatever is installed.
fn compressions(file: &Path) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    for (program, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        if !is_installed(program) {
            eprintln!("not with {program}: it is not installed");
            continue;
        }
        let compressed = PathBuf::from(format!("{}.{ending}", file.display()));
        let status = Command::new(program)
            .args(["-q", "-k", text(file)])
            .status()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program}: {status}");
        files.push(compressed);
    }
    files
}

#[test]
fn every_mix_in_every_kind_of_file_is_counted_to_the_byte() {
    for mix in Mix::ALL {
        for (format, order) in
            Format::ALL.into_iter().flat_map(|format| ByteOrder::ALL.map(|order| (format, order)))
        {
            let folder = Folder::create();
            let options = Options { mix, seed: 3, conversations: CONVERSATIONS };
            let (bytes, expected) = capture_bytes(options, format, order);
            let plain = folder.write(&format!("{}.{}", mix.name(), format.name()), bytes);
            for file in compressions(&plain) {
                eprintln!("{} {order:?}", file.display());
                let outcome = run(text(&file), None);
                outcome.assert_conserves(&expected);
                assert_eq!(outcome.flow_records(), expected.records(), "{}", outcome.stderr);
                assert_first_sender_is_source(&outcome, &expected);
            }
        }
    }
}

/// A file is read in order, so who was seen first is known.
fn assert_first_sender_is_source(outcome: &Outcome, expected: &Expected) {
    for record in &outcome.records {
        assert!(
            expected.conversations.contains_key(&record.key),
            "the other side was first: {:?}",
            record.key
        );
    }
}

#[test]
fn standard_input_is_read_like_a_file() {
    let folder = Folder::create();
    let options = Options { mix: Mix::All, seed: 5, conversations: CONVERSATIONS };
    let (bytes, expected) = capture_bytes(options, Format::Pcapng, ByteOrder::Little);
    let plain = folder.write("all.pcapng", bytes);
    for file in compressions(&plain) {
        let outcome = run("-", Some(File::open(&file).expect("it was just written")));
        outcome.assert_conserves(&expected);
    }
}

#[test]
fn json_on_standard_output_is_nothing_but_records() {
    let folder = Folder::create();
    let options = Options { mix: Mix::All, seed: 5, conversations: CONVERSATIONS };
    let (bytes, expected) = capture_bytes(options, Format::Pcap, ByteOrder::Little);
    let file = folder.write("all.pcap", bytes);
    let output = Command::new(system_tests::sensor_program())
        .args(["run", "--pcap", text(&file), "--json", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("the sensor starts");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let conversations = Conversations::of_records(&system_tests::parse_records(&printed));
    conversations.assert_equal(&Conversations::from(&expected), "standard output");
}

/// What the frames of a damaged file that come before the damage have to give: the records of a file of just those.
fn assert_like_whole_part(damaged: &Outcome, frames: &[pcap::CapturedFrame], kept: usize, what: &str) {
    let folder = Folder::create();
    let mut writer = Writer::new(Vec::new(), Format::PcapNanoseconds, ByteOrder::Little)
        .expect("a vector takes every write");
    for frame in &frames[..kept] {
        writer.write(frame.time_ns.unwrap_or(0), &frame.bytes).expect("a vector takes every write");
    }
    let whole = folder.write("part.pcap", writer.finish().expect("a vector takes every write"));
    let whole = run(text(&whole), None);
    whole.assert_clean();
    assert_eq!(damaged.status.code(), Some(1), "{what}:\n{}", damaged.stderr);
    damaged.assert_balanced();
    assert_eq!(damaged.ledger("offered"), kept as u64, "{what}:\n{}", damaged.stderr);
    damaged.conversations().assert_equal(&whole.conversations(), what);
    assert_eq!(damaged.json, system_tests::kflow_json(&damaged.kflow()), "{what}");
    let complaint = complaint(damaged);
    assert!(complaint.contains("read the capture file") && complaint.contains("byte"), "{what}: {complaint}");
}

/// The error line.
fn complaint(outcome: &Outcome) -> &str {
    let line = outcome.stderr.lines().find(|line| line.starts_with("sensor: "));
    line.unwrap_or_else(|| panic!("no complaint:\n{}", outcome.stderr))
}

#[test]
fn file_that_is_cut_anywhere_gives_the_records_of_what_is_left() {
    let folder = Folder::create();
    for format in [Format::Pcap, Format::Pcapng] {
        let options = Options { mix: Mix::Tcp, seed: 9, conversations: 20 };
        let (bytes, _) = capture_bytes(options, format, ByteOrder::Little);
        let frames = pcap::read(&bytes).expect("the generator writes captures");
        let ends = frame_ends(format, &bytes);
        assert_eq!(ends.len(), frames.len());
        for cut in (ends[3]..bytes.len()).step_by(bytes.len() / 25) {
            let kept = ends.iter().filter(|end| **end <= cut).count();
            if ends.contains(&cut) {
                continue;
            }
            let file = folder.write("cut", &bytes[..cut]);
            let what = format!("{} cut at byte {cut}", format.name());
            assert_like_whole_part(&run(text(&file), None), &frames, kept, &what);
        }
    }
}

#[test]
fn file_with_an_impossible_length_gives_the_records_before_it() {
    let folder = Folder::create();
    for (format, length_at) in [(Format::Pcap, 8), (Format::Pcapng, 4)] {
        let options = Options { mix: Mix::Udp, seed: 9, conversations: 40 };
        let (mut bytes, _) = capture_bytes(options, format, ByteOrder::Little);
        let frames = pcap::read(&bytes).expect("the generator writes captures");
        let ends = frame_ends(format, &bytes);
        let kept = ends.len() / 2;
        let at = ends[kept - 1] + length_at;
        bytes[at..at + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let file = folder.write("damaged", &bytes);
        assert_like_whole_part(&run(text(&file), None), &frames, kept, format.name());
    }
}

#[test]
fn compressed_file_that_is_cut_is_an_error_after_what_could_be_read() {
    let folder = Folder::create();
    let options = Options { mix: Mix::Tcp, seed: 9, conversations: 400 };
    let (bytes, _) = capture_bytes(options, Format::Pcap, ByteOrder::Little);
    let plain = folder.write("tcp.pcap", &bytes);
    for file in compressions(&plain).split_off(1) {
        let compressed = fs::read(&file).expect("it was just written");
        fs::write(&file, &compressed[..compressed.len() * 3 / 4]).expect("a file of the test");
        let outcome = run(text(&file), None);
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
        outcome.assert_balanced();
        assert!(outcome.ledger("offered") > 0, "{}: nothing was read\n{}", file.display(), outcome.stderr);
        assert!(complaint(&outcome).contains("read the capture file"), "{}", outcome.stderr);
    }
}

/// Offsets behind each frame's record or block. Both kinds are little-endian here.
fn frame_ends(format: Format, bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| {
        let word = bytes[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(word) as usize
    };
    let mut ends = Vec::new();
    let mut at = if format == Format::Pcap { 24 } else { 0 };
    while at < bytes.len() {
        if format == Format::Pcap {
            at += 16 + word(at + 8);
            ends.push(at);
            continue;
        }
        // Enhanced Packet Block.
        let is_frame = word(at) == 6;
        at += word(at + 4);
        if is_frame {
            ends.push(at);
        }
    }
    ends
}

/// Captures of our own generator with the records that they gave when they were added. Records only grow at the end: an
/// earlier golden record is how the line of today begins, between which transactions may have lines of their own. A
/// record that is to look different in future is a new golden file, made by
/// `sensor run --pcap tests/golden/NAME.pcap --json tests/golden/NAME.3.jsonl`.
#[test]
fn golden_captures_give_golden_records_to_the_byte() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let [mut compared, mut begun] = [0, 0];
    for entry in fs::read_dir(&golden).expect("the folder of golden files") {
        let capture = entry.expect("an entry").path();
        if capture.extension().is_none_or(|ending| ending != "pcap") {
            continue;
        }
        let outcome = run(text(&capture), None);
        outcome.assert_clean();
        let golden = |ending| fs::read_to_string(capture.with_extension(ending)).ok();
        let expected = golden("3.jsonl").or_else(|| golden("2.jsonl")).expect("records beside the capture");
        assert_eq!(outcome.json, expected, "{}", capture.display());
        compared += 1;
        let flows = || outcome.json.lines().filter(|line| !line.contains("\"end_reason\":\"transaction\""));
        for ending in ["jsonl", "2.jsonl"] {
            let Some(earlier) = golden(ending) else { continue };
            assert_eq!(earlier.lines().count(), flows().count(), "{}", capture.display());
            for (earlier, line) in earlier.lines().zip(flows()) {
                let beginning = earlier.strip_suffix('}').expect("a line is an object");
                assert!(line.starts_with(beginning), "{}:\n{earlier}\n{line}", capture.display());
            }
            begun += 1;
        }
    }
    assert!(compared >= 12 && begun >= 18, "{compared} golden captures, {begun} of them from before");
}
