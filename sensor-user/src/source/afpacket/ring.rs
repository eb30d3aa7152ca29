//! The packet socket and the memory it shares with the kernel; every system call of this source.
//!
//! In: a config. Out: the block at hand as a slice, for as long as it is ours. What is in a block is not known here.
//!
//! A block belongs to the kernel or to us, told by its status word: the kernel sets the user bit after its last
//! write (we load it with acquire), we clear it after our last read (stored with release).

#![expect(unsafe_code, reason = "sockets, ring memory shared with the kernel")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libc::{c_int, c_void};

use crate::source::SourceError;

use super::block::{BLOCK_STATUS, TAG_BYTES};
use super::{AfPacketConfig, AfPacketError, AfPacketStatistics, Fanout};

#[derive(Debug)]
pub(super) struct Ring {
    socket: Socket,
    memory: Memory,
    interface: c_int,
    /// The block that is ours next.
    current: usize,
}

impl Ring {
    /// Frames are kept out until all is set up, so that a member of a fanout group never sees another one's frames.
    pub(super) fn open(config: &AfPacketConfig) -> Result<Ring, AfPacketError> {
        let socket = Socket::new()?;
        let interface = socket.interface_index(&config.interface)?;
        let memory = socket.map_ring(config)?;
        socket.accept_bytes(0)?;
        socket.bind(interface)?;
        if config.promiscuous {
            socket.make_promiscuous(interface)?;
        }
        if let Some(fanout) = config.fanout {
            socket.join(fanout)?;
        }
        socket.accept_bytes(config.frame_bytes_max)?;
        Ok(Ring { socket, memory, interface, current: 0 })
    }

    /// The next block, if the kernel has handed it over.
    pub(super) fn block(&mut self) -> Option<&mut [u8]> {
        let status = self.memory.status(self.current).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        Some(self.memory.block(self.current))
    }

    /// Gives the block back. Nothing borrows from it any more, since that would borrow `self`.
    pub(super) fn release(&mut self) {
        self.memory.status(self.current).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.current = (self.current + 1) % self.memory.block_count;
    }

    pub(super) fn wait(&self, timeout: Duration) -> Result<(), SourceError> {
        let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let mut poll = libc::pollfd { fd: self.socket.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one valid entry that outlives the call.
        let result = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        if result < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(SourceError::Io(error))
            };
        }
        if poll.revents & libc::POLLERR != 0 {
            return self.check_interface();
        }
        Ok(())
    }

    /// Clears a pending error; that the interface is down is none, that it does not exist is.
    pub(super) fn check_interface(&self) -> Result<(), SourceError> {
        self.socket.take_error().map_err(SourceError::Io)?;
        if self.socket.interface_exists(self.interface) { Ok(()) } else { Err(SourceError::InterfaceGone) }
    }

    /// The kernel's counts since they were last taken.
    pub(super) fn take_statistics(&self) -> io::Result<AfPacketStatistics> {
        let mut counts = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        self.socket.option(libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counts)?;
        Ok(AfPacketStatistics {
            packets: u64::from(counts.tp_packets),
            drops: u64::from(counts.tp_drops),
            freezes: u64::from(counts.tp_freeze_q_cnt),
        })
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
    }
}

/// The mapped blocks.
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    block_bytes: usize,
    block_count: usize,
}

// SAFETY: the mapping is owned by this value alone and does not depend on the thread that made it.
unsafe impl Send for Memory {}

impl Memory {
    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: the block lies within the mapping, which lives as long as `self`; the word is aligned, since
        // blocks are aligned to pages; both sides access it only whole, here as an atomic.
        unsafe { AtomicU32::from_ptr(self.block_start(block).add(BLOCK_STATUS).cast()) }
    }

    /// The caller has seen the block's user bit and does not touch its status word while it holds the slice.
    fn block(&mut self, block: usize) -> &mut [u8] {
        // SAFETY: the range lies within the mapping; the kernel leaves a block alone from setting its user bit until
        // it is cleared, which takes `&mut self` and so cannot happen while the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.block_start(block), self.block_bytes) }
    }

    fn block_start(&self, block: usize) -> *mut u8 {
        assert!(block < self.block_count, "the ring wraps at its last block");
        // SAFETY: `block_count` blocks are mapped and `block` is one of them.
        unsafe { self.start.as_ptr().add(block * self.block_bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the range is the one that was mapped, and nothing borrows from it any more.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.block_count) };
    }
}

