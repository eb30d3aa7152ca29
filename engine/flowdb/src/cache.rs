//! Partial results that are kept: what an aggregate came to in one part.
//!
//! The key is the part, whose rows never change, and what was computed, without the query's span of time. So the query of
//! tomorrow finds what the one of today left, and pays for new minutes only. In memory the least lately used go first. On
//! disk there is one file for each thing that was computed, `cache/<fingerprint>.partials`, to which entries are appended:
//!
//! ```text
//! length u32 │ CRC-32C of the rest u32 │ part u64 │ batches, as an Arrow IPC stream
//! ```
//!
//! It is a cache: what cannot be written is not kept, what cannot be read is computed again.

use crate::error::Error;
use crate::manifest::PartId;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What was computed: a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

/// The cache of an engine.
#[derive(Debug)]
pub struct PartialCache {
    memory: Mutex<Memory>,
    disk: Arc<Mutex<Disk>>,
    writer: Mutex<Option<Writer>>,
    counts: Counts,
}

/// Partial results of a part.
pub type Partial = Arc<[RecordBatch]>;

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheStats {
    pub memory_entries: u64,
    pub memory_bytes: u64,
    pub disk_files: u64,
    pub disk_bytes: u64,
    pub hits_in_memory: u64,
    pub hits_on_disk: u64,
    pub misses: u64,
    /// Entries that were not written because the disk was busy.
    pub not_written: u64,
}

#[derive(Debug, Default)]
struct Counts {
    hits_in_memory: AtomicU64,
    hits_on_disk: AtomicU64,
    misses: AtomicU64,
    not_written: AtomicU64,
}

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<(Fingerprint, PartId), Entry>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    partial: Partial,
    bytes: usize,
    used: u64,
}

#[derive(Debug)]
struct Disk {
    directory: PathBuf,
    bytes_max: u64,
    files: HashMap<Fingerprint, CacheFile>,
    clock: u64,
}

/// Where entries are in a file, and the length of each behind its head.
type Places = HashMap<PartId, (u64, u32)>;

#[derive(Debug, Default)]
struct CacheFile {
    bytes: u64,
    used: u64,
    /// Where entries are, once that was looked up.
    entries: Option<Places>,
}

#[derive(Debug)]
struct Writer {
    sender: SyncSender<Job>,
    thread: JoinHandle<()>,
}

enum Job {
    Keep(Fingerprint, PartId, Partial),
    Flush(SyncSender<()>),
}

const SUFFIX: &str = "partials";
const HEAD_BYTES: u64 = 16;
const JOBS_MAX: usize = 4096;
/// Of the capacity, the part that goes at once when it is used up.
const EVICTED_PART: usize = 8;

