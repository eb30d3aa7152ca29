//! Whatever is observed by a tiny table comes out of it, in the right direction, and the counts add up.
#![no_main]

use kflow::{DirectionCounters, FlowRecord};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use sensor_user::{
    clock::Moment,
    flow::{Amount, FlowKey, FlowTable, Observation, TableConfig, key::Ends},
    packet::{Fragment, Packet, Side},
    source::Frame,
};
use std::{collections::BTreeMap, time::Duration};

#[derive(Arbitrary, Debug)]
struct Input {
    capacity: u8,
    pressure: u8,
    idle_timeout_s: u8,
    active_timeout_s: u8,
    close_linger_s: u8,
    embryonic_timeout_s: u8,
    start_ns: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Packet {
        conversation: u8,
        from_low: bool,
        tcp_flags: u8,
        fragment: bool,
        bytes: u16,
        crowd: bool,
    },
    Expire {
        flows_max: u8,
    },
    /// Of 2^n nanoseconds and a bit, in either direction.
    Time {
        shift: u8,
        extra: u8,
        backwards: bool,
    },
}

/// Packets, bytes and frame bytes by conversation and whether the low end sent them.
type Sums = BTreeMap<(u32, bool), [u64; 3]>;

const LOW: u32 = 0x0a00_0000;
const HIGH: u32 = 0x0b00_0000;
const LOW_PORT: u16 = 4000;

fuzz_target!(|input: Input| {
    let seconds = |timeout| Duration::from_secs(u64::from(timeout));
    let mut table = FlowTable::new(TableConfig {
        capacity: 1 + usize::from(input.capacity),
        idle_timeout: seconds(input.idle_timeout_s),
        active_timeout: seconds(input.active_timeout_s),
        close_linger: seconds(input.close_linger_s),
        embryonic_timeout: seconds(input.embryonic_timeout_s),
        pressure: usize::from(input.pressure),
        sample_rate: 1,
    });
    let (mut went_in, mut came_out) = (Sums::new(), Sums::new());
    let mut now = Moment(input.start_ns);
    let mut emit = |record: FlowRecord| add_record(&mut came_out, &record);
    for step in input.steps {
        match step {
            Step::Packet { conversation, from_low, tcp_flags, fragment, bytes, crowd } => {
                let packet = packet(u32::from(conversation), from_low, tcp_flags, fragment, bytes);
                let hash =
                    if crowd { 7 } else { u64::from(conversation).wrapping_mul(0x9e37_79b9_7f4a_7c15) };
                let frame_bytes = u32::from(bytes) + 14;
                let amounts = [1, u64::from(bytes), u64::from(frame_bytes)];
                add(&mut went_in, (u32::from(conversation), from_low), amounts);
                let frame = Frame { wire_bytes: frame_bytes, time: now, ..Frame::EMPTY };
                let amount = Amount::one(&packet, &frame);
                let observation = Observation { packet: &packet, hash, frame: &frame, amount, time: now };
                table.observe(&observation, &mut emit);
            }
            Step::Expire { flows_max } => table.expire(now, usize::from(flows_max), &mut emit),
            Step::Time { shift, extra, backwards } => {
                let difference = (1 << (shift % 50)) + u64::from(extra);
                now = Moment(match backwards {
                    true => now.0.saturating_sub(difference),
                    false => now.0.saturating_add(difference),
                });
            }
        }
        let counts = table.counts();
        assert_eq!(counts.flows_created, counts.flows_ended + table.len() as u64);
    }
    table.flush(&mut emit);
    assert_eq!(table.len(), 0);
    assert_eq!(came_out, went_in);
});

fn packet(conversation: u32, from_low: bool, tcp_flags: u8, fragment: bool, bytes: u16) -> Packet {
    let (low, high) = (LOW + conversation, HIGH + conversation);
    let (addresses, [source_port, destination_port]) =
        if from_low { ([low, high], [LOW_PORT, 80]) } else { ([high, low], [80, LOW_PORT]) };
    let (key, sender) = FlowKey::v4(addresses, Ends { source_port, destination_port, protocol: 6 });
    assert_eq!(sender == Side::Low, from_low);
    Packet {
        key,
        sender,
        network_bytes: u32::from(bytes),
        tcp_flags,
        fragment: if fragment { Fragment::First } else { Fragment::Whole },
        ..Packet::EMPTY
    }
}

fn add_record(sums: &mut Sums, record: &FlowRecord) {
    assert!(record.start_ns <= record.end_ns);
    assert!(record.forward.packets + record.reverse.packets > 0);
    let std::net::IpAddr::V4(address) = record.source.address else { panic!("only IPv4 went in") };
    let conversation = address.to_bits() & 0x00ff_ffff;
    let is_low_source = record.source.port == LOW_PORT;
    let amounts = |counters: &DirectionCounters| [counters.packets, counters.bytes, counters.frame_bytes];
    add(sums, (conversation, is_low_source), amounts(&record.forward));
    add(sums, (conversation, !is_low_source), amounts(&record.reverse));
}

fn add(sums: &mut Sums, key: (u32, bool), amounts: [u64; 3]) {
    if amounts == [0; 3] {
        return;
    }
    let sum = sums.entry(key).or_default();
    for (total, amount) in sum.iter_mut().zip(amounts) {
        *total += amount;
    }
}
