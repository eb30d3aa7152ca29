//! The sensor and other flow sensors on the same capture files, pinned to the same CPU, in turn.
//!
//! Two comparisons: flows only, where the sensor leaves payloads alone as its peers do; and flows with what their
//! applications said, beside a peer that looks into payloads too.
//!
//! The figure is packets per second of CPU time, summed over all processes and threads, so that it holds on a
//! machine that others use too. Each program writes the flows it found in its own way: to files, or by UDP to a
//! local port where nobody listens.

use std::env;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::Figure;
use super::resources::{self, Usage};
use crate::summary::Summary;
use crate::{compile, setup, shell};

const PACKAGES: [&str; 5] = ["softflowd", "nfdump", "argus-server", "pmacct", "libndpi-bin"];
/// The sensor's account of its run, in the output folder.
const SUMMARY: &str = "summary.json";
const ROUNDS: usize = 3;
const UNIT: &str = "Mpps per CPU second";

/// A capture, and how much faster than the fastest peer the sensor shall be on it.
#[derive(Clone, Copy, Debug)]
struct Load {
    name: &'static str,
    goal: f64,
    applications_goal: f64,
}

/// Everything that a network carries; and DNS or the like, where nearly every packet starts a flow.
const LOADS: [Load; 2] = [
    Load { name: "mix", goal: 5.0, applications_goal: 5.0 },
    Load { name: "short-flows", goal: 3.0, applications_goal: 5.0 },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// With payloads left alone.
    SensorOfFlows,
    /// As it is by default.
    Sensor,
    Softflowd,
    Nfpcapd,
    Pmacctd,
    Argus,
    Ndpi,
}

const PROGRAMS: [Program; 7] = [
    Program::SensorOfFlows,
    Program::Softflowd,
    Program::Nfpcapd,
    Program::Pmacctd,
    Program::Argus,
    Program::Sensor,
    Program::Ndpi,
];

pub fn measure() -> anyhow::Result<Vec<Figure>> {
    setup::ensure_packages(&PACKAGES)?;
    compile::build(compile::Profile::Release)?;
    let folder = shell::target_folder()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let cpu = last_cpu()?;

    let mut figures = Vec::new();
    for load in LOADS {
        let capture = capture(load, &folder)?;
        let capture = Capture { packets: packets(&capture)?, file: capture };
        let usages = measure_in_turn(load, &capture, &folder, cpu)?;
        let rate = |usages: &[Usage]| capture.packets as f64 / median_cpu_s(usages) / 1e6;
        let rates: Vec<_> = usages.iter().map(|(program, usages)| (*program, rate(usages))).collect();
        figures.extend(compare(load, &rates));
    }
    Ok(figures)
}

/// Every round runs each program once, so that all see the machine in the same state. A peer that cannot read
/// the capture is left out; the sensor must.
fn measure_in_turn(
    load: Load,
    capture: &Capture,
    folder: &Path,
    cpu: u32,
) -> anyhow::Result<Vec<(Program, Vec<Usage>)>> {
    let mut usages: Vec<(Program, Vec<Usage>)> = PROGRAMS.map(|program| (program, Vec::new())).to_vec();
    for round in 1..=ROUNDS {
        let mut left_out = Vec::new();
        for (program, usages) in &mut usages {
            let usage = match run(*program, capture, folder, cpu) {
                Ok(usage) => usage,
                Err(error) if program.is_ours() => return Err(error),
                Err(error) => {
                    eprintln!("{}: {} is left out: {error:#}", load.name, program.name());
                    left_out.push(*program);
                    continue;
                }
            };
            let (cpu_s, wall_s) = (usage.cpu.as_secs_f64(), usage.wall.as_secs_f64());
            eprintln!("{} round {round}: {} {cpu_s:.2} s CPU, {wall_s:.2} s wall", load.name, program.name());
            usages.push(usage);
        }
        usages.retain(|(program, _)| !left_out.contains(program));
    }
    Ok(usages)
}

