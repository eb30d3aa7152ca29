//! What holds for any bytes on any link, and for any valid frame.

use super::{
    HEADER_BYTES, decoded, ends, ethernet, frame, links, payload,
    samples::sample,
    wrap::{PAYLOAD, nested},
};
use crate::{
    packet::{
        Packet, TUNNEL_DEPTH_MAX, TunnelPorts, decode, decode_any, decode_inner, mac_addresses, may_carry,
    },
    source::{Frame, LinkType},
};
use proptest::prelude::*;
use sensor_ebpf::hash::{self, HashKey};
use std::net::{IpAddr, Ipv6Addr};

/// What holds for every frame, however broken.
fn check(frame: &Frame<'_>) {
    mac_addresses(frame);
    let decoded = decode(frame);
    let mut general = Packet::EMPTY;
    assert_eq!(decoded, decode_any(frame, &mut general).map(|()| general));
    let Ok(packet) = decoded else { return };
    check_ranges(&packet, frame.bytes.len());
    assert!(packet.link.vlan < 4096 && packet.link.inner_vlan < 4096);
    check_hash(&packet);
    check_inner(frame, &packet);
}

fn check_ranges(packet: &Packet, captured: usize) {
    assert!(packet.network_start < packet.transport_start || captured == 0);
    assert!(packet.transport_start <= packet.payload.end);
    assert!(packet.payload.start <= packet.payload.end);
    assert!(packet.payload.end as usize <= captured);
    assert!(packet.tcp.header_bytes == 0 || (20..=60).contains(&packet.tcp.header_bytes));
}

/// An inner packet lies within the outer one.
fn check_inner(frame: &Frame<'_>, outer: &Packet) {
    let mut inner = Packet::EMPTY;
    let ports = TunnelPorts::default();
    let result = decode_inner(frame, outer, &ports, &mut inner);
    if result.is_err() {
        return assert_eq!(inner, Packet::EMPTY);
    }
    assert!(may_carry(outer, &ports));
    check_ranges(&inner, outer.payload.end as usize);
    assert!(inner.transport_start > outer.transport_start);
    assert!(inner.payload_wire_bytes < outer.payload_wire_bytes.max(1));
    assert!(inner.tunnel.depth < TUNNEL_DEPTH_MAX);
    assert!((outer.network_start..=inner.network_start).contains(&inner.tunnel.outer_start));
}

/// The key hashes as the kernel program would hash the two ends, in either order.
pub fn check_hash(packet: &Packet) {
    let key = HashKey { endpoint: 0x1234_5678_9abc_def1, flow: 0xfeed_beef_0bad_cafe };
    let [source, destination] = ends(packet);
    let protocol = packet.key.protocol();
    let of = |(source_address, source_port), (destination_address, destination_port)| match (
        source_address,
        destination_address,
    ) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let ends = [(source.to_bits(), source_port), (destination.to_bits(), destination_port)];
            hash::flow_v4(key, ends[0], ends[1], protocol)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let halves = |address: Ipv6Addr| ((address.to_bits() >> 64) as u64, address.to_bits() as u64);
            let (source, destination) = (halves(source), halves(destination));
            hash::flow_v6(
                key,
                (source.0, source.1, source_port),
                (destination.0, destination.1, destination_port),
                protocol,
            )
        }
        mixed => panic!("two families in one key: {mixed:?}"),
    };
    assert_eq!(packet.key.hash(key), of(source, destination));
    assert_eq!(packet.key.hash(key), of(destination, source));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        link in (0u16..300).prop_map(LinkType),
        wire_bytes in prop_oneof![0u32..300, any::<u32>()],
    ) {
        check(&Frame { wire_bytes, ..frame(link, &bytes) });
    }

    #[test]
    fn damaged_frames_never_panic(
        sample in sample(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        kept in any::<prop::sample::Index>(),
        link in (0u16..300).prop_map(LinkType),
    ) {
        let mut bytes = sample.bytes();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let whole = ethernet(&bytes);
        check(&whole);
        // As captured with a snap length, then as if it were complete, then on another link.
        let kept = kept.index(bytes.len());
        check(&Frame { bytes: &bytes[..kept], ..whole });
        check(&ethernet(&bytes[..kept]));
        check(&frame(link, &bytes));
        check(&frame(link, &bytes[HEADER_BYTES..]));
    }

    #[test]
    fn damaged_link_headers_never_panic(
        case in prop::sample::select(links::cases()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        kept in any::<prop::sample::Index>(),
    ) {
        let (link, header, version) = case;
        let mut bytes = [&header[..], &links::packet_of(version)].concat();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&frame(link, &bytes));
        check(&Frame { bytes: &bytes[..kept.index(bytes.len())], ..frame(link, &bytes) });
    }

    #[test]
    fn damaged_tunnels_never_panic(
        packet in nested(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        kept in any::<prop::sample::Index>(),
    ) {
        let mut bytes = packet.bytes;
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&frame(LinkType::RAW, &bytes));
        check(&Frame { bytes: &bytes[..kept.index(bytes.len())], ..frame(LinkType::RAW, &bytes) });
    }

    #[test]
    fn any_nest_of_tunnels_leads_to_the_packet_inside(packet in nested()) {
        let bytes = packet.bytes;
        let whole = frame(LinkType::RAW, &bytes);
        let outer = decode(&whole).expect("a packet");
        let ports = TunnelPorts::default();
        if !may_carry(&outer, &ports) {
            prop_assert_eq!(payload(&bytes, &outer), PAYLOAD);
            return Ok(());
        }
        let mut inner = Packet::EMPTY;
        prop_assert_eq!(decode_inner(&whole, &outer, &ports, &mut inner), Ok(()));
        prop_assert_eq!(payload(&bytes, &inner), PAYLOAD);
        prop_assert_eq!(inner.anomaly, None);
        prop_assert_eq!(inner.tunnel.depth as usize, packet.headers - 1);
    }

    #[test]
    fn the_answer_has_the_same_key_and_the_other_side(sample in sample()) {
        let there = decoded(&sample.bytes());
        let back = decoded(&sample.reversed().bytes());
        prop_assert_eq!(there.key, back.key);
        let [source, destination] = ends(&there);
        if source != destination {
            prop_assert_ne!(there.sender, back.sender);
        }
    }

    #[test]
    fn a_snapped_frame_keeps_its_key_and_lengths(sample in sample(), cut in any::<prop::sample::Index>()) {
        let bytes = sample.bytes();
        let whole = decoded(&bytes);
        let header_bytes = whole.payload.start as usize;
        let kept = header_bytes + cut.index(bytes.len() - header_bytes + 1);
        let snapped = decode(&Frame { bytes: &bytes[..kept], ..ethernet(&bytes) }).expect("headers are there");
        let end = whole.payload.end.min(kept as u32);
        prop_assert_eq!(snapped, Packet { payload: whole.payload.start..end, ..whole });
    }
}
