//! Parser threads: payloads are copied into carriers, which travel there and back over lock-free queues.
//!
//! ```text
//! worker ── full carriers ──► parser thread (its own inspector) ── records ──► exporter
//!        ◄─ empty carriers ──
//! ```
//!
//! Each thread has the flows of some slots of one worker's table, so what concerns a flow stays in order. A record of a
//! flow whose payload was inspected takes the same way, behind the payloads, and leaves from there. When no carrier
//! comes back in time, a live worker sheds the payload, never the packet's accounting; a worker that reads a file waits.
//!
//! A copy and not the frame itself, because a frame belongs to the ring that the kernel fills: a parser that lags
//! would starve it.

use super::{ApplicationParts, Carried, Inspecting, payload};
use crate::{
    cells::ApplicationCells,
    clock::Moment,
    export::{Outbox, WhenFull},
    flow::{Ending, FlowTable, Inspection},
};
use crossbeam_queue::ArrayQueue;
use kflow::FlowRecord;
use sensor_app::{Interest, Payload};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Looks at an empty queue before a parser thread goes to sleep.
const EMPTY_LOOKS_MAX: u32 = 64;
/// Longest sleep, so that counts and half-full buffers of records are looked after.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// How long a worker that reads a file waits before it looks for a carrier again.
const WAIT_NAP: Duration = Duration::from_micros(20);
/// Bytes of a payload that a carrier has room for from the start.
const PAYLOAD_BYTES: usize = 1600;

/// What parser threads are made of: for each its parts, and its way to the exporter.
#[derive(Debug)]
pub struct ThreadParts {
    pub threads: Vec<(ApplicationParts, Outbox)>,
    /// Carriers of each thread.
    pub carriers: usize,
    pub when_full: WhenFull,
}

/// The worker's end.
#[derive(Debug)]
pub struct Threads {
    lanes: Vec<Lane>,
    when_full: WhenFull,
    /// By slot, counts the flows that were there.
    generations: Vec<u32>,
}

/// The way to one parser thread and back.
#[derive(Debug)]
struct Lane {
    queues: Arc<Queues>,
    thread: Option<JoinHandle<()>>,
    cells: Arc<ApplicationCells>,
    /// Something was sent since the thread was woken.
    is_rousing: bool,
}

#[derive(Debug)]
struct Queues {
    full: ArrayQueue<Box<Carrier>>,
    empty: ArrayQueue<Box<Carrier>>,
    /// Nothing more is sent.
    is_closed: AtomicBool,
    /// The thread ended, by itself or by a panic: no carrier comes back.
    is_abandoned: AtomicBool,
}

/// What travels.
#[derive(Debug)]
struct Carrier {
    cargo: Cargo,
    /// Of the flow: all of it, or what tells it from others.
    record: FlowRecord,
    bytes: Vec<u8>,
    slot: u32,
    generation: u32,
    /// On the way back: whether more payloads of the flow are wanted.
    interest: Interest,
    now: Moment,
}

#[derive(Debug)]
enum Cargo {
    /// Without its bytes, which lie beside it.
    Payload(Payload<'static>),
    Record(Ending),
}

impl Threads {
    pub fn start(parts: ThreadParts) -> io::Result<Threads> {
        let ThreadParts { threads, carriers, when_full } = parts;
        let flows = threads.iter().map(|(parts, _)| parts.limits.flows).max().unwrap_or(0);
        let lanes =
            threads.into_iter().map(|(parts, outbox)| Lane::start(parts, outbox, carriers, when_full));
        Ok(Threads { lanes: lanes.collect::<io::Result<_>>()?, when_full, generations: vec![0; flows] })
    }

    /// Bytes that the carriers of one thread occupy.
    pub fn predicted_bytes(carriers: usize) -> usize {
        carriers * (size_of::<Carrier>() + PAYLOAD_BYTES)
    }

    /// From now on nothing is shed: parser threads are waited for.
    pub fn wait_when_full(&mut self) {
        self.when_full = WhenFull::Wait;
    }

    /// Sends a payload on its way, or sheds it.
    pub fn inspect(&mut self, table: &mut FlowTable, carried: &Carried<'_>, inspection: Inspection) {
        let is_fresh = inspection == Inspection::Fresh;
        let Some((lane, mut carrier)) = self.carrier(carried.slot.0, Some(table)) else { return };
        let slot = carried.slot.0 as usize;
        self.generations[slot] = self.generations[slot].wrapping_add(u32::from(is_fresh));
        let payload = payload(table, carried, is_fresh);
        carrier.bytes.clear();
        carrier.bytes.extend_from_slice(payload.bytes);
        carrier.record = table.identity(carried.slot);
        carrier.cargo = Cargo::Payload(Payload { bytes: &[], ..payload });
        carrier.slot = carried.slot.0;
        carrier.generation = self.generations[slot];
        carrier.now = carried.time;
        self.lanes[lane].send(carrier);
        table.set_inspection(carried.slot, Inspection::Wanted);
    }

    /// Sends a record behind the payloads of its flow. Gives it back if there is no room.
    pub fn annotate(
        &mut self,
        record: FlowRecord,
        ending: Ending,
        now: Moment,
    ) -> Result<(), Box<FlowRecord>> {
        let Some((lane, mut carrier)) = self.carrier(ending.slot.0, None) else {
            return Err(Box::new(record));
        };
        carrier.record = record;
        carrier.cargo = Cargo::Record(ending);
        carrier.slot = ending.slot.0;
        carrier.now = now;
        self.lanes[lane].send(carrier);
        Ok(())
    }

