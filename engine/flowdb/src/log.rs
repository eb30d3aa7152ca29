//! The log: what makes a batch durable before it is acknowledged.
//!
//! It is a spool ([`kflow_spool`]) that never drops: entries are the bodies of kflow as they came, and who sent them. One
//! thread owns it. It takes what waits, appends all of it, commits once, gives the rows to the store in the order of the log
//! and answers the senders. Entries are acknowledged, and so removed, once a commit of the manifest has their rows.
//!
//! An entry is the length of its head (4 bytes, little endian), the head (JSON) and the body.

use crate::devices::DeviceId;
use crate::engine::{BatchIdentity, Receipt};
use crate::error::Error;
use crate::ingest::{self, Decoder};
use crate::rows::{Arrival, Decoded};
use crate::store::Store;
use kflow::body::ContentEncoding;
use kflow_spool::fs::RealFs;
use kflow_spool::{Reader, Writer};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// What is known of a body besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// When it arrived, in milliseconds since the Unix epoch.
    now_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    encoding: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<(String, u64, u64)>,
}

/// A batch on its way into the log.
#[derive(Debug)]
pub struct Append {
    pub identity: Option<BatchIdentity>,
    pub device: Option<DeviceId>,
    pub encoding: ContentEncoding,
    pub body: Vec<u8>,
    /// What is in the body.
    pub decoded: Decoded,
    pub now_ms: i64,
}

/// The log of an open data directory.
#[derive(Debug)]
pub struct Log {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    file_bytes: Arc<AtomicU64>,
}

enum Message {
    Append(Box<Append>, oneshot::Sender<Result<Receipt, Error>>),
    /// Forget what the store has in parts.
    Release(oneshot::Sender<()>),
}

/// What was found when the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub batches: u64,
    pub rows: u64,
    /// Entries that could not be decoded again: there are none unless the disk lies or the limits changed.
    pub unreadable: u64,
    /// Batches that the spool found damaged or missing.
    pub lost_batches: u64,
}

/// A log that was opened and not yet read: the store needs its epoch first.
#[derive(Debug)]
pub struct Opened {
    writer: Writer,
    reader: Reader,
    lost_batches: u64,
    pub limits: LogLimits,
}

#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    pub bytes_max: u64,
    /// Rows that began longer ago are of the minute in which they arrive.
    pub age_max_ms: i64,
}

/// Batches that wait for the thread.
const QUEUE_BATCHES: usize = 256;
/// Bytes that are committed at once, about.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// A segment is a part of the log's size, and has to hold the largest body.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=64 << 20;

/// Opens the log in a directory, which no other process may have open.
pub fn open(directory: &Path, limits: LogLimits) -> Result<Opened, Error> {
    let fs = RealFs::create(directory)
        .map_err(|error| Error::Store(format!("{}: {error}", directory.display())))?;
    let segment_bytes =
        (limits.bytes_max / 16).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end()).next_multiple_of(4096);
    let config = kflow_spool::Config {
        bytes_max: limits.bytes_max.max(6 * segment_bytes),
        segment_bytes,
        disk_free_min: 64 << 20,
        group_bytes_max: u64::MAX,
        when_full: kflow_spool::WhenFull::Refuse,
    };
    let (writer, reader, recovery) =
        kflow_spool::open(Arc::new(fs), config).map_err(|error| match error {
            kflow_spool::Error::Locked => {
                Error::Store(format!("{}: another process has it open", directory.display()))
            }
            error => Error::Store(format!("{}: {error}", directory.display())),
        })?;
    Ok(Opened { writer, reader, lost_batches: recovery.missing.batches, limits })
}

impl Opened {
    /// What distinguishes this log from one that was in its place before.
    pub fn epoch(&self) -> u64 {
        self.writer.epoch()
    }

    /// Gives the store what it has not, and goes on from there.
    pub fn replay(mut self, store: Arc<Store>) -> Result<(Log, Replayed), Error> {
        let mut replayed = Replayed { lost_batches: self.lost_batches, ..Replayed::default() };
        let mut decoder = Decoder::new();
        while let Some(batch) = self.reader.next().map_err(|error| spool(&error))? {
            let sequence = batch.sequence.0;
            let Some(entry) = decode_entry(&batch.payload, &mut decoder, self.limits.age_max_ms) else {
                replayed.unreadable += 1;
                store.apply(sequence, None, Vec::new(), 0);
                continue;
            };
            let (identity, decoded, now_ms) = entry;
            replayed.batches += 1;
            replayed.rows += decoded.count;
            store.apply(sequence, identity.as_ref(), decoded.rows, now_ms);
        }
        store.end_replay();
        let (sender, receiver) = sync_channel(QUEUE_BATCHES);
        let file_bytes = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            writer: self.writer,
            reader: self.reader,
            store,
            waiting: Vec::new(),
            names: HashSet::new(),
            last_read: 0,
            file_bytes: Arc::clone(&file_bytes),
        };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || keeper.run(&receiver))
            .map_err(|error| Error::Store(format!("start the log's thread: {error}")))?;
        Ok((Log { sender: Some(sender), thread: Some(thread), file_bytes }, replayed))
    }
}

impl Log {
    /// Makes a batch durable and visible.
    ///
    /// Errors: [`Error::Busy`] if too much waits, or the log is full; the batch may come again.
    pub async fn append(&self, append: Append) -> Result<Receipt, Error> {
        let (reply, answer) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(Error::Closed)?;
        match sender.try_send(Message::Append(Box::new(append), reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Error::Busy(format!("{QUEUE_BATCHES} batches wait for the log")));
            }
            Err(TrySendError::Disconnected(_)) => return Err(Error::Closed),
        }
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Removes what is in parts.
    pub async fn release(&self) {
        let (reply, answer) = oneshot::channel();
        let Some(sender) = self.sender.clone() else { return };
        let sent = tokio::task::spawn_blocking(move || sender.send(Message::Release(reply))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = answer.await;
        }
    }

