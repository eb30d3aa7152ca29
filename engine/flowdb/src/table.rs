//! Flow tables: one for each device, and one for all of them.
//!
//! From a query's filters a table takes the span of time and the series, which it answers exactly by the choice of slices,
//! and leaves the rest to filters above.

use crate::columns::Catalog;
use crate::devices::{Device, Devices};
use crate::manifest::Series;
use crate::minute::Span;
use crate::report::{Report, SliceUse};
use crate::scan::{Item, ItemRows, Read, SliceScan};
use crate::store::Store;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{SchemaProvider, Session};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use flow_sql::FlowSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all tables of a session share.
#[derive(Debug)]
pub struct Tables {
    pub store: Arc<Store>,
    pub devices: Arc<Devices>,
    pub report: Arc<Report>,
    /// A query over at least so long goes to the Fast series.
    pub fast_from_ms: i64,
    pub now_ms: i64,
    /// The query wants rows as they came: only the Full series has them.
    pub needs_full: AtomicBool,
}

/// The schema that flow tables are in.
#[derive(Debug)]
pub struct FlowSchema {
    tables: Arc<Tables>,
}

/// The table of all devices.
pub const ALL_DEVICES: &str = "all_devices";

impl FlowSchema {
    pub fn new(tables: Arc<Tables>) -> FlowSchema {
        FlowSchema { tables }
    }
}

#[async_trait]
impl SchemaProvider for FlowSchema {
    fn table_names(&self) -> Vec<String> {
        let devices = self.tables.devices.list();
        let mut names: Vec<String> = devices.iter().map(|device| device.table_name()).collect();
        names.push(ALL_DEVICES.to_owned());
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let devices = if name == ALL_DEVICES {
            self.tables.devices.list()
        } else {
            match self.tables.devices.by_name(name) {
                Some(device) => vec![device],
                None => return Ok(None),
            }
        };
        Ok(Some(Arc::new(FlowTable { tables: Arc::clone(&self.tables), devices })))
    }

    fn table_exist(&self, name: &str) -> bool {
        name == ALL_DEVICES || self.tables.devices.by_name(name).is_some()
    }
}

/// The rows of some devices.
#[derive(Debug)]
pub struct FlowTable {
    tables: Arc<Tables>,
    devices: Vec<Arc<Device>>,
}

/// What a filter says that the table answers by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answered {
    Time(Span),
    Fast(bool),
}

#[async_trait]
impl TableProvider for FlowTable {
    fn schema(&self) -> SchemaRef {
        Catalog::shared().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| match answered(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut span = Span::ALL;
        let mut is_fast = None;
        for filter in filters {
            match answered(filter) {
                Some(Answered::Time(time)) => span = span.intersect(time),
                Some(Answered::Fast(fast)) if is_fast.is_some_and(|other| other != fast) => {
                    span.until_ms = span.from_ms;
                }
                Some(Answered::Fast(fast)) => is_fast = Some(fast),
                None => {}
            }
        }
        let is_normalised = FlowSettings::of(state.config_options()).normalise;
        let needs_full = !is_normalised || self.tables.needs_full.load(Ordering::Relaxed);
        let series = self.series(span, is_fast, needs_full);
        let items = if span.is_empty() { Vec::new() } else { self.items(series, span) };
        let all: Vec<usize>;
        let columns = match projection {
            Some(columns) => columns,
            None => {
                all = (0..Catalog::shared().columns().len()).collect();
                &all
            }
        };
        let Tables { store, report, .. } = &*self.tables;
        let read = Read::new(Arc::clone(store), span, Arc::clone(report), columns);
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SliceScan::new(items, Arc::new(read), partitions)))
    }
}

impl FlowTable {
    /// The series that a query is answered from: what it asks for, or by how long its span is.
    fn series(&self, span: Span, is_fast: Option<bool>, needs_full: bool) -> Series {
        let series = match is_fast {
            Some(true) => Series::Fast,
            Some(false) => Series::Full,
            None if needs_full => Series::Full,
            None => {
                let known = self.known_span();
                let Span { from_ms, until_ms } = span.intersect(known);
                let is_long = until_ms.saturating_sub(from_ms) >= self.tables.fast_from_ms;
                // A span that was asked for counts as asked, whatever there is in it.
                let asked = span.until_ms.min(self.tables.now_ms).saturating_sub(span.from_ms);
                let is_asked_long = span.from_ms != i64::MIN && asked >= self.tables.fast_from_ms;
                if is_long || is_asked_long { Series::Fast } else { Series::Full }
            }
        };
        self.tables.report.note_series(match series {
            Series::Full => "full",
            Series::Fast => "fast",
        });
        series
    }

