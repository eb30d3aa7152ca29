//! One worker: a thread that owns its sources and its flows, and works in bursts.
//!
//! receive → what [`Datapath`] does with a burst → recycle → expire a bounded number. One clock reading a burst. After
//! start nothing here allocates, locks or logs.

use crate::{
    applications::Applications,
    cells::{WorkerCells, duration_histogram},
    clock::{Clock, Moment},
    config::Idle,
    datapath::{Datapath, DatapathParts, Tunnels},
    export::Outbox,
    filter::PacketFilter,
    flow::TableConfig,
    packet::reassembly::ReassemblyConfig,
    source::{Received, Source, SourceError},
};
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use sensor_ebpf::hash::HashKey;
use std::{sync::Arc, time::Duration};

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
    /// `None` if every packet passes.
    pub filter: Option<PacketFilter>,
    pub reassembly: ReassemblyConfig,
    pub tunnels: Tunnels,
    pub applications: Applications,
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
    datapath: Datapath,
}

impl Worker {
    pub fn new(parts: WorkerParts) -> Worker {
        let WorkerParts {
            table,
            hash_key,
            filter,
            reassembly,
            tunnels,
            applications,
            cells,
            outbox,
            clock,
            idle,
        } = parts;
        let datapath = Datapath::new(DatapathParts {
            table,
            hash_key,
            filter,
            reassembly,
            tunnels,
            applications,
            cells,
            outbox,
        });
        Worker { clock, idle, burst_times: duration_histogram(), housekeeping_due: Moment(0), datapath }
    }

    /// Has the memory of the flow table there now, on the CPU that calls. Without it pages come as flows do.
    pub fn touch(&mut self) {
        self.datapath.touch();
    }

    /// Reads a file to its end, then ends all flows. What came before damage is in the records.
    pub fn run_file(mut self, mut source: impl Source, stop: impl Fn() -> bool) -> Result<(), SourceError> {
        self.datapath.cells().attached.set(1);
        let mut now = self.clock.now();
        let result = loop {
            let start = now;
            match source.receive(now, |frames| self.datapath.burst(frames)) {
                Ok(Received::Frames(_)) => {}
                Ok(Received::Nothing) => source.wait(SLEEP_MAX),
                Ok(Received::End) => break Ok(()),
                Err(error) => break Err(error),
            }
            self.datapath.expire(self.datapath.latest());
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
                Some(source) => match source.receive(now, |frames| self.datapath.burst(frames)) {
                    Ok(Received::Frames(frames)) => frames,
                    // The supervisor notices by itself that an interface is gone, and releases the source.
                    Ok(Received::Nothing | Received::End) | Err(_) => 0,
                },
            };
            now = self.clock.now();
            self.datapath.expire(now);
            if frames > 0 {
                empty_receives = 0;
                self.note_burst(start, now);
            } else {
                empty_receives += 1;
                self.sleep(&mut source, empty_receives);
                now = self.clock.now();
                self.datapath.cells().idle_ns.add(now.since(start));
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
                    self.datapath.cells().attached.set(1);
                }
                Some(Command::Release) => {
                    if let Some(mut released) = source.take() {
                        self.drain(&mut released);
                    }
                    self.datapath.cells().attached.set(0);
                }
                Some(Command::Filter(filter)) => self.datapath.set_filter(filter),
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
            match source.receive(now, |frames| self.datapath.burst(frames)) {
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
        self.datapath.release_kernel_counts(counts);
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
        self.datapath.cells().busy_ns.add(elapsed_ns);
        self.burst_times.saturating_record(elapsed_ns);
    }

    /// What is due a few times a second, with a source or without.
    fn housekeep(&mut self, now: Moment) {
        self.housekeeping_due = now.plus(Duration::from_nanos(HOUSEKEEPING_NS));
        self.datapath.cells().burst_time.publish(&mut self.burst_times);
        self.datapath.publish();
        self.datapath.hand_over(now);
    }

    /// Publishes what the source knows of itself.
    fn look_into(&mut self, source: &mut impl Source) {
        self.datapath.note_kernel_counts(source.kernel_counts());
        let levels = source.ring_levels();
        self.datapath.cells().fill_level.set(u64::from(levels.fill));
        self.datapath.cells().receive_level.set(u64::from(levels.receive));
    }

    fn finish(mut self, now: Moment) {
        self.datapath.finish(now);
        self.datapath.cells().burst_time.publish(&mut self.burst_times);
        self.datapath.cells().attached.set(0);
    }
}
