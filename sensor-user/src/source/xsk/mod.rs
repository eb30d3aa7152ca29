//! AF_XDP: frames straight from the driver, lent out of memory shared with the kernel.
//!
//! Each receive queue has one UMEM, one fill ring and one socket per worker that the program steers to. The
//! worker that owns the queue puts frames into its fill ring; the others hand theirs to it over a lock-free
//! queue. With one worker a queue there is no such detour.
//!
//! The rings are our own: none of the published crates has shared UMEM, multi-buffer, metadata, huge pages and
//! wrapping indices together.

mod mapping;
mod ring;
mod socket;
mod umem;

pub use mapping::HugePages;
pub use socket::{CopyMode, QueueAddress, SocketHandle, XskStatistics};

use super::{BURST_FRAMES_MAX, Frame, LinkType, Received, RingLevels, Source, SourceError};
use crate::clock::{Clock, Moment};
use crossbeam_queue::ArrayQueue;
use ring::{Consumer, Descriptor, Producer};
use sensor_ebpf::{Screening, Stamp};
use socket::{BindOptions, OwningSocket};
use std::{io, sync::Arc, time::Duration};
use umem::{FrameOffset, Umem};

/// `XDP_PKT_CONTD`: the frame goes on in the next descriptor.
const CONTINUED: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XskConfig {
    /// Frames of the UMEM, which is also the size of the rings: a power of two. The deeper, the longer a worker
    /// may be away from its core; the shallower, the better it fits the cache.
    pub frames: u32,
    /// 2048 or 4096, of which the driver keeps 256 for itself.
    pub frame_bytes: u32,
    pub huge_pages: HugePages,
    pub require_zero_copy: bool,
    /// Largest frame to be put together from several buffers; `None` for one buffer a frame.
    pub jumbo_bytes: Option<u32>,
    /// How long one system call may busy-poll; `None` for interrupts.
    pub busy_poll: Option<Duration>,
}

/// One socket as its worker sees it.
#[derive(Debug)]
pub struct Port {
    handle: SocketHandle,
    rx: Consumer<Descriptor>,
    umem: Arc<Umem>,
    recycling: Recycling,
    busy_poll: BusyPoll,
}

/// Busy polling: the worker's own system call runs the driver's receive path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BusyPoll {
    Off,
    /// To be turned on with the first frames: only they tell the kernel which NAPI instance to poll.
    Wanted(Duration),
    On,
}

/// How frames get back to the kernel.
#[derive(Debug)]
enum Recycling {
    /// This port owns the fill ring, and takes what the others bring.
    Owner { fill: Producer<u64>, returned: Option<Arc<ArrayQueue<FrameOffset>>> },
    /// Another port does.
    Lender { returned: Arc<ArrayQueue<FrameOffset>> },
}

/// A queue with its sockets, one for each worker, and what is known of it.
#[derive(Debug)]
pub struct OpenQueue {
    /// In the order of workers.
    pub ports: Vec<Port>,
    pub copy_mode: CopyMode,
}

/// Opens a queue for `workers` workers; `owner` is the one that keeps the fill ring full.
pub fn open_queue(
    address: QueueAddress,
    config: &XskConfig,
    workers: usize,
    owner: usize,
) -> io::Result<OpenQueue> {
    let umem = Arc::new(Umem::new(config.frames, config.frame_bytes, config.huge_pages)?);
    let bind = BindOptions {
        require_zero_copy: config.require_zero_copy,
        multi_buffer: config.jumbo_bytes.is_some(),
    };
    let OwningSocket { handle, rx, fill } = socket::open_owner(address, &umem, config.frames, bind)?;
    let copy_mode = handle.copy_mode()?;
    // Every frame fits at once, so a return never finds the queue full.
    let returned = (workers > 1).then(|| Arc::new(ArrayQueue::new(config.frames as usize)));
    let busy_poll = config.busy_poll.map_or(BusyPoll::Off, BusyPoll::Wanted);
    let mut ports = Vec::with_capacity(workers);
    for _ in 1..workers {
        let (handle, rx) = socket::open_sharer(address, &handle, config.frames)?;
        let returned = returned.clone().expect("there are several workers");
        ports.push(Port {
            handle,
            rx,
            umem: umem.clone(),
            recycling: Recycling::Lender { returned },
            busy_poll,
        });
    }
    ports.insert(owner, Port { handle, rx, umem, recycling: Recycling::Owner { fill, returned }, busy_poll });
    Ok(OpenQueue { ports, copy_mode })
}

