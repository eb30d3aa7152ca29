//! Traffic for tests, demos and benchmarks.
//!
//! ```text
//! frame     one frame, built field by field, with right lengths and checksums; tunnels to any depth
//! message   what applications say, and what they mean by it
//! mix       whole conversations from a seed, with the counters a sensor has to arrive at; flows for benchmarks
//! pcap      frames to and from capture files (pcap and pcapng, both byte orders)
//! send      frames through a packet socket: each exactly once, at a stated rate
//! blast     frames built inside the kernel: as fast as one core can
//! sink      the end that counts what arrives
//! redirect  the end that hands what arrives to AF_XDP sockets
//! ```
//!
//! ```
//! use traffic::mix::{Mix, Options, Traffic};
//!
//! let mut traffic = Traffic::new(Options { mix: Mix::Tcp, seed: 7, conversations: 10 });
//! let frames: Vec<_> = traffic.by_ref().collect();
//! let expected = traffic.into_expected();
//! assert_eq!(expected.conversations.len(), 10);
//! assert_eq!(expected.packets() + expected.not_flow, frames.len() as u64);
//! ```

pub mod alarm;
pub mod blast;
pub mod device;
pub mod frame;
pub mod message;
pub mod mix;
pub mod pcap;
mod program;
pub mod redirect;
pub mod send;
pub mod sink;
