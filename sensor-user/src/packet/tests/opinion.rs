//! A second decoder's opinion of the same frames: etherparse.

use super::{ends, ethernet, payload, ports, properties::check_hash, samples::sample};
use crate::packet::{Fragment, Packet, decode};
use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use kflow::IcmpKind;
use proptest::prelude::*;
use std::{net::IpAddr, ops::Range};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn valid_frames_decode_as_etherparse_decodes_them(sample in sample()) {
        let bytes = sample.bytes();
        let packet = decode(&ethernet(&bytes)).expect("valid frames belong to flows");
        prop_assert_eq!(Opinion::ours(&packet), Opinion::of_etherparse(&bytes));
        prop_assert_eq!(packet.anomaly, None);
        prop_assert_eq!(packet.fragment, Fragment::Whole);
        // What the generator meant.
        let (source, destination) = sample.transport.ports();
        prop_assert_eq!(ends(&packet), [(sample.ip.source(), source), (sample.ip.destination(), destination)]);
        prop_assert_eq!(payload(&bytes, &packet), &sample.payload);
        check_hash(&packet);
    }
}

/// What both decoders say about a frame.
#[derive(Debug, PartialEq, Eq)]
struct Opinion {
    addresses: [IpAddr; 2],
    /// Of TCP and UDP.
    ports: Option<(u16, u16)>,
    protocol: u8,
    vlan: u16,
    tos: u8,
    tcp_flags: u8,
    icmp: IcmpKind,
    network_bytes: usize,
    /// Of what etherparse parses: TCP, UDP, ICMP.
    payload: Option<Range<usize>>,
}

impl Opinion {
    fn ours(packet: &Packet) -> Opinion {
        let protocol = packet.key.protocol();
        let has_ports = matches!(protocol, 6 | 17);
        let is_parsed = matches!(protocol, 1 | 6 | 17 | 58);
        Opinion {
            addresses: ends(packet).map(|(address, _)| address),
            ports: has_ports.then(|| ports(packet)),
            protocol,
            vlan: packet.link.vlan,
            tos: packet.tos,
            tcp_flags: packet.tcp_flags,
            icmp: packet.icmp,
            network_bytes: packet.network_bytes as usize,
            payload: is_parsed.then_some(packet.payload.start as usize..packet.payload.end as usize),
        }
    }

    fn of_etherparse(bytes: &[u8]) -> Opinion {
        let sliced = SlicedPacket::from_ethernet(bytes).expect("the frame is valid");
        let vlan = match sliced.link_exts.first() {
            Some(LinkExtSlice::Vlan(tag)) => tag.vlan_identifier().value(),
            _ => 0,
        };
        let net = sliced.net.as_ref().expect("there is an IP header");
        let protocol = net.ip_payload_ref().expect("IP has a payload").ip_number.0;
        let (addresses, tos, network_bytes) = match net {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                let addresses = [header.source_addr().into(), header.destination_addr().into()];
                (addresses, header.slice()[1], usize::from(header.total_len()))
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                let addresses = [header.source_addr().into(), header.destination_addr().into()];
                (addresses, header.traffic_class(), usize::from(header.payload_length()) + 40)
            }
            NetSlice::Arp(_) => panic!("ARP was not generated"),
        };
        let opinion = Opinion {
            addresses,
            ports: None,
            protocol,
            vlan,
            tos,
            tcp_flags: 0,
            icmp: IcmpKind::default(),
            network_bytes,
            payload: None,
        };
        let within = |part: &[u8]| {
            let start = part.as_ptr().addr() - bytes.as_ptr().addr();
            Some(start..start + part.len())
        };
        match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => Opinion {
                ports: Some((tcp.source_port(), tcp.destination_port())),
                tcp_flags: tcp.slice()[13],
                payload: within(tcp.payload()),
                ..opinion
            },
            Some(TransportSlice::Udp(udp)) => Opinion {
                ports: Some((udp.source_port(), udp.destination_port())),
                payload: within(udp.payload()),
                ..opinion
            },
            Some(TransportSlice::Icmpv4(icmp)) => Opinion {
                icmp: IcmpKind { kind: icmp.type_u8(), code: icmp.code_u8() },
                payload: within(icmp.payload()),
                ..opinion
            },
            Some(TransportSlice::Icmpv6(icmp)) => Opinion {
                icmp: IcmpKind { kind: icmp.type_u8(), code: icmp.code_u8() },
                payload: within(icmp.payload()),
                ..opinion
            },
            Some(TransportSlice::Igmp(_)) | None => opinion,
        }
    }
}
