//! Live capture as the supervisor sees it: open on an interface, count, detach. Two ways: XDP and AF_PACKET.

mod afpacket;
mod xdp;

pub use afpacket::AfPacketCapture;
pub use xdp::XdpCapture;

use crate::{
    clock::Clock,
    config::{Config, FilterConfig},
    interface::{Interface, InterfaceState},
    program::ProgramCounts,
    source::{KernelCounts, Source, xsk::XskStatistics},
};
use anyhow::Result;
use sensor_ebpf::{Verdict, hash::HashKey};

/// A way to capture from an interface, with one source for each worker.
pub trait Capture: Sized {
    type Source: Source + Send + 'static;

    /// Opens everything; sources are in the order of workers.
    fn open(request: &CaptureRequest<'_>) -> Result<(Self, Vec<Self::Source>)>;

    /// Stops the flow of new frames. Those in the rings can still be received.
    fn detach(&mut self);

    /// Counts since `open`, also after `detach`.
    fn counts(&self) -> CaptureCounts;

    /// How frames get from the driver to the worker, for logs and metrics.
    fn mode(&self) -> &'static str;

    /// Replaces the filter in the kernel, where there is one.
    fn set_filter(&mut self, filter: &FilterConfig) -> Result<()>;
}

#[derive(Clone, Copy, Debug)]
pub struct CaptureRequest<'a> {
    pub config: &'a Config,
    pub filter: &'a FilterConfig,
    pub interface: &'a Interface,
    pub state: InterfaceState,
    pub hash_key: HashKey,
    pub clock: Clock,
}

/// What the kernel counted, apart from what workers received.
#[derive(Clone, Debug, Default)]
pub struct CaptureCounts {
    /// By the XDP program, if there is one.
    pub program: Option<ProgramCounts>,
    /// Of all sockets; the fill ring's is counted once a queue.
    pub sockets: XskStatistics,
}

impl CaptureCounts {
    /// Adds the counts of a capture that is over to those of the one that follows it.
    pub fn add(&mut self, other: &CaptureCounts) {
        if let Some(other) = &other.program {
            self.program.get_or_insert_default().add(other);
        }
        self.sockets.add(&other.sockets);
    }

    /// Frames offered to the capture and drops by stage and reason, given what workers received and what the
    /// kernel told them.
    pub fn account(
        &self,
        received: u64,
        kernel: KernelCounts,
        is_final: bool,
    ) -> (u64, Vec<(&'static str, u64)>) {
        let Some(program) = &self.program else {
            let unread = kernel.offered.saturating_sub(kernel.dropped + received);
            let drops = [
                ("afpacket.ring_full", kernel.dropped),
                ("afpacket.unread", if is_final { unread } else { 0 }),
            ];
            return (kernel.offered, drops.to_vec());
        };
        let redirected = program.packets(Verdict::Redirected);
        let XskStatistics { rx_dropped, rx_ring_full, rx_invalid_descriptors, .. } = self.sockets;
        let explained = received + rx_dropped + rx_ring_full + rx_invalid_descriptors;
        // A socket bound to another queue, or no room for a frame of several buffers: no statistic tells.
        let unexplained = if is_final { redirected.saturating_sub(explained) } else { 0 };
        let drops = vec![
            ("kernel.filtered", program.packets(Verdict::Filtered)),
            ("kernel.sampled_out", program.packets(Verdict::SampledOut)),
            ("kernel.no_socket", program.packets(Verdict::NoSocket)),
            ("xsk.no_frame", rx_dropped),
            ("xsk.ring_full", rx_ring_full),
            ("xsk.invalid_descriptor", rx_invalid_descriptors),
            ("xsk.unexplained", unexplained),
        ];
        (program.offered(), drops)
    }
}
