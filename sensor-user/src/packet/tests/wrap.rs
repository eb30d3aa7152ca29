//! Packets in tunnels, built byte by byte from the documents that define them.

use super::{tcp, udp, untagged, v4, v6};
use kflow::TunnelKind;
use proptest::prelude::*;
use std::net::Ipv6Addr;
use traffic::frame::{
    Ethernet, Tag,
    ip::{Ip, Ipv6, Packet},
    transport::{Transport, Udp},
};

/// What a tunnel carries: a packet as it is, or in an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Packet,
    Ethernet,
    Tagged,
}

/// The IP payload of a carrying packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    Protocol(u8),
    /// UDP source and destination port.
    Ports(u16, u16),
}

/// One way to carry a packet.
#[derive(Clone, Debug)]
pub struct Wrapping {
    pub kind: TunnelKind,
    pub id: u32,
    /// Whether the id is part of the flow key.
    pub is_domain: bool,
    pub outside: Outside,
    pub header: Vec<u8>,
    pub inside: Inside,
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

impl Wrapping {
    /// What the outer packet carries.
    pub fn content(&self, packet: &Packet) -> Vec<u8> {
        let inner = match self.inside {
            Inside::Packet => packet.bytes.clone(),
            Inside::Ethernet => untagged().carry(packet),
            Inside::Tagged => Ethernet { tags: vec![Tag::vlan(77)], ..untagged() }.carry(packet),
        };
        [&self.header[..], &inner].concat()
    }

