//! The XDP program: one frame in, one verdict out, nothing lost without a count.
#![no_std]
#![no_main]
// Packet loads are written as BPF assembly, see packet.rs.
#![feature(asm_experimental_arch)]

mod classify;
mod filter;
mod fragments;
mod link;
mod maps;
mod packet;
mod steer;
mod tunnel;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use classify::{Packed, classify};
use maps::{COUNTERS, SETTINGS};
use packet::Packet;
use sensor_ebpf::{
    Class, STAMP_MAGIC, Screening, Settings, Stamp, Verdict, counter_index, hash, settings_flags,
};

#[xdp]
pub fn sensor(context: XdpContext) -> u32 {
    let bytes = Packet::new(&context).linear_bytes() as u64;
    run(&context, bytes)
}

#[xdp(frags)]
pub fn sensor_frags(context: XdpContext) -> u32 {
    run(&context, packet::frame_bytes(&context))
}

#[inline(always)]
fn run(context: &XdpContext, bytes: u64) -> u32 {
    // An array of one entry always has it; the verifier wants the branch.
    let Some(settings) = SETTINGS.get(0) else { return xdp_action::XDP_PASS };
    let (verdict, class) = decide(context, settings);
    if let Some(cell) = COUNTERS.get_ptr_mut(counter_index(verdict, class)) {
        packet::count(cell, bytes);
    }
    match verdict {
        Verdict::Redirected => xdp_action::XDP_REDIRECT,
        // The port is the sensor's own: what it does not want has nowhere else to go.
        Verdict::Filtered | Verdict::SampledOut | Verdict::NoSocket => xdp_action::XDP_DROP,
    }
}

#[inline(always)]
fn decide(context: &XdpContext, settings: &Settings) -> (Verdict, Class) {
    let packed = classify(&Packet::new(context), settings);
    let has_filter = settings.flags & settings_flags::FILTER != 0;
    if has_filter && !filter::passes(&packed, settings.flags) {
        return (Verdict::Filtered, packed.class);
    }
    let screening = Class::screening(packed.class as u16);
    if settings.is_hashed() {
        if screening == Screening::Full && !hash::is_sampled(packed.hash, settings.sample_rate) {
            return (Verdict::SampledOut, packed.class);
        }
        stamp(context, &packed, settings);
    } else if has_filter && screening == Screening::None {
        // One that the filter could not judge: without a stamp, userspace would take it for one that passed.
        stamp(context, &packed, settings);
    }
    (steer::steer(packet::queue_of(context), packed.hash, settings), packed.class)
}

#[inline(always)]
fn stamp(context: &XdpContext, packed: &Packed, settings: &Settings) {
    let time_ns = match settings.flags & settings_flags::STAMP_TIME {
        0 => 0,
        _ => packet::kernel_time_ns(),
    };
    let Packed { class, guess, hash, .. } = *packed;
    packet::stamp(context, Stamp { hash, time_ns, class: class as u16, guess, magic: STAMP_MAGIC });
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the kernel reads the licence from this section")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
