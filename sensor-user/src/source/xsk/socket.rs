//! AF_XDP system calls (linux/if_xdp.h, Documentation/networking/af_xdp.rst), nothing above them.
#![expect(unsafe_code, reason = "socket options and bind")]

use super::{
    mapping::Mapping,
    ring::{Consumer, Descriptor, Producer, RingOffsets, SharedRing},
    umem::Umem,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

const COMPLETION_ENTRIES: u32 = 64;
/// The kernel publishes what it took from the fill ring only when it has used up all it saw there, so up to a
/// UMEM's worth of frames may be back before their old entries are free.
pub const FILL_ENTRIES_PER_FRAME: u32 = 2;
const SO_INCOMING_NAPI_ID: libc::c_int = 56;
const SO_BUSY_POLL: libc::c_int = 46;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
const PGOFF_RX_RING: i64 = 0;
const PGOFF_FILL_RING: i64 = 0x1_0000_0000;
const XDP_OPTIONS_ZEROCOPY: u32 = 1;

/// A receive queue of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    pub interface_index: u32,
    pub queue: u32,
}

/// How frames get into the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    ZeroCopy,
    Copy,
}

/// `struct xdp_statistics`, every counter apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct XskStatistics {
    /// Dropped for other reasons than a full receive ring; an empty fill ring is the usual one.
    pub rx_dropped: u64,
    pub rx_invalid_descriptors: u64,
    pub tx_invalid_descriptors: u64,
    pub rx_ring_full: u64,
    /// Times that the kernel found the fill ring empty. Shared by all sockets of a queue.
    pub rx_fill_ring_empty: u64,
    pub tx_ring_empty: u64,
}

impl XskStatistics {
    pub fn add(&mut self, other: &XskStatistics) {
        self.rx_dropped += other.rx_dropped;
        self.rx_invalid_descriptors += other.rx_invalid_descriptors;
        self.tx_invalid_descriptors += other.tx_invalid_descriptors;
        self.rx_ring_full += other.rx_ring_full;
        self.rx_fill_ring_empty += other.rx_fill_ring_empty;
        self.tx_ring_empty += other.tx_ring_empty;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// Refuse copy mode.
    pub require_zero_copy: bool,
    /// Frames may span several buffers.
    pub multi_buffer: bool,
}

#[repr(C)]
struct UmemRegistration {
    address: u64,
    length: u64,
    chunk_bytes: u32,
    headroom: u32,
    flags: u32,
    tx_metadata_bytes: u32,
}

/// The descriptor alone, shared with whoever reads statistics.
#[derive(Clone, Debug)]
pub struct SocketHandle(Arc<OwnedFd>);

impl SocketHandle {
    fn open() -> io::Result<SocketHandle> {
        // SAFETY: no memory involved.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        Ok(SocketHandle(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    pub fn statistics(&self) -> io::Result<XskStatistics> {
        self.option(libc::SOL_XDP, libc::XDP_STATISTICS)
    }

    /// Which mode the kernel bound the socket in.
    pub fn copy_mode(&self) -> io::Result<CopyMode> {
        let options: u32 = self.option(libc::SOL_XDP, libc::XDP_OPTIONS)?;
        Ok(if options & XDP_OPTIONS_ZEROCOPY != 0 { CopyMode::ZeroCopy } else { CopyMode::Copy })
    }

    /// Turns on busy polling; `false` if the queue has no NAPI instance to poll, so that it would be inert.
    pub fn busy_poll(&self, busy: Duration, budget: u32) -> io::Result<bool> {
        let napi_id: u32 = self.option(libc::SOL_SOCKET, SO_INCOMING_NAPI_ID)?;
        if napi_id == 0 {
            return Ok(false);
        }
        let busy_us = u32::try_from(busy.as_micros()).unwrap_or(u32::MAX);
        self.set_option(libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, &1u32)?;
        self.set_option(libc::SOL_SOCKET, SO_BUSY_POLL, &busy_us)?;
        self.set_option(libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget)?;
        Ok(true)
    }

