//! kflow: the flow record and the ways it travels.
//!
//! # The life of a record
//!
//! 1. A sensor fills a [`FlowRecord`] and hands it over in a batch ([`record`]).
//! 2. A [`Sink`] takes the batch: a directory of flow files, a single file or JSON lines ([`sink`]).
//! 3. For a flow file the batch becomes one packed message ([`codec`]), which is appended with its length in
//!    front ([`mod@file`]).
//! 4. A reader takes the messages out of the file and the records out of the messages, the same as they were
//!    at the start ([`file::FileReader`]).
//! 5. They are printed as JSON or CSV, column by column of one table ([`columns`], [`text`]), with the name
//!    that other tools give the same flow ([`community_id`]).
//!
//! Nothing here reads a clock: time comes with the records.

pub mod application;
pub mod body;
pub mod chf;
pub mod codec;
pub mod columns;
pub mod community_id;
mod decimal;
pub mod device;
pub mod error;
pub mod file;
mod protocol;
pub mod record;
pub mod sink;
pub mod text;

#[rustfmt::skip]
#[expect(
    clippy::all,
    clippy::pedantic,
    missing_debug_implementations,
    reason = "written by capnpc from schema/chf.capnp; compared with a fresh one by a test"
)]
mod chf_capnp;

pub use application::{AppProtocol, Application};
pub use chf::{Chf, Custom, CustomValue};
pub use community_id::CommunityId;
pub use decimal::Decimal;
pub use device::{ColumnType, DeviceColumns};
pub use error::Error;
pub use record::{
    DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, Latency, MacAddress, TcpDirection,
    TcpRecord, TcpState, Tunnel, TunnelKind,
};
pub use sink::{Sink, SinkError};
