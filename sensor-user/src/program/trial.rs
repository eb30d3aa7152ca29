//! The program on a bench: loaded as for a capture, attached to nothing, and run on one frame after the other
//! (`BPF_PROG_TEST_RUN`). For tests and measurements.

use super::{AttachError, ProgramCounts, ProgramRequest, load, map, sum_counts, verify};
use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::{ProgramError, TestRun, TestRunOptions, Xdp},
};
use sensor_ebpf::{STAMP_MAGIC, Stamp, names};
use std::{fmt, io, mem::offset_of, time::Duration};

/// A program that runs when it is told to. No socket is in its map: what it would redirect counts as
/// [`sensor_ebpf::Verdict::NoSocket`].
pub struct Trial {
    ebpf: Ebpf,
    program: &'static str,
    counters: PerCpuArray<MapData, [u64; 2]>,
}

/// What the program did with one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialRun {
    /// An `xdp_action`.
    pub action: u32,
    pub stamp: Option<Stamp>,
}

impl Trial {
    /// Interface and mode of the request are not looked at.
    pub fn load(request: &ProgramRequest<'_>) -> Result<Trial, AttachError> {
        let (mut ebpf, _) = load(request)?;
        verify(&mut ebpf, request)?;
        let counters = map(&mut ebpf, names::COUNTERS, PerCpuArray::try_from)?;
        let program = if request.multi_buffer { names::PROGRAM_FRAGS } else { names::PROGRAM };
        Ok(Trial { ebpf, program, counters })
    }

    /// Runs on an Ethernet frame, which begins with at least 14 bytes.
    pub fn run(&self, frame: &[u8]) -> io::Result<TrialRun> {
        let mut out = vec![0; size_of::<Stamp>() + frame.len()];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let result = self.program()?.test_run(options).map_err(io::Error::other)?;
        // What the program wrote before the frame comes first.
        let stamp = (result.data_size_out as usize == out.len()).then(|| stamp_of(&out)).flatten();
        Ok(TrialRun { action: result.return_value, stamp })
    }

    /// Mean time of a run on a frame. Runs after the first few find no more room for a stamp.
    pub fn time(&self, frame: &[u8], repeat: u32) -> io::Result<Duration> {
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() };
        Ok(self.program()?.test_run(options).map_err(io::Error::other)?.duration)
    }

    /// Of all runs so far.
    pub fn counts(&self) -> io::Result<ProgramCounts> {
        sum_counts(&self.counters)
    }

    fn program(&self) -> io::Result<&Xdp> {
        let program = self.ebpf.program(self.program).expect("it was loaded under this name");
        program.try_into().map_err(|error: ProgramError| io::Error::other(error))
    }
}

fn stamp_of(bytes: &[u8]) -> Option<Stamp> {
    let long = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("a stamp is longer"));
    let word = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("a stamp is longer"));
    let short = |at: usize| u16::from_ne_bytes(*bytes[at..].first_chunk().expect("a stamp is longer"));
    let stamp = Stamp {
        hash: long(offset_of!(Stamp, hash)),
        time_ns: long(offset_of!(Stamp, time_ns)),
        class: short(offset_of!(Stamp, class)),
        guess: short(offset_of!(Stamp, guess)),
        magic: word(offset_of!(Stamp, magic)),
    };
    (stamp.magic == STAMP_MAGIC).then_some(stamp)
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("program", &self.program).finish_non_exhaustive()
    }
}
