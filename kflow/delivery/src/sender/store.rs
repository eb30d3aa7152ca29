//! Where packed batches wait for the receiver: on disk, or in memory where there is no spool or it refuses.
//!
//! ```text
//!            ┌─► spool (durable before it is sent) ─┐
//! packer ────┤                                      ├──► courier
//!            └─► memory, so many bytes ─────────────┘
//! ```
//!
//! What waits on disk goes first. A batch leaves its place when its fate is known, not when it is read.

use super::counters::Counters;
use crate::{ContentEncoding, clock::Moment};
use kflow_spool::{Reader, Sequence, Writer};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A body that is ready to be sent.
#[derive(Debug)]
pub(super) struct Parcel {
    pub place: Place,
    pub epoch: u64,
    pub sequence: u64,
    pub encoding: ContentEncoding,
    pub records: u32,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Spool,
    Memory,
}

/// The packer's end.
#[derive(Debug)]
pub(super) struct Intake {
    memory: Arc<Memory>,
    spool: Option<Writer>,
    /// The last commit succeeded. While none does, batches go to memory, and those that it holds back are few.
    spool_works: bool,
    counters: Arc<Counters>,
}

/// The courier's end.
#[derive(Debug)]
pub(super) struct Outlet {
    memory: Arc<Memory>,
    spool: Option<Reader>,
    /// Batches of the spool up to this one are settled, the oldest of them since then, and it was not told yet.
    settled: Option<(Sequence, Moment)>,
    counters: Arc<Counters>,
}

/// Neither place has room.
#[derive(Debug)]
pub(super) struct NoRoom;

/// Cursor updates cost a disk flush; what was delivered since the last one may be delivered again after a crash, under
/// the same identity.
const SETTLE_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Memory {
    queue: Mutex<Queue>,
    /// Rung when a batch was put in either place, and when the packer has ended.
    arrived: Condvar,
    /// Rung when memory was freed.
    freed: Condvar,
}

#[derive(Debug)]
struct Queue {
    parcels: VecDeque<Parcel>,
    /// Of these and of the one under way.
    bytes: usize,
    bytes_max: usize,
    /// Tells batches of this process apart from those of the spool.
    epoch: u64,
    next_sequence: u64,
    is_closed: bool,
}

/// Both ends. `epoch` names what waits in memory and differs from process to process.
pub(super) fn open(
    spool: Option<(Writer, Reader)>,
    bytes_max: usize,
    epoch: u64,
    counters: &Arc<Counters>,
) -> (Intake, Outlet) {
    let queue =
        Queue { parcels: VecDeque::new(), bytes: 0, bytes_max, epoch, next_sequence: 0, is_closed: false };
    let memory =
        Arc::new(Memory { queue: Mutex::new(queue), arrived: Condvar::new(), freed: Condvar::new() });
    let (writer, reader) = spool.unzip();
    let intake =
        Intake { memory: memory.clone(), spool: writer, spool_works: true, counters: counters.clone() };
    let outlet = Outlet { memory, spool: reader, settled: None, counters: counters.clone() };
    (intake, outlet)
}

impl Intake {
    /// Puts a batch where it waits.
    pub fn put(&mut self, body: &[u8], encoding: ContentEncoding, records: u32) -> Result<(), NoRoom> {
        if !self.spool_works {
            self.commit();
        }
        if let Some(spool) = self.spool.as_mut().filter(|_| self.spool_works) {
            match spool.append(body, records, kind_of(encoding)) {
                Ok(_) => {
                    // If that fails, this batch stays with the spool, which tries again at the next commit.
                    self.commit();
                    return Ok(());
                }
                Err(error) => {
                    say_first(&self.counters.spool_refusals, &error);
                    self.counters.spool_refusals.add(1);
                }
            }
        }
        let mut queue = self.memory.lock();
        if queue.bytes > 0 && queue.bytes + body.len() > queue.bytes_max {
            return Err(NoRoom);
        }
        queue.put(body, encoding, records);
        self.counters.in_memory.add(u64::from(records));
        self.memory.arrived.notify_one();
        Ok(())
    }

    /// Makes durable what was put into the spool, and lets it be sent.
    pub fn commit(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        match spool.commit() {
            Ok(_) => {
                self.spool_works = true;
                self.memory.arrived.notify_one();
            }
            Err(error) => {
                self.spool_works = false;
                say_first(&self.counters.spool_failures, &error);
                self.counters.spool_failures.add(1);
            }
        }
    }

    /// Waits for room in memory, no longer than this. Whether there is some is found out by putting.
    pub fn wait_for_room(&self, patience: Duration) {
        let queue = self.memory.lock();
        drop(self.memory.freed.wait_timeout(queue, patience));
    }

