//! Tunnels: what is inside of each, how deep it goes, and what only looks like one.

use super::{
    HEADER_BYTES, decoded, ends, ethernet, payload, ports, tcp, udp, untagged, v4, v6,
    wrap::{Inside, Outside, Wrapping, outers, teredo_v6, wrappings},
};
use crate::{
    flow::key::Domain,
    packet::{
        Anomaly, Fragment, NotInner, Packet, TUNNEL_DEPTH_MAX, TunnelPorts, UdpTunnel, decode, decode_inner,
        may_carry,
    },
    source::Frame,
};
use kflow::TunnelKind;
use traffic::frame::{
    self, Ethernet,
    ip::Ip,
    transport::{Icmp, Transport, Udp},
};

fn inner_of(bytes: &[u8]) -> Result<Packet, NotInner> {
    inner_of_frame(&ethernet(bytes))
}

fn inner_of_frame(frame: &Frame<'_>) -> Result<Packet, NotInner> {
    let outer = decode(frame).expect("the outer packet is sound");
    let ports = TunnelPorts::default();
    assert!(may_carry(&outer, &ports), "{outer:?}");
    let mut inner = Packet::EMPTY;
    let result = decode_inner(frame, &outer, &ports, &mut inner);
    if result.is_err() {
        assert_eq!(inner, Packet::EMPTY);
    }
    result.map(|()| inner)
}

fn carried_by_udp(source_port: u16, destination_port: u16, content: &[u8]) -> Vec<u8> {
    let transport = Transport::Udp(Udp { source_port, destination_port });
    untagged().carry(&v4().packet(&transport, content))
}

fn carried_by(protocol: u8, content: &[u8]) -> Vec<u8> {
    untagged().carry(&v4().packet(&Transport::Other(protocol), content))
}

fn echo(ip: &Ip) -> Transport {
    match ip {
        Ip::V4(_) => Transport::Icmp(Icmp::echo_request(1, 1)),
        Ip::V6(_) => Transport::Icmpv6(Icmp::echo_request_v6(1, 1)),
    }
}

#[test]
fn every_tunnel_leads_to_the_packet_inside() {
    for outer in outers() {
        for ip in [v4(), teredo_v6()] {
            for transport in [tcp(), udp(), echo(&ip)] {
                let packet = ip.packet(&transport, b"abc");
                let alone = decoded(&untagged().carry(&packet));
                for wrapping in wrappings(&outer, &packet) {
                    check_wrapped(&outer, &wrapping, &packet, &alone);
                }
            }
        }
    }
}

fn check_wrapped(outer: &Ip, wrapping: &Wrapping, packet: &frame::ip::Packet, alone: &Packet) {
    let bytes = untagged().carry(&wrapping.wrap(outer, packet));
    let inner = inner_of(&bytes).unwrap_or_else(|reason| panic!("{}: {wrapping:02x?}", reason.name()));
    let id = if wrapping.is_domain { wrapping.id } else { 0 };
    assert_eq!(inner.key, alone.key.within(Domain::new(wrapping.kind, id)), "{wrapping:02x?}");
    let tunnel = inner.tunnel;
    assert_eq!((tunnel.kind, tunnel.id, tunnel.depth), (wrapping.kind, wrapping.id, 1));
    assert_eq!(tunnel.outer_start as usize, HEADER_BYTES);
    assert_eq!(payload(&bytes, &inner), b"abc");
    assert_eq!(inner.link.vlan, if wrapping.inside == Inside::Tagged { 77 } else { 0 });
    // Everything else is as if the packet were alone, further back in the frame.
    let back = bytes.len() - (HEADER_BYTES + packet.bytes.len());
    let shifted = Packet {
        key: inner.key,
        link: inner.link,
        tunnel: inner.tunnel,
        network_start: alone.network_start + back as u32,
        transport_start: alone.transport_start + back as u32,
        payload: alone.payload.start + back as u32..alone.payload.end + back as u32,
        ..alone.clone()
    };
    assert_eq!(inner, shifted, "{wrapping:02x?}");
}

#[test]
fn an_authentication_header_keeps_the_addresses_of_its_packet() {
    for (ip, next) in [(v4(), 17), (v6(), 17), (v4(), 6)] {
        let transport = if next == 17 { udp() } else { tcp() };
        let plain = ip.packet(&transport, b"abc").bytes;
        let ip_bytes = if matches!(ip, Ip::V4(_)) { 20 } else { 40 };
        let header = [next, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1];
        let content = [&header[..], &[0xaa; 12], &plain[ip_bytes..]].concat();
        let bytes = untagged().carry(&ip.packet(&Transport::Other(51), &content));
        let inner = inner_of(&bytes).expect("what the header protects");
        let alone = decoded(&untagged().carry(&ip.packet(&transport, b"abc")));
        assert_eq!(inner.key, alone.key.within(Domain::new(TunnelKind::Ah, 0)));
        assert_eq!((inner.tunnel.kind, inner.tunnel.id, inner.tunnel.depth), (TunnelKind::Ah, 9, 0));
        assert_eq!(inner.network_start as usize, HEADER_BYTES);
        assert_eq!(payload(&bytes, &inner), b"abc");
        assert_eq!((inner.payload_wire_bytes, inner.tcp), (3, alone.tcp));
    }
}

