//! Frames on veth pairs in namespaces of their own: what is reported as sent is what arrives, to the frame.
//! Needs root; the tests of live frames also need the eBPF program inside this build.

mod inspect;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use netns::{Namespace, VethEnd, VethOptions, device_counters, is_root, veth_pair};
use traffic::blast::{Directions, Family, Options, Report, Size, blast};
use traffic::device::Counter;
use traffic::mix::{self, Mix, Traffic};
use traffic::pcap;
use traffic::send::{Limits, send};
use traffic::sink::{Received, Sink, Verdict};

use inspect::inspect;

struct Wire {
    near: Namespace,
    far: Namespace,
}

const NEAR: &str = "near0";
const FAR: &str = "far0";

impl Wire {
    /// `None`, with a reason on stderr, for those who may not make one.
    fn lay(options: VethOptions) -> Option<Wire> {
        if !is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let near = Namespace::create("traffic-near").unwrap();
        let far = Namespace::create("traffic-far").unwrap();
        veth_pair(&VethEnd::new(&near, NEAR), &VethEnd::new(&far, FAR), options).unwrap();
        Some(Wire { near, far })
    }

    fn sink(&self, verdict: Verdict) -> Option<Sink> {
        match self.far.enter(|| Sink::attach(FAR, verdict)).unwrap() {
            Ok(sink) => Some(sink),
            Err(error) if error.to_string().contains("without its eBPF program") => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn blast(&self, options: &Options) -> Report {
        self.near.enter(|| blast(options)).unwrap().unwrap()
    }
}

fn options() -> Options {
    Options {
        interface: NEAR.into(),
        size: Size::Bytes(64),
        flows: 1_000,
        duration: Duration::from_secs(20),
        count: Some(100_000),
        rate: None,
        cpu: None,
        family: Family::V4,
        directions: Directions::One,
    }
}

/// The receiver may run a moment after the sender has ended, in a softirq.
fn settled(sink: &Sink, frames: u64) -> Received {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let received = sink.received().unwrap();
        if received.frames >= frames || Instant::now() > deadline {
            return received;
        }
        std::thread::yield_now();
    }
}

#[test]
fn every_frame_of_a_mix_is_sent_once() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    let options = mix::Options { mix: Mix::All, seed: 4, conversations: 300 };
    let frames: Vec<_> = Traffic::new(options).map(|frame| frame.bytes).collect();
    let limits = Limits { count: frames.len() as u64, duration: Duration::from_secs(20), rate: None };
    let before = device_counters(&wire.far, FAR).unwrap();
    let report = wire.near.enter(|| send(NEAR, &frames, limits)).unwrap().unwrap();
    assert_eq!(report.sent, frames.len() as u64);
    assert_eq!(report.skipped, 0);
    assert_eq!(report.bytes, frames.iter().map(|frame| frame.len() as u64).sum::<u64>());
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let after = device_counters(&wire.far, FAR).unwrap();
        let received = after.received_packets - before.received_packets;
        if received == report.sent {
            assert_eq!(after.received_bytes - before.received_bytes, report.bytes);
            return;
        }
        assert!(received < report.sent && Instant::now() < deadline, "{received} of {} arrived", report.sent);
        std::thread::yield_now();
    }
}

#[test]
fn a_rate_is_kept_and_passes_repeat_until_the_count() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    let frames = [vec![0xff; 60], vec![0xff; 61]];
    let limits = Limits { count: 501, duration: Duration::from_secs(20), rate: Some(1_000) };
    let report = wire.near.enter(|| send(NEAR, &frames, limits)).unwrap().unwrap();
    assert_eq!((report.sent, report.bytes), (501, 251 * 60 + 250 * 61));
    assert!(report.seconds >= 0.5, "501 frames at 1000 per second took {} s", report.seconds);
}

#[test]
fn what_an_interface_cannot_carry_is_skipped_and_counted() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    let frames = [vec![0xff; 60], vec![0xff; 13], vec![0xff; 9_000], vec![0xff; 1_514]];
    let limits = Limits { count: 8, duration: Duration::from_secs(20), rate: None };
    let report = wire.near.enter(|| send(NEAR, &frames, limits)).unwrap().unwrap();
    assert_eq!((report.sent, report.skipped), (4, 4));
}

#[test]
fn live_frames_reported_as_sent_are_those_that_arrive() {
    for queues in [1, 2] {
        let Some(wire) = Wire::lay(VethOptions { queues, ..VethOptions::default() }) else { return };
        let Some(sink) = wire.sink(Verdict::Drop) else { return };
        check_conservation(&wire, &sink);
    }
}

fn check_conservation(wire: &Wire, sink: &Sink) {
    let mut received = Received::default();
    let runs = [
        options(),
        Options { flows: 1, count: Some(1), ..options() },
        Options { directions: Directions::Both, flows: 10_000, ..options() },
        Options { family: Family::V6, size: Size::Bytes(70), ..options() },
        Options { size: Size::Bytes(1_514), ..options() },
        Options { size: Size::Imix, flows: 10_000, ..options() },
        Options { count: None, duration: Duration::from_millis(200), ..options() },
        Options { rate: Some(200_000), count: Some(20_001), ..options() },
    ];
    for run in runs {
        let report = wire.blast(&run);
        assert_eq!(report.counter, Counter::XdpTransmit);
        assert_eq!(report.sent + report.refused, report.built);
        if let Some(count) = run.count {
            assert_eq!(report.built, count, "{run:?}");
        }
        let now = settled(sink, received.frames + report.sent);
        assert_eq!(now.frames - received.frames, report.sent, "{run:?}");
        assert_eq!(Some(now.bytes - received.bytes), report.bytes, "{run:?}");
        received = now;
    }
}

