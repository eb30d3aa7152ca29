//! The least work that an AF_XDP receiver can leave to the kernel: an XDP program that hands every frame of a
//! queue to the socket of that queue, and does nothing else. A receiver behind it is the limit for all others.

use std::os::fd::RawFd;

use anyhow::{Context, bail};
use aya::maps::XskMap;
use aya::programs::{Xdp, xdp::XdpMode};
use aya::{Ebpf, EbpfLoader};

use crate::program;

/// Attached until it is dropped.
#[derive(Debug)]
pub struct Redirect {
    ebpf: Ebpf,
}

impl Redirect {
    /// Attaches in the driver, in the network namespace of the calling thread. Frames are dropped until their
    /// queue has a socket. Fails where another XDP program is.
    pub fn attach(interface: &str) -> anyhow::Result<Redirect> {
        let Some(object) = program::OBJECT else { bail!(program::MISSING) };
        let mut ebpf = EbpfLoader::new().load(object).context("load the redirect object")?;
        let program =
            ebpf.program_mut(traffic_ebpf::REDIRECT_PROGRAM).context("the object has no redirect program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load().context("load the redirect program")?;
        program
            .attach(interface, XdpMode::Driver)
            .with_context(|| format!("attach the redirect program to {interface}"))?;
        Ok(Redirect { ebpf })
    }

    /// From now on frames of `queue` go to this AF_XDP socket, which has to be bound to that queue.
    pub fn set_socket(&mut self, queue: u32, socket: RawFd) -> anyhow::Result<()> {
        let map = self.ebpf.map_mut(traffic_ebpf::REDIRECT_SOCKETS).context("the object has no sockets")?;
        let mut sockets = XskMap::try_from(map)?;
        sockets.set(queue, socket, 0).with_context(|| format!("give queue {queue} a socket"))
    }
}
