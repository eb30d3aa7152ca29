//! `traffic`: capture files, frames on an interface at a stated rate, and live frames from inside the kernel.
//!
//! Everything a subcommand does is in the library; this file turns arguments into its options and reports into
//! JSON on standard output.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use traffic::blast::{self, Directions, Family, Size, blast};
use traffic::mix::{CONVERSATIONS_MAX, Expected, Mix, Options, TimedFrame, Traffic};
use traffic::pcap::{self, ByteOrder, Format};
use traffic::send::{Limits, send};
use traffic::sink::{Sink, Verdict};

/// Generates traffic whose flows are known in advance.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a capture file, and on request what a sensor should count in it
    Pcap(PcapArguments),
    /// Send frames on an interface, each exactly once per pass
    Send(SendArguments),
    /// Build UDP frames inside the kernel and send them as fast as one core can
    Blast(BlastArguments),
    /// Count and drop, by XDP, every frame that arrives at an interface
    Sink(SinkArguments),
}

#[derive(Debug, Args)]
struct MixArguments {
    /// Kind of conversations: tcp, udp, icmp, ipv6, vlan, fragments, protocols, jumbo, garbage, all (of these but jumbo),
    /// tcp-trouble, tunnels, hostile or applications; jumbo and hostile have frames that need an MTU of 9000
    #[arg(long, default_value = "all", value_parser = parse_mix)]
    mix: Mix,
    /// The same seed gives the same frames
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many conversations
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=i64::from(CONVERSATIONS_MAX)))]
    conversations: u32,
}

#[derive(Debug, Args)]
struct PcapArguments {
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// pcap (microseconds), pcap-ns, pcapng or pcapng-simple (without times)
    #[arg(long, default_value = "pcap-ns", value_parser = parse_format)]
    format: Format,
    /// Write numbers with the most significant byte first
    #[arg(long)]
    big_endian: bool,
    /// Also write the counters of every conversation, as JSON
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    #[command(flatten)]
    mix: MixArguments,
}

#[derive(Debug, Args)]
struct SendArguments {
    /// Interface to send on
    #[arg(long)]
    interface: String,
    /// Send the frames of this capture file instead of a mix
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mix", "seed", "conversations", "expect"])]
    pcap: Option<PathBuf>,
    #[command(flatten)]
    mix: MixArguments,
    /// Frames in total [default: each once, or without limit when --seconds is given]
    #[arg(long)]
    count: Option<u64>,
    /// Frames per second [default: as many as possible]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Stop after this time [default: 60]
    #[arg(long, value_parser = parse_seconds)]
    seconds: Option<Duration>,
    /// Also write the counters of one pass over the mix, as JSON
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct BlastArguments {
    /// Interface to send on; for veth, the peer needs an XDP program or GRO
    #[arg(long)]
    interface: String,
    /// Frame length without check sequence, or imix [default: 64, with IPv6 70]
    #[arg(long, value_parser = parse_size)]
    size: Option<Size>,
    /// How many flows
    #[arg(long, default_value_t = 1)]
    flows: u32,
    /// Stop after this time
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    seconds: Duration,
    /// Frames per second, at least 1000 [default: as many as possible]
    #[arg(long)]
    rate: Option<u64>,
    /// Stop after exactly this many frames
    #[arg(long)]
    count: Option<u64>,
    /// CPU to run on
    #[arg(long)]
    cpu: Option<usize>,
    /// Address family: 4 or 6
    #[arg(long, default_value = "4", value_parser = parse_family)]
    family: Family,
    /// Follow every frame by one that goes back
    #[arg(long)]
    both_directions: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SinkArguments {
    /// Interface to count at
    #[arg(long)]
    interface: String,
    /// Stop after this time
    #[arg(long, default_value = "10", value_parser = parse_seconds)]
    seconds: Duration,
    /// Hand the frames to the network stack instead of dropping them
    #[arg(long)]
    pass: bool,
}

const EXAMPLES: &str = "\
Examples:
  traffic pcap --out all.pcap --expect all.json --seed 7 --conversations 1000
  traffic send --interface veth0 --mix tcp --conversations 200 --rate 5000
  traffic send --interface veth0 --pcap all.pcap
  traffic pcap --out trouble.pcap --expect trouble.json --mix tcp-trouble
  traffic pcap --out hostile.pcap --mix hostile --conversations 5000
  traffic pcap --out said.pcap --expect said.json --mix applications
  traffic blast --interface veth0 --flows 10000 --seconds 3 --cpu 1
  traffic blast --interface veth0 --size imix --both-directions --rate 1000000 --count 5000000 --json
  traffic sink --interface veth1 --seconds 5";

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Pcap(arguments) => write_pcap(&arguments),
        Command::Send(arguments) => send_frames(&arguments),
        Command::Blast(arguments) => run_blast(&arguments),
        Command::Sink(arguments) => run_sink(&arguments),
    }
}

