//! Rows to a summary. Every row that comes in goes through here.
//!
//! 1. Each column is added up, in blocks that fit the cache, in 64 bits where the block's largest values allow it.
//! 2. Each row gets a weight: its bytes times its sampling rate. Where all of them together fit 63 bits, so do tables.
//! 3. For each dimension the weights are added up by value. Its distinct values go to the sketch and its heaviest to the
//!    top, so that both cost what there are values, not rows.

use super::counts::{Column, Counts, PAIRS, Presence, Totals};
use super::dimension::{Half, Key, PRECISION, TOPPED};
use super::tally::{DirectTally, Tally, Weight};
use super::top::{Heavy, LISTED_MAX, Top};
use super::{Summary, dimension};
use crate::columns::{Catalog, Kind};
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::buffer::{NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType, UInt32Type};
use hll::Sketch;
use std::collections::HashMap;

/// Sampling rates by row, in hundredths.
enum Rates {
    Uniform(i64),
    Each { values: ScalarBuffer<i64>, min: i64, max: i64 },
}

/// What a row counts without a rate.
const EVERY_FLOW: i64 = 100;
const BLOCK: usize = 1024;

pub fn summary(rows: &RecordBatch) -> Summary {
    let rates = Rates::of(rows);
    let mut counts = Counts { rows: rows.num_rows() as u64, ..Counts::default() };
    counts.flows_hundredths = rates.sum(rows.num_rows(), None);
    let catalog = Catalog::shared();
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let Some(place) = catalog.find_stored(field.name()) else { continue };
        if array.null_count() < array.len() {
            let kind = catalog.stored()[usize::from(place.0)].kind;
            counts.columns.insert(place, column(kind, array, &rates));
        }
    }
    let [bytes, packets] = PAIRS.map(|(_, names)| pair(rows, names));
    for (place, pair) in [&bytes, &packets].into_iter().enumerate() {
        counts.pairs[place] = pair.as_ref().and_then(|pair| totals(pair.values(), pair.nulls(), &rates));
    }
    let bytes = bytes.unwrap_or_else(|| Int64Array::from(vec![0; rows.num_rows()]));
    let bytes_max = counts.pairs[0].map_or(0, |totals| totals.max.max(0));
    let all_max = (rates.max().max(0) as u128)
        .saturating_mul(bytes_max as u128)
        .saturating_mul(rows.num_rows() as u128);
    let (sketches, tops) = if all_max < 1 << 62 {
        dimensions(rows, &weights(&bytes, &rates, |bytes, rate| bytes * rate))
    } else {
        dimensions(rows, &weights(&bytes, &rates, |bytes, rate| u128::from(bytes) * u128::from(rate)))
    };
    Summary { counts, sketches, tops }
}

impl Rates {
    fn of(rows: &RecordBatch) -> Rates {
        let column =
            rows.column_by_name("sample_rate").and_then(|array| array.as_primitive_opt::<Int64Type>());
        let Some(array) = column else { return Rates::Uniform(EVERY_FLOW) };
        let values = match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => array.values().clone(),
            Some(_) => array.iter().map(|rate| rate.unwrap_or(EVERY_FLOW)).collect(),
        };
        let (min, max) = extremes(&values);
        if values.is_empty() {
            return Rates::Uniform(EVERY_FLOW);
        }
        if min == max { Rates::Uniform(max) } else { Rates::Each { values, min, max } }
    }

    fn max(&self) -> i64 {
        match self {
            Rates::Uniform(rate) => *rate,
            Rates::Each { max, .. } => *max,
        }
    }

    /// The sum of the rates of so many rows, those that are null left out.
    fn sum(&self, rows: usize, nulls: Option<&NullBuffer>) -> i128 {
        let count = rows - nulls.map_or(0, NullBuffer::null_count);
        match (self, nulls) {
            (Rates::Uniform(rate), _) => i128::from(*rate) * count as i128,
            (Rates::Each { values, .. }, None) => values.iter().map(|rate| i128::from(*rate)).sum(),
            (Rates::Each { values, min, max }, Some(nulls)) => {
                let largest = u128::from(min.unsigned_abs().max(max.unsigned_abs()));
                if largest * (rows as u128) < 1 << 62 {
                    nulls.valid_indices().map(|row| values[row]).sum::<i64>().into()
                } else {
                    nulls.valid_indices().map(|row| i128::from(values[row])).sum()
                }
            }
        }
    }
}

