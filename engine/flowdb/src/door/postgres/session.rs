//! What one connection asks: statements in a session of its own.

use crate::door::House;
use crate::door::postgres::startup::{Cancellable, Cancels};
use crate::door::postgres::statement::Language;
use crate::door::postgres::{parameters, sqlstate, statement};
use crate::door::present::present;
use crate::door::run::{self, Addresses, Budget, Run, Ticket};
use crate::query;
use crate::report::Report;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Set};
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch, into_pg_type};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::Sink;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A connection's session.
pub struct Session {
    house: Arc<House>,
    cancels: Arc<Cancels>,
    work: watch::Sender<Work>,
    /// With PostgreSQL's catalogue. Made with the first statement: who only knocks costs nothing.
    catalogue: OnceLock<SessionContext>,
    /// The engine's settings, by name, as they were made.
    settings: Mutex<BTreeMap<String, String>>,
    cancellable: Mutex<Option<Cancellable>>,
}

/// The statements of a connection that are under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    pub running: usize,
    pub since: Option<Instant>,
}

/// A prepared statement.
#[derive(Clone)]
pub struct Prepared {
    language: Language,
    statement: Statement,
    parameters: Vec<Option<DataType>>,
    /// As clients see it; `None` for what yields no rows.
    schema: Option<SchemaRef>,
}

/// The extended protocol of a session.
pub struct Extended(pub Arc<Session>);

/// Keeps a connection alive while its statement runs.
struct Working(watch::Sender<Work>);

impl Working {
    fn begin(work: &watch::Sender<Work>) -> Working {
        work.send_modify(Work::begin);
        Working(work.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(Work::end);
    }
}

impl Session {
    pub fn new(house: Arc<House>, cancels: Arc<Cancels>, work: watch::Sender<Work>) -> Session {
        let (catalogue, settings, cancellable) = (OnceLock::new(), Mutex::default(), Mutex::default());
        Session { house, cancels, work, catalogue, settings, cancellable }
    }

    /// A session of the engine for one statement: tables know what the time is.
    async fn context(&self, report: &Arc<Report>) -> Result<SessionContext, DataFusionError> {
        let options = Budget::new(&self.house.settings.limits, None, None).options();
        let context = query::session(&self.house.engine, report, &options);
        let settings: Vec<String> = self.settings.lock().expect(HELD).values().cloned().collect();
        for setting in settings {
            context.sql(&setting).await?;
        }
        Ok(context)
    }

    /// The session that knows PostgreSQL's catalogue.
    fn catalogue(&self) -> PgWireResult<&SessionContext> {
        if let Some(context) = self.catalogue.get() {
            return Ok(context);
        }
        let context = self.house.engine.session(&Arc::new(Report::default()));
        let catalog = context.state().config().options().catalog.default_catalog.clone();
        setup_pg_catalog(&context, &catalog, EmptyContextProvider)
            .map_err(|error| sqlstate::of_datafusion(&error))?;
        Ok(self.catalogue.get_or_init(|| context))
    }

    async fn context_for(&self, language: Language, report: &Arc<Report>) -> PgWireResult<SessionContext> {
        match language {
            Language::Catalogue => self.catalogue().cloned(),
            Language::Flow => self.context(report).await.map_err(|error| sqlstate::of_datafusion(&error)),
        }
    }

    /// Tells when this connection's statement shall end.
    fn cancel_requests(&self, client: &(impl ClientInfo + ?Sized)) -> watch::Receiver<u64> {
        let mut cancellable = self.cancellable.lock().expect(HELD);
        let entry = cancellable.get_or_insert_with(|| self.cancels.register(client.pid_and_secret_key()));
        let mut requests = entry.requests.clone();
        requests.mark_unchanged();
        requests
    }

    async fn plan(&self, language: Language, statement: Statement) -> PgWireResult<LogicalPlan> {
        let context = self.context_for(language, &Arc::default()).await?;
        query::plan(&context, statement).await.map_err(|error| sqlstate::of_datafusion(&error))
    }