/// All ports of one worker.
#[derive(Debug)]
pub struct XskSource {
    ports: Vec<Port>,
    waiting: socket::WaitSet,
    /// The port that is asked next, so that a busy queue does not starve the others.
    next: usize,
    clock: Clock,
    assembly: Assembly,
}

/// Room where frames of several buffers are put together, for one burst.
#[derive(Debug)]
struct Assembly {
    bytes: Vec<u8>,
    frame_bytes_max: usize,
}

impl XskSource {
    /// `jumbo_bytes` as in the config that the ports were opened with.
    pub fn new(ports: Vec<Port>, jumbo_bytes: Option<u32>, clock: Clock) -> XskSource {
        let waiting = socket::WaitSet::new(ports.iter().map(|port| &port.handle));
        let frame_bytes_max = jumbo_bytes.unwrap_or(0) as usize;
        let assembly = Assembly { bytes: vec![0; frame_bytes_max * BURST_FRAMES_MAX], frame_bytes_max };
        XskSource { ports, waiting, next: 0, clock, assembly }
    }

    fn has_shared_queue(&self) -> bool {
        self.ports.iter().any(|port| matches!(&port.recycling, Recycling::Owner { returned: Some(_), .. }))
    }
}

impl Source for XskSource {
    #[inline]
    fn receive(&mut self, now: Moment, mut visit: impl FnMut(&[Frame<'_>])) -> Result<Received, SourceError> {
        let ports_len = self.ports.len();
        for _ in 0..ports_len {
            let port = &mut self.ports[self.next];
            self.next = (self.next + 1) % ports_len;
            port.reclaim();
            let frames = port.receive(now, self.clock, &mut self.assembly, &mut visit);
            if frames > 0 {
                port.start_busy_poll();
                return Ok(Received::Frames(frames));
            }
            port.wake_kernel();
        }
        Ok(Received::Nothing)
    }

    fn wait(&mut self, timeout: Duration) {
        // Frames that other workers return must reach the fill ring soon.
        let limit = if self.has_shared_queue() { Duration::from_millis(1) } else { timeout };
        self.waiting.wait(timeout.min(limit));
    }

    fn ring_levels(&self) -> RingLevels {
        RingLevels {
            fill: self.ports.iter().map(Port::fill_level).sum(),
            receive: self.ports.iter().map(|port| port.rx.level()).sum(),
        }
    }
}

impl Port {
    /// The socket, for the program's map and for statistics.
    pub fn handle(&self) -> &SocketHandle {
        &self.handle
    }

    #[expect(unsafe_code, reason = "lends UMEM memory to the visitor")]
    #[inline(always)]
    fn receive(
        &mut self,
        now: Moment,
        clock: Clock,
        assembly: &mut Assembly,
        visit: &mut impl FnMut(&[Frame<'_>]),
    ) -> usize {
        let available = self.rx.available();
        if available == 0 {
            return 0;
        }
        let mut frames = [Frame::EMPTY; BURST_FRAMES_MAX];
        let mut count = 0;
        let mut used = 0;
        let mut room = assembly.bytes.as_mut_slice();
        while count < BURST_FRAMES_MAX && used < available {
            let descriptor = self.rx.peek(used);
            // SAFETY: the descriptor was received and its frame is given back only after `visit`, below; the
            // stamp is taken before the slice is made.
            let (stamp, data) = unsafe { (self.umem.take_stamp(&descriptor), self.umem.data(&descriptor)) };
            let (bytes, wire_bytes, descriptors) = if descriptor.options & CONTINUED == 0 {
                (data, descriptor.length, 1)
            } else {
                let Some(whole) = self.assemble(used, available, &mut room, assembly.frame_bytes_max) else {
                    break;
                };
                whole
            };
            used += descriptors;
            frames[count] = Frame {
                bytes,
                wire_bytes,
                time: now,
                link: LinkType::ETHERNET,
                hash: None,
                screening: Screening::Full,
            };
            if let Some(stamp) = stamp {
                read_stamp(&stamp, clock, &mut frames[count]);
            }
            count += 1;
        }
        if count == 0 {
            // The rest of a frame of several buffers is not there yet.
            self.rx.refresh();
            return 0;
        }
        visit(&frames[..count]);
        for ahead in 0..used {
            let frame = self.umem.frame_of(&self.rx.peek(ahead));
            self.recycling.give_back(frame);
        }
        self.recycling.submit();
        self.rx.release(used);
        count
    }

    /// Copies a frame of several buffers into `room`. Returns its bytes (cut at what a frame may have), its
    /// length and its descriptors; `None` while its end is not there yet.
    #[expect(unsafe_code, reason = "reads UMEM memory")]
    fn assemble<'a>(
        &self,
        first: u32,
        available: u32,
        room: &mut &'a mut [u8],
        frame_bytes_max: usize,
    ) -> Option<(&'a [u8], u32, u32)> {
        let last = (first..available).find(|ahead| self.rx.peek(*ahead).options & CONTINUED == 0)?;
        let (bytes, rest) = std::mem::take(room).split_at_mut(frame_bytes_max);
        *room = rest;
        let (mut filled, mut wire_bytes) = (0, 0);
        for ahead in first..=last {
            let descriptor = self.rx.peek(ahead);
            // SAFETY: received and not given back yet.
            let data = unsafe { self.umem.data(&descriptor) };
            let taken = data.len().min(frame_bytes_max - filled);
            bytes[filled..filled + taken].copy_from_slice(&data[..taken]);
            filled += taken;
            wire_bytes += descriptor.length;
        }
        Some((&bytes[..filled], wire_bytes, last - first + 1))
    }

    /// Puts what other workers returned into the fill ring.
    #[inline(always)]
    fn reclaim(&mut self) {
        let Recycling::Owner { fill, returned: Some(returned) } = &mut self.recycling else { return };
        if returned.is_empty() {
            return;
        }
        while let Some(frame) = returned.pop() {
            fill.write(frame.0).expect("the fill ring holds every frame of the UMEM");
        }
        fill.submit();
    }

    /// Once, with the first frames.
    #[inline(always)]
    fn start_busy_poll(&mut self) {
        let BusyPoll::Wanted(busy) = self.busy_poll else { return };
        self.busy_poll = match self.handle.busy_poll(busy, BURST_FRAMES_MAX as u32) {
            Ok(true) => BusyPoll::On,
            Ok(false) | Err(_) => {
                tracing::warn!("busy polling stays off: the driver names no NAPI instance for the queue");
                BusyPoll::Off
            }
        };
    }

    #[inline(always)]
    fn wake_kernel(&self) {
        let needs_wakeup = matches!(&self.recycling, Recycling::Owner { fill, .. } if fill.needs_wakeup());
        if needs_wakeup || self.busy_poll == BusyPoll::On {
            self.handle.kick();
        }
    }

    fn fill_level(&self) -> u32 {
        match &self.recycling {
            Recycling::Owner { fill, .. } => fill.level(),
            Recycling::Lender { .. } => 0,
        }
    }
}

/// What the program says of a frame.
#[inline(always)]
fn read_stamp(stamp: &Stamp, clock: Clock, frame: &mut Frame<'_>) {
    if stamp.time_ns != 0 {
        frame.time = clock.from_kernel(stamp.time_ns);
    }
    frame.hash = stamp.is_hashed().then_some(stamp.hash);
    frame.screening = stamp.screening();
}

impl Recycling {
    #[inline(always)]
    fn give_back(&mut self, frame: FrameOffset) {
        match self {
            Recycling::Owner { fill, .. } => {
                fill.write(frame.0).expect("the fill ring holds every frame of the UMEM");
            }
            Recycling::Lender { returned } => {
                returned.push(frame).expect("the queue holds every frame of the UMEM");
            }
        }
    }

    #[inline(always)]
    fn submit(&mut self) {
        if let Recycling::Owner { fill, .. } = self {
            fill.submit();
        }
    }
}