fn extremes(values: &[i64]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(min, max), value| (min.min(*value), max.max(*value)))
}

/// Of a column that has a value.
fn column(kind: Kind, array: &ArrayRef, rates: &Rates) -> Column {
    let nulls = array.nulls();
    let numbers = match kind {
        Kind::Small => {
            array.as_primitive_opt::<Int32Type>().and_then(|array| totals(array.values(), nulls, rates))
        }
        Kind::Large => {
            array.as_primitive_opt::<Int64Type>().and_then(|array| totals(array.values(), nulls, rates))
        }
        Kind::Time => {
            let times = array.as_primitive_opt::<TimestampMillisecondType>();
            times.and_then(|array| totals(array.values(), nulls, rates))
        }
        _ => None,
    };
    let presence = || Presence {
        count: (array.len() - array.null_count()) as u64,
        flows_hundredths: rates.sum(array.len(), nulls),
    };
    numbers.map_or_else(|| Column::Other(presence()), Column::Number)
}

/// `None` if all values are null.
fn totals<N: Copy + Into<i64>>(values: &[N], nulls: Option<&NullBuffer>, rates: &Rates) -> Option<Totals> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let mut block = [0; BLOCK];
    let mut block_rates = [0; BLOCK];
    let mut sums: Option<Totals> = None;
    let mut add = |values: &[i64], own_rates: &[i64]| {
        let part = block_totals(values, own_rates, rates);
        sums = Some(sums.map_or(part, |sums| sums.merged(part)));
    };
    match nulls {
        None => {
            for (index, part) in values.chunks(BLOCK).enumerate() {
                for (wide, value) in block.iter_mut().zip(part) {
                    *wide = (*value).into();
                }
                let own_rates = match rates {
                    Rates::Uniform(_) => &[],
                    Rates::Each { values, .. } => &values[index * BLOCK..][..part.len()],
                };
                add(&block[..part.len()], own_rates);
            }
        }
        Some(nulls) => {
            let mut filled = 0;
            for row in nulls.valid_indices() {
                block[filled] = values[row].into();
                if let Rates::Each { values, .. } = rates {
                    block_rates[filled] = values[row];
                }
                filled += 1;
                if filled == BLOCK {
                    add(&block, &block_rates);
                    filled = 0;
                }
            }
            if filled > 0 {
                add(&block[..filled], &block_rates[..filled]);
            }
        }
    }
    Some(Totals { flows_hundredths: rates.sum(values.len(), nulls), ..sums? })
}

/// Of a block that is not empty, but for its flows. Rates of its rows are only looked at if they are not uniform.
fn block_totals(values: &[i64], block_rates: &[i64], rates: &Rates) -> Totals {
    let (min, max) = extremes(values);
    let largest = u128::from(min.unsigned_abs().max(max.unsigned_abs())) * BLOCK as u128;
    let fits = |factor: u64| largest.checked_mul(factor.into()).is_some_and(|product| product < 1 << 62);
    let sum = if fits(1) {
        values.iter().sum::<i64>().into()
    } else {
        values.iter().copied().map(i128::from).sum()
    };
    let normalised_hundredths = match rates {
        Rates::Uniform(rate) => i128::saturating_mul(sum, (*rate).into()),
        Rates::Each { min, max, .. } => {
            let pairs = values.iter().zip(block_rates);
            if fits(min.unsigned_abs().max(max.unsigned_abs())) {
                pairs.map(|(value, rate)| value * rate).sum::<i64>().into()
            } else {
                pairs.fold(0, |sum: i128, (value, rate)| {
                    sum.saturating_add(i128::from(*value) * i128::from(*rate))
                })
            }
        }
    };
    Totals { count: values.len() as u64, flows_hundredths: 0, sum, normalised_hundredths, min, max }
}

/// The sums of two columns by row; `None` if there is neither.
fn pair(rows: &RecordBatch, names: [&str; 2]) -> Option<Int64Array> {
    let column = |name: &str| rows.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let (one, other) = match names.map(column) {
        [None, None] => return None,
        [Some(only), None] | [None, Some(only)] => return Some(only.clone()),
        [Some(one), Some(other)] => (one, other),
    };
    if one.null_count() == 0 && other.null_count() == 0 {
        let both = one.values().iter().zip(other.values());
        return Some(Int64Array::from_iter_values(both.map(|(one, other)| one.saturating_add(*other))));
    }
    let sum = |pair| match pair {
        (None, None) => None,
        (one, other) => Some(i64::saturating_add(one.unwrap_or(0), other.unwrap_or(0))),
    };
    Some(one.iter().zip(other.iter()).map(sum).collect())
}