    /// Starts a statement; its rows come when they are asked for.
    async fn run(
        &self,
        client: &(impl ClientInfo + ?Sized),
        (language, statement): (Language, Statement),
        format: &Format,
    ) -> PgWireResult<QueryResponse> {
        let working = Working::begin(&self.work);
        let mut cancel = self.cancel_requests(client);
        let budget = Budget::new(&self.house.settings.limits, None, statement_timeout(client));
        let mut ticket = Ticket::draw(&self.house).map_err(|error| sqlstate::of_engine(&error))?;
        let begin = Instant::now();
        let report = Arc::new(Report::default());
        let start = async {
            let context = self.context_for(language, &report).await?;
            let started = match query::plan(&context, statement).await {
                Ok(plan) => run::execute(&self.house, &context, plan, budget).await,
                Err(error) => Err(error),
            };
            started.map_err(|error| sqlstate::of_datafusion(&error))
        };
        let started = tokio::select! {
            started = ticket.within(begin, &budget, async { Ok(start.await) }) => started,
            _ = cancel.changed() => return Err(PgWireError::QueryCanceled),
        };
        let batches = started.map_err(|error| sqlstate::of_engine(&error))??;
        let run = Run::of(ticket, begin, Addresses::Text, batches, report);
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let fields = Arc::new(arrow_schema_to_pg_fields(run.schema(), format, Some(options))?);
        Ok(QueryResponse::new(Arc::clone(&fields), rows(run, fields, cancel, working)))
    }

    /// What is no query: transactions, settings, and what connection pools say between two users.
    async fn command(
        &self,
        client: &mut dyn HookClient,
        statement: &Statement,
    ) -> Option<PgWireResult<Response>> {
        let Statement::Statement(statement) = statement else { return None };
        let context = match self.catalogue() {
            Ok(context) => context,
            Err(error) => return Some(Err(error)),
        };
        match &**statement {
            ast::Statement::Discard { .. } => return Some(Ok(Response::Execution(Tag::new("DISCARD ALL")))),
            ast::Statement::Deallocate { .. } => {
                return Some(Ok(Response::Execution(Tag::new("DEALLOCATE"))));
            }
            ast::Statement::Set(set) => {
                if let Some(result) = self.own_setting(context, set, statement).await {
                    return Some(result);
                }
            }
            _ => {}
        }
        if let Some(result) = TransactionStatementHook.handle_simple_query(statement, context, client).await {
            return Some(result);
        }
        SetShowHook.handle_simple_query(statement, context, client).await
    }

    /// The engine's settings, with errors where there are any; `None` for PostgreSQL's. DataFusion's own are the server's.
    async fn own_setting(
        &self,
        context: &SessionContext,
        set: &Set,
        statement: &ast::Statement,
    ) -> Option<PgWireResult<Response>> {
        let Set::SingleAssignment { variable, .. } = set else { return None };
        let name = variable.to_string().to_ascii_lowercase();
        if name.starts_with("datafusion.") {
            return Some(Err(sqlstate::error("42501", &format!("{name} cannot be set here"))));
        }
        if !name.starts_with("flow.") {
            return None;
        }
        let text = statement.to_string();
        if let Err(error) = context.sql(&text).await {
            return Some(Err(sqlstate::of_datafusion(&error)));
        }
        self.settings.lock().expect(HELD).insert(name, text);
        Some(Ok(Response::Execution(Tag::new("SET"))))
    }
}

const HELD: &str = "nothing panics while it is held";

/// Rows one by one, until they end, are cancelled, or go wrong.
fn rows(
    run: Run,
    fields: Arc<Vec<FieldInfo>>,
    cancel: watch::Receiver<u64>,
    working: Working,
) -> impl futures::Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    type Encoded = Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send>;
    let encoded: Encoded = Box::new(std::iter::empty());
    let state = Some((run, cancel, encoded, working));
    futures::stream::unfold(state, move |state| {
        let fields = Arc::clone(&fields);
        async move {
            let (mut run, mut cancel, mut encoded, working) = state?;
            loop {
                if let Some(row) = encoded.next() {
                    return Some((row, Some((run, cancel, encoded, working))));
                }
                let batch = tokio::select! {
                    biased;
                    Ok(()) = cancel.changed() => return Some((Err(PgWireError::QueryCanceled), None)),
                    batch = run.next() => batch,
                };
                match batch {
                    Ok(Some(batch)) => encoded = encode_recordbatch(Arc::clone(&fields), batch),
                    Ok(None) => return None,
                    Err(error) => return Some((Err(sqlstate::of_engine(&error)), None)),
                }
            }
        }
    })
}