/// IP in IP in IP …: so many headers in all.
fn nested(headers: usize) -> Vec<u8> {
    let mut packet = v4().packet(&udp(), b"abc");
    for _ in 1..headers {
        packet = v4().packet(&Transport::Other(4), &packet.bytes);
    }
    untagged().carry(&packet)
}

#[test]
fn nested_tunnels_are_followed_to_the_bound_and_no_further() {
    for headers in [2, 3, 8, 9, 64] {
        let inner = inner_of(&nested(headers)).expect("a packet in a packet");
        let depth = headers.min(usize::from(TUNNEL_DEPTH_MAX)) - 1;
        assert_eq!(usize::from(inner.tunnel.depth), depth);
        assert_eq!(inner.network_start as usize, HEADER_BYTES + depth * 20);
        assert_eq!(inner.tunnel.outer_start as usize, HEADER_BYTES + (depth - 1) * 20);
        let is_innermost = headers <= usize::from(TUNNEL_DEPTH_MAX);
        assert_eq!(inner.anomaly, (!is_innermost).then_some(Anomaly::TunnelDepth), "{headers}");
        assert_eq!(ports(&inner), if is_innermost { (4000, 53) } else { (0, 0) });
    }
}

#[test]
fn authentication_headers_behind_each_other_are_bounded_too() {
    let mut content = vec![0; 16];
    for next in [51; 40] {
        let header = [next, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1];
        content = [&header[..], &content].concat();
    }
    let inner = inner_of(&carried_by(51, &content)).expect("headers that are sound");
    assert_eq!(inner.anomaly, Some(Anomaly::TunnelDepth));
}

#[test]
fn what_is_no_tunnel_after_all_is_the_innermost_packet() {
    // A packet to the port of VXLAN, in GRE.
    let ordinary = v4().packet(&Transport::Udp(Udp { source_port: 9, destination_port: 4789 }), b"hello");
    let bytes = carried_by(47, &[&[0, 0, 8, 0][..], &ordinary.bytes].concat());
    let inner = inner_of(&bytes).expect("the packet in GRE");
    assert_eq!((ports(&inner), inner.tunnel.kind), ((9, 4789), TunnelKind::Gre));
    assert_eq!(inner.anomaly, None);
}

#[test]
fn ordinary_datagrams_on_ports_of_tunnels_are_no_tunnels() {
    let ports = [4789, 8472, 4790, 6081, 2152, 3544, 4754, 6635, 1701];
    // A DNS query, text, zeros, ones.
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
    let contents: [&[u8]; 5] =
        [query, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", &[0; 60], &[0xff; 60], b""];
    for port in ports {
        for content in contents {
            let reason = inner_of(&carried_by_udp(40_000, port, content)).expect_err("no tunnel");
            assert!(
                matches!(reason, NotInner::NotTunnel | NotInner::NotIp),
                "{port} {reason:?} {content:02x?}"
            );
        }
    }
}

/// One frame for each reason not to have an inner packet.
fn not_inners() -> Vec<(NotInner, Vec<u8>, usize)> {
    let inner = v4().packet(&udp(), b"abc").bytes;
    let arp = Ethernet::default().arp_request([10, 0, 0, 1], [10, 0, 0, 2]);
    let vxlan = [8, 0, 0, 0, 0, 0, 1, 0];
    let in_vxlan = |frame: &[u8]| carried_by_udp(9, 4789, &[&vxlan[..], frame].concat());
    let in_gre = |header: &[u8]| carried_by(47, &[header, &inner].concat());
    let gtp_echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
    let group = Ethernet { source: [0xff; 6], ..untagged() }.carry(&v4().packet(&udp(), b"abc"));
    let too_long = {
        let mut packet = inner.clone();
        packet[3] += 1;
        untagged().frame(0x0800, &packet)
    };
    let fragment = v4().fragments(&Transport::Other(4), &inner, 24, 1).remove(0);
    let whole = |reason, bytes: Vec<u8>| {
        let length = bytes.len();
        (reason, bytes, length)
    };
    vec![
        whole(NotInner::NotTunnel, in_vxlan(&group)),
        whole(NotInner::NotTunnel, in_vxlan(&too_long)),
        whole(NotInner::NotTunnel, carried_by_udp(9, 4789, &vxlan[..7])),
        whole(
            NotInner::NotTunnel,
            carried_by_udp(4789, 9, &[&vxlan[..], &untagged().frame(0x0800, &inner)].concat()),
        ),
        whole(NotInner::Fragment, untagged().carry(&fragment)),
        (NotInner::Truncated, carried_by(4, &inner), HEADER_BYTES + 20 + 19),
        (NotInner::Truncated, in_gre(&[0, 0, 8, 0]), HEADER_BYTES + 20 + 3),
        (NotInner::Truncated, in_vxlan(&untagged().frame(0x0800, &inner)), HEADER_BYTES + 28 + 8 + 13),
        // Version 6 where the number says 4, a source route, version 2 of GRE, EtherIP of another version.
        whole(NotInner::Malformed, carried_by(4, &v6().packet(&udp(), b"abc").bytes)),
        whole(NotInner::Malformed, in_gre(&[0x40, 0, 8, 0, 0, 0, 0, 0])),
        whole(NotInner::Malformed, in_gre(&[0, 2, 8, 0])),
        whole(
            NotInner::Malformed,
            carried_by(97, &[&[0x40, 0][..], &untagged().frame(0x0800, &inner)].concat()),
        ),
        whole(NotInner::Malformed, carried_by(47, &[0, 0, 8])),
        whole(NotInner::Control, carried_by_udp(2152, 2152, &gtp_echo)),
        whole(NotInner::Control, carried_by_udp(1701, 9, &[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 1])),
        whole(NotInner::Control, carried_by(47, &[0, 0, 0, 0])),
        whole(NotInner::Control, carried_by(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1])),
        whole(NotInner::NotIp, in_vxlan(&arp)),
        whole(NotInner::NotIp, in_gre(&[0, 0, 0x20, 0x00])),
        whole(NotInner::Encrypted, carried_by(50, &[7; 40])),
        // MPPE: PPP with protocol "compressed datagram" in enhanced GRE.
        whole(
            NotInner::Encrypted,
            carried_by(47, &[0x30, 1, 0x88, 0x0b, 0, 6, 0, 1, 0, 0, 0, 1, 0x00, 0xfd, 1, 2, 3, 4]),
        ),
    ]
}