    pub fn wrap(&self, outer: &Ip, packet: &Packet) -> Packet {
        let transport = match self.outside {
            Outside::Protocol(number) => Transport::Other(number),
            Outside::Ports(source_port, destination_port) => {
                Transport::Udp(Udp { source_port, destination_port })
            }
        };
        outer.packet(&transport, &self.content(packet))
    }
}

/// Every way that the decoder knows to carry this packet in an outer one of either family.
pub fn wrappings(outer: &Ip, packet: &Packet) -> Vec<Wrapping> {
    let is_v4 = packet.bytes[0] >> 4 == 4;
    let ethertype = if is_v4 { IPV4 } else { IPV6 };
    let plain = |kind, outside, header: &[u8], inside| Wrapping {
        kind,
        id: 0,
        is_domain: false,
        outside,
        header: header.to_vec(),
        inside,
    };
    let with_id = |id, wrapping: Wrapping| Wrapping { id, ..wrapping };
    let domain = |id, wrapping: Wrapping| Wrapping { id, is_domain: true, ..wrapping };
    let on = |head: &[u8], tail: &[u8]| [head, &ethertype, tail].concat();
    let gre = |header: &[u8], inside| plain(TunnelKind::Gre, Outside::Protocol(47), header, inside);
    let in_udp =
        |kind, port, header: &[u8], inside| plain(kind, Outside::Ports(50_000, port), header, inside);
    let ppp = if is_v4 { [0x00, 0x21] } else { [0x00, 0x57] };
    let ip_number = if is_v4 { 4 } else { 41 };
    let ip_in_ip = match (outer, is_v4) {
        (Ip::V4(_), false) => TunnelKind::SixInFour,
        _ => TunnelKind::IpInIp,
    };
    let content_bytes = packet.bytes.len() as u16;
    let call_bytes = (content_bytes + 2).to_be_bytes();
    let l2tp_bytes = (content_bytes + 13).to_be_bytes();
    let gtp = |flags: u8, extra: &[u8]| {
        let length = (content_bytes + extra.len() as u16).to_be_bytes();
        [&[flags, 255][..], &length, &[0, 0, 1, 2], extra].concat()
    };
    let mut all = vec![
        plain(ip_in_ip, Outside::Protocol(ip_number), &[], Inside::Packet),
        // GRE: plain, with checksum, key and sequence number.
        gre(&on(&[0, 0], &[]), Inside::Packet),
        gre(&on(&[0x80, 0], &[0; 4]), Inside::Packet),
        with_id(7, gre(&on(&[0xb0, 0], &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1]), Inside::Packet)),
        gre(&[0, 0, 0x65, 0x58], Inside::Ethernet),
        domain(0x0102_0304, gre(&[0x20, 0, 0x65, 0x58, 1, 2, 3, 4], Inside::Tagged)),
        gre(&[0, 0, 0x88, 0x47, 0, 1, 0x01, 64], Inside::Packet),
        gre(&[&[0, 0, 0x88, 0x0b, 0xff, 0x03][..], &ppp].concat(), Inside::Packet),
        gre(&[0, 0, 0x88, 0x3e, 0, 0, 0, 0], Inside::Packet),
        gre(&[0, 0, 0x88, 0x3e], Inside::Packet),
        // Enhanced GRE: payload length, call, sequence number, acknowledgement; PPP.
        with_id(
            9,
            gre(
                &[&[0x30, 0x81, 0x88, 0x0b][..], &call_bytes, &[0, 9], &[0; 8], &ppp].concat(),
                Inside::Packet,
            ),
        ),
        // ERSPAN types I, II and III, the last with Ethernet, with IP and with a platform's own header.
        plain(TunnelKind::Erspan2, Outside::Protocol(47), &[0, 0, 0x88, 0xbe], Inside::Ethernet),
        with_id(
            0x3ff,
            plain(
                TunnelKind::Erspan2,
                Outside::Protocol(47),
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 100, 0x1b, 0xff, 0, 0, 0, 0],
                Inside::Tagged,
            ),
        ),
    ];
    let erspan_3 = |last: u8, kind: u8, extra: usize| {
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 100, 0, 5, 0, 0, 0, 0, 0, 0, kind << 2, last];
        [&header[..], &vec![0; extra]].concat()
    };
    for (header, inside) in [
        (erspan_3(0, 0, 0), Inside::Ethernet),
        (erspan_3(0, 2, 0), Inside::Packet),
        (erspan_3(1, 0, 8), Inside::Tagged),
    ] {
        all.push(with_id(5, plain(TunnelKind::Erspan3, Outside::Protocol(47), &header, inside)));
    }
    all.extend([
        // AH in tunnel mode: next header, length in words less two, reserved, SPI, sequence number, 12 bytes of value.
        with_id(
            0x0a0b_0c0d,
            plain(
                TunnelKind::Ah,
                Outside::Protocol(51),
                &[&[ip_number, 4, 0, 0, 10, 11, 12, 13, 0, 0, 0, 1][..], &[0xaa; 12]].concat(),
                Inside::Packet,
            ),
        ),
        plain(TunnelKind::EtherIp, Outside::Protocol(97), &[0x30, 0], Inside::Ethernet),
        plain(TunnelKind::Mpls, Outside::Protocol(137), &[0, 1, 0, 64, 0, 2, 0x01, 64], Inside::Packet),
        in_udp(TunnelKind::Mpls, 6635, &[0, 1, 0x01, 64], Inside::Packet),
        domain(0x00_1234, in_udp(TunnelKind::Vxlan, 4789, &[8, 0, 0, 0, 0, 0x12, 0x34, 0], Inside::Ethernet)),
        domain(0x00_1234, in_udp(TunnelKind::Vxlan, 8472, &[8, 0, 0, 0, 0, 0x12, 0x34, 0], Inside::Tagged)),
        // With a group policy.
        domain(1, in_udp(TunnelKind::Vxlan, 4789, &[0x88, 0x08, 0, 9, 0, 0, 1, 0], Inside::Ethernet)),
        domain(
            2,
            in_udp(
                TunnelKind::Vxlan,
                4790,
                &[0x0c, 0, 0, if is_v4 { 1 } else { 2 }, 0, 0, 2, 0],
                Inside::Packet,
            ),
        ),
        domain(2, in_udp(TunnelKind::Vxlan, 4790, &[0x0c, 0, 0, 3, 0, 0, 2, 0], Inside::Ethernet)),
        domain(0x010203, in_udp(TunnelKind::Geneve, 6081, &on(&[0, 0], &[1, 2, 3, 0]), Inside::Packet)),
        // Two options: four bytes of data, and none.
        domain(
            3,
            in_udp(
                TunnelKind::Geneve,
                6081,
                &[3, 0x40, 0x65, 0x58, 0, 0, 3, 0, 1, 2, 0x80, 1, 9, 9, 9, 9, 1, 2, 3, 0],
                Inside::Ethernet,
            ),
        ),
        with_id(0x102, in_udp(TunnelKind::GtpU, 2152, &gtp(0x30, &[]), Inside::Packet)),
        with_id(0x102, in_udp(TunnelKind::GtpU, 2152, &gtp(0x32, &[0, 1, 0, 0]), Inside::Packet)),
        // A PDU session container, then a PDCP number.
        with_id(
            0x102,
            in_udp(
                TunnelKind::GtpU,
                2152,
                &gtp(0x34, &[0, 0, 0, 0x85, 1, 0, 9, 0xc0, 1, 0, 9, 0]),
                Inside::Packet,
            ),
        ),
        in_udp(TunnelKind::Gre, 4754, &on(&[0, 0], &[]), Inside::Packet),
        // L2TP: with length, sequence numbers and no offset; then with none of them.
        with_id(
            0x0001_0002,
            in_udp(
                TunnelKind::L2tp,
                1701,
                &[&[0x48, 0x02][..], &l2tp_bytes, &[0, 1, 0, 2, 0, 0, 0, 0], &ppp[1..]].concat(),
                Inside::Packet,
            ),
        ),
        with_id(
            0x0001_0002,
            in_udp(
                TunnelKind::L2tp,
                1701,
                &[&[0x02, 0x02, 0, 1, 0, 2, 0, 3, 0, 0, 0, 0xff, 0x03][..], &ppp].concat(),
                Inside::Packet,
            ),
        ),
        // Version 3 with a cookie of four bytes, over UDP and over IP.
        with_id(6, in_udp(TunnelKind::L2tp, 1701, &[0, 3, 0, 0, 0, 0, 0, 6, 1, 1, 1, 1], Inside::Ethernet)),
        with_id(
            6,
            plain(TunnelKind::L2tp, Outside::Protocol(115), &[0, 0, 0, 6, 1, 1, 1, 1], Inside::Ethernet),
        ),
    ]);
    if !is_v4 {
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        let authentication = [0, 1, 1, 2, 7, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for header in [vec![], origin.to_vec(), [&authentication[..], &origin].concat()] {
            let teredo = in_udp(TunnelKind::Teredo, 3544, &header, Inside::Packet);
            all.push(Wrapping { outside: Outside::Ports(3544, 50_000), ..teredo.clone() });
            all.push(teredo);
        }
    }
    all
}

