//! The flow table alone: packets are decoded before the clock starts.

use crate::{
    clean::Track,
    frames::START,
    meter::Work,
    whole::{HASH_KEY, table_config},
};
use kflow::FlowRecord;
use sensor_user::{
    clock::Moment,
    flow::{Amount, FlowTable, Observation},
    packet::{self, Packet, TcpHeader},
    source::{BURST_FRAMES_MAX, Frame},
};
use std::hint::black_box;

/// As many as the datapath looks at.
const FLOWS_EXPIRED_PER_BURST: usize = 4 * BURST_FRAMES_MAX;

/// Whether segments of TCP are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpAnalysis {
    On,
    Off,
}

pub struct Table {
    track: Track,
    table: FlowTable,
    tcp: TcpAnalysis,
    /// Of every frame; all belong to flows.
    packets: Vec<(Packet, u64)>,
    now: Moment,
}

impl Table {
    pub fn new(track: Track, capacity: usize, tcp: TcpAnalysis) -> Table {
        let packets = vec![(Packet::EMPTY, 0); track.packets()];
        Table { track, table: FlowTable::new(table_config(capacity)), tcp, packets, now: START }
    }
}

impl Work for Table {
    fn packets(&self) -> usize {
        self.packets.len()
    }

    fn prepare(&mut self) {
        self.track.next_lap();
        let circuit = self.track.circuit();
        for (index, (packet, hash)) in self.packets.iter_mut().enumerate() {
            packet::decode_into(&circuit.frames.frame(index, self.now), packet).expect("clean traffic is IP");
            *hash = packet.key.hash(HASH_KEY);
            if self.tcp == TcpAnalysis::Off {
                packet.tcp = TcpHeader::default();
            }
        }
    }

    fn pass(&mut self) {
        let Table { track, table, packets, now, .. } = self;
        let mut bursts = packets.chunks(BURST_FRAMES_MAX);
        track.circuit().frames.lend(now, |frames| {
            update_burst(table, frames, bursts.next().expect("there is a packet for every frame"));
        });
    }
}

#[inline(always)]
fn update_burst(table: &mut FlowTable, frames: &[Frame<'_>], packets: &[(Packet, u64)]) {
    for (frame, (_, hash)) in frames.iter().zip(packets) {
        // For the options of TCP.
        packet::prefetch(frame);
        table.prefetch_index(*hash);
    }
    for (_, hash) in packets {
        table.prefetch_flow(*hash);
    }
    let mut emit = |record: FlowRecord| {
        black_box(&record);
    };
    let mut now = START;
    for (frame, (packet, hash)) in frames.iter().zip(packets) {
        now = frame.time;
        let amount = Amount::one(packet, frame);
        table.observe(&Observation { packet, hash: *hash, frame, amount, time: now }, &mut emit);
    }
    table.expire(now, FLOWS_EXPIRED_PER_BURST, &mut emit);
}
