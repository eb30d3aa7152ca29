//! Flows: the key, the fixed-capacity table, and the timer wheel that ends idle ones.
//!
//! In: decoded packets with the current moment. Out: [`kflow::FlowRecord`]s through a callback. No I/O, no
//! clock, no allocation after construction.

pub mod key;
pub mod table;
mod index;
mod list;
mod wheel;

pub use key::FlowKey;
pub use table::{FlowTable, Observation, TableConfig};

#[cfg(test)]
mod tests;
