//! Flows: the key, the fixed-capacity table, and the timer wheel that ends idle ones.
//!
//! In: decoded packets with the current moment. Out: [`kflow::FlowRecord`]s through a callback. No I/O, no
//! clock, no allocation after construction.

mod index;
pub mod key;
mod list;
pub mod table;
mod wheel;

pub use key::{Domain, FlowKey};
pub use table::{FlowTable, Observation, TableConfig};

#[cfg(test)]
mod tests;