/// A packet socket; each method is one call.
#[derive(Debug)]
struct Socket(OwnedFd);

impl Socket {
    /// Without a protocol, so that it receives nothing before it is bound.
    fn new() -> Result<Socket, AfPacketError> {
        // SAFETY: no pointer is passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            let source = io::Error::last_os_error();
            return Err(match source.kind() {
                io::ErrorKind::PermissionDenied => AfPacketError::NotPermitted,
                _ => AfPacketError::System { doing: "make a packet socket", source },
            });
        }
        // SAFETY: the descriptor was just made and has no other owner.
        Ok(Socket(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn interface_index(&self, interface: &str) -> Result<c_int, AfPacketError> {
        let missing = || AfPacketError::NoSuchInterface { interface: interface.to_string() };
        let mut request = empty_request();
        if interface.is_empty() || interface.len() >= request.ifr_name.len() {
            return Err(missing());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: `request` outlives the call, its name ends with a zero.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFINDEX, &raw mut request) };
        if result < 0 {
            return Err(missing());
        }
        // SAFETY: the call succeeded, so the kernel filled in this field of the union.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex })
    }

    /// Asked of the socket's own namespace, whichever one the thread is in.
    fn interface_exists(&self, interface: c_int) -> bool {
        let mut request = empty_request();
        request.ifr_ifru.ifru_ifindex = interface;
        // SAFETY: `request` outlives the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFNAME, &raw mut request) == 0 }
    }

    fn map_ring(&self, config: &AfPacketConfig) -> Result<Memory, AfPacketError> {
        let refused = |source| AfPacketError::Ring {
            block_bytes: config.block_bytes,
            block_count: config.block_count,
            source,
        };
        if config.block_count < 2 || config.block_bytes < FRAME_SLOT_BYTES {
            return Err(refused(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        self.set_option(libc::PACKET_VERSION, &version).map_err(refused)?;
        self.set_option(libc::PACKET_RESERVE, &(TAG_BYTES as c_int)).map_err(refused)?;
        let slots = (config.block_bytes / FRAME_SLOT_BYTES).checked_mul(config.block_count);
        let request = libc::tpacket_req3 {
            tp_block_size: config.block_bytes,
            tp_block_nr: config.block_count,
            tp_frame_size: FRAME_SLOT_BYTES,
            tp_frame_nr: slots.ok_or_else(|| refused(io::Error::from(io::ErrorKind::InvalidInput)))?,
            tp_retire_blk_tov: config.block_timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        self.set_option(libc::PACKET_RX_RING, &request).map_err(refused)?;
        let (block_bytes, block_count) = (config.block_bytes as usize, config.block_count as usize);
        // SAFETY: a new mapping of exactly the ring that the kernel just allocated; no address is asked for.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                block_bytes * block_count,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                self.0.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(refused(io::Error::last_os_error()));
        }
        let start = NonNull::new(start.cast()).expect("a mapping without a fixed address is never at zero");
        Ok(Memory { start, block_bytes, block_count })
    }

    /// A filter of one instruction, since that is how a packet socket is told how much of a frame to keep. Zero: no
    /// frame at all.
    fn accept_bytes(&self, bytes: u32) -> Result<(), AfPacketError> {
        let code = (libc::BPF_RET | libc::BPF_K) as u16;
        let mut instruction = libc::sock_filter { code, jt: 0, jf: 0, k: bytes };
        let program = libc::sock_fprog { len: 1, filter: &raw mut instruction };
        // SAFETY: the kernel copies the one instruction, which outlives the call.
        unsafe { self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
            .map_err(|source| AfPacketError::System { doing: "set the length to capture", source })
    }

    fn bind(&self, interface: c_int) -> Result<(), AfPacketError> {
        // SAFETY: all-zero is a valid value of this plain struct.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface;
        // SAFETY: `address` outlives the call and its length is the one passed.
        let result = unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        if result == 0 {
            return Ok(());
        }
        Err(AfPacketError::System { doing: "bind to the interface", source: io::Error::last_os_error() })
    }

    /// Ends with the socket.
    fn make_promiscuous(&self, interface: c_int) -> Result<(), AfPacketError> {
        let membership = libc::packet_mreq {
            mr_ifindex: interface,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set_option(libc::PACKET_ADD_MEMBERSHIP, &membership)
            .map_err(|source| AfPacketError::System { doing: "make the interface promiscuous", source })
    }

    /// By flow hash, without reassembling fragments.
    fn join(&self, fanout: Fanout) -> Result<(), AfPacketError> {
        let request = FanoutRequest {
            group: fanout.group,
            mode_and_flags: libc::PACKET_FANOUT_HASH as u16,
            members_max: u32::from(fanout.members),
        };
        self.set_option(libc::PACKET_FANOUT, &request)
            .map_err(|source| AfPacketError::Fanout { group: fanout.group, source })
    }

    fn take_error(&self) -> io::Result<()> {
        let mut pending: c_int = 0;
        self.option(libc::SOL_SOCKET, libc::SO_ERROR, &mut pending)
    }

    /// For options without pointers in them.
    fn set_option<T: Copy>(&self, name: c_int, value: &T) -> io::Result<()> {
        // SAFETY: the packet options used here are plain numbers.
        unsafe { self.set(libc::SOL_PACKET, name, value) }
    }

    /// # Safety
    /// What `value` points to must be valid for the call.
    unsafe fn set<T: Copy>(&self, level: c_int, name: c_int, value: &T) -> io::Result<()> {
        let bytes = size_of::<T>() as libc::socklen_t;
        let value: *const c_void = std::ptr::from_ref(value).cast();
        // SAFETY: the kernel reads `bytes` bytes of a value that outlives the call; the rest is the caller's promise.
        let result = unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, value, bytes) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// For options that are plain numbers, any of which is valid.
    fn option<T: Copy>(&self, level: c_int, name: c_int, value: &mut T) -> io::Result<()> {
        let mut bytes = size_of::<T>() as libc::socklen_t;
        let value: *mut c_void = std::ptr::from_mut(value).cast();
        // SAFETY: the kernel writes at most `bytes` bytes to a value that outlives the call.
        let result = unsafe { libc::getsockopt(self.0.as_raw_fd(), level, name, value, &raw mut bytes) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// For tests: puts the calling thread into a network namespace.
#[cfg(test)]
pub(super) fn enter_namespace(namespace: &std::fs::File) {
    // SAFETY: no pointer is passed; only the calling thread changes its namespace.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// For tests: each write to this puts one frame onto the wire.
#[cfg(test)]
pub(super) fn sender(interface: &str) -> std::fs::File {
    let socket = Socket::new().expect("the test is root");
    socket.accept_bytes(0).expect("a new socket takes a filter");
    socket.bind(socket.interface_index(interface).expect("the test made it")).expect("it is up");
    std::fs::File::from(socket.0)
}

/// `struct fanout_args` of a little-endian host; the kernel swaps the halves of the first word on others.
#[derive(Clone, Copy)]
#[repr(C)]
struct FanoutRequest {
    #[cfg(target_endian = "little")]
    group: u16,
    mode_and_flags: u16,
    #[cfg(target_endian = "big")]
    group: u16,
    members_max: u32,
}

fn empty_request() -> libc::ifreq {
    // SAFETY: all-zero is a valid value of this plain struct.
    unsafe { std::mem::zeroed() }
}

/// Required by the kernel, without meaning for blocks of frames of any length: it must divide a block.
const FRAME_SLOT_BYTES: u32 = 2048;
