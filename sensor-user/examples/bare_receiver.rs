//! The least a receiver can do: takes frames as the sensor does, reads a few header bytes of each and gives it
//! back. What the sensor is slower than this is the price of its own work.
//!
//! Prints `ready`, then at SIGTERM (or after `--seconds`) one line of JSON with what arrived and what was lost.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use sensor_user::clock::{Clock, Moment};
use sensor_user::config::CaptureConfig;
use sensor_user::source::afpacket::{AfPacketConfig, AfPacketSource};
use sensor_user::source::xsk::{self, QueueAddress, SocketHandle, XskConfig, XskSource};
use sensor_user::source::{Frame, Received, Source};
use serde_json::json;
use traffic::redirect::Redirect;

/// Receives frames and does nothing with them
#[derive(Debug, Parser)]
struct Arguments {
    /// Interface to receive from; its first receive queue
    interface: String,
    /// Stop after this time [default: at SIGTERM]
    #[arg(long)]
    seconds: Option<f64>,
    /// CPU to run on
    #[arg(long)]
    cpu: Option<usize>,
    /// Frames of the shared memory and its rings [default: as the sensor's]
    #[arg(long)]
    frames: Option<u32>,
    /// By AF_PACKET (TPACKET_V3) instead of AF_XDP
    #[arg(long)]
    afpacket: bool,
}

/// As the sensor's worker: this many empty receives, then sleep.
const EMPTY_RECEIVES_MAX: u32 = 64;
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// A receiver that never runs dry looks this often whether it is to stop.
const BURSTS_PER_LOOK: u64 = 1024;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(cpu) = arguments.cpu {
        let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
        ensure!(pinned, "CPU {cpu} is not one this process may run on");
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).context("catch signals")?;
    }
    let clock = Clock::start();
    let time = arguments.seconds.map(Duration::try_from_secs_f64).transpose()?;
    let deadline = time.map(|time| clock.now().plus(time));
    let stopped = || stop.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| clock.now() >= deadline);
    if arguments.afpacket { by_afpacket(&arguments, stopped) } else { by_xdp(&arguments, stopped) }
}

fn by_xdp(arguments: &Arguments, stopped: impl Fn() -> bool) -> anyhow::Result<()> {
    let defaults = CaptureConfig::default();
    let config = XskConfig {
        frames: arguments.frames.unwrap_or(defaults.frames),
        frame_bytes: defaults.frame_bytes,
        huge_pages: defaults.huge_pages,
        require_zero_copy: false,
        jumbo_bytes: None,
        busy_poll: None,
    };
    let mut redirect = Redirect::attach(&arguments.interface)?;
    let address = QueueAddress { interface_index: interface_index(&arguments.interface)?, queue: 0 };
    let opened = xsk::open_queue(address, &config, 1, 0)
        .with_context(|| format!("open an AF_XDP socket on {}", arguments.interface))?;
    let socket: SocketHandle = opened.ports[0].handle().clone();
    redirect.set_socket(0, socket.raw())?;
    let mut source = XskSource::new(opened.ports, None, Clock::start());

    let totals = receive(&mut source, stopped)?;
    let statistics = socket.statistics().context("read the socket's statistics")?;
    let dropped = json!({
        "no_frame": statistics.rx_dropped,
        "ring_full": statistics.rx_ring_full,
        "invalid_descriptor": statistics.rx_invalid_descriptors,
    });
    let count = statistics.rx_dropped + statistics.rx_ring_full + statistics.rx_invalid_descriptors;
    totals.print(count, &dropped);
    Ok(())
}

fn by_afpacket(arguments: &Arguments, stopped: impl Fn() -> bool) -> anyhow::Result<()> {
    let mut source = AfPacketSource::open(&AfPacketConfig::new(&arguments.interface))?;
    let totals = receive(&mut source, stopped)?;
    let statistics = source.statistics().context("read the socket's statistics")?;
    totals.print(statistics.drops, &json!({"ring_full": statistics.drops}));
    Ok(())
}

#[derive(Debug, Default)]
struct Totals {
    frames: u64,
    bytes: u64,
    bursts: u64,
}

fn receive(source: &mut impl Source, stopped: impl Fn() -> bool) -> anyhow::Result<Totals> {
    println!("ready");
    let mut totals = Totals::default();
    let mut sum = 0;
    let mut empty_receives = 0;
    loop {
        let received = source.receive(Moment(0), |frames| {
            totals.bursts += 1;
            totals.frames += frames.len() as u64;
            for frame in frames {
                totals.bytes += u64::from(frame.wire_bytes);
                sum += touch(frame);
            }
        })?;
        match received {
            Received::Frames(_) if totals.bursts.is_multiple_of(BURSTS_PER_LOOK) && stopped() => break,
            Received::Frames(_) => empty_receives = 0,
            Received::End => bail!("a live source does not end"),
            // What waits is taken before the end, as the sensor does.
            Received::Nothing if stopped() => break,
            Received::Nothing => {
                empty_receives += 1;
                if empty_receives < EMPTY_RECEIVES_MAX {
                    std::hint::spin_loop();
                } else {
                    source.wait(SLEEP_MAX);
                }
            }
        }
    }
    black_box(sum);
    Ok(totals)
}

/// Reads where an IPv4 header has its addresses: what nobody can do without.
#[inline(always)]
fn touch(frame: &Frame<'_>) -> u64 {
    let Some(addresses) = frame.bytes.get(26..38) else { return 0 };
    addresses.iter().map(|byte| u64::from(*byte)).sum()
}

impl Totals {
    fn print(&self, dropped: u64, dropped_by: &serde_json::Value) {
        let Totals { frames, bytes, bursts } = self;
        let totals = json!({"frames": frames, "bytes": bytes, "bursts": bursts, "dropped": dropped, "dropped_by": dropped_by});
        println!("{totals}");
    }
}

/// `/sys` is that of the caller's network namespace when it was started by `ip netns exec`.
fn interface_index(interface: &str) -> anyhow::Result<u32> {
    let file = format!("/sys/class/net/{interface}/ifindex");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    text.trim().parse().with_context(|| format!("read {file}"))
}