#[test]
fn packets_without_one_inside_say_why() {
    for (reason, bytes, captured) in not_inners() {
        let frame = Frame { bytes: &bytes[..captured], ..ethernet(&bytes) };
        assert_eq!(inner_of_frame(&frame).map(|inner| inner.key), Err(reason), "{bytes:02x?}");
    }
    for reason in NotInner::ALL {
        assert!(not_inners().iter().any(|(reached, ..)| *reached == reason), "{}", reason.name());
    }
}

#[test]
fn a_fragment_inside_is_the_innermost_packet() {
    let fragments = v4().fragments(&udp(), &[7; 100], 48, 9);
    let kinds = fragments.iter().map(|fragment| {
        let bytes = carried_by(4, &fragment.bytes);
        inner_of(&bytes).expect("a fragment is a packet").fragment
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [Fragment::First, Fragment::Later, Fragment::Later]);
}

#[test]
fn a_cut_inner_packet_keeps_its_length_on_the_wire() {
    let packet = v4().packet(&tcp(), &[7; 500]);
    let bytes = carried_by(4, &packet.bytes);
    let captured = bytes.len() - 450;
    let inner =
        inner_of_frame(&Frame { bytes: &bytes[..captured], ..ethernet(&bytes) }).expect("headers are there");
    assert_eq!((inner.payload.len(), inner.payload_wire_bytes), (50, 500));
    assert_eq!((inner.network_bytes as usize, inner.anomaly), (packet.bytes.len(), None));
}

#[test]
fn only_packets_that_may_be_tunnels_are_looked_into() {
    let ports = TunnelPorts::default();
    for transport in
        [tcp(), udp(), Transport::Other(89), Transport::Udp(Udp { source_port: 0, destination_port: 0 })]
    {
        let packet = decoded(&untagged().carry(&v4().packet(&transport, b"abc")));
        assert!(!may_carry(&packet, &ports), "{transport:?}");
        let mut inner = Packet::EMPTY;
        let bytes = untagged().carry(&v4().packet(&transport, b"abc"));
        assert_eq!(decode_inner(&ethernet(&bytes), &packet, &ports, &mut inner), Err(NotInner::NotTunnel));
    }
}

#[test]
fn ports_of_tunnels_are_those_that_were_named() {
    let ports = TunnelPorts::new([(5000, UdpTunnel::Vxlan), (0, UdpTunnel::Gre)]).expect("two fit");
    assert!(ports.contain(5000));
    assert!(!ports.contain(0) && !ports.contain(4789));
    let outside = Outside::Ports(9, 5000);
    let packet = v4().packet(&udp(), b"abc");
    let header = vec![8, 0, 0, 0, 0, 0, 1, 0];
    let inside = Inside::Ethernet;
    let wrapping = Wrapping { kind: TunnelKind::Vxlan, id: 1, is_domain: true, outside, header, inside };
    let bytes = untagged().carry(&wrapping.wrap(&v4(), &packet));
    let outer = decoded(&bytes);
    let mut inner = Packet::EMPTY;
    decode_inner(&ethernet(&bytes), &outer, &ports, &mut inner).expect("VXLAN on another port");
    assert_eq!(ends(&inner)[0].1, 4000);
    let many = (1..=17).map(|port| (port, UdpTunnel::Vxlan));
    assert!(TunnelPorts::new(many).is_err());
}
