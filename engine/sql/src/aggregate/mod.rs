//! The aggregates: `f_sum`, `f_count`, `f_avg` and their kin.
//!
//! What a user writes has one argument or none. The analyzer ([`crate::normalise`]) adds the column of sampling rates,
//! and turns the names that only stand for others (`stand_in`) into those.

pub(crate) mod distinct;
pub(crate) mod float;
pub(crate) mod groups;
pub(crate) mod percentile;
mod seen;
pub(crate) mod stand_in;
pub(crate) mod weighted;

use std::sync::Arc;

use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::AggregateUDF;

use distinct::{Distinct, What};
use percentile::Percentile;
use stand_in::StandIn;
use weighted::{Kind, Weighted};

/// Every aggregate that a user can call.
pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    let mut all: Vec<AggregateUDF> = [Kind::Sum, Kind::Count, Kind::Mean, Kind::SumError, Kind::CountError]
        .into_iter()
        .map(|kind| Weighted::new(kind).into())
        .collect();
    all.extend([
        StandIn::new("f_max", max_udaf()).into(),
        StandIn::new("f_min", min_udaf()).into(),
        StandIn::new("raw_sum", sum_udaf()).into(),
        StandIn::new("raw_avg", avg_udaf()).into(),
        StandIn::new("raw_count", count_udaf()).into(),
        Percentile::new().into(),
    ]);
    let distinct = [What::CountDistinct, What::Hll, What::Sketch, What::Merge];
    all.extend(distinct.into_iter().map(|what| Distinct::new(what).into()));
    all.into_iter().map(Arc::new).collect()
}