/// As `SET statement_timeout` has it.
fn statement_timeout(client: &(impl ClientInfo + ?Sized)) -> Option<Duration> {
    client.metadata().get("statement_timeout_ms")?.parse().ok().map(Duration::from_millis)
}

#[async_trait]
impl SimpleQueryHandler for Session {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (language, statements) =
            statement::read(query).map_err(|error| sqlstate::of_datafusion(&error))?;
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut responses = Vec::new();
        for statement in statements {
            responses.push(match self.command(client, &statement).await {
                Some(response) => response?,
                None => Response::Query(self.run(client, (language, statement), &Format::UnifiedText).await?),
            });
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Extended {
    type Statement = Prepared;
    type QueryParser = Session;

    fn query_parser(&self) -> Arc<Session> {
        Arc::clone(&self.0)
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Prepared>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        if let Some(response) = self.0.command(client, &prepared.statement).await {
            return response;
        }
        let types = wire_types(prepared)?;
        let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
        let inferred: Vec<Option<&DataType>> = prepared.parameters.iter().map(Option::as_ref).collect();
        let values = deserialize_parameters_with_server_types(portal, &inferred, &types)?;
        let statement = parameters::bind(&prepared.statement, &values)
            .map_err(|error| sqlstate::of_datafusion(&error))?;
        let statement = (prepared.language, statement);
        Ok(Response::Query(self.0.run(client, statement, &portal.result_column_format).await?))
    }
}

#[async_trait]
impl QueryParser for Session {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let (language, mut statements) =
            statement::read(sql).map_err(|error| sqlstate::of_datafusion(&error))?;
        if statements.len() > 1 {
            return Err(sqlstate::error("42601", "a prepared statement is one statement"));
        }
        let Some(statement) = statements.pop() else { return Ok(None) };
        if let Some(prepared) = self.prepared_command(client, language, &statement).await {
            return prepared.map(Some);
        }
        let count = parameters::count(&statement);
        let plan = match self.plan(language, statement.clone()).await {
            Ok(plan) => plan,
            Err(error) if count == 0 => return Err(error),
            // What cannot be planned with a parameter may be with a value; null has every type.
            Err(_) => self.plan(language, parameters::blank(&statement)).await?,
        };
        let parameters = parameters::types(&plan, count);
        let schema = Some(present(&Arc::new(plan.schema().as_arrow().clone())).schema());
        Ok(Some(Prepared { language, statement, parameters, schema }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        wire_types(prepared)
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match &prepared.schema {
            None => Ok(Vec::new()),
            Some(schema) => arrow_schema_to_pg_fields(schema, format.unwrap_or(&Format::UnifiedText), None),
        }
    }
}

impl Session {
    /// A command as a prepared statement: what it yields is known without a plan.
    async fn prepared_command<C>(
        &self,
        client: &C,
        language: Language,
        statement: &Statement,
    ) -> Option<PgWireResult<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let Statement::Statement(inner) = statement else { return None };
        let context = match self.catalogue() {
            Ok(context) => context,
            Err(error) => return Some(Err(error)),
        };
        let plan = match &**inner {
            ast::Statement::Discard { .. } | ast::Statement::Deallocate { .. } => Ok(nothing()),
            _ => match TransactionStatementHook.handle_extended_parse_query(inner, context, client).await {
                Some(plan) => plan,
                None => SetShowHook.handle_extended_parse_query(inner, context, client).await?,
            },
        };
        Some(plan.map(|plan| {
            let schema = plan.schema().as_arrow().clone();
            let schema = (!schema.fields().is_empty()).then(|| Arc::new(schema));
            Prepared { language, statement: statement.clone(), parameters: Vec::new(), schema }
        }))
    }
}

fn nothing() -> LogicalPlan {
    datafusion::logical_expr::LogicalPlanBuilder::empty(false)
        .build()
        .expect("an empty relation needs nothing")
}

/// The types that clients are told to send. Text where the plan does not say.
fn wire_types(prepared: &Prepared) -> PgWireResult<Vec<Type>> {
    let type_of = |data_type: &Option<DataType>| match data_type {
        Some(data_type) => into_pg_type(data_type),
        None => Ok(Type::TEXT),
    };
    prepared.parameters.iter().map(type_of).collect()
}
