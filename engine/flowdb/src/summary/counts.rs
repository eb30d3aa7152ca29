//! What rows, flows and columns add up to.
//!
//! A sum that no 128 bits hold stays at the largest number: only values that somebody invented come near it.

use crate::columns::Stored;
use std::collections::BTreeMap;

/// Counts of the rows of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub(super) rows: u64,
    pub(super) flows_hundredths: i128,
    /// Columns with a value in any row.
    pub(super) columns: BTreeMap<Stored, Column>,
    /// As in [`PAIRS`].
    pub(super) pairs: [Option<Totals>; 2],
}

/// Sums of two columns, where a null counts as zero unless both are null.
pub const PAIRS: [(&str, [&str; 2]); 2] =
    [("both_bytes", ["in_bytes", "out_bytes"]), ("both_pkts", ["in_pkts", "out_pkts"])];

/// How many rows have a value in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    pub count: u64,
    /// Σ `sample_rate` of them.
    pub flows_hundredths: i128,
}

/// What the values of a column add up to. There is one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Values that are not null.
    pub count: u64,
    /// Σ `sample_rate` of their rows.
    pub flows_hundredths: i128,
    pub sum: i128,
    /// Σ value × `sample_rate`.
    pub normalised_hundredths: i128,
    pub min: i64,
    pub max: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Number(Totals),
    Other(Presence),
}

impl Counts {
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn flows_hundredths(&self) -> i128 {
        self.flows_hundredths
    }

    /// Of columns of whole numbers and of times; `None` if all rows are null there.
    pub fn totals(&self, column: Stored) -> Option<Totals> {
        match self.columns.get(&column)? {
            Column::Number(totals) => Some(*totals),
            Column::Other(_) => None,
        }
    }

    /// Of `both_bytes` and `both_pkts`.
    pub fn pair_totals(&self, name: &str) -> Option<Totals> {
        PAIRS.iter().position(|pair| pair.0 == name).and_then(|place| self.pairs[place])
    }

    /// Of any stored column; zero if all rows are null there.
    pub fn presence(&self, column: Stored) -> Presence {
        self.columns.get(&column).map_or(Presence::default(), |column| column.presence())
    }

    pub fn merge(&mut self, other: &Counts) {
        self.rows = self.rows.saturating_add(other.rows);
        self.flows_hundredths = self.flows_hundredths.saturating_add(other.flows_hundredths);
        for (place, column) in &other.columns {
            self.columns.entry(*place).and_modify(|own| own.merge(column)).or_insert(*column);
        }
        for (pair, other) in self.pairs.iter_mut().zip(other.pairs) {
            *pair = match (*pair, other) {
                (Some(own), Some(other)) => Some(own.merged(other)),
                (own, other) => own.or(other),
            };
        }
    }
}

impl Column {
    pub fn presence(&self) -> Presence {
        match *self {
            Column::Number(totals) => {
                Presence { count: totals.count, flows_hundredths: totals.flows_hundredths }
            }
            Column::Other(presence) => presence,
        }
    }

    fn merge(&mut self, other: &Column) {
        *self = match (*self, *other) {
            (Column::Number(own), Column::Number(other)) => Column::Number(own.merged(other)),
            (own, other) => Column::Other(own.presence().merged(other.presence())),
        };
    }
}

impl Presence {
    fn merged(self, other: Presence) -> Presence {
        Presence {
            count: self.count.saturating_add(other.count),
            flows_hundredths: self.flows_hundredths.saturating_add(other.flows_hundredths),
        }
    }
}

impl Totals {
    pub fn merged(self, other: Totals) -> Totals {
        Totals {
            count: self.count.saturating_add(other.count),
            flows_hundredths: self.flows_hundredths.saturating_add(other.flows_hundredths),
            sum: self.sum.saturating_add(other.sum),
            normalised_hundredths: self.normalised_hundredths.saturating_add(other.normalised_hundredths),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}
