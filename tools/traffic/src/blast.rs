//! Frames built inside the kernel, as fast as one core can.
//!
//! `BPF_PROG_RUN` runs the generator program on live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`); the program fills
//! each and redirects it to the interface. One call is a whole run: setting one up takes tens of milliseconds,
//! so its repeat count is the number of frames, or huge and ended by an [`Alarm`](crate::alarm::Alarm).
//!
//! ```text
//! built    frames that the program filled and redirected
//! refused  of those, what the device did not take (peer without receive ring, ring full, longer than its MTU)
//! sent     built − refused: what the peer received
//! ```
//!
//! The device has to be able to send redirected frames. For veth that means: both ends are up and the peer has
//! an XDP program or GRO switched on.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use aya::maps::Array;
use aya::programs::{ProgramError, TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use serde::Serialize;
use traffic_ebpf::{FRAME_BYTES_MIN_V4, FRAME_BYTES_MIN_V6, Settings, State, imix};

use crate::alarm::Alarm;
use crate::device::{self, Accepted, Counter};
use crate::program;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// In the network namespace of the calling thread.
    pub interface: String,
    pub size: Size,
    /// 1 to 2^24, taken in turn.
    pub flows: u32,
    /// The run ends after this time …
    pub duration: Duration,
    /// … or after exactly this many frames built.
    pub count: Option<u64>,
    /// Frames per second, at least [`RATE_MIN`]; without it as many as possible.
    pub rate: Option<u64>,
    /// Run on this CPU; the receiver's softirq runs there too.
    pub cpu: Option<usize>,
    pub family: Family,
    pub directions: Directions,
}

/// Length of frames, without check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Bytes(u32),
    /// 7 : 4 : 1 of 64 (IPv6: 70), 570 and 1500 bytes; exact over each flow.
    Imix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    One,
    /// Every frame is followed by one with addresses and ports swapped.
    Both,
}

/// What a run did, to the frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub sent: u64,
    pub built: u64,
    pub refused: u64,
    /// Frame bytes sent; `None` if lengths differ and some frames were refused.
    pub bytes: Option<u64>,
    /// From the first frame to the last burst.
    pub seconds: f64,
    pub packets_per_second: f64,
    /// Of built frames, without preamble, check sequence and gap.
    pub bits_per_second: f64,
    /// Where `sent` comes from.
    pub counter: Counter,
}

/// Slower than this, waiting would hold a core with softirqs off for too long; send from user space instead.
pub const RATE_MIN: u64 = 1_000;

/// Longest frame that the kernel makes in one piece for a live run.
pub const FRAME_BYTES_MAX: u32 = 3_400;

impl Family {
    pub const fn frame_bytes_min(self) -> u32 {
        match self {
            Family::V4 => FRAME_BYTES_MIN_V4,
            Family::V6 => FRAME_BYTES_MIN_V6,
        }
    }
}

/// Blocks until the run has ended.
pub fn blast(options: &Options) -> anyhow::Result<Report> {
    let settings = settings(options)?;
    // A thread of its own, so that neither the CPU nor the signal of the run touch the caller's.
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run(options, &settings));
        run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn settings(options: &Options) -> anyhow::Result<Settings> {
    let flows = options.flows;
    ensure!((1..=traffic_ebpf::FLOWS_MAX).contains(&flows), "flows: 1 to {}", traffic_ebpf::FLOWS_MAX);
    if let Size::Bytes(bytes) = options.size {
        let least = options.family.frame_bytes_min();
        ensure!(
            (least..=FRAME_BYTES_MAX).contains(&bytes),
            "frame size {bytes}: {least} to {FRAME_BYTES_MAX} bytes for this address family"
        );
    }
    if let Some(rate) = options.rate {
        ensure!(rate >= RATE_MIN, "below {RATE_MIN} packets per second use `traffic send`");
    }
    let directions = match options.directions {
        Directions::One => 1,
        Directions::Both => 2,
    };
    let burst_frames = burst_frames(options.rate);
    let gap_ns = |rate| u64::from(burst_frames) * 1_000_000_000 / rate;
    Ok(Settings {
        count: options.count.unwrap_or(u64::MAX),
        burst_gap_ns: options.rate.map_or(0, gap_ns),
        interface: device::index(&options.interface)?,
        flows,
        burst_frames,
        frame_bytes: match options.size {
            Size::Bytes(bytes) => bytes,
            Size::Imix => 0,
        },
        imix_skip: imix_skip(flows * directions),
        family: match options.family {
            Family::V4 => 4,
            Family::V6 => 6,
        },
        directions,
        reserved: 0,
    })
}

