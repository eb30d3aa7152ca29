//! Records to flow messages and back: the only module that knows Cap'n Proto.
//!
//! A message is one `PackedCHF` of `schema/chf.capnp` in a single segment, in Cap'n Proto's packed encoding.
//! One record is one `CHF`. Two kinds of records are written and read: [`crate::Chf`], which is a `CHF` as it is, by
//! [`ChfEncoder`] and [`decode_chf`]; and the sensor's [`crate::FlowRecord`], by [`Encoder`] and [`decode`], of which the
//! rest is about.
//!
//! What the source sent is in the `in…` counters and what the destination answered
//! in the `out…` ones; columns that the schema has no field for travel as custom columns. The first `CHF` of a
//! message is no flow: its application number is 101 and its custom columns are texts, the names of the ids
//! that the other records use. A message to the device of a receiver that hands out ids is without that `CHF` and in its ids
//! ([`Encoder::for_device`]). `COLUMNS.md` lists all columns.
//!
//! Decoding what was encoded gives the same records, provided that they keep to the record's own rules: ports
//! are zero for ICMP and ICMPv6, the ICMP kind is zero for everything else; the tunnel is the default if its
//! kind is none, and TCP's part is the default for other protocols; an application is of the record's
//! `app_protocol` and says something, in texts of at most [`TEXT_BYTES_MAX`] bytes together, beyond which they are
//! cut; without an `app_protocol` there are no transactions. A message to a device has less, and is not meant to be decoded
//! as such records.
//!
//! [`TEXT_BYTES_MAX`]: crate::application::TEXT_BYTES_MAX

mod customs;
mod decode;
mod decode_chf;
mod encode;
mod encode_chf;
mod limits;
mod mapping;
mod message;
mod packing;
mod unpacking;
mod wire;

pub use decode::decode;
pub use decode_chf::decode_chf;
pub use encode::{Encoder, Losses, UNTHINNED};
pub use encode_chf::ChfEncoder;
pub use limits::Limits;

/// The most records that one message is written with: so many fit its limits though all had all columns.
pub const RECORDS_MAX: usize = 1 << 12;

/// No packed message is larger.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What a message may unpack to. Readers of other projects have the same limit.
const MESSAGE_WORDS_MAX: usize = (64 << 20) / 8;
