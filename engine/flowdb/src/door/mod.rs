//! The doors: ingest and queries over HTTP, queries over PostgreSQL's protocol.
//!
//! # The way of a request
//!
//! 1. A connection is taken ([`listen`]), one of so many, and not for long if it only sits there.
//! 2. Its token is compared ([`access`]). Everything but `/health` needs one.
//! 3. Flows go to the engine as they came ([`ingest`]); the answer is sent when they are durable.
//!    Senders ask for their device first ([`devices`]).
//! 4. A query gets one of so many places, and a budget ([`run`]). Its rows are written as they are computed ([`query`],
//!    [`postgres`]). Who goes away ends it.
//! 5. At the end no connection is taken any more, requests finish, then the engine is closed ([`Doors::stop`]).
//!
//! In: an open [`Engine`] and [`Settings`]. What they do not do: keep anything, understand SQL, look into bodies.

pub mod access;
pub mod counters;
pub mod devices;
mod encode;
pub mod file;
pub mod ingest;
mod listen;
mod postgres;
pub mod present;
pub mod query;
mod routes;
pub mod run;
pub mod secret;
pub mod settings;
mod tls;

pub use access::Access;
pub use counters::Counters;
pub use routes::ROUTES;
pub use secret::Secret;
pub use settings::{DeviceSettings, Limits, Settings, TlsFiles};

use crate::engine::Engine;
use crate::error::Error;
use listen::HttpDoor;
use postgres::PostgresDoor;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What all requests share.
#[derive(Debug)]
pub struct House {
    pub engine: Engine,
    pub settings: Settings,
    pub counters: Arc<Counters>,
    /// Places of queries, of bodies.
    queries: Arc<Semaphore>,
    bodies: Semaphore,
}

/// Open doors.
#[derive(Debug)]
pub struct Doors {
    house: Arc<House>,
    http: Option<SocketAddr>,
    postgres: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl House {
    pub fn new(engine: Engine, settings: Settings) -> Arc<House> {
        let limits = &settings.limits;
        let (queries, bodies) =
            (Arc::new(Semaphore::new(limits.queries_max)), Semaphore::new(limits.bodies_max));
        Arc::new(House { engine, settings, counters: Arc::default(), queries, bodies })
    }
}

impl Doors {
    /// Listens, and serves from now on.
    ///
    /// Errors: the settings contradict each other; an address is taken; a certificate or a key cannot be used.
    pub async fn open(engine: Engine, settings: Settings) -> Result<Doors, Error> {
        settings.check()?;
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let house = House::new(engine, settings);
        let (stop, stopped) = watch::channel(false);
        let mut doors =
            Doors { house: Arc::clone(&house), http: None, postgres: None, stop, tasks: JoinSet::new() };
        if let Some(address) = house.settings.http {
            let (listener, address) = listen_at(address).await?;
            doors.http = Some(address);
            let door = HttpDoor {
                listener,
                tls: tls.clone(),
                router: routes::router(&house),
                limits: house.settings.limits.clone(),
                counters: Arc::clone(&house.counters),
                stop: stopped.clone(),
            };
            doors.tasks.spawn(door.serve());
        }
        if let Some(address) = house.settings.postgres {
            let (listener, address) = listen_at(address).await?;
            doors.postgres = Some(address);
            let door = PostgresDoor { listener, tls, house, stop: stopped };
            doors.tasks.spawn(door.serve());
        }
        Ok(doors)
    }

    /// Where HTTP is, with the port that was free.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    pub fn postgres(&self) -> Option<SocketAddr> {
        self.postgres
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.house.counters
    }

    /// Takes no connection any more, lets requests finish within their time, and leaves the engine to its owner.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn listen_at(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| Error::Config(format!("listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
