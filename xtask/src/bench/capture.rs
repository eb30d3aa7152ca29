//! The whole sensor on live frames, beside a receiver that only takes them: what the sensor's own work costs.
//!
//! One veth pair between two namespaces. The generator has the last CPU, where the kernel also runs the receiving
//! XDP program; the receiver has the first one. Receivers take turns, so that all see the machine in the same
//! state, and each run starts the receiver, sends for about a second and stops it.
//!
//! Programs are copied first: a build meanwhile changes nothing that is measured.
//!
//! 1. Received: frames counted by the receiver per second of the generator, which sends as fast as it can.
//! 2. Lossless: the highest rate, found by halving, at which every frame that was sent was counted.
//! 3. Unaccounted: frames sent that the sensor neither counted nor says it lost.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use netns::{Child, Namespace, VethEnd, VethOptions, veth_pair};
use serde_json::Value;

use super::Figure;
use crate::summary::Summary;
use crate::{compile, setup, shell};

const NAME_PREFIX: &str = "wireflow-capture";
const SEND_DEVICE: &str = "blast0";
const RECEIVE_DEVICE: &str = "capture0";

const SENSOR: &str = "sensor";
const TRAFFIC: &str = "traffic";
const BARE_RECEIVER: &str = "examples/bare_receiver";
const PROGRAMS: [&str; 3] = [SENSOR, TRAFFIC, BARE_RECEIVER];

const SIZES: [&str; 3] = ["64", "imix", "1500"];
const FLOWS: [Flows; 3] = [
    Flows { name: "1", count: 1 },
    Flows { name: "10k", count: 10_000 },
    Flows { name: "1M", count: 1_000_000 },
];
/// The load that all goals are about.
const USUAL_FLOWS: u32 = 10_000;

const ROUNDS: usize = 5;
const ROUND_SECONDS: f64 = 1.0;
/// Share of the bare receiver's rate that the sensor shall reach.
const GOAL: f64 = 0.8;

const SEARCH_STEPS: usize = 6;
const SEARCH_SECONDS: f64 = 0.7;
/// A rate is lossless if one of so many runs is: that the machine takes the CPU away now and then is not the
/// receiver's fault.
const SEARCH_TRIES: usize = 2;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How much of a receiver's log an error quotes.
const LOG_LINES: usize = 20;

#[derive(Clone, Copy, Debug)]
struct Flows {
    name: &'static str,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Load {
    /// Frame length, or a mix of them, as the generator takes it.
    size: &'static str,
    flows: Flows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    /// AF_XDP behind the shortest XDP program, reading a few bytes of each frame.
    Bare,
    Sensor,
    /// The same by AF_PACKET.
    BareAfPacket,
    /// What most captures are made with.
    Tcpdump,
}

pub fn measure() -> anyhow::Result<Vec<Figure>> {
    setup::ensure_packages(&["curl", "tcpdump"])?;
    compile::build(compile::Profile::Release)?;
    let mut cargo = shell::cargo()?;
    cargo.args(["build", "--release", "--package", "sensor-user", "--example", "bare_receiver"]);
    shell::step(&mut cargo)?;

    let bench = Bench::create()?;
    let mut figures = Vec::new();
    for size in SIZES {
        for flows in FLOWS {
            let load = Load { size, flows };
            let rounds = bench.rounds(load)?;
            figures.extend(received(load, &rounds));
            if flows.count == USUAL_FLOWS {
                figures.push(unaccounted(load, &rounds));
                figures.push(bench.lossless(load)?);
            }
        }
    }
    Ok(figures)
}

/// What one receiver made of what was sent to it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    receiver: Receiver,
    sent: u64,
    received: u64,
    /// By the receiver's own word.
    dropped: u64,
    /// For how long frames were sent.
    seconds: f64,
    /// Frames per second that were offered.
    offered: f64,
    /// Mean length of a frame.
    frame_bits: f64,
}

