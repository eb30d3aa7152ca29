//! `cargo xtask demo`: the sensor on a mirror port beside real programs talking to each other.
//!
//! ```text
//!   client namespace           server namespace                     sensor namespace
//!   curl wrk dig        veth   nginx dnsmasq           veth                            HTTP
//!   iperf3 ping   up0 ──────── down0 ══ mirror ══ tap0 ──────── sensor0   sensor run ──────── flowdb serve
//! ```
//!
//! The mirror port counts each conversation in the kernel (tc), its far end counts frames (the device). Both
//! are independent of the sensor, and what it reports is compared with them to the packet. The sensor sends its
//! records through its spool to the engine, which has to have every one of them, and is asked a few things.

mod conversations;
mod engine;
mod network;
mod report;
mod sensor;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use netns::{Mirror, device_counters};

use crate::{compile, interrupt, run, setup, shell};
use conversations::EXPECTED;
use engine::Engine;
use network::{Network, SENSOR_DEVICE, SERVER_DEVICE, TAP_DEVICE};
use report::{Narration, Report};
use sensor::{Sensor, Source};

/// Shows the sensor at work on real traffic, and checks what it counted
///
/// Sets up a client, a server and a sensor in network namespaces of their own; nothing of the machine's network
/// is touched and nothing stays behind. Fails if an expected conversation is missing or a count is off.
#[derive(Debug, Args)]
pub struct Options {
    /// How long the traffic runs.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=3600))]
    seconds: u32,
    /// How the sensor captures.
    #[arg(long, value_enum, default_value_t = Source::Xdp)]
    source: Source,
    /// Goes on until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Prints the result as one JSON object on stdout, everything else on stderr.
    #[arg(long)]
    json: bool,
    /// Everything is there: set by the demo itself when it starts anew as root.
    #[arg(long, hide = true)]
    built: bool,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    if !options.built {
        setup::ensure_if_missing()?;
        compile::build(compile::Profile::Release)?;
        compile::build_engine()?;
    }
    if !netns::is_root() {
        return start_as_root(options);
    }
    interrupt::catch();
    let narration = if options.json { Narration::Stderr } else { Narration::Stdout };
    let report = show(options, narration)?;
    if options.json {
        println!("{}", report.to_json());
    } else {
        narration.say(&report);
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is built belongs to the user; only from here on are rights needed.
fn start_as_root(options: &Options) -> anyhow::Result<ExitCode> {
    let mut demo = Command::new(std::env::current_exe().context("find this program")?);
    demo.args([
        "demo",
        "--built",
        "--seconds",
        &options.seconds.to_string(),
        "--source",
        options.source.name(),
    ]);
    demo.args(options.keep.then_some("--keep")).args(options.json.then_some("--json"));
    demo.env("CARGO_TARGET_DIR", shell::target_folder()?);
    let mut demo = shell::as_root(&demo)?;
    let status = demo.status().with_context(|| format!("start `{}`", shell::shown(&demo)))?;
    Ok(run::exit_code(status))
}

fn show(options: &Options, narration: Narration) -> anyhow::Result<Report> {
    let started = Instant::now();
    for name in netns::remove_stale(network::NAME_PREFIX)? {
        narration.say(format_args!("removed {name}, left by a run that was killed"));
    }
    let folder = work_folder()?;
    let network = Network::create()?;
    narration.say(&network);
    let engine = Engine::start(&network.sensor, &folder)?;
    let mut sensor = Sensor::start(&network, &folder, options.source, &engine.export(&folder), narration)?;
    let servers = traffic::Servers::start(&network, &folder)?;
    narration.say(format_args!(
        "sensor: {SENSOR_DEVICE} in {}, ready after {:.1} s; kflow files in {}",
        network.sensor.name(),
        started.elapsed().as_secs_f64(),
        sensor.kflow_folder().display()
    ));
    narration.say(format_args!("metrics: {}", sensor.metrics_command()));

    let before = device_counters(&network.sensor, SENSOR_DEVICE)?;
    let selectors: Vec<_> = EXPECTED.iter().flat_map(conversations::Conversation::selectors).collect();
    let mirror = Mirror::start(&network.server, SERVER_DEVICE, TAP_DEVICE, &selectors)?;
    loop {
        traffic::drive(&network, Duration::from_secs(options.seconds.into()), &mut sensor)?;
        if !options.keep || interrupt::caught() {
            break;
        }
    }
    narration.say("metrics, a few of them:");
    for line in sensor.metrics()? {
        narration.say(format_args!("  {line}"));
    }

    drop(servers);
    let mirrored = settled(&mirror)?;
    mirror.stop()?;
    let after = device_counters(&network.sensor, SENSOR_DEVICE)?;
    let kflow_folder = sensor.kflow_folder().to_path_buf();
    let (tally, summary) = sensor.stop()?;
    engine.ask(tally.records(), narration)?;
    engine.stop()?;
    Ok(Report::new(report::Facts {
        mirrored,
        received: after.received_packets - before.received_packets,
        tally,
        summary,
        kflow_folder,
    }))
}

/// The mirror's counters once nothing moves any more.
fn settled(mirror: &Mirror<'_>) -> anyhow::Result<Vec<u64>> {
    let mut packets = mirror.packets()?;
    for _ in 0..50 {
        sleep(Duration::from_millis(100));
        let later = mirror.packets()?;
        if later == packets {
            break;
        }
        packets = later;
    }
    Ok(packets)
}

/// A fresh folder for this run. Those of runs that have ended are removed first, so that the last one's files
/// can be looked at.
fn work_folder() -> anyhow::Result<PathBuf> {
    let parent = std::env::temp_dir();
    let prefix = "wireflow-demo-";
    for entry in fs::read_dir(&parent).with_context(|| format!("list {}", parent.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix(prefix).and_then(|owner| owner.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    let folder = parent.join(format!("{prefix}{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}
