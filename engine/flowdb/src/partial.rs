//! Aggregates, a slice at a time.
//!
//! Where a plan has the partial step of an aggregate over a scan, with filters and projections between, this puts
//! [`SlicePartials`] in the place of all of it: the step runs once for each part, and what comes out is kept. The next query
//! of the same kind, over whatever time, takes what is kept and computes the rest. Parts that a span cuts are computed anew,
//! and so are rows that are not sealed.
//!
//! The final step of the aggregate, above, merges; it does not know where partial results come from.

use crate::cache::{Fingerprint, Partial, PartialCache};
use crate::report::{Report, SliceUse};
use crate::scan::{Item, ItemRows, SliceScan};
use crate::store::Part;
use crate::summarise::FromSummary;
use crate::summary::Summary;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt::{self, Write};
use std::sync::Arc;

/// The optimizer's rule.
#[derive(Debug)]
pub struct CachePartials {
    cache: Arc<PartialCache>,
    report: Arc<Report>,
}

impl CachePartials {
    pub fn new(cache: Arc<PartialCache>, report: Arc<Report>) -> CachePartials {
        CachePartials { cache, report }
    }
}

impl PhysicalOptimizerRule for CachePartials {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match Template::of(&node) {
            None => Ok(Transformed::no(node)),
            Some(template) => {
                let plan = SlicePartials::new(template, Arc::clone(&self.cache), Arc::clone(&self.report));
                Ok(Transformed::yes(Arc::new(plan) as Arc<dyn ExecutionPlan>))
            }
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "cache_partials"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The partial step of an aggregate, for whatever part.
#[derive(Clone, Debug)]
struct Template {
    plan: Arc<dyn ExecutionPlan>,
    scan: SliceScan,
    fingerprint: Fingerprint,
    /// How it follows from summaries, if it does.
    from_summary: Option<Arc<FromSummary>>,
}

impl Template {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Template> {
        let aggregate = plan.downcast_ref::<AggregateExec>()?;
        if *aggregate.mode() != AggregateMode::Partial || aggregate.limit_options().is_some() {
            return None;
        }
        let mut description = describe_aggregate(aggregate)?;
        let mut node = aggregate.input();
        let mut is_of_all_rows = true;
        loop {
            if let Some(scan) = node.downcast_ref::<SliceScan>() {
                write!(description, "scan {}", scan.fingerprint()).ok()?;
                let fingerprint = Fingerprint(hash(&description));
                let from_summary =
                    if is_of_all_rows { FromSummary::of(aggregate, scan).map(Arc::new) } else { None };
                return Some(Template {
                    plan: Arc::clone(plan),
                    scan: scan.clone(),
                    fingerprint,
                    from_summary,
                });
            }
            if let Some(filter) = node.downcast_ref::<FilterExec>() {
                let predicate = describe(filter.predicate())?;
                writeln!(description, "filter {predicate} {:?}", filter.projection()).ok()?;
                is_of_all_rows = false;
                if filter.fetch().is_some() {
                    return None;
                }
            } else if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
                is_of_all_rows = false;
                for expression in projection.expr() {
                    let described = describe(&expression.expr)?;
                    writeln!(description, "column {described} {}", expression.alias).ok()?;
                }
            } else if !node.is::<CooperativeExec>() {
                return None;
            }
            let [child] = node.children()[..] else { return None };
            node = child;
        }
    }

