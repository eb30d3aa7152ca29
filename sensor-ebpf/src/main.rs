//! The XDP program: one frame in, one verdict out, nothing lost without a count.
#![no_std]
#![no_main]
// Packet loads are written as BPF assembly, see packet.rs.
#![feature(asm_experimental_arch)]

mod classify;
mod filter;
mod maps;
mod packet;
mod steer;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use classify::classify;
use maps::{COUNTERS, SETTINGS};
use packet::Packet;
use sensor_ebpf::{Class, STAMP_MAGIC, Settings, Stamp, Verdict, counter_index, hash, settings_flags};

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
    let is_hashed = settings.is_hashed();
    let packed = classify(&Packet::new(context), is_hashed.then_some(settings.hash_key));
    if settings.flags & settings_flags::FILTER != 0 && !filter::passes(&packed, settings.flags) {
        return (Verdict::Filtered, packed.class);
    }
    if !is_hashed {
        return (steer::steer(packet::queue_of(context), 0, settings), packed.class);
    }
    if Class::is_hashed(packed.class as u32) && !hash::is_sampled(packed.hash, settings.sample_rate) {
        return (Verdict::SampledOut, packed.class);
    }
    let time_ns = match settings.flags & settings_flags::STAMP_TIME {
        0 => 0,
        _ => packet::kernel_time_ns(),
    };
    packet::stamp(
        context,
        Stamp { hash: packed.hash, time_ns, class: packed.class as u32, magic: STAMP_MAGIC },
    );
    (steer::steer(packet::queue_of(context), packed.hash, settings), packed.class)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the kernel reads the licence from this section")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
