//! Flow rows for tests and benchmarks, shaped as a carrier's router makes them, and the same for the same seed.
//!
//! In: a seed, the index of a minute, a number of rows. Out: a [`RecordBatch`] with the stored columns of a flow table, in
//! the order of the rows' start, and the totals that it has. What the numbers look like:
//!
//! | what | how |
//! |---|---|
//! | sampling | 8 line cards (`vlan_in`), each with a rate of its own from 1 to 8192 |
//! | packets of a row | Pareto with an exponent of 1.15, at most 2^24; two thirds have one |
//! | bytes | packets by sizes of 52 and 64, 80 to 980, 1400 to 1480 |
//! | addresses | prefix by Zipf (1.02) of 60 000, host by Zipf (1.1) of 4096; 0.7 % of the sources at random |
//! | IPv6 | 12 % of the rows |
//! | ports | a service by weight or from a Zipf tail on one side, an ephemeral port on the other |
//! | names | Zipf (1.0) of 300 000, in rows of DNS, HTTP and half of TLS |
//! | minutes | so many as the rows take, with seven days' ups and downs |
//!
//! Fields that a decoder of flow messages leaves out when they are zero are null here, too. The tails are a choice, and no
//! measurement of a network. It does not read a clock.

mod columns;
mod random;
mod row;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use columns::Columns;
use random::Random;
use row::{Row, Tables};

/// Makes rows. What it holds is a few megabytes of tables.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    tables: Tables,
}

/// What all rows of some batches add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub rows: u64,
    /// Times the sampling rate: bytes and packets, forward and back.
    pub bytes: i128,
    pub packets: i128,
    /// The sum of the sampling rates.
    pub flows: i128,
}

/// Start of minute 0, in milliseconds since the Unix epoch.
pub const FIRST_MINUTE_MS: i64 = 1_760_000_000_000 / MINUTE_MS * MINUTE_MS;

/// Rows of a minute, on average, of a large router: 1.764e9 a week.
pub const ROWS_PER_MINUTE: usize = 175_000;

const MINUTE_MS: i64 = 60_000;

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator { seed, tables: Tables::new(seed) }
    }

    /// The columns of every batch.
    pub fn schema() -> SchemaRef {
        columns::schema()
    }

    /// The rows of a minute, and their totals.
    pub fn minute(&self, minute: u32, rows: usize) -> (RecordBatch, Totals) {
        let mut random = Random::of(self.seed, u64::from(minute));
        let start_ms = FIRST_MINUTE_MS + i64::from(minute) * MINUTE_MS;
        let mut columns = Columns::with_capacity(rows);
        let mut totals = Totals::default();
        let mut name = String::new();
        for offset_ms in ascending_offsets(&mut random, rows) {
            let row = Row::draw(&self.tables, &mut random);
            totals.add(&row);
            columns.push(start_ms + i64::from(offset_ms), &row, &mut name);
        }
        (columns.finish(), totals)
    }
}

impl Totals {
    pub fn merge(&mut self, other: &Totals) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.flows += other.flows;
    }

    fn add(&mut self, row: &Row) {
        let rate = i128::from(row.rate);
        self.rows += 1;
        self.bytes += i128::from(row.bytes + row.bytes_back) * rate;
        self.packets += i128::from(row.packets + row.packets_back) * rate;
        self.flows += rate;
    }
}

/// Rows by minute: so many in all, with seven days' ups and downs, and so many a minute on average.
pub fn week(rows: usize, rows_per_minute: usize) -> Vec<usize> {
    let minutes = ((rows as f64 / rows_per_minute as f64).round() as usize).max(1);
    let weight = |minute: usize| {
        let day = minute as f64 / minutes as f64 * 7.0 * std::f64::consts::TAU;
        1.0 + 0.45 * (day - 1.5).sin()
    };
    let sum: f64 = (0..minutes).map(weight).sum();
    let mut by_minute: Vec<usize> =
        (0..minutes).map(|minute| (weight(minute) / sum * rows as f64) as usize).collect();
    let missing = rows - by_minute.iter().sum::<usize>();
    by_minute[minutes - 1] += missing;
    by_minute
}

