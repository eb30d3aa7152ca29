//! Any frames on any links lead to possible records that account for each of them.
//!
//! The whole way from frames to records, with tiny tables. The input is described in `src/packets.rs`.
#![no_main]

use kflow::{DirectionCounters, FlowRecord, codec::Encoder};
use libfuzzer_sys::fuzz_target;
use sensor_app::{Limits, Privacy};
use sensor_ebpf::hash::HashKey;
use sensor_user::{
    applications::{ApplicationParts, Applications},
    cells::WorkerCells,
    clock::Moment,
    config::TunnelCount,
    datapath::{Datapath, DatapathParts, Tunnels},
    export::{Lane, Outbox, WhenFull},
    filter::PacketFilter,
    flow::TableConfig,
    packet::{TunnelPorts, reassembly::ReassemblyConfig},
    source::{BURST_FRAMES_MAX, Frame},
};
use std::{sync::Arc, time::Duration};
use wireflow_fuzz::{
    laws,
    packets::{self, Setup, mark},
};

/// Buffers for all records that one burst, or the end, can make: the lane is drained behind each.
const LANE_BATCHES: usize = 16;
const BATCH_RECORDS: usize = 64;
/// Time may go backwards from here.
const START: Moment = Moment(1 << 60);

struct Run {
    datapath: Datapath,
    cells: Arc<WorkerCells>,
    lane: Arc<Lane>,
    encoder: Encoder,
    /// Of all records so far.
    sums: DirectionCounters,
}

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let Some(setup) = Setup::read(&mut rest) else { return };
    let mut run = Run::new(&setup);
    let mut burst = Vec::with_capacity(BURST_FRAMES_MAX);
    let mut now = START;
    while let Some(frame) = packets::Frame::read(&mut rest) {
        now = frame.time.from(now);
        burst.push(Frame {
            bytes: frame.bytes,
            wire_bytes: frame.bytes.len() as u32 + u32::from(frame.cut),
            time: now,
            link: frame.link,
            hash: None,
            screening: frame.screening(),
        });
        if burst.len() == BURST_FRAMES_MAX || frame.marks & (mark::BURST | mark::EXPIRE) != 0 {
            run.burst(&burst);
            burst.clear();
        }
        if frame.marks & mark::EXPIRE != 0 {
            run.expire();
        }
    }
    run.burst(&burst);
    run.finish(&setup);
});

impl Run {
    fn new(setup: &Setup) -> Run {
        let seconds = |timeout| Duration::from_secs(u64::from(timeout));
        let cells = Arc::new(WorkerCells::default());
        let lane = Arc::new(Lane::new(LANE_BATCHES, BATCH_RECORDS));
        let filter = setup.filter();
        let screens = !filter.is_empty() || setup.sample_rate() > 1;
        let datapath = Datapath::new(DatapathParts {
            table: TableConfig {
                capacity: setup.capacity(),
                idle_timeout: seconds(setup.idle_timeout_s),
                active_timeout: seconds(setup.active_timeout_s),
                close_linger: seconds(setup.close_linger_s),
                embryonic_timeout: Duration::from_secs(5),
                pressure: setup.capacity() / 2,
                sample_rate: setup.sample_rate(),
            },
            hash_key: HashKey { endpoint: 1, flow: 2 },
            filter: screens.then(|| PacketFilter::new(filter, setup.sample_rate())),
            reassembly: ReassemblyConfig {
                datagrams: setup.datagrams(),
                memory_bytes: setup.memory_bytes(),
                timeout: Duration::from_secs(30),
            },
            tunnels: Tunnels { count: setup.count(), ports: TunnelPorts::default() },
            cells: cells.clone(),
            applications: Applications::inline(ApplicationParts {
                limits: Limits {
                    flows: setup.capacity(),
                    parsers: 16,
                    drafts: 32,
                    buffers: 4,
                    ..Limits::default()
                },
                privacy: Privacy::default(),
                cells: Arc::default(),
            }),
            outbox: Outbox::new(lane.clone(), WhenFull::Shed, cells.records_shed.clone()),
        });
        Run { datapath, cells, lane, encoder: Encoder::new(), sums: DirectionCounters::default() }
    }

    fn burst(&mut self, frames: &[Frame<'_>]) {
        self.datapath.burst(frames);
        self.datapath.hand_over(self.datapath.latest());
        self.take_records();
    }

    fn expire(&mut self) {
        self.datapath.expire(self.datapath.latest());
        self.datapath.hand_over(self.datapath.latest());
        self.datapath.publish();
        self.take_records();
    }

    fn take_records(&mut self) {
        let Run { lane, encoder, sums, .. } = self;
        lane.drain(|records, _| {
            records.iter().for_each(laws::assert_possible);
            laws::assert_expressible(records, encoder);
            records.iter().for_each(|record| add(sums, record));
        });
    }

    fn finish(mut self, setup: &Setup) {
        self.datapath.finish(self.datapath.latest());
        self.take_records();
        let Run { cells, sums, .. } = self;
        let sum = |cells: &[sensor_user::cells::Cell]| cells.iter().map(|cell| cell.read()).sum::<u64>();
        let not_flow = sum(&cells.not_flow);
        assert_eq!(cells.records_shed.read(), 0);
        assert_eq!(cells.flows.read(), 0);
        assert_eq!(cells.frames.read(), cells.flow_packets.read() + not_flow);
        assert_eq!(cells.flow_packets.read() + cells.packets_beside.read(), sums.packets);
        match setup.count() {
            TunnelCount::Outer => assert_eq!(cells.inner_packets.read(), 0),
            TunnelCount::Inner => {}
            // The packet beside another came in the same frame.
            TunnelCount::Both => return assert!(sums.frame_bytes <= 2 * cells.frame_bytes.read()),
        }
        assert!(sums.frame_bytes <= cells.frame_bytes.read());
        if not_flow == 0 {
            assert_eq!(sums.frame_bytes, cells.frame_bytes.read());
        }
    }
}

fn add(sums: &mut DirectionCounters, record: &FlowRecord) {
    for counters in [&record.forward, &record.reverse] {
        sums.packets += counters.packets;
        sums.frame_bytes += counters.frame_bytes;
    }
}
