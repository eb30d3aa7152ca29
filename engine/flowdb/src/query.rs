//! A query from its text to its answer.
//!
//! Plans are made on the caller's thread, with a limit to what a text may be; they run on the threads of queries, within the
//! budgets of memory, rows and time. Dropping the answer ends them.

use crate::budget::QueryPool;
use crate::clock;
use crate::engine::{Answer, Engine, QueryOptions};
use crate::error::Error;
use crate::partial::CachePartials;
use crate::report::Report;
use crate::table::{FlowSchema, Tables};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::logical_expr::{self, Expr, LogicalPlan};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const HOUR_MS: i64 = 3_600_000;
/// Batches that wait for a reader that is slower than the query.
const BATCHES_AHEAD: usize = 4;

/// A session with all tables and functions.
pub fn session(engine: &Engine, report: &Arc<Report>, options: &QueryOptions) -> SessionContext {
    let (store, devices, cache, memory) = engine.parts();
    let config = engine.config();
    let tables = Tables {
        store: Arc::clone(store),
        devices: Arc::clone(devices),
        report: Arc::clone(report),
        fast_from_ms: i64::from(config.fast_from_hours) * HOUR_MS,
        now_ms: clock::now_ms(),
        needs_full: AtomicBool::new(false),
    };
    let tables = Arc::new(tables);
    let catalog = MemoryCatalogProvider::new();
    catalog
        .register_schema("public", Arc::new(FlowSchema::new(Arc::clone(&tables))))
        .expect("a catalogue in memory takes a schema");
    let memory = match options.memory_bytes {
        None => Arc::clone(memory),
        Some(bytes_max) => {
            let pool = QueryPool::new(Arc::clone(&memory.memory_pool), bytes_max);
            let builder = RuntimeEnvBuilder::from_runtime_env(memory).with_memory_pool(Arc::new(pool));
            builder.build_arc().expect("only the pool differs from one that was built")
        }
    };
    // Two at least, so that every aggregate has a partial step, which is what is cached.
    let partitions = config.query_threads.max(2);
    let session = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_default_catalog_and_schema("flowdb", "public")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_extension(tables);
    let builder = SessionStateBuilder::new()
        .with_config(session)
        .with_runtime_env(memory)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(CachePartials::new(Arc::clone(cache), Arc::clone(report))));
    let context = SessionContext::new_with_state(flow_sql::install(builder).build());
    context.register_catalog("flowdb", Arc::new(catalog));
    context
}

/// Plans and starts a query: one statement, before which there may be settings of flow SQL.
pub async fn start(engine: &Engine, sql: &str, options: &QueryOptions) -> Result<Answer, Error> {
    let report = Arc::new(Report::default());
    let context = session(engine, &report, options);
    let prepared = flow_sql::prepare(sql).map_err(|error| Error::Query(error.to_string()))?;
    let refused = |error: DataFusionError| Error::Query(error.strip_backtrace());
    let plan = plan_last(&context, prepared.statements).await.map_err(refused)?;
    let physical = context.execute_logical_plan(plan).await.map_err(refused)?;
    let physical = physical.create_physical_plan().await.map_err(refused)?;
    let schema = physical.schema();
    let batches = run(engine, &context, physical, options)?;
    Ok(Answer { schema, batches, report })
}

/// The plan of the last statement, in a session that those before it have set.
pub async fn plan_last(
    context: &SessionContext,
    mut statements: Vec<Statement>,
) -> DataFusionResult<LogicalPlan> {
    let Some(last) = statements.pop() else {
        return Err(DataFusionError::Plan("a query is one statement; there is none".to_owned()));
    };
    for statement in statements {
        let plan = context.state().statement_to_plan(statement).await?;
        if !is_own_setting(&plan) {
            return Err(DataFusionError::Plan(
                "a query is one statement, behind settings of flow SQL".to_owned(),
            ));
        }
        context.execute_logical_plan(plan).await?;
    }
    plan(context, last).await
}

/// The plan of a statement that reads. Others are refused: who asks changes nothing, and no file of the server is written or
/// read but its own.
pub async fn plan(context: &SessionContext, statement: Statement) -> DataFusionResult<LogicalPlan> {
    let plan = context.state().statement_to_plan(statement).await?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan)?;
    if let Some(tables) = context.state().config().get_extension::<Tables>() {
        tables.needs_full.store(asks_for_rows(&plan)?, Ordering::Relaxed);
    }
    Ok(plan)
}

/// `SET flow.…`: the only settings that a query may have.
pub fn is_own_setting(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Statement(logical_expr::Statement::SetVariable(set)) = plan else { return false };
    set.variable.starts_with("flow.")
}

/// Whether it has functions of what was stored, which only the Full series can answer.
fn asks_for_rows(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let is_raw = |name: &str| name.starts_with("raw_");
                found |=
                    matches!(expression, Expr::AggregateFunction(function) if is_raw(function.func.name()));
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    Ok(found)
}

/// Runs a plan on the threads of queries. The stream ends with the first error, or when a budget is used up.
pub fn run(
    engine: &Engine,
    context: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    options: &QueryOptions,
) -> Result<SendableRecordBatchStream, Error> {
    let schema: SchemaRef = plan.schema();
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let context = context.task_ctx();
    let QueryOptions { timeout, rows_max, .. } = *options;
    let work = async move {
        let pump = pump(plan, context, &sender, rows_max);
        let pumped = match timeout {
            Some(timeout) => tokio::time::timeout(timeout, pump).await.unwrap_or_else(|_| {
                let ms = timeout.as_millis();
                Err(DataFusionError::ResourcesExhausted(format!("the query took more than {ms} ms")))
            }),
            None => pump.await,
        };
        if let Err(error) = pumped {
            let _ = sender.send(Err(error)).await;
        }
    };
    let task = engine.queries().spawn(work);
    let guard = AbortOnDrop(task.abort_handle());
    let stream = ReceiverStream::new(receiver).inspect(move |_| {
        let _ = &guard;
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
}

async fn pump(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<datafusion::execution::TaskContext>,
    sender: &mpsc::Sender<DataFusionResult<RecordBatch>>,
    rows_max: Option<u64>,
) -> DataFusionResult<()> {
    let mut batches = execute_stream(plan, context)?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if rows_max.is_some_and(|max| rows > max) {
            let max = rows_max.unwrap_or_default();
            return Err(DataFusionError::ResourcesExhausted(format!("the answer has more than {max} rows")));
        }
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Ends a task when nobody waits for it any more.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
