//! Frames that belong to no flow, and packets with something odd: each reason has a case.

use super::{HEADER_BYTES, ethernet, frame, ports, tcp, udp, untagged, v4, v6, v6_with};
use crate::{
    packet::{Anomaly, NotFlow, NotInner, decode},
    source::{Frame, LinkType},
};
use std::collections::HashSet;
use traffic::frame::{
    Ethernet, Tag, ether_type,
    ip::{Extension, Ip},
    transport::{Icmp, Sctp, Transport},
};

/// One frame for each reason not to belong to a flow, with the reason.
fn not_flows() -> Vec<(NotFlow, LinkType, Vec<u8>)> {
    let ip4 = |bytes: &[u8]| untagged().frame(ether_type::IPV4, bytes);
    let ip6 = |bytes: &[u8]| untagged().frame(ether_type::IPV6, bytes);
    let good4 = v4().packet(&udp(), b"data").bytes;
    let good6 = v6().packet(&udp(), b"data").bytes;
    let with_first = |bytes: &[u8], first: u8| [&[first], &bytes[1..]].concat();
    let tags = |count| Ethernet { tags: vec![Tag::vlan(1); count], ..untagged() };
    let nine_headers = vec![Extension::DestinationOptions(Vec::new()); 9];
    let on_ethernet = |reason, bytes| (reason, LinkType::ETHERNET, bytes);
    vec![
        on_ethernet(NotFlow::LinkTruncated, vec![0; HEADER_BYTES - 1]),
        on_ethernet(
            NotFlow::LinkTruncated,
            tags(1).frame(ether_type::IPV4, &[])[..HEADER_BYTES + 3].to_vec(),
        ),
        (NotFlow::LinkTruncated, LinkType::RAW, Vec::new()),
        (NotFlow::LinkTruncated, LinkType::NULL, vec![2, 0, 0]),
        (NotFlow::LinkTruncated, LinkType::LOOP, vec![0, 0, 0, 2]),
        (NotFlow::LinkTruncated, LinkType::LINUX_SLL, vec![0; 15]),
        (NotFlow::LinkTruncated, LinkType::LINUX_SLL2, vec![8; 19]),
        (NotFlow::LinkUnsupported, LinkType(189), good4.clone()),
        on_ethernet(NotFlow::Arp, Ethernet::default().arp_request([10, 0, 0, 1], [10, 0, 0, 2])),
        on_ethernet(NotFlow::Llc, untagged().frame(38, &[0x42; 38])),
        on_ethernet(NotFlow::VlanDepth, tags(5).frame(ether_type::IPV4, &good4)),
        // A stack of 17 labels, none of which is the last.
        on_ethernet(NotFlow::LinkDepth, untagged().frame(0x8847, &[0; 68])),
        // MACsec with its "encrypted" bit.
        on_ethernet(NotFlow::LinkEncrypted, untagged().frame(0x88e5, &[0x0c; 46])),
        on_ethernet(NotFlow::OtherEtherType, untagged().frame(ether_type::LLDP, &[0; 46])),
        (NotFlow::OtherEtherType, LinkType::RAW, vec![0x50; 60]),
        (NotFlow::OtherEtherType, LinkType::NULL, vec![7; 60]),
        on_ethernet(NotFlow::Ipv4Truncated, ip4(&good4[..19])),
        on_ethernet(NotFlow::Ipv4Truncated, ip4(&[])),
        on_ethernet(NotFlow::Ipv4Version, ip4(&with_first(&good4, 0x65))),
        on_ethernet(NotFlow::Ipv4HeaderLength, ip4(&with_first(&good4, 0x44))),
        on_ethernet(NotFlow::Ipv6Truncated, ip6(&good6[..39])),
        on_ethernet(NotFlow::Ipv6Version, ip6(&with_first(&good6, 0x45))),
        on_ethernet(
            NotFlow::Ipv6ExtensionDepth,
            untagged().carry(&v6_with(nine_headers).packet(&udp(), b"")),
        ),
    ]
}

#[test]
fn frames_that_belong_to_no_flow_say_why() {
    for (reason, link, bytes) in not_flows() {
        assert_eq!(decode(&frame(link, &bytes)), Err(reason), "{link:?} {bytes:02x?}");
    }
}

