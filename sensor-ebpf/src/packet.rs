//! The only unsafe part of the program: reads within the packet's bounds, metadata, the kernel's helpers.
//!
//! The verifier proves every read again; these functions only put the bounds check where it can see it.
#![expect(unsafe_code, reason = "packet memory and kernel helpers have no safe interface")]

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_ktime_get_ns, bpf_xdp_adjust_meta, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use core::mem::size_of;
use sensor_ebpf::{Counter, Stamp};

/// The linear part of a frame.
pub struct Packet {
    start: usize,
    end: usize,
}

impl Packet {
    #[inline(always)]
    pub fn new(context: &XdpContext) -> Packet {
        Packet { start: context.data(), end: context.data_end() }
    }

    #[inline(always)]
    pub fn linear_bytes(&self) -> usize {
        self.end - self.start
    }

    /// The big-endian integer at `offset`, or `None` past the end of the linear part. At offsets that the verifier
    /// does not know as constants, `T` must be longer than one byte: it learns nothing from `at < end`.
    #[inline(always)]
    pub fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: `at + size_of::<T>() <= end` was checked on the line above.
        Some(unsafe { T::load(at) })
    }
}

/// Integers in network byte order.
pub trait Wire: Sized {
    /// # Safety
    /// `at` points to as many bytes of packet memory.
    unsafe fn load(at: usize) -> Self;
}

/// Loads by one instruction each. The instruction set takes any alignment in packet memory, but the compiler,
/// which has to do without in other memory, would put the number together from single bytes.
macro_rules! wire {
    ($type:ty, $load:literal) => {
        impl Wire for $type {
            #[inline(always)]
            unsafe fn load(at: usize) -> $type {
                let value: u64;
                // SAFETY: reads the bytes that the caller vouches for and nothing else.
                unsafe {
                    core::arch::asm!($load, value = out(reg) value, at = in(reg) at, options(readonly, nostack));
                }
                <$type>::from_be(value as $type)
            }
        }
    };
}

wire!(u8, "{value} = *(u8 *)({at} + 0)");
wire!(u16, "{value} = *(u16 *)({at} + 0)");
wire!(u32, "{value} = *(u32 *)({at} + 0)");
wire!(u64, "{value} = *(u64 *)({at} + 0)");

/// Length of the whole frame, all its buffers together.
#[inline(always)]
pub fn frame_bytes(context: &XdpContext) -> u64 {
    // SAFETY: the context is the one the kernel gave to this run of the program.
    unsafe { bpf_xdp_get_buff_len(context.ctx) }
}

#[inline(always)]
pub fn kernel_time_ns() -> u64 {
    // SAFETY: the helper takes nothing and has no effect.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
pub fn queue_of(context: &XdpContext) -> u32 {
    context.rx_queue_index()
}

/// Writes the stamp before the frame. A driver without room for metadata leaves the frame unstamped, and
/// userspace computes what it would have said.
#[inline(always)]
pub fn stamp(context: &XdpContext, stamp: Stamp) {
    // SAFETY: the context is the one the kernel gave to this run of the program.
    let result = unsafe { bpf_xdp_adjust_meta(context.as_ptr().cast(), -(size_of::<Stamp>() as i32)) };
    if result != 0 {
        return;
    }
    let at = context.metadata();
    if at + size_of::<Stamp>() > context.metadata_end() {
        return;
    }
    // SAFETY: the stamp lies between metadata start and packet start, as checked above; both are 4-byte
    // aligned, and the write is unaligned.
    unsafe { core::ptr::write_unaligned(at as *mut Stamp, stamp) };
}

/// Adds one frame to a per-CPU cell.
#[inline(always)]
pub fn count(cell: *mut Counter, bytes: u64) {
    // SAFETY: the pointer came from a lookup in a per-CPU array: valid, and no other program runs on this
    // CPU meanwhile.
    unsafe {
        (*cell).packets += 1;
        (*cell).bytes += bytes;
    }
}
