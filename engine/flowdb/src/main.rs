//! The program `flowdb`: the engine's library behind commands.

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use flowdb::door::file::FileConfig;
use flowdb::door::{Doors, Secret};
use flowdb::shell::{self, Style, Target};
use flowdb::{Config, Engine, NewDevice};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Flow data engine: takes kflow, keeps it in one-minute slices of Parquet, answers SQL
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(Serve),
    Sql(Sql),
    Import(Import),
    Devices(DevicesCommand),
    Stats(Stats),
    Fsck(Fsck),
    Repair(Repair),
}

/// Takes flows and answers queries, until SIGTERM or SIGINT
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowdb serve                                   HTTP on 127.0.0.1:8090, PostgreSQL on 127.0.0.1:5433
  flowdb serve --data /var/lib/flowdb --http 127.0.0.1:8090
  flowdb serve --config /etc/flowdb.toml         beyond the loopback: with tokens, and with TLS

  curl -d '{\"query\": \"SELECT 1\"}' http://127.0.0.1:8090/api/v5/query/sql
  psql -h 127.0.0.1 -p 5433 -U flow")]
struct Serve {
    #[command(flatten)]
    place: Place,
    /// Address of flows, device API and queries over HTTP
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Address of PostgreSQL's protocol
    #[arg(long, value_name = "ADDRESS:PORT")]
    postgres: Option<SocketAddr>,
}

/// Asks in SQL: a data directory, or a running server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowdb sql --data /var/lib/flowdb              a shell on the data of a server that is stopped
  flowdb sql --url http://127.0.0.1:8090         the same on one that runs
  flowdb sql --url https://flows.example.net --token-file token -c 'SELECT 1'
  flowdb sql --data d -f report.sql --format csv > report.csv")]
struct Sql {
    #[command(flatten)]
    place: Place,
    /// Asks the server at this URL
    #[arg(long, conflicts_with_all = ["data", "config"])]
    url: Option<String>,
    /// File of the query token
    #[arg(long, requires = "url", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the authorities to trust, in place of the system's
    #[arg(long, requires = "url", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Runs these statements
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    command: Option<String>,
    /// Runs the statements of a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "table")]
    format: FormatName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    Table,
    Json,
    Csv,
}

/// Adds the rows of flow files to a data directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowdb import --data d flows-*.kflow
  flowdb import --data d --device edge1 capture.kflow   rows that do not say their device are of edge1")]
struct Import {
    #[command(flatten)]
    place: Place,
    /// Name of the device whose rows do not say it; it is created if need be
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Says as JSON what a data directory holds
#[derive(Debug, Args)]
struct Stats {
    #[command(flatten)]
    place: Place,
}

/// Reads every slice of a data directory to its end, and says as JSON what is damaged
///
/// Fails if there is damage. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flowdb fsck --data /var/lib/flowdb")]
struct Fsck {
    #[command(flatten)]
    place: Place,
}

/// Moves slices that cannot be read to quarantine/, so that answers are without them for good
///
/// Their rows are lost unless a copy of the files is put back before.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flowdb repair --data /var/lib/flowdb")]
struct Repair {
    #[command(flatten)]
    place: Place,
}

/// Lists the devices that rows come from, or adds one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowdb devices --data d
  flowdb devices --data d --add edge1 --address 192.0.2.7 --sample-rate 100")]
struct DevicesCommand {
    #[command(flatten)]
    place: Place,
    /// Adds a device of this name
    #[arg(long, value_name = "NAME")]
    add: Option<String>,
    /// An address that it sends from
    #[arg(long, requires = "add")]
    address: Vec<IpAddr>,
    /// It looks at one packet or flow in so many
    #[arg(long, requires = "add", default_value_t = 1)]
    sample_rate: u32,
    #[arg(long, requires = "add", default_value = "")]
    site: String,
}

/// Where the data is.
#[derive(Debug, Args)]
struct Place {
    /// The configuration; flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
}

impl Place {
    fn config(&self) -> Result<FileConfig> {
        let mut config = match &self.config {
            Some(path) => FileConfig::read(path)?,
            None => FileConfig::default(),
        };
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }

