//! SQL on flow records, for DataFusion. It knows nothing of how the records are stored.
//!
//! # The life of a query
//!
//! 1. [`prepare`]: the text is measured (`limits`), parsed as PostgreSQL's, and what only flow SQL means is written out
//!    (`conventions`): aliases such as `f_count_protocol`, `ctimestamp > 3600`, `'10.0.0.0/8'::cidr`.
//! 2. DataFusion plans the statement with what [`install`] gave the session: functions, aggregates, and a planner for
//!    what must be known before types are (`planner`): `<<=`, an address beside a text.
//! 3. The analyzer (`normalise`, `address::rule`) gives aggregates the sampling rates of their rows, and addresses
//!    their comparisons, before types are coerced.
//! 4. The plan runs; partial states of the aggregates may travel and be kept (`aggregate`).
//! 5. [`present`]: results for people have texts where the tables have numbers.
//!
//! `SQL.md` lists every function. What a table must look like: addresses are `FixedSizeBinary(16)` (IPv4 as
//! `::ffff:a.b.c.d`) or `UInt32` with the metadata `flow.type` = `ipv4`; MAC addresses `Int64` with `mac`; sampling
//! rates are the column `sample_rate`, `BIGINT`, in hundredths (100 is every flow); the weights of the Fast series are
//! `i_fast_weight`, likewise.

pub mod address;
mod aggregate;
mod clock;
mod conventions;
mod counter;
mod error;
pub mod limits;
pub mod names;
mod normalise;
mod origin;
mod planner;
mod prepare;
mod present;
mod settings;
pub mod sketch;
mod sketch_function;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::Analyzer;
use datafusion::prelude::SessionConfig;

pub use error::{Error, Position};
pub use names::Names;
pub use prepare::{Prepared, prepare};
pub use present::{Presenter, present};
pub use settings::FlowSettings;

/// Makes a session understand flow SQL. The session's configuration, if it gets one of its own, must have been set
/// before, or `SET flow.normalise` is unknown to it.
pub fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    install_with(builder, &Names::default())
}

/// The same with the caller's names of autonomous systems and application protocols.
pub fn install_with(mut builder: SessionStateBuilder, names: &Names) -> SessionStateBuilder {
    let config = builder.config().get_or_insert_with(SessionConfig::new);
    config.options_mut().extensions.insert(FlowSettings::default());

    let scalars = builder.scalar_functions().get_or_insert_default();
    scalars.extend(address::function::all());
    scalars.extend(names::all(names));
    scalars.extend(sketch_function::all());
    scalars.push(Arc::new(clock::SecondsAgo::new().into()));
    builder.aggregate_functions().get_or_insert_default().extend(aggregate::all());
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(planner::FlowPlanner));

    let rules = &mut builder.analyzer().get_or_insert_with(Analyzer::new).rules;
    rules.insert(0, Arc::new(normalise::Normalise));
    rules.insert(1, Arc::new(address::rule::AddressRule));
    builder
}
