//! What became of all batches, to the record.

use crate::position::Tally;
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;

/// Why batches were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The oldest, because the spool has reached its size.
    Cap,
    /// The oldest, because the disk is full or below `disk_free_min`.
    DiskLow,
    /// Files are gone that held them: removed by others, or dropped by a process that died before it could note it.
    Missing,
    /// The disk gave back something else than what was written, or nothing.
    Corrupt,
}

impl Reason {
    pub const ALL: [Reason; 4] = [Reason::Cap, Reason::DiskLow, Reason::Missing, Reason::Corrupt];

    pub fn name(self) -> &'static str {
        match self {
            Reason::Cap => "cap",
            Reason::DiskLow => "disk_low",
            Reason::Missing => "missing",
            Reason::Corrupt => "corrupt",
        }
    }
}

/// How the spool gets on with its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Working,
    /// The oldest batches are dropped for new ones: the spool has reached its size.
    AtCap,
    /// The oldest batches are dropped for new ones: the disk is full or below `disk_free_min`.
    DiskLow,
    /// Nothing is committed: there is no room for a segment and nothing left that may be dropped.
    NoRoom,
    /// Nothing is committed: the disk fails. The next commit tries again.
    Failing,
    /// The writer is gone.
    Closed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Working => "working",
            State::AtCap => "at_cap",
            State::DiskLow => "disk_low",
            State::NoRoom => "no_room",
            State::Failing => "failing",
            State::Closed => "closed",
        }
    }
}

/// The account of a spool at one moment. Tallies are since the spool was created, over all processes:
/// `appended == acknowledged + Σ dropped + waiting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What is or was safe on the disk.
    pub appended: Tally,
    pub acknowledged: Tally,
    /// By [`Reason::ALL`].
    pub(crate) dropped: [Tally; 4],
    /// Safe on the disk, or handed out, and not acknowledged.
    pub waiting: Tally,
    /// Appended and not yet committed, so not part of `appended`.
    pub uncommitted: Tally,
    pub state: State,
    /// Times that an fsync failed, since this process opened the spool.
    pub sync_failures: u64,
    pub segments: u64,
    /// What the spool takes on the disk.
    pub file_bytes: u64,
}

impl Stats {
    pub fn dropped(&self, reason: Reason) -> Tally {
        self.dropped[reason as usize]
    }

    pub fn dropped_for_any_reason(&self) -> Tally {
        self.dropped.iter().copied().sum()
    }
}

/// Tells the account of a spool, from any thread. Never waits for the disk.
#[derive(Clone)]
pub struct StatsHandle(pub(crate) Arc<Shared>);

impl StatsHandle {
    pub fn read(&self) -> Stats {
        self.0.ledger().stats()
    }
}

impl fmt::Debug for StatsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatsHandle").field(&self.read()).finish()
    }
}
