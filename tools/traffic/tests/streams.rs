//! The flows that benchmarks run on: valid, clean, in the shares that they promise, also after they were renewed.

mod dissect;
mod inspect;

use std::collections::BTreeMap;

use dissect::Tshark;
use inspect::inspect;
use traffic::mix::stream::{StreamFrame, StreamOptions, Streams, hostile};

const OPTIONS: StreamOptions = StreamOptions { flows: 120, frames: 12_000, seed: 7 };

/// Two passes over the same frames.
fn passes() -> Vec<StreamFrame> {
    let mut streams = Streams::new(OPTIONS);
    let mut frames: Vec<_> = streams.by_ref().collect();
    let lap = streams.into_lap();
    let mut renewed = frames.clone();
    for frame in &mut renewed {
        lap.renew(frame.flow, &mut frame.bytes);
    }
    frames.append(&mut renewed);
    frames
}

#[test]
fn every_frame_of_both_passes_is_valid_and_of_its_flow() {
    let mut keys = BTreeMap::new();
    for frame in passes() {
        let seen = inspect(&frame.bytes).unwrap().expect("all of it is IP");
        let mut ends = [(seen.source, seen.source_port), (seen.destination, seen.destination_port)];
        ends.sort();
        let key = (ends, seen.protocol);
        assert_eq!(*keys.entry(frame.flow).or_insert(key), key, "flow {}", frame.flow);
    }
    assert_eq!(keys.len(), OPTIONS.flows as usize);
    let of_protocol = |number| keys.values().filter(|(_, protocol)| *protocol == number).count();
    assert_eq!((of_protocol(6), of_protocol(17), of_protocol(1) + of_protocol(58)), (84, 30, 6));
}

#[test]
fn flows_have_equal_shares_and_sizes_are_about_those_of_the_internet() {
    let frames: Vec<_> = Streams::new(OPTIONS).collect();
    assert_eq!(frames.len(), OPTIONS.frames);
    let mut shares = BTreeMap::<u32, u32>::new();
    for frame in &frames {
        *shares.entry(frame.flow).or_default() += 1;
    }
    assert!(shares.values().all(|share| *share == 100));
    let share = |low, high| frames.iter().filter(|frame| (low..high).contains(&frame.bytes.len())).count();
    let (small, middle, large) = (share(60, 110), share(550, 650), share(1_430, 1_514));
    assert_eq!(small + middle + large, frames.len());
    assert!((6_800..7_200).contains(&small), "{small}");
    assert!((3_800..4_200).contains(&middle), "{middle}");
    assert!((850..1_150).contains(&large), "{large}");
}

#[test]
fn the_same_seed_gives_the_same_frames_of_benchmarks() {
    let frames: Vec<_> = Streams::new(OPTIONS).take(1_000).collect();
    assert_eq!(frames, Streams::new(OPTIONS).take(1_000).collect::<Vec<_>>());
    let hostile_frames: Vec<_> = hostile(3).take(5_000).collect();
    assert_eq!(hostile_frames, hostile(3).take(5_000).collect::<Vec<_>>());
    assert_eq!(hostile_frames.len(), 5_000);
}

#[test]
fn tshark_finds_nothing_lost_and_nothing_repeated_over_two_passes() {
    let Some(tshark) = Tshark::find() else { return };
    let frames = passes();
    let fields = [
        "tcp.analysis.flags",
        "tcp.checksum.status",
        "tcp.analysis.ack_rtt",
        "tcp.options.timestamp.tsval",
        "tcp.dstport",
    ];
    let timed = frames.iter().zip(0..).map(|(frame, number)| (number * 1_000, &frame.bytes[..]));
    let rows = tshark.fields(timed, &fields);
    let tcp: Vec<_> = rows.iter().filter(|row| !row[4].is_empty()).collect();
    assert!(tcp.len() > OPTIONS.frames, "{}", tcp.len());
    for row in &tcp {
        assert_eq!((&row[0][..], &row[1][..]), ("", "1"), "{row:?}");
        assert!(!row[3].is_empty(), "a time stamp: {row:?}");
    }
    let samples = tcp.iter().filter(|row| !row[2].is_empty()).count();
    assert!(samples > tcp.len() / 4, "{samples} round trips in {} segments", tcp.len());
}
