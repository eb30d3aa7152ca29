//! The `sensor` command: flags over a config file, then [`sensor_user::sensor::run`].

mod args;

use anyhow::{Context, Result, anyhow};
use args::{Args, Verb};
use clap::Parser;
use sensor_user::{
    config::{Config, LogFormat, LogLevel},
    sensor::{self, Signals, Summary},
};
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let result = match Args::parse().verb {
        Verb::Run(run) => run.capture.config().and_then(|config| {
            start_log(&config);
            capture(&config, run.capture.config_path.as_deref(), run.summary.as_deref())
        }),
        Verb::Check(check) => check.capture.config().and_then(|config| print_effective(&config)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn capture(config: &Config, config_path: Option<&Path>, summary_path: Option<&Path>) -> Result<()> {
    let signals = Signals::register().context("register signal handlers")?;
    let outcome = sensor::run(config, config_path, &signals)?;
    outcome.summary.print(&mut io::stderr()).context("print the ledger")?;
    if let Some(path) = summary_path {
        write_summary(&outcome.summary, path)?;
    }
    outcome.error.map_or(Ok(()), Err)
}

fn write_summary(summary: &Summary, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(summary).context("write the summary as JSON")?;
    fs::write(path, text).with_context(|| format!("write the summary to {}", path.display()))
}

fn print_effective(config: &Config) -> Result<()> {
    let text = toml::to_string(config).context("print the config")?;
    let memory = sensor::predicted_memory(config).context("ask for the receive queues")?;
    let mut output = io::stdout().lock();
    writeln!(output, "# The effective configuration.\n{text}")?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (all, rings) = (mebibytes(memory.bytes), mebibytes(memory.ring_bytes));
    writeln!(output, "# Memory: {all:.1} MiB, of which capture rings {rings:.1} MiB.")?;
    Ok(())
}

fn start_log(config: &Config) {
    let level = match config.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let as_text = match config.log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr);
    if as_text {
        log.with_target(false).with_ansi(io::stderr().is_terminal()).init();
    } else {
        log.json().flatten_event(true).with_target(false).init();
    }
}

/// All faults of a config as one error.
fn checked(config: Config) -> Result<Config> {
    let faults = config.faults();
    if faults.is_empty() { Ok(config) } else { Err(anyhow!("{}", faults.join("\nsensor: "))) }
}
