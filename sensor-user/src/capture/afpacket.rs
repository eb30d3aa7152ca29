//! Capture by AF_PACKET: reads along, and the host goes on getting its frames.

use super::{Capture, CaptureCounts, CaptureRequest};
use crate::{
    config::FilterConfig,
    source::afpacket::{AfPacketConfig, AfPacketSource, Fanout},
};
use anyhow::Result;

/// The kernel hands frames over in blocks of this size.
const BLOCK_BYTES: u32 = 1 << 20;

/// Sockets of the `afpacket` source; workers keep their own counts.
#[derive(Debug)]
pub struct AfPacketCapture;

impl Capture for AfPacketCapture {
    type Source = AfPacketSource;

    fn open(request: &CaptureRequest<'_>) -> Result<(AfPacketCapture, Vec<AfPacketSource>)> {
        let CaptureRequest { config, interface, .. } = *request;
        let capture = &config.capture;
        let fanout = (capture.workers > 1)
            .then(|| Fanout { group: std::process::id() as u16, members: capture.workers as u16 });
        let sources = (0..capture.workers)
            .map(|_| {
                AfPacketSource::open(&AfPacketConfig {
                    block_bytes: BLOCK_BYTES,
                    block_count: (capture.afpacket_ring_bytes / BLOCK_BYTES).max(2),
                    fanout,
                    promiscuous: capture.promiscuous,
                    ..AfPacketConfig::new(interface.name())
                })
            })
            .collect::<Result<_, _>>()?;
        Ok((AfPacketCapture, sources))
    }

    /// Frames go on arriving until the socket is closed; what is unread then is counted.
    fn detach(&mut self) {}

    fn counts(&self) -> CaptureCounts {
        CaptureCounts::default()
    }

    fn mode(&self) -> &'static str {
        "afpacket"
    }

    fn set_filter(&mut self, _filter: &FilterConfig) -> Result<()> {
        Ok(())
    }
}
