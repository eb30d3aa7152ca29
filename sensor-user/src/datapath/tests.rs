//! Bursts in, records and counts out: what is counted where fragments, tunnels, filter and sample meet.

use super::{Datapath, DatapathParts, Tunnels};
use crate::{
    applications::Applications,
    cells::{SinkCells, WorkerCells},
    clock::{Clock, Moment},
    config::{FilterConfig, TunnelCount, TunnelsConfig},
    export::{Exporter, Lane, NamedSink, Outbox, WhenFull},
    filter::PacketFilter,
    flow::TableConfig,
    packet::{Anomaly, NotFlow, reassembly::ReassemblyConfig},
    source::{BURST_FRAMES_MAX, Frame},
};
use kflow::{FlowRecord, Sink, SinkError};
use sensor_ebpf::hash::HashKey;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};
use traffic::frame::{
    Ethernet,
    ip::{Ip, Ipv4, Packet},
    transport::{Transport, Udp},
    tunnel::{Gre, Tunnel},
};

const SECOND: u64 = 1_000_000_000;
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);
const SAMPLE_RATE: u32 = 4;
const GRE: u8 = 47;
const MODES: [TunnelCount; 3] = [TunnelCount::Outer, TunnelCount::Inner, TunnelCount::Both];

/// What came of some frames.
struct Outcome {
    cells: Arc<WorkerCells>,
    records: Vec<FlowRecord>,
}

/// Everything that differs between these tests.
#[derive(Default)]
struct Setup {
    count: Option<TunnelCount>,
    filter: FilterConfig,
    sample_rate: u32,
}

/// Frames with their times in seconds.
type Timed = Vec<(u64, Vec<u8>)>;

impl Setup {
    fn counting(count: TunnelCount) -> Setup {
        Setup { count: Some(count), sample_rate: 1, ..Setup::default() }
    }

    fn run(self, frames: &Timed) -> Outcome {
        let Setup { count, filter, sample_rate } = self;
        let cells = Arc::new(WorkerCells::default());
        let lane = Arc::new(Lane::new(4, 64));
        let collected = Arc::new(Mutex::new(Vec::new()));
        let sink =
            NamedSink { sink: Box::new(Collector(collected.clone())), cells: Arc::new(SinkCells::default()) };
        let exporter = Exporter::start(std::slice::from_ref(&lane), vec![sink], Clock::start())
            .expect("a thread starts");
        let count = count.expect("every test says what it counts");
        let ports = TunnelsConfig::default().ports().expect("the defaults are not too many");
        let mut datapath = Datapath::new(DatapathParts {
            table: TableConfig {
                capacity: 1024,
                idle_timeout: Duration::from_secs(300),
                active_timeout: ACTIVE_TIMEOUT,
                close_linger: Duration::from_secs(1),
                embryonic_timeout: Duration::from_secs(300),
                pressure: 1024,
                sample_rate,
            },
            hash_key: HashKey { endpoint: 0x1234_5678_9abc_def0, flow: 0x0fed_cba9_8765_4321 },
            filter: Some(PacketFilter::new(filter, sample_rate)),
            reassembly: ReassemblyConfig {
                datagrams: 64,
                memory_bytes: 1 << 20,
                timeout: Duration::from_secs(300),
            },
            tunnels: Tunnels { count, ports },
            cells: cells.clone(),
            applications: Applications::Off,
            outbox: Outbox::new(lane, WhenFull::Wait, cells.records_shed.clone()),
        });
        let frames: Vec<Frame<'_>> = frames.iter().map(|(seconds, bytes)| frame(*seconds, bytes)).collect();
        for burst in frames.chunks(BURST_FRAMES_MAX) {
            datapath.burst(burst);
            datapath.expire(datapath.latest());
        }
        datapath.finish(datapath.latest());
        exporter.stop();
        let records = std::mem::take(&mut *collected.lock().expect("the exporter has ended"));
        Outcome { cells, records }
    }
}

impl Outcome {
    fn not_flow(&self, reason: NotFlow) -> u64 {
        self.cells.not_flow[reason as usize].read()
    }

    /// Every frame is accounted for once, and every packet of a record is one that was counted.
    #[track_caller]
    fn assert_balanced(&self, frames: &Timed) {
        let not_flow: u64 = self.cells.not_flow.iter().map(|cell| cell.read()).sum();
        let counted = self.cells.flow_packets.read();
        assert_eq!(counted + not_flow, frames.len() as u64);
        let in_records: u64 = self.records.iter().map(|r| r.forward.packets + r.reverse.packets).sum();
        assert_eq!(in_records, counted + self.cells.packets_beside.read());
    }

    /// Source addresses of flows that were inside of a tunnel.
    fn tenants(&self) -> BTreeSet<IpAddr> {
        let inner = self.records.iter().filter(|record| record.tunnel.depth > 0);
        inner.map(|record| record.source.address).collect()
    }
}

struct Collector(Arc<Mutex<Vec<FlowRecord>>>);

impl Sink for Collector {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        self.0.lock().expect("no test panics in between").extend_from_slice(records);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "collector"
    }
}

fn frame(seconds: u64, bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, wire_bytes: bytes.len() as u32, time: Moment((1000 + seconds) * SECOND), ..Frame::EMPTY }
}

