//! Records as flow files: one named file, or a directory of files that are begun anew by size and by time.
//!
//! In a directory a file is called `flows-<time>-<sequence>.kflow`, with the time of its first batch and a
//! sequence that grows by one from file to file. While it is written its name ends in `.open`, so whoever
//! reads finished names never sees half a file. Time is that of the records, or what the caller tells.

use super::{Sink, SinkError};
use crate::codec::Encoder;
use crate::error::Error;
use crate::file;
use crate::record::FlowRecord;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes one named flow file, from its beginning.
#[derive(Debug)]
pub struct SingleFileSink {
    encoder: Encoder,
    file: Appended,
}

impl SingleFileSink {
    /// Creates the file or empties the one that is there.
    pub fn create(path: &Path) -> Result<SingleFileSink, Error> {
        let file =
            File::create(path).map_err(|source| Error::io(format!("create {}", path.display()), source))?;
        Ok(SingleFileSink { encoder: Encoder::new(), file: Appended { file, bytes: 0 } })
    }
}

impl Sink for SingleFileSink {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        self.file.append(records, &mut self.encoder)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // Every batch is handed to the operating system as it is written.
        Ok(())
    }

    fn name(&self) -> &'static str {
        "file"
    }
}

/// A file that grows by whole batches.
#[derive(Debug)]
struct Appended {
    file: File,
    bytes: u64,
}

impl Appended {
    /// Appends a batch, wholly or, after an error, not at all: half a message would hide all later ones.
    fn append(&mut self, records: &[FlowRecord], encoder: &mut Encoder) -> Result<u64, Error> {
        let result = file::append(records, encoder, &mut self.file);
        match &result {
            Ok(written) => self.bytes += written,
            Err(_) => self.cut_back(),
        }
        result
    }

    fn cut_back(&mut self) {
        // Devices and pipes cannot be cut; the write error that led here is the one to report.
        let _ = self.file.set_len(self.bytes).and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
    }
}

/// Where flow files go and when the next one begins.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// Created if it is not there.
    pub directory: PathBuf,
    /// A file that has reached this size is finished.
    pub file_bytes_max: u64,
    /// A file whose first batch is this long ago is finished.
    pub file_age_max: Duration,
    /// When there are more finished files the oldest are removed.
    pub files_kept_max: Option<usize>,
    /// When finished files take more bytes the oldest are removed, all but the newest.
    pub bytes_kept_max: Option<u64>,
}

/// What a [`DirectorySink`] has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryStats {
    pub records_written: u64,
    pub bytes_written: u64,
    pub files_finished: u64,
    /// Files that were removed to keep to the limits.
    pub files_removed: u64,
    pub bytes_removed: u64,
    /// Files of an earlier process that ended without closing them, finished now.
    pub files_recovered: u64,
}

/// Writes flow files into a directory.
#[derive(Debug)]
pub struct DirectorySink {
    config: DirectoryConfig,
    encoder: Encoder,
    open: Option<OpenFile>,
    /// Finished files, oldest first.
    finished: VecDeque<Finished>,
    next_sequence: u64,
    /// The latest time seen.
    now_ns: u64,
    stats: DirectoryStats,
    /// A file could not be finished or removed while records were written, which they were.
    deferred: Option<Error>,
}

#[derive(Debug)]
struct OpenFile {
    file: Appended,
    /// The name that the file gets when it is finished.
    path: PathBuf,
    begun_ns: u64,
}

#[derive(Debug)]
struct Finished {
    sequence: u64,
    path: PathBuf,
    bytes: u64,
}

/// Ends the name of a file that is being written.
const OPEN_SUFFIX: &str = ".open";

impl DirectorySink {
    /// Opens a directory, which is created if need be. Files that an earlier process left open are cut to
    /// their last whole message and finished.
    pub fn open(config: DirectoryConfig) -> Result<DirectorySink, Error> {
        let directory = &config.directory;
        fs::create_dir_all(directory)
            .map_err(|source| Error::io(format!("create {}", directory.display()), source))?;
        let mut sink = DirectorySink {
            config,
            encoder: Encoder::new(),
            open: None,
            finished: VecDeque::new(),
            next_sequence: 1,
            now_ns: 0,
            stats: DirectoryStats::default(),
            deferred: None,
        };
        sink.take_stock()?;
        sink.remove_oldest()?;
        Ok(sink)
    }

    pub fn stats(&self) -> DirectoryStats {
        self.stats
    }

