//! The other end: counts every frame that arrives, then drops it or passes it on.

use core::ptr::addr_of;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::XdpContext;

#[unsafe(no_mangle)]
static SINK_VERDICT: u32 = XDP_DROP;

#[map]
static SINK_COUNTERS: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

#[xdp]
pub fn sink(context: XdpContext) -> u32 {
    let Some(counters) = SINK_COUNTERS.get_ptr_mut(0) else { return XDP_ABORTED };
    // SAFETY: the element is this CPU's own, and XDP does not interrupt itself.
    let [frames, bytes] = unsafe { &mut *counters };
    *frames += 1;
    *bytes += (context.data_end() - context.data()) as u64;
    // SAFETY: the constant lives as long as the program and nothing writes it.
    unsafe { addr_of!(SINK_VERDICT).read_volatile() }
}
