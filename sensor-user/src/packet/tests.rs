//! The decoder against arbitrary bytes, against a second decoder, and case by case.

use super::{Anomaly, Fragment, NotFlow, Packet, Side, decode, mac_addresses};
use crate::{
    flow::FlowKey,
    source::{Frame, LinkType},
};
use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use kflow::{IcmpKind, MacAddress};
use proptest::prelude::*;
use sensor_ebpf::hash::{self, HashKey};
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};
use traffic::frame::{
    Ethernet, Padding, Tag, ether_type,
    ip::{self, Extension, Ip, Ipv4, Ipv6},
    transport::{Icmp, Sctp, Tcp, Transport, Udp},
};

const LINKS: [LinkType; 10] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    // USB, which carries no packets of its own.
    LinkType(189),
    LinkType(u16::MAX),
];

const HEADER_BYTES: usize = 14;

fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, wire_bytes: bytes.len() as u32, link, ..Frame::EMPTY }
}

fn ethernet(bytes: &[u8]) -> Frame<'_> {
    frame(LinkType::ETHERNET, bytes)
}

fn untagged() -> Ethernet {
    Ethernet { padding: Padding::Never, ..Ethernet::default() }
}

fn v4() -> Ip {
    Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]))
}

fn v6() -> Ip {
    v6_with(Vec::new())
}

fn v6_with(extensions: Vec<Extension>) -> Ip {
    let [source, destination] = [1, 2].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    Ip::V6(Ipv6 { extensions, ..Ipv6::between(source, destination) })
}

fn udp() -> Transport {
    Transport::Udp(Udp { source_port: 4000, destination_port: 53 })
}

fn tcp() -> Transport {
    Transport::Tcp(Tcp {
        source_port: 4000,
        destination_port: 443,
        sequence: 1,
        acknowledgement: 2,
        flags: 0x12,
        window: 1000,
        options: vec![1; 12],
    })
}

/// Both ends, the sender first.
fn ends(packet: &Packet) -> [(IpAddr, u16); 2] {
    [packet.key.end(packet.sender), packet.key.end(packet.sender.other())]
}

fn ports(packet: &Packet) -> (u16, u16) {
    let [(_, source), (_, destination)] = ends(packet);
    (source, destination)
}

fn decoded(bytes: &[u8]) -> Packet {
    decode(&ethernet(bytes)).expect("a packet of a flow")
}

fn payload<'a>(bytes: &'a [u8], packet: &Packet) -> &'a [u8] {
    &bytes[packet.payload.start as usize..packet.payload.end as usize]
}

// Any bytes.

/// What holds for every frame, however broken.
fn check(frame: &Frame<'_>) {
    mac_addresses(frame);
    let Ok(packet) = decode(frame) else { return };
    assert!(packet.payload.start <= packet.payload.end);
    assert!(packet.payload.end as usize <= frame.bytes.len());
    assert!(packet.link.vlan < 4096);
    check_hash(&packet);
}

