//! The receiving end of a run: an XDP program that counts every frame at an interface and drops it or passes
//! it on. With it, a veth end takes the frames that [`blast`](crate::blast) redirects to its peer.

use anyhow::{Context, bail};
use aya::maps::PerCpuArray;
use aya::programs::{Xdp, xdp::XdpMode};
use aya::{Ebpf, EbpfLoader};
use serde::Serialize;

use crate::program;

/// Attached until it is dropped.
#[derive(Debug)]
pub struct Sink {
    ebpf: Ebpf,
}

/// What becomes of a frame once it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Drop,
    /// To the network stack, where a packet socket sees it.
    Pass,
}

/// What arrived since the sink was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    pub frames: u64,
    pub bytes: u64,
}

impl Sink {
    /// Attaches in the driver, in the network namespace of the calling thread. Fails where another XDP program is.
    pub fn attach(interface: &str, verdict: Verdict) -> anyhow::Result<Sink> {
        let Some(object) = program::OBJECT else { bail!(program::MISSING) };
        let action = match verdict {
            Verdict::Drop => XDP_DROP,
            Verdict::Pass => XDP_PASS,
        };
        let mut ebpf = EbpfLoader::new()
            .override_global(traffic_ebpf::SINK_VERDICT, &action, true)
            .load(object)
            .context("load the sink object")?;
        let program =
            ebpf.program_mut(traffic_ebpf::SINK_PROGRAM).context("the object has no sink program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load().context("load the sink program")?;
        program
            .attach(interface, XdpMode::Driver)
            .with_context(|| format!("attach the sink program to {interface}"))?;
        Ok(Sink { ebpf })
    }

    pub fn received(&self) -> anyhow::Result<Received> {
        let map = self.ebpf.map(traffic_ebpf::SINK_COUNTERS).context("the object has no sink counters")?;
        let counters: PerCpuArray<_, [u64; 2]> = PerCpuArray::try_from(map)?;
        let per_cpu = counters.get(&0, 0)?;
        let sum = |index: usize| per_cpu.iter().map(|each| each[index]).sum();
        Ok(Received { frames: sum(0), bytes: sum(1) })
    }
}

/// linux/bpf.h, enum xdp_action
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
