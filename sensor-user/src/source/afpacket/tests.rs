//! Blocks built in memory, and captures on a veth pair between two namespaces of the test's own.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;

use super::block::{Cursor, walk};
use super::*;
use crate::clock::Clock;

/// Its type and its value.
type Tag = (u16, u16);

/// A block as the kernel lays it out, one entry per frame: bytes, and the tag that was taken out of it.
fn block_of(frames: &[(&[u8], Option<Tag>)]) -> Vec<u8> {
    let mut block = vec![0; 48];
    block[12..16].copy_from_slice(&(frames.len() as u32).to_ne_bytes());
    block[16..20].copy_from_slice(&48u32.to_ne_bytes());
    for (bytes, tag) in frames {
        let next = (86 + bytes.len()).next_multiple_of(16) as u32;
        let status =
            if tag.is_some() { libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID } else { 0 };
        let (tag_type, tag) = tag.unwrap_or((0, 0));
        let length = bytes.len() as u32;
        let mut frame = Vec::new();
        for word in [next, 7, 9, length, length + 100, status | 1] {
            frame.extend(word.to_ne_bytes());
        }
        frame.extend(86u16.to_ne_bytes());
        frame.extend(100u16.to_ne_bytes());
        frame.extend(0u32.to_ne_bytes());
        frame.extend(u32::from(tag).to_ne_bytes());
        frame.extend(tag_type.to_ne_bytes());
        frame.resize(86, 0xee);
        frame.extend(*bytes);
        frame.resize(next as usize, 0xee);
        block.extend(frame);
    }
    block
}

/// Everything in a block: captured bytes, length on the wire, time.
fn frames_in(block: &mut [u8]) -> Vec<(Vec<u8>, u32, u64)> {
    let mut cursor = Cursor::start(block);
    let mut found = Vec::new();
    while !cursor.is_at_end() {
        let mut slots = [Frame::EMPTY; BURST_FRAMES_MAX];
        let count = walk(block, &mut cursor, &mut slots).expect("the block is well-formed");
        found.extend(slots[..count].iter().map(|f| (f.bytes.to_vec(), f.wire_bytes, f.time.0)));
    }
    found
}

#[test]
fn a_block_of_many_bursts_is_lent_in_order() {
    let bytes: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; 14 + usize::from(n)]).collect();
    let frames: Vec<_> = bytes.iter().map(|bytes| (&bytes[..], None)).collect();
    let found = frames_in(&mut block_of(&frames));
    let expected: Vec<_> = bytes
        .into_iter()
        .map(|b| {
            let wire = b.len() as u32 + 100;
            (b, wire, 7_000_000_009)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_tag_that_was_taken_out_is_put_back() {
    let untagged = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00, 0x45];
    let mut block = block_of(&[(&untagged, Some((0x88a8, 0x2064))), (&untagged, None)]);
    let found = frames_in(&mut block);
    let tagged = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xa8, 0x20, 0x64, 0x08, 0x00, 0x45];
    assert_eq!(found[0], (tagged.to_vec(), 119, 7_000_000_009));
    assert_eq!(found[1], (untagged.to_vec(), 115, 7_000_000_009));
}

#[test]
fn an_empty_block_is_at_its_end() {
    assert!(frames_in(&mut block_of(&[])).is_empty());
}

proptest! {
    #[test]
    fn any_block_is_walked_without_panic(mut block in prop::collection::vec(any::<u8>(), 0..2000), frames in 0..200u32) {
        if block.len() >= 20 {
            block[12..16].copy_from_slice(&frames.to_ne_bytes());
            block[17..20].fill(0);
        }
        let mut cursor = Cursor::start(&block);
        for _ in 0..4 {
            let mut slots = [Frame::EMPTY; BURST_FRAMES_MAX];
            if walk(&mut block, &mut cursor, &mut slots).is_none() {
                break;
            }
        }
    }
}

/// Two namespaces and a veth pair, `left` in one and `right` in the other; gone when dropped.
struct Wire {
    left: String,
    right: String,
}

