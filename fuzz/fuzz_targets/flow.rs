//! Whatever is observed by a tiny table comes out of it, in the right direction, and the counts add up.
//!
//! The input is described in `src/flow.rs`.
#![no_main]

use kflow::{DirectionCounters, FlowRecord};
use libfuzzer_sys::fuzz_target;
use sensor_user::{
    clock::Moment,
    flow::{Amount, FlowTable, Observation, TableConfig},
    packet::{self, Fragment, Side},
    source::{Frame, LinkType},
};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};
use wireflow_fuzz::{
    flow::{Packet, Setup, Step, mark},
    laws,
};

/// Packets, bytes and frame bytes by conversation and whether the low end sent them.
type Sums = BTreeMap<(Conversation, bool), [u64; 3]>;

/// Protocol and number.
type Conversation = (u8, u8);

const LOW: u32 = 0x0a00_0000;
const HIGH: u32 = 0x0b00_0000;
const LOW_PORT: u16 = 4000;
const HIGH_PORT: u16 = 80;
const IP_HEADER_BYTES: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let Some(setup) = Setup::read(&mut rest) else { return };
    let seconds = |timeout| Duration::from_secs(u64::from(timeout));
    let mut table = FlowTable::new(TableConfig {
        capacity: 1 + usize::from(setup.capacity),
        idle_timeout: seconds(setup.idle_timeout_s),
        active_timeout: seconds(setup.active_timeout_s),
        close_linger: seconds(setup.close_linger_s),
        embryonic_timeout: seconds(setup.embryonic_timeout_s),
        pressure: usize::from(setup.pressure),
        sample_rate: 1,
    });
    let (mut went_in, mut came_out) = (Sums::new(), Sums::new());
    let mut now = Moment(setup.start_ns);
    let mut emit = |record: FlowRecord| {
        laws::assert_possible(&record);
        add_record(&mut came_out, &record);
    };
    while let Some(step) = Step::read(&mut rest) {
        match step {
            Step::Packet(packet) => {
                let amounts = observe(&mut table, &packet, now, &mut emit);
                add(&mut went_in, (conversation(&packet), is_from_low(&packet)), amounts);
            }
            Step::Expire(flows_max) => table.expire(now, usize::from(flows_max), &mut emit),
            Step::Time(step) => now = step.from(now),
        }
        let counts = table.counts();
        assert_eq!(counts.flows_created, counts.flows_ended + table.len() as u64);
    }
    table.flush(&mut emit);
    assert_eq!(table.len(), 0);
    assert_eq!(came_out, went_in);
});

fn is_from_low(packet: &Packet<'_>) -> bool {
    packet.marks & mark::FROM_LOW != 0
}

fn conversation(packet: &Packet<'_>) -> Conversation {
    let protocol = if packet.marks & mark::UDP != 0 { UDP } else { TCP };
    (protocol, packet.conversation)
}

/// Has the table count a packet, by way of a frame; returns packets, bytes and frame bytes.
fn observe(
    table: &mut FlowTable,
    packet: &Packet<'_>,
    now: Moment,
    emit: &mut impl FnMut(FlowRecord),
) -> [u64; 3] {
    let bytes = headers(packet);
    let wire_bytes = bytes.len() as u32 + u32::from(packet.payload_bytes);
    let frame = Frame { bytes: &bytes, wire_bytes, time: now, link: LinkType::RAW, ..Frame::EMPTY };
    let is_fragment = packet.marks & mark::FRAGMENT != 0;
    let hash = match packet.marks & mark::CROWD {
        0 => u64::from(packet.conversation).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        _ => 7,
    };
    let packet = packet::decode(&frame).expect("the headers are right");
    assert_eq!(packet.sender == Side::Low, packet.key.end(packet.sender).1 == LOW_PORT);
    assert_eq!(packet.fragment == Fragment::First, is_fragment);
    let amount = Amount::one(&packet, &frame);
    table.observe(&Observation { packet: &packet, hash, frame: &frame, amount, time: now }, emit);
    [1, amount.bytes, u64::from(wire_bytes)]
}

/// The headers of an IPv4 packet whose payload was not captured.
fn headers(packet: &Packet<'_>) -> Vec<u8> {
    let (protocol, number) = conversation(packet);
    let transport = if protocol == UDP { udp_header(packet) } else { tcp_header(packet) };
    // A payload that IPv4 has no room for is padding of the link.
    let length = IP_HEADER_BYTES + transport.len() + usize::from(packet.payload_bytes);
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let more_fragments = if packet.marks & mark::FRAGMENT != 0 { 0x20 } else { 0 };
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x45, packet.window as u8, high, low, 0, 0, more_fragments, 0, 64, protocol, 0, 0];
    let mut ends = [LOW, HIGH].map(|end| (end + u32::from(number)).to_be_bytes());
    if !is_from_low(packet) {
        ends.reverse();
    }
    bytes.extend_from_slice(ends.as_flattened());
    bytes.extend_from_slice(&transport);
    bytes
}

fn ports(packet: &Packet<'_>) -> [[u8; 2]; 2] {
    let ports = if is_from_low(packet) { [LOW_PORT, HIGH_PORT] } else { [HIGH_PORT, LOW_PORT] };
    ports.map(u16::to_be_bytes)
}

fn udp_header(packet: &Packet<'_>) -> Vec<u8> {
    let length = packet.payload_bytes.saturating_add(8).to_be_bytes();
    [ports(packet).as_flattened(), &length, &[0, 0]].concat()
}

fn tcp_header(packet: &Packet<'_>) -> Vec<u8> {
    let mut header = ports(packet).as_flattened().to_vec();
    header.extend_from_slice(&packet.sequence.to_be_bytes());
    header.extend_from_slice(&packet.acknowledgement.to_be_bytes());
    let words = 5 + packet.options.len().div_ceil(4);
    header.extend_from_slice(&[(words as u8) << 4, packet.flags]);
    header.extend_from_slice(&packet.window.to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(packet.options);
    header.resize(words * 4, 0);
    header
}

fn add_record(sums: &mut Sums, record: &FlowRecord) {
    let IpAddr::V4(address) = record.source.address else { panic!("only IPv4 went in") };
    let conversation = (record.protocol, address.octets()[3]);
    let is_low_source = record.source.port == LOW_PORT;
    let amounts = |counters: &DirectionCounters| [counters.packets, counters.bytes, counters.frame_bytes];
    add(sums, (conversation, is_low_source), amounts(&record.forward));
    add(sums, (conversation, !is_low_source), amounts(&record.reverse));
}

fn add(sums: &mut Sums, key: (Conversation, bool), amounts: [u64; 3]) {
    if amounts == [0; 3] {
        return;
    }
    let sum = sums.entry(key).or_default();
    for (total, amount) in sum.iter_mut().zip(amounts) {
        *total += amount;
    }
}