/// Whole batches when fast; when slow, so few that they are no more than about 0.1 ms apart.
fn burst_frames(rate: Option<u64>) -> u32 {
    let Some(rate) = rate else { return BATCH_FRAMES_MAX };
    u32::try_from(rate / 10_000).unwrap_or(BATCH_FRAMES_MAX).clamp(1, BATCH_FRAMES_MAX)
}

/// With this, a round of flows is one more than a multiple of the pattern: in twelve rounds every flow has had
/// every place of it.
fn imix_skip(frames_per_round: u32) -> u32 {
    (imix::PATTERN_FRAMES + 1 - frames_per_round % imix::PATTERN_FRAMES) % imix::PATTERN_FRAMES
}

fn run(options: &Options, settings: &Settings) -> anyhow::Result<Report> {
    if let Some(cpu) = options.cpu {
        let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
        ensure!(pinned, "CPU {cpu} is not one this process may run on");
    }
    let mut ebpf = load(settings)?;
    let before = Accepted::read(&options.interface)?;
    run_program(&mut ebpf, options, settings)?;
    let after = Accepted::read(&options.interface)?;
    let state = read_state(&ebpf)?;
    ensure!(state.failed == 0, "{} frames could not be written", state.failed);
    Ok(report(options, &state, before, after))
}

fn load(settings: &Settings) -> anyhow::Result<Ebpf> {
    let Some(object) = program::OBJECT else { bail!(program::MISSING) };
    let bytes = settings.to_bytes();
    let mut ebpf = EbpfLoader::new()
        .override_global(traffic_ebpf::SETTINGS, bytes.as_slice(), true)
        .load(object)
        .context("load the generator object")?;
    program(&mut ebpf)?.load().context("load the generator program")?;
    Ok(ebpf)
}

fn program(ebpf: &mut Ebpf) -> anyhow::Result<&mut Xdp> {
    let program = ebpf.program_mut(traffic_ebpf::PROGRAM).context("the object has no generator program")?;
    Ok(program.try_into()?)
}

fn run_program(ebpf: &mut Ebpf, options: &Options, settings: &Settings) -> anyhow::Result<()> {
    let template = match options.size {
        Size::Bytes(bytes) => vec![0; bytes as usize],
        Size::Imix => vec![0; imix::LONG_BYTES as usize],
    };
    let deadline = Instant::now() + options.duration;
    let _alarm = Alarm::after(options.duration).context("set a timer")?;
    loop {
        let left = settings.count - read_state(ebpf)?.built;
        if left == 0 || Instant::now() >= deadline {
            return Ok(());
        }
        let request = TestRunOptions {
            data_in: Some(&template),
            repeat: u32::try_from(left).unwrap_or(REPEAT_MAX).min(REPEAT_MAX),
            attrs: TestRunAttrs::new().xdp_live_frames(settings.burst_frames),
            ..TestRunOptions::new()
        };
        match program(ebpf)?.test_run(request) {
            Ok(_) => {}
            Err(ProgramError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::Interrupted => {
            }
            Err(error) => return Err(error).context("run the generator program on live frames"),
        }
    }
}

fn read_state(ebpf: &Ebpf) -> anyhow::Result<State> {
    let map = ebpf.map(traffic_ebpf::STATE).context("the object has no state map")?;
    let array: Array<_, [u64; State::WORDS]> = Array::try_from(map)?;
    Ok(State::from_words(array.get(&0, 0)?))
}

fn report(options: &Options, state: &State, before: Accepted, after: Accepted) -> Report {
    let accepted = after.frames.saturating_sub(before.frames);
    let sent = accepted.min(state.built);
    let refused = state.built - sent;
    let bytes = match options.size {
        Size::Bytes(bytes) => Some(sent * u64::from(bytes)),
        Size::Imix if refused == 0 => Some(state.built_bytes),
        Size::Imix => None,
    };
    let seconds = (state.last_ns - state.first_ns) as f64 / 1e9;
    let per_second = |number: f64| if seconds > 0.0 { number / seconds } else { 0.0 };
    let packets_per_second = per_second(state.built_before_last as f64);
    let mean_bits = 8.0 * state.built_bytes as f64 / (state.built.max(1)) as f64;
    Report {
        sent,
        built: state.built,
        refused,
        bytes,
        seconds,
        packets_per_second,
        bits_per_second: packets_per_second * mean_bits,
        counter: after.counter,
    }
}

const BATCH_FRAMES_MAX: u32 = 64;

/// Frames of one call; the kernel counts in 32 bits.
const REPEAT_MAX: u32 = 0x7fff_ff00;
