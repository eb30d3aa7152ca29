//! Reading slices: an execution plan that gives the rows of parts and of open slices, with computed columns.
//!
//! In: the items that a query touches, the columns that it asks for, the span of time. Out: batches. Rows outside of the
//! span are left out here, so nothing above needs to know of it. A part that cannot be read is marked, counted and left
//! out: the report says so.

use crate::columns::{Catalog, DeviceFact, Kind, Source, Stored};
use crate::devices::Device;
use crate::manifest::Series;
use crate::minute::{Minute, Span};
use crate::part;
use crate::report::{Report, SliceUse};
use crate::store::{OpenRows, Part, Store};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryBuilder, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringViewBuilder, new_null_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch, kernels};
use datafusion::arrow::datatypes::{
    Int32Type, Int64Type, Schema, SchemaRef, TimestampMillisecondType, UInt32Type,
};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{Stream, StreamExt, stream};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What is read at once: a part, or rows that are in none yet.
#[derive(Clone, Debug)]
pub struct Item {
    pub device: Arc<Device>,
    pub series: Series,
    pub rows: ItemRows,
}

#[derive(Clone, Debug)]
pub enum ItemRows {
    Part(Arc<Part>),
    Open(Arc<OpenRows>),
}

/// The plan.
#[derive(Clone)]
pub struct SliceScan {
    /// By output partition.
    partitions: Arc<[Vec<Item>]>,
    read: Arc<Read>,
    properties: Arc<PlanProperties>,
}

/// How items are read; the same for all of a query.
#[derive(Debug)]
pub struct Read {
    pub store: Arc<Store>,
    pub span: Span,
    pub report: Arc<Report>,
    outputs: Vec<Output>,
    stored: Vec<Stored>,
    schema: SchemaRef,
}

/// A column of the output: the catalogue's, by its index.
#[derive(Clone, Copy, Debug)]
struct Output {
    column: usize,
}

impl Item {
    /// Times of its rows.
    pub fn span(&self) -> Span {
        match &self.rows {
            ItemRows::Part(part) => part.entry().rows_span(),
            ItemRows::Open(open) => {
                Span { from_ms: open.minute.start_ms(), until_ms: Minute(open.minute.0 + 1).start_ms() }
            }
        }
    }
}

impl Read {
    /// Reads columns of the catalogue, by their indices.
    pub fn new(store: Arc<Store>, span: Span, report: Arc<Report>, columns: &[usize]) -> Read {
        let catalog = Catalog::shared();
        let mut stored = BTreeSet::new();
        for &column in columns {
            needs(column, &mut stored);
        }
        let fields: Vec<_> = columns.iter().map(|&column| catalog.schema().field(column).clone()).collect();
        Read {
            store,
            span,
            report,
            outputs: columns.iter().map(|&column| Output { column }).collect(),
            stored: stored.into_iter().collect(),
            schema: Arc::new(Schema::new(fields)),
        }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether all rows of an item are asked for.
    pub fn is_whole(&self, item: &Item) -> bool {
        self.span.covers(item.span())
    }

    /// The rows of an item.
    async fn item(self: Arc<Self>, item: Item) -> impl Stream<Item = Result<RecordBatch>> + Send {
        let batches = match &item.rows {
            ItemRows::Open(open) => {
                self.report.count(SliceUse::Open);
                open.batches.clone().into_iter().map(Ok).collect::<Vec<_>>().into_iter().left()
            }
            ItemRows::Part(part) => match self.part(part, self.is_whole(&item)).await {
                Ok(batches) => {
                    self.report.count(SliceUse::Read);
                    batches.right()
                }
                Err(error) => {
                    self.quarantine(part, &error);
                    Vec::new().into_iter().left()
                }
            },
        };
        let read = self;
        stream::iter(batches).filter_map(move |batch| {
            let batch = match batch {
                Ok(batch) => {
                    read.report.count_rows(batch.num_rows());
                    read.finish(&batch, &item)
                }
                Err(error) => Err(error),
            };
            std::future::ready(match batch {
                Ok(batch) if batch.num_rows() == 0 => None,
                batch => Some(batch),
            })
        })
    }

    /// Whatever cannot be read of a part is missing as a whole: half of a slice would be a wrong answer.
    async fn part(
        &self,
        part: &Arc<Part>,
        is_whole: bool,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>, crate::Error> {
        let metadata = self.store.metadata(part).await?;
        let entry = part.entry();
        let mut columns = self.stored.clone();
        if !is_whole || columns.is_empty() {
            columns.extend(Catalog::shared().find_stored(START));
            columns.sort_unstable();
            columns.dedup();
        }
        let groups = entry.row_group..entry.row_group + 1;
        let batches = part::read_rows(self.store.files(), &entry.file, &metadata, groups, &columns).await?;
        // Everything is decoded before any of it counts: see above.
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        Ok(batches.into_iter().map(Ok))
    }

    fn quarantine(&self, part: &Arc<Part>, error: &crate::Error) {
        part.mark_damaged();
        self.report.count(SliceUse::Quarantined);
        tracing::error!(file = part.entry().file, %error, "a slice cannot be read; answers are without it");
    }

    /// Rows of the span, with the columns that were asked for.
    fn finish(&self, batch: &RecordBatch, item: &Item) -> Result<RecordBatch> {
        let within;
        let mut batch = batch;
        if !self.is_whole(item) {
            within = self.within(batch)?;
            batch = &within;
        }
        let columns = self.outputs.iter().map(|output| value(output.column, batch, item));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }

    fn within(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(start) = batch.column_by_name(START) else {
            return Err(DataFusionError::Internal("rows without a time".to_owned()));
        };
        let start = start.as_primitive::<TimestampMillisecondType>();
        let Span { from_ms, until_ms } = self.span;
        let is_within = BooleanArray::from_unary(start, |ms| from_ms <= ms && ms < until_ms);
        Ok(filter_record_batch(batch, &is_within)?)
    }
}

const START: &str = "i_start_time";

/// One of two iterators.
enum Either<L, R> {
    Left(L),
    Right(R),
}

trait EitherOf: Sized {
    fn left<R>(self) -> Either<Self, R> {
        Either::Left(self)
    }

    fn right<L>(self) -> Either<L, Self> {
        Either::Right(self)
    }
}

impl<I: Iterator> EitherOf for I {}

impl<T, L: Iterator<Item = T>, R: Iterator<Item = T>> Iterator for Either<L, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Either::Left(left) => left.next(),
            Either::Right(right) => right.next(),
        }
    }
}

