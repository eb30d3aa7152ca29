//! What a packet says beside its key: places, lengths on the wire, the TCP header, tags.

use super::{HEADER_BYTES, decoded, ethernet, tcp, udp, untagged, v4, v6, v6_with};
use crate::{
    packet::{Anomaly, LinkTags, Packet, TcpHeader, decode},
    source::Frame,
};
use traffic::frame::{
    Ethernet, Tag,
    ip::{Extension, Ip, Ipv4},
    transport::{Icmp, Transport},
};

const TCP_HEADER: TcpHeader = TcpHeader { sequence: 1, acknowledgement: 2, window: 1000, header_bytes: 32 };

/// With two bytes at an offset replaced.
fn with(mut bytes: Vec<u8>, at: usize, value: [u8; 2]) -> Vec<u8> {
    bytes[at..at + 2].copy_from_slice(&value);
    bytes
}

#[test]
fn places_and_lengths_are_those_of_the_frame() {
    for (ip, ip_bytes) in [
        (v4(), 20),
        (Ip::V4(Ipv4 { options: vec![1; 8], ..Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]) }), 28),
        (v6(), 40),
        (v6_with(vec![Extension::HopByHop(Vec::new())]), 48),
    ] {
        for (tags, link_bytes) in [(vec![], 14), (vec![Tag::vlan(5)], 18), (vec![Tag::vlan(5); 3], 26)] {
            for (transport, header_bytes, tcp) in [
                (tcp(), 32, TCP_HEADER),
                (udp(), 8, TcpHeader::default()),
                (Transport::Icmp(Icmp::echo_request(1, 1)), 8, TcpHeader::default()),
                (Transport::Other(89), 0, TcpHeader::default()),
            ] {
                let ethernet = Ethernet { tags: tags.clone(), ..Ethernet::default() };
                let packet = decoded(&ethernet.carry(&ip.packet(&transport, &[9; 100])));
                assert_eq!(
                    (packet.network_start, packet.transport_start),
                    (link_bytes, link_bytes + ip_bytes)
                );
                assert_eq!(packet.payload.start, link_bytes + ip_bytes + header_bytes);
                assert_eq!((packet.payload_wire_bytes, packet.ttl, packet.tcp), (100, 64, tcp));
            }
        }
    }
}

#[test]
fn a_payload_that_was_not_captured_counts_as_on_the_wire() {
    for ip in [v4(), v6()] {
        for (transport, header_bytes) in [(tcp(), 32), (udp(), 8)] {
            let bytes = untagged().carry(&ip.packet(&transport, &[9; 1000]));
            let headers = bytes.len() - 1000;
            for captured in [headers, headers + 1, bytes.len()] {
                let frame = Frame { bytes: &bytes[..captured], ..ethernet(&bytes) };
                let packet = decode(&frame).expect("headers are there");
                assert_eq!(packet.payload_wire_bytes, 1000, "{header_bytes}");
                assert_eq!(packet.payload.len(), captured - headers);
            }
        }
    }
}

#[test]
fn a_length_beyond_the_frame_is_bounded_by_the_frame() {
    let bytes = untagged().carry(&v4().packet(&tcp(), b"0123456789"));
    let total = (bytes.len() - HEADER_BYTES + 100) as u16;
    let packet = decoded(&with(bytes, HEADER_BYTES + 2, total.to_be_bytes()));
    assert_eq!((packet.payload_wire_bytes, packet.anomaly), (10, Some(Anomaly::LengthBeyondFrame)));
    assert_eq!(packet.tcp, TCP_HEADER);
}

#[test]
fn segmentation_offload_leaves_the_length_to_the_frame() {
    let bytes = untagged().carry(&v4().packet(&tcp(), &[9; 100]));
    let bytes = with(bytes, HEADER_BYTES + 2, [0, 0]);
    // As if the card had yet to cut 60 000 bytes, of which 100 were captured.
    let frame = Frame { wire_bytes: bytes.len() as u32 + 59_900, ..ethernet(&bytes) };
    let packet = decode(&frame).expect("a packet");
    assert_eq!((packet.payload_wire_bytes, packet.tcp, packet.anomaly), (60_000, TCP_HEADER, None));
}

#[test]
fn a_tcp_header_is_read_whole_or_not_at_all() {
    let bytes = untagged().carry(&v4().packet(&tcp(), b"abc"));
    let at = HEADER_BYTES + 20;
    let tcp_of = |bytes: &[u8], captured: usize| {
        let frame = Frame { bytes: &bytes[..captured], ..ethernet(bytes) };
        decode(&frame).expect("a packet").tcp
    };
    // Options need not have been captured.
    assert_eq!(tcp_of(&bytes, at + 20), TCP_HEADER);
    assert_eq!(tcp_of(&bytes, at + 19), TcpHeader::default());
    for offset in [0x40, 0xf0] {
        let odd = with(bytes.clone(), at + 12, [offset, 0x12]);
        assert_eq!(tcp_of(&odd, odd.len()), TcpHeader::default());
    }
    for fragment in v4().fragments(&tcp(), &[9; 100], 64, 1) {
        assert_eq!(decoded(&untagged().carry(&fragment)).tcp, TcpHeader::default());
    }
}

#[test]
fn fragments_have_the_payload_that_they_carry() {
    for ip in [v4(), v6()] {
        let packets: Vec<Packet> = ip
            .fragments(&udp(), &[9; 92], 48, 1)
            .iter()
            .map(|packet| decoded(&untagged().carry(packet)))
            .collect();
        let payloads: Vec<u32> = packets.iter().map(|packet| packet.payload_wire_bytes).collect();
        assert_eq!(payloads, [40, 48, 4]);
        assert!(packets.iter().all(|packet| packet.payload.len() == packet.payload_wire_bytes as usize));
        assert_eq!(packets[1].transport_start, packets[1].payload.start);
    }
}

#[test]
fn tags_labels_and_sessions_are_kept() {
    let packet = v4().packet(&udp(), b"abc").bytes;
    let tagged = |tags: Vec<Tag>, ethertype, header: &[u8]| {
        let bytes = Ethernet { tags, ..untagged() }.frame(ethertype, &[header, &packet].concat());
        decoded(&bytes).link
    };
    let none = LinkTags::default();
    let outer_inner = LinkTags { vlan: 9, inner_vlan: 8, ..none };
    assert_eq!(tagged(vec![Tag::provider(9), Tag::vlan(8), Tag::vlan(7)], 0x0800, &[]), outer_inner);
    let length = (packet.len() as u16 + 2).to_be_bytes();
    let session = [&[0x11, 0, 0x12, 0x34][..], &length, &[0x00, 0x21]].concat();
    let expected = LinkTags { vlan: 9, pppoe_session: 0x1234, ..none };
    assert_eq!(tagged(vec![Tag::vlan(9)], 0x8864, &session), expected);
    // Labels 0xabcde and 1, the second with the bottom bit.
    let labels = [0xab, 0xcd, 0xe0, 64, 0, 0, 0x11, 64];
    let expected = LinkTags { mpls_labels: 2, mpls_label: 0xabcde, ..none };
    assert_eq!(tagged(vec![], 0x8847, &labels), expected);
    assert_eq!(tagged(vec![], 0x8848, &labels), expected);
}