#[test]
fn every_reason_of_the_decoder_has_a_case() {
    let reached: Vec<NotFlow> = not_flows().into_iter().map(|(reason, ..)| reason).collect();
    for reason in NotFlow::ALL {
        // These two are the verdicts of sources.
        let is_verdict = matches!(reason, NotFlow::Filtered | NotFlow::SampledOut);
        assert_ne!(reached.contains(&reason), is_verdict, "{}", reason.name());
    }
    let reached: Vec<Anomaly> = oddities().into_iter().map(|(anomaly, ..)| anomaly).collect();
    // That one is said of packets in tunnels.
    for anomaly in Anomaly::ALL.into_iter().filter(|anomaly| *anomaly != Anomaly::TunnelDepth) {
        assert!(reached.contains(&anomaly), "{}", anomaly.name());
    }
}

#[test]
fn names_of_reasons_are_unique() {
    let names = NotFlow::ALL.map(NotFlow::name).into_iter().chain(Anomaly::ALL.map(Anomaly::name));
    let names = names.chain(NotInner::ALL.map(NotInner::name));
    let reasons = NotFlow::ALL.len() + Anomaly::ALL.len() + NotInner::ALL.len();
    assert_eq!(names.collect::<HashSet<_>>().len(), reasons);
}

/// The anomaly, the frame, how much of it was captured, the ports that are found all the same.
type Oddity = (Anomaly, Vec<u8>, usize, (u16, u16));

/// Packets with something odd, several for some anomalies.
fn oddities() -> Vec<Oddity> {
    let over_v4 = |transport: &Transport| untagged().carry(&v4().packet(transport, b"0123456789"));
    let over_v6 = |ip: &Ip| untagged().carry(&ip.packet(&udp(), b"0123456789"));
    let hop_by_hop = over_v6(&v6_with(vec![Extension::HopByHop(Vec::new())]));
    let (at4, at6) = (HEADER_BYTES + 20, HEADER_BYTES + 40);
    // Bytes at an offset replaced; everything captured.
    let with = |mut bytes: Vec<u8>, at: usize, value: [u8; 2]| {
        bytes[at..at + 2].copy_from_slice(&value);
        bytes
    };
    let (udp4, tcp4) = (over_v4(&udp()), over_v4(&tcp()));
    let sctp = Transport::Sctp(Sctp { source_port: 5, destination_port: 6, verification_tag: 0 });
    let icmp = Transport::Icmp(Icmp::echo_request(1, 1));
    let whole = |anomaly, bytes: Vec<u8>, ports| {
        let length = bytes.len();
        (anomaly, bytes, length, ports)
    };
    vec![
        whole(Anomaly::Ipv4TotalLengthShort, with(udp4.clone(), HEADER_BYTES + 2, [0, 19]), (0, 0)),
        whole(Anomaly::LengthBeyondFrame, with(udp4.clone(), HEADER_BYTES + 2, [0, 39]), (4000, 53)),
        whole(Anomaly::LengthBeyondFrame, with(over_v6(&v6()), HEADER_BYTES + 4, [0, 19]), (4000, 53)),
        (Anomaly::ExtensionTruncated, hop_by_hop.clone(), at6 + 3, (0, 0)),
        // The header is longer than the packet: nothing is left for the upper layer.
        whole(Anomaly::TransportTruncated, with(hop_by_hop, at6 + 1, [200, 0]), (0, 0)),
        (Anomaly::TransportTruncated, udp4.clone(), at4 + 3, (0, 0)),
        (Anomaly::TransportTruncated, udp4.clone(), at4 + 7, (4000, 53)),
        (Anomaly::TransportTruncated, tcp4.clone(), at4 + 19, (4000, 443)),
        (Anomaly::TransportTruncated, tcp4.clone(), at4 + 31, (4000, 443)),
        (Anomaly::TransportTruncated, over_v4(&sctp), at4 + 11, (5, 6)),
        (Anomaly::TransportTruncated, over_v4(&icmp), at4 + 1, (0, 0)),
        whole(Anomaly::TcpHeaderLength, with(tcp4.clone(), at4 + 12, [0x40, 0x12]), (4000, 443)),
        whole(Anomaly::TcpHeaderLength, with(tcp4, at4 + 12, [0xf0, 0x12]), (4000, 443)),
        whole(Anomaly::UdpLength, with(udp4.clone(), at4 + 4, [0, 7]), (4000, 53)),
        whole(Anomaly::UdpLength, with(udp4, at4 + 4, [0, 19]), (4000, 53)),
    ]
}

#[test]
fn odd_packets_are_marked_and_still_belong_to_a_flow() {
    for (anomaly, bytes, captured, expected) in oddities() {
        let packet =
            decode(&Frame { bytes: &bytes[..captured], ..ethernet(&bytes) }).expect("a packet of a flow");
        assert_eq!(packet.anomaly, Some(anomaly), "{bytes:02x?}");
        assert_eq!(ports(&packet), expected, "{}", anomaly.name());
    }
}
