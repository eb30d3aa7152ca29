//! What applications said: parsers of their protocols, and the frame that they live in.
//!
//! In: payloads of flows, in the order in which they were captured. Out: transactions and what is known of sessions,
//! as [`kflow::Application`]s for the flow's records. No I/O, no clock, no thread; no input panics.
//!
//! # The life of a payload
//!
//! 1. [`Inspector::inspect`] is given a payload and the slot of its flow in the flow table.
//! 2. Datagrams go on as they are. Segments are put in order ([`stream`]): what is next in its stream goes on as a slice
//!    of the frame, and is copied only if a parser wants to see it together with what follows.
//! 3. Until the flow's protocol is known, the table of parsers ([`parsers`]) is asked whose opening this is. Ports only
//!    decide who is asked first.
//! 4. The parser takes what it can ([`Parser::parse`]). A request becomes a draft, which waits in the parser's state;
//!    with its answer it is a transaction.
//! 5. The first transaction of a span waits for the flow's record and goes out in it, the others go out in records of
//!    their own. What is known of a session is in every record of the flow ([`Inspector::annotate`]).
//! 6. A flow that is not recognised, that is done, that makes no sense or that has used up its budget is only counted
//!    from then on.
//!
//! Everything is bounded by [`Limits`]; at each limit something named is counted ([`Counts`]).

pub mod counts;
pub mod inspector;
pub mod limits;
pub mod output;
pub mod parser;
pub mod parsers;
pub mod pool;
pub mod privacy;
pub mod proxy;
pub mod stream;
pub mod stun;

pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod http;
pub mod mysql;
pub mod ntp;
pub mod postgresql;
pub mod quic;
pub mod radius;
pub mod sip;
pub mod snmp;
pub mod ssh;
pub mod tls;

mod text;
mod waiting;

#[cfg(any(test, feature = "harness"))]
pub mod harness;

pub use counts::{Counts, ProtocolCounts};
pub use inspector::{Annotation, Inspector, Interest, Payload, Transaction};
pub use limits::Limits;
pub use output::{DraftId, Output, Timing};
pub use parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport};
pub use privacy::Privacy;
