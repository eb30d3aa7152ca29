//! The flow sensor: frames in, flow records out.
//!
//! # The life of a frame
//!
//! 1. The XDP program (crate `sensor-ebpf`) counts, filters, samples, stamps and steers it ([`program`]).
//! 2. A [`source`] lends it to a [`worker`], in place, as one of a burst.
//! 3. [`packet`] decodes it: flow key and what it adds to the flow, or why it belongs to none.
//! 4. [`flow`] counts it; flows that end become records.
//! 5. The worker's outbox carries records to the exporter thread, which writes them to sinks ([`export`]).
//! 6. The frame goes back to the kernel when the burst is over.
//!
//! Beside that path: [`config`] says how, [`sensor`] assembles and supervises, [`cells`] count, [`ledger`],
//! [`accounts`] and [`metrics`] tell. Only [`clock`] reads the time, only [`program`] knows aya.

pub mod accounts;
pub mod applications;
pub mod capture;
pub mod cells;
pub mod clock;
pub mod config;
pub mod datapath;
pub mod export;
pub mod filter;
pub mod flow;
pub mod http;
mod huge;
pub mod interface;
pub mod ledger;
pub mod metrics;
pub mod packet;
mod prefetch;
pub mod program;
pub mod sensor;
pub mod sinks;
pub mod source;
pub mod worker;
