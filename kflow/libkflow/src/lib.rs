//! libkflow: the C library that sends flow records, with the interface that Kentik's has.
//!
//! # The life of a flow
//!
//! 1. A C program fills a `kflow` and calls `kflowSend` ([`mod@ffi`], [`abi`]).
//! 2. It is copied into a record, its custom columns held against those of the device ([`copy`], [`columns`]).
//! 3. The sender of this process takes it: a bounded queue, a thread that packs, a thread that delivers
//!    ([`instance`], [`process`]).
//! 4. What goes wrong on the way waits as a text for `kflowError` ([`errors`]).
//!
//! Beside it go DNS answers ([`dns`]), the sender's own counters ([`watch`], [`tsdb`]) and what it shows of itself
//! ([`status`]). Nothing here is meant for programs in Rust, which use the crates below.

mod abi;
mod columns;
mod connect;
mod copy;
mod dns;
mod errors;
mod failure;
mod ffi;
mod give;
mod instance;
mod interface;
mod meter;
mod msgpack;
mod notices;
mod process;
mod report;
mod settings;
mod signals;
mod status;
mod tsdb;
mod watch;