    /// An empty carrier of the thread that has a slot's flow, and which thread that is.
    fn carrier(&mut self, slot: u32, table: Option<&mut FlowTable>) -> Option<(usize, Box<Carrier>)> {
        let index = slot as usize % self.lanes.len();
        let lane = &self.lanes[index];
        let has_table = table.is_some();
        let carrier = loop {
            if let Some(carrier) = lane.queues.empty.pop() {
                break carrier;
            }
            if self.when_full == WhenFull::Shed || lane.queues.is_abandoned.load(Ordering::Acquire) {
                let cells = &lane.cells;
                let shed = if has_table { &cells.shed_payloads } else { &cells.shed_annotations };
                shed.add(1);
                return None;
            }
            lane.rouse();
            thread::sleep(WAIT_NAP);
        };
        if let Some(table) = table {
            self.heed(&carrier, table);
        }
        Some((index, carrier))
    }

    /// Whose payloads are no longer wanted, as a carrier that came back says.
    fn heed(&self, carrier: &Carrier, table: &mut FlowTable) {
        let is_current = self.generations[carrier.slot as usize] == carrier.generation;
        let slot = crate::flow::SlotId(carrier.slot);
        if carrier.interest == Interest::Done && is_current && table.inspection(slot) == Inspection::Wanted {
            table.set_inspection(slot, Inspection::Done);
        }
    }

    /// Wakes the threads for which there is something to do.
    pub fn rouse(&mut self) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_rousing) {
            lane.rouse();
            lane.is_rousing = false;
        }
    }

    /// Has everything worked off that is under way, and ends the threads.
    pub fn finish(&mut self) {
        for lane in &mut self.lanes {
            lane.queues.is_closed.store(true, Ordering::Release);
            lane.rouse();
        }
        for lane in &mut self.lanes {
            if lane.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a parser thread panicked; what waited for it is lost");
            }
        }
    }
}

impl Drop for Threads {
    /// Also on a panic of the worker: no thread stays behind.
    fn drop(&mut self) {
        self.finish();
    }
}

impl Lane {
    fn start(
        parts: ApplicationParts,
        outbox: Outbox,
        carriers: usize,
        when_full: WhenFull,
    ) -> io::Result<Lane> {
        let queues = Arc::new(Queues {
            full: ArrayQueue::new(carriers),
            empty: ArrayQueue::new(carriers),
            is_closed: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
        });
        for _ in 0..carriers {
            queues.empty.push(Box::new(Carrier::new())).expect("the queue holds all carriers");
        }
        let cells = parts.cells.clone();
        let queues_of_thread = queues.clone();
        let thread = thread::Builder::new().name("parser".to_owned()).spawn(move || {
            let mut inspecting = Inspecting::new(parts);
            // A live sensor takes its memory at start, a file as it needs it.
            if when_full == WhenFull::Shed {
                inspecting.inspector.touch();
            }
            ParserThread { inspecting, queues: queues_of_thread, outbox }.run();
        })?;
        Ok(Lane { queues, thread: Some(thread), cells, is_rousing: false })
    }

    fn send(&mut self, carrier: Box<Carrier>) {
        self.queues.full.push(carrier).expect("the queue holds all carriers");
        self.is_rousing = true;
    }

    fn rouse(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Carrier {
    fn new() -> Carrier {
        Carrier {
            cargo: Cargo::Record(Ending {
                slot: crate::flow::SlotId(0),
                inspection: Inspection::Never,
                is_over: false,
                is_empty: true,
            }),
            record: FlowRecord::default(),
            bytes: Vec::with_capacity(PAYLOAD_BYTES),
            slot: 0,
            generation: 0,
            interest: Interest::Wanted,
            now: Moment(0),
        }
    }
}

/// A thread that parses.
struct ParserThread {
    inspecting: Inspecting,
    queues: Arc<Queues>,
    outbox: Outbox,
}

impl ParserThread {
    fn run(mut self) {
        let mut empty_looks = 0;
        let mut latest = Moment(0);
        loop {
            // Read before looking: what was sent before the close is seen after it.
            let is_closed = self.queues.is_closed.load(Ordering::Acquire);
            if is_closed {
                // Nothing arrives any more that waiting could cost.
                self.outbox.wait_when_full();
            }
            if let Some(mut carrier) = self.queues.full.pop() {
                empty_looks = 0;
                latest = latest.max(carrier.now);
                self.work_off(&mut carrier);
                self.queues.empty.push(carrier).expect("the queue holds all carriers");
                continue;
            }
            if is_closed {
                break;
            }
            empty_looks += 1;
            if empty_looks < EMPTY_LOOKS_MAX {
                std::hint::spin_loop();
                continue;
            }
            self.inspecting.publish();
            self.outbox.hand_over(latest);
            thread::park_timeout(SLEEP_MAX);
        }
        self.outbox.hand_over(latest);
        self.inspecting.publish();
    }

    fn work_off(&mut self, carrier: &mut Carrier) {
        let ParserThread { inspecting, outbox, .. } = self;
        let Carrier { cargo, record, bytes, interest, now, .. } = carrier;
        match cargo {
            Cargo::Payload(payload) => {
                let payload = Payload { bytes, ..*payload };
                *interest = inspecting.inspect(&payload, || record.clone(), outbox, *now);
            }
            Cargo::Record(ending) => {
                *interest = Interest::Wanted;
                let record = std::mem::take(record);
                inspecting.export(record, *ending, outbox, *now);
            }
        }
    }
}

impl Drop for ParserThread {
    /// Also on a panic: whoever waits for a carrier shall not wait for ever.
    fn drop(&mut self) {
        self.queues.is_abandoned.store(true, Ordering::Release);
    }
}