    /// The step for one item.
    fn of_item(&self, item: Item) -> Result<Arc<dyn ExecutionPlan>> {
        with_leaf(&self.plan, &(Arc::new(self.scan.of_item(item)) as Arc<dyn ExecutionPlan>))
    }
}

fn with_leaf(plan: &Arc<dyn ExecutionPlan>, leaf: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    match plan.children()[..] {
        [child] => {
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Arc::clone(plan).replace_children(vec![with_leaf(child, leaf)?], options)
        }
        _ => Ok(Arc::clone(leaf)),
    }
}

/// What an aggregate computes, as far as its input is known.
fn describe_aggregate(aggregate: &AggregateExec) -> Option<String> {
    // The version of what partial results mean: what is on the disk of an older one is not found.
    let mut text = format!("partial 2\nschema {:?}\n", aggregate.schema().fields());
    for (expression, name) in aggregate.group_expr().expr() {
        writeln!(text, "group {} {name}", describe(expression)?).ok()?;
    }
    writeln!(text, "sets {:?}", aggregate.group_expr().groups()).ok()?;
    for (function, filter) in aggregate.aggr_expr().iter().zip(aggregate.filter_expr()) {
        let arguments: Vec<String> = function.expressions().iter().map(describe).collect::<Option<_>>()?;
        let (name, distinct, nulls) =
            (function.fun().name(), function.is_distinct(), function.ignore_nulls());
        writeln!(text, "aggregate {name} {arguments:?} {distinct} {nulls} {:?}", function.order_bys())
            .ok()?;
        if let Some(filter) = filter {
            writeln!(text, "where {}", describe(filter)?).ok()?;
        }
    }
    Some(text)
}

/// An expression as a text that no other one has; `None` if its value is not known from the text of the query.
///
/// An expression is printed with its constants as they are, so a text could be taken for a part of the expression: they
/// are listed once more, in quotes.
fn describe(expression: &Arc<dyn PhysicalExpr>) -> Option<String> {
    let printed = expression.to_string();
    let mut text = format!("{} {printed}", printed.len());
    list_constants(expression, &mut text).then_some(text)
}

/// `false` if an expression changes while the query runs, or is the value of a query of its own.
fn list_constants(expression: &Arc<dyn PhysicalExpr>, text: &mut String) -> bool {
    if expression.expression_id().is_some()
        || expression.is_volatile_node()
        || expression.is::<ScalarSubqueryExpr>()
    {
        return false;
    }
    if let Some(constant) = expression.downcast_ref::<Literal>() {
        let _ = write!(text, " {:?}", constant.value());
    }
    expression.children().into_iter().all(|child| list_constants(child, text))
}

/// Two independent hashes of a text, as one.
fn hash(text: &str) -> u128 {
    let low = hll::hash::of_bytes(text.as_bytes());
    let high = hll::hash::of_bytes(format!("again {text}").as_bytes());
    u128::from(high) << 64 | u128::from(low)
}

/// Partial results of all items of a scan.
#[derive(Debug)]
pub struct SlicePartials {
    work: Arc<Work>,
    properties: Arc<PlanProperties>,
}

#[derive(Debug)]
struct Work {
    template: Template,
    cache: Arc<PartialCache>,
    report: Arc<Report>,
    schema: SchemaRef,
}

/// Small results are put together to batches of about so many rows.
const BATCH_ROWS: usize = 8192;

impl SlicePartials {
    fn new(template: Template, cache: Arc<PartialCache>, report: Arc<Report>) -> SlicePartials {
        let schema = template.plan.schema();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(template.scan.partitions().len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        let work = Arc::new(Work { template, cache, report, schema });
        SlicePartials { work, properties: Arc::new(properties) }
    }
}

impl Work {
    /// What the aggregate comes to in an item.
    async fn partial(&self, item: Item, context: Arc<TaskContext>) -> Result<Partial> {
        let whole_part = match &item.rows {
            ItemRows::Part(part) if self.template.scan.read().is_whole(&item) => Some(Arc::clone(part)),
            _ => None,
        };
        let fingerprint = self.template.fingerprint;
        if let Some(part) = &whole_part
            && let Some(partial) = self.cache.find(fingerprint, part.entry().id)
        {
            self.report.count(SliceUse::Cached);
            return Ok(partial);
        }
        if let Some(part) = &whole_part
            && let Some(batch) = self.summarised(part).await?
        {
            self.report.count(SliceUse::Summarised);
            let partial: Partial = Arc::new([batch]);
            self.cache.keep(fingerprint, part.entry().id, &partial);
            return Ok(partial);
        }
        let step = self.template.of_item(item)?;
        let batches: Vec<RecordBatch> = step.execute(0, context)?.try_collect().await?;
        let partial: Partial = match &batches[..] {
            [] => Arc::new([]),
            [_] => batches.into(),
            _ => Arc::new([concat_batches(&self.schema, &batches)?]),
        };
        if let Some(part) = whole_part
            && !part.is_damaged()
            && rows(&partial) <= part.entry().rows / 2 + 16
        {
            self.cache.keep(fingerprint, part.entry().id, &partial);
        }
        Ok(partial)
    }

