//! The Fast series: so few rows of a slice that weeks of them are quickly read, and still right.
//!
//! A row is kept with a probability that is proportional to its size, and counts for its inverse, so that sums are right on
//! average, of all rows and of any of them. Its size is its share of the slice's bytes, packets, flows and rows, mixed: the
//! few rows with most of the bytes are certain to be kept, and what is left out is small. Rows taken alike, one in so many,
//! would be off by half: in networks few flows carry most of the bytes.
//!
//! Rows are drawn systematically: with sizes laid end to end in the order of the rows, one at every so many units from a
//! random start. That keeps exactly as many rows as asked for, and, since like rows of a slice are beside each other, of
//! each port and each network about the share that it has. The error that is computed from weights alone, as if each row
//! were drawn by itself, is then more rather than less than the true one.
//!
//! In: rows of a slice, a number of rows, a seed. Out: rows with `i_fast_weight`, and with a `sample_rate` that includes it.
//! Both are rounded to hundredths at random, up or down, so that rounding adds no bias.

use crate::columns::{Catalog, Stored};
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Int64Type, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the size of a row is mixed from, in shares of one.
const SHARES: Shares = Shares { bytes: 0.3, packets: 0.3, flows: 0.3, rows: 0.1 };

struct Shares {
    bytes: f64,
    packets: f64,
    flows: f64,
    rows: f64,
}

/// In hundredths: a row that stands for itself, and one of which all was seen.
const ONCE: i64 = 100;

/// At most so many of the rows, chosen and weighted so that sums stay right; all of them if they are not more.
///
/// The same rows and seed give the same choice. The order of rows is kept. With room for none, none are kept, and sums are
/// lost.
pub fn thin(rows: &RecordBatch, rows_max: usize, seed: u64) -> RecordBatch {
    let rates = numbers(rows, "sample_rate", ONCE);
    let weights = numbers(rows, "i_fast_weight", ONCE);
    let mut random = Random(seed);
    let choice = if rows.num_rows() <= rows_max {
        (0..rows.num_rows()).map(|row| Kept { row, weight: 1.0 }).collect()
    } else {
        choose(&sizes(rows, &rates), rows_max, &mut random)
    };
    let mut scaled = |values: &[i64]| -> ArrayRef {
        let of = |kept: &Kept| rounded(values[kept.row], kept.weight, &mut random);
        Arc::new(Int64Array::from_iter_values(choice.iter().map(of)))
    };
    let (rates, weights) = (scaled(&rates), scaled(&weights));
    let order = UInt64Array::from_iter_values(choice.iter().map(|kept| kept.row as u64));
    let catalog = Catalog::shared();
    let mut columns: BTreeMap<Stored, ArrayRef> = BTreeMap::new();
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        if let Some(place) = catalog.find_stored(field.name()) {
            columns.insert(place, take(array, &order, None).expect("the order is of these rows"));
        }
    }
    for (name, array) in [("sample_rate", rates), ("i_fast_weight", weights)] {
        columns.insert(catalog.find_stored(name).expect("the catalogue has it"), array);
    }
    let field = |place: &Stored| {
        let column = &catalog.stored()[usize::from(place.0)];
        column.kind.field(&column.name)
    };
    let schema = Schema::new(columns.keys().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_values().collect())
        .expect("all columns were taken alike")
}

/// A row that is kept, and how many it stands for.
struct Kept {
    row: usize,
    weight: f64,
}

/// The sizes of rows: positive, and one in all.
fn sizes(rows: &RecordBatch, rates: &[i64]) -> Vec<f64> {
    let normalised = |names: [&str; 2]| -> Vec<f64> {
        let [forward, back] = names.map(|name| numbers(rows, name, 0));
        let both = forward.iter().zip(&back).zip(rates);
        both.map(|((forward, back), rate)| {
            (*forward as f64 + *back as f64).max(0.0) * (*rate as f64).max(0.0)
        })
        .collect()
    };
    let flows: Vec<f64> = rates.iter().map(|rate| (*rate as f64).max(1.0)).collect();
    let parts = [
        (normalised(["in_bytes", "out_bytes"]), SHARES.bytes),
        (normalised(["in_pkts", "out_pkts"]), SHARES.packets),
        (flows, SHARES.flows),
        (vec![1.0; rows.num_rows()], SHARES.rows),
    ];
    let mut sizes = vec![0.0; rows.num_rows()];
    let mut shares = 0.0;
    for (values, share) in parts {
        let sum: f64 = values.iter().sum();
        if sum > 0.0 {
            shares += share;
            sizes.iter_mut().zip(&values).for_each(|(size, value)| *size += share * value / sum);
        }
    }
    sizes.iter_mut().for_each(|size| *size /= shares);
    sizes
}

