//! Which socket takes a frame: both directions of a flow reach the same worker, whatever the NIC's hash did.

use crate::maps::SOCKETS;
use aya_ebpf::bindings::xdp_action;
use sensor_ebpf::{Settings, Verdict, hash};

#[inline(always)]
pub fn steer(queue: u32, flow_hash: u64, settings: &Settings) -> Verdict {
    let sockets = settings.sockets_per_queue;
    let socket = queue * sockets + hash::worker_of(flow_hash, sockets);
    // The fallback action comes back as the error when the slot is empty.
    match SOCKETS.redirect(socket, u64::from(xdp_action::XDP_DROP)) {
        Ok(_) => Verdict::Redirected,
        Err(_) => Verdict::NoSocket,
    }
}