    /// Lets the kernel run the receive path now, without waiting.
    pub fn kick(&self) {
        // SAFETY: no buffer. Errors (nothing there, interface down) change nothing for the caller.
        unsafe {
            libc::recvfrom(
                self.raw(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    /// `T` must be what the option is documented to be: plain integers.
    fn set_option<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: the value lives through the call, which reads `size_of::<T>()` bytes of it.
        let result = unsafe {
            libc::setsockopt(
                self.raw(),
                level,
                name,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// `T` is made of integers, so that all zeroes are a value of it.
    fn option<T: Default>(&self, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
        let mut value = T::default();
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to `value`, which holds as many.
        let result = unsafe {
            libc::getsockopt(self.raw(), level, name, std::ptr::from_mut(&mut value).cast(), &raw mut length)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
    }
}

/// The first socket of a queue: brings UMEM and fill ring.
pub struct OwningSocket {
    pub handle: SocketHandle,
    pub rx: Consumer<Descriptor>,
    pub fill: Producer<u64>,
}

/// Opens a socket with its own UMEM on a queue. The fill ring is full before the bind: some drivers drop the
/// first burst otherwise.
pub fn open_owner(
    address: QueueAddress,
    umem: &Umem,
    entries: u32,
    bind: BindOptions,
) -> io::Result<OwningSocket> {
    let handle = SocketHandle::open()?;
    let (start, length) = umem.region();
    let registration = UmemRegistration {
        address: start,
        length,
        chunk_bytes: umem.frame_bytes(),
        headroom: 0,
        flags: 0,
        tx_metadata_bytes: 0,
    };
    handle.set_option(libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)?;
    let fill_entries = entries * FILL_ENTRIES_PER_FRAME;
    handle.set_option(libc::SOL_XDP, libc::XDP_UMEM_FILL_RING, &fill_entries)?;
    handle.set_option(libc::SOL_XDP, libc::XDP_UMEM_COMPLETION_RING, &COMPLETION_ENTRIES)?;
    let rx = receive_ring(&handle, entries)?;
    let offsets = ring_offsets(&handle)?;
    let bytes = offsets.fill.entries + fill_entries as usize * size_of::<u64>();
    let mapping = Arc::new(Mapping::of_ring(handle.0.as_fd(), bytes, PGOFF_FILL_RING)?);
    let mut fill = Producer::new(SharedRing::new(mapping, offsets.fill, fill_entries));
    for frame in umem.all_frames() {
        fill.write(frame.0).expect("the fill ring holds every frame of the UMEM");
    }
    fill.submit();
    let mut flags = libc::XDP_USE_NEED_WAKEUP;
    if bind.require_zero_copy {
        flags |= libc::XDP_ZEROCOPY;
    }
    if bind.multi_buffer {
        flags |= libc::XDP_USE_SG;
    }
    bind_to(&handle, address, flags, 0)?;
    Ok(OwningSocket { handle, rx, fill })
}

/// Opens a further socket on the queue of `owner`; UMEM and fill ring are shared.
pub fn open_sharer(
    address: QueueAddress,
    owner: &SocketHandle,
    entries: u32,
) -> io::Result<(SocketHandle, Consumer<Descriptor>)> {
    let handle = SocketHandle::open()?;
    let rx = receive_ring(&handle, entries)?;
    bind_to(&handle, address, libc::XDP_SHARED_UMEM, owner.raw() as u32)?;
    Ok((handle, rx))
}

/// Sockets to wait for together.
#[derive(Debug)]
pub struct WaitSet(Vec<libc::pollfd>);

impl WaitSet {
    pub fn new<'a>(handles: impl Iterator<Item = &'a SocketHandle>) -> WaitSet {
        WaitSet(
            handles
                .map(|handle| libc::pollfd { fd: handle.raw(), events: libc::POLLIN, revents: 0 })
                .collect(),
        )
    }

    /// Until one of the sockets has something, or the time is over.
    pub fn wait(&mut self, timeout: Duration) {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the vector's elements are handed over with their number. A signal just ends the wait.
        unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, timeout_ms) };
    }
}

struct Offsets {
    rx: RingOffsets,
    fill: RingOffsets,
}

fn ring_offsets(handle: &SocketHandle) -> io::Result<Offsets> {
    /// `struct xdp_mmap_offsets`: receive, transmit, fill, completion; four words each.
    #[derive(Default)]
    #[repr(C)]
    struct MmapOffsets([[u64; 4]; 4]);
    let MmapOffsets([rx, _, fill, _]) = handle.option(libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
    let offsets = |[producer, consumer, entries, flags]: [u64; 4]| RingOffsets {
        producer: producer as usize,
        consumer: consumer as usize,
        flags: flags as usize,
        entries: entries as usize,
    };
    Ok(Offsets { rx: offsets(rx), fill: offsets(fill) })
}

fn receive_ring(handle: &SocketHandle, entries: u32) -> io::Result<Consumer<Descriptor>> {
    handle.set_option(libc::SOL_XDP, libc::XDP_RX_RING, &entries)?;
    let offsets = ring_offsets(handle)?.rx;
    let bytes = offsets.entries + entries as usize * size_of::<Descriptor>();
    let mapping = Arc::new(Mapping::of_ring(handle.0.as_fd(), bytes, PGOFF_RX_RING)?);
    Ok(Consumer::new(SharedRing::new(mapping, offsets, entries)))
}

fn bind_to(handle: &SocketHandle, address: QueueAddress, flags: u16, shared_fd: u32) -> io::Result<()> {
    let name = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: address.interface_index,
        sxdp_queue_id: address.queue,
        sxdp_shared_umem_fd: shared_fd,
    };
    // SAFETY: the address lives through the call and its length is its own.
    let result = unsafe {
        libc::bind(
            handle.raw(),
            std::ptr::from_ref(&name).cast(),
            size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
