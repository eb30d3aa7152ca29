//! Laws of the aggregates: against a naive model, and whichever way rows are cut into batches and states merged.

mod common;

use std::sync::Arc;

use common::{Flow, context, flows, query};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{Accumulator, EmitTo};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::col;
use proptest::prelude::*;

/// A row of the laws.
#[derive(Clone, Debug)]
struct Row {
    group: usize,
    value: Option<i64>,
    rate: Option<i64>,
    kept: bool,
}

const GROUPS: usize = 4;

fn any_row() -> impl Strategy<Value = Row> {
    let value = prop_oneof![3 => 0..100_000_i64, 1 => any::<i64>()];
    let rate = prop_oneof![3 => Just(100), 2 => 100..1_000_000_i64];
    let parts =
        (0..GROUPS, prop::option::weighted(0.8, value), prop::option::weighted(0.9, rate), any::<bool>());
    parts.prop_map(|(group, value, rate, kept)| Row { group, value, rate, kept })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(any_row(), 0..200)
}

fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let values = rows.iter().map(|row| row.value);
    let rates = rows.iter().map(|row| row.rate);
    vec![Arc::new(Int64Array::from_iter(values)), Arc::new(Int64Array::from_iter(rates))]
}

/// The aggregate of a name over the first `arguments` columns.
fn aggregate(name: &str, arguments: usize) -> AggregateFunctionExpr {
    let state = flow_sql::install(SessionStateBuilder::new().with_default_features()).build();
    let names = ["value", "rate"];
    let schema = Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let arguments = names[..arguments].iter().map(|name| col(name, &schema).expect("a column")).collect();
    let function = Arc::clone(&state.aggregate_functions()[name]);
    AggregateExprBuilder::new(function, arguments).schema(schema).alias(name).build().expect("an aggregate")
}

/// Rows of which the first are of all groups: an accumulator is told of no group before its first row.
fn rows_of_groups() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(any_row(), GROUPS..100).prop_map(|mut rows| {
        rows.iter_mut().take(GROUPS).enumerate().for_each(|(group, row)| row.group = group);
        rows
    })
}

/// In hundredths.
fn products(rows: &[Row], keep: impl Fn(&Row) -> bool) -> Option<i128> {
    let kept = rows.iter().filter(|row| keep(row));
    let products = kept.filter_map(|row| Some(i128::from(row.value?) * i128::from(row.rate.unwrap_or(100))));
    products.reduce(|sum, product| sum + product)
}

fn rates(rows: &[Row], keep: impl Fn(&Row) -> bool) -> i128 {
    let kept = rows.iter().filter(|row| row.value.is_some() && keep(row));
    kept.map(|row| i128::from(row.rate.unwrap_or(100))).sum()
}

/// To the nearest, halves away from zero.
fn nearest(hundredths: i128) -> i128 {
    (hundredths.abs() + 50) / 100 * hundredths.signum()
}

fn merged(aggregate: &AggregateFunctionExpr, parts: &[&[Row]], arguments: usize) -> ScalarValue {
    let mut whole = aggregate.create_accumulator().expect("an accumulator");
    for part in parts {
        let mut accumulator = aggregate.create_accumulator().expect("an accumulator");
        accumulator.update_batch(&columns(part)[..arguments]).expect("rows");
        merge(whole.as_mut(), &accumulator.state().expect("a state"));
    }
    whole.evaluate().expect("a result")
}

fn merge(into: &mut dyn Accumulator, state: &[ScalarValue]) {
    let states: Vec<ArrayRef> = state.iter().map(|value| value.to_array().expect("an array")).collect();
    into.merge_batch(&states).expect("a state merges");
}

