//! IP and transport, case by case.

use super::{HEADER_BYTES, decoded, payload, ports, tcp, udp, untagged, v4, v6, v6_with};
use crate::{
    flow::FlowKey,
    packet::{Fragment, Packet, Side},
};
use sensor_ebpf::hash::HashKey;
use traffic::frame::{
    Ethernet,
    ip::{self, Extension, Ip, Ipv4},
    transport::Transport,
};

#[test]
fn padding_is_not_payload() {
    let bytes = Ethernet::default().carry(&v4().packet(&udp(), b"abc"));
    assert_eq!(bytes.len(), 60);
    let packet = decoded(&bytes);
    assert_eq!(payload(&bytes, &packet), b"abc");
    assert_eq!(packet.network_bytes, 31);
}

#[test]
fn options_of_ipv4_are_skipped() {
    let ip = Ip::V4(Ipv4 { options: vec![7; 37], ..Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]) });
    let bytes = untagged().carry(&ip.packet(&udp(), b"abc"));
    let packet = decoded(&bytes);
    assert_eq!(ports(&packet), (4000, 53));
    assert_eq!(payload(&bytes, &packet), b"abc");
}

#[test]
fn a_total_length_of_zero_means_the_frame_ends_the_packet() {
    let mut bytes = untagged().carry(&v4().packet(&tcp(), b"abc"));
    bytes[HEADER_BYTES + 2..HEADER_BYTES + 4].copy_from_slice(&[0, 0]);
    let packet = decoded(&bytes);
    assert_eq!(packet.network_bytes as usize, bytes.len() - HEADER_BYTES);
    assert_eq!((payload(&bytes, &packet), packet.anomaly), (&b"abc"[..], None));
}

#[test]
fn an_ipv6_payload_length_of_zero_means_the_frame_ends_the_packet() {
    // Router alert instead of the jumbo option: which option it is makes no difference.
    let ip = v6_with(vec![Extension::HopByHop(vec![5, 2, 0, 0])]);
    let mut bytes = untagged().carry(&ip.packet(&tcp(), b"abc"));
    bytes[HEADER_BYTES + 4..HEADER_BYTES + 6].copy_from_slice(&[0, 0]);
    let packet = decoded(&bytes);
    assert_eq!(packet.network_bytes as usize, bytes.len() - HEADER_BYTES);
    assert_eq!((payload(&bytes, &packet), packet.anomaly), (&b"abc"[..], None));
}

#[test]
fn an_ipv6_header_alone_has_40_bytes_and_no_payload() {
    const NO_NEXT_HEADER: u8 = 59;
    let padded = Ethernet::default().carry(&v6().packet(&Transport::Other(NO_NEXT_HEADER), b""));
    assert_eq!(padded.len(), 60);
    let packet = decoded(&padded);
    assert_eq!((packet.network_bytes, packet.key.protocol()), (40, NO_NEXT_HEADER));
    assert!(packet.payload.is_empty());
}

#[test]
fn extension_headers_of_ipv6_are_walked_over() {
    let options = || Extension::DestinationOptions(vec![1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let ip = v6_with(vec![Extension::HopByHop(vec![5, 2, 0, 0]), options(), options()]);
    let plain = untagged().carry(&ip.packet(&udp(), b"abc"));
    let first_next_header = HEADER_BYTES + 40;
    assert_eq!(plain[first_next_header], 60);
    // The headers that have the same format as destination options.
    const ROUTING: u8 = 43;
    const MOBILITY: u8 = 135;
    const HOST_IDENTITY: u8 = 139;
    const SHIM6: u8 = 140;
    for header in [60, ROUTING, MOBILITY, HOST_IDENTITY, SHIM6] {
        let mut bytes = plain.clone();
        bytes[first_next_header] = header;
        let packet = decoded(&bytes);
        assert_eq!((ports(&packet), packet.key.protocol()), ((4000, 53), 17), "next header {header}");
        assert_eq!(payload(&bytes, &packet), b"abc");
        assert_eq!(packet.network_bytes as usize, bytes.len() - HEADER_BYTES);
    }
}

#[test]
fn eight_extension_headers_are_not_too_many() {
    let ip = v6_with(vec![Extension::DestinationOptions(Vec::new()); 7]);
    assert_eq!(ports(&decoded(&untagged().carry(&ip.packet(&udp(), b"")))), (4000, 53));
}

#[test]
fn only_the_first_fragment_has_ports() {
    let data: Vec<u8> = (0..100).collect();
    for ip in [v4(), v6(), v6_with(vec![Extension::HopByHop(Vec::new())])] {
        let fragments: Vec<Vec<u8>> =
            ip.fragments(&udp(), &data, 48, 9).iter().map(|packet| untagged().carry(packet)).collect();
        let packets: Vec<Packet> = fragments.iter().map(|bytes| decoded(bytes)).collect();
        let kinds: Vec<Fragment> = packets.iter().map(|packet| packet.fragment).collect();
        assert_eq!(kinds, [Fragment::First, Fragment::Later, Fragment::Later]);
        assert_eq!(packets.iter().map(ports).collect::<Vec<_>>(), [(4000, 53), (0, 0), (0, 0)]);
        assert!(packets.iter().all(|packet| packet.key.protocol() == 17 && packet.anomaly.is_none()));
        let carried = fragments.iter().zip(&packets).flat_map(|(bytes, packet)| payload(bytes, packet));
        assert_eq!(carried.copied().collect::<Vec<u8>>(), data);
        assert_eq!(packets[1].key, packets[2].key);
    }
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let atomic = ip::Fragment { offset: 0, more: false, identification: 1 };
    let ip = v6_with(vec![Extension::Fragment(atomic)]);
    let packet = decoded(&untagged().carry(&ip.packet(&udp(), b"abc")));
    assert_eq!((packet.fragment, ports(&packet)), (Fragment::Whole, (4000, 53)));
}

#[test]
fn one_end_talking_to_itself_has_a_key() {
    let ends = crate::flow::key::Ends { source_port: 80, destination_port: 80, protocol: 6 };
    let (key, sender) = FlowKey::v4([1, 1], ends);
    assert_eq!((key.end(Side::Low), sender), (key.end(Side::High), Side::Low));
}

#[test]
fn a_mapped_address_and_its_ipv4_address_are_different_flows() {
    let ends = crate::flow::key::Ends { source_port: 1, destination_port: 2, protocol: 17 };
    let (plain, _) = FlowKey::v4([7, 8], ends);
    let (mapped, _) = FlowKey::v6([(0, 7), (0, 8)], ends);
    assert_ne!(plain, mapped);
    assert_ne!(plain.hash(HashKey::default()), mapped.hash(HashKey::default()));
}