    /// Learns of the files that are there and finishes those that were left open.
    fn take_stock(&mut self) -> Result<(), Error> {
        let directory = self.config.directory.clone();
        let failed = |source| Error::io(format!("read {}", directory.display()), source);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let finished_name = name.strip_suffix(OPEN_SUFFIX).unwrap_or(name);
            let Some(sequence) = sequence_of(finished_name) else {
                continue;
            };
            self.next_sequence = self.next_sequence.max(sequence + 1);
            if finished_name != name {
                let finished_path = directory.join(finished_name);
                self.recover(&path, sequence, finished_path)?;
                continue;
            }
            let bytes = fs::metadata(&path).map_err(failed)?.len();
            self.finished.push_back(Finished { sequence, path, bytes });
        }
        self.finished.make_contiguous().sort_by_key(|file| file.sequence);
        Ok(())
    }

    /// Finishes a file that was left open, unless a living process still writes it.
    fn recover(&mut self, open_path: &Path, sequence: u64, path: PathBuf) -> Result<(), Error> {
        let failed = |source| Error::io(format!("recover {}", open_path.display()), source);
        let file = OpenOptions::new().read(true).write(true).open(open_path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let bytes = file::whole_frames_bytes(io::BufReader::new(&file))?;
        file.set_len(bytes).map_err(failed)?;
        fs::rename(open_path, &path).map_err(failed)?;
        self.finished.push_back(Finished { sequence, path, bytes });
        self.stats.files_recovered += 1;
        Ok(())
    }

    fn begin_file(&mut self) -> Result<OpenFile, Error> {
        let name = format!("flows-{}-{:06}.kflow", utc(self.now_ns), self.next_sequence);
        let path = self.config.directory.join(name);
        let open_path = open_path(&path);
        let failed = |source| Error::io(format!("create {}", open_path.display()), source);
        let file = OpenOptions::new().write(true).create_new(true).open(&open_path).map_err(failed)?;
        // Tells another process that the file is not an orphan. Where locks do not exist it may err.
        let _ = file.try_lock();
        self.next_sequence += 1;
        Ok(OpenFile { file: Appended { file, bytes: 0 }, path, begun_ns: self.now_ns })
    }

    /// Finishes the open file if its size or age says so.
    fn rotate_if_due(&mut self) -> Result<(), Error> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let age_ns = u128::from(self.now_ns.saturating_sub(open.begun_ns));
        if open.file.bytes >= self.config.file_bytes_max || age_ns >= self.config.file_age_max.as_nanos() {
            return self.finish_file();
        }
        Ok(())
    }

    fn finish_file(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let from = open_path(&open.path);
        fs::rename(&from, &open.path)
            .map_err(|source| Error::io(format!("rename {}", from.display()), source))?;
        let sequence = self.next_sequence - 1;
        self.finished.push_back(Finished { sequence, path: open.path, bytes: open.file.bytes });
        self.stats.files_finished += 1;
        self.remove_oldest()
    }

    /// Removes finished files, oldest first, until the limits are kept.
    fn remove_oldest(&mut self) -> Result<(), Error> {
        let mut bytes: u64 = self.finished.iter().map(|file| file.bytes).sum();
        while self.exceeds_limits(bytes) {
            let Some(oldest) = self.finished.pop_front() else {
                return Ok(());
            };
            bytes -= oldest.bytes;
            match fs::remove_file(&oldest.path) {
                Ok(()) => {
                    self.stats.files_removed += 1;
                    self.stats.bytes_removed += oldest.bytes;
                }
                // Somebody else took it away: nothing is lost by us.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::io(format!("remove {}", oldest.path.display()), source)),
            }
        }
        Ok(())
    }

    fn exceeds_limits(&self, bytes: u64) -> bool {
        let files = self.finished.len();
        let too_many = self.config.files_kept_max.is_some_and(|max| files > max);
        let too_large = self.config.bytes_kept_max.is_some_and(|max| bytes > max);
        too_many || too_large && files > 1
    }
}

impl Sink for DirectorySink {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        let Some(latest_ns) = records.iter().map(|record| record.end_ns).max() else {
            return Ok(());
        };
        // What became of these records does not depend on older files: their fault is told by the next `advance`.
        self.deferred = self.advance(latest_ns).err();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin_file()?,
        };
        let result = open.file.append(records, &mut self.encoder);
        self.open = Some(open);
        let bytes = result?;
        self.stats.records_written += records.len() as u64;
        self.stats.bytes_written += bytes;
        if let Err(error) = self.rotate_if_due() {
            self.deferred = Some(error);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // Every batch is handed to the operating system as it is written.
        Ok(())
    }

    fn name(&self) -> &'static str {
        "directory"
    }

    fn advance(&mut self, now_ns: u64) -> Result<(), SinkError> {
        self.now_ns = self.now_ns.max(now_ns);
        self.rotate_if_due()?;
        self.deferred.take().map_or(Ok(()), Err)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.finish_file()?;
        self.deferred.take().map_or(Ok(()), Err)
    }
}

impl Drop for DirectorySink {
    fn drop(&mut self) {
        // Nobody is left to tell; who wants to know calls `close`. The next opener recovers the file.
        let _ = self.finish_file();
    }
}

fn open_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OPEN_SUFFIX);
    PathBuf::from(name)
}

/// The sequence in a finished file's name; `None` for files that are none of ours.
fn sequence_of(name: &str) -> Option<u64> {
    let (_time, sequence) = name.strip_prefix("flows-")?.strip_suffix(".kflow")?.rsplit_once('-')?;
    sequence.parse::<u32>().ok().map(u64::from)
}

/// A time as `yyyymmddThhmmssZ`.
fn utc(time_ns: u64) -> String {
    let seconds = time_ns / 1_000_000_000;
    let (year, month, day) = date(seconds / SECONDS_PER_DAY);
    let second = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

const SECONDS_PER_DAY: u64 = 86_400;

/// Year, month and day of a day counted from 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let mut day = days;
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    let february = days_of_year(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for days in months {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}

fn days_of_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(0), "19700101T000000Z");
        assert_eq!(utc(951_827_696_000_000_000), "20000229T123456Z");
        assert_eq!(utc(1_798_761_599_999_999_999), "20261231T235959Z");
        assert_eq!(utc(4_107_542_400_000_000_000), "21000301T000000Z");
        assert_eq!(utc(u64::MAX), "25540721T233433Z");
    }

    #[test]
    fn foreign_names_have_no_sequence() {
        assert_eq!(sequence_of("flows-20261231T235959Z-000007.kflow"), Some(7));
        assert_eq!(sequence_of("flows-20261231T235959Z-000007.kflow.open"), None);
        assert_eq!(sequence_of("notes.txt"), None);
    }
}
