//! What the sensor says of capture files beside what other programs say of them, field by field.
//!
//! ```text
//! captures ─┬─► sensor ─► JSON records, summary ─► Observed ─┐
//!           │                                                ├─► matching ─► Judged ─► Report: table, JSON
//!           └─► expected.jsonl, else tshark ─────► Facts ────┘                 ▲
//!               ndpi_flows.tsv ────────────────────────────────────────────────┤
//!               explained.toml ────────────────────────────────────────────────┘
//! ```
//!
//! 1. [`corpus`] finds the captures of a folder and what is on record about them.
//! 2. For each capture, on all CPUs: [`tshark`] makes the facts if none are on record, [`sensor`] runs the sensor.
//! 3. Both are sums by conversation ([`conversation`]) with one value for each entry of the table of fields
//!    ([`field`]). To compare another thing is to add an entry there, or a kind of value.
//!    What messages of applications say is kept beside, as lists of values ([`message`]).
//! 4. [`matching`] merges what the two define differently, by rules that hold for any capture, and compares.
//! 5. [`explained`] looks the differences up in the list of those that were read packet by packet.
//! 6. [`report`] adds up, holds the shares against the goals, prints.
//!
//! It takes no packet apart itself: whatever it knows, one of the two programs has said.

mod child;
pub mod conversation;
pub mod corpus;
pub mod explained;
pub mod facts;
pub mod field;
mod folder;
pub mod judged;
pub mod line;
pub mod matching;
pub mod message;
pub mod ndpi;
pub mod report;
mod run;
pub mod sensor;
mod table;
pub mod tshark;

pub use report::Report;
pub use run::{FactsFrom, Options, run};