/// Keeps `count` rows, fewer than there are, with probabilities proportional to their sizes.
fn choose(sizes: &[f64], count: usize, random: &mut Random) -> Vec<Kept> {
    if count == 0 {
        return Vec::new();
    }
    let threshold = threshold(sizes, count);
    let mut kept = Vec::with_capacity(count);
    let mut next = random.unit();
    let mut passed = 0.0;
    for (row, size) in sizes.iter().enumerate() {
        let weight = threshold / size;
        if weight <= 1.0 {
            kept.push(Kept { row, weight: 1.0 });
            continue;
        }
        passed += 1.0 / weight;
        if passed > next {
            next += 1.0;
            kept.push(Kept { row, weight });
        }
    }
    // The last of a sum of fractions can be off by as much as they were rounded.
    kept.truncate(count);
    kept
}

/// The size from which on rows are certain to be kept, so that `count` are kept in all.
fn threshold(sizes: &[f64], count: usize) -> f64 {
    let mut threshold = sizes.iter().sum::<f64>() / count as f64;
    loop {
        let (mut certain, mut rest) = (0, 0.0);
        for size in sizes {
            if *size >= threshold {
                certain += 1;
            } else {
                rest += size;
            }
        }
        if certain >= count {
            return threshold;
        }
        let lower = rest / (count - certain) as f64;
        // Every row that becomes certain leaves less for the others; it ends when none does.
        if lower >= threshold * (1.0 - f64::EPSILON * 8.0) {
            return threshold;
        }
        threshold = lower;
    }
}

/// A product, rounded up or down at random so that it is right on average.
fn rounded(value: i64, weight: f64, random: &mut Random) -> i64 {
    if weight <= 1.0 {
        return value;
    }
    (value as f64 * weight + random.unit()).floor() as i64
}

/// A column of whole numbers, with this in place of nulls and of a column that is not there.
fn numbers(rows: &RecordBatch, name: &str, absent: i64) -> Vec<i64> {
    match rows.column_by_name(name).and_then(|array| array.as_primitive_opt::<Int64Type>()) {
        None => vec![absent; rows.num_rows()],
        Some(array) if array.null_count() == 0 => array.values().to_vec(),
        Some(array) => array.iter().map(|number| number.unwrap_or(absent)).collect(),
    }
}

/// SplitMix64: a hash of a counter.
struct Random(u64);

