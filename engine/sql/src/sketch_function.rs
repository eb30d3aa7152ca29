//! What is in a sketch: `hll_estimate(sketch)`, `hll_error(sketch)`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use hll::{Estimate, SketchRef};

pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    [What::Estimate, What::Error].into_iter().map(|what| Arc::new(SketchFunction::new(what).into())).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// The number of distinct values.
    Estimate,
    /// Its standard error, in values.
    Error,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SketchFunction {
    what: What,
    signature: Signature,
}

impl SketchFunction {
    fn new(what: What) -> SketchFunction {
        SketchFunction { what, signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for SketchFunction {
    fn name(&self) -> &str {
        match self.what {
            What::Estimate => "hll_estimate",
            What::Error => "hll_error",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Estimate => DataType::Int64,
            What::Error => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(args.args.as_slice(), [ColumnarValue::Scalar(_)]);
        let input = args.args[0].to_array(if is_scalar { 1 } else { args.number_rows })?;
        let estimates = input.as_binary::<i32>().iter().map(|sketch| sketch.map(estimate).transpose());
        let estimates = estimates.collect::<Result<Vec<Option<Estimate>>>>()?.into_iter();
        let result: ArrayRef = match self.what {
            What::Estimate => {
                let rounded = |estimate: Estimate| i64::try_from(estimate.rounded()).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter(estimates.map(|estimate| estimate.map(rounded))))
            }
            What::Error => Arc::new(Float64Array::from_iter(
                estimates.map(|estimate| estimate.map(Estimate::standard_error)),
            )),
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn estimate(bytes: &[u8]) -> Result<Estimate> {
    let sketch = SketchRef::new(bytes)
        .map_err(|error| exec_datafusion_err!("{} bytes are no sketch: {error}", bytes.len()))?;
    Ok(sketch.estimate())
}
