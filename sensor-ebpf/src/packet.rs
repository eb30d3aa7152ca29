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
        Some(unsafe { T::load::<0>(at) })
    }

    /// `BYTES` bytes at `offset` to be read from without further checks, or `None` past the end of the linear part.
    #[inline(always)]
    pub fn header<const BYTES: usize>(&self, offset: usize) -> Option<Header<BYTES>> {
        let mut at = self.start;
        // SAFETY: adds two registers. To the verifier, a sum that is computed anew is not the one whose bounds were
        // checked, and the compiler computes none anew that it does not know as a sum.
        unsafe {
            core::arch::asm!(
                "{at} += {offset}",
                at = inout(reg) at,
                offset = in(reg) offset,
                options(pure, nomem, nostack),
            );
        }
        if at + BYTES > self.end {
            return None;
        }
        Some(Header { at })
    }
}

/// Bytes of a packet that are known to be there.
pub struct Header<const BYTES: usize> {
    at: usize,
}

impl<const BYTES: usize> Header<BYTES> {
    /// The big-endian integer at an offset.
    #[inline(always)]
    pub fn read<T: Wire, const OFFSET: usize>(&self) -> T {
        const { assert!(OFFSET + size_of::<T>() <= BYTES) };
        // SAFETY: `at + BYTES <= end` was checked when the header was made, and the line above checks the rest.
        unsafe { T::load::<OFFSET>(self.at) }
    }
}

/// Integers in network byte order.
pub trait Wire: Sized {
    /// # Safety
    /// `at + OFFSET` points to as many bytes of packet memory.
    unsafe fn load<const OFFSET: usize>(at: usize) -> Self;
}

/// Loads by one instruction each. The instruction set takes any alignment in packet memory, but the compiler,
/// which has to do without in other memory, would put the number together from single bytes.
macro_rules! wire {
    ($type:ty, $load:literal) => {
        impl Wire for $type {
            #[inline(always)]
            unsafe fn load<const OFFSET: usize>(at: usize) -> $type {
                let value: u64;
                // SAFETY: reads the bytes that the caller vouches for and nothing else.
                unsafe {
                    core::arch::asm!(
                        $load,
                        value = out(reg) value,
                        at = in(reg) at,
                        offset = const OFFSET,
                        options(readonly, nostack),
                    );
                }
                <$type>::from_be(value as $type)
            }
        }
    };
}

wire!(u8, "{value} = *(u8 *)({at} + {offset})");
wire!(u16, "{value} = *(u16 *)({at} + {offset})");
wire!(u32, "{value} = *(u32 *)({at} + {offset})");
wire!(u64, "{value} = *(u64 *)({at} + {offset})");

/// The same offset, of which the verifier knows no more than that it is below 128. It then proves what follows once,
/// and not again for every stack of headers in front of it. `any` is a number read from the packet.
#[inline(always)]
pub fn forget(offset: usize, any: u64) -> usize {
    let mut offset = offset as u64;
    // SAFETY: computes with registers only. The difference of a register and its copy is zero, but the verifier, which
    // tracks ranges, does not know.
    unsafe {
        core::arch::asm!(
            "{zero} = {any}",
            "{zero} -= {any}",
            "{offset} += {zero}",
            "{offset} &= 127",
            any = in(reg) any,
            zero = out(reg) _,
            offset = inout(reg) offset,
            options(pure, nomem, nostack),
        );
    }
    offset as usize
}

/// The value that a map lookup points at.
#[inline(always)]
pub fn value_of(entry: *const u64) -> u64 {
    // SAFETY: the pointer came from a lookup in a map, whose entries stay mapped while the program runs; a value of
    // eight aligned bytes is read and replaced in one piece.
    unsafe { *entry }
}

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