    async fn summarised(&self, part: &Arc<Part>) -> Result<Option<RecordBatch>> {
        let Some(from_summary) = &self.template.from_summary else { return Ok(None) };
        if !from_summary.needs_summary() {
            return from_summary.partial(part.entry(), &Summary::empty());
        }
        match part.summary(self.template.scan.read().store.files()).await {
            Some(summary) => from_summary.partial(part.entry(), &summary),
            None => Ok(None),
        }
    }
}

fn rows(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

impl ExecutionPlan for SlicePartials {
    fn name(&self) -> &'static str {
        "SlicePartials"
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

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let items = self.work.template.scan.partitions()[partition].clone();
        let work = Arc::clone(&self.work);
        let partials = stream::iter(items).then(move |item| {
            let (work, context) = (Arc::clone(&work), Arc::clone(&context));
            async move { work.partial(item, context).await }
        });
        let schema = self.schema();
        // Small results of many slices become few batches, or the final step is busy with their number.
        let gathered = partials.ready_chunks_by_rows(BATCH_ROWS);
        let joined = gathered.map(move |partials| {
            let partials = partials?;
            let batches: Vec<&RecordBatch> = partials.iter().flat_map(|partial| partial.iter()).collect();
            match batches[..] {
                [batch] => Ok(batch.clone()),
                _ => Ok(concat_batches(&schema, batches)?),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), joined)))
    }
}

/// Gathers partial results until they have so many rows together.
trait ByRows: stream::Stream<Item = Result<Partial>> + Sized {
    fn ready_chunks_by_rows(self, rows_max: usize) -> impl stream::Stream<Item = Result<Vec<Partial>>> {
        stream::unfold(Some(Box::pin(self)), move |partials| async move {
            let mut partials = partials?;
            let mut gathered = Vec::new();
            let mut count = 0;
            while let Some(partial) = partials.next().await {
                match partial {
                    Ok(partial) => {
                        count += rows(&partial);
                        gathered.push(partial);
                    }
                    Err(error) => return Some((Err(error), None)),
                }
                if count >= rows_max as u64 {
                    return Some((Ok(gathered), Some(partials)));
                }
            }
            Some((Ok(gathered), None))
        })
    }
}

impl<S: stream::Stream<Item = Result<Partial>> + Sized> ByRows for S {}

impl DisplayAs for SlicePartials {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { template, cache, .. } = &*self.work;
        let (mut slices, mut cached, mut cut, mut open) = (0, 0, 0, 0);
        for item in template.scan.partitions().iter().flatten() {
            slices += 1;
            match &item.rows {
                ItemRows::Open(_) => open += 1,
                ItemRows::Part(_) if !template.scan.read().is_whole(item) => cut += 1,
                ItemRows::Part(part) => {
                    cached += u64::from(cache.contains(template.fingerprint, part.entry().id));
                }
            }
        }
        let read = slices - cached - cut - open;
        write!(f, "SlicePartials: slices={slices}, cached={cached}, read={read}, cut={cut}, open={open}")?;
        if let Some(aggregate) = template.plan.downcast_ref::<AggregateExec>() {
            let groups: Vec<&str> =
                aggregate.group_expr().expr().iter().map(|(_, name)| name.as_str()).collect();
            let functions: Vec<&str> = aggregate.aggr_expr().iter().map(|function| function.name()).collect();
            write!(f, ", gby=[{}], aggr=[{}]", groups.join(", "), functions.join(", "))?;
        }
        Ok(())
    }
}
