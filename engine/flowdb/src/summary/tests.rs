//! Laws of summaries, against sums that are made row by row.

use super::*;
use crate::columns::Catalog;
use bench_rows::Generator;
use datafusion::arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch, StringViewArray, UInt32Array,
};
use datafusion::arrow::compute::concat_batches;
use hll::hash;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// A row with few different values, so that they repeat.
#[derive(Clone, Debug)]
struct Row {
    rate: Option<i64>,
    protocol: Option<i32>,
    port: Option<i32>,
    system: Option<i64>,
    ipv4: Option<u32>,
    ipv6: Option<u128>,
    in_bytes: Option<i64>,
    out_bytes: Option<i64>,
    name: Option<String>,
}

fn counter() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        1 => Just(None),
        6 => (0_i64..100_000).prop_map(Some),
        1 => (0_i64..1 << 50).prop_map(Some),
        1 => (i64::MAX - 5..=i64::MAX).prop_map(Some),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let rate = prop_oneof![1 => Just(None), 3 => Just(Some(100)), 3 => (1_i64..1_000_000).prop_map(Some)];
    let ipv6 = prop_oneof![4 => (0_u128..9).prop_map(|low| 0x2001 << 112 | low), 1 => (0_u128..9).prop_map(|low| 0xFFFF << 32 | low)];
    let keys = (
        prop::option::of(0_i32..5),
        prop::option::of(prop_oneof![0_i32..9, -3_i32..70_000]),
        prop::option::of(prop_oneof![0_i64..9, any::<i64>()]),
        prop::option::of(prop_oneof![0_u32..9, any::<u32>()]),
        prop::option::of(ipv6),
    );
    (rate, keys, counter(), counter(), prop::option::of("[a-c]")).prop_map(
        |(rate, (protocol, port, system, ipv4, ipv6), in_bytes, out_bytes, name)| Row {
            rate,
            protocol,
            port,
            system,
            ipv4,
            ipv6: ipv6.filter(|_| ipv4.is_none()),
            in_bytes,
            out_bytes,
            name,
        },
    )
}

