//! Opens a spool: finds out what is there, makes safe what is in doubt, and goes on behind it.
//!
//! 1. Take the lock. Make the names safe that are there.
//! 2. Read the headers of all segments, the cursor, and the newest segment to its end. Older segments are checked when
//!    they are read.
//! 3. What is in doubt at the end, if anything, is in memory now. It becomes the first group of a new segment; the old one ends before
//!    it. To fsync the old one again would not do: an fsync that failed before the crash leaves pages that look written.
//! 4. Sequences go on behind all that may have been handed out. After a close that is the next one.
//! 5. Write the cursor anew, for the same reason.
//!
//! Whatever fails of 3 and 5 on a spool that is there already is tried again by the next commit or acknowledgement.

use crate::config::Config;
use crate::cursor::{Cursor, Slot};
use crate::error::Error;
use crate::frame::FrameHeader;
use crate::fs::{Fs, Lock};
use crate::group::Group;
use crate::position::{Position, Tally};
use crate::reader::Reader;
use crate::shared::{Doomed, Ledger, Segment, Shared};
use crate::stats::{Reason, State};
use crate::stock::Stock;
use crate::tail::Tail;
use crate::writer::Writer;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What was found when a spool was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// There was no spool, or nothing that says which one it was: a new epoch began.
    pub is_new: bool,
    /// The writer had closed it.
    pub was_closed: bool,
    /// Batches to read, those in doubt included.
    pub waiting: Tally,
    /// Batches at the end of which nobody knew whether they were on the disk. They were written anew.
    pub rewritten: Tally,
    /// Bytes at the end that are no whole frame: what was being written, and never was committed, when power failed.
    pub torn_bytes: u64,
    /// Batches that are gone with their files, counted now: as [`Reason::Corrupt`] if there are segments that cannot be read,
    /// else as [`Reason::Missing`].
    pub missing: Tally,
    /// Segments in which nothing can be read, and their length.
    pub unreadable_segments: u64,
    pub unreadable_bytes: u64,
    /// No slot of the cursor can be read: batches may come again that were acknowledged.
    pub is_cursor_lost: bool,
}

/// Opens the spool in a directory, or creates it there.
///
/// Errors: another process has it open, a later version wrote it, the disk does not give back or take what is needed.
/// Nothing is lost by an error; the same call may succeed later.
pub fn open(fs: Arc<dyn Fs>, config: Config) -> Result<(Writer, Reader, Recovery), Error> {
    config.validate()?;
    let lock = fs.lock(LOCK_NAME).map_err(|source| {
        let is_taken = source.kind() == io::ErrorKind::WouldBlock;
        if is_taken { Error::Locked } else { Error::io("lock the spool")(source) }
    })?;
    let lock: Arc<dyn Lock> = lock.into();
    fs.sync().map_err(Error::io("make the names of the spool safe"))?;
    let stock = Stock::take(&*fs)?;
    let tail = read_tail(&*fs, &stock).map_err(Error::io("read the newest segment of the spool"))?;
    let is_new = stock.epoch.is_none();
    let epoch = match stock.epoch {
        Some(epoch) => epoch,
        None => fs.random().map_err(Error::io("choose an epoch"))?,
    };
    let (ledger, mut recovery) = account(&stock, &tail);
    let next = next_position(&stock, &tail, &ledger);
    let shared = Arc::new(Shared::new(fs, epoch, ledger));
    let cut = tail.is_rest_readable.then_some(tail.end_offset);
    let group = doubtful_group(&stock, tail.doubtful);
    recovery.rewritten = group.tally();
    recovery.waiting = shared.ledger().waiting() + group.tally();

    let mut writer = Writer {
        shared: Arc::clone(&shared),
        config,
        group,
        next,
        next_number: stock.newest_number.saturating_add(1),
        active: None,
        spare: None,
        pressure: State::Working,
        is_settled: false,
        credit_bytes: 0,
        is_closed: false,
        _lock: Arc::clone(&lock),
    };
    if let (Some(end), Some(newest)) = (cut, stock.segments.last()) {
        writer.credit_bytes = shared.cut(newest.number, end);
    }
    begin(&mut writer, is_new)?;
    let (cursor, slot) = write_cursor(&shared, &stock, is_new)?;
    Ok((writer, Reader::new(shared, cursor, slot, lock), recovery))
}

const LOCK_NAME: &str = "lock";

fn read_tail(fs: &dyn Fs, stock: &Stock) -> io::Result<Tail> {
    let (Some(epoch), Some(newest)) = (stock.epoch, stock.segments.last()) else {
        return Ok(Tail::default());
    };
    let mut tail = Tail::read(fs, epoch, newest, stock.slot().map_or(0, |slot| slot.safe.sequence))?;
    // An end that is not the end of the newest segment ends nothing.
    tail.is_closed &= newest.number == stock.newest_number;
    Ok(tail)
}

