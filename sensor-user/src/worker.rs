//! One worker: a thread that owns its sources and its flows, and works in bursts.
//!
//! receive → decode all (asking the cache for the index words) → ask for the flows → count all → recycle →
//! expire a bounded number. One clock reading a burst. After start nothing here allocates, locks or logs.

use crate::{
    cells::{WorkerCells, duration_histogram},
    clock::{Clock, Moment},
    config::Idle,
    export::Outbox,
    filter::PacketFilter,
    flow::{Amount, FlowTable, Observation, TableConfig},
    packet::{self, NotFlow, Packet},
    source::{BURST_FRAMES_MAX, Frame, KernelCounts, Received, Source, SourceError},
};
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use sensor_ebpf::hash::HashKey;
use std::{sync::Arc, time::Duration};

/// Flows looked at for expiry after each burst: more than a burst can create, so that expiry keeps up.
const EXPIRED_PER_BURST_MAX: usize = 2 * BURST_FRAMES_MAX;
/// Empty receives before a sleeping worker goes to sleep.
const EMPTY_RECEIVES_MAX: u32 = 64;
/// Longest sleep, so that timers and commands are looked at.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// How often slow matters are looked after: counters, half-full buffers.
const HOUSEKEEPING_NS: u64 = 250_000_000;

/// Longest time spent on what waits in the rings when a source is let go.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long a drained ring is given to show more.
const DRAIN_WAIT: Duration = Duration::from_millis(20);

/// What the supervisor asks of a worker.
#[derive(Debug)]
pub enum Command<S> {
    /// Read from this source.
    Attach(S),
    /// Let go of the source: its interface is gone.
    Release,
    /// Use this filter from now on.
    Filter(Option<PacketFilter>),
    /// Take what is still waiting, end all flows, return.
    Stop,
}

/// Everything a worker is made of but its source.
#[derive(Debug)]
pub struct WorkerParts {
    pub table: TableConfig,
    pub hash_key: HashKey,
    /// `None` where the kernel program filters and samples.
    pub filter: Option<PacketFilter>,
    pub cells: Arc<WorkerCells>,
    pub outbox: Outbox,
    pub clock: Clock,
    pub idle: Idle,
}

#[derive(Debug)]
pub struct Worker {
    clock: Clock,
    idle: Idle,
    burst_times: Histogram<u64>,
    housekeeping_due: Moment,
    state: State,
}

/// What a burst works on, apart from the source that lends it.
#[derive(Debug)]
struct State {
    table: FlowTable,
    hash_key: HashKey,
    filter: Option<PacketFilter>,
    cells: Arc<WorkerCells>,
    outbox: Outbox,
    /// Room for one burst.
    prepared: Box<[Prepared]>,
    /// Time stamps of the frames drive the timers: a file's own time, not that of its reading.
    latest: Moment,
    /// Kernel counts of sources that were released.
    released_counts: KernelCounts,
}

#[derive(Clone, Debug)]
struct Prepared {
    packet: Packet,
    hash: u64,
    frame: usize,
}

impl Prepared {
    const EMPTY: Prepared = Prepared { packet: Packet::EMPTY, hash: 0, frame: 0 };
}

impl Worker {
    pub fn new(parts: WorkerParts) -> Worker {
        let WorkerParts { table, hash_key, filter, cells, outbox, clock, idle } = parts;
        let state = State {
            table: FlowTable::new(table),
            hash_key,
            filter,
            cells,
            outbox,
            prepared: vec![Prepared::EMPTY; BURST_FRAMES_MAX].into_boxed_slice(),
            latest: Moment(0),
            released_counts: KernelCounts::default(),
        };
        Worker { clock, idle, burst_times: duration_histogram(), housekeeping_due: Moment(0), state }
    }

    /// Has the memory of the flow table there now, on the CPU that calls. Without it pages come as flows do.
    pub fn touch(&mut self) {
        self.state.table.touch();
    }

