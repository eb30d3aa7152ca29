//! Sums of hundredths: products of values and sampling rates in 128 bits, for one group and for many.
//!
//! A rate is in hundredths (100 is every flow), so a product is a value in hundredths. All is exact; a sum that does
//! not fit in 128 bits is an error. Rows whose rate is null count as if every flow had been seen.

use std::borrow::Cow;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::EmitTo;

use super::seen::Seen;

/// The rate of a row of which every flow was seen.
pub(crate) const WHOLE: i64 = 100;

/// Rows of one batch: values, rates, and which of them count.
pub(crate) struct Rows<'a> {
    values: Values<'a>,
    /// None: every flow was seen.
    rates: Option<Cow<'a, [i64]>>,
    /// None: all.
    valid: Option<NullBuffer>,
    len: usize,
}

enum Values<'a> {
    /// One each: rows are counted.
    Ones,
    Small(&'a [i64]),
    Large(&'a [i128]),
}

impl<'a> Rows<'a> {
    /// Values and, if there is a second column, rates.
    pub(crate) fn of_values(columns: &'a [ArrayRef], filter: Option<&BooleanArray>) -> Result<Rows<'a>> {
        let values = match columns[0].data_type() {
            DataType::Int64 => Values::Small(columns[0].as_primitive::<Int64Type>().values()),
            DataType::Decimal128(_, 0) => Values::Large(columns[0].as_primitive::<Decimal128Type>().values()),
            other => return exec_err!("a normalised sum of {other} is not there"),
        };
        Rows::new(values, &columns[0], columns.get(1), filter)
    }

    /// Each row whose first column is not null counts as one; the second column has rates.
    pub(crate) fn of_ones(columns: &'a [ArrayRef], filter: Option<&BooleanArray>) -> Result<Rows<'a>> {
        Rows::new(Values::Ones, &columns[0], columns.get(1), filter)
    }

    /// Each row counts as one; the only column has rates.
    pub(crate) fn of_rates(columns: &'a [ArrayRef], filter: Option<&BooleanArray>) -> Result<Rows<'a>> {
        let mut rows = Rows::new(Values::Ones, &columns[0], Some(&columns[0]), filter)?;
        rows.valid = mask(None, filter);
        Ok(rows)
    }

    fn new(
        values: Values<'a>,
        first: &ArrayRef,
        rates: Option<&'a ArrayRef>,
        filter: Option<&BooleanArray>,
    ) -> Result<Rows<'a>> {
        let rates = rates.map(rates_of).transpose()?;
        let len = first.len();
        Ok(Rows { values, rates, valid: mask(first.logical_nulls().as_ref(), filter), len })
    }

    /// The number of rows that count.
    pub(crate) fn counted(&self) -> usize {
        self.len - self.valid.as_ref().map_or(0, NullBuffer::null_count)
    }

    /// The sum of all rows that count; None if none does.
    pub(crate) fn total(&self) -> Result<Option<i128>> {
        if self.counted() == 0 {
            return Ok(None);
        }
        if self.valid.is_none() {
            match (&self.values, &self.rates) {
                (Values::Ones, None) => return Ok(Some(self.len as i128 * i128::from(WHOLE))),
                (Values::Ones, Some(rates)) => {
                    return Ok(Some(rates.iter().map(|&rate| i128::from(rate)).sum()));
                }
                (Values::Small(values), Some(rates)) => return total_of_products(values, rates).map(Some),
                _ => {}
            }
        }
        let mut total = 0_i128;
        let mut fits = true;
        self.each(|_, product| fits &= add(&mut total, product))?;
        checked(fits, total).map(Some)
    }

    /// Calls `add` with the place and the product of each row that counts.
    fn each(&self, mut add: impl FnMut(usize, i128)) -> Result<()> {
        let rate = |row: usize| i128::from(self.rates.as_ref().map_or(WHOLE, |rates| rates[row]));
        let mut fits = true;
        let mut one = |row: usize| match &self.values {
            Values::Ones => add(row, rate(row)),
            Values::Small(values) => add(row, i128::from(values[row]) * rate(row)),
            Values::Large(values) => match values[row].checked_mul(rate(row)) {
                Some(product) => add(row, product),
                None => fits = false,
            },
        };
        match &self.valid {
            None => (0..self.len).for_each(&mut one),
            Some(valid) => valid.valid_indices().for_each(&mut one),
        }
        checked(fits, ())
    }
}

/// The rates of a column, null being [`WHOLE`].
fn rates_of(column: &ArrayRef) -> Result<Cow<'_, [i64]>> {
    let Some(rates) = column.as_primitive_opt::<Int64Type>() else {
        return exec_err!("a sampling rate is BIGINT, not {}", column.data_type());
    };
    if rates.null_count() == 0 {
        return Ok(Cow::Borrowed(rates.values()));
    }
    Ok(Cow::Owned(rates.iter().map(|rate| rate.unwrap_or(WHOLE)).collect()))
}

/// Which rows count: neither null nor filtered out.
pub(crate) fn mask(nulls: Option<&NullBuffer>, filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let kept = filter.map(|filter| match filter.nulls() {
        None => NullBuffer::new(filter.values().clone()),
        Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
    });
    NullBuffer::union(nulls, kept.as_ref()).filter(|valid| valid.null_count() > 0)
}

/// Rows that are summed before it is looked whether 64 bits are enough.
const BLOCK: usize = 1024;

/// Blocks whose products fit in 64 bits, which nearly all do, are summed in 64 bits.
fn total_of_products(values: &[i64], rates: &[i64]) -> Result<i128> {
    let mut total = 0_i128;
    let mut fits = true;
    for (values, rates) in values.chunks(BLOCK).zip(rates.chunks(BLOCK)) {
        if magnitude_bits(values) + magnitude_bits(rates) + BLOCK.ilog2() < 63 {
            let block: i64 = values.iter().zip(rates).map(|(&value, &rate)| value.wrapping_mul(rate)).sum();
            fits &= add(&mut total, i128::from(block));
        } else {
            for (&value, &rate) in values.iter().zip(rates) {
                fits &= add(&mut total, i128::from(value) * i128::from(rate));
            }
        }
    }
    checked(fits, total)
}

/// Bits that the largest magnitude among `numbers` takes.
fn magnitude_bits(numbers: &[i64]) -> u32 {
    let bits = numbers.iter().fold(0_u64, |bits, &number| bits | (number ^ (number >> 63)) as u64);
    64 - bits.leading_zeros()
}

#[inline]
fn add(total: &mut i128, product: i128) -> bool {
    let (sum, overflow) = total.overflowing_add(product);
    *total = sum;
    !overflow
}

fn checked<T>(fits: bool, value: T) -> Result<T> {
    if fits { Ok(value) } else { exec_err!("a normalised sum does not fit in 38 digits") }
}

/// One sum.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) hundredths: Option<i128>,
}

impl Sum {
    pub(crate) fn add(&mut self, more: Option<i128>) -> Result<()> {
        let Some(more) = more else { return Ok(()) };
        let sum = self.hundredths.unwrap_or(0).checked_add(more);
        self.hundredths =
            Some(sum.ok_or_else(|| exec_datafusion_err!("a normalised sum does not fit in 38 digits"))?);
        Ok(())
    }

    pub(crate) fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        states.as_primitive::<Decimal128Type>().iter().try_for_each(|state| self.add(state))
    }
}

