//! The command line: verbs, and flags that override the config file.

use anyhow::{Result, anyhow};
use clap::{Args as ClapArgs, Parser, Subcommand};
use sensor_user::config::{Config, KflowConfig, LogLevel, SourceKind, TunnelCount};
use std::{net::SocketAddr, path::PathBuf};

/// Turns packets into flow records.
///
/// Captures from a mirror port or tap by XDP and AF_XDP, from a host's interface by AF_PACKET, or from capture
/// files, and writes each flow as a kflow record or a JSON line.
#[derive(Debug, Parser)]
#[command(name = "sensor", version, about, long_about, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  sensor run --interface eth1 --kflow /var/lib/flows
  sensor run --interface eth0 --source afpacket --json - | jq .
  sensor run --pcap capture.pcapng --json flows.jsonl
  zcat capture.pcap.gz | sensor run --pcap - --json -
  sensor run --interface eth1 --tunnels inner --kflow /var/lib/flows
  sensor check --config sensor.toml";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Capture until SIGINT or SIGTERM (or the end of the file), then print the ledger.
    Run(Box<Run>),
    /// Validate the configuration and print what it comes to, with the memory it takes.
    Check(Box<Check>),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    #[command(flatten)]
    pub capture: Flags,
    /// Write ledger and record counts to this file as JSON at the end.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Check {
    #[command(flatten)]
    pub capture: Flags,
}

/// Flags that both verbs take. Each overrides one key of the config file.
#[derive(Debug, ClapArgs)]
pub struct Flags {
    /// TOML file; `sensor check` prints one with every key. SIGHUP reloads its filter.
    #[arg(long = "config", value_name = "FILE")]
    pub config_path: Option<PathBuf>,
    /// Network interface to capture from.
    #[arg(long, short, value_name = "NAME")]
    interface: Option<String>,
    /// Capture file to read instead (pcap or pcapng, also gzip or zstd); - is standard input.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// How to capture: auto takes xdp on an interface without an address of its own, else afpacket.
    #[arg(long, value_enum)]
    source: Option<SourceKind>,
    /// Threads that own flows.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// CPU of each worker, such as 2,3.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cpus: Option<Vec<usize>>,
    /// Frames of each receive queue's buffer, a power of two.
    #[arg(long, value_name = "N")]
    frames: Option<u32>,
    /// Look at one flow in N.
    #[arg(long, value_name = "N")]
    sample_rate: Option<u32>,
    /// Flows that one worker holds at once.
    #[arg(long, value_name = "N")]
    flow_capacity: Option<usize>,
    /// Seconds without a packet after which a flow ends.
    #[arg(long, value_name = "N")]
    idle_timeout_s: Option<u64>,
    /// Seconds after which a flow that lives on is reported.
    #[arg(long, value_name = "N")]
    active_timeout_s: Option<u64>,
    /// Which packet of a tunnel is counted.
    #[arg(long, value_enum)]
    tunnels: Option<TunnelCount>,
    /// Write records as JSON lines to this file; - is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write records as kflow files into this folder.
    #[arg(long, value_name = "FOLDER")]
    kflow: Option<PathBuf>,
    /// Address for /metrics, or off [default: 127.0.0.1:9102; off for capture files].
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Log from this level on.
    #[arg(long, value_enum)]
    log_level: Option<LogLevel>,
}

impl Flags {
    /// The config file with the flags over it, checked.
    pub fn config(&self) -> Result<Config> {
        let mut config = match &self.config_path {
            Some(path) => Config::read(path).map_err(|error| anyhow!(error))?,
            None => Config::default(),
        };
        let capture = &mut config.capture;
        if self.interface.is_some() || self.pcap.is_some() {
            // A flag for the one replaces a key for the other.
            capture.interface.clone_from(&self.interface);
            capture.pcap.clone_from(&self.pcap);
        }
        set(&mut capture.source, self.source);
        set(&mut capture.workers, self.workers);
        set(&mut capture.cpus, self.cpus.clone());
        set(&mut capture.frames, self.frames);
        set(&mut capture.sample_rate, self.sample_rate);
        set(&mut config.flow.capacity, self.flow_capacity);
        set(&mut config.flow.idle_timeout_s, self.idle_timeout_s);
        set(&mut config.flow.active_timeout_s, self.active_timeout_s);
        set(&mut config.tunnels.count, self.tunnels);
        set(&mut config.log.level, self.log_level);
        if self.json.is_some() {
            config.export.json.clone_from(&self.json);
        }
        if let Some(directory) = &self.kflow {
            match &mut config.export.kflow {
                Some(kflow) => kflow.directory.clone_from(directory),
                None => {
                    config.export.kflow = Some(KflowConfig::in_directory(directory.clone()));
                }
            }
        }
        self.set_metrics(&mut config)?;
        crate::checked(config)
    }

    fn set_metrics(&self, config: &mut Config) -> Result<()> {
        match self.metrics.as_deref() {
            // A file is over before anybody scrapes it.
            None if config.capture.pcap.is_some() && self.config_path.is_none() => {
                config.metrics.enabled = false;
            }
            None => {}
            Some("off") => config.metrics.enabled = false,
            Some(address) => {
                config.metrics.enabled = true;
                config.metrics.listen = address.parse::<SocketAddr>().map_err(|_| {
                    anyhow!("--metrics {address} is not ADDRESS:PORT, such as 127.0.0.1:9102, or off")
                })?;
            }
        }
        Ok(())
    }
}

fn set<T>(key: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *key = value;
    }
}