    /// Reads a file to its end, then ends all flows. What came before damage is in the records.
    pub fn run_file(mut self, mut source: impl Source, stop: impl Fn() -> bool) -> Result<(), SourceError> {
        self.state.cells.attached.set(1);
        let mut now = self.clock.now();
        let result = loop {
            let start = now;
            match source.receive(now, |frames| self.state.burst(frames)) {
                Ok(Received::Frames(_)) => {}
                Ok(Received::Nothing) => source.wait(SLEEP_MAX),
                Ok(Received::End) => break Ok(()),
                Err(error) => break Err(error),
            }
            self.state.expire(self.state.latest);
            now = self.clock.now();
            self.note_burst(start, now);
            if self.housekeeping_due <= now {
                self.housekeep(now);
                self.look_into(&mut source);
                if stop() {
                    break Ok(());
                }
            }
        };
        self.finish(now);
        result
    }

    /// Reads live sources until told to stop.
    pub fn run_live<S: Source>(mut self, commands: &ArrayQueue<Command<S>>) {
        let mut source: Option<S> = None;
        let mut empty_receives = 0;
        let mut now = self.clock.now();
        loop {
            let start = now;
            let frames = match &mut source {
                None => 0,
                Some(source) => match source.receive(now, |frames| self.state.burst(frames)) {
                    Ok(Received::Frames(frames)) => frames,
                    // The supervisor notices by itself that an interface is gone, and releases the source.
                    Ok(Received::Nothing | Received::End) | Err(_) => 0,
                },
            };
            now = self.clock.now();
            self.state.expire(now);
            if frames > 0 {
                empty_receives = 0;
                self.note_burst(start, now);
            } else {
                empty_receives += 1;
                self.sleep(&mut source, empty_receives);
                now = self.clock.now();
                self.state.cells.idle_ns.add(now.since(start));
            }
            if frames > 0 && now < self.housekeeping_due {
                continue;
            }
            if now >= self.housekeeping_due {
                self.housekeep(now);
                if let Some(source) = &mut source {
                    self.look_into(source);
                }
            }
            match commands.pop() {
                None => {}
                Some(Command::Attach(attached)) => {
                    source = Some(attached);
                    self.state.cells.attached.set(1);
                }
                Some(Command::Release) => {
                    if let Some(mut released) = source.take() {
                        self.drain(&mut released);
                    }
                    self.state.cells.attached.set(0);
                }
                Some(Command::Filter(filter)) => self.state.filter = filter,
                Some(Command::Stop) => {
                    if let Some(mut released) = source.take() {
                        self.drain(&mut released);
                    }
                    let now = self.clock.now();
                    return self.finish(now);
                }
            }
        }
    }

    /// Takes what waits in the rings. Nothing new arrives by XDP: the supervisor has detached the program.
    fn drain(&mut self, source: &mut impl Source) {
        let deadline = self.clock.now().plus(DRAIN_MAX);
        let mut empty_receives = 0;
        while empty_receives < 2 {
            let now = self.clock.now();
            if now > deadline {
                break;
            }
            match source.receive(now, |frames| self.state.burst(frames)) {
                Ok(Received::Frames(_)) => empty_receives = 0,
                Ok(Received::Nothing) => {
                    empty_receives += 1;
                    // A half-full block of AF_PACKET is handed over after a while.
                    source.wait(DRAIN_WAIT);
                }
                Ok(Received::End) | Err(_) => break,
            }
        }
        let counts = source.kernel_counts();
        self.state.note_kernel_counts(counts);
        self.state.released_counts.add(counts);
    }

    fn sleep<S: Source>(&self, source: &mut Option<S>, empty_receives: u32) {
        if self.idle == Idle::Spin || empty_receives < EMPTY_RECEIVES_MAX {
            return std::hint::spin_loop();
        }
        match source {
            Some(source) => source.wait(SLEEP_MAX),
            None => std::thread::sleep(SLEEP_MAX),
        }
    }

    fn note_burst(&mut self, start: Moment, end: Moment) {
        let elapsed_ns = end.since(start);
        self.state.cells.busy_ns.add(elapsed_ns);
        self.burst_times.saturating_record(elapsed_ns);
    }