/// A sum for each group.
#[derive(Debug, Default)]
pub(crate) struct GroupSums {
    hundredths: Vec<i128>,
    seen: Seen,
}

impl GroupSums {
    pub(crate) fn update(&mut self, rows: &Rows<'_>, groups: &[usize], total_groups: usize) -> Result<()> {
        self.hundredths.resize(total_groups, 0);
        let sums = self.hundredths.as_mut_slice();
        let mut fits = true;
        match (&rows.valid, &rows.values, &rows.rates) {
            (None, Values::Small(values), Some(rates)) => {
                for ((&group, &value), &rate) in groups.iter().zip(*values).zip(rates.iter()) {
                    fits &= add(&mut sums[group], i128::from(value) * i128::from(rate));
                }
            }
            (None, Values::Ones, Some(rates)) => {
                for (&group, &rate) in groups.iter().zip(rates.iter()) {
                    fits &= add(&mut sums[group], i128::from(rate));
                }
            }
            _ => rows.each(|row, product| fits &= add(&mut sums[groups[row]], product))?,
        }
        match &rows.valid {
            None => self.seen.all(groups, total_groups),
            Some(valid) => self.seen.some(valid.valid_indices().map(|row| groups[row]), total_groups),
        }
        checked(fits, ())
    }

    pub(crate) fn merge(&mut self, states: &ArrayRef, groups: &[usize], total_groups: usize) -> Result<()> {
        self.hundredths.resize(total_groups, 0);
        let states = states.as_primitive::<Decimal128Type>();
        let mut fits = true;
        for (state, &group) in states.iter().zip(groups) {
            let Some(state) = state else { continue };
            fits &= add(&mut self.hundredths[group], state);
        }
        let valid = groups.iter().zip(states.iter()).filter(|(_, state)| state.is_some());
        self.seen.some(valid.map(|(&group, _)| group), total_groups);
        checked(fits, ())
    }