/// The outer headers that tests use.
pub fn outers() -> [Ip; 2] {
    [v4(), v6()]
}

/// What nested packets carry in the end.
pub const PAYLOAD: &[u8] = b"abc";

/// A packet in up to seven tunnels of any kinds.
#[derive(Clone, Debug)]
pub struct Nested {
    /// From the outermost IP header on.
    pub bytes: Vec<u8>,
    /// IP headers in all.
    pub headers: usize,
}

pub fn nested() -> impl Strategy<Value = Nested> {
    let step = (any::<bool>(), any::<prop::sample::Index>());
    (any::<bool>(), any::<bool>(), prop::collection::vec(step, 0..=7)).prop_map(|(is_v6, is_tcp, steps)| {
        let ip = |is_v6| if is_v6 { teredo_v6() } else { v4() };
        let headers = steps.len() + 1;
        let mut packet = ip(is_v6).packet(&if is_tcp { tcp() } else { udp() }, PAYLOAD);
        for (is_v6, wrapping) in steps {
            let outer = ip(is_v6);
            packet = wrapping.get(&wrappings(&outer, &packet)).wrap(&outer, &packet);
        }
        Nested { bytes: packet.bytes, headers }
    })
}

/// IPv6 between two Teredo clients, so that it may be carried by that too.
pub fn teredo_v6() -> Ip {
    let [source, destination] = [1, 2].map(|last| Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, last));
    Ip::V6(Ipv6::between(source, destination))
}