/// The peers alone, and the sensor beside the fastest of those that do the same work.
fn compare(load: Load, rates: &[(Program, f64)]) -> Vec<Figure> {
    let name = |program: Program| format!("peers/{}/{}", load.name, program.name());
    let mut figures = Vec::new();
    for (ours, goal) in [(Program::SensorOfFlows, load.goal), (Program::Sensor, load.applications_goal)] {
        let peers = || {
            let same_work = |program: Program| !program.is_ours() && program.inspects() == ours.inspects();
            rates.iter().copied().filter(move |(program, _)| same_work(*program))
        };
        figures.extend(peers().map(|(program, rate)| Figure::alone(name(program), rate, UNIT)));
        let own = rates.iter().find(|(program, _)| *program == ours);
        let fastest = peers().max_by(|(_, left), (_, right)| left.total_cmp(right));
        let (Some((_, rate)), Some((peer, peer_rate))) = (own, fastest) else { continue };
        let ratio = rate / peer_rate;
        figures.push(Figure {
            reference: Some(peer.name().into()),
            reference_value: Some(peer_rate),
            ratio: Some(ratio),
            goal: Some(goal.into()),
            met: Some(ratio >= goal),
            ..Figure::alone(name(ours), *rate, UNIT)
        });
    }
    figures
}

fn median_cpu_s(usages: &[Usage]) -> f64 {
    let mut seconds: Vec<f64> = usages.iter().map(|usage| usage.cpu.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

struct Capture {
    file: PathBuf,
    packets: u64,
}

fn run(program: Program, capture: &Capture, folder: &Path, cpu: u32) -> anyhow::Result<Usage> {
    let output = folder.join("output");
    if output.exists() {
        fs::remove_dir_all(&output).with_context(|| format!("remove {}", output.display()))?;
    }
    fs::create_dir(&output).with_context(|| format!("create {}", output.display()))?;
    let words = program.words(&capture.file, &output)?;
    let log = File::create(folder.join(format!("{}.log", program.name()))).context("create a log file")?;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cpu.to_string()]).args(&words).env("PATH", shell::search_path());
    command.stdin(Stdio::null()).stdout(log.try_clone().context("share a log file")?).stderr(log);
    let usage = resources::measure(&mut command)
        .with_context(|| format!("see {}/{}.log", folder.display(), program.name()))?;
    if program.is_ours() {
        check_sensor(&output, capture)?;
    }
    fs::remove_dir_all(&output).with_context(|| format!("remove {}", output.display()))?;
    Ok(usage)
}

/// A figure counts only if the sensor looked at every packet of the file.
fn check_sensor(output: &Path, capture: &Capture) -> anyhow::Result<()> {
    let summary = Summary::read(&output.join(SUMMARY))?;
    ensure!(summary.is_balanced(), "the sensor's ledger does not balance: {summary:?}");
    ensure!(
        summary.offered == capture.packets && summary.dropped == 0,
        "the capture has {} packets, the sensor read {} and dropped {}",
        capture.packets,
        summary.offered,
        summary.dropped
    );
    Ok(())
}

impl Program {
    fn is_ours(self) -> bool {
        matches!(self, Program::Sensor | Program::SensorOfFlows)
    }

    /// Looks into payloads.
    fn inspects(self) -> bool {
        matches!(self, Program::Sensor | Program::Ndpi)
    }