/// Stored columns that a column is made of.
fn needs(column: usize, stored: &mut BTreeSet<Stored>) {
    let catalog = Catalog::shared();
    let place = |name: &str| catalog.find_stored(name).expect("the catalogue names stored columns");
    match &catalog.columns()[column].source {
        Source::Stored => {
            stored.insert(Stored(column as u16));
        }
        Source::Alias(of) => needs(catalog.index(of), stored),
        Source::Sum(left, right) | Source::Inet(left, right) => stored.extend([place(left), place(right)]),
        Source::Bits(of, ..) => stored.extend([place(of)]),
        Source::Field { slot, .. } => stored.extend([place(slot), place("app_protocol")]),
        Source::Family => stored.extend([place("ipv4_src_addr")]),
        Source::AppProtocolName => stored.extend([place("app_protocol")]),
        Source::ProtocolName => stored.extend([place("protocol")]),
        Source::Device(_) | Source::IsFast => {}
    }
}

/// A column of the catalogue for the rows of a batch.
fn value(column: usize, batch: &RecordBatch, item: &Item) -> Result<ArrayRef> {
    let catalog = Catalog::shared();
    let described = &catalog.columns()[column];
    let rows = batch.num_rows();
    let of = |name: &str| stored_value(name, batch);
    Ok(match &described.source {
        Source::Stored => of(&described.name)?,
        Source::Alias(other) => value(catalog.index(other), batch, item)?,
        Source::Sum(left, right) => sum(&of(left)?, &of(right)?)?,
        Source::Inet(ipv4, ipv6) => inet(&of(ipv4)?, &of(ipv6)?),
        Source::Bits(name, shift, mask) => {
            let number = of(name)?;
            let bits: Int32Array =
                number.as_primitive::<Int32Type>().unary(|number| (number >> shift) & mask);
            Arc::new(bits)
        }
        Source::Field { slot, protocols } => {
            let (slot, protocol) = (of(slot)?, of("app_protocol")?);
            let is_other: BooleanArray = protocol
                .as_primitive::<Int32Type>()
                .iter()
                .map(|protocol| Some(!protocol.is_some_and(|protocol| protocols.contains(&protocol))))
                .collect();
            kernels::nullif::nullif(&slot, &is_other)?
        }
        Source::Family => {
            let ipv4 = of("ipv4_src_addr")?;
            let family: Int32Array =
                (0..rows).map(|row| Some(if ipv4.is_null(row) { 6 } else { 4 })).collect();
            Arc::new(family)
        }
        Source::ProtocolName => names(&of("protocol")?, protocol_name),
        Source::AppProtocolName => names(&of("app_protocol")?, app_protocol_name),
        Source::Device(fact) => {
            let device = &item.device;
            let scalar = match fact {
                DeviceFact::Id => ScalarValue::Int64(Some(i64::from(device.id.0))),
                DeviceFact::Name => ScalarValue::Utf8View(Some(device.name.clone())),
                DeviceFact::Site => ScalarValue::Utf8View(Some(device.site.clone())),
                DeviceFact::Type => ScalarValue::Utf8View(Some(device.kind.clone())),
            };
            scalar.to_array_of_size(rows)?
        }
        Source::IsFast => Arc::new(BooleanArray::from(vec![item.series == Series::Fast; rows])),
    })
}