impl Wire {
    /// `None`, and a word on stderr, without the privilege to make namespaces.
    fn new(test: &str) -> Option<Wire> {
        let name = |side| format!("afp{}-{test}-{side}", std::process::id());
        let wire = Wire { left: name("l"), right: name("r") };
        if !ip(&format!("netns add {}", wire.left)) {
            eprintln!("skipped: this test needs root and network namespaces");
            return None;
        }
        assert!(ip(&format!("netns add {}", wire.right)));
        let (left, right) = (&wire.left, &wire.right);
        assert!(ip(&format!("-n {left} link add left type veth peer name right netns {right}")));
        for (namespace, interface) in [(left, "left"), (right, "right")] {
            assert!(ip(&format!("-n {namespace} link set {interface} addrgenmode none")));
            assert!(ip(&format!("-n {namespace} link set {interface} up")));
        }
        Some(wire)
    }

    /// Runs on a thread inside one of the namespaces.
    fn within<T: Send>(&self, namespace: &str, run: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/var/run/netns/{namespace}")).expect("the namespace was made");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                ring::enter_namespace(&file);
                run()
            });
            thread.join().expect("the closure does not panic")
        })
    }

    fn capture(&self, config: &AfPacketConfig) -> Result<AfPacketSource, AfPacketError> {
        self.within(&self.right, || AfPacketSource::open(config))
    }

    /// Senders on both ends.
    fn senders(&self) -> (File, File) {
        let left = self.within(&self.left, || ring::sender("left"));
        let right = self.within(&self.right, || ring::sender("right"));
        (left, right)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.left));
        ip(&format!("netns del {}", self.right));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
}

