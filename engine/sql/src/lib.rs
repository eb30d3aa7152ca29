//! SQL on flow records.
use datafusion::execution::SessionStateBuilder;
pub fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder
}
