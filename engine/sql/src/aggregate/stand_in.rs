//! A name that stands for another aggregate until the analyzer puts that one in its place.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StandIn {
    name: &'static str,
    pub(crate) target: Arc<AggregateUDF>,
    signature: Signature,
}

impl StandIn {
    pub(crate) fn new(name: &'static str, target: Arc<AggregateUDF>) -> StandIn {
        StandIn { name, target, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// Whether it may be called without an argument: it counts rows then.
    pub(crate) fn counts(&self) -> bool {
        self.target.name() == "count"
    }
}

impl AggregateUDFImpl for StandIn {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() && self.counts() {
            return Ok(Vec::new());
        }
        if types.len() != 1 {
            return plan_err!("{} takes one argument, not {}", self.name, types.len());
        }
        let fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(Field::new("value", data_type.clone(), true))).collect();
        let fields = fields_with_udf(&fields, self.target.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if self.counts() { Ok(DataType::Int64) } else { self.target.return_type(types) }
    }

    fn is_nullable(&self) -> bool {
        self.target.is_nullable()
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("{} is replaced by {} before it runs", self.name, self.target.name())
    }
}