impl Random {
    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut hash = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((hash ^ hash >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_rows::Generator;
    use datafusion::arrow::datatypes::Int32Type;

    /// Sums of a batch: what queries ask for.
    #[derive(Clone, Copy, Debug)]
    struct Sums([f64; 4]);

    const NAMES: [&str; 4] = ["bytes", "packets", "flows", "rows"];

    fn sums(rows: &RecordBatch, is_counted: impl Fn(usize) -> bool) -> Sums {
        let [rates, weights] = ["sample_rate", "i_fast_weight"].map(|name| numbers(rows, name, ONCE));
        let [in_bytes, out_bytes, in_packets, out_packets] =
            ["in_bytes", "out_bytes", "in_pkts", "out_pkts"].map(|name| numbers(rows, name, 0));
        let mut sums = [0.0; 4];
        for row in (0..rows.num_rows()).filter(|row| is_counted(*row)) {
            let rate = rates[row] as f64;
            sums[0] += (in_bytes[row] + out_bytes[row]) as f64 * rate;
            sums[1] += (in_packets[row] + out_packets[row]) as f64 * rate;
            sums[2] += rate;
            sums[3] += weights[row] as f64;
        }
        Sums(sums)
    }

    fn of_all(rows: &RecordBatch) -> Sums {
        sums(rows, |_| true)
    }

    fn of_tls(rows: &RecordBatch) -> Sums {
        let ports = rows.column_by_name("l4_dst_port").unwrap().as_primitive::<Int32Type>();
        sums(rows, |row| ports.value(row) == 443)
    }

    /// Mean and root mean square of the relative errors over seeds.
    fn errors(
        rows: &RecordBatch,
        rows_max: usize,
        seeds: u64,
        of: fn(&RecordBatch) -> Sums,
    ) -> [(f64, f64); 4] {
        let truth = of(rows);
        let mut errors = [(0.0, 0.0); 4];
        for seed in 0..seeds {
            let estimate = of(&thin(rows, rows_max, seed));
            for (place, error) in errors.iter_mut().enumerate() {
                let relative = estimate.0[place] / truth.0[place] - 1.0;
                error.0 += relative / seeds as f64;
                error.1 += relative * relative / seeds as f64;
            }
        }
        errors.map(|(mean, square)| (mean, square.sqrt()))
    }

    #[test]
    fn sums_are_right_on_average() {
        const SEEDS: u64 = 4000;
        let (rows, _) = Generator::new(5).minute(0, 400);
        for of in [of_all, of_tls] {
            for ((mean, rms), name) in errors(&rows, 40, SEEDS, of).into_iter().zip(NAMES) {
                let standard_error = rms / (SEEDS as f64).sqrt();
                assert!(mean.abs() < 4.5 * standard_error + 1e-9, "{name}: {mean} with {rms}");
            }
        }
    }

    #[test]
    fn exactly_so_many_rows_are_kept() {
        let (rows, _) = Generator::new(5).minute(0, 3000);
        for rows_max in [1, 2, 50, 999, 2999] {
            for seed in 0..20 {
                let kept = thin(&rows, rows_max, seed).num_rows();
                assert!(kept == rows_max || kept + 1 == rows_max, "{kept} of {rows_max}");
            }
        }
        assert_eq!(thin(&rows, 0, 1).num_rows(), 0);
        assert_eq!(thin(&rows.slice(0, 0), 7, 1).num_rows(), 0);
    }

    #[test]
    fn few_rows_are_all_kept_and_stand_for_themselves() {
        let (rows, _) = Generator::new(5).minute(0, 100);
        let kept = thin(&rows, 100, 1);
        for field in rows.schema_ref().fields() {
            assert_eq!(
                kept.column_by_name(field.name()),
                rows.column_by_name(field.name()),
                "{}",
                field.name()
            );
        }
        let weights = kept.column_by_name("i_fast_weight").unwrap().as_primitive::<Int64Type>();
        assert!(weights.values().iter().all(|weight| *weight == 100));
    }

    #[test]
    fn a_seed_makes_the_same_choice_again() {
        let (rows, _) = Generator::new(5).minute(0, 2000);
        assert_eq!(thin(&rows, 90, 1), thin(&rows, 90, 1));
        assert_ne!(thin(&rows, 90, 1), thin(&rows, 90, 2));
    }

    #[test]
    fn weights_multiply_when_rows_are_thinned_again() {
        let (rows, _) = Generator::new(5).minute(0, 400);
        let truth = of_all(&rows);
        let mut mean = [0.0; 4];
        for seed in 0..2000 {
            let again = of_all(&thin(&thin(&rows, 100, seed), 40, !seed));
            for (place, sum) in mean.iter_mut().enumerate() {
                *sum += again.0[place] / truth.0[place] / 2000.0;
            }
        }
        assert!(mean.iter().all(|ratio| (ratio - 1.0).abs() < 0.02), "{mean:?}");
    }

    #[test]
    fn the_largest_rows_are_kept_as_they_are() {
        let (rows, _) = Generator::new(5).minute(0, 3000);
        let bytes = numbers(&rows, "in_bytes", 0);
        let rates = numbers(&rows, "sample_rate", ONCE);
        let largest =
            (0..rows.num_rows()).max_by_key(|row| i128::from(bytes[*row]) * i128::from(rates[*row])).unwrap();
        let kept = thin(&rows, 60, 9);
        let found = numbers(&kept, "in_bytes", 0).iter().position(|kept| *kept == bytes[largest]).unwrap();
        assert_eq!(numbers(&kept, "sample_rate", ONCE)[found], rates[largest]);
        assert_eq!(numbers(&kept, "i_fast_weight", 0)[found], 100);
    }

    #[test]
    fn extreme_rows_do_no_harm() {
        let large: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN, 0, -1, i64::MAX]));
        let columns =
            ["sample_rate", "in_bytes", "out_bytes", "in_pkts"].map(|name| (name, Arc::clone(&large), true));
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        (0..50).for_each(|seed| assert!(thin(&rows, 3, seed).num_rows() <= 3));
    }

    /// One row in 64 of a large router's, as a slice has them in order.
    #[test]
    fn a_minute_of_a_router_is_right_within_two_percent() {
        let (rows, _) = Generator::new(5).minute(0, bench_rows::ROWS_PER_MINUTE);
        let errors = errors(&rows, bench_rows::ROWS_PER_MINUTE / 64, 6, of_all);
        for (((_, rms), name), max) in errors.into_iter().zip(NAMES).zip([0.02, 0.02, 0.04, 0.15]) {
            eprintln!("{name}: {:.2} %", rms * 100.0);
            assert!(rms < max, "{name}: {rms}");
        }
    }
}