    fn name(self) -> &'static str {
        match self {
            Program::SensorOfFlows => "sensor-flows",
            Program::Sensor => "sensor",
            Program::Softflowd => "softflowd",
            Program::Nfpcapd => "nfpcapd",
            Program::Pmacctd => "pmacctd",
            Program::Argus => "argus",
            Program::Ndpi => "ndpi",
        }
    }

    /// The command line that turns the capture into flows, with room for as many flows as it has.
    fn words(self, capture: &Path, output: &Path) -> anyhow::Result<Vec<String>> {
        let collector = "127.0.0.1:9995";
        let text = |path: &Path| path.to_str().map(String::from).context("a path is not UTF-8");
        let (file, folder) = (text(capture)?, text(output)?);
        let owned = |words: &[&str]| words.iter().copied().map(String::from).collect::<Vec<_>>();
        Ok(match self {
            Program::Sensor | Program::SensorOfFlows => {
                let sensor = text(&shell::built("sensor")?)?;
                let summary = text(&output.join(SUMMARY))?;
                let configuration = output.join("sensor.toml");
                let lines = format!("[applications]\nenabled = {}\n", self.inspects());
                fs::write(&configuration, lines)
                    .with_context(|| format!("write {}", configuration.display()))?;
                let configuration = text(&configuration)?;
                let sensor = [&sensor, "run", "--config", &configuration, "--pcap", &file];
                owned(&[&sensor[..], &["--kflow", &folder, "--summary", &summary]].concat())
            }
            Program::Ndpi => owned(&["ndpiReader", "-q", "-n", "1", "-i", &file]),
            Program::Softflowd => {
                owned(&["softflowd", "-d", "-m", "2000000", "-v", "10", "-r", &file, "-n", collector])
            }
            Program::Nfpcapd => owned(&["nfpcapd", "-r", &file, "-w", &folder]),
            Program::Argus => {
                owned(&["argus", "-F", "/dev/null", "-r", &file, "-w", &format!("{folder}/argus.out")])
            }
            Program::Pmacctd => {
                let configuration = output.join("pmacctd.conf");
                fs::write(&configuration, pmacctd_configuration(&file, collector))
                    .with_context(|| format!("write {}", configuration.display()))?;
                owned(&["pmacctd", "-f", &text(&configuration)?])
            }
        })
    }
}

fn pmacctd_configuration(capture: &str, collector: &str) -> String {
    format!(
        "daemonize: false\n\
         pcap_savefile: {capture}\n\
         snaplen: 128\n\
         plugins: nfprobe\n\
         aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\n\
         nfprobe_version: 10\n\
         nfprobe_receiver: {collector}\n\
         nfprobe_maxflows: 2000000\n\
         plugin_pipe_size: 402653184\n\
         plugin_buffer_size: 402653\n"
    )
}

/// The capture file of a load, made once. With `CORPUS_DIR` it consists of real captures, else of generated ones.
fn capture(load: Load, folder: &Path) -> anyhow::Result<PathBuf> {
    let corpus = env::var_os("CORPUS_DIR").filter(|corpus| !corpus.is_empty()).map(PathBuf::from);
    let kind = if corpus.is_some() { "real" } else { "generated" };
    let file = folder.join(format!("{}-{kind}.pcap", load.name));
    if file.is_file() {
        return Ok(file);
    }
    eprintln!("making {}", file.display());
    // Under another name until it is whole.
    let unfinished = folder.join("unfinished.pcap");
    let mut generator = match corpus {
        Some(corpus) => real_capture(load, &corpus, &unfinished)?,
        None => generated_capture(load, &unfinished)?,
    };
    shell::step(&mut generator)?;
    fs::rename(&unfinished, &file).with_context(|| format!("rename to {}", file.display()))?;
    Ok(file)
}

fn real_capture(load: Load, corpus: &Path, file: &Path) -> anyhow::Result<Command> {
    setup::ensure_packages(&["python3"])?;
    let mut python = Command::new("python3");
    python.arg(corpus.join("../peers/mkpcap.py")).arg("--out").arg(file);
    match load.name {
        "mix" => python.args(["--size", "1000M", "--duration", "60"]),
        "short-flows" => python.args(["--size", "200M", "--only-port", "53"]),
        other => bail!("no real capture is known for {other}"),
    };
    // Captures of ordinary traffic; some peers do not survive the malformed ones.
    python.args(["nDPI", "zeek"].map(|project| corpus.join("captures").join(project)));
    Ok(python)
}

fn generated_capture(load: Load, file: &Path) -> anyhow::Result<Command> {
    let mut traffic = Command::new(shell::built("traffic")?);
    traffic.args(["pcap", "--format", "pcap", "--out"]).arg(file);
    match load.name {
        "mix" => traffic.args(["--mix", "all", "--conversations", "100000"]),
        "short-flows" => traffic.args(["--mix", "udp", "--conversations", "200000"]),
        other => bail!("no generated capture is known for {other}"),
    };
    Ok(traffic)
}

