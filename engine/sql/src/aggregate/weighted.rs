//! Aggregates whose values are multiplied by sampling rates.
//!
//! | | arguments after the analyzer | state | result |
//! |---|---|---|---|
//! | `f_sum` | value \[, rate\] | hundredths, DECIMAL(38,0) | DECIMAL(38,0), to the nearest; DOUBLE of a DOUBLE |
//! | `f_count` | value \[, rate\], or just the rate | hundredths, DECIMAL(38,0) | BIGINT, to the nearest |
//! | `f_avg` | value \[, rate\] | hundredths of values, of rates | DOUBLE |
//! | `f_sum_error` | value \[, rate \[, weight\]\] | DOUBLE | DOUBLE |
//! | `f_count_error` | a number \[, rate \[, weight\]\] | DOUBLE | DOUBLE |

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
    utils::AggregateOrderSensitivity,
};

use super::float::FloatAccumulator;
use super::groups::{GroupSums, Rows, Sum, decimals, rounded, states_array, states_of_rows};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Sum,
    Count,
    /// `f_count()`: rows, of which only the rates are looked at.
    Rows,
    Mean,
    SumError,
    CountError,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Weighted {
    pub(crate) kind: Kind,
    /// The user wrote the plain `sum`, `count` or `avg`.
    pub(crate) is_plain: bool,
    signature: Signature,
}