fn batch(rows: &[Row]) -> RecordBatch {
    let octets = rows.iter().map(|row| row.ipv6.map(u128::to_be_bytes));
    let ipv6 = FixedSizeBinaryArray::try_from_sparse_iter_with_size(octets, 16).unwrap();
    let rates: ArrayRef = Arc::new(rows.iter().map(|row| row.rate).collect::<Int64Array>());
    let protocols: ArrayRef = Arc::new(rows.iter().map(|row| row.protocol).collect::<Int32Array>());
    let mut columns = vec![("sample_rate", rates), ("protocol", protocols)];
    columns.push(("l4_dst_port", Arc::new(rows.iter().map(|row| row.port).collect::<Int32Array>())));
    columns.push(("src_as", Arc::new(rows.iter().map(|row| row.system).collect::<Int64Array>())));
    columns.push(("ipv4_src_addr", Arc::new(rows.iter().map(|row| row.ipv4).collect::<UInt32Array>())));
    columns.push(("ipv6_src_addr", Arc::new(ipv6)));
    columns.push(("in_bytes", Arc::new(rows.iter().map(|row| row.in_bytes).collect::<Int64Array>())));
    columns.push(("out_bytes", Arc::new(rows.iter().map(|row| row.out_bytes).collect::<Int64Array>())));
    columns.push(("str00", Arc::new(rows.iter().map(|row| row.name.clone()).collect::<StringViewArray>())));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

impl Row {
    fn rate(&self) -> i128 {
        self.rate.unwrap_or(100).into()
    }

    fn both_bytes(&self) -> Option<i64> {
        let both = self.in_bytes.unwrap_or(0).saturating_add(self.out_bytes.unwrap_or(0));
        (self.in_bytes.is_some() || self.out_bytes.is_some()).then_some(both)
    }

    fn weight(&self) -> i128 {
        i128::from(self.both_bytes().unwrap_or(0)) * self.rate()
    }

    fn address(&self) -> Option<Key> {
        self.ipv4.map(Key::ipv4).or(self.ipv6.map(|address| Key::Address(address.into())))
    }
}

/// The same by the definition.
fn totals(rows: &[Row], value: impl Fn(&Row) -> Option<i64>) -> Option<Totals> {
    let values: Vec<(i64, i128)> = rows.iter().filter_map(|row| Some((value(row)?, row.rate()))).collect();
    Some(Totals {
        count: values.len() as u64,
        flows_hundredths: values.iter().map(|(_, rate)| rate).sum(),
        sum: values.iter().map(|(value, _)| i128::from(*value)).sum(),
        normalised_hundredths: values.iter().map(|(value, rate)| i128::from(*value) * rate).sum(),
        min: values.iter().map(|(value, _)| *value).min()?,
        max: values.iter().map(|(value, _)| *value).max()?,
    })
}

fn stored(name: &str) -> Stored {
    Catalog::shared().find_stored(name).unwrap()
}

/// What is listed is within its bounds, nothing else is above what is said, and nulls are exact.
fn check_top(top: &Top, rows: &[Row], key: impl Fn(&Row) -> Option<Key>) -> Result<(), TestCaseError> {
    let mut weights: HashMap<Option<Key>, i128> = HashMap::new();
    rows.iter().for_each(|row| *weights.entry(key(row)).or_default() += row.weight());
    prop_assert_eq!(top.null_weight(), weights.remove(&None).unwrap_or(0));
    prop_assert!(top.listed().len() <= 128);
    for heavy in top.listed() {
        let weight = weights.remove(&Some(heavy.key)).unwrap_or(0);
        prop_assert!(heavy.weight <= weight && weight <= heavy.weight_max(), "{:?} weighs {}", heavy, weight);
    }
    for (key, weight) in weights {
        prop_assert!(weight <= top.unlisted_max(), "{key:?} weighs {weight}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn counts_are_what_rows_add_up_to(rows in prop::collection::vec(row(), 0..60)) {
        let summary = Summary::of(&batch(&rows));
        prop_assert_eq!(summary.rows(), rows.len() as u64);
        prop_assert_eq!(summary.flows_hundredths(), rows.iter().map(Row::rate).sum::<i128>());
        prop_assert_eq!(summary.totals(stored("in_bytes")), totals(&rows, |row| row.in_bytes));
        prop_assert_eq!(summary.totals(stored("src_as")), totals(&rows, |row| row.system));
        prop_assert_eq!(summary.totals(stored("protocol")), totals(&rows, |row| row.protocol.map(i64::from)));
        prop_assert_eq!(summary.pair_totals("both_bytes"), totals(&rows, Row::both_bytes));
        prop_assert_eq!(summary.pair_totals("both_pkts"), None);
        let named = totals(&rows, |row| row.name.as_ref().map(|_| 0));
        let presence = summary.counts().presence(stored("str00"));
        prop_assert_eq!((presence.count, presence.flows_hundredths), named.map_or((0, 0), |named| (named.count, named.flows_hundredths)));
    }

    #[test]
    fn summaries_merge_to_that_of_all_rows(rows in prop::collection::vec(row(), 0..60), cut in 0_usize..60) {
        let (one, other) = rows.split_at(cut.min(rows.len()));
        let mut merged = Summary::of(&batch(one));
        merged.merge(&Summary::of(&batch(other)));
        // So few values are all listed, so tops are exact as well.
        prop_assert_eq!(&merged, &Summary::of(&batch(&rows)));
        let mut from_nothing = Summary::empty();
        from_nothing.merge(&merged);
        prop_assert_eq!(from_nothing, merged);
    }

    #[test]
    fn sketches_are_those_of_the_values(rows in prop::collection::vec(row(), 0..60)) {
        let summary = Summary::of(&batch(&rows));
        let sketch = |hashes: Vec<u64>| {
            let mut sketch = Sketch::new(dimension::PRECISION);
            sketch.add_hashes(&hashes);
            Some(sketch)
        };
        let ipv4 = |row: &Row| Some(hash::of_u128(0xFFFF << 32 | u128::from(row.ipv4?)));
        let ipv6 = |row: &Row| Some(hash::of_u128(row.ipv6?));
        let port = |row: &Row| Some(hash::of_u64(i64::from(row.port?) as u64));
        prop_assert_eq!(summary.sketch("ipv4_src_addr"), sketch(rows.iter().filter_map(ipv4).collect()));
        let any = rows.iter().filter_map(|row| ipv4(row).or_else(|| ipv6(row)));
        prop_assert_eq!(summary.sketch("inet_src_addr"), sketch(any.collect()));
        prop_assert_eq!(summary.sketch("l4_dst_port"), sketch(rows.iter().filter_map(port).collect()));
        prop_assert_eq!(summary.sketch("inet_dst_addr"), sketch(Vec::new()));
        prop_assert_eq!(summary.sketch("in_bytes"), None);
    }

    #[test]
    fn tops_keep_their_bounds_through_merges(parts in prop::collection::vec(prop::collection::vec(row(), 0..250), 1..5)) {
        let mut merged = Summary::empty();
        for part in &parts {
            let summary = Summary::of(&batch(part));
            check_top(summary.top("l4_dst_port").unwrap(), part, |row| row.port.map(|port| Key::Number(port.into())))?;
            merged.merge(&summary);
        }
        let rows = parts.concat();
        check_top(merged.top("inet_src_addr").unwrap(), &rows, Row::address)?;
        check_top(merged.top("l4_dst_port").unwrap(), &rows, |row| row.port.map(|port| Key::Number(port.into())))?;
        check_top(merged.top("src_as").unwrap(), &rows, |row| row.system.map(Key::Number))?;
    }

    #[test]
    fn serialised_summaries_come_back(rows in prop::collection::vec(row(), 0..300)) {
        let summary = Summary::of(&batch(&rows));
        let bytes = summary.to_bytes();
        prop_assert_eq!(&Summary::from_bytes(&bytes).unwrap(), &summary);
        let contents = Contents::of_prefix(&bytes[..bytes.len().min(Contents::BYTES_MAX)]).unwrap();
        prop_assert_eq!(&contents.counts(&bytes[..contents.counts_end()]).unwrap(), summary.counts());
        for name in SKETCHED {
            let mut sketch = Sketch::new(dimension::PRECISION);
            for range in contents.sketches(name).unwrap() {
                contents.merge_sketch(&range, &bytes[range.clone()], &mut sketch).unwrap();
            }
            prop_assert_eq!(Some(sketch), summary.sketch(name));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Summary::from_bytes(&bytes);
    }

    #[test]
    fn a_changed_byte_is_noticed(rows in prop::collection::vec(row(), 0..40), place: prop::sample::Index, change in 1_u8..) {
        let mut bytes = Summary::of(&batch(&rows)).to_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        prop_assert!(Summary::from_bytes(&bytes).is_err());
        prop_assert!(Summary::from_bytes(&bytes[..place]).is_err());
    }

    /// Checksums are right here, so that what is behind them is reached.
    #[test]
    fn any_sections_are_read_or_refused(
        rows in prop::collection::vec(row(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut sections = format::sections(&Summary::of(&batch(&rows)));
        for (place, value) in changes {
            let section = place.index(sections.len());
            let content = &mut sections[section].1;
            let place = place.index(content.len());
            content[place] = value;
        }
        if let Ok(mut summary) = Summary::from_bytes(&format::assemble(&sections)) {
            let again = summary.clone();
            summary.merge(&again);
            let _ = summary.to_bytes();
        }
    }
}

#[test]
fn the_heaviest_of_many_values_are_listed() {
    let (rows, totals) = Generator::new(3).minute(0, 20_000);
    let summary = Summary::of(&rows);
    let bytes = summary.pair_totals("both_bytes").unwrap();
    assert_eq!(bytes.normalised_hundredths, totals.bytes * 100);
    let top = summary.top("inet_src_addr").unwrap();
    assert_eq!(top.listed().len(), 128);
    assert!(top.listed().is_sorted_by_key(|heavy| -heavy.weight));
    assert!(top.listed().iter().all(|heavy| heavy.missing_max == 0 && heavy.weight >= top.unlisted_max()));
    assert!(top.unlisted_max() > 0);
    let listed: i128 = top.listed().iter().map(|heavy| heavy.weight).sum();
    assert!(listed * 2 > bytes.normalised_hundredths, "heavy tails are in the list");
}

#[test]
fn batches_of_a_minute_make_the_summary_of_the_minute() {
    let (rows, totals) = Generator::new(3).minute(1, 20_000);
    let parts = [rows.slice(0, 777), rows.slice(777, 9000), rows.slice(9777, 20_000 - 9777)];
    let mut merged = Summary::empty();
    parts.iter().for_each(|part| merged.merge(&Summary::of(part)));
    let whole = Summary::of(&concat_batches(&rows.schema(), &parts).unwrap());
    assert_eq!(merged.counts(), whole.counts());
    assert_eq!(merged.flows_hundredths(), totals.flows * 100);
    assert!(SKETCHED.iter().all(|name| merged.sketch(name) == whole.sketch(name)));
}
