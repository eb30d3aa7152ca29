//! The sensor's datapath, and its decoder alone.

use crate::{
    clean::Track,
    frames::{Frames, START},
    meter::Work,
};
use sensor_app::{Limits, Privacy};
use sensor_ebpf::hash::HashKey;
use sensor_user::{
    applications::{ApplicationParts, Applications},
    cells::WorkerCells,
    clock::Moment,
    config::{FragmentsConfig, TunnelCount},
    datapath::{Datapath, DatapathParts, Tunnels},
    export::{Lane, Outbox, WhenFull},
    flow::TableConfig,
    packet::{self, Packet, TunnelPorts, reassembly::ReassemblyConfig},
    source::{BURST_FRAMES_MAX, Frame},
};
use std::{hint::black_box, sync::Arc, time::Duration};

pub const HASH_KEY: HashKey = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };
/// As the config has them by default.
const EXPORT_BATCHES: usize = 64;
const EXPORT_BATCH_RECORDS: usize = 512;

/// No flow ends before the benchmark does.
pub fn table_config(capacity: usize) -> TableConfig {
    let timeout = Duration::from_secs(3600);
    TableConfig {
        capacity,
        idle_timeout: timeout,
        active_timeout: timeout,
        close_linger: timeout,
        embryonic_timeout: timeout,
        pressure: capacity,
        sample_rate: 1,
    }
}

/// As the config has it by default.
pub fn reassembly_config() -> ReassemblyConfig {
    let FragmentsConfig { datagrams, memory_bytes, timeout_s } = FragmentsConfig::default();
    ReassemblyConfig { datagrams, memory_bytes, timeout: Duration::from_secs(timeout_s) }
}

/// What becomes of payloads.
#[derive(Clone, Copy, Debug)]
pub enum Payloads {
    Inspected,
    LeftAlone,
}

impl Payloads {
    fn applications(self, capacity: usize) -> Applications {
        match self {
            Payloads::LeftAlone => Applications::Off,
            Payloads::Inspected => Applications::inline(ApplicationParts {
                limits: Limits { flows: capacity, ..Limits::default() },
                privacy: Privacy::default(),
                cells: Arc::default(),
            }),
        }
    }
}

/// As [`datapath_with`] by default.
pub fn datapath(capacity: usize, count: TunnelCount) -> Datapath {
    datapath_with(capacity, count, Payloads::Inspected)
}

/// All of its memory is there. Records stay in the buffers of the lane; once these are full, they are shed.
pub fn datapath_with(capacity: usize, count: TunnelCount, payloads: Payloads) -> Datapath {
    let cells = Arc::new(WorkerCells::default());
    let lane = Arc::new(Lane::new(EXPORT_BATCHES, EXPORT_BATCH_RECORDS));
    lane.touch();
    let mut datapath = Datapath::new(DatapathParts {
        table: table_config(capacity),
        hash_key: HASH_KEY,
        filter: None,
        reassembly: reassembly_config(),
        tunnels: Tunnels { count, ports: TunnelPorts::default() },
        cells: cells.clone(),
        applications: payloads.applications(capacity),
        outbox: Outbox::new(lane, WhenFull::Shed, cells.records_shed.clone()),
    });
    datapath.touch();
    datapath
}

/// What a worker does between receiving and recycling.
#[inline(always)]
pub fn work_off(datapath: &mut Datapath, frames: &Frames, now: &mut Moment) {
    frames.lend(now, |burst| {
        datapath.burst(burst);
        // The latest of its frames.
        let now = burst.last().map_or(START, |frame| frame.time);
        datapath.expire(now);
    });
}

/// Everything: frames in, flows counted.
pub struct Whole {
    track: Track,
    datapath: Datapath,
    now: Moment,
}

impl Whole {
    pub fn new(track: Track, capacity: usize, count: TunnelCount) -> Whole {
        Whole { track, datapath: datapath(capacity, count), now: START }
    }
}

impl Work for Whole {
    fn packets(&self) -> usize {
        self.track.packets()
    }

    fn prepare(&mut self) {
        self.track.next_lap();
    }

    fn pass(&mut self) {
        work_off(&mut self.datapath, &self.track.circuit().frames, &mut self.now);
    }
}

/// From frames to packets and their hashes.
pub struct Decode {
    track: Track,
    places: Vec<(Packet, u64)>,
    now: Moment,
}

impl Decode {
    pub fn new(track: Track) -> Decode {
        Decode { track, places: vec![(Packet::EMPTY, 0); BURST_FRAMES_MAX], now: START }
    }
}

impl Work for Decode {
    fn packets(&self) -> usize {
        self.track.packets()
    }

    fn prepare(&mut self) {
        self.track.next_lap();
    }

    fn pass(&mut self) {
        let Decode { track, places, now } = self;
        track.circuit().frames.lend(now, |burst| decode_burst(burst, places));
    }
}

#[inline(always)]
fn decode_burst(burst: &[Frame<'_>], places: &mut [(Packet, u64)]) {
    burst.iter().for_each(packet::prefetch);
    let mut count = 0;
    for frame in burst {
        let (packet, hash) = &mut places[count];
        if packet::decode_into(frame, packet).is_ok() {
            *hash = packet.key.hash(HASH_KEY);
            count += 1;
        }
    }
    black_box(&places[..count]);
}
