//! Partial results that follow from a part's summary: no row is read.
//!
//! That goes for aggregates of all rows of a part: totals, counts, extremes and distinct values of columns, as a whole or by
//! minutes or hours of which the part is in one. Summaries are those of the Full rows, also in the Fast series; there only
//! what is normalised for sampling follows from them, because what the rows themselves add up to is another number.

use crate::columns::{Catalog, Source};
use crate::manifest::{PartEntry, Series};
use crate::scan::SliceScan;
use crate::summary::{Summary, Totals};
use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray, new_null_array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::sync::Arc;

/// How the partial result of an aggregate follows from a summary.
#[derive(Debug)]
pub struct FromSummary {
    /// The minutes that rows are grouped by.
    group: Option<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Known>,
    input: SchemaRef,
    output: SchemaRef,
}

/// What an aggregate comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// Σ value × rate in hundredths, of a column.
    Normalised(String),
    /// Σ rate in hundredths, of all rows or of those with a value in a column.
    Flows(Option<String>),
    Rows(Option<String>),
    Sum(String),
    Min(String),
    Max(String),
    Distinct(String),
}

impl FromSummary {
    /// `None` if rows have to be read. The aggregate is of all rows of the scan, which is its input.
    pub fn of(aggregate: &AggregateExec, scan: &SliceScan) -> Option<FromSummary> {
        let groups = aggregate.group_expr();
        if groups.groups().len() > 1 || aggregate.filter_expr().iter().any(Option::is_some) {
            return None;
        }
        let group = match groups.expr() {
            [] => None,
            [(expression, _)] if is_part_of_time(expression) => Some(Arc::clone(expression)),
            _ => return None,
        };
        let aggregates = aggregate.aggr_expr().iter().map(|function| {
            if function.is_distinct() || !function.order_bys().is_empty() {
                return None;
            }
            known(function.fun().name(), &function.expressions())
        });
        Some(FromSummary {
            group,
            aggregates: aggregates.collect::<Option<_>>()?,
            input: scan.read().schema(),
            output: aggregate.schema(),
        })
    }

    /// Whether nothing but what the manifest says is needed.
    pub fn needs_summary(&self) -> bool {
        self.aggregates.iter().any(|known| *known != Known::Rows(None))
    }

    /// The partial result of a part; `None` if its rows have to be read after all.
    pub fn partial(&self, part: &PartEntry, summary: &Summary) -> Result<Option<RecordBatch>> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        if let Some(group) = &self.group {
            let Some(value) = self.group_of(group, part)? else { return Ok(None) };
            columns.push(value.to_array()?);
        }
        for known in &self.aggregates {
            let data_type = self.output.field(columns.len()).data_type();
            let Some(state) = known.state(part, summary, data_type) else { return Ok(None) };
            columns.push(state.to_array()?);
        }
        if columns.len() != self.output.fields().len() {
            return Ok(None);
        }
        // A state of another type than the aggregate's is one that is not known here.
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns).ok())
    }

    /// The group that all rows of a part are in.
    fn group_of(&self, group: &Arc<dyn PhysicalExpr>, part: &PartEntry) -> Result<Option<ScalarValue>> {
        let times = TimestampMillisecondArray::from(vec![part.first_ms, part.last_ms]).with_timezone("UTC");
        let columns = self.input.fields().iter().map(|field| -> ArrayRef {
            if field.name() == START { Arc::new(times.clone()) } else { new_null_array(field.data_type(), 2) }
        });
        let ends = RecordBatch::try_new(Arc::clone(&self.input), columns.collect())?;
        let groups = group.evaluate(&ends)?.into_array(2)?;
        let first = ScalarValue::try_from_array(&groups, 0)?;
        let last = ScalarValue::try_from_array(&groups, 1)?;
        Ok((first == last).then_some(first))
    }
}

const START: &str = "i_start_time";

/// `date_trunc` or `date_bin` of the start: what is the same for the first and the last row is so for all between.
fn is_part_of_time(expression: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(function) = expression.downcast_ref::<ScalarFunctionExpr>() else { return false };
    let has_only_start = function
        .args()
        .iter()
        .all(|argument| argument.is::<Literal>() || column(argument).is_some_and(|name| name == START));
    matches!(function.name(), "date_trunc" | "date_bin") && has_only_start
}

fn column(expression: &Arc<dyn PhysicalExpr>) -> Option<String> {
    expression.downcast_ref::<Column>().map(|column| column.name().to_owned())
}

