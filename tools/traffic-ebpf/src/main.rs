//! Three programs: the generator here, in [`sink`] the counting end for its frames, and in [`redirect`] an end
//! that hands them to AF_XDP sockets.
//!
//! `BPF_PROG_RUN` calls the generator for every live frame of a long run; it writes a UDP packet of
//! the next flow into the frame and redirects it to an interface.
//!
//! 1. At the start of a burst: look at the clock, wait if paced.
//! 2. Cut the frame to its length (IMIX only; else it already has it).
//! 3. Write all headers and the sequence number. Frames are recycled, so nothing in them is relied upon.
//! 4. Count, redirect.

#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "map values, packet memory and helpers are reached by pointers the verifier checks"
)]

mod headers;
mod redirect;
mod sink;

use core::ffi::c_void;
use core::ptr::addr_of;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop, bpf_redirect, bpf_xdp_adjust_tail};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use traffic_ebpf::{FlowTuple, Settings, State, imix};

#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings::EMPTY;

#[map]
static STATE: Array<State> = Array::with_max_entries(1, 0);

/// A setting, read where the loader has put it and not as the compiler sees it.
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: the constant lives as long as the program and nothing writes it.
        unsafe { addr_of!(SETTINGS.$field).read_volatile() }
    };
}

#[xdp]
pub fn blast(context: XdpContext) -> u32 {
    let Some(state) = STATE.get_ptr_mut(0) else { return XDP_ABORTED };
    // SAFETY: the pointer is to the only element of the map; only this thread runs the program.
    let state = unsafe { &mut *state };
    if state.built >= setting!(count) {
        return XDP_DROP;
    }
    if state.burst_left == 0 {
        begin_burst(state);
    }
    let frame_bytes = match setting!(frame_bytes) {
        0 => imix_bytes(state.imix_slot as u32),
        fixed => fixed,
    };
    if setting!(frame_bytes) == 0 && !cut(&context, frame_bytes) {
        state.failed += 1;
        return XDP_DROP;
    }
    let packet = headers::Packet {
        tuple: FlowTuple::of(state.flow),
        back: setting!(directions) == 2 && state.direction != 0,
        frame_bytes,
        sequence: state.built,
    };
    let written = match setting!(family) {
        4 => headers::write_v4(&context, &packet),
        _ => headers::write_v6(&context, &packet),
    };
    if !written {
        state.failed += 1;
        return XDP_DROP;
    }
    advance(state, frame_bytes);
    let interface = setting!(interface);
    // SAFETY: the helper takes no pointer.
    unsafe { bpf_redirect(interface, 0) as u32 }
}

/// Counts the frame and steps to the next flow, direction and length.
#[inline(always)]
fn advance(state: &mut State, frame_bytes: u32) {
    state.built += 1;
    state.built_bytes += u64::from(frame_bytes);
    state.burst_left -= 1;
    if setting!(frame_bytes) == 0 {
        step_imix(state, 1);
    }
    if setting!(directions) == 2 {
        state.direction ^= 1;
        if state.direction != 0 {
            return;
        }
    }
    state.flow += 1;
    if state.flow >= u64::from(setting!(flows)) {
        state.flow = 0;
        if setting!(frame_bytes) == 0 {
            step_imix(state, setting!(imix_skip));
        }
    }
}

#[inline(always)]
fn step_imix(state: &mut State, slots: u32) {
    state.imix_slot += u64::from(slots);
    if state.imix_slot >= u64::from(imix::PATTERN_FRAMES) {
        state.imix_slot -= u64::from(imix::PATTERN_FRAMES);
    }
}

#[inline(always)]
fn imix_bytes(slot: u32) -> u32 {
    if slot == imix::LONG_SLOT {
        return imix::LONG_BYTES;
    }
    if imix::MIDDLE_SLOTS >> (slot & 31) & 1 != 0 {
        return imix::MIDDLE_BYTES;
    }
    if setting!(family) == 4 { imix::SHORT_BYTES_V4 } else { imix::SHORT_BYTES_V6 }
}

/// IMIX frames arrive with the greatest length.
#[inline(always)]
fn cut(context: &XdpContext, frame_bytes: u32) -> bool {
    let surplus = imix::LONG_BYTES as i32 - frame_bytes as i32;
    // SAFETY: the context is the one this program was called with.
    surplus == 0 || unsafe { bpf_xdp_adjust_tail(context.ctx, -surplus) } == 0
}

#[inline(always)]
fn begin_burst(state: &mut State) {
    // SAFETY: the helper takes no pointer.
    let mut now_ns = unsafe { bpf_ktime_get_ns() };
    if state.built == 0 {
        state.first_ns = now_ns;
        state.due_ns = now_ns;
    }
    let gap_ns = setting!(burst_gap_ns);
    if gap_ns != 0 {
        if now_ns < state.due_ns {
            wait_until(state.due_ns);
            // SAFETY: as above.
            now_ns = unsafe { bpf_ktime_get_ns() };
        }
        // What was missed is made up for, but not without limit.
        if now_ns > state.due_ns + CATCH_UP_NS_MAX {
            state.due_ns = now_ns;
        }
        state.due_ns += gap_ns;
    }
    state.last_ns = now_ns;
    state.built_before_last = state.built;
    state.burst_left = u64::from(setting!(burst_frames));
}

#[inline(always)]
fn wait_until(due_ns: u64) {
    let mut due_ns = due_ns;
    let callback = is_due as *const () as *mut c_void;
    // SAFETY: the callback has the signature of the helper and its context outlives the call.
    unsafe { bpf_loop(WAIT_LOOKS_MAX, callback, (&raw mut due_ns).cast(), 0) };
}

/// Ends the loop by returning one.
extern "C" fn is_due(_look: u64, due_ns: *mut c_void) -> i64 {
    // SAFETY: `wait_until` passes a pointer to its own variable.
    let due_ns = unsafe { *due_ns.cast::<u64>() };
    // SAFETY: the helper takes no pointer.
    i64::from(unsafe { bpf_ktime_get_ns() } >= due_ns)
}

const CATCH_UP_NS_MAX: u64 = 5_000_000;

/// A look takes tens of nanoseconds, so this is some tens of milliseconds: bursts are much closer together.
const WAIT_LOOKS_MAX: u32 = 1 << 20;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
