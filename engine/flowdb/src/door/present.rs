//! Addresses as people write them: flow SQL's own words for it, and its parser.

use datafusion::error::{DataFusionError, Result};
pub use flow_sql::{Presenter, present};

/// All statements of a text.
pub fn prepare(sql: &str) -> Result<Vec<datafusion::sql::parser::Statement>> {
    let prepared = flow_sql::prepare(sql).map_err(|error| DataFusionError::Plan(error.to_string()))?;
    Ok(prepared.statements)
}
