//! Addresses as people write them: flow SQL's own words for it, and its parser.

use crate::error::Error;
use datafusion::error::{DataFusionError, Result};
pub use flow_sql::{Presenter, present};

/// All statements of a text.
pub fn prepare(sql: &str) -> Result<Vec<datafusion::sql::parser::Statement>> {
    let refused =
        |error: flow_sql::Error| DataFusionError::External(Box::new(Error::Query(error.to_string())));
    let prepared = flow_sql::prepare(sql).map_err(refused)?;
    Ok(prepared.statements)
}