    /// From the first row that there is to now.
    fn known_span(&self) -> Span {
        let store = &self.tables.store;
        let first = self.devices.iter().filter_map(|device| store.first_ms(device.id)).min();
        let now_ms = self.tables.now_ms;
        Span { from_ms: first.unwrap_or(now_ms), until_ms: now_ms }
    }

    fn items(&self, series: Series, span: Span) -> Vec<Item> {
        let mut items = Vec::new();
        for device in &self.devices {
            let snapshot = self.tables.store.snapshot(device.id, series, span);
            for part in snapshot.parts {
                if part.is_damaged() {
                    self.tables.report.count(SliceUse::Quarantined);
                    continue;
                }
                items.push(Item { device: Arc::clone(device), series, rows: ItemRows::Part(part) });
            }
            for open in snapshot.open {
                items.push(Item { device: Arc::clone(device), series, rows: ItemRows::Open(Arc::new(open)) });
            }
        }
        items
    }
}

/// What a filter says of time or series, if it says nothing else.
fn answered(filter: &Expr) -> Option<Answered> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), column(right)) {
            (Some("i_fast_dataset"), _) => fast(*op, right),
            (_, Some("i_fast_dataset")) => fast(*op, left),
            (Some(START), _) => time(*op, right).map(Answered::Time),
            (_, Some(START)) => time(op.swap()?, left).map(Answered::Time),
            _ => match op {
                Operator::And => match (answered(left)?, answered(right)?) {
                    (Answered::Time(one), Answered::Time(other)) => {
                        Some(Answered::Time(one.intersect(other)))
                    }
                    _ => None,
                },
                _ => None,
            },
        },
        Expr::Between(between) if !between.negated && column(&between.expr) == Some(START) => {
            let from = time(Operator::GtEq, &between.low)?;
            let until = time(Operator::LtEq, &between.high)?;
            Some(Answered::Time(from.intersect(until)))
        }
        Expr::Column(column) if column.name == "i_fast_dataset" => Some(Answered::Fast(true)),
        Expr::Not(not) if column(not) == Some("i_fast_dataset") => Some(Answered::Fast(false)),
        Expr::IsTrue(of) if column(of) == Some("i_fast_dataset") => Some(Answered::Fast(true)),
        Expr::IsFalse(of) if column(of) == Some("i_fast_dataset") => Some(Answered::Fast(false)),
        _ => None,
    }
}

const START: &str = "i_start_time";

/// The column that an expression is, also behind a cast that loses nothing.
fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) if is_finer(cast.field.data_type()) => match &*cast.expr {
            Expr::Column(column) => Some(&column.name),
            _ => None,
        },
        _ => None,
    }
}

/// Whether times in milliseconds are exact in it.
fn is_finer(data_type: &DataType) -> bool {
    use datafusion::arrow::datatypes::TimeUnit::{Microsecond, Millisecond, Nanosecond};
    matches!(data_type, DataType::Timestamp(Millisecond | Microsecond | Nanosecond, _))
}

fn fast(operator: Operator, value: &Expr) -> Option<Answered> {
    let Expr::Literal(ScalarValue::Boolean(Some(value)), _) = value else { return None };
    match operator {
        Operator::Eq => Some(Answered::Fast(*value)),
        Operator::NotEq => Some(Answered::Fast(!*value)),
        _ => None,
    }
}

/// The times for which `i_start_time <operator> value` holds.
fn time(operator: Operator, value: &Expr) -> Option<Span> {
    let Expr::Literal(value, _) = value else { return None };
    let (value, in_ms) = match value {
        ScalarValue::TimestampSecond(Some(value), _) => (i128::from(*value) * 1_000_000_000, 1_000_000),
        ScalarValue::TimestampMillisecond(Some(value), _) => (i128::from(*value) * 1_000_000, 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => (i128::from(*value) * 1000, 1_000_000),
        ScalarValue::TimestampNanosecond(Some(value), _) => (i128::from(*value), 1_000_000),
        _ => return None,
    };
    // The smallest whole millisecond that is not before, or that is behind, the value.
    let ms = |number: i128| i64::try_from(number).ok();
    let not_before = ms(value.div_euclid(in_ms) + i128::from(value.rem_euclid(in_ms) != 0))?;
    let behind = ms(value.div_euclid(in_ms) + 1)?;
    let all = Span::ALL;
    Some(match operator {
        Operator::Gt => Span { from_ms: behind, ..all },
        Operator::GtEq => Span { from_ms: not_before, ..all },
        Operator::Lt => Span { until_ms: not_before, ..all },
        Operator::LtEq => Span { until_ms: behind, ..all },
        Operator::Eq => Span { from_ms: not_before, until_ms: behind },
        _ => return None,
    })
}
