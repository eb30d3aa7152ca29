//! Any bytes on any link decode without a panic to the innermost packet, and what comes out lies within them.
//!
//! Input: link type and wire length beyond the captured bytes, two bytes each, then the frame.
#![no_main]

use kflow::TunnelKind;
use libfuzzer_sys::fuzz_target;
use sensor_ebpf::hash::HashKey;
use sensor_user::{
    packet::{self, Packet, TUNNEL_DEPTH_MAX, TunnelPorts},
    source::{Frame, LinkType},
};

fuzz_target!(|input: &[u8]| {
    let Some((&[a, b, c, d], bytes)) = input.split_first_chunk::<4>() else { return };
    let wire_bytes = bytes.len() as u32 + u32::from(u16::from_le_bytes([c, d]));
    let link = LinkType(u16::from_le_bytes([a, b]));
    let frame = Frame { bytes, wire_bytes, link, ..Frame::EMPTY };
    packet::mac_addresses(&frame);
    let Ok(packet) = packet::decode(&frame) else { return };
    assert_within(&packet, bytes);
    let ports = TunnelPorts::default();
    let mut inner = Packet::EMPTY;
    if packet::decode_inner(&frame, &packet, &ports, &mut inner).is_ok() {
        assert!(packet::may_carry(&packet, &ports));
        assert!(inner.tunnel.depth < TUNNEL_DEPTH_MAX);
        assert!(inner.tunnel.outer_start >= packet.network_start);
        // What an authentication header protects has the addresses of the packet that it is in.
        let is_within = inner.network_start > inner.tunnel.outer_start;
        assert!(is_within || inner.tunnel.kind == TunnelKind::Ah);
        assert_within(&inner, bytes);
    }
});

fn assert_within(packet: &Packet, bytes: &[u8]) {
    assert!(packet.payload.start <= packet.payload.end);
    assert!(packet.payload.end as usize <= bytes.len());
    let (low, high) = (packet.key.end(packet.sender), packet.key.end(packet.sender.other()));
    assert_eq!(low.0.is_ipv4(), high.0.is_ipv4());
    packet.key.hash(HashKey { endpoint: 1, flow: 2 });
}
