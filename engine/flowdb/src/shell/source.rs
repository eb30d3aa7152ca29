//! Who answers: the engine in this process, or a server over HTTP.

use crate::door::run::{Addresses, Budget, Run};
use crate::door::{House, Secret, Settings};
use crate::engine::{Config, Engine};
use crate::error::Error;
use crate::shell::remote::{Remote, Stream};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// Where to ask.
#[derive(Debug)]
pub enum Target {
    Data(Box<Config>),
    Server {
        /// `http://host:port` or `https://host:port`.
        url: String,
        token: Option<Secret>,
        /// PEM file of the authorities that sign servers, in place of the system's.
        ca: Option<PathBuf>,
    },
}

/// An open target.
#[derive(Debug)]
pub enum Source {
    Embedded(Arc<House>),
    Remote(Box<Remote>),
}

/// An answer that comes.
#[derive(Debug)]
pub enum Asked {
    Run(Box<Run>),
    Stream(Box<Stream>),
}

impl Source {
    /// Errors: the directory cannot be opened, another process has it; the URL is none.
    pub async fn open(target: Target) -> Result<Source, Error> {
        match target {
            Target::Data(config) => {
                Ok(Source::Embedded(House::new(Engine::open(*config).await?, Settings::default())))
            }
            Target::Server { url, token, ca } => {
                Ok(Source::Remote(Box::new(Remote::new(&url, token, ca.as_deref())?)))
            }
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Source::Embedded(house) => format!("data in {}", house.engine.config().data.display()),
            Source::Remote(remote) => remote.describe(),
        }
    }

    pub async fn ask(&self, sql: &str) -> Result<Asked, Error> {
        match self {
            Source::Embedded(house) => {
                let budget = Budget::new(&house.settings.limits, None, None);
                Ok(Asked::Run(Box::new(Run::start(house, sql, budget, Addresses::Text).await?)))
            }
            Source::Remote(remote) => Ok(Asked::Stream(Box::new(remote.ask(sql).await?))),
        }
    }

    /// Names of tables, for completion; nothing if they cannot be had.
    pub async fn tables(&self) -> Vec<String> {
        let mut tables = match self {
            Source::Embedded(house) => {
                house.engine.devices().list().iter().map(|device| device.table_name()).collect()
            }
            Source::Remote(remote) => remote.tables().await.unwrap_or_default(),
        };
        tables.push("all_devices".to_owned());
        tables.sort();
        tables
    }

    pub async fn close(self) -> Result<(), Error> {
        match self {
            Source::Embedded(house) => house.engine.clone().close().await,
            Source::Remote(_) => Ok(()),
        }
    }
}

impl Asked {
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        match self {
            Asked::Run(run) => run.next().await,
            Asked::Stream(stream) => stream.next().await,
        }
    }

    /// Known once the first rows, or the end, are there.
    pub fn schema(&self) -> Option<SchemaRef> {
        match self {
            Asked::Run(run) => Some(Arc::clone(run.schema())),
            Asked::Stream(stream) => stream.schema(),
        }
    }

    pub fn report(&self) -> Value {
        match self {
            Asked::Run(run) => serde_json::to_value(run.report()).expect("a report is plain data"),
            Asked::Stream(stream) => stream.report().clone(),
        }
    }
}
