//! Flow records as IPFIX (RFC 7011) and NetFlow version 9 (RFC 3954), for collectors that know nothing of kflow.
//!
//! In: batches of [`kflow::FlowRecord`]. Out: messages over UDP or, IPFIX only, TCP. [`Encoder`] makes the messages,
//! [`IpfixSink`] sends them. `IPFIX.md` lists the elements; it is written by [`document`].
//!
//! Nothing here encrypts (TLS, DTLS), speaks SCTP, resolves names or reads the time of day.

mod clock;
mod config;
mod counters;
mod document;
mod element;
mod encoder;
mod flight;
mod message;
mod sampling;
mod shape;
mod sink;
mod template;
mod transport;

pub use config::{
    Biflow, ConfigError, EXAMPLE_ENTERPRISE, Elements, Format, IpfixConfig, MESSAGE_BYTES_MIN, Sampling,
    TCP_MESSAGE_BYTES, Times, Transactions, Transport, UDP_MESSAGE_BYTES,
};
pub use counters::{Count, IpfixCounters};
pub use document::document;
pub use encoder::{Counts, Encoder};
pub use message::{Delivery, Message};
pub use sink::IpfixSink;