    /// What is due a few times a second, with a source or without.
    fn housekeep(&mut self, now: Moment) {
        self.housekeeping_due = now.plus(Duration::from_nanos(HOUSEKEEPING_NS));
        self.state.cells.burst_time.publish(&mut self.burst_times);
        self.state.publish();
        self.state.outbox.hand_over(now);
    }

    /// Publishes what the source knows of itself.
    fn look_into(&mut self, source: &mut impl Source) {
        self.state.note_kernel_counts(source.kernel_counts());
        let levels = source.ring_levels();
        self.state.cells.fill_level.set(u64::from(levels.fill));
        self.state.cells.receive_level.set(u64::from(levels.receive));
    }

    fn finish(mut self, now: Moment) {
        let State { table, outbox, .. } = &mut self.state;
        // Nothing arrives any more that waiting could cost.
        outbox.wait_when_full();
        table.flush(&mut |record| outbox.push(record, now));
        outbox.hand_over(now);
        self.state.publish();
        self.state.cells.burst_time.publish(&mut self.burst_times);
        self.state.cells.attached.set(0);
    }
}

impl State {
    #[inline(always)]
    fn burst(&mut self, frames: &[Frame<'_>]) {
        frames.iter().for_each(packet::prefetch);
        let mut count = 0;
        let mut bytes = 0;
        for (index, frame) in frames.iter().enumerate() {
            bytes += u64::from(frame.wire_bytes);
            match self.prepare(count, index, frame) {
                Ok(()) => count += 1,
                Err(reason) => self.cells.not_flow[reason as usize].add(1),
            }
        }
        for prepared in &self.prepared[..count] {
            self.table.prefetch_flow(prepared.hash);
        }
        for prepared in &self.prepared[..count] {
            let frame = &frames[prepared.frame];
            self.latest = self.latest.max(frame.time);
            let observation = Observation {
                packet: &prepared.packet,
                hash: prepared.hash,
                frame,
                amount: Amount::one(&prepared.packet, frame.wire_bytes),
                time: frame.time,
            };
            let outbox = &mut self.outbox;
            self.table.observe(&observation, &mut |record| outbox.push(record, frame.time));
        }
        self.cells.bursts.add(1);
        self.cells.frames.add(frames.len() as u64);
        self.cells.frame_bytes.add(bytes);
        self.cells.flow_packets.add(count as u64);
    }

    /// Decodes a frame into a place of the burst, and asks for its flow's index word.
    #[inline(always)]
    fn prepare(&mut self, place: usize, index: usize, frame: &Frame<'_>) -> Result<(), NotFlow> {
        let Prepared { packet, hash, frame: frame_index } = &mut self.prepared[place];
        packet::decode_into(frame, packet)?;
        *frame_index = index;
        *hash = frame.hash.unwrap_or_else(|| packet.key.hash(self.hash_key));
        if let Some(filter) = &self.filter {
            filter.check(packet, *hash)?;
        }
        if let Some(anomaly) = packet.anomaly {
            self.cells.anomalies[anomaly as usize].add(1);
        }
        self.table.prefetch_index(*hash);
        Ok(())
    }

    #[inline(always)]
    fn expire(&mut self, now: Moment) {
        let outbox = &mut self.outbox;
        self.table.expire(now, EXPIRED_PER_BURST_MAX, &mut |record| outbox.push(record, now));
    }

    fn publish(&self) {
        let counts = self.table.counts();
        let cells = &self.cells;
        cells.flows.set(self.table.len() as u64);
        cells.flows_created.set(counts.flows_created);
        for (cell, records) in cells.records.iter().zip(counts.records) {
            cell.set(records);
        }
        cells.evicted_embryonic.set(counts.evicted_embryonic);
        cells.evicted_idlest.set(counts.evicted_idlest);
        cells.evicted_crowded.set(counts.evicted_crowded);
    }

    /// Counts of one source start at zero; those of the worker go on over all of them.
    fn note_kernel_counts(&mut self, counts: KernelCounts) {
        self.cells.kernel_offered.set(self.released_counts.offered + counts.offered);
        self.cells.kernel_dropped.set(self.released_counts.dropped + counts.dropped);
    }
}