fn weights<W>(bytes: &Int64Array, rates: &Rates, product: impl Fn(u64, u64) -> W) -> Vec<W> {
    let measured = |number: i64| number.max(0) as u64;
    let rate = |row: usize| match rates {
        Rates::Uniform(rate) => measured(*rate),
        Rates::Each { values, .. } => measured(values[row]),
    };
    if bytes.null_count() == 0 {
        let values = bytes.values().iter().enumerate();
        return values.map(|(row, bytes)| product(measured(*bytes), rate(row))).collect();
    }
    bytes.iter().enumerate().map(|(row, bytes)| product(measured(bytes.unwrap_or(0)), rate(row))).collect()
}

/// Sketches and tops, in the order of [`Half::ALL`] and [`TOPPED`].
fn dimensions<W: Weight>(rows: &RecordBatch, weights: &[W]) -> (Vec<Sketch>, Vec<Top>) {
    let mut sketches = Vec::with_capacity(Half::ALL.len());
    let mut tops = Vec::with_capacity(TOPPED.len());
    let total = weights.iter().fold(0, |sum: u128, weight| sum.saturating_add((*weight).into()));
    for name in ["src", "dst"] {
        let [ipv4, ipv6] =
            ["ipv4", "ipv6"].map(|family| rows.column_by_name(&format!("{family}_{name}_addr")));
        let mut values = Values::new();
        let (mut mapped, ipv6) = by_ipv6(ipv6, ipv4, weights);
        let all_mapped: Vec<u64> = mapped.keys().copied().collect();
        for (address, weight) in by_ipv4(ipv4, weights).iter() {
            let twin = if mapped.is_empty() { None } else { mapped.remove(&address) };
            values.add(Key::ipv4(address as u32), weight.saturating_add(twin.unwrap_or(0)));
        }
        sketches.push(values.take_sketch());
        all_mapped.iter().for_each(|address| values.note(Key::ipv4(*address as u32)));
        mapped.iter().for_each(|(address, weight)| values.weigh(Key::ipv4(*address as u32), *weight));
        ipv6.iter().for_each(|(address, weight)| values.add(Key::inet(address.to_be_bytes()), *weight));
        sketches.push(values.take_sketch());
        tops.push(values.top(total));
    }
    for name in &dimension::SKETCHED[4..] {
        let mut values = Values::new();
        if let Some(array) = rows.column_by_name(name) {
            by_number(array, weights, &mut values);
        }
        sketches.push(values.take_sketch());
        if TOPPED.contains(name) {
            tops.push(values.top(total));
        }
    }
    (sketches, tops)
}

fn by_ipv4<W: Weight>(array: Option<&ArrayRef>, weights: &[W]) -> Tally<u64, W> {
    let mut tally = Tally::new();
    if let Some(array) = array.and_then(|array| array.as_primitive_opt::<UInt32Type>()) {
        each(array.values(), array.nulls(), weights, |address, weight| tally.add(address as u64, weight));
    }
    tally
}

/// By address: those that are IPv4 addresses after all, and those that are not.
type Ipv6Weights = (HashMap<u64, u128>, Vec<(u128, u128)>);

/// Rows that have an IPv4 address as well are of that.
fn by_ipv6<W: Weight>(array: Option<&ArrayRef>, ipv4: Option<&ArrayRef>, weights: &[W]) -> Ipv6Weights {
    let mut tally: Tally<u128, W> = Tally::new();
    if let Some(array) = array.and_then(|array| array.as_fixed_size_binary_opt()) {
        let rows: &mut dyn Iterator<Item = usize> = match array.nulls() {
            Some(nulls) => &mut nulls.valid_indices(),
            None => &mut (0..array.len()),
        };
        for row in rows.filter(|row| ipv4.is_none_or(|ipv4| ipv4.is_null(*row))) {
            let octets = array.value(row).try_into().expect("addresses have 16 bytes");
            tally.add(u128::from_be_bytes(octets), weights[row]);
        }
    }
    let mut mapped = HashMap::new();
    let mut others = Vec::new();
    for (address, weight) in tally.iter() {
        if address >> 32 == 0xFFFF {
            mapped.insert(address as u64 & 0xFFFF_FFFF, weight);
        } else {
            others.push((address, weight));
        }
    }
    (mapped, others)
}

