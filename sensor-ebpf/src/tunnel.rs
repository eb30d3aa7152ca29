//! Which packets userspace looks into.

use crate::maps::TUNNEL_PORTS;
use sensor_ebpf::{Settings, ip_protocol, settings_flags, tunnel_port};

/// By protocol, and for UDP by the ports of the outer packet.
#[inline(always)]
pub fn is_tunnel(settings: &Settings, protocol: u8, source_port: u16, destination_port: u16) -> bool {
    if settings.flags & settings_flags::INNER_FLOWS == 0 {
        return false;
    }
    match protocol {
        ip_protocol::UDP => is_named(source_port) || is_named(destination_port),
        _ => ip_protocol::is_tunnel(protocol),
    }
}

#[inline(always)]
fn is_named(port: u16) -> bool {
    let (word, bit) = tunnel_port(port);
    match TUNNEL_PORTS.get(word) {
        Some(word) => word & bit != 0,
        None => false,
    }
}