/// An Ethernet frame with IPv4 and UDP.
fn udp(from: (u8, u16), to: (u8, u16), payload_bytes: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to.0, 2, 0, 0, 0, 0, from.0, 0x08, 0x00];
    frame.extend([0x45, 0]);
    frame.extend((28 + payload_bytes as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
    frame.extend([from.1, to.1, 8 + payload_bytes as u16, 0].iter().flat_map(|word| word.to_be_bytes()));
    frame.resize(42 + payload_bytes, 0xaa);
    frame
}

/// Receives until `frames` were lent and dropped, five seconds at most.
fn receive_until(source: &mut AfPacketSource, frames: u64) -> Vec<Vec<u8>> {
    let mut lent = Vec::new();
    let clock = Clock::start();
    let deadline = clock.now().plus(Duration::from_secs(5));
    while (lent.len() as u64) + source.statistics().expect("the socket is open").drops < frames
        && clock.now() < deadline
    {
        source.wait(Duration::from_millis(20));
        source
            .receive(Moment(0), |frames| lent.extend(frames.iter().map(|frame| frame.bytes.to_vec())))
            .expect("the interface exists");
    }
    lent
}

#[test]
fn every_frame_of_both_directions_is_lent_unchanged() {
    let Some(wire) = Wire::new("all") else { return };
    let mut source = wire.capture(&AfPacketConfig::new("right")).expect("the interface exists");
    let (mut left, mut right) = wire.senders();
    let mut sent = Vec::new();
    for n in 0..5000u16 {
        let sender = if n % 2 == 0 { &mut left } else { &mut right };
        let frame = udp((1, n), (2, 53), usize::from(n) % 1400);
        sender.write_all(&frame).expect("the wire is up");
        sent.push(frame);
    }
    let lent = receive_until(&mut source, 5000);
    let statistics = source.statistics().expect("the socket is open");
    assert_eq!(statistics, AfPacketStatistics { packets: 5000, drops: 0, freezes: 0 });
    assert!(lent == sent, "{} frames lent", lent.len());
}

#[test]
fn what_does_not_fit_the_ring_is_counted_as_dropped() {
    let Some(wire) = Wire::new("drop") else { return };
    let config = AfPacketConfig { block_bytes: 65_536, block_count: 2, ..AfPacketConfig::new("right") };
    let mut source = wire.capture(&config).expect("the interface exists");
    let (mut left, _right) = wire.senders();
    for n in 0..5000 {
        left.write_all(&udp((1, n), (2, 53), 1000)).expect("the wire is up");
    }
    let lent = receive_until(&mut source, 5000).len() as u64;
    let statistics = source.statistics().expect("the socket is open");
    assert_eq!(statistics.packets, 5000);
    assert_eq!(lent + statistics.drops, 5000);
    assert!(statistics.drops > 0 && lent > 0, "{statistics:?}");
}

#[test]
fn a_conversation_stays_with_one_member_of_the_group() {
    let Some(wire) = Wire::new("fan") else { return };
    let fanout = Some(Fanout { group: 7, members: 2 });
    let config = AfPacketConfig { fanout, ..AfPacketConfig::new("right") };
    let mut members = [wire.capture(&config).expect("first"), wire.capture(&config).expect("second")];
    assert!(matches!(wire.capture(&config), Err(AfPacketError::Fanout { group: 7, .. })));
    let (mut left, mut right) = wire.senders();
    for port in 0..500 {
        left.write_all(&udp((1, 1000 + port), (2, 53), 20)).expect("the wire is up");
        right.write_all(&udp((2, 53), (1, 1000 + port), 20)).expect("the wire is up");
    }
    let mut ports = [[0u8; 500]; 2];
    for (member, ports) in members.iter_mut().zip(&mut ports) {
        let packets = member.statistics().expect("the socket is open").packets;
        for frame in receive_until(member, packets) {
            let at = if frame[34..36] == 53u16.to_be_bytes() { 36 } else { 34 };
            ports[usize::from(u16::from_be_bytes([frame[at], frame[at + 1]])) - 1000] += 1;
        }
    }
    for (port, (first, second)) in ports[0].iter().zip(&ports[1]).enumerate() {
        assert!(matches!((first, second), (2, 0) | (0, 2)), "port {port}: {first} and {second}");
    }
    assert!(ports.iter().all(|ports| ports.iter().filter(|count| **count > 0).count() > 100));
}

#[test]
fn a_vlan_tag_is_seen_where_it_was() {
    let Some(wire) = Wire::new("vlan") else { return };
    let mut source = wire.capture(&AfPacketConfig::new("right")).expect("the interface exists");
    let (mut left, _right) = wire.senders();
    let mut frame = udp((1, 1), (2, 2), 100);
    frame.splice(12..12, [0x81, 0x00, 0x60, 0x2a]);
    left.write_all(&frame).expect("the wire is up");
    assert_eq!(receive_until(&mut source, 1), [frame]);
}

#[test]
fn frames_are_cut_to_the_length_asked_for() {
    let Some(wire) = Wire::new("cut") else { return };
    let config = AfPacketConfig { frame_bytes_max: 64, ..AfPacketConfig::new("right") };
    let mut source = wire.capture(&config).expect("the interface exists");
    let (mut left, _right) = wire.senders();
    let frame = udp((1, 1), (2, 2), 1000);
    left.write_all(&frame).expect("the wire is up");
    source.wait(Duration::from_secs(5));
    let received = source.receive(Moment(0), |frames| {
        assert_eq!((frames[0].bytes, frames[0].wire_bytes), (&frame[..64], 1042));
    });
    assert_eq!(received.expect("the interface exists"), Received::Frames(1));
}

#[test]
fn an_interface_may_go_down_but_not_away() {
    let Some(wire) = Wire::new("gone") else { return };
    let mut source = wire.capture(&AfPacketConfig::new("right")).expect("the interface exists");
    let (right, step) = (&wire.right, Duration::from_millis(10));
    assert!(ip(&format!("-n {right} link set right down")));
    source.wait(step);
    source.wait(step);
    assert!((0..5000).all(|_| matches!(source.receive(Moment(0), |_| ()), Ok(Received::Nothing))));
    assert!(ip(&format!("-n {right} link set right up")));
    let (mut left, _right) = wire.senders();
    left.write_all(&udp((1, 1), (2, 2), 10)).expect("the wire is up");
    assert_eq!(receive_until(&mut source, 1).len(), 1);
    assert!(ip(&format!("-n {right} link del right")));
    let gone = |result| matches!(result, Err(SourceError::InterfaceGone));
    assert!((0..5000).any(|_| gone(source.receive(Moment(0), |_| ()))));
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let Some(wire) = Wire::new("none") else { return };
    let error = wire.capture(&AfPacketConfig::new("eth17")).expect_err("there is no such interface");
    assert_eq!(error.to_string(), "there is no interface \"eth17\"");
    let odd = AfPacketConfig { block_bytes: 5000, ..AfPacketConfig::new("right") };
    let error = wire.capture(&odd).expect_err("a block is a multiple of the page size");
    assert_eq!(error.to_string(), "the kernel refuses a ring of 64 blocks of 5000 bytes");
}
