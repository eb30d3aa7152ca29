//! `seconds_ago(n)`: the second of the Unix epoch that was `n` seconds before the query began.
//!
//! Like `now()` it becomes a constant when the query is planned.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility, binary_expr, lit,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SecondsAgo {
    signature: Signature,
}

impl SecondsAgo {
    pub(crate) fn new() -> SecondsAgo {
        SecondsAgo { signature: Signature::exact(vec![DataType::Int64], Volatility::Stable) }
    }
}

impl ScalarUDFImpl for SecondsAgo {
    fn name(&self) -> &str {
        "seconds_ago"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("seconds_ago is a constant once the query is planned")
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let (Some(now), [_]) = (info.query_execution_start_time(), args.as_slice()) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let now = now.timestamp();
        let seconds = args.swap_remove(0);
        Ok(ExprSimplifyResult::Simplified(match seconds {
            Expr::Literal(ScalarValue::Int64(Some(seconds)), _) => lit(now.saturating_sub(seconds)),
            other => binary_expr(lit(now), Operator::Minus, other),
        }))
    }
}