fn write_pcap(arguments: &PcapArguments) -> anyhow::Result<()> {
    let noun = || format!("write {}", arguments.out.display());
    let order = if arguments.big_endian { ByteOrder::Big } else { ByteOrder::Little };
    let file = BufWriter::new(File::create(&arguments.out).with_context(noun)?);
    let mut writer = pcap::Writer::new(file, arguments.format, order).with_context(noun)?;
    let mut traffic = Traffic::new(arguments.mix.options());
    for frame in traffic.by_ref() {
        writer.write(frame.time_ns, &frame.bytes).with_context(noun)?;
    }
    writer.finish().with_context(noun)?;
    write_expected(arguments.expect.as_deref(), &traffic.into_expected())
}

fn send_frames(arguments: &SendArguments) -> anyhow::Result<()> {
    let frames = match &arguments.pcap {
        Some(path) => read_frames(path)?,
        None => {
            let mut traffic = Traffic::new(arguments.mix.options());
            let frames = traffic.by_ref().map(|TimedFrame { bytes, .. }| bytes).collect();
            write_expected(arguments.expect.as_deref(), &traffic.into_expected())?;
            frames
        }
    };
    let one_pass = frames.len() as u64;
    let unlimited = if arguments.seconds.is_some() { u64::MAX } else { one_pass };
    let limits = Limits {
        count: arguments.count.unwrap_or(unlimited),
        duration: arguments.seconds.unwrap_or(Duration::from_secs(60)),
        rate: arguments.rate,
    };
    print_json(&send(&arguments.interface, &frames, limits)?)
}

fn read_frames(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let noun = || format!("read {}", path.display());
    let file = fs::read(path).with_context(noun)?;
    let frames = pcap::read(&file).with_context(noun)?;
    Ok(frames.into_iter().map(|frame| frame.bytes).collect())
}

fn run_blast(arguments: &BlastArguments) -> anyhow::Result<()> {
    let options = blast::Options {
        interface: arguments.interface.clone(),
        size: arguments.size.unwrap_or(Size::Bytes(64.max(arguments.family.frame_bytes_min()))),
        flows: arguments.flows,
        duration: arguments.seconds,
        count: arguments.count,
        rate: arguments.rate,
        cpu: arguments.cpu,
        family: arguments.family,
        directions: if arguments.both_directions { Directions::Both } else { Directions::One },
    };
    let report = blast(&options)?;
    if arguments.json {
        return print_json(&report);
    }
    println!(
        "{} frames sent, {} refused by the device, {:.3} s, {:.3} Mpps, {:.3} Gbit/s",
        report.sent,
        report.refused,
        report.seconds,
        report.packets_per_second / 1e6,
        report.bits_per_second / 1e9
    );
    Ok(())
}

fn run_sink(arguments: &SinkArguments) -> anyhow::Result<()> {
    let verdict = if arguments.pass { Verdict::Pass } else { Verdict::Drop };
    let sink = Sink::attach(&arguments.interface, verdict)?;
    std::thread::sleep(arguments.seconds);
    print_json(&sink.received()?)
}

fn write_expected(path: Option<&Path>, expected: &Expected) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(expected)?;
    fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

fn print_json(report: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, report)?;
    writeln!(output)?;
    Ok(())
}

impl MixArguments {
    fn options(&self) -> Options {
        Options { mix: self.mix, seed: self.seed, conversations: self.conversations }
    }
}

fn parse_mix(name: &str) -> anyhow::Result<Mix> {
    Mix::from_name(name).with_context(|| format!("one of {}", Mix::ALL.map(Mix::name).join(", ")))
}

fn parse_format(name: &str) -> anyhow::Result<Format> {
    Format::from_name(name).with_context(|| format!("one of {}", Format::ALL.map(Format::name).join(", ")))
}

fn parse_size(text: &str) -> anyhow::Result<Size> {
    if text == "imix" {
        return Ok(Size::Imix);
    }
    Ok(Size::Bytes(text.parse().context("a number of bytes or imix")?))
}

fn parse_family(text: &str) -> anyhow::Result<Family> {
    match text {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => bail!("4 or 6"),
    }
}

fn parse_seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.parse().context("a number of seconds")?;
    let duration = Duration::try_from_secs_f64(seconds).context("a time to run")?;
    if duration > Duration::from_secs(86_400) {
        bail!("at most a day, 86400 seconds");
    }
    Ok(duration)
}