    /// Hundredths of the first groups, which go; null where no row counted.
    pub(crate) fn take(&mut self, emit_to: EmitTo) -> (Vec<i128>, Option<NullBuffer>) {
        (emit_to.take_needed(&mut self.hundredths), self.seen.take(emit_to))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.hundredths.capacity() * size_of::<i128>() + self.seen.memory_bytes()
    }
}

/// The states of rows that are each a group of their own.
pub(crate) fn states_of_rows(rows: &Rows<'_>) -> Result<ArrayRef> {
    let mut states = vec![0_i128; rows.len];
    rows.each(|row, product| states[row] = product)?;
    Ok(states_array(states, rows.valid.clone()))
}

/// States as they travel: hundredths.
pub(crate) fn states_array(hundredths: Vec<i128>, valid: Option<NullBuffer>) -> ArrayRef {
    std::sync::Arc::new(decimals(hundredths, valid))
}

pub(crate) fn decimals(values: Vec<i128>, valid: Option<NullBuffer>) -> Decimal128Array {
    Decimal128Array::new(values.into(), valid)
        .with_precision_and_scale(38, 0)
        .expect("38 digits without a scale are a valid decimal")
}

/// Hundredths to the nearest whole number, halves away from zero.
pub(crate) fn rounded(hundredths: i128) -> i128 {
    let half = if hundredths < 0 { -50 } else { 50 };
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    whole + (rest + half) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let cases = [
            (0, 0),
            (49, 0),
            (50, 1),
            (149, 1),
            (150, 2),
            (-49, 0),
            (-50, -1),
            (-150, -2),
            (i128::MAX, i128::MAX / 100),
        ];
        for (hundredths, whole) in cases {
            assert_eq!(rounded(hundredths), whole, "{hundredths}");
        }
    }

    #[test]
    fn magnitudes_of_the_extremes_take_63_bits() {
        assert_eq!(magnitude_bits(&[]), 0);
        assert_eq!(magnitude_bits(&[i64::MIN]), 63);
        assert_eq!(magnitude_bits(&[i64::MAX, -1]), 63);
        assert_eq!(magnitude_bits(&[5, -8]), 3);
    }

    #[test]
    fn blocks_that_need_128_bits_are_exact_too() {
        let values = [i64::MAX, 7, i64::MIN];
        let rates = [819_200, 100, 819_200];
        let expected: i128 =
            values.iter().zip(rates).map(|(&value, rate)| i128::from(value) * i128::from(rate)).sum();
        assert_eq!(total_of_products(&values, &rates).unwrap(), expected);
    }

    #[test]
    fn sum_of_more_than_128_bits_is_an_error() {
        let values = [i64::MIN; 3];
        assert!(total_of_products(&values, &values).is_err());
    }
}
