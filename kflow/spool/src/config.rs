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
        }
    }
}

const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// One that is written, one that is read, one that is spare, and one that goes while the next comes.
const SEGMENTS_MIN: u64 = 4;