/// Milliseconds within the minute at which rows start, in order.
fn ascending_offsets(random: &mut Random, rows: usize) -> impl Iterator<Item = u16> + use<> {
    let mut counts = vec![0_u32; MINUTE_MS as usize];
    for _ in 0..rows {
        counts[random.below(MINUTE_MS as u64) as usize] += 1;
    }
    let offsets = counts.into_iter().enumerate();
    offsets.flat_map(|(offset, count)| std::iter::repeat_n(offset as u16, count as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
    use arrow_array::{Array, Int64Array};

    const ROWS: usize = 20_000;

    fn large<'a>(batch: &'a RecordBatch, name: &str) -> &'a Int64Array {
        batch.column_by_name(name).unwrap().as_primitive::<Int64Type>()
    }

    #[test]
    fn a_seed_and_a_minute_make_the_same_rows_again() {
        let (rows, totals) = Generator::new(7).minute(3, 500);
        assert_eq!(Generator::new(7).minute(3, 500), (rows.clone(), totals));
        assert_ne!(Generator::new(8).minute(3, 500).0, rows);
        assert_ne!(Generator::new(7).minute(4, 500).0, rows);
    }

    #[test]
    fn totals_are_those_of_the_rows() {
        let (rows, totals) = Generator::new(1).minute(0, ROWS);
        let rates = large(&rows, "sample_rate").values();
        let sum = |forward: &str, back: &str| -> i128 {
            let values = large(&rows, forward).values().iter().zip(large(&rows, back).values());
            values.zip(rates).map(|((a, b), rate)| i128::from(a + b) * i128::from(*rate)).sum()
        };
        assert_eq!(totals.rows, ROWS as u64);
        assert_eq!(totals.bytes * 100, sum("in_bytes", "out_bytes"));
        assert_eq!(totals.packets * 100, sum("in_pkts", "out_pkts"));
        assert_eq!(totals.flows * 100, rates.iter().map(|rate| i128::from(*rate)).sum::<i128>());
    }

    #[test]
    fn rows_start_within_their_minute_and_in_order() {
        let (rows, _) = Generator::new(1).minute(9, ROWS);
        let starts = rows.column_by_name("i_start_time").unwrap().as_primitive::<TimestampMillisecondType>();
        assert!(starts.values().is_sorted());
        let minute = FIRST_MINUTE_MS + 9 * MINUTE_MS;
        assert!(starts.values().iter().all(|start| (minute..minute + MINUTE_MS).contains(start)));
    }

    #[test]
    fn rows_have_the_shape_that_the_documentation_says() {
        let (rows, _) = Generator::new(1).minute(0, ROWS);
        let share = |count: usize| count as f64 / ROWS as f64;
        let null = |name: &str| share(rows.column_by_name(name).unwrap().null_count());
        assert!((null("ipv4_src_addr") - 0.12).abs() < 0.01);
        assert!((null("ipv6_src_addr") - 0.88).abs() < 0.01);
        let single = large(&rows, "in_pkts").values().iter().filter(|packets| **packets == 1).count();
        assert!((share(single) - 0.55).abs() < 0.02, "{}", share(single));
        let ports = rows.column_by_name("l4_dst_port").unwrap().as_primitive::<Int32Type>();
        let tls = ports.values().iter().filter(|port| **port == 443).count();
        assert!((share(tls) - 0.46 * 0.42).abs() < 0.02, "{}", share(tls));
        assert!((null("str01") - (1.0 - 0.26)).abs() < 0.03, "{}", null("str01"));
    }

    #[test]
    fn a_week_has_all_rows_and_ups_and_downs() {
        let week = week(1_000_000, 10_000);
        assert_eq!((week.len(), week.iter().sum::<usize>()), (100, 1_000_000));
        let (least, most) = (week.iter().min().unwrap(), week.iter().max().unwrap());
        assert!(*most > 2 * least, "{least} {most}");
    }
}