    /// What its files take.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Ends the thread; what was taken is durable.
    pub fn close(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread's own.
struct Keeper {
    writer: Writer,
    reader: Reader,
    store: Arc<Store>,
    /// Appended and not committed yet, in order.
    waiting: Vec<Waiting>,
    /// Of those, the names.
    names: HashSet<BatchIdentity>,
    /// The last sequence that was read to be acknowledged.
    last_read: u64,
    file_bytes: Arc<AtomicU64>,
}

struct Waiting {
    sequence: u64,
    identity: Option<BatchIdentity>,
    decoded: Decoded,
    now_ms: i64,
    /// `None` once the sender was told to come again.
    reply: Option<oneshot::Sender<Result<Receipt, Error>>>,
}

impl Keeper {
    fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(message) = receiver.recv() {
            let mut bytes = self.take(message);
            while bytes < GROUP_BYTES_MAX
                && let Ok(message) = receiver.try_recv()
            {
                bytes += self.take(message);
            }
            self.commit();
        }
        self.commit();
        if let Err(error) = self.writer.close() {
            tracing::warn!(%error, "the log was not closed; nothing is lost by that");
        }
    }

    /// Appends a batch, or does what else is asked. Returns the bytes that now wait.
    fn take(&mut self, message: Message) -> usize {
        let (append, reply) = match message {
            Message::Append(append, reply) => (append, reply),
            Message::Release(reply) => {
                self.commit();
                self.release();
                let _ = reply.send(());
                return 0;
            }
        };
        let rows = append.decoded.count;
        if let Some(identity) = &append.identity {
            if self.store.has_seen(identity) {
                let _ = reply.send(Ok(Receipt { rows, is_repeated: true }));
                return 0;
            }
            if self.names.contains(identity) {
                let _ = reply.send(Err(Error::Busy("the same batch waits for the disk".to_owned())));
                return 0;
            }
        }
        let payload = encode_entry(&append);
        match self.writer.append(&payload, u32::try_from(rows).unwrap_or(u32::MAX), 0) {
            Ok(sequence) => {
                self.names.extend(append.identity.clone());
                self.waiting.push(Waiting {
                    sequence: sequence.0,
                    identity: append.identity,
                    decoded: append.decoded,
                    now_ms: append.now_ms,
                    reply: Some(reply),
                });
            }
            Err(error) => {
                let _ = reply.send(Err(Error::Busy(error.to_string())));
            }
        }
        payload.len()
    }

    fn commit(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let committed = self.writer.commit();
        self.file_bytes.store(self.writer.stats().read().file_bytes, Ordering::Relaxed);
        if let Err(error) = committed {
            // They stay where they are and count once a later commit has them; until then nobody is told that they do.
            for waiting in &mut self.waiting {
                if let Some(reply) = waiting.reply.take() {
                    let _ = reply.send(Err(Error::Busy(error.to_string())));
                }
            }
            return;
        }
        self.names.clear();
        for waiting in self.waiting.drain(..) {
            let rows = waiting.decoded.count;
            self.store.apply(
                waiting.sequence,
                waiting.identity.as_ref(),
                waiting.decoded.rows,
                waiting.now_ms,
            );
            if let Some(reply) = waiting.reply {
                let _ = reply.send(Ok(Receipt { rows, is_repeated: false }));
            }
        }
    }

    /// Acknowledges what the store has in parts. The spool wants to hand out a batch before.
    fn release(&mut self) {
        let until = self.store.releasable();
        while self.last_read < until {
            match self.reader.next() {
                Ok(Some(batch)) => self.last_read = batch.sequence.0,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read back");
                    break;
                }
            }
        }
        if until > 0
            && let Err(error) = self.reader.acknowledge(kflow_spool::Sequence(until))
        {
            tracing::warn!(%error, "the log cannot forget");
        }
        self.file_bytes.store(self.writer.stats().read().file_bytes, Ordering::Relaxed);
    }
}

fn encode_entry(append: &Append) -> Vec<u8> {
    let batch = append.identity.as_ref().map(|batch| (batch.sensor.clone(), batch.epoch, batch.sequence));
    let head = Head {
        now_ms: append.now_ms,
        device: append.device,
        encoding: append.encoding.name().to_owned(),
        batch,
    };
    let head = serde_json::to_vec(&head).expect("it is plain data");
    let mut entry = Vec::with_capacity(4 + head.len() + append.body.len());
    entry.extend_from_slice(&(head.len() as u32).to_le_bytes());
    entry.extend_from_slice(&head);
    entry.extend_from_slice(&append.body);
    entry
}

fn decode_entry(
    entry: &[u8],
    decoder: &mut Decoder,
    age_max_ms: i64,
) -> Option<(Option<BatchIdentity>, Decoded, i64)> {
    let (length, rest) = entry.split_first_chunk::<4>()?;
    let (head, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let encoding = ingest::encoding_named(&head.encoding)?;
    let arrival = Arrival { device: head.device, now_ms: head.now_ms, age_max_ms };
    let decoded = decoder.decode(body, encoding, arrival).ok()?;
    let identity = head.batch.map(|(sensor, epoch, sequence)| BatchIdentity { sensor, epoch, sequence });
    Some((identity, decoded, head.now_ms))
}

fn spool(error: &kflow_spool::Error) -> Error {
    Error::Store(format!("the log: {error}"))
}