/// The key hashes as the kernel program would hash the two ends, in either order.
fn check_hash(packet: &Packet) {
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
        link in prop::sample::select(LINKS.to_vec()),
        wire_bytes in prop_oneof![0u32..300, any::<u32>()],
    ) {
        check(&Frame { wire_bytes, ..frame(link, &bytes) });
    }

    #[test]
    fn damaged_frames_never_panic(
        sample in sample(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        kept in any::<prop::sample::Index>(),
        link in prop::sample::select(LINKS.to_vec()),
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

/// A frame and what it is made of.
#[derive(Clone, Debug)]
struct Sample {
    ethernet: Ethernet,
    ip: Ip,
    transport: Transport,
    payload: Vec<u8>,
}

impl Sample {
    fn bytes(&self) -> Vec<u8> {
        self.ethernet.carry(&self.ip.packet(&self.transport, &self.payload))
    }

    fn reversed(&self) -> Sample {
        let swap = |source_port, destination_port| (destination_port, source_port);
        let transport = match self.transport.clone() {
            Transport::Tcp(tcp) => {
                let (source_port, destination_port) = swap(tcp.source_port, tcp.destination_port);
                Transport::Tcp(Tcp { source_port, destination_port, ..tcp })
            }
            Transport::Udp(udp) => {
                let (source_port, destination_port) = swap(udp.source_port, udp.destination_port);
                Transport::Udp(Udp { source_port, destination_port })
            }
            Transport::Sctp(sctp) => {
                let (source_port, destination_port) = swap(sctp.source_port, sctp.destination_port);
                Transport::Sctp(Sctp { source_port, destination_port, ..sctp })
            }
            other => other,
        };
        let (ethernet, ip) = (self.ethernet.reversed(), self.ip.reversed());
        Sample { ethernet, ip, transport, payload: self.payload.clone() }
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    (ethernet_header(), ip_and_transport(), payload).prop_map(|(ethernet, (ip, transport), payload)| Sample {
        ethernet,
        ip,
        transport,
        payload,
    })
}

fn ethernet_header() -> impl Strategy<Value = Ethernet> {
    // Three is as many as etherparse follows.
    let tag = (prop::sample::select(vec![0x8100, 0x88a8, 0x9100]), 0u16..4096, 0u8..8)
        .prop_map(|(ether_type, id, priority)| Tag { ether_type, id, priority });
    let padding = prop_oneof![Just(Padding::ToMinimum), Just(Padding::Never)];
    (any::<[u8; 6]>(), any::<[u8; 6]>(), prop::collection::vec(tag, 0..=3), padding)
        .prop_map(|(source, destination, tags, padding)| Ethernet { source, destination, tags, padding })
}

fn ip_and_transport() -> impl Strategy<Value = (Ip, Transport)> {
    let options = prop::collection::vec(any::<u8>(), 0..=40);
    let v4 = (address_v4(), address_v4(), any::<u8>(), options, any::<bool>()).prop_map(
        |(source, destination, tos, options, dont_fragment)| {
            let ip = Ipv4 { tos, options, dont_fragment, ..Ipv4::between(source, destination) };
            Ip::V4(ip)
        },
    );
    let extension = || prop::collection::vec(any::<u8>(), 0..30);
    let extensions = (prop::option::of(extension()), prop::collection::vec(extension(), 0..2)).prop_map(
        |(hop_by_hop, destination)| {
            let hop_by_hop = hop_by_hop.into_iter().map(Extension::HopByHop);
            hop_by_hop.chain(destination.into_iter().map(Extension::DestinationOptions)).collect()
        },
    );
    let v6 = (address_v6(), address_v6(), any::<u8>(), 0u32..1 << 20, extensions).prop_map(
        |(source, destination, traffic_class, flow_label, extensions)| {
            let ip = Ipv6 { traffic_class, flow_label, extensions, ..Ipv6::between(source, destination) };
            Ip::V6(ip)
        },
    );
    let icmp = || {
        (any::<u8>(), any::<u16>()).prop_map(|(code, identifier)| Icmp {
            kind: 8,
            code,
            identifier,
            sequence: 1,
        })
    };
    prop_oneof![
        (v4, prop_oneof![6 => transport(), 1 => icmp().prop_map(Transport::Icmp)]),
        (v6, prop_oneof![6 => transport(), 1 => icmp().prop_map(Transport::Icmpv6)]),
    ]
}

/// Few of them, so that ends are equal or differ only by port now and then.
fn address_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![any::<u32>(), 0x0a00_0000..0x0a00_0003u32].prop_map(Ipv4Addr::from_bits)
}

fn address_v6() -> impl Strategy<Value = Ipv6Addr> {
    let near = (0u128..3, 0u128..3).prop_map(|(upper, lower)| upper << 64 | lower);
    prop_oneof![any::<u128>(), near].prop_map(Ipv6Addr::from_bits)
}

fn transport() -> impl Strategy<Value = Transport> {
    let port = || prop_oneof![any::<u16>(), 79u16..82];
    let options = prop::collection::vec(any::<u8>(), 0..=40);
    let tcp =
        (port(), port(), any::<u8>(), options).prop_map(|(source_port, destination_port, flags, options)| {
            let (sequence, acknowledgement, window) = (7, 8, 9);
            Transport::Tcp(Tcp {
                source_port,
                destination_port,
                sequence,
                acknowledgement,
                flags,
                window,
                options,
            })
        });
    let udp = (port(), port())
        .prop_map(|(source_port, destination_port)| Transport::Udp(Udp { source_port, destination_port }));
    let sctp = (port(), port()).prop_map(|(source_port, destination_port)| {
        Transport::Sctp(Sctp { source_port, destination_port, verification_tag: 1 })
    });
    let other = prop::sample::select(vec![47, 50, 89, 253]).prop_map(Transport::Other);
    prop_oneof![3 => tcp, 3 => udp, 1 => sctp, 1 => other]
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

// Reasons.

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
    assert_eq!(names.collect::<HashSet<_>>().len(), NotFlow::ALL.len() + Anomaly::ALL.len());
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

// Named cases.

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
fn the_outermost_tag_names_the_vlan() {
    for (tags, vlan) in [
        (vec![], 0),
        (vec![Tag { priority: 7, ..Tag::vlan(100) }], 100),
        (vec![Tag::provider(4095), Tag::vlan(100)], 4095),
        (vec![Tag { ether_type: 0x9100, id: 7, priority: 0 }, Tag::vlan(100)], 7),
        (vec![Tag::vlan(4), Tag::vlan(3), Tag::vlan(2), Tag::vlan(1)], 4),
    ] {
        let bytes = Ethernet { tags, ..untagged() }.carry(&v4().packet(&udp(), b"abc"));
        let packet = decoded(&bytes);
        assert_eq!((packet.link.vlan, payload(&bytes, &packet)), (vlan, &b"abc"[..]));
    }
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    let [packet4, packet6] = [v4(), v6()].map(|ip| ip.packet(&udp(), b"abc").bytes);
    let sll = |protocol: [u8; 2]| [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &protocol].concat();
    let sll2 = |protocol: [u8; 2]| [&protocol[..], &[0; 18]].concat();
    let cases: [(LinkType, Vec<u8>, &[u8]); 15] = [
        (LinkType::RAW, vec![], &packet4),
        (LinkType::RAW, vec![], &packet6),
        (LinkType::IPV4, vec![], &packet4),
        (LinkType::IPV6, vec![], &packet6),
        (LinkType::NULL, vec![2, 0, 0, 0], &packet4),
        (LinkType::NULL, vec![0, 0, 0, 2], &packet4),
        (LinkType::LOOP, vec![0, 0, 0, 2], &packet4),
        (LinkType::NULL, vec![24, 0, 0, 0], &packet6),
        (LinkType::NULL, vec![28, 0, 0, 0], &packet6),
        (LinkType::LOOP, vec![0, 0, 0, 30], &packet6),
        (LinkType::NULL, vec![10, 0, 0, 0], &packet6),
        (LinkType::LINUX_SLL, sll([0x08, 0x00]), &packet4),
        (LinkType::LINUX_SLL, sll([0x86, 0xdd]), &packet6),
        (LinkType::LINUX_SLL2, sll2([0x08, 0x00]), &packet4),
        (LinkType::LINUX_SLL2, sll2([0x86, 0xdd]), &packet6),
    ];
    for (link, header, packet) in cases {
        let bytes = [&header, packet].concat();
        let decoded = decode(&frame(link, &bytes)).expect("a packet of a flow");
        assert_eq!(ports(&decoded), (4000, 53), "{link:?}");
        assert_eq!(payload(&bytes, &decoded), b"abc");
        assert_eq!((decoded.network_bytes as usize, decoded.anomaly), (packet.len(), None));
        assert_eq!(mac_addresses(&frame(link, &bytes)), Default::default());
    }
}

#[test]
fn tags_are_followed_on_cooked_links_too() {
    let packet = v4().packet(&udp(), b"abc").bytes;
    let header = [&[0; 14][..], &[0x81, 0x00, 0x00, 0x2a, 0x08, 0x00]].concat();
    let bytes = [&header[..], &packet].concat();
    let decoded = decode(&frame(LinkType::LINUX_SLL, &bytes)).expect("a packet of a flow");
    assert_eq!((decoded.link.vlan, ports(&decoded)), (42, (4000, 53)));
}

#[test]
fn mac_addresses_are_in_wire_order() {
    let bytes = Ethernet::default().carry(&v4().packet(&udp(), b""));
    let [source, destination] = [1, 2].map(|last| MacAddress([2, 0, 0, 0, 0, last]));
    assert_eq!(mac_addresses(&ethernet(&bytes)), (destination, source));
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
