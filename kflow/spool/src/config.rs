//! How large a spool may get.

use crate::error::Error;
use crate::segment::BLOCK_BYTES;
use crate::shared::OTHER_FILES_BYTES;

/// The limits of a spool. They may differ from one opening to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// All files of the spool take no more than this. At least four segments and [`Config::OTHER_FILES_BYTES`].
    pub bytes_max: u64,
    /// Length of a segment, which is allocated at once. The largest batch has to fit in. Batches are dropped by the
    /// segment.
    pub segment_bytes: u64,
    /// With less than this free on the disk the spool does not grow.
    pub disk_free_min: u64,
    /// How much waits in memory to be committed: with more an append commits by itself.
    pub group_bytes_max: u64,
    /// What gives way when there is no room for another segment.
    pub when_full: WhenFull,
}

/// What gives way at `bytes_max`, with less than `disk_free_min`, and on a full disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest batches, counted: the newest are worth more, as for records on their way to a receiver.
    #[default]
    DropOldest,
    /// The newest: a commit fails with [`Error::NoRoom`] until older batches are acknowledged, and so does an append when
    /// its group is full. Nothing that a commit returned for is given up for room, as for a log of what is still to be done.
    Refuse,
}

impl Config {
    /// What the files take that are no segments.
    pub const OTHER_FILES_BYTES: u64 = OTHER_FILES_BYTES;

    /// Says what contradicts itself.
    pub fn validate(&self) -> Result<(), Error> {
        let Config { bytes_max, segment_bytes, .. } = *self;
        let check = |holds, what| if holds { Ok(()) } else { Err(Error::Config { what }) };
        check(segment_bytes >= 2 * BLOCK_BYTES, "segment_bytes is less than 8 KiB")?;
        check(segment_bytes <= SEGMENT_BYTES_MAX, "segment_bytes is more than 1 GiB")?;
        check(segment_bytes.is_multiple_of(BLOCK_BYTES), "segment_bytes is no multiple of 4 KiB")?;
        let least = SEGMENTS_MIN * segment_bytes + OTHER_FILES_BYTES;
        check(bytes_max >= least, "bytes_max is less than four segments and 20 KiB")
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bytes_max: 1 << 30,
            segment_bytes: 16 << 20,
            disk_free_min: 512 << 20,
            group_bytes_max: 4 << 20,
            when_full: WhenFull::DropOldest,
        }
    }
}

const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// One that is written, one that is read, one that is spare, and one that goes while the next comes.
const SEGMENTS_MIN: u64 = 4;