/// By groups: some rows as they are, some as states, some as states of single rows.
fn grouped(aggregate: &AggregateFunctionExpr, parts: [&[Row]; 3], arguments: usize) -> ArrayRef {
    let input = |part: &[Row]| {
        let groups: Vec<usize> = part.iter().map(|row| row.group).collect();
        let kept: BooleanArray = part.iter().map(|row| Some(row.kept)).collect();
        (columns(part)[..arguments].to_vec(), groups, kept)
    };
    let mut whole = aggregate.create_groups_accumulator().expect("groups");
    let (columns, groups, kept) = input(parts[0]);
    whole.update_batch(&columns, &groups, Some(&kept), GROUPS).expect("rows");
    let (columns, groups, kept) = input(parts[1]);
    let mut other = aggregate.create_groups_accumulator().expect("groups");
    other.update_batch(&columns, &groups, Some(&kept), GROUPS).expect("rows");
    let mut first = 0;
    for emit_to in [EmitTo::First(1), EmitTo::All] {
        let states = other.state(emit_to).expect("states");
        let emitted: Vec<usize> = (first..first + states[0].len()).collect();
        whole.merge_batch(&states, &emitted, GROUPS).expect("states merge");
        first += emitted.len();
    }
    let (columns, groups, kept) = input(parts[2]);
    let states = whole.convert_to_state(&columns, Some(&kept)).expect("states of rows");
    whole.merge_batch(&states, &groups, GROUPS).expect("states merge");
    whole.evaluate(EmitTo::All).expect("results")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sum_is_exact_however_its_states_are_merged(rows in rows(), cut in 0..200_usize) {
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let expected = products(&rows, |_| true).map(nearest);
        let sum = aggregate("f_sum", 2);
        prop_assert_eq!(merged(&sum, &[first, second], 2), ScalarValue::Decimal128(expected, 38, 0));
        prop_assert_eq!(merged(&sum, &[&rows], 2), ScalarValue::Decimal128(expected, 38, 0));
    }

    #[test]
    fn count_and_mean_are_those_of_the_model(rows in rows(), cut in 0..200_usize) {
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let weights = rates(&rows, |_| true);
        let count = merged(&aggregate("f_count", 2), &[first, second], 2);
        prop_assert_eq!(count, ScalarValue::Int64(Some(nearest(weights) as i64)));
        let mean = merged(&aggregate("f_avg", 2), &[first, second], 2);
        let expected = products(&rows, |_| true).map(|sum| sum as f64 / weights as f64);
        prop_assert_eq!(mean, ScalarValue::Float64(expected));
    }

    #[test]
    fn groups_are_what_the_model_says(
        first in rows_of_groups(),
        second in rows_of_groups(),
        third in rows_of_groups(),
        all_kept: bool,
    ) {
        let parts = [first, second, third].map(|mut rows| {
            rows.iter_mut().for_each(|row| row.kept |= all_kept);
            rows
        });
        let rows = parts.concat();
        let parts = parts.each_ref().map(Vec::as_slice);
        let sums = grouped(&aggregate("f_sum", 2), parts, 2);
        let counts = grouped(&aggregate("f_count", 2), parts, 2);
        let means = grouped(&aggregate("f_avg", 2), parts, 2);
        for group in 0..GROUPS {
            let of_group = |row: &Row| row.group == group && row.kept;
            let sum = products(&rows, of_group);
            let weights = rates(&rows, of_group);
            let at = |array: &ArrayRef| array.is_valid(group);
            prop_assert_eq!(at(&sums).then(|| sums.as_primitive::<Decimal128Type>().value(group)), sum.map(nearest));
            prop_assert_eq!(counts.as_primitive::<Int64Type>().value(group), nearest(weights) as i64);
            let mean = at(&means).then(|| means.as_primitive::<Float64Type>().value(group));
            prop_assert_eq!(mean, sum.map(|sum| sum as f64 / weights as f64));
        }
    }

    #[test]
    fn distinct_values_are_counted_once_however_sketches_are_merged(
        first in rows_of_groups(),
        second in rows_of_groups(),
    ) {
        let rows = [first.clone(), second.clone()].concat();
        let distinct = |keep: &dyn Fn(&Row) -> bool| {
            let values = rows.iter().filter(|row| keep(row)).filter_map(|row| row.value);
            values.collect::<std::collections::HashSet<i64>>().len() as i64
        };
        let aggregate = aggregate("f_countdistinct", 1);
        // As few as these are told apart exactly, but for collisions of hashes.
        prop_assert_eq!(merged(&aggregate, &[&first, &second], 1), ScalarValue::Int64(Some(distinct(&|_| true))));
        let counts = grouped(&aggregate, [&first, &second, &[]], 1);
        for group in 0..GROUPS {
            let expected = distinct(&|row| row.group == group && row.kept);
            prop_assert_eq!(counts.as_primitive::<Int64Type>().value(group), expected);
        }
    }
}

/// Numbers of a generator that is the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

fn many(random: &mut Random) -> Vec<Flow> {
    let flow = |random: &mut Random| Flow {
        in_bytes: Some(40 + (random.next() % 1460) as i64),
        in_pkts: 1,
        seconds_ago: 9000,
        ..Flow::default()
    };
    (0..20_000).map(|_| flow(random)).collect()
}

fn sampled(flows: &[Flow], rate: i64, random: &mut Random) -> Vec<Flow> {
    let kept = flows.iter().filter(|_| random.one_in(rate as u64));
    let scaled = |flow: &Flow| Flow { sample_rate: Some(rate * 100), weight: rate * 100, ..flow.clone() };
    kept.map(scaled).collect()
}

/// The numbers of the only row.
async fn numbers(flows: &[Flow], sql: &str) -> Vec<f64> {
    let rows = query(&context(flows), sql).await.expect("a result");
    rows[0].split(" | ").map(|number| number.parse().expect("a number")).collect()
}

#[tokio::test]
async fn sums_over_samples_are_unbiased_and_within_their_error() {
    let mut random = Random(20_261_130);
    let flows = many(&mut random);
    let sums = "SELECT sum(in_bytes), count(*), f_avg(in_bytes) FROM big_backbone_router";
    let truth = numbers(&flows, sums).await;
    let (mut mean, mut covered) = ([0.0; 2], [0; 2]);
    const RUNS: usize = 40;
    for _ in 0..RUNS {
        let sample = sampled(&flows, 16, &mut random);
        let estimate = numbers(&sample, sums).await;
        let errors = "SELECT f_sum_error(in_bytes), f_count_error() FROM big_backbone_router";
        let errors = numbers(&sample, errors).await;
        for place in 0..2 {
            mean[place] += estimate[place] / RUNS as f64;
            covered[place] += usize::from((estimate[place] - truth[place]).abs() <= errors[place]);
        }
        assert!((estimate[2] / truth[2] - 1.0).abs() < 0.1, "the mean is hardly changed by sampling");
    }
    for place in 0..2 {
        // One run's standard deviation is about 3.3 %, the mean's of 40 runs 0.5 %.
        assert!((mean[place] / truth[place] - 1.0).abs() < 0.02, "{} is not {}", mean[place], truth[place]);
        // 95 % of the intervals hold the truth: 38 of 40, and hardly ever less than 33.
        assert!(covered[place] >= 33, "{} of {RUNS}", covered[place]);
    }
}

#[tokio::test]
async fn rows_that_nobody_sampled_count_as_they_are() {
    let flows = flows().into_iter().map(|flow| Flow { sample_rate: Some(100), ..flow }).collect::<Vec<_>>();
    let sql = "SELECT f_sum(in_bytes) - raw_sum(in_bytes), f_count() - raw_count(), f_sum_error(in_bytes)
               FROM big_backbone_router WHERE i_fast_weight = 100";
    assert_eq!(numbers(&flows, sql).await, [0.0, 0.0, 0.0]);
}