impl PartialCache {
    /// Opens the cache in a directory. A capacity of 0 is none.
    pub fn open(directory: &Path, memory_bytes: usize, disk_bytes: u64) -> Result<PartialCache, Error> {
        let told = |error: io::Error| Error::Store(format!("{}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(told)?;
        let mut files = HashMap::new();
        for entry in fs::read_dir(directory).map_err(told)? {
            let entry = entry.map_err(told)?;
            let name = entry.file_name();
            let Some((name, SUFFIX)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
            let Ok(number) = u128::from_str_radix(name, 16) else { continue };
            let bytes = entry.metadata().map_err(told)?.len();
            files.insert(Fingerprint(number), CacheFile { bytes, ..CacheFile::default() });
        }
        let disk = Disk { directory: directory.to_owned(), bytes_max: disk_bytes, files, clock: 0 };
        let disk = Arc::new(Mutex::new(disk));
        let (sender, receiver) = sync_channel(JOBS_MAX);
        let thread = {
            let disk = Arc::clone(&disk);
            std::thread::Builder::new().name("cache".to_owned()).spawn(move || write_jobs(&receiver, &disk))
        };
        let thread = thread.map_err(told)?;
        Ok(PartialCache {
            memory: Mutex::new(Memory { bytes_max: memory_bytes, ..Memory::default() }),
            disk,
            writer: Mutex::new(Some(Writer { sender, thread })),
            counts: Counts::default(),
        })
    }

    pub fn find(&self, fingerprint: Fingerprint, part: PartId) -> Option<Partial> {
        if let Some(partial) = lock(&self.memory).find((fingerprint, part)) {
            self.counts.hits_in_memory.fetch_add(1, Ordering::Relaxed);
            return Some(partial);
        }
        let found = lock(&self.disk).locate(fingerprint, part);
        let partial = found.and_then(|(path, at)| read_entry(&path, at, part).ok().flatten());
        let Some(partial) = partial else {
            self.counts.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.counts.hits_on_disk.fetch_add(1, Ordering::Relaxed);
        lock(&self.memory).keep((fingerprint, part), Arc::clone(&partial));
        Some(partial)
    }

    /// Whether it would be found, without counting that somebody looked.
    pub fn contains(&self, fingerprint: Fingerprint, part: PartId) -> bool {
        lock(&self.memory).entries.contains_key(&(fingerprint, part))
            || lock(&self.disk).locate(fingerprint, part).is_some()
    }

    pub fn keep(&self, fingerprint: Fingerprint, part: PartId, partial: &Partial) {
        lock(&self.memory).keep((fingerprint, part), Arc::clone(partial));
        let writer = lock(&self.writer);
        let Some(writer) = &*writer else { return };
        if writer.sender.try_send(Job::Keep(fingerprint, part, Arc::clone(partial))).is_err() {
            self.counts.not_written.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was kept so far is on the disk.
    pub fn flush(&self) {
        let (reply, answer) = sync_channel(1);
        let sent =
            lock(&self.writer).as_ref().is_some_and(|writer| writer.sender.send(Job::Flush(reply)).is_ok());
        if sent {
            let _ = answer.recv();
        }
    }

    pub fn stats(&self) -> CacheStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (memory_entries, memory_bytes) = {
            let memory = lock(&self.memory);
            (memory.entries.len() as u64, memory.bytes as u64)
        };
        let disk = lock(&self.disk);
        CacheStats {
            memory_entries,
            memory_bytes,
            disk_files: disk.files.len() as u64,
            disk_bytes: disk.files.values().map(|file| file.bytes).sum(),
            hits_in_memory: load(&self.counts.hits_in_memory),
            hits_on_disk: load(&self.counts.hits_on_disk),
            misses: load(&self.counts.misses),
            not_written: load(&self.counts.not_written),
        }
    }
}

impl Drop for PartialCache {
    fn drop(&mut self) {
        let writer = lock(&self.writer).take();
        if let Some(Writer { sender, thread }) = writer {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in between leaves a cache that lacks something, which it may.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn find(&mut self, key: (Fingerprint, PartId)) -> Option<Partial> {
        self.clock += 1;
        let entry = self.entries.get_mut(&key)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.partial))
    }

    fn keep(&mut self, key: (Fingerprint, PartId), partial: Partial) {
        let bytes =
            partial.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() + size_of::<Entry>();
        if bytes > self.bytes_max / EVICTED_PART {
            return;
        }
        self.clock += 1;
        let entry = Entry { partial, bytes, used: self.clock };
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= old.bytes;
        }
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let mut by_use: Vec<(u64, (Fingerprint, PartId))> =
            self.entries.iter().map(|(&key, entry)| (entry.used, key)).collect();
        by_use.sort_unstable();
        let target = self.bytes_max - self.bytes_max / EVICTED_PART;
        for (_, key) in by_use {
            if self.bytes <= target {
                return;
            }
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

impl Disk {
    fn path(&self, fingerprint: Fingerprint) -> PathBuf {
        self.directory.join(format!("{:032x}.{SUFFIX}", fingerprint.0))
    }

    /// The file and the place of an entry.
    fn locate(&mut self, fingerprint: Fingerprint, part: PartId) -> Option<(PathBuf, (u64, u32))> {
        let path = self.path(fingerprint);
        self.clock += 1;
        let file = self.files.get_mut(&fingerprint)?;
        file.used = self.clock;
        if file.entries.is_none() {
            let (entries, bytes) = index(&path).unwrap_or_default();
            file.entries = Some(entries);
            file.bytes = bytes;
        }
        let at = *file.entries.as_ref()?.get(&part)?;
        Some((path, at))
    }

    fn append(&mut self, fingerprint: Fingerprint, part: PartId, entry: &[u8]) -> io::Result<()> {
        if entry.len() as u64 > self.bytes_max / EVICTED_PART as u64 {
            return Ok(());
        }
        let path = self.path(fingerprint);
        self.clock += 1;
        let clock = self.clock;
        let file = self.files.entry(fingerprint).or_default();
        if file.entries.is_none() {
            // What is behind the last whole entry was being written when a process ended.
            let (entries, bytes) = index(&path).unwrap_or_default();
            file.entries = Some(entries);
            file.bytes = bytes;
        }
        let mut handle = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        handle.set_len(file.bytes)?;
        handle.seek(SeekFrom::Start(file.bytes))?;
        handle.write_all(entry)?;
        let payload = (entry.len() as u64 - HEAD_BYTES) as u32;
        file.entries.get_or_insert_default().insert(part, (file.bytes, payload));
        file.bytes += entry.len() as u64;
        file.used = clock;
        self.evict(fingerprint);
        Ok(())
    }

    fn evict(&mut self, kept: Fingerprint) {
        let mut bytes: u64 = self.files.values().map(|file| file.bytes).sum();
        if bytes <= self.bytes_max {
            return;
        }
        let mut by_use: Vec<(u64, Fingerprint)> =
            self.files.iter().map(|(&fingerprint, file)| (file.used, fingerprint)).collect();
        by_use.sort_unstable();
        let target = self.bytes_max - self.bytes_max / EVICTED_PART as u64;
        for (_, fingerprint) in by_use {
            if bytes <= target {
                return;
            }
            if fingerprint != kept || bytes > self.bytes_max {
                bytes -= self.files.remove(&fingerprint).map_or(0, |file| file.bytes);
                let _ = fs::remove_file(self.path(fingerprint));
            }
        }
    }
}

fn write_jobs(receiver: &Receiver<Job>, disk: &Mutex<Disk>) {
    while let Ok(job) = receiver.recv() {
        match job {
            Job::Keep(fingerprint, part, partial) => {
                let Ok(entry) = encode(part, &partial) else { continue };
                if let Err(error) = lock(disk).append(fingerprint, part, &entry) {
                    tracing::debug!(%error, "a partial result was not kept on disk");
                }
            }
            Job::Flush(reply) => {
                let _ = reply.send(());
            }
        }
    }
}

fn encode(part: PartId, partial: &[RecordBatch]) -> Result<Vec<u8>, datafusion::arrow::error::ArrowError> {
    let mut entry = vec![0; HEAD_BYTES as usize];
    if let Some(first) = partial.first() {
        let mut writer = StreamWriter::try_new(&mut entry, first.schema_ref())?;
        for batch in partial {
            writer.write(batch)?;
        }
        writer.finish()?;
    }
    let length = entry.len() as u32 - HEAD_BYTES as u32;
    entry[8..16].copy_from_slice(&part.0.to_le_bytes());
    let checksum = crc32c::crc32c(&entry[8..]);
    entry[..4].copy_from_slice(&length.to_le_bytes());
    entry[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(entry)
}

/// Where the entries of a file are, and where the last one ends.
fn index(path: &Path) -> io::Result<(Places, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut entries = HashMap::new();
    let mut offset = 0;
    let mut head = [0; HEAD_BYTES as usize];
    while offset + HEAD_BYTES <= length {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut head)?;
        let payload = u32::from_le_bytes(head[..4].try_into().expect("it is 4 bytes"));
        let part = u64::from_le_bytes(head[8..].try_into().expect("it is 8 bytes"));
        let end = offset + HEAD_BYTES + u64::from(payload);
        if end > length {
            break;
        }
        entries.insert(PartId(part), (offset, payload));
        offset = end;
    }
    Ok((entries, offset))
}

/// An entry, if it is what was written.
fn read_entry(path: &Path, (offset, payload): (u64, u32), part: PartId) -> io::Result<Option<Partial>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut entry = vec![0; HEAD_BYTES as usize + payload as usize];
    file.read_exact(&mut entry)?;
    let checksum = u32::from_le_bytes(entry[4..8].try_into().expect("it is 4 bytes"));
    let is_whole = crc32c::crc32c(&entry[8..]) == checksum && entry[8..16] == part.0.to_le_bytes();
    if !is_whole {
        return Ok(None);
    }
    if payload == 0 {
        return Ok(Some(Arc::new([])));
    }
    let reader = StreamReader::try_new(&entry[HEAD_BYTES as usize..], None).and_then(Iterator::collect);
    let batches: Option<Vec<RecordBatch>> = reader.ok();
    Ok(batches.map(Arc::from))
}
