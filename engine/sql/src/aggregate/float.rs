//! Normalised sums and means of floating-point numbers, and the error of sums over sampled rows.
//!
//! The error is half the width of the 95 % interval. In the Fast series a row was kept with the probability 1/w and
//! counts w times, its rate having w in it already; the estimate of the variance of Σ x·rate is then
//! Σ (x·rate)²·(w − 1)/w (Horvitz and Thompson, for rows kept independently).

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::groups::WHOLE;
use super::weighted::Kind;

/// Of a normal distribution, 95 % lie within so many standard deviations.
const SPREAD: f64 = 1.96;

#[derive(Debug)]
pub(crate) struct FloatAccumulator {
    kind: Kind,
    /// Of values, or of squares.
    sum: f64,
    /// Of rates, as multiples of one; 0 means that no row counted.
    weight: f64,
}

impl FloatAccumulator {
    pub(crate) fn new(kind: Kind) -> FloatAccumulator {
        FloatAccumulator { kind, sum: 0.0, weight: 0.0 }
    }
}

impl Accumulator for FloatAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = columns[0].as_primitive::<Float64Type>();
        let hundredths = |place: usize, row: usize| match columns.get(place) {
            Some(column) if column.is_valid(row) => column.as_primitive::<Int64Type>().value(row),
            _ => WHOLE,
        };
        for (row, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let rate = hundredths(1, row) as f64 / 100.0;
            self.weight += rate;
            self.sum += match self.kind {
                Kind::SumError | Kind::CountError => {
                    let weight = (hundredths(2, row) as f64 / 100.0).max(1.0);
                    (value * rate).powi(2) * (weight - 1.0) / weight
                }
                _ => value * rate,
            };
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (total, column) in [&mut self.sum, &mut self.weight].into_iter().zip(states) {
            *total += column.as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.sum.into(), self.weight.into()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let any = self.weight != 0.0;
        Ok(ScalarValue::Float64(match self.kind {
            Kind::CountError => Some(SPREAD * self.sum.sqrt()),
            Kind::SumError => any.then(|| SPREAD * self.sum.sqrt()),
            Kind::Mean => any.then(|| self.sum / self.weight),
            _ => any.then_some(self.sum),
        }))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
