//! Frames of an interface that the host goes on using: a copy of what it receives and sends, through a ring that
//! the kernel fills (TPACKET_V3 of `linux/if_packet.h`).
//!
//! In: an interface name and the ring's size. Out: frames that borrow from the ring, with the kernel's time stamps.
//! 1. The kernel fills one block of the ring after the other and hands each over when it is full or old enough.
//! 2. [`block`] finds up to a burst of frames in the block at hand and puts a VLAN tag that the kernel or the card
//!    took out back in its place.
//! 3. `receive` lends them. After its last frame was visited the block goes back to the kernel ([`ring`]).
//!
//! Several workers share an interface as members of one fanout group: the kernel chooses by a hash that is the same
//! for both directions of a conversation. Traffic itself is left alone.

mod block;
mod ring;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::clock::Moment;
use crate::source::{BURST_FRAMES_MAX, Frame, KernelCounts, Received, Source, SourceError};

use self::block::Cursor;
use self::ring::Ring;

/// What to open.
#[derive(Clone, Debug)]
pub struct AfPacketConfig {
    pub interface: String,
    /// One block of the ring: a multiple of the page size. A frame larger than a block is cut to fit.
    pub block_bytes: u32,
    /// Blocks of the ring, at least two.
    pub block_count: u32,
    /// A block that is not full is handed over after this long.
    pub block_timeout_ms: u32,
    /// Captured bytes of a frame; what is beyond is cut off.
    pub frame_bytes_max: u32,
    pub fanout: Option<Fanout>,
    /// Also frames that are for other hosts.
    pub promiscuous: bool,
}

impl AfPacketConfig {
    /// A ring of 64 MiB, whole frames, one worker.
    pub fn new(interface: &str) -> AfPacketConfig {
        AfPacketConfig {
            interface: interface.to_string(),
            block_bytes: 1 << 20,
            block_count: 64,
            block_timeout_ms: 10,
            frame_bytes_max: 262_144,
            fanout: None,
            promiscuous: true,
        }
    }
}

/// The group that shares an interface: every worker opens a source with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// Told apart within the network namespace.
    pub group: u16,
    /// How many sources may join; one more is refused.
    pub members: u16,
}

/// Counts of the kernel since the source was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AfPacketStatistics {
    /// Frames that the kernel had for this source: those lent, those still in the ring and the drops.
    pub packets: u64,
    /// Frames that found the ring full.
    pub drops: u64,
    /// Times that the kernel stopped because no block was free.
    pub freezes: u64,
}

/// An interface that is being captured.
#[derive(Debug)]
pub struct AfPacketSource {
    ring: Ring,
    cursor: Option<Cursor>,
    statistics: AfPacketStatistics,
    empty_calls: u32,
    /// Found while waiting; told once the ring is empty.
    failure: Option<SourceError>,
}

impl AfPacketSource {
    pub fn open(config: &AfPacketConfig) -> Result<AfPacketSource, AfPacketError> {
        let ring = Ring::open(config)?;
        Ok(AfPacketSource {
            ring,
            cursor: None,
            statistics: AfPacketStatistics::default(),
            empty_calls: 0,
            failure: None,
        })
    }

    /// To wait for several sources at once; readable when a block is handed over.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// Reading resets the kernel's counts, so they are summed here.
    pub fn statistics(&mut self) -> io::Result<AfPacketStatistics> {
        let since_last = self.ring.take_statistics()?;
        self.statistics.packets += since_last.packets;
        self.statistics.drops += since_last.drops;
        self.statistics.freezes += since_last.freezes;
        Ok(self.statistics)
    }

    /// Nothing is waiting. An idle interface may be a missing one, which is looked into now and then.
    fn nothing(&mut self) -> Result<Received, SourceError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.empty_calls += 1;
        if self.empty_calls == EMPTY_CALLS_MAX {
            self.empty_calls = 0;
            self.ring.check_interface()?;
        }
        Ok(Received::Nothing)
    }
}

impl Source for AfPacketSource {
    fn receive(&mut self, now: Moment, visit: impl FnMut(&[Frame<'_>])) -> Result<Received, SourceError> {
        let mut visit = visit;
        loop {
            let Some(block) = self.ring.block() else { return self.nothing() };
            let cursor = self.cursor.get_or_insert_with(|| Cursor::start(block));
            let mut frames = [Frame::EMPTY; BURST_FRAMES_MAX];
            let count = block::walk(block, cursor, &mut frames)
                .ok_or_else(|| SourceError::Io(io::Error::from(io::ErrorKind::InvalidData)))?;
            if count > 0 {
                for frame in &mut frames[..count] {
                    frame.time = plausible(frame.time, now);
                }
                visit(&frames[..count]);
            }
            if cursor.is_at_end() {
                self.cursor = None;
                self.ring.release();
            }
            if count > 0 {
                return Ok(Received::Frames(count));
            }
        }
    }

    /// Until the kernel hands a block over. An interface that is down is waited for; that it no longer exists is told
    /// by the next `receive` that finds nothing.
    fn wait(&mut self, timeout: Duration) {
        if let Err(failure) = self.ring.wait(timeout) {
            self.failure = Some(failure);
        }
    }

    fn kernel_counts(&mut self) -> KernelCounts {
        // Counts that cannot be read now stay in the kernel for the next call.
        let _ = self.statistics();
        KernelCounts { offered: self.statistics.packets, dropped: self.statistics.drops }
    }
}

/// The kernel stamps with wall time, which somebody may set; the flows' timers run on a clock that only goes on.
fn plausible(stamp: Moment, now: Moment) -> Moment {
    if stamp.since(now).max(now.since(stamp)) > CLOCKS_APART_NS { now } else { stamp }
}

/// Why an interface cannot be captured.
#[derive(Debug)]
pub enum AfPacketError {
    NoSuchInterface {
        interface: String,
    },
    /// Capturing needs CAP_NET_RAW.
    NotPermitted,
    /// The kernel refuses a ring of this shape.
    Ring {
        block_bytes: u32,
        block_count: u32,
        source: io::Error,
    },
    /// The group is full, or exists with another mode or size.
    Fanout {
        group: u16,
        source: io::Error,
    },
    /// Any other call failed.
    System {
        doing: &'static str,
        source: io::Error,
    },
}

impl std::fmt::Display for AfPacketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AfPacketError::NoSuchInterface { interface } => write!(f, "there is no interface {interface:?}"),
            AfPacketError::NotPermitted => write!(f, "capturing needs the capability CAP_NET_RAW"),
            AfPacketError::Ring { block_bytes, block_count, .. } => {
                write!(f, "the kernel refuses a ring of {block_count} blocks of {block_bytes} bytes")
            }
            AfPacketError::Fanout { group, .. } => {
                write!(f, "cannot join fanout group {group}: it is full or was made with other settings")
            }
            AfPacketError::System { doing, .. } => write!(f, "cannot {doing}"),
        }
    }
}

impl std::error::Error for AfPacketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AfPacketError::NoSuchInterface { .. } | AfPacketError::NotPermitted => None,
            AfPacketError::Ring { source, .. }
            | AfPacketError::Fanout { source, .. }
            | AfPacketError::System { source, .. } => Some(source),
        }
    }
}

const EMPTY_CALLS_MAX: u32 = 1024;
/// A time stamp further from the sensor's own clock than this is of another time.
const CLOCKS_APART_NS: u64 = 1_000_000_000;