impl Run {
    fn mpps(&self) -> f64 {
        self.received as f64 / self.seconds / 1e6
    }

    fn gbit_per_s(&self) -> f64 {
        self.mpps() * self.frame_bits / 1e3
    }

    fn is_lossless(&self) -> bool {
        self.received == self.sent
    }

    fn unaccounted(&self) -> u64 {
        self.sent.abs_diff(self.received + self.dropped)
    }
}

/// Runs of all receivers, one of each a round.
type Rounds = Vec<Vec<Run>>;

fn received(load: Load, rounds: &Rounds) -> Vec<Figure> {
    let name = |what: &str| format!("capture/{}/{}/{what}", load.size, load.flows.name);
    let sensor = compared(rounds, Receiver::Sensor, Receiver::Bare, Run::mpps);
    let Some(sensor) = sensor else { return Vec::new() };
    if load.flows.count != USUAL_FLOWS {
        return vec![sensor.figure(name("sensor"), "Mpps", Receiver::Bare)];
    }
    let mut figures = vec![Figure {
        goal: Some(GOAL.into()),
        met: Some(sensor.ratio >= GOAL),
        ..sensor.figure(name("sensor"), "Mpps", Receiver::Bare)
    }];
    let bits = compared(rounds, Receiver::Sensor, Receiver::Bare, Run::gbit_per_s);
    figures.extend(bits.map(|bits| bits.figure(name("sensor bits"), "Gbit/s", Receiver::Bare)));
    for peer in [Receiver::BareAfPacket, Receiver::Tcpdump] {
        let compared = compared(rounds, peer, Receiver::Sensor, Run::mpps);
        figures.extend(compared.map(|compared| compared.figure(name(peer.name()), "Mpps", Receiver::Sensor)));
    }
    figures
}

fn unaccounted(load: Load, rounds: &Rounds) -> Figure {
    let runs = rounds.iter().flatten().filter(|run| run.receiver == Receiver::Sensor);
    let frames: u64 = runs.map(Run::unaccounted).sum();
    Figure {
        goal: Some(0.into()),
        met: Some(frames == 0),
        ..Figure::alone(
            format!("capture/{}/{}/unaccounted frames", load.size, load.flows.name),
            frames as f64,
            "frames",
        )
    }
}

/// Medians of two receivers, and that of the ratios of each round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Compared {
    value: f64,
    reference: f64,
    ratio: f64,
}

impl Compared {
    fn figure(self, name: String, unit: &str, reference: Receiver) -> Figure {
        Figure {
            reference: Some(reference.name().into()),
            reference_value: Some(self.reference),
            ratio: Some(self.ratio),
            ..Figure::alone(name, self.value, unit)
        }
    }
}