/// A stored column; where a file has not got it, what that means.
fn stored_value(name: &str, batch: &RecordBatch) -> Result<ArrayRef> {
    let kind = Catalog::shared().find(name).map_or(Kind::Large, |column| column.kind);
    let data_type = kind.data_type();
    match batch.column_by_name(name) {
        Some(array) if *array.data_type() == data_type => Ok(Arc::clone(array)),
        Some(array) => Ok(cast(array, &data_type)?),
        None if matches!(name, "sample_rate" | "i_fast_weight") => {
            Ok(Arc::new(Int64Array::from(vec![100; batch.num_rows()])))
        }
        None => Ok(new_null_array(&data_type, batch.num_rows())),
    }
}

/// The sum of two numbers; null where both are.
fn sum(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (left, right) = (left.as_primitive::<Int64Type>(), right.as_primitive::<Int64Type>());
    if left.null_count() == 0 && right.null_count() == 0 {
        let sum: Int64Array =
            datafusion::arrow::compute::binary(left, right, |left, right| left.saturating_add(right))?;
        return Ok(Arc::new(sum));
    }
    let sum: Int64Array = left
        .iter()
        .zip(right)
        .map(|pair| match pair {
            (Some(left), Some(right)) => Some(left.saturating_add(right)),
            (one, other) => one.or(other),
        })
        .collect();
    Ok(Arc::new(sum))
}

/// Addresses of both families in one column.
fn inet(ipv4: &ArrayRef, ipv6: &ArrayRef) -> ArrayRef {
    let ipv4 = ipv4.as_primitive::<UInt32Type>();
    let ipv6 = ipv6.as_fixed_size_binary();
    let mut both = FixedSizeBinaryBuilder::with_capacity(ipv4.len(), 16);
    for row in 0..ipv4.len() {
        if ipv4.is_valid(row) {
            let octets = crate::rows::mapped(ipv4.value(row));
            both.append_value(octets).expect("it is 16 bytes");
        } else if ipv6.is_valid(row) {
            both.append_value(ipv6.value(row)).expect("it is 16 bytes");
        } else {
            both.append_null();
        }
    }
    Arc::new(both.finish())
}

fn names(numbers: &ArrayRef, name: fn(i32) -> Option<&'static str>) -> ArrayRef {
    let mut names = StringViewBuilder::new();
    for number in numbers.as_primitive::<Int32Type>() {
        match number {
            None => names.append_null(),
            Some(number) => match name(number) {
                Some(name) => names.append_value(name),
                None => names.append_value(number.to_string()),
            },
        }
    }
    Arc::new(names.finish())
}

/// Names of the protocols that are seen on networks, as IANA has them.
pub fn protocol_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPv4",
        6 => "TCP",
        17 => "UDP",
        33 => "DCCP",
        41 => "IPv6",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "IPv6-ICMP",
        88 => "EIGRP",
        89 => "OSPFIGP",
        94 => "IPIP",
        103 => "PIM",
        108 => "IPComp",
        112 => "VRRP",
        115 => "L2TP",
        132 => "SCTP",
        136 => "UDPLite",
        137 => "MPLS-in-IP",
        _ => return None,
    })
}

pub fn app_protocol_name(number: i32) -> Option<&'static str> {
    let mut all = kflow::application::AppProtocol::ALL.into_iter();
    all.find(|protocol| i32::from(protocol.number()) == number).map(|protocol| protocol.name())
}

impl SliceScan {
    /// A plan that reads these items in so many partitions.
    pub fn new(items: Vec<Item>, read: Arc<Read>, partitions: usize) -> SliceScan {
        let mut by_partition = vec![Vec::new(); partitions.max(1)];
        for (index, item) in items.into_iter().enumerate() {
            by_partition[index % partitions.max(1)].push(item);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(read.schema()),
            Partitioning::UnknownPartitioning(by_partition.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        SliceScan { partitions: by_partition.into(), read, properties: Arc::new(properties) }
    }

    pub fn partitions(&self) -> &[Vec<Item>] {
        &self.partitions
    }

    pub fn read(&self) -> &Arc<Read> {
        &self.read
    }

    /// The same plan for one item.
    pub fn of_item(&self, item: Item) -> SliceScan {
        SliceScan::new(vec![item], Arc::clone(&self.read), 1)
    }

    /// What is read, whatever the items and the span.
    pub fn fingerprint(&self) -> String {
        let names: Vec<&str> = self.read.schema.fields().iter().map(|field| field.name().as_str()).collect();
        names.join(",")
    }
}

impl fmt::Debug for SliceScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceScan").field("span", &self.read.span).finish_non_exhaustive()
    }
}

impl DisplayAs for SliceScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.partitions.iter().flatten();
        let (mut parts, mut open, mut rows) = (0, 0, 0);
        for item in items {
            match &item.rows {
                ItemRows::Part(part) => {
                    parts += 1;
                    rows += part.entry().rows;
                }
                ItemRows::Open(_) => open += 1,
            }
        }
        write!(f, "SliceScan: parts={parts}, open={open}, rows={rows}, columns=[{}]", self.fingerprint())
    }
}

impl ExecutionPlan for SliceScan {
    fn name(&self) -> &'static str {
        "SliceScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let items = self.partitions[partition].clone();
        let read = Arc::clone(&self.read);
        let batches = stream::iter(items).then(move |item| Arc::clone(&read).item(item)).flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