impl Weighted {
    pub(crate) fn new(kind: Kind) -> Weighted {
        Weighted { kind, is_plain: false, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// What the user wrote as a plain aggregate, by that name. A plain sum is DECIMAL too, whether normalised or not.
    pub(crate) fn plain(kind: Kind) -> Weighted {
        Weighted { is_plain: true, ..Weighted::new(kind) }
    }
}

impl AggregateUDFImpl for Weighted {
    fn name(&self) -> &str {
        match (self.kind, self.is_plain) {
            (Kind::Sum, false) => "f_sum",
            (Kind::Sum, true) => "sum",
            (Kind::Count | Kind::Rows, false) => "f_count",
            (Kind::Count | Kind::Rows, true) => "count",
            (Kind::Mean, false) => "f_avg",
            (Kind::Mean, true) => "avg",
            (Kind::SumError, _) => "f_sum_error",
            (Kind::CountError, _) => "f_count_error",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let (fewest, most) = match self.kind {
            Kind::Sum | Kind::Mean => (1, 2),
            Kind::Count => (0, 2),
            Kind::Rows => (1, 1),
            Kind::SumError => (1, 3),
            Kind::CountError => (0, 3),
        };
        if types.len() < fewest || types.len() > most {
            return plan_err!("{name} takes {fewest} to {most} arguments, not {}", types.len());
        }
        let mut coerced = types.to_vec();
        for (place, data_type) in coerced.iter_mut().enumerate() {
            *data_type = match (self.kind, place) {
                (Kind::Count, 0) => continue,
                (Kind::SumError | Kind::CountError, 0) => number(name, data_type)?.1,
                (Kind::Rows, _) | (_, 1..) => DataType::Int64,
                (_, 0) => number(name, data_type)?.0,
            };
        }
        Ok(coerced)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Sum if types[0].is_floating() => DataType::Float64,
            Kind::Sum => DataType::Decimal128(38, 0),
            Kind::Count | Kind::Rows => DataType::Int64,
            Kind::Mean | Kind::SumError | Kind::CountError => DataType::Float64,
        })
    }

    fn is_nullable(&self) -> bool {
        !matches!(self.kind, Kind::Count | Kind::Rows)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match self.kind {
            Kind::Count | Kind::Rows => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |part: &str, data_type: DataType| {
            Arc::new(Field::new(format_state_name(args.name, part), data_type, true))
        };
        if is_float(self.kind, args.input_fields) {
            return Ok(vec![field("sum", DataType::Float64), field("weight", DataType::Float64)]);
        }
        let mut fields = vec![field("hundredths", DataType::Decimal128(38, 0))];
        if self.kind == Kind::Mean {
            fields.push(field("rates", DataType::Decimal128(38, 0)));
        }
        Ok(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(self.name(), &args)?;
        if is_float(self.kind, args.expr_fields) {
            return Ok(Box::new(FloatAccumulator::new(self.kind)));
        }
        Ok(Box::new(WeightedAccumulator {
            kind: self.kind,
            sum: Sum::default(),
            rates: Sum::default(),
            counted: 0,
        }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct && !is_float(self.kind, args.expr_fields)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        refuse_distinct(self.name(), &args)?;
        Ok(Box::new(WeightedGroups {
            kind: self.kind,
            sums: GroupSums::default(),
            rates: GroupSums::default(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What whole numbers and the others become: (for exact sums, for approximate ones).
fn number(name: &str, data_type: &DataType) -> Result<(DataType, DataType)> {
    let exact = match data_type {
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal128(digits, 0) => DataType::Decimal128(*digits, 0),
        other if other.is_integer() || other.is_null() => DataType::Int64,
        other if other.is_numeric() => DataType::Float64,
        other => return plan_err!("{name} takes a number, not {other}"),
    };
    Ok((exact, DataType::Float64))
}

fn is_float(kind: Kind, fields: &[FieldRef]) -> bool {
    match kind {
        Kind::SumError | Kind::CountError => true,
        Kind::Sum | Kind::Mean => fields[0].data_type().is_floating(),
        Kind::Count | Kind::Rows => false,
    }
}

pub(crate) fn refuse_distinct(name: &str, args: &AccumulatorArgs<'_>) -> Result<()> {
    if args.is_distinct {
        return plan_err!("{name} takes no DISTINCT");
    }
    Ok(())
}

fn rows_of<'a>(kind: Kind, columns: &'a [ArrayRef], filter: Option<&BooleanArray>) -> Result<Rows<'a>> {
    match kind {
        Kind::Count => Rows::of_ones(columns, filter),
        Kind::Rows => Rows::of_rates(columns, filter),
        _ => Rows::of_values(columns, filter),
    }
}

/// One group.
#[derive(Debug)]
struct WeightedAccumulator {
    kind: Kind,
    sum: Sum,
    /// Of a mean.
    rates: Sum,
    /// Rows in the sum; of use only where rows leave a window again.
    counted: usize,
}

impl Accumulator for WeightedAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = rows_of(self.kind, values, None)?;
        self.counted += rows.counted();
        self.sum.add(rows.total()?)?;
        if self.kind == Kind::Mean {
            self.rates.add(Rows::of_ones(values, None)?.total()?)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = rows_of(self.kind, values, None)?;
        self.counted -= rows.counted();
        self.sum.add(rows.total()?.map(|total| -total))?;
        if self.kind == Kind::Mean {
            self.rates.add(Rows::of_ones(values, None)?.total()?.map(|total| -total))?;
        }
        if self.counted == 0 {
            self.sum.hundredths = None;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.sum.merge(&states[0])?;
        if self.kind == Kind::Mean {
            self.rates.merge(&states[1])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = |sum: &Sum| ScalarValue::Decimal128(sum.hundredths, 38, 0);
        let mut states = vec![state(&self.sum)];
        if self.kind == Kind::Mean {
            states.push(state(&self.rates));
        }
        Ok(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.sum.hundredths;
        Ok(match self.kind {
            Kind::Count | Kind::Rows => ScalarValue::Int64(Some(count(sum.unwrap_or(0))?)),
            Kind::Mean => ScalarValue::Float64(mean(sum, self.rates.hundredths)),
            _ => ScalarValue::Decimal128(sum.map(rounded), 38, 0),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

fn count(hundredths: i128) -> Result<i64> {
    let whole = rounded(hundredths);
    i64::try_from(whole).map_err(|_| exec_datafusion_err!("a count of {whole} does not fit in BIGINT"))
}

fn mean(values: Option<i128>, rates: Option<i128>) -> Option<f64> {
    let (values, rates) = (values?, rates?);
    (rates != 0).then(|| values as f64 / rates as f64)
}

/// Many groups.
#[derive(Debug)]
struct WeightedGroups {
    kind: Kind,
    sums: GroupSums,
    /// Of a mean.
    rates: GroupSums,
}

impl GroupsAccumulator for WeightedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.sums.update(&rows_of(self.kind, values, filter)?, groups, total_groups)?;
        if self.kind == Kind::Mean {
            self.rates.update(&Rows::of_ones(values, filter)?, groups, total_groups)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.sums.merge(&states[0], groups, total_groups)?;
        if self.kind == Kind::Mean {
            self.rates.merge(&states[1], groups, total_groups)?;
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let state = |sums: &mut GroupSums| {
            let (hundredths, valid) = sums.take(emit_to);
            states_array(hundredths, valid)
        };
        let mut states = vec![state(&mut self.sums)];
        if self.kind == Kind::Mean {
            states.push(state(&mut self.rates));
        }
        Ok(states)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, valid) = self.sums.take(emit_to);
        Ok(match self.kind {
            Kind::Count | Kind::Rows => {
                let counts = sums.into_iter().map(count).collect::<Result<Vec<i64>>>()?;
                Arc::new(Int64Array::from(counts))
            }
            Kind::Mean => {
                let (rates, _) = self.rates.take(emit_to);
                let is_valid = |row| valid.as_ref().is_none_or(|valid| valid.is_valid(row));
                let means = sums.into_iter().zip(rates).enumerate();
                let means = means.map(|(row, (sum, rate))| mean(is_valid(row).then_some(sum), Some(rate)));
                Arc::new(Float64Array::from_iter(means))
            }
            _ => Arc::new(decimals(sums.into_iter().map(rounded).collect(), valid)),
        })
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut states = vec![states_of_rows(&rows_of(self.kind, values, filter)?)?];
        if self.kind == Kind::Mean {
            states.push(states_of_rows(&Rows::of_ones(values, filter)?)?);
        }
        Ok(states)
    }

    fn size(&self) -> usize {
        size_of::<WeightedGroups>() + self.sums.memory_bytes() + self.rates.memory_bytes()
    }
}