/// `None` if one of the two did not run.
fn compared(
    rounds: &Rounds,
    receiver: Receiver,
    reference: Receiver,
    rate: fn(&Run) -> f64,
) -> Option<Compared> {
    let of = |round: &[Run], wanted| round.iter().find(|run| run.receiver == wanted).map(rate);
    let pairs: Vec<(f64, f64)> =
        rounds.iter().filter_map(|round| Some((of(round, receiver)?, of(round, reference)?))).collect();
    if pairs.is_empty() {
        return None;
    }
    let median = |number: fn(&(f64, f64)) -> f64| median(pairs.iter().map(number).collect());
    Some(Compared {
        value: median(|pair| pair.0),
        reference: median(|pair| pair.1),
        ratio: median(|pair| pair.0 / pair.1),
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The namespaces, the cable between them, and where files go.
#[derive(Debug)]
struct Bench {
    sender: Namespace,
    receiver: Namespace,
    folder: PathBuf,
    sender_cpu: u32,
    receiver_cpu: u32,
}

impl Bench {
    fn create() -> anyhow::Result<Bench> {
        netns::remove_stale(NAME_PREFIX)?;
        let (receiver_cpu, sender_cpu) = first_and_last_cpu()?;
        ensure!(receiver_cpu != sender_cpu, "generator and receiver need a CPU each, and there is but one");
        let folder = shell::target_folder()?.join("bench/capture");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        for program in PROGRAMS {
            let (from, to) = (shell::built(program)?, folder.join(file_name(program)));
            fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
        }
        let sender = Namespace::create(&format!("{NAME_PREFIX}-sender"))?;
        let receiver = Namespace::create(&format!("{NAME_PREFIX}-receiver"))?;
        // Without addresses, neither end sends anything of its own accord.
        veth_pair(
            &VethEnd::new(&sender, SEND_DEVICE),
            &VethEnd::new(&receiver, RECEIVE_DEVICE),
            VethOptions::default(),
        )?;
        Ok(Bench { sender, receiver, folder, sender_cpu, receiver_cpu })
    }

    fn copied(&self, program: &str) -> PathBuf {
        self.folder.join(file_name(program))
    }

    fn rounds(&self, load: Load) -> anyhow::Result<Rounds> {
        let mut receivers = vec![Receiver::Bare, Receiver::Sensor];
        if load.flows.count == USUAL_FLOWS && load.size != "imix" {
            receivers.extend([Receiver::BareAfPacket, Receiver::Tcpdump]);
        }
        let mut rounds = Rounds::new();
        for round in 1..=ROUNDS {
            let sending = Sending { load, rate: None, seconds: ROUND_SECONDS };
            let runs = receivers.iter().map(|receiver| self.run(*receiver, sending));
            let runs = runs.collect::<anyhow::Result<Vec<Run>>>()?;
            let shown = runs.iter().map(|run| format!("{} {:.2}", run.receiver.name(), run.mpps()));
            let shown = shown.collect::<Vec<_>>().join(", ");
            eprintln!("{} bytes, {} flows, round {round}: {shown} Mpps", load.size, load.flows.name);
            rounds.push(runs);
        }
        Ok(rounds)
    }

    fn lossless(&self, load: Load) -> anyhow::Result<Figure> {
        let reference = self.lossless_mpps(Receiver::Bare, load)?;
        let value = self.lossless_mpps(Receiver::Sensor, load)?;
        eprintln!(
            "{} bytes, {} flows, lossless: {value:.2} of {reference:.2} Mpps",
            load.size, load.flows.name
        );
        let ratio = (reference > 0.0).then(|| value / reference);
        Ok(Figure {
            reference: Some(Receiver::Bare.name().into()),
            reference_value: Some(reference),
            ratio,
            ..Figure::alone(
                format!("capture/{}/{}/sensor lossless", load.size, load.flows.name),
                value,
                "Mpps",
            )
        })
    }

    /// The highest offered rate at which nothing was lost; zero if there was none.
    fn lossless_mpps(&self, receiver: Receiver, load: Load) -> anyhow::Result<f64> {
        let run = self.try_lossless(receiver, Sending { load, rate: None, seconds: SEARCH_SECONDS })?;
        if run.is_lossless() {
            return Ok(run.offered / 1e6);
        }
        let (mut best, mut low, mut high) = (0.0, 0.0, run.offered);
        for _ in 0..SEARCH_STEPS {
            let rate = f64::midpoint(low, high);
            let sending = Sending { load, rate: Some(rate as u64), seconds: SEARCH_SECONDS };
            let run = self.try_lossless(receiver, sending)?;
            if run.is_lossless() {
                low = rate;
                best = f64::max(best, run.offered);
            } else {
                high = rate;
            }
        }
        Ok(best / 1e6)
    }

    fn try_lossless(&self, receiver: Receiver, sending: Sending) -> anyhow::Result<Run> {
        let mut run = self.run(receiver, sending)?;
        for _ in 1..SEARCH_TRIES {
            if run.is_lossless() {
                break;
            }
            run = self.run(receiver, sending)?;
        }
        Ok(run)
    }

    /// Starts the receiver, sends, stops it and compares.
    fn run(&self, receiver: Receiver, sending: Sending) -> anyhow::Result<Run> {
        let _stack = receiver.needs_stack().then(|| self.pass_to_stack()).transpose()?;
        let output = self.folder.join("output");
        if output.exists() {
            fs::remove_dir_all(&output).with_context(|| format!("remove {}", output.display()))?;
        }
        fs::create_dir(&output).with_context(|| format!("create {}", output.display()))?;
        let mut started = self.start(receiver, sending.load, &output)?;
        let report = self.send(sending)?;
        started.stop()?;
        let (received, dropped) = receiver.counts(&output, &started.log())?;
        let number = |name: &str| {
            report[name].as_f64().with_context(|| format!("the generator's report lacks {name}"))
        };
        let offered = number("packets_per_second")?;
        Ok(Run {
            receiver,
            sent: report["sent"].as_u64().context("the generator does not say how much it sent")?,
            received,
            dropped,
            seconds: number("seconds")?,
            offered,
            frame_bits: number("bits_per_second")? / offered,
        })
    }

    /// Returns when the receiver receives.
    fn start(&self, receiver: Receiver, load: Load, output: &Path) -> anyhow::Result<Started> {
        let program = self.program(receiver)?;
        let mut command = self.receiver.command("taskset");
        // The sensor pins its worker by itself and has other threads; the others are one thread.
        if receiver == Receiver::Sensor {
            command = self.receiver.command(&program);
        } else {
            command.args(["--cpu-list", &self.receiver_cpu.to_string()]).arg(&program);
        }
        command.args(receiver.words(self.receiver_cpu, load, output)?);
        let mut started = Started::new(&mut command, output.join("log"))?;
        started.wait_until(|log| match receiver {
            Receiver::Sensor => self.receiver.run(READY_COMMAND).is_ok(),
            Receiver::Bare | Receiver::BareAfPacket => log.contains("ready"),
            Receiver::Tcpdump => log.contains("listening on"),
        })?;
        Ok(started)
    }

    fn program(&self, receiver: Receiver) -> anyhow::Result<PathBuf> {
        match receiver {
            Receiver::Sensor => Ok(self.copied(SENSOR)),
            Receiver::Bare | Receiver::BareAfPacket => Ok(self.copied(BARE_RECEIVER)),
            Receiver::Tcpdump => shell::find("tcpdump").context("find tcpdump"),
        }
    }

    /// Has frames go to the network stack, where packet sockets are, for as long as the result lives.
    fn pass_to_stack(&self) -> anyhow::Result<Child> {
        let mut command = self.receiver.command(self.copied(TRAFFIC));
        command.args(["sink", "--pass", "--interface", RECEIVE_DEVICE, "--seconds", "60"]);
        let mut child = Child::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        let started = Instant::now();
        while !self.receiver.ip(["link", "show", "dev", RECEIVE_DEVICE])?.contains("xdp") {
            ensure!(child.try_wait()?.is_none(), "`traffic sink` ended early");
            ensure!(started.elapsed() < START_LIMIT, "`traffic sink` does not attach");
            sleep(POLL_INTERVAL);
        }
        Ok(child)
    }

    fn send(&self, sending: Sending) -> anyhow::Result<Value> {
        let mut command = self.sender.command(self.copied(TRAFFIC));
        command.args(["blast", "--json", "--interface", SEND_DEVICE, "--cpu", &self.sender_cpu.to_string()]);
        let Sending { load, rate, seconds } = sending;
        command.args(["--size", load.size, "--flows", &load.flows.count.to_string()]);
        command.args(["--seconds", &seconds.to_string()]);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let printed = shell::read(&mut command)?;
        serde_json::from_str(&printed).context("read the generator's report")
    }
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    load: Load,
    /// Frames per second; `None` for as many as possible.
    rate: Option<u64>,
    seconds: f64,
}

/// A receiver at work, with all that it prints in a file.
#[derive(Debug)]
struct Started {
    child: Child,
    log_file: PathBuf,
}

impl Started {
    fn new(command: &mut Command, log_file: PathBuf) -> anyhow::Result<Started> {
        let log = File::create(&log_file).with_context(|| format!("create {}", log_file.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone().context("share a log file")?).stderr(log);
        Ok(Started { child: Child::spawn(command)?, log_file })
    }

    /// Waits until `is_ready` says so of what was printed.
    fn wait_until(&mut self, is_ready: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !is_ready(&self.log()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the receiver ended early ({status}): {}", self.log_end());
            }
            ensure!(start.elapsed() < START_LIMIT, "the receiver is not ready: {}", self.log_end());
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let status = self.child.stop(STOP_LIMIT)?;
        ensure!(status.success(), "the receiver failed ({status}): {}", self.log_end());
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log_file).unwrap_or_default()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Receiver {
    fn name(self) -> &'static str {
        match self {
            Receiver::Bare => "bare AF_XDP receiver",
            Receiver::Sensor => "sensor",
            Receiver::BareAfPacket => "bare TPACKET_V3 receiver",
            Receiver::Tcpdump => "tcpdump (libpcap)",
        }
    }

    /// Whether it gets its frames from the network stack and not from an XDP program of its own.
    fn needs_stack(self) -> bool {
        matches!(self, Receiver::BareAfPacket | Receiver::Tcpdump)
    }

    fn words(self, cpu: u32, load: Load, output: &Path) -> anyhow::Result<Vec<String>> {
        let owned = |words: &[&str]| words.iter().copied().map(String::from).collect::<Vec<_>>();
        let text = |name: &str| {
            let path = output.join(name);
            path.to_str().map(String::from).context("a path is not UTF-8")
        };
        Ok(match self {
            Receiver::Bare => owned(&[RECEIVE_DEVICE]),
            Receiver::BareAfPacket => owned(&[RECEIVE_DEVICE, "--afpacket"]),
            // As large a ring as that of the other AF_PACKET receiver.
            Receiver::Tcpdump => owned(&[
                "-i",
                RECEIVE_DEVICE,
                "-w",
                "/dev/null",
                "--snapshot-length",
                "128",
                "--buffer-size",
                "65536",
            ]),
            Receiver::Sensor => {
                let (kflow, summary) = (text("kflow")?, text(SUMMARY)?);
                // Room for all flows; whoever has a million of them sets it.
                let capacity = (load.flows.count.next_power_of_two() * 2).max(FLOW_CAPACITY).to_string();
                let cpu = cpu.to_string();
                owned(&[
                    "run",
                    "--interface",
                    RECEIVE_DEVICE,
                    "--source",
                    "xdp",
                    "--cpus",
                    &cpu,
                    "--flow-capacity",
                    &capacity,
                    "--kflow",
                    &kflow,
                    "--summary",
                    &summary,
                ])
            }
        })
    }

    /// Frames received and frames lost, as it says itself.
    fn counts(self, output: &Path, log: &str) -> anyhow::Result<(u64, u64)> {
        match self {
            Receiver::Bare | Receiver::BareAfPacket => bare_counts(log),
            Receiver::Tcpdump => tcpdump_counts(log),
            Receiver::Sensor => {
                let summary = Summary::read(&output.join(SUMMARY))?;
                ensure!(summary.is_balanced(), "the sensor's ledger does not balance: {summary:?}");
                Ok((summary.accounted, summary.dropped))
            }
        }
        .with_context(|| format!("counts of the {}", self.name()))
    }
}

/// Succeeds once the sensor's worker has its source.
const READY_COMMAND: [&str; 6] =
    ["curl", "--silent", "--fail", "--max-time", "5", "http://127.0.0.1:9102/readyz"];
/// The sensor's account of its run, in the output folder.
const SUMMARY: &str = "summary.json";
/// The sensor's default.
const FLOW_CAPACITY: u32 = 1 << 18;

/// Without the folder that cargo puts examples into.
fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The last line is JSON.
fn bare_counts(log: &str) -> anyhow::Result<(u64, u64)> {
    let line = log.lines().last().context("nothing was printed")?;
    let totals: Value = serde_json::from_str(line).context("not JSON")?;
    let number = |name: &str| totals[name].as_u64().with_context(|| format!("no {name}"));
    Ok((number("frames")?, number("dropped")?))
}

/// `5 packets captured`, `7 packets received by filter`, `2 packets dropped by kernel`.
fn tcpdump_counts(log: &str) -> anyhow::Result<(u64, u64)> {
    let number = |what: &str| {
        let line =
            log.lines().find_map(|line| line.strip_suffix(what)).with_context(|| format!("no{what}"))?;
        line.trim().parse::<u64>().with_context(|| format!("{line:?} is not a number"))
    };
    Ok((number(" packets captured")?, number(" packets dropped by kernel")?))
}

fn first_and_last_cpu() -> anyhow::Result<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    first_and_last_allowed_cpu(&status).context("find the CPUs that this process may run on")
}

/// From a line such as `Cpus_allowed_list: 0-3,8`.
fn first_and_last_allowed_cpu(status: &str) -> Option<(u32, u32)> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let first = list.split([',', '-']).next()?.parse().ok()?;
    let last = list.rsplit([',', '-']).next()?.parse().ok()?;
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(receiver: Receiver, received: u64) -> Run {
        Run {
            receiver,
            sent: 100_000_000,
            received,
            dropped: 0,
            seconds: 1.0,
            offered: 100e6,
            frame_bits: 512.0,
        }
    }

    #[test]
    fn ratio_is_the_median_of_the_rounds_ratios() {
        let round = |bare, sensor| vec![run(Receiver::Bare, bare), run(Receiver::Sensor, sensor)];
        // One round was disturbed for both, one for the sensor alone.
        let rounds =
            vec![round(10_000_000, 9_000_000), round(2_000_000, 1_800_000), round(10_000_000, 1_000_000)];
        let compared = compared(&rounds, Receiver::Sensor, Receiver::Bare, Run::mpps).unwrap();
        assert_eq!(compared, Compared { value: 1.8, reference: 10.0, ratio: 0.9 });
    }

    #[test]
    fn receiver_that_did_not_run_has_no_figure() {
        let rounds = vec![vec![run(Receiver::Bare, 1)]];
        assert_eq!(compared(&rounds, Receiver::Tcpdump, Receiver::Bare, Run::mpps), None);
    }

    #[test]
    fn frames_that_nobody_counted_are_unaccounted() {
        let all = Run { dropped: 40, ..run(Receiver::Sensor, 99_999_960) };
        assert_eq!((all.unaccounted(), all.is_lossless()), (0, false));
        assert_eq!(Run { dropped: 37, ..all }.unaccounted(), 3);
        assert_eq!(Run { dropped: 43, ..all }.unaccounted(), 3);
    }

    #[test]
    fn counts_of_receivers_are_read() {
        assert_eq!(bare_counts("ready\n{\"frames\":7,\"dropped\":2}\n").unwrap(), (7, 2));
        let log = "tcpdump: listening on capture0, link-type EN10MB\n5 packets captured\n\
                   7 packets received by filter\n2 packets dropped by kernel\n";
        assert_eq!(tcpdump_counts(log).unwrap(), (5, 2));
        assert!(tcpdump_counts("5 packets captured\n").is_err());
    }

    #[test]
    fn first_and_last_cpu_of_a_list_are_found() {
        let cpus =
            |list: &str| first_and_last_allowed_cpu(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n"));
        assert_eq!(cpus("0-3"), Some((0, 3)));
        assert_eq!(cpus("1,4-7"), Some((1, 7)));
        assert_eq!(cpus("5"), Some((5, 5)));
    }
}
