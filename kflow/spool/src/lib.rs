//! Store and forward on disk: batches of records survive crashes until somebody has acknowledged them.
//!
//! In: payloads, opaque bytes that stand for a number of records each. Out: the same, in order, at least once. When the
//! spool has reached its size the oldest go, counted to the record, or nothing more comes in ([`WhenFull`]). It knows nothing of what is in a payload, sends nothing,
//! starts no thread and reads no clock.
//!
//! ```text
//! Writer::append ─► group in memory
//! Writer::commit ─► newest segment ─► fdatasync ─► safe ─► Reader::next ─► somebody delivers it
//!                                                                                     │
//!                  oldest segment removed ◄─ fdatasync ◄─ cursor ◄─ Reader::acknowledge
//! ```
//!
//! # The life of a batch
//!
//! 1. [`Writer::append`] gives it a [`Sequence`] and keeps it in memory as a frame (`frame.rs`).
//! 2. [`Writer::commit`] writes all frames that wait to the newest segment (`segment.rs`) and waits for the disk. Only now
//!    the batch counts as appended, and the reader can see it.
//! 3. [`Reader::next`] hands it out, if what the disk gives back has the right checksum.
//! 4. [`Reader::acknowledge`] writes to the cursor (`cursor.rs`) that it is done with, and waits for the disk.
//! 5. When all batches of a segment are done with, the segment is removed.
//!
//! # What holds at any moment
//!
//! * `appended == acknowledged + dropped + waiting`, in batches, records and bytes, since the spool was created, over all
//!   processes and crashes. Each frame has running totals, so what is missing between two frames is known exactly.
//! * What a commit returned for is handed out or counted as dropped. What was acknowledged is not handed out again. Only what
//!   was handed out and not acknowledged comes again after a crash, under the same sequence.
//! * No sequence is given to two batches of an [epoch](Writer::epoch).
//! * No byte that is safe is in a block that is written again, and no file is used after its fsync failed.
//! * Writer and reader live on threads of their own, and neither waits for the other's disk operations.
//!
//! What is not known is what was lost from the last group of a spool that was not closed: a torn tail looks the same whether
//! power failed while it was written or the disk damaged it later. [`Recovery::torn_bytes`] tells how long it was.

mod config;
mod cursor;
mod error;
#[cfg(feature = "model")]
pub mod forge;
mod frame;
pub mod fs;
mod group;
pub mod inspect;
mod position;
mod reader;
mod recovery;
mod room;
mod scan;
mod segment;
mod shared;
mod stats;
mod stock;
mod tail;
mod writer;

pub use config::{Config, WhenFull};
pub use error::Error;
pub use position::{Sequence, Tally};
pub use reader::{Batch, DAMAGE_MAX, Damage, REFUSALS_MAX, Reader, Wait};
pub use recovery::{Recovery, open};
pub use stats::{Reason, State, Stats, StatsHandle};
pub use writer::Writer;