/// The account as it was when the last process ended.
fn account(stock: &Stock, tail: &Tail) -> (Ledger, Recovery) {
    let slot = stock.slot().copied();
    let first_doubtful = tail.doubtful.first().map(|(header, _)| header.position);
    let position = slot.map_or(Position::default(), |slot| slot.position);
    // What was safe once and is not found any more is corrupt; the reader counts it when it gets there.
    let known = slot.map_or(Position::default(), |slot| slot.safe);
    let end = tail.end.later(known).later(position);
    let safe = first_doubtful.map_or(end, |first| first.later(position));
    let first = stock.segments.first().map_or(safe, |stored| stored.first);
    let [cap, disk_low, missing] = stock.newest_header.map_or_else(Default::default, |header| header.dropped);
    let dropped = [cap, disk_low, missing, slot.map_or(Tally::default(), |slot| slot.corrupt)];
    let dropped_sum: Tally = dropped.iter().copied().sum();
    // A cursor that is lost says nothing of what is gone: most was acknowledged.
    let acknowledged = slot.map_or(first.before.without(dropped_sum), |slot| slot.acknowledged);
    let read = position.later(first);
    let unexplained = read.before.without(acknowledged).without(dropped_sum);
    let mut ledger = Ledger {
        segments: list(stock, tail),
        safe: safe.later(read),
        read,
        acknowledged,
        dropped,
        doomed: doomed(stock),
        spare_bytes: stock.spare_bytes,
        sequence_limit: stock.sequence_limit(),
        ..Ledger::default()
    };
    // Files that nothing can be read of are there, after all.
    let reason = if stock.unreadable.is_empty() { Reason::Missing } else { Reason::Corrupt };
    ledger.dropped[reason as usize] += unexplained;
    let recovery = Recovery {
        is_new: stock.epoch.is_none(),
        was_closed: tail.is_closed,
        torn_bytes: tail.torn_bytes,
        missing: unexplained,
        unreadable_segments: stock.unreadable.len() as u64,
        unreadable_bytes: stock.unreadable.iter().map(|segment| segment.file_bytes).sum(),
        is_cursor_lost: stock.has_cursor && slot.is_none(),
        ..Recovery::default()
    };
    (ledger, recovery)
}

fn list(stock: &Stock, tail: &Tail) -> VecDeque<Segment> {
    let segments = stock.segments.iter().map(|stored| Segment {
        number: stored.number,
        first: stored.first,
        end_offset: stored.file_bytes,
        file_bytes: stored.file_bytes,
    });
    let mut segments: VecDeque<Segment> = segments.collect();
    if let Some(newest) = segments.back_mut() {
        newest.end_offset = tail.safe_offset;
    }
    segments
}

fn doomed(stock: &Stock) -> Vec<Doomed> {
    let void = stock.void.iter().map(|stored| (stored.number, stored.file_bytes));
    let unreadable = stock.unreadable.iter().filter(|segment| segment.is_void);
    let unreadable = unreadable.map(|segment| (segment.number, segment.file_bytes));
    void.chain(unreadable).map(|(number, file_bytes)| Doomed { number, file_bytes }).collect()
}

/// Where the next batch will be: behind everything whose sequence may have been handed out.
fn next_position(stock: &Stock, tail: &Tail, ledger: &Ledger) -> Position {
    let end = tail.end.later(ledger.safe);
    let sequence = if tail.is_closed { end.sequence } else { end.sequence.max(stock.sequence_limit()) };
    Position { sequence: sequence.max(1), before: end.before }
}

fn doubtful_group(stock: &Stock, doubtful: Vec<(FrameHeader, Vec<u8>)>) -> Group {
    let done_below = stock.slot().map_or(0, |slot| slot.position.sequence);
    let mut group = Group::default();
    for (header, payload) in doubtful {
        if header.position.sequence >= done_below {
            group.push(header, &payload);
        }
    }
    group
}

/// Begins the first segment of this process, if there is something to be written or the cap is smaller now. Otherwise
/// the first append does.
fn begin(writer: &mut Writer, is_new: bool) -> Result<(), Error> {
    let is_over = writer.shared.ledger().file_bytes() > writer.config.bytes_max;
    if writer.group.is_empty() && !is_new && !is_over {
        return Ok(());
    }
    writer.shared.ledger().uncommitted = writer.group.tally();
    match writer.begin_segment() {
        Err(error) if is_new => Err(error),
        // The state says so, and the next commit tries again.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts a new file in place of the cursor's.
fn write_cursor(shared: &Shared, stock: &Stock, is_new: bool) -> Result<(Cursor, Slot), Error> {
    let generation = stock.slots.iter().map(|slot| slot.generation).max().unwrap_or(0);
    let mut cursor = Cursor::new(Arc::clone(&shared.fs), generation);
    let slot = Slot { epoch: shared.epoch, ..shared.ledger().slot() };
    match cursor.write(slot) {
        Ok(()) => {
            let mut ledger = shared.ledger();
            ledger.done = slot.position;
            ledger.doom_done();
        }
        Err(source) if is_new => return Err(Error::io("write the cursor of the spool")(source)),
        // The next acknowledgement tries again.
        Err(_) => {}
    }
    let _ = shared.remove_doomed();
    Ok((cursor, slot))
}