#[test]
fn frames_that_the_device_refuses_are_not_reported_as_sent() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    let Some(sink) = wire.sink(Verdict::Drop) else { return };
    let too_long = Options { size: Size::Bytes(3_000), count: Some(1_000), ..options() };
    let report = wire.blast(&too_long);
    assert_eq!((report.built, report.refused, report.sent), (1_000, 1_000, 0));
    assert_eq!(sink.received().unwrap(), Received::default());

    // Without an XDP program the peer has no ring to receive into.
    drop(sink);
    let report = wire.blast(&Options { count: Some(1_000), ..options() });
    assert_eq!((report.built, report.refused), (1_000, 1_000));
}

#[test]
fn imix_has_its_shares_whatever_the_number_of_flows() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    let Some(sink) = wire.sink(Verdict::Drop) else { return };
    let mut received = Received::default();
    for flows in [1, 7, 11, 12, 100] {
        for directions in [Directions::One, Directions::Both] {
            let both = if directions == Directions::Both { 2 } else { 1 };
            let count = u64::from(12 * flows * both) * 10;
            let run = Options { size: Size::Imix, flows, directions, count: Some(count), ..options() };
            let report = wire.blast(&run);
            let now = settled(&sink, received.frames + report.sent);
            assert_eq!((report.sent, now.frames - received.frames), (count, count));
            assert_eq!(now.bytes - received.bytes, count / 12 * (7 * 64 + 4 * 570 + 1_500), "{flows} flows");
            received = now;
        }
    }
}

#[test]
fn live_frames_are_valid_and_carry_every_flow_and_sequence_number() {
    let Some(wire) = Wire::lay(VethOptions::default()) else { return };
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: tcpdump is not installed");
        return;
    }
    let Some(_sink) = wire.sink(Verdict::Pass) else { return };
    let base = Options { flows: 300, rate: Some(20_000), count: Some(1_200), ..options() };
    let runs = [
        base.clone(),
        Options { directions: Directions::Both, ..base.clone() },
        Options { size: Size::Imix, directions: Directions::Both, ..base.clone() },
        Options { family: Family::V6, size: Size::Bytes(70), ..base.clone() },
        Options { family: Family::V6, size: Size::Imix, directions: Directions::Both, ..base },
    ];
    for run in runs {
        check_captured(&captured(&wire, &run), &run);
    }
}

/// The frames of a run as a packet socket of the far end sees them.
fn captured(wire: &Wire, run: &Options) -> Vec<Vec<u8>> {
    let path = env::temp_dir().join(format!("traffic-{}-live.pcap", std::process::id()));
    let count = run.count.unwrap();
    let mut command = wire.far.command("tcpdump");
    command.args(["-n", "-i", FAR, "-Q", "in", "-B", "8192", "-c", &count.to_string(), "-w"]).arg(&path);
    let mut tcpdump = netns::Child::spawn(command.stderr(Stdio::piped())).unwrap();
    let mut said = BufReader::new(tcpdump.process().stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "tcpdump ended before it listened");
    }
    let report = wire.blast(run);
    assert_eq!(report.sent, count);
    let ended = tcpdump.wait_for(Duration::from_secs(20)).unwrap();
    drop(tcpdump);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "tcpdump: {rest}");
    let file = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    pcap::read(&file).unwrap().into_iter().map(|frame| frame.bytes).collect()
}

fn check_captured(frames: &[Vec<u8>], run: &Options) {
    let mut flows = BTreeSet::new();
    for (index, frame) in frames.iter().enumerate() {
        let seen = inspect(frame).unwrap_or_else(|wrong| panic!("frame {index}: {wrong}: {frame:02x?}"));
        let seen = seen.expect("live frames are UDP packets");
        let sequence = u64::from_be_bytes(frame[seen.udp_data..seen.udp_data + 8].try_into().unwrap());
        assert_eq!(sequence, index as u64);
        let there = (seen.source, seen.source_port, seen.destination, seen.destination_port);
        let back = (seen.destination, seen.destination_port, seen.source, seen.source_port);
        let is_reply = run.directions == Directions::Both && index % 2 == 1;
        if is_reply {
            assert!(flows.contains(&back), "frame {index} answers nothing");
        } else {
            flows.insert(there);
        }
        if let Size::Bytes(bytes) = run.size {
            assert_eq!(frame.len(), bytes as usize);
        }
    }
    assert_eq!(flows.len(), run.flows as usize);
    let addresses: BTreeSet<_> = flows.iter().map(|flow| flow.0).collect();
    let ports: BTreeSet<_> = flows.iter().map(|flow| flow.1).collect();
    assert_eq!(addresses.len(), run.flows as usize);
    assert!(ports.len() > run.flows as usize * 9 / 10, "{} source ports", ports.len());
}
