//! `f_percentile(x, rank)`: over the values of a first stage, such as sums per minute, the value that `rank` percent of
//! them do not exceed.
//!
//! Exact, by linear interpolation between the two nearest values; all values are kept until the end, which windows of
//! time make few.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::weighted::refuse_distinct;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Percentile {
    signature: Signature,
}

impl Percentile {
    pub(crate) fn new() -> Percentile {
        let arguments = vec![DataType::Float64, DataType::Float64];
        Percentile { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        "f_percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let items = Arc::new(Field::new_list_field(DataType::Float64, true));
        let values = Field::new(format_state_name(args.name, "values"), DataType::List(items), true);
        let rank = Field::new(format_state_name(args.name, "rank"), DataType::Float64, true);
        Ok(vec![Arc::new(values), Arc::new(rank)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct("f_percentile", &args)?;
        Ok(Box::new(PercentileAccumulator { values: Vec::new(), rank: None }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct PercentileAccumulator {
    values: Vec<f64>,
    rank: Option<f64>,
}

impl PercentileAccumulator {
    fn set_rank(&mut self, ranks: &ArrayRef) -> Result<()> {
        for rank in ranks.as_primitive::<Float64Type>().iter().flatten() {
            if !(0.0..=100.0).contains(&rank) {
                return exec_err!("the rank of f_percentile is 0 to 100, not {rank}");
            }
            if *self.rank.get_or_insert(rank) != rank {
                return exec_err!("the rank of f_percentile is the same for all rows");
            }
        }
        Ok(())
    }
}

impl Accumulator for PercentileAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.values.extend(columns[0].as_primitive::<Float64Type>().iter().flatten());
        self.set_rank(&columns[1])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.values.extend(values.as_primitive::<Float64Type>().iter().flatten());
        }
        self.set_rank(&states[1])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let items = Arc::new(Field::new_list_field(DataType::Float64, true));
        let offsets = OffsetBuffer::from_lengths([self.values.len()]);
        let values = Arc::new(Float64Array::from(std::mem::take(&mut self.values)));
        let list = ListArray::try_new(items, offsets, values, None)?;
        Ok(vec![ScalarValue::List(Arc::new(list)), ScalarValue::Float64(self.rank)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (Some(rank), false) = (self.rank, self.values.is_empty()) else {
            return Ok(ScalarValue::Float64(None));
        };
        self.values.sort_unstable_by(f64::total_cmp);
        Ok(ScalarValue::Float64(Some(at_rank(&self.values, rank))))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }
}

/// `sorted` is not empty.
fn at_rank(sorted: &[f64], rank: f64) -> f64 {
    let place = rank / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// A constant rank that is out of range is refused when the query is planned.
pub(crate) fn check_rank(rank: &ScalarValue) -> Result<()> {
    let cast = rank.cast_to(&DataType::Float64)?;
    match cast {
        ScalarValue::Float64(Some(rank)) if !(0.0..=100.0).contains(&rank) => {
            plan_err!("the rank of f_percentile is 0 to 100, not {rank}")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_between_two_values_is_interpolated() {
        let sorted = [10.0, 20.0, 40.0];
        assert_eq!(at_rank(&sorted, 0.0), 10.0);
        assert_eq!(at_rank(&sorted, 50.0), 20.0);
        assert_eq!(at_rank(&sorted, 75.0), 30.0);
        assert_eq!(at_rank(&sorted, 100.0), 40.0);
        assert_eq!(at_rank(&sorted[..1], 95.0), 10.0);
    }
}