/// Packets in a capture file of the classic format.
fn packets(capture: &Path) -> anyhow::Result<u64> {
    let file = File::open(capture).with_context(|| format!("open {}", capture.display()))?;
    count_packets(BufReader::with_capacity(1 << 20, file))
        .with_context(|| format!("read {}", capture.display()))
}

/// The file header is 24 bytes, that of a packet 16 with its captured length at byte 8
/// (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).
fn count_packets(mut file: impl Read) -> anyhow::Result<u64> {
    let mut header = [0; 24];
    file.read_exact(&mut header).context("file header")?;
    let length = match header[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        _ => bail!("not a capture file of the classic format"),
    };
    let mut packets = 0;
    let mut header = [0; 16];
    while file.read(&mut header[..1]).context("packet header")? == 1 {
        file.read_exact(&mut header[1..]).context("packet header")?;
        let bytes = u64::from(length([header[8], header[9], header[10], header[11]]));
        let copied = std::io::copy(&mut file.by_ref().take(bytes), &mut std::io::sink()).context("packet")?;
        ensure!(copied == bytes, "the last packet is cut short");
        packets += 1;
    }
    Ok(packets)
}

/// The last CPU that this process may run on: the first ones serve most interrupts.
fn last_cpu() -> anyhow::Result<u32> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    last_allowed_cpu(&status).context("find the CPUs that this process may run on")
}

fn last_allowed_cpu(status: &str) -> Option<u32> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().rsplit([',', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sensor_is_compared_with_the_fastest_peer_that_does_the_same_work() {
        let rates = [
            (Program::SensorOfFlows, 8.0),
            (Program::Argus, 1.0),
            (Program::Nfpcapd, 2.0),
            (Program::Sensor, 4.0),
            (Program::Ndpi, 0.5),
        ];
        let load = Load { name: "mix", goal: 5.0, applications_goal: 5.0 };
        let figures = compare(load, &rates);
        let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
        let expected = ["argus", "nfpcapd", "sensor-flows", "ndpi", "sensor"];
        assert_eq!(names, expected.map(|name| format!("peers/mix/{name}")));
        assert_eq!(figures[2].reference.as_deref(), Some("nfpcapd"));
        assert_eq!((figures[2].ratio, figures[2].met), (Some(4.0), Some(false)));
        assert_eq!(figures[4].reference.as_deref(), Some("ndpi"));
        assert_eq!((figures[4].ratio, figures[4].met), (Some(8.0), Some(true)));
    }

    #[test]
    fn median_is_the_middle_run() {
        let usage = |seconds| Usage { wall: Duration::ZERO, cpu: Duration::from_secs(seconds) };
        assert_eq!(median_cpu_s(&[usage(9), usage(1), usage(3)]), 3.0);
    }

    #[test]
    fn packets_are_counted_in_either_byte_order() {
        for (magic, length) in
            [([0xd4, 0xc3, 0xb2, 0xa1], [3, 0, 0, 0]), ([0xa1, 0xb2, 0xc3, 0xd4], [0, 0, 0, 3])]
        {
            let packet = [&[0; 8][..], &length, &length, b"abc"].concat();
            let file = [&magic[..], &[0; 20], &packet, &packet].concat();
            assert_eq!(count_packets(&file[..]).unwrap(), 2);
            assert!(count_packets(&file[..file.len() - 1]).is_err());
        }
        assert!(count_packets(&[0; 24][..]).is_err());
    }

    #[test]
    fn last_cpu_of_a_list_is_found() {
        assert_eq!(last_allowed_cpu("Name:\tx\nCpus_allowed_list:\t0-3\n"), Some(3));
        assert_eq!(last_allowed_cpu("Cpus_allowed_list:\t0,2\n"), Some(2));
        assert_eq!(last_allowed_cpu("Cpus_allowed_list:\t5\n"), Some(5));
    }
}