    fn engine(&self) -> Result<Config> {
        Ok(self.config()?.engine())
    }
}

/// What is not used of it takes no memory.
const PLANNER_STACK_BYTES: usize = 32 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        // Queries are planned here, and a plan is as deep as its text may be.
        .thread_stack_size(PLANNER_STACK_BYTES)
        .enable_all()
        .build()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(run(arguments.verb)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("flowdb: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `false` says that there was an error, and that it has been told.
async fn run(verb: Verb) -> Result<bool> {
    match verb {
        Verb::Serve(serve) => serve.run().await.map(|()| true),
        Verb::Sql(sql) => sql.run().await,
        Verb::Import(import) => import.run().await.map(|()| true),
        Verb::Devices(devices) => devices.run().await.map(|()| true),
        Verb::Stats(stats) => stats.run().await.map(|()| true),
        Verb::Fsck(fsck) => check(&fsck.place, After::Tell).await,
        Verb::Repair(repair) => check(&repair.place, After::SetAside).await,
    }
}

impl Serve {
    async fn run(self) -> Result<()> {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false).init();
        let mut config = self.place.config()?;
        if self.http.is_some() || self.postgres.is_some() {
            config.http.listen = self.http.or(config.http.listen);
            config.postgres.listen = self.postgres.or(config.postgres.listen);
        } else if self.place.config.is_none() {
            config.http.listen = Some(SocketAddr::from(([127, 0, 0, 1], HTTP_PORT)));
            config.postgres.listen = Some(SocketAddr::from(([127, 0, 0, 1], POSTGRES_PORT)));
        }
        let settings = config.doors()?;
        settings.check()?;
        if settings.access.is_open() {
            tracing::warn!("no tokens: everybody on this machine may send and ask");
        }
        if settings.tls.is_none()
            && let Some(address) = settings.exposed()
        {
            tracing::warn!(%address, "no TLS: tokens and flows go over the network in the clear");
        }
        // Asked for before anything is open, so that none is missed.
        let mut terminate = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
        let engine = Engine::open(config.engine()).await.context("open the data directory")?;
        let doors = Doors::open(engine.clone(), settings).await?;
        let data = engine.config().data.display().to_string();
        tracing::info!(http = ?doors.http(), postgres = ?doors.postgres(), data, "serving");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        tokio::select! {
            stopped = stop(doors, engine) => stopped?,
            _ = interrupt.recv() => anyhow::bail!("interrupted while stopping; what was acknowledged is on disk"),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

const HTTP_PORT: u16 = 8090;
const POSTGRES_PORT: u16 = 5433;

async fn stop(doors: Doors, engine: Engine) -> Result<()> {
    doors.stop().await;
    engine.close().await.context("close the data directory")
}

impl Sql {
    async fn run(self) -> Result<bool> {
        let target = match self.url {
            None => Target::Data(Box::new(self.place.engine()?)),
            Some(url) => {
                let token = self.token_file.as_deref().map(Secret::read).transpose()?;
                Target::Server { url, token, ca: self.ca }
            }
        };
        let text = match (self.command, self.file) {
            (Some(text), _) => Some(text),
            (None, Some(path)) => {
                Some(std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?)
            }
            (None, None) => None,
        };
        let style = match self.format {
            FormatName::Table => Style::Table,
            FormatName::Json => Style::Json,
            FormatName::Csv => Style::Csv,
        };
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".flowdb_history"));
        Ok(shell::run(shell::Options { target, text, style, history }).await?)
    }
}

impl Import {
    async fn run(self) -> Result<()> {
        let engine = Engine::open(self.place.engine()?).await.context("open the data directory")?;
        let device = self.device.as_deref().map(|name| shell::import::device(&engine, name)).transpose()?;
        let mut result = Ok(());
        for path in &self.files {
            match shell::import::file(&engine, path, device).await {
                Ok(imported) => println!("{}: {} rows", path.display(), imported.rows),
                Err(error) => {
                    result = Err(error.into());
                    break;
                }
            }
        }
        engine.close().await?;
        result
    }
}

impl Stats {
    async fn run(self) -> Result<()> {
        let engine = Engine::open_still(self.place.engine()?).await.context("open the data directory")?;
        println!("{}", serde_json::to_string_pretty(&engine.stats().await)?);
        engine.close().await?;
        Ok(())
    }
}

/// What is done about damage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Tell,
    SetAside,
}

async fn check(place: &Place, after: After) -> Result<bool> {
    let engine = Engine::open_still(place.engine()?).await.context("open the data directory")?;
    let checked = engine.store().check().await;
    println!("{}", serde_json::to_string_pretty(&checked)?);
    let is_told = engine.opening().manifest.damaged.is_empty() && checked.damaged.is_empty();
    if after == After::SetAside {
        engine.store().set_aside(&checked.damaged).await?;
    }
    for file in &engine.opening().manifest.damaged {
        eprintln!("flowdb: {file} could not be read and was set aside");
    }
    engine.close().await?;
    Ok(is_told || after == After::SetAside)
}

impl DevicesCommand {
    async fn run(self) -> Result<()> {
        let engine = Engine::open(self.place.engine()?).await.context("open the data directory")?;
        if let Some(name) = self.add {
            let new = NewDevice {
                name: name.replace('.', "_"),
                site: self.site,
                addresses: self.address.into_iter().map(|address| address.to_canonical()).collect(),
                sample_rate: self.sample_rate,
                ..NewDevice::default()
            };
            engine.devices().create(new)?;
        }
        for device in engine.devices().list() {
            let addresses: Vec<String> = device.addresses.iter().map(IpAddr::to_string).collect();
            println!(
                "{:<6} {:<32} 1:{:<6} {:<16} {}",
                device.id.0,
                device.table_name(),
                device.sample_rate,
                device.site,
                addresses.join(" ")
            );
        }
        engine.close().await?;
        Ok(())
    }
}
