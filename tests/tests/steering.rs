//! Which worker a frame reaches, on a cable with two queues: fragments that of their conversation, and flows behind
//! MPLS labels and PPPoE sessions both, filtered and sampled on the way. Needs root.
//!
//! What the program says of single frames is tested where it can be asked, in `sensor-user/tests/program`.

use netns::VethOptions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use system_tests::{Folder, Metrics, Outcome, Sensor, Wire, needs_root};
use traffic::frame::ip::{Ip, Packet};
use traffic::frame::transport::{Transport, Udp};
use traffic::frame::{Ethernet, ether_type};

const TWO_QUEUES: VethOptions = VethOptions { queues: 2, mtu: 1500 };
const TWO_WORKERS: [&str; 6] = ["--source", "xdp", "--frames", "4096", "--workers", "2"];
const FLOWS: u16 = 200;
const WANTED_PORT: u16 = 53;

const V4: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))];
const V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 7)),
];

fn sensor<'a>(wire: &'a Wire, arguments: &[&str]) -> Sensor<'a> {
    Sensor::capture(wire, &[&TWO_WORKERS, arguments].concat())
}

fn per_worker(metrics: &Metrics) -> [u64; 2] {
    ["0", "1"].map(|worker| {
        let series = format!("sensor_worker_frames_total{{worker=\"{worker}\"}}");
        metrics.value(&series).unwrap_or_else(|| panic!("no {series}")) as u64
    })
}

fn udp(ports: [u16; 2]) -> Transport {
    Transport::Udp(Udp { source_port: ports[0], destination_port: ports[1] })
}

/// A datagram there and one back, each in five fragments, and a whole one.
fn conversation([source, destination]: [IpAddr; 2], port: u16) -> Vec<Vec<u8>> {
    let number = u32::from(port);
    let there = Ip::between(source, destination);
    let mut packets = there.fragments(&udp([port, WANTED_PORT]), &[0x5a; 2000], 400, number);
    packets.push(there.packet(&udp([port, WANTED_PORT]), b"whole"));
    packets.extend(there.reversed().fragments(&udp([WANTED_PORT, port]), &[0xa5; 2000], 400, number));
    packets.iter().map(|packet| Ethernet::default().carry(packet)).collect()
}

#[test]
fn fragments_of_a_conversation_reach_the_worker_of_its_whole_packets() {
    if !needs_root("fragments on two queues") {
        return;
    }
    let wire = Wire::lay(TWO_QUEUES);
    let sensor = sensor(&wire, &[]);
    let (mut before, mut conversations_of) = ([0, 0], [0, 0]);
    for port in 4000..4010 {
        for addresses in [V4, V6] {
            let frames = conversation(addresses, port);
            let sent = wire.send(&frames);
            sensor.wait_for_offered(before[0] + before[1] + sent);
            let after = per_worker(&sensor.metrics());
            let rose = [after[0] - before[0], after[1] - before[1]];
            assert!(rose == [sent, 0] || rose == [0, sent], "port {port} of {addresses:?}: {rose:?}");
            conversations_of[usize::from(rose[0] == 0)] += 1;
            before = after;
        }
    }
    assert!(conversations_of.iter().all(|conversations| *conversations > 0), "{conversations_of:?}");
    let outcome = sensor.stop();
    outcome.assert_balanced();
    assert_eq!(outcome.ledger("dropped"), 0, "{}", outcome.stderr);
}

fn behind_two_labels(packet: &Packet) -> Vec<u8> {
    let labels = [0, 1, 0, 64, 0, 2, 1, 64];
    Ethernet::default().frame(0x8847, &[&labels, &packet.bytes[..]].concat())
}

fn in_session(packet: &Packet) -> Vec<u8> {
    let length = (packet.bytes.len() as u16 + 2).to_be_bytes();
    let protocol = if packet.ether_type == ether_type::IPV4 { 0x21 } else { 0x57 };
    let header = [0x11, 0, 0, 7, length[0], length[1], 0, protocol];
    Ethernet::default().frame(0x8864, &[&header, &packet.bytes[..]].concat())
}

/// One packet of each of [`FLOWS`] flows in each way to carry it; every other flow is to [`WANTED_PORT`].
fn carried_flows() -> Vec<Vec<u8>> {
    let packets = (0..FLOWS).map(|flow| {
        let [source, destination] = if flow % 4 < 2 { V4 } else { V6 };
        let port = WANTED_PORT + flow % 2;
        Ip::between(source, destination).packet(&udp([2000 + flow, port]), b"payload")
    });
    packets.flat_map(|packet| [behind_two_labels(&packet), in_session(&packet)]).collect()
}

fn run_carried(arguments: &[&str]) -> (Outcome, [u64; 2]) {
    let wire = Wire::lay(TWO_QUEUES);
    let sensor = sensor(&wire, arguments);
    let sent = wire.send(&carried_flows());
    assert_eq!(sent, 2 * u64::from(FLOWS));
    sensor.wait_for_offered(sent);
    let workers = per_worker(&sensor.metrics());
    let outcome = sensor.stop();
    outcome.assert_balanced();
    assert_eq!(outcome.ledger("offered"), sent, "{}", outcome.stderr);
    (outcome, workers)
}

#[test]
fn flows_behind_labels_and_in_sessions_are_spread_over_the_workers() {
    if !needs_root("MPLS and PPPoE") {
        return;
    }
    let (outcome, workers) = run_carried(&[]);
    assert!(workers.iter().all(|frames| *frames > u64::from(FLOWS) / 2), "{workers:?}");
    assert_eq!(outcome.ledger("dropped"), 0, "{}", outcome.stderr);
}

#[test]
fn flows_behind_labels_and_in_sessions_are_filtered_in_the_kernel() {
    if !needs_root("MPLS and PPPoE") {
        return;
    }
    let folder = Folder::create();
    let config = folder.write("filter.toml", format!("[filter]\ninclude_ports = [{WANTED_PORT}]\n"));
    let (outcome, workers) = run_carried(&["--config", config.to_str().expect("a plain path")]);
    assert_eq!(outcome.dropped_by("kernel.filtered"), u64::from(FLOWS), "{}", outcome.stderr);
    assert_eq!(workers.iter().sum::<u64>(), u64::from(FLOWS));
}

#[test]
fn flows_behind_labels_and_in_sessions_are_sampled_in_the_kernel() {
    if !needs_root("MPLS and PPPoE") {
        return;
    }
    let (outcome, workers) = run_carried(&["--sample-rate", "4"]);
    let sampled_out = outcome.dropped_by("kernel.sampled_out");
    // Both ways to carry a flow are kept, or none.
    assert_eq!(sampled_out % 2, 0, "{}", outcome.stderr);
    assert_eq!(sampled_out + workers.iter().sum::<u64>(), 2 * u64::from(FLOWS));
    assert!((100..190).contains(&(sampled_out / 2)), "{sampled_out} frames of 200 flows left out at 1 in 4");
}
