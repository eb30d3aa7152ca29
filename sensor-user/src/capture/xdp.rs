//! Capture by XDP and AF_XDP: the interface's frames belong to the sensor.

use super::{Capture, CaptureCounts, CaptureRequest};
use crate::{
    config::{CaptureConfig, FilterConfig, Steering, TimeSource, TunnelCount},
    interface::Promiscuous,
    program::{AttachMode, Program, ProgramRequest, TunnelSteering},
    source::xsk::{
        self, CopyMode, HugePages, QueueAddress, SocketHandle, XskConfig, XskSource, XskStatistics,
    },
};
use anyhow::{Context, Result, bail};
use sensor_ebpf::{SOCKETS_MAX, Settings, settings_flags};
use std::time::Duration;

/// Link-layer header and tags on top of the MTU.
const LINK_BYTES_MAX: u32 = 14 + 2 * 4;
/// What the driver keeps of each buffer (`XDP_PACKET_HEADROOM`).
const HEADROOM_BYTES: u32 = 256;

#[derive(Debug)]
pub struct XdpCapture {
    program: Program,
    sockets: Vec<QueueSocket>,
    copy_mode: CopyMode,
    /// Frames on a mirror port are addressed to others.
    _promiscuous: Option<Promiscuous>,
}

#[derive(Debug)]
struct QueueSocket {
    handle: SocketHandle,
    owns_fill_ring: bool,
}

impl Capture for XdpCapture {
    type Source = XskSource;

    fn open(request: &CaptureRequest<'_>) -> Result<(XdpCapture, Vec<XskSource>)> {
        let CaptureRequest { config, filter, interface, state, hash_key, clock } = *request;
        let capture = &config.capture;
        let queues = interface.receive_queues().context("ask for the receive queues")?;
        let sockets_per_queue = match capture.steering {
            Steering::FlowHash => capture.workers as u32,
            Steering::Queue => 1,
        };
        if queues * sockets_per_queue > SOCKETS_MAX {
            bail!(
                "{queues} queues times {sockets_per_queue} workers are more than {SOCKETS_MAX} sockets: \
                 use fewer workers, or fewer queues (`ethtool -L {} combined N`)",
                interface.name(),
            );
        }
        let jumbo_bytes = jumbo_bytes(capture, state.mtu);
        let settings = Settings {
            hash_key,
            sockets_per_queue,
            sample_rate: capture.sample_rate,
            flags: if capture.time == TimeSource::Kernel { settings_flags::STAMP_TIME } else { 0 },
            ..Settings::default()
        };
        let tunnels = (config.tunnels.count != TunnelCount::Outer)
            .then(|| TunnelSteering { ports: config.tunnels.all_ports().collect() });
        let mut program = Program::attach(&ProgramRequest {
            interface: interface.name(),
            mode: capture.mode,
            multi_buffer: jumbo_bytes.is_some(),
            settings,
            filter,
            tunnels: tunnels.as_ref(),
        })?;
        let xsk_config = xsk_config(capture, jumbo_bytes);
        let mut ports: Vec<Vec<xsk::Port>> = (0..capture.workers).map(|_| Vec::new()).collect();
        let mut sockets = Vec::new();
        let mut copy_mode = CopyMode::ZeroCopy;
        for queue in 0..queues {
            let owner = queue as usize % capture.workers;
            let address = QueueAddress { interface_index: state.index, queue };
            let owner_on_queue = if sockets_per_queue == 1 { 0 } else { owner };
            let opened = xsk::open_queue(address, &xsk_config, sockets_per_queue as usize, owner_on_queue)
                .map_err(|error| {
                    explain_open(error, interface.name(), queue, capture, jumbo_bytes.is_some())
                })?;
            copy_mode = if opened.copy_mode == CopyMode::Copy { CopyMode::Copy } else { copy_mode };
            for (index, port) in opened.ports.into_iter().enumerate() {
                let slot = queue * sockets_per_queue + index as u32;
                program.set_socket(slot, port.handle().raw())?;
                let owns_fill_ring = index == owner_on_queue;
                sockets.push(QueueSocket { handle: port.handle().clone(), owns_fill_ring });
                let worker = if sockets_per_queue == 1 { owner } else { index };
                ports[worker].push(port);
            }
        }
        let sources = ports.into_iter().map(|ports| XskSource::new(ports, jumbo_bytes, clock)).collect();
        let promiscuous = capture
            .promiscuous
            .then(|| Promiscuous::enable(state.index))
            .transpose()
            .with_context(|| format!("set {} to promiscuous mode", interface.name()))?;
        Ok((XdpCapture { program, sockets, copy_mode, _promiscuous: promiscuous }, sources))
    }

