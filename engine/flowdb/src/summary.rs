//! The summary of a part: what can be said of its rows without reading them.
//!
//! Three things, of the Full rows always: how many rows and flows there are and what each numeric column adds up to
//! ([`Counts`]); a sketch of the distinct values of common dimensions ([`hll`]); and the values of a dimension with the most
//! bytes ([`Top`]), with a bound for all others. Summaries merge, so that those of minutes answer for a week.
//!
//! In: rows of stored columns. Out: a summary, and its bytes ([`format`]), of which parts can be read by themselves.

mod counts;
mod dimension;
mod format;
mod gather;
mod tally;
#[cfg(test)]
mod tests;
mod top;

pub use counts::{Counts, Presence, Totals};
pub use dimension::{Key, SKETCHED, TOPPED};
pub use format::Contents;
pub use top::{Heavy, Top};

use crate::columns::Stored;
use crate::error::Error;
use datafusion::arrow::array::RecordBatch;
use dimension::Half;
use hll::Sketch;

/// What is known of the rows of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    counts: Counts,
    /// By [`Half`].
    sketches: Vec<Sketch>,
    /// As in [`TOPPED`].
    tops: Vec<Top>,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary::empty()
    }
}

impl Summary {
    /// The summary of no rows: merged with another, the other.
    pub fn empty() -> Summary {
        Summary {
            counts: Counts::default(),
            sketches: Half::ALL.iter().map(|_| Sketch::new(dimension::PRECISION)).collect(),
            tops: TOPPED.iter().map(|_| Top::default()).collect(),
        }
    }

    /// The summary of these rows. A row without a sampling rate counts once.
    pub fn of(rows: &RecordBatch) -> Summary {
        gather::summary(rows)
    }

    /// Adds the rows of another. Counts and sketches are then those of all rows; tops keep their bounds.
    pub fn merge(&mut self, other: &Summary) {
        self.counts.merge(&other.counts);
        for (sketch, other) in self.sketches.iter_mut().zip(&other.sketches) {
            sketch.merge(other);
        }
        for (top, other) in self.tops.iter_mut().zip(&other.tops) {
            top.merge(other);
        }
    }

    /// The serial form, which [`format`] describes.
    pub fn to_bytes(&self) -> Vec<u8> {
        format::write(self)
    }

    /// Takes serialised bytes, whatever they are.
    ///
    /// # Errors
    /// If they are not what some summary is serialised as.
    pub fn from_bytes(bytes: &[u8]) -> Result<Summary, Error> {
        format::read(bytes)
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn rows(&self) -> u64 {
        self.counts.rows()
    }

    /// The number of flows, sampling included, in hundredths.
    pub fn flows_hundredths(&self) -> i128 {
        self.counts.flows_hundredths()
    }

    /// What a numeric column adds up to; `None` if it has no value in any row, or is not numeric.
    pub fn totals(&self, column: Stored) -> Option<Totals> {
        self.counts.totals(column)
    }

    /// The same of `both_bytes` and `both_pkts`, which are null only where both their parts are.
    pub fn pair_totals(&self, name: &str) -> Option<Totals> {
        self.counts.pair_totals(name)
    }

    /// The distinct values of a dimension among [`SKETCHED`], nulls left out.
    pub fn sketch(&self, dimension: &str) -> Option<Sketch> {
        let mut sketch = Sketch::new(dimension::PRECISION);
        self.merge_sketch_into(dimension, &mut sketch).then_some(sketch)
    }

    /// Merges them into a sketch; `false` if there is no such dimension.
    pub fn merge_sketch_into(&self, dimension: &str, into: &mut Sketch) -> bool {
        let Some(halves) = Half::of_dimension(dimension) else { return false };
        for half in halves {
            into.merge(&self.sketches[*half as usize]);
        }
        true
    }

    /// The values of a dimension among [`TOPPED`] that have the most bytes.
    pub fn top(&self, dimension: &str) -> Option<&Top> {
        TOPPED.iter().position(|name| *name == dimension).map(|place| &self.tops[place])
    }
}
