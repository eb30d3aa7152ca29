//! Records on their way out: workers fill buffers, the exporter empties them into sinks and hands them back.
//!
//! A fixed number of buffers circulates between a worker and the exporter over two lock-free queues. When none
//! comes back in time, a live worker sheds records and counts them; a worker that reads a file waits.

use crate::{
    cells::{Cell, SharedHistogram, SinkCells, duration_histogram},
    clock::{Clock, Moment},
};
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use kflow::{FlowRecord, Sink, SinkError};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

/// How long the exporter sleeps when no worker wakes it.
const EXPORTER_NAP: Duration = Duration::from_millis(100);
/// How long a file worker waits before it looks for an empty buffer again.
const WAIT_NAP: Duration = Duration::from_micros(50);

/// What a worker does when every buffer is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop the record and count it.
    Shed,
    /// Wait: the input can.
    Wait,
}

/// One worker's lane to the exporter.
#[derive(Debug)]
pub struct Lane {
    full: ArrayQueue<Batch>,
    empty: ArrayQueue<Vec<FlowRecord>>,
    exporter: OnceLock<Thread>,
    /// The exporter ended, by itself or by a panic: no buffer will come back.
    is_abandoned: AtomicBool,
}

#[derive(Debug)]
struct Batch {
    records: Vec<FlowRecord>,
    handed_over: Moment,
}

impl Lane {
    /// `batches` buffers of `batch_records` records, all allocated here.
    pub fn new(batches: usize, batch_records: usize) -> Lane {
        let lane = Lane {
            full: ArrayQueue::new(batches),
            empty: ArrayQueue::new(batches),
            exporter: OnceLock::new(),
            is_abandoned: AtomicBool::new(false),
        };
        for _ in 0..batches {
            lane.empty.push(Vec::with_capacity(batch_records)).expect("the queue holds all buffers");
        }
        lane
    }

    /// Has the memory of all buffers there now. Before anything circulates.
    pub fn touch(&self) {
        for _ in 0..self.empty.len() {
            let Some(mut buffer) = self.empty.pop() else { return };
            crate::huge::touch(&mut buffer, FlowRecord::default());
            self.empty.push(buffer).expect("the queue holds all buffers");
        }
    }

    /// Bytes that the buffers occupy.
    pub fn predicted_bytes(batches: usize, batch_records: usize) -> usize {
        batches * batch_records * size_of::<FlowRecord>()
    }

    pub fn batches_waiting(&self) -> usize {
        self.full.len()
    }

    /// Lends what waits to `visit`, a buffer at a time with the moment of its hand-over, and gives the buffers back.
    /// Returns how many there were.
    pub fn drain(&self, mut visit: impl FnMut(&[FlowRecord], Moment)) -> usize {
        let mut batches = 0;
        while let Some(Batch { mut records, handed_over }) = self.full.pop() {
            visit(&records, handed_over);
            records.clear();
            self.empty.push(records).expect("the queue holds all buffers");
            batches += 1;
        }
        batches
    }
}

/// The worker's end of its lane.
#[derive(Debug)]
pub struct Outbox {
    lane: Arc<Lane>,
    when_full: WhenFull,
    /// `None` while every buffer is under way.
    current: Option<Vec<FlowRecord>>,
    /// Records that found no room.
    shed: Arc<Cell>,
}

impl Outbox {
    pub fn new(lane: Arc<Lane>, when_full: WhenFull, shed: Arc<Cell>) -> Outbox {
        let current = lane.empty.pop();
        Outbox { lane, when_full, current, shed }
    }

    /// From now on no record is shed: the exporter is waited for.
    pub fn wait_when_full(&mut self) {
        self.when_full = WhenFull::Wait;
    }

    /// Takes a record, and hands the buffer over when it is full.
    #[inline]
    pub fn push(&mut self, record: FlowRecord, now: Moment) {
        if self.current.is_none() {
            self.current = self.next_buffer();
        }
        let Some(buffer) = &mut self.current else {
            self.shed.add(1);
            return;
        };
        buffer.push(record);
        if buffer.len() == buffer.capacity() {
            self.hand_over(now);
        }
    }

    /// Hands over what there is, so that records do not wait for company.
    pub fn hand_over(&mut self, now: Moment) {
        let Some(records) = self.current.take_if(|buffer| !buffer.is_empty()) else { return };
        self.lane
            .full
            .push(Batch { records, handed_over: now })
            .expect("the queue holds as many batches as there are buffers");
        if let Some(exporter) = self.lane.exporter.get() {
            exporter.unpark();
        }
    }

    fn next_buffer(&self) -> Option<Vec<FlowRecord>> {
        loop {
            let buffer = self.lane.empty.pop();
            let must_shed =
                self.when_full == WhenFull::Shed || self.lane.is_abandoned.load(Ordering::Acquire);
            if buffer.is_some() || must_shed {
                return buffer;
            }
            thread::sleep(WAIT_NAP);
        }
    }
}

/// A sink and what is known of it.
pub struct NamedSink {
    pub sink: Box<dyn Sink + Send>,
    pub cells: Arc<SinkCells>,
}

impl std::fmt::Debug for NamedSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedSink").field("name", &self.sink.name()).finish()
    }
}

