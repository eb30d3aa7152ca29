//! Flows: the key, the fixed-capacity table, and the timer wheel that ends idle ones.
//!
//! In: decoded packets with the current moment. Out: [`kflow::FlowRecord`]s through a callback. No I/O, no
//! clock, no allocation after construction.

mod entry;
mod index;
pub mod key;
mod list;
mod response;
pub mod table;
pub mod tcp;
mod wheel;

pub use entry::Inspection;
pub use key::{Domain, FlowKey};
pub use table::{Amount, Emit, Ending, FlowTable, Observation, SlotId, TableConfig};

/// Nanoseconds as a record has them. More than 71 minutes count as that.
fn microseconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
