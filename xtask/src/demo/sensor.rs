//! The sensor as the demo runs it: started, watched, stopped, and its summary read.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use netns::Child;

use super::conversations::{Record, Tally};
use super::network::{Network, SENSOR_DEVICE};
use super::report::Narration;
use crate::summary::Summary;
use crate::{interrupt, shell};

const METRICS_ADDRESS: &str = "127.0.0.1:9102";
/// Short, so that long flows show up while one watches.
const ACTIVE_TIMEOUT_S: &str = "5";
const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How much of the sensor's log an error quotes.
const LOG_LINES: usize = 20;
/// More flows than this per second are counted and not shown.
const LINES_PER_S_MAX: u32 = 20;

/// How the sensor captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    Xdp,
    Afpacket,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Source::Xdp => "xdp",
            Source::Afpacket => "afpacket",
        }
    }
}

#[derive(Debug)]
pub struct Sensor<'a> {
    child: Child,
    records: JoinHandle<anyhow::Result<Tally>>,
    network: &'a Network,
    kflow_folder: PathBuf,
    summary_file: PathBuf,
    log_file: PathBuf,
}

impl<'a> Sensor<'a> {
    /// Starts the sensor and waits until it listens. The config file has where it sends to.
    pub fn start(
        network: &'a Network,
        folder: &Path,
        source: Source,
        export: &str,
        narration: Narration,
    ) -> anyhow::Result<Sensor<'a>> {
        let [kflow_folder, summary_file, log_file] =
            ["kflow", "summary.json", "sensor.log"].map(|name| folder.join(name));
        fs::create_dir(&kflow_folder).with_context(|| format!("create {}", kflow_folder.display()))?;
        let [config_file, token_file] = ["sensor.toml", "token"].map(|name| folder.join(name));
        write_private(&token_file, "demo\n")?;
        write_private(&config_file, export)?;
        let log = File::create(&log_file).with_context(|| format!("create {}", log_file.display()))?;

        let mut command = network.sensor.command(shell::built("sensor")?);
        command
            .args([
                "run",
                "--interface",
                SENSOR_DEVICE,
                "--source",
                source.name(),
                "--json",
                "-",
                "--metrics",
                METRICS_ADDRESS,
            ])
            .args(["--idle-timeout-s", ACTIVE_TIMEOUT_S, "--active-timeout-s", ACTIVE_TIMEOUT_S])
            .arg("--config")
            .arg(&config_file)
            .arg("--kflow")
            .arg(&kflow_folder)
            .arg("--summary")
            .arg(&summary_file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = Child::spawn(&mut command)?;
        let lines = BufReader::new(child.process().stdout.take().expect("stdout is piped"));
        let records = thread::spawn(move || follow(lines, narration));
        let mut sensor = Sensor { child, records, network, kflow_folder, summary_file, log_file };
        sensor.wait_until_ready()?;
        Ok(sensor)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.fetch("readyz").is_err() {
            self.check()?;
            if started.elapsed() > START_LIMIT || interrupt::caught() {
                bail!("the sensor is not ready after {:.0?}: {}", started.elapsed(), self.log());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// An error if the sensor has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the sensor ended early ({status}): {}", self.log());
        }
        Ok(())
    }

    pub fn kflow_folder(&self) -> &Path {
        &self.kflow_folder
    }

    /// What to type to read the metrics while the demo runs.
    pub fn metrics_command(&self) -> String {
        format!("ip netns exec {} curl -s http://{METRICS_ADDRESS}/metrics", self.network.sensor.name())
    }

    /// A handful of the metrics that have counted something.
    pub fn metrics(&self) -> anyhow::Result<Vec<String>> {
        Ok(interesting(&self.fetch("metrics")?, 5))
    }

    fn fetch(&self, page: &str) -> anyhow::Result<String> {
        let url = format!("http://{METRICS_ADDRESS}/{page}");
        self.network.sensor.run(["curl", "--silent", "--show-error", "--fail", "--max-time", "5", &url])
    }

    /// Stops the sensor; what it reported, and its own account of it.
    pub fn stop(mut self) -> anyhow::Result<(Tally, Summary)> {
        let status = self.child.stop(STOP_LIMIT)?;
        if !status.success() {
            bail!("the sensor failed ({status}): {}", self.log());
        }
        let summary = Summary::read(&self.summary_file)?;
        let Ok(tally) = self.records.join() else { bail!("reading the sensor's records failed") };
        Ok((tally?, summary))
    }

    /// The end of what the sensor said, and where the rest is.
    fn log(&self) -> String {
        let log = fs::read_to_string(&self.log_file).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(LOG_LINES)..];
        format!("see {}, which ends:\n{}", self.log_file.display(), end.join("\n"))
    }
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}

/// Reads the sensor's JSON lines to their end, showing some of them.
fn follow(lines: impl BufRead, narration: Narration) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut second = Instant::now();
    let mut lines_in_second = 0;
    for line in lines.lines() {
        let record = Record::parse(&line.context("read the sensor's records")?)?;
        tally.add(&record);
        if second.elapsed() >= Duration::from_secs(1) {
            say_how_many_more(lines_in_second, narration);
            second = Instant::now();
            lines_in_second = 0;
        }
        lines_in_second += 1;
        if lines_in_second <= LINES_PER_S_MAX {
            narration.say(flow_line(&record));
        }
    }
    say_how_many_more(lines_in_second, narration);
    Ok(tally)
}

fn say_how_many_more(lines: u32, narration: Narration) {
    if lines > LINES_PER_S_MAX {
        narration.say(format_args!("  … and {} more", lines - LINES_PER_S_MAX));
    }
}

fn flow_line(record: &Record) -> String {
    let end = |address: std::net::IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
    let answered = record.response_us.map_or(String::new(), |mean_us| format!("{mean_us} us to answer"));
    let again = record.retransmitted.map_or(String::new(), |segments| format!("  {segments} sent again"));
    format!(
        "  {:<5} {:>25} > {:<25} {:>5}/{:<5} packets {:>9}/{:<9} bytes  {:<14} {answered:>18}{again}",
        record.protocol_name(),
        end(record.source, record.source_port),
        end(record.destination, record.destination_port),
        record.forward_packets,
        record.reverse_packets,
        record.forward_bytes,
        record.reverse_bytes,
        record.end_reason
    )
}

/// The first `limit` samples that are neither zero nor part of a histogram, each of another metric.
fn interesting(metrics: &str, limit: usize) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    let mut chosen = Vec::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((sample, value)) = line.rsplit_once(' ') else { continue };
        let name = sample.split('{').next().unwrap_or(sample);
        let is_zero = value.parse::<f64>().is_ok_and(|value| value == 0.0);
        if is_zero || name.ends_with("_bucket") || name.ends_with("_info") || names.contains(&name) {
            continue;
        }
        names.push(name);
        chosen.push(line.to_string());
    }
    chosen.truncate(limit);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interesting_metrics_have_counted_something() {
        let metrics = "# HELP a x\na_total{cpu=\"0\"} 0\na_total{cpu=\"1\"} 7\na_total{cpu=\"2\"} 8\n\
                       b_bucket{le=\"1\"} 3\nb_count 3\nc 1.5\n# EOF\n";
        assert_eq!(interesting(metrics, 5), ["a_total{cpu=\"1\"} 7", "b_count 3", "c 1.5"]);
        assert_eq!(interesting(metrics, 1).len(), 1);
    }
}
