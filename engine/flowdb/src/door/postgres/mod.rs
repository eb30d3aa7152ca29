//! PostgreSQL's protocol: psql, drivers and dashboards ask in SQL as they do elsewhere.
//!
//! # The life of a statement
//!
//! 1. The client shows the query token as its password, by SCRAM, over TLS where there is a certificate ([`startup`]).
//! 2. A text that asks for the catalogue (`\d` of psql, drivers at their start) is made fit for DataFusion by
//!    `datafusion_pg_catalog`; every other one is prepared like those of the other doors ([`statement`]).
//! 3. Parameters become literals, so that a statement means the same with and without them ([`parameters`]).
//! 4. It runs within a budget, and only if it reads ([`session`]). Errors have the codes of PostgreSQL ([`sqlstate`]).
//! 5. A cancel request, the time or the rows end it; a client that takes nothing for too long is closed.
//!
//! Each connection has a session of its own: what one sets the others do not see. There are no transactions to speak of:
//! `BEGIN` and `COMMIT` are taken and change nothing.

mod parameters;
mod session;
mod sqlstate;
mod startup;
mod statement;

use crate::door::House;
use crate::door::counters::{Counters, Gauge};
use crate::door::listen::{pause_after, told};
use datafusion_postgres::pgwire::api::PgWireServerHandlers;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::tokio::process_socket;
use session::{Extended, Session, Work};
use startup::{Cancels, Password, Startup};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Serves until `stop` says so, then lets statements finish.
pub struct PostgresDoor {
    pub listener: TcpListener,
    pub tls: Option<TlsAcceptor>,
    pub house: Arc<House>,
    pub stop: watch::Receiver<bool>,
}

/// What pgwire asks for, of one connection.
struct Handlers {
    session: Arc<Session>,
    startup: Arc<Startup>,
    cancels: Arc<Cancels>,
}

impl PostgresDoor {
    pub async fn serve(self) {
        let mut stop = self.stop.clone();
        let password = self.house.settings.access.query.as_ref().map(Password::new);
        let cancels = Arc::new(Cancels::default());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(_) if connections.len() >= self.house.settings.limits.connections_max => {
                        Counters::add(&self.house.counters.connections_refused, 1);
                    }
                    Ok((socket, _)) => {
                        connections.spawn(self.converse(socket, password.clone(), Arc::clone(&cancels)));
                    }
                    Err(error) => pause_after(&error).await,
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                () = told(&mut stop) => break,
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(self.house.settings.limits.stop_timeout, all).await;
    }

    /// A connection to its end, or to the end of its statement when all has to end.
    fn converse(
        &self,
        socket: TcpStream,
        password: Option<Password>,
        cancels: Arc<Cancels>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (house, tls, mut stop) = (Arc::clone(&self.house), self.tls.clone(), self.stop.clone());
        let open = Gauge::enter(&house.counters, |counters| &counters.postgres_connections);
        async move {
            let _open = open;
            let (work, working) = watch::channel(Work::default());
            let limits = &house.settings.limits;
            // A statement, and the time to take its rows.
            let longest = limits.query_timeout + limits.head_timeout;
            let session = Arc::new(Session::new(Arc::clone(&house), Arc::clone(&cancels), work));
            let startup = Arc::new(Startup::new(Arc::clone(&house), password, tls.is_some()));
            let handlers = Arc::new(Handlers { session, startup, cancels });
            let (mut at_end, overrun) = (working.clone(), overrun(working, longest));
            tokio::select! {
                biased;
                result = process_socket(socket, tls, handlers) => if let Err(error) = result {
                    tracing::debug!(%error, "postgres connection");
                },
                () = overrun => {}
                () = async {
                    told(&mut stop).await;
                    let _ = at_end.wait_for(|work| work.running == 0).await;
                } => {}
            }
        }
    }
}

/// Ends when a statement is under way for longer than it may be.
async fn overrun(mut working: watch::Receiver<Work>, longest: std::time::Duration) {
    loop {
        let deadline = working.borrow_and_update().since.map(|since| since + longest);
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            changed = working.changed() => if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl Work {
    fn begin(&mut self) {
        self.running += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.running -= 1;
        if self.running == 0 {
            self.since = None;
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.session)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(Extended(Arc::clone(&self.session)))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancels)
    }
}