fn v4(source: [u8; 4], destination: [u8; 4]) -> Ip {
    Ip::V4(Ipv4::between(source, destination))
}

/// The ends of every tunnel here.
fn outer() -> Ip {
    v4([192, 0, 2, 1], [192, 0, 2, 2])
}

fn udp() -> Transport {
    Transport::Udp(Udp { source_port: 1000, destination_port: 2000 })
}

fn tenant(number: u8) -> Ip {
    v4([10, 0, 0, number], [10, 0, 1, 1])
}

fn in_gre(packet: &Packet) -> Packet {
    Tunnel::Gre(Gre::default()).wrap(&outer(), packet, &Ethernet::default())
}

fn carried(packet: &Packet) -> Vec<u8> {
    Ethernet::default().carry(packet)
}

/// A packet of a tenant in GRE, the GRE packet being in two fragments.
fn fragmented_tunnel() -> Timed {
    let packet = tenant(1).packet(&udp(), &[7; 100]);
    let gre = Transport::Other(GRE);
    let body = [&[0, 0, 8, 0], &packet.bytes[..]].concat();
    outer().fragments(&gre, &body, 64, 1).iter().map(carried).map(|bytes| (0, bytes)).collect()
}

/// Two fragments of a tenant's packet, each in GRE of its own.
fn tunnelled_fragments() -> Vec<Vec<u8>> {
    let fragments = tenant(1).fragments(&udp(), &[7; 100], 64, 1);
    fragments.iter().map(|fragment| carried(&in_gre(fragment))).collect()
}

#[test]
fn everything_adds_up_whatever_is_counted() {
    let mut frames: Timed =
        (1..50).map(|n| (0, carried(&in_gre(&tenant(n).packet(&udp(), &[1; 10]))))).collect();
    frames.extend(fragmented_tunnel());
    frames.extend(fragmented_tunnel().into_iter().rev());
    frames.extend(tunnelled_fragments().into_iter().map(|bytes| (1, bytes)));
    frames.extend(tunnelled_fragments().into_iter().rev().map(|bytes| (2, bytes)));
    // The first one of its datagram never comes.
    frames.extend(tunnelled_fragments().into_iter().skip(1).map(|bytes| (400, bytes)));
    for count in MODES {
        for sample_rate in [1, SAMPLE_RATE] {
            Setup { sample_rate, ..Setup::counting(count) }.run(&frames).assert_balanced(&frames);
        }
    }
}

#[test]
fn what_is_odd_about_an_inner_packet_is_counted() {
    let innermost = tenant(1).packet(&udp(), &[]);
    let nested =
        (0..9).fold(innermost, |packet, _| Tunnel::IpInIp.wrap(&outer(), &packet, &Ethernet::default()));
    let frames = vec![(0, carried(&nested))];
    let outcome = Setup::counting(TunnelCount::Inner).run(&frames);
    assert_eq!(outcome.cells.anomalies[Anomaly::TunnelDepth as usize].read(), 1);
    outcome.assert_balanced(&frames);
}

#[test]
fn what_a_filtered_datagram_carries_is_filtered_with_it() {
    let frames = fragmented_tunnel();
    let filter = FilterConfig { exclude_protocols: vec![GRE], ..FilterConfig::default() };
    for count in MODES {
        let outcome = Setup { filter: filter.clone(), ..Setup::counting(count) }.run(&frames);
        assert_eq!(outcome.records.len(), 0, "{count:?}: {:?}", outcome.records);
        assert_eq!(outcome.not_flow(NotFlow::Filtered), frames.len() as u64);
        outcome.assert_balanced(&frames);
    }
    let unfiltered = Setup::counting(TunnelCount::Inner).run(&frames);
    assert_eq!(unfiltered.tenants().len(), 1, "the datagram is put together and looked into");
}

#[test]
fn the_sample_of_inner_flows_does_not_depend_on_that_of_the_tunnel() {
    let frames: Timed =
        (1..=200).map(|n| (0, carried(&in_gre(&tenant(n).packet(&udp(), &[1; 10]))))).collect();
    let sampled = |count| {
        let outcome = Setup { sample_rate: SAMPLE_RATE, ..Setup::counting(count) }.run(&frames);
        outcome.assert_balanced(&frames);
        outcome.tenants()
    };
    let inner = sampled(TunnelCount::Inner);
    assert!((20..100).contains(&inner.len()), "{} of 200", inner.len());
    assert_eq!(sampled(TunnelCount::Both), inner);
}

#[test]
fn a_fragment_that_completes_a_packet_does_not_lend_its_bytes_to_the_tunnel() {
    let fragments = tunnelled_fragments();
    let late = ACTIVE_TIMEOUT.as_secs() + 1;
    // The second fragment begins another span, so that the tunnel is taken from it.
    let frames: Timed = [0, late].into_iter().zip(fragments).collect();
    let outcome = Setup::counting(TunnelCount::Inner).run(&frames);
    outcome.assert_balanced(&frames);
    assert_eq!(outcome.records.len(), 2);
    let known = [outer().source(), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    for record in outcome.records {
        assert!(known.contains(&record.tunnel.source), "{}", record.tunnel.source);
    }
}