/// The thread that writes records out.
#[derive(Debug)]
pub struct Exporter {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    /// From hand-over to written.
    pub delay: Arc<SharedHistogram>,
    /// The only sink's reader went away (a closed pipe): there is nobody left to write for.
    pub reader_gone: Arc<AtomicBool>,
}

impl Exporter {
    pub fn start(lanes: &[Arc<Lane>], sinks: Vec<NamedSink>, clock: Clock) -> std::io::Result<Exporter> {
        let stop = Arc::new(AtomicBool::new(false));
        let delay = Arc::new(SharedHistogram::default());
        let reader_gone = Arc::new(AtomicBool::new(false));
        let mut run = Run {
            lanes: lanes.to_vec(),
            sinks,
            clock,
            shared_delay: delay.clone(),
            delay: duration_histogram(),
            reader_gone: reader_gone.clone(),
        };
        let stop_of_thread = stop.clone();
        let thread =
            thread::Builder::new().name("exporter".to_owned()).spawn(move || run.until(&stop_of_thread))?;
        for lane in lanes {
            // Set once, here.
            let _ = lane.exporter.set(thread.thread().clone());
        }
        Ok(Exporter { thread, stop, delay, reader_gone })
    }

    /// Writes out what is still waiting, flushes the sinks and ends. Workers have ended before.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the exporter panicked; records that waited for it are lost");
        }
    }
}

struct Run {
    lanes: Vec<Arc<Lane>>,
    sinks: Vec<NamedSink>,
    clock: Clock,
    delay: Histogram<u64>,
    shared_delay: Arc<SharedHistogram>,
    reader_gone: Arc<AtomicBool>,
}

impl Drop for Run {
    /// Also on a panic: whoever waits for a buffer shall not wait for ever.
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.is_abandoned.store(true, Ordering::Release);
        }
    }
}

impl Run {
    fn until(&mut self, stop: &AtomicBool) {
        loop {
            // Read before draining: what was handed over before the stop is drained after it.
            let is_last_round = stop.load(Ordering::Acquire);
            let batches = self.drain();
            self.shared_delay.publish(&mut self.delay);
            if is_last_round {
                break;
            }
            if batches == 0 {
                let now_ns = self.clock.now().0;
                self.for_each_sink(|sink| sink.advance(now_ns).and_then(|()| sink.flush()));
                thread::park_timeout(EXPORTER_NAP);
            }
        }
        self.for_each_sink(|sink| sink.close());
    }

    fn drain(&mut self) -> usize {
        let Run { lanes, sinks, clock, delay, reader_gone, .. } = self;
        let mut visit = |records: &[FlowRecord], handed_over| {
            write(sinks, records, reader_gone);
            // Values beyond the bounds of the histogram are recorded as its largest.
            delay.saturating_record(clock.now().since(handed_over));
        };
        lanes.iter().map(|lane| lane.drain(&mut visit)).sum()
    }

    fn for_each_sink(&mut self, act: impl Fn(&mut dyn Sink) -> Result<(), SinkError>) {
        for NamedSink { sink, cells } in &mut self.sinks {
            if let Err(error) = act(sink.as_mut()) {
                note_failure(sink.name(), &error, cells);
            }
        }
    }
}

fn write(sinks: &mut [NamedSink], records: &[FlowRecord], reader_gone: &AtomicBool) {
    let is_only_sink = sinks.len() == 1;
    for NamedSink { sink, cells } in sinks {
        match sink.write(records) {
            Ok(()) => cells.records_written.add(records.len() as u64),
            Err(error) => {
                cells.records_failed.add(records.len() as u64);
                note_failure(sink.name(), &error, cells);
                reader_gone.fetch_or(is_only_sink && matches!(error, SinkError::Closed), Ordering::AcqRel);
            }
        }
    }
}

/// Says the first failure of a sink; the rest are counted.
fn note_failure(name: &str, error: &SinkError, cells: &SinkCells) {
    if cells.failures.read() == 0 {
        tracing::error!(sink = name, error = %error, "cannot write records; they are counted as failed");
    }
    cells.failures.add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panicking;

    impl Sink for Panicking {
        fn write(&mut self, _records: &[FlowRecord]) -> Result<(), SinkError> {
            panic!("a sink of this test panics");
        }

        fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        fn name(&self) -> &'static str {
            "panicking"
        }
    }

    #[test]
    fn worker_that_waits_sheds_when_the_exporter_is_gone() {
        const RECORDS: u64 = 20;
        let lane = Arc::new(Lane::new(2, 2));
        let shed = Arc::new(Cell::default());
        let sink = NamedSink { sink: Box::new(Panicking), cells: Arc::default() };
        let exporter = Exporter::start(std::slice::from_ref(&lane), vec![sink], Clock::start())
            .expect("a thread starts");
        let mut outbox = Outbox::new(lane, WhenFull::Wait, shed.clone());
        for _ in 0..RECORDS {
            outbox.push(FlowRecord::default(), Moment(0));
        }
        outbox.hand_over(Moment(0));
        exporter.stop();
        // Two buffers of two are all that ever went out.
        assert_eq!(shed.read(), RECORDS - 4);
    }
}
