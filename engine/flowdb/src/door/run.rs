//! A query's place and budget, whichever door it came through.
//!
//! A [`Ticket`] is one of the places. [`Run`] holds it while rows come. The engine ends a query whose memory, time or rows are
//! used up; dropping a run drops the engine's stream, and with that all that works for it.

use crate::door::counters::{Counters, Gauge};
use crate::door::present::{Presenter, prepare, present};
use crate::door::{House, Limits};
use crate::engine::QueryOptions;
use crate::error::Error;
use crate::query;
use crate::report::{Report, ReportSnapshot};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// What a query may take: the server's limits, and what it asks for below them.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub rows_max: u64,
    pub timeout: Duration,
    pub memory_bytes: usize,
}

/// A place among the running queries. Counts how the query ended, which is `dropped` unless it says otherwise.
#[derive(Debug)]
pub struct Ticket {
    counters: Arc<Counters>,
    is_settled: bool,
    _running: Gauge,
    _place: OwnedSemaphorePermit,
}

/// A running query.
pub struct Run {
    schema: SchemaRef,
    presenter: Option<Presenter>,
    batches: SendableRecordBatchStream,
    report: Arc<Report>,
    ticket: Ticket,
    begin: Instant,
    rows: u64,
    ready: VecDeque<RecordBatch>,
}

/// What is said of a query at its end.
#[derive(Clone, Debug, Serialize)]
pub struct QueryReport {
    pub rows: u64,
    pub elapsed_ms: u64,
    #[serde(flatten)]
    pub slices: ReportSnapshot,
}

/// Whether addresses are text for people or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    Text,
    Bytes,
}

/// Rows that are encoded at once: bounds what waits for a slow reader.
const CHUNK_ROWS: usize = 1024;

impl Budget {
    pub fn new(limits: &Limits, rows_max: Option<u64>, timeout: Option<Duration>) -> Budget {
        Budget {
            rows_max: rows_max.unwrap_or(u64::MAX).min(limits.query_rows_max),
            timeout: timeout.unwrap_or(Duration::MAX).min(limits.query_timeout),
            memory_bytes: limits.query_memory_bytes,
        }
    }

    pub fn options(&self) -> QueryOptions {
        QueryOptions {
            rows_max: Some(self.rows_max),
            timeout: Some(self.timeout),
            memory_bytes: Some(self.memory_bytes),
        }
    }

    fn out_of_time(&self) -> Error {
        Error::Budget(format!("the query ran for {} ms, which is all it may", self.timeout.as_millis()))
    }
}

impl Ticket {
    /// A place, if there is one.
    pub fn draw(house: &House) -> Result<Ticket, Error> {
        let Ok(place) = Arc::clone(&house.queries).try_acquire_owned() else {
            Counters::add(&house.counters.queries_busy, 1);
            let most = house.settings.limits.queries_max;
            return Err(Error::Busy(format!("{most} queries are running, which is all that may")));
        };
        let running = Gauge::enter(&house.counters, |counters| &counters.queries_running);
        Ok(Ticket {
            counters: Arc::clone(&house.counters),
            is_settled: false,
            _running: running,
            _place: place,
        })
    }

    /// Waits for what begins a query, no longer than it may take.
    pub async fn within<T>(
        &mut self,
        begin: Instant,
        budget: &Budget,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout_at(begin + budget.timeout, work).await;
        let result = done.unwrap_or_else(|_| Err(budget.out_of_time()));
        if result.is_err() {
            self.settle(false);
        }
        result
    }

    fn settle(&mut self, is_done: bool) {
        if !std::mem::replace(&mut self.is_settled, true) {
            let counter = if is_done { &self.counters.queries_done } else { &self.counters.queries_failed };
            Counters::add(counter, 1);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_settled {
            Counters::add(&self.counters.queries_dropped, 1);
        }
    }
}

impl Run {
    /// Plans and starts a text of one statement.
    pub async fn start(house: &House, sql: &str, budget: Budget, addresses: Addresses) -> Result<Run, Error> {
        let mut ticket = Ticket::draw(house)?;
        let begin = Instant::now();
        let report = Arc::new(Report::default());
        let start = async {
            let refused = |error: DataFusionError| of_stream(&error);
            let statements = prepare(sql).map_err(refused)?;
            let context = query::session(&house.engine, &report, &budget.options());
            let plan = query::plan_last(&context, statements).await.map_err(refused)?;
            execute(house, &context, plan, budget).await.map_err(refused)
        };
        let batches = ticket.within(begin, &budget, start).await?;
        Ok(Run::of(ticket, begin, addresses, batches, report))
    }

    /// A query that is planned already.
    pub fn of(
        ticket: Ticket,
        begin: Instant,
        addresses: Addresses,
        batches: SendableRecordBatchStream,
        report: Arc<Report>,
    ) -> Run {
        let presenter = (addresses == Addresses::Text).then(|| present(&batches.schema()));
        let schema = presenter.as_ref().map_or_else(|| batches.schema(), Presenter::schema);
        Run { schema, presenter, batches, report, ticket, begin, rows: 0, ready: VecDeque::new() }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let result = self.step().await;
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.ticket.settle(true),
            Err(_) => self.ticket.settle(false),
        }
        result
    }

    async fn step(&mut self) -> Result<Option<RecordBatch>, Error> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Some(batch));
        }
        let Some(batch) = self.batches.next().await else { return Ok(None) };
        let batch = batch.map_err(|error| of_stream(&error))?;
        self.rows += batch.num_rows() as u64;
        Counters::add(&self.ticket.counters.query_rows, batch.num_rows() as u64);
        let batch = match &self.presenter {
            Some(presenter) => presenter.batch(&batch).map_err(|error| of_stream(&error))?,
            None => batch,
        };
        for begin in (CHUNK_ROWS..batch.num_rows()).step_by(CHUNK_ROWS) {
            self.ready.push_back(batch.slice(begin, CHUNK_ROWS.min(batch.num_rows() - begin)));
        }
        Ok(Some(batch.slice(0, CHUNK_ROWS.min(batch.num_rows()))))
    }

    pub fn report(&self) -> QueryReport {
        QueryReport {
            rows: self.rows,
            elapsed_ms: u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX),
            slices: self.report.snapshot(),
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Runs a plan on the threads of queries.
pub async fn execute(
    house: &House,
    context: &SessionContext,
    plan: LogicalPlan,
    budget: Budget,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let physical = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
    let stream = query::run(&house.engine, context, physical, &budget.options());
    stream.map_err(|error| DataFusionError::External(Box::new(error)))
}

/// What stopped rows from coming, in words.
pub fn of_stream(error: &DataFusionError) -> Error {
    let root = error.find_root();
    match root {
        DataFusionError::ResourcesExhausted(what) => Error::Budget(what.clone()),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(Error::Budget(what)) => Error::Budget(what.clone()),
            Some(Error::Busy(what)) => Error::Busy(what.clone()),
            Some(Error::Query(what)) => Error::Query(what.clone()),
            Some(other) => Error::Store(other.to_string()),
            None => Error::Query(root.strip_backtrace()),
        },
        _ => Error::Query(root.strip_backtrace()),
    }
}
