//! The least that a program has to do for an AF_XDP socket: every frame of a queue goes to that queue's socket.

use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::XskMap;
use aya_ebpf::programs::XdpContext;
use traffic_ebpf::REDIRECT_QUEUES_MAX;

#[map]
static REDIRECT_SOCKETS: XskMap = XskMap::with_max_entries(REDIRECT_QUEUES_MAX, 0);

#[xdp]
pub fn redirect(context: XdpContext) -> u32 {
    // Either way the result is the verdict: that of an empty slot is the fallback.
    match REDIRECT_SOCKETS.redirect(context.rx_queue_index(), u64::from(XDP_DROP)) {
        Ok(verdict) | Err(verdict) => verdict,
    }
}