fn by_number<W: Weight>(array: &ArrayRef, weights: &[W], values: &mut Values) {
    let nulls = array.nulls();
    if let Some(array) = array.as_primitive_opt::<Int32Type>() {
        by_value(array.values(), nulls, weights, values);
    } else if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        by_value(array.values(), nulls, weights, values);
    }
}

fn by_value<N: Copy + Into<i64>, W: Weight>(
    numbers: &[N],
    nulls: Option<&NullBuffer>,
    weights: &[W],
    values: &mut Values,
) {
    // What is under a null counts here, too: it is only the choice of a table.
    let bits = numbers.iter().fold(0, |bits: u64, number| bits | (*number).into() as u64);
    if bits < DIRECT_END && bits < numbers.len() as u64 * 8 {
        let mut tally = DirectTally::new(bits as usize);
        each(numbers, nulls, weights, |number, weight| tally.add(number as usize, weight));
        tally.iter().for_each(|(number, weight)| values.add(Key::Number(number as i64), weight));
    } else {
        let mut tally: Tally<u64, W> = Tally::new();
        each(numbers, nulls, weights, |number, weight| tally.add(number as u64, weight));
        tally.iter().for_each(|(number, weight)| values.add(Key::Number(number as i64), weight));
    }
}

/// Numbers below this have a slot each, if there are rows enough.
const DIRECT_END: u64 = 1 << 16;

#[inline]
fn each<N: Copy + Into<i64>, W: Weight>(
    numbers: &[N],
    nulls: Option<&NullBuffer>,
    weights: &[W],
    mut visit: impl FnMut(i64, W),
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => numbers.iter().zip(weights).for_each(|(number, weight)| visit((*number).into(), *weight)),
        Some(nulls) => nulls.valid_indices().for_each(|row| visit(numbers[row].into(), weights[row])),
    }
}

/// The distinct values of a dimension as they are shown: a sketch of them, and the heaviest.
struct Values {
    sketch: Sketch,
    hashes: Vec<u64>,
    heavy: Vec<Heavy>,
    /// What is lighter is not among the heaviest.
    floor: u128,
    cut_max: u128,
    total: u128,
}

impl Values {
    fn new() -> Values {
        let sketch = Sketch::new(PRECISION);
        Values { sketch, hashes: Vec::new(), heavy: Vec::new(), floor: 0, cut_max: 0, total: 0 }
    }

    /// Adds a value that was not added before.
    fn add(&mut self, key: Key, weight: u128) {
        self.note(key);
        self.weigh(key, weight);
    }

    fn note(&mut self, key: Key) {
        self.hashes.push(key.hash());
        if self.hashes.len() == BLOCK {
            self.sketch.add_hashes(&self.hashes);
            self.hashes.clear();
        }
    }

    fn weigh(&mut self, key: Key, weight: u128) {
        self.total = self.total.saturating_add(weight);
        if weight < self.floor {
            self.cut_max = self.cut_max.max(weight);
            return;
        }
        self.heavy.push(Heavy { key, weight: signed(weight), missing_max: 0 });
        if self.heavy.len() == LISTED_MAX * 8 {
            let (_, first_cut, _) = self.heavy.select_nth_unstable_by_key(LISTED_MAX, Heavy::order);
            self.cut_max = self.cut_max.max(first_cut.weight.unsigned_abs());
            self.heavy.truncate(LISTED_MAX);
            let least = self.heavy.iter().map(|heavy| heavy.weight).min();
            self.floor = least.expect("so many are kept").unsigned_abs();
        }
    }

    /// The sketch of all values since the last one was taken.
    fn take_sketch(&mut self) -> Sketch {
        self.sketch.add_hashes(&self.hashes);
        self.hashes.clear();
        std::mem::replace(&mut self.sketch, Sketch::new(PRECISION))
    }

    /// The top of all values, of rows that weigh so much in all.
    fn top(self, total: u128) -> Top {
        Top::of(self.heavy, signed(self.cut_max), signed(total.saturating_sub(self.total)))
    }
}

fn signed(weight: u128) -> i128 {
    i128::try_from(weight).unwrap_or(i128::MAX)
}
