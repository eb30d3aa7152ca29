//! Flow data engine: takes kflow, keeps it in one-minute slices, answers SQL.
//!
//! # Life of a row
//!
//! 1. A body of kflow comes in ([`door`]), is decoded and checked ([`ingest`]).
//! 2. It is appended to the log, as it came, and committed with others ([`log`]). Then it is acknowledged: what was
//!    acknowledged survives a crash. A batch whose sender, epoch and sequence were seen before is acknowledged and left out.
//! 3. Its rows go to the open slices of their device and minute ([`store`]), where queries see them at once.
//! 4. A minute that is over is sealed: its rows are sorted and written as Parquet, with a summary, in the Full series and,
//!    thinned without bias, in the Fast series ([`part`], [`summary`], [`fast`]). One record of the manifest makes them
//!    count ([`manifest`]); then the log forgets them.
//! 5. Old minutes are joined into larger files, in which each stays a slice; older ones are removed.
//!
//! # Life of a query
//!
//! 1. The text is parsed, aliases that compute are resolved ([`flow_sql`]), DataFusion plans.
//! 2. The table chooses the series and the slices by the times that the query asks for ([`table`]).
//! 3. An aggregate is computed once per slice and merged ([`partial`]): from the slice's summary, from the cache, or from
//!    its rows.
//! 4. The report says what was read, cached, pruned and missing ([`report`]).

pub mod budget;
pub mod cache;
pub mod clock;
pub mod columns;
pub mod devices;
pub mod door;
pub mod engine;
pub mod error;
pub mod fast;
pub mod files;
pub mod ingest;
pub mod log;
pub mod manifest;
pub mod minute;
pub mod part;
pub mod partial;
pub mod query;
pub mod report;
pub mod rows;
pub mod scan;
pub mod seen;
pub mod shell;
pub mod store;
pub mod summarise;
pub mod summary;
pub mod table;

pub use devices::{Device, DeviceId, Devices, NewDevice};
pub use engine::{
    Answer, BatchIdentity, Config, Delivery, Engine, EngineStats, Opening, QueryOptions, Receipt,
};
pub use error::Error;
pub use report::{Report, ReportSnapshot};