    fn detach(&mut self) {
        self.program.detach();
        // A CPU may still be in the program for frames it had taken from the ring before.
        std::thread::sleep(Duration::from_millis(20));
    }

    fn counts(&self) -> CaptureCounts {
        let mut sockets = XskStatistics::default();
        for socket in &self.sockets {
            let Ok(mut statistics) = socket.handle.statistics() else { continue };
            if !socket.owns_fill_ring {
                statistics.rx_fill_ring_empty = 0;
            }
            sockets.add(&statistics);
        }
        CaptureCounts { program: Some(self.program.counts().unwrap_or_default()), sockets }
    }

    fn mode(&self) -> &'static str {
        match (self.program.mode(), self.copy_mode) {
            (AttachMode::Native, CopyMode::ZeroCopy) => "native_zero_copy",
            (AttachMode::Native, CopyMode::Copy) => "native_copy",
            (AttachMode::Generic, _) => "generic",
        }
    }

    fn set_filter(&mut self, filter: &FilterConfig) -> Result<()> {
        self.program.set_filter(filter)?;
        Ok(())
    }
}

/// Largest frame, if it does not fit one buffer.
fn jumbo_bytes(capture: &CaptureConfig, mtu: u32) -> Option<u32> {
    let frame_bytes = mtu + LINK_BYTES_MAX;
    (frame_bytes > capture.frame_bytes - HEADROOM_BYTES).then_some(frame_bytes)
}

fn xsk_config(capture: &CaptureConfig, jumbo_bytes: Option<u32>) -> XskConfig {
    XskConfig {
        frames: capture.frames,
        frame_bytes: capture.frame_bytes,
        huge_pages: capture.huge_pages,
        require_zero_copy: capture.require_zero_copy,
        jumbo_bytes,
        busy_poll: (capture.busy_poll_us > 0).then(|| Duration::from_micros(u64::from(capture.busy_poll_us))),
    }
}

/// One sentence for what the kernel says in a number.
fn explain_open(
    error: std::io::Error,
    interface: &str,
    queue: u32,
    capture: &CaptureConfig,
    jumbo: bool,
) -> anyhow::Error {
    let what = match error.raw_os_error() {
        Some(libc::EBUSY) => format!("queue {queue} of {interface} already has an AF_XDP socket of another program"),
        Some(libc::EOPNOTSUPP) if capture.require_zero_copy => {
            format!("{interface} has no zero-copy mode: unset capture.require_zero_copy")
        }
        Some(libc::EPERM | libc::EACCES) => {
            "no privilege to open AF_XDP sockets: run as root, or with CAP_NET_RAW (and CAP_IPC_LOCK, where locked memory is limited)".to_owned()
        }
        Some(libc::ENOMEM) if capture.huge_pages == HugePages::Reserved => {
            "too few huge pages are reserved: raise vm.nr_hugepages, or set capture.huge_pages = \"transparent\""
                .to_owned()
        }
        Some(libc::ENOBUFS | libc::ENOMEM) => format!(
            "no memory for {} frames of {} bytes: lower capture.frames or raise the locked-memory limit",
            capture.frames, capture.frame_bytes,
        ),
        Some(libc::EINVAL) if jumbo => {
            format!("frames of {interface} need several buffers each, which AF_XDP has from Linux 6.6 on: lower its MTU")
        }
        Some(libc::EAFNOSUPPORT) => "this kernel has no AF_XDP: capture with --source afpacket".to_owned(),
        _ => format!("cannot open an AF_XDP socket on queue {queue} of {interface}"),
    };
    anyhow::Error::new(error).context(what)
}