fn known(function: &str, arguments: &[Arc<dyn PhysicalExpr>]) -> Option<Known> {
    let columns: Vec<Option<String>> = arguments.iter().map(column).collect();
    let of = |place: usize| columns.get(place).cloned().flatten().map(|name| own_name(&name));
    let rate_is = |place: usize| of(place).as_deref() == Some("sample_rate");
    match (function, arguments) {
        ("f_sum" | "sum", [_, _]) if rate_is(1) => Some(Known::Normalised(of(0)?)),
        ("sum", [_]) => Some(Known::Sum(of(0)?)),
        ("f_count", [_]) if rate_is(0) => Some(Known::Flows(None)),
        ("f_count", [_, _]) if rate_is(1) => Some(Known::Flows(Some(of(0)?))),
        ("count", [one]) if one.is::<Literal>() => Some(Known::Rows(None)),
        ("count", [_]) => Some(Known::Rows(Some(of(0)?))),
        ("min", [_]) => Some(Known::Min(of(0)?)),
        ("max", [_]) => Some(Known::Max(of(0)?)),
        ("f_countdistinct" | "f_hll" | "hll_sketch", [_, ..]) => Some(Known::Distinct(of(0)?)),
        _ => None,
    }
}

/// The name that the summary has for a column.
fn own_name(name: &str) -> String {
    match Catalog::shared().find(name).map(|column| &column.source) {
        Some(Source::Alias(of)) => (*of).to_owned(),
        _ => name.to_owned(),
    }
}

impl Known {
    fn state(&self, part: &PartEntry, summary: &Summary, data_type: &DataType) -> Option<ScalarValue> {
        let is_of_rows = matches!(self, Known::Rows(_) | Known::Sum(_) | Known::Min(_) | Known::Max(_));
        if is_of_rows && part.series == Series::Fast {
            return None;
        }
        let hundredths = |sum: Option<i128>| match data_type {
            DataType::Decimal128(38, 0) => Some(ScalarValue::Decimal128(sum, 38, 0)),
            _ => None,
        };
        match self {
            Known::Normalised(column) => {
                hundredths(totals(summary, column)?.map(|totals| totals.normalised_hundredths))
            }
            Known::Flows(None) => hundredths(Some(summary.flows_hundredths())),
            Known::Flows(Some(column)) => {
                let place = Catalog::shared().find_stored(column)?;
                hundredths(Some(summary.counts().presence(place).flows_hundredths))
            }
            Known::Rows(None) => number(i128::from(part.rows), data_type),
            Known::Rows(Some(column)) => {
                let place = Catalog::shared().find_stored(column)?;
                number(i128::from(summary.counts().presence(place).count), data_type)
            }
            Known::Sum(column) => sum(totals(summary, column)?.map(|totals| totals.sum), data_type),
            Known::Min(column) => extreme(totals(summary, column)?.map(|totals| totals.min), data_type),
            Known::Max(column) => extreme(totals(summary, column)?.map(|totals| totals.max), data_type),
            Known::Distinct(column) if *data_type == DataType::Binary => {
                Some(ScalarValue::Binary(Some(summary.sketch(column)?.to_bytes())))
            }
            Known::Distinct(_) => None,
        }
    }
}

/// Totals of a numeric column, which are none if it is null in all rows; `None` if it is no such column.
fn totals(summary: &Summary, column: &str) -> Option<Option<Totals>> {
    if matches!(column, "both_bytes" | "both_pkts") {
        return Some(summary.pair_totals(column));
    }
    let catalog = Catalog::shared();
    let place = catalog.find_stored(column)?;
    let kind = catalog.stored()[usize::from(place.0)].kind;
    // Where a file lacks the column of rates, every row has one.
    let is_number = matches!(kind.data_type(), DataType::Int32 | DataType::Int64) && column != "sample_rate";
    is_number.then(|| summary.totals(place))
}

fn sum(sum: Option<i128>, data_type: &DataType) -> Option<ScalarValue> {
    match sum {
        Some(sum) => number(sum, data_type),
        None => ScalarValue::try_from(data_type).ok(),
    }
}

fn extreme(extreme: Option<i64>, data_type: &DataType) -> Option<ScalarValue> {
    sum(extreme.map(i128::from), data_type)
}

/// A number of the type; `None` if it does not fit.
fn number(number: i128, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Int64 => Some(ScalarValue::Int64(Some(number.try_into().ok()?))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(number.try_into().ok()?))),
        DataType::Decimal128(38, 0) => Some(ScalarValue::Decimal128(Some(number), 38, 0)),
        _ => None,
    }
}