    /// Ends the spool; nothing will be put any more. What the disk does not take now is lost and counted.
    pub fn close(mut self) {
        if let Some(spool) = self.spool.take() {
            let stats = spool.stats();
            if let Err(error) = spool.close() {
                tracing::error!(%error, "the end of the spool could not be written");
            }
            self.counters.abandoned.add(stats.read().uncommitted.records);
        }
        self.memory.lock().is_closed = true;
        self.memory.arrived.notify_one();
    }
}

/// The first failure of a kind is said, the rest are counted.
fn say_first(count: &super::Counter, error: &kflow_spool::Error) {
    if count.read() == 0 {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, source, "the spool does not work; it is tried again with each batch");
    }
}

impl Queue {
    fn put(&mut self, body: &[u8], encoding: ContentEncoding, records: u32) {
        self.bytes += body.len();
        self.parcels.push_back(Parcel {
            place: Place::Memory,
            epoch: self.epoch,
            sequence: self.next_sequence,
            encoding,
            records,
            body: body.to_vec(),
        });
        self.next_sequence += 1;
    }
}

impl Outlet {
    /// The next batch, oldest first. `None` if none arrives in time.
    pub fn next(&mut self, patience: Duration) -> Option<Parcel> {
        if let Some(parcel) = self.try_next() {
            return Some(parcel);
        }
        self.settle();
        self.wait(patience);
        self.try_next()
    }

    /// Until a batch is put or nothing will be put any more, but no longer than this.
    pub fn wait(&self, patience: Duration) {
        let queue = self.memory.lock();
        if queue.parcels.is_empty() && !queue.is_closed {
            drop(self.memory.arrived.wait_timeout(queue, patience));
        }
    }

    /// No batch will be put any more. One may still wait.
    pub fn is_closed(&self) -> bool {
        self.memory.lock().is_closed
    }

    /// The fate of the batch is known.
    pub fn done(&mut self, parcel: &Parcel, now: Moment) {
        match parcel.place {
            Place::Memory => self.free(parcel),
            Place::Spool => {
                let since = self.settled.map_or(now, |(_, since)| since);
                self.settled = Some((Sequence(parcel.sequence), since));
                if now.since(since) >= SETTLE_INTERVAL {
                    self.settle();
                }
            }
        }
    }

    /// Tells the spool what is settled.
    pub fn settle(&mut self) {
        let (Some((sequence, _)), Some(spool)) = (self.settled, &mut self.spool) else { return };
        match spool.acknowledge(sequence) {
            Ok(()) => self.settled = None,
            // The next batch, or the next round, tries again.
            Err(error) => {
                say_first(&self.counters.spool_failures, &error);
                self.counters.spool_failures.add(1);
            }
        }
    }

    /// Gives up what is in memory, this batch included. What is in the spool waits for the next start.
    pub fn abandon(&mut self, under_way: Option<&Parcel>) {
        let waiting = std::mem::take(&mut self.memory.lock().parcels);
        let of_memory = |parcel: &&Parcel| parcel.place == Place::Memory;
        for parcel in waiting.iter().chain(under_way.into_iter().filter(of_memory)) {
            self.counters.abandoned.add(u64::from(parcel.records));
            self.free(parcel);
        }
    }

    fn free(&self, parcel: &Parcel) {
        self.memory.lock().bytes -= parcel.body.len();
        self.counters.in_memory.subtract(u64::from(parcel.records));
        self.memory.freed.notify_one();
    }

    fn try_next(&mut self) -> Option<Parcel> {
        match self.spool.as_mut().map(Reader::next) {
            Some(Ok(Some(batch))) => return Some(self.parcel(batch)),
            Some(Ok(None)) | None => {}
            Some(Err(error)) => {
                say_first(&self.counters.spool_failures, &error);
                self.counters.spool_failures.add(1);
            }
        }
        self.memory.lock().parcels.pop_front()
    }

    fn parcel(&self, batch: kflow_spool::Batch) -> Parcel {
        Parcel {
            place: Place::Spool,
            epoch: self.spool.as_ref().map_or(0, Reader::epoch),
            sequence: batch.sequence.0,
            encoding: encoding_of(batch.kind),
            records: batch.records,
            body: batch.payload,
        }
    }
}

/// The number of an encoding in a spool's files: never another one.
fn kind_of(encoding: ContentEncoding) -> u8 {
    match encoding {
        ContentEncoding::Identity => 0,
        ContentEncoding::Gzip => 1,
        ContentEncoding::Zstd => 2,
    }
}

fn encoding_of(kind: u8) -> ContentEncoding {
    match kind {
        1 => ContentEncoding::Gzip,
        2 => ContentEncoding::Zstd,
        // A receiver will say what it thinks of others.
        _ => ContentEncoding::Identity,
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
