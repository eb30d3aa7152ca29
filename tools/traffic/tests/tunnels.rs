//! Tunnels and links against their definitions, byte by byte, and against tshark.

mod dissect;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use dissect::Tshark;
use traffic::frame::capture::CaptureLink;
use traffic::frame::ip::{Ip, Ipv4, Ipv6, Packet};
use traffic::frame::link::{Label, Link};
use traffic::frame::transport::{Transport, Udp};
use traffic::frame::tunnel::{Erspan, Gre, GrePayload, GtpU, Teredo, Tunnel, TunnelKind};
use traffic::frame::{Ethernet, Padding};
use traffic::mix::{Conversation, ConversationKey, InnerConversation, InnerKey, Mix, Options, Traffic};

const UDP: Transport = Transport::Udp(Udp { source_port: 7, destination_port: 9 });

fn inner_v4() -> Packet {
    Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2])).packet(&UDP, b"abcd")
}

fn inner_v6() -> Packet {
    Ip::V6(Ipv6::between(1_u128, 2_u128)).packet(&UDP, b"abcd")
}

fn outer() -> Ip {
    Ip::V4(Ipv4::between([192, 0, 2, 1], [192, 0, 2, 2]))
}

fn unpadded() -> Ethernet {
    Ethernet { padding: Padding::Never, ..Ethernet::default() }
}

/// The tunnel's own header: what is between the outer IP header (and UDP, if there is one) and `inside`.
fn header(tunnel: &Tunnel, packet: &Packet, inside: &[u8]) -> Vec<u8> {
    let wrapped = tunnel.wrap(&outer(), packet, &unpadded()).bytes;
    let outer_bytes = if wrapped[9] == 17 { 28 } else { 20 };
    let body = &wrapped[outer_bytes..];
    assert!(body.ends_with(inside), "{body:02x?} ends with what was put in");
    body[..body.len() - inside.len()].to_vec()
}

#[test]
fn headers_are_those_of_their_definitions() {
    let (v4, v6) = (inner_v4(), inner_v6());
    let framed = unpadded().carry(&v4);
    let gre = |gre| header(&Tunnel::Gre(gre), &v4, &v4.bytes);
    assert_eq!(gre(Gre::default()), [0, 0, 8, 0]);
    let numbered = Gre { key: Some(0x0102_0304), sequence: Some(5), ..Gre::default() };
    assert_eq!(gre(numbered), [0x30, 0, 8, 0, 1, 2, 3, 4, 0, 0, 0, 5]);
    let bridged = Tunnel::Gre(Gre { payload: GrePayload::Frame, ..Gre::default() });
    assert_eq!(header(&bridged, &v4, &framed), [0, 0, 0x65, 0x58]);

    let erspan = Erspan { session: 0x155, vlan: 0x234, sequence: 6 };
    let header_2 = header(&Tunnel::Erspan2(erspan), &v4, &framed);
    assert_eq!(header_2, [0x10, 0, 0x88, 0xbe, 0, 0, 0, 6, 0x12, 0x34, 1, 0x55, 0, 0, 0, 0]);
    let header_3 = header(&Tunnel::Erspan3(erspan), &v4, &framed);
    let fixed = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 6, 0x22, 0x34, 1, 0x55, 0, 0, 0, 6, 0, 0, 0, 0];
    assert_eq!(header_3, fixed);

    let vxlan = Tunnel::Vxlan { source_port: 50_000, vni: 0x0a_0b0c };
    assert_eq!(header(&vxlan, &v4, &framed), [8, 0, 0, 0, 0xa, 0xb, 0xc, 0]);
    let geneve = Tunnel::Geneve { source_port: 50_000, vni: 0x0a_0b0c, options: vec![1, 2, 3, 0] };
    assert_eq!(header(&geneve, &v4, &framed), [1, 0, 0x65, 0x58, 0xa, 0xb, 0xc, 0, 1, 2, 3, 0]);

    let length = v4.bytes.len() as u8;
    let gtp = |sequence, qos_flow| {
        header(&Tunnel::GtpU(GtpU { teid: 0x0102_0304, sequence, qos_flow }), &v4, &v4.bytes)
    };
    assert_eq!(gtp(None, None), [0x30, 0xff, 0, length, 1, 2, 3, 4]);
    assert_eq!(gtp(Some(9), None), [0x32, 0xff, 0, length + 4, 1, 2, 3, 4, 0, 9, 0, 0]);
    let with_extension = [0x34, 0xff, 0, length + 8, 1, 2, 3, 4, 0, 0, 0, 0x85, 1, 0, 5, 0];
    assert_eq!(gtp(None, Some(5)), with_extension);

    let teredo = |origin| {
        header(
            &Tunnel::Teredo(Teredo { source_port: 40_000, destination_port: 3_544, origin }),
            &v6,
            &v6.bytes,
        )
    };
    assert_eq!(teredo(None), []);
    let origin = Some((Ipv4Addr::new(1, 2, 3, 4), 0x0506));
    assert_eq!(teredo(origin), [0, 0, 0xfa, 0xf9, 0xfe, 0xfd, 0xfc, 0xfb]);

    let ah = header(&Tunnel::Ah { spi: 0x0102_0304, sequence: 7 }, &v4, &v4.bytes);
    assert_eq!((ah.len(), &ah[..12]), (24, &[4, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 7][..]));
    assert_eq!(header(&Tunnel::EtherIp, &v4, &framed), [0x30, 0]);
    let labels = vec![Label { label: 0xf_ffff, traffic_class: 5, ttl: 1 }, Label::new(16)];
    let mpls = header(&Tunnel::MplsInUdp { source_port: 50_000, labels }, &v4, &v4.bytes);
    assert_eq!(mpls, [0xff, 0xff, 0xfa, 1, 0, 1, 1, 64]);
    assert_eq!(header(&Tunnel::IpInIp, &v6, &v6.bytes), []);
}

#[test]
fn a_gre_checksum_covers_header_and_payload() {
    let gre = Gre { key: Some(1), has_checksum: true, ..Gre::default() };
    let wrapped = Tunnel::Gre(gre).wrap(&outer(), &inner_v4(), &unpadded()).bytes;
    let words = wrapped[20..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}

#[test]
fn links_are_those_of_their_definitions() {
    let (v4, v6) = (inner_v4(), inner_v6());
    let behind_addresses = |link: &Link, packet: &Packet| {
        let frame = link.carry(&unpadded(), packet);
        assert!(frame.ends_with(&packet.bytes));
        frame[12..frame.len() - packet.bytes.len()].to_vec()
    };
    let mpls = Link::Mpls(vec![Label::new(16), Label::new(17)]);
    assert_eq!(behind_addresses(&mpls, &v4), [0x88, 0x47, 0, 1, 0, 64, 0, 1, 0x11, 64]);
    let pppoe = Link::Pppoe { session: 0x0102 };
    let pppoe_bytes = v6.bytes.len() as u8 + 2;
    assert_eq!(behind_addresses(&pppoe, &v6), [0x88, 0x64, 0x11, 0, 1, 2, 0, pppoe_bytes, 0, 0x57]);
    let length = v4.bytes.len() as u8 + 8;
    assert_eq!(behind_addresses(&Link::Snap, &v4), [0, length, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
}

#[test]
fn tshark_finds_the_packet_in_captures_of_every_link() {
    let Some(tshark) = Tshark::find() else { return };
    for link in CaptureLink::OTHERS {
        let frames = [link.carry(&inner_v4()), link.carry(&inner_v6())];
        let fields = ["ip.src", "ipv6.src", "udp.dstport", "udp.checksum.status", "_ws.malformed"];
        let rows = tshark.fields_of(link, frames.iter().map(|frame| (0, &frame[..])), &fields);
        assert_eq!(rows[0], ["10.0.0.1", "", "9", "1", ""], "{link:?}");
        assert_eq!(rows[1], ["", "::1", "9", "1", ""], "{link:?}");
    }
}

const FIELDS: [&str; 26] = [
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.len",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.plen",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "gre.flags.key",
    "gre.key",
    "erspan.version",
    "erspan.spanid",
    "vxlan.vni",
    "geneve.vni",
    "gtp.teid",
    "ah.spi",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
    "gre.checksum.status",
    "_ws.malformed",
];

/// The innermost packet as tshark found it.
struct Inner {
    key: InnerKey,
    id: u32,
    depth: u8,
    packet_bytes: u64,
}

fn inner(row: &[String]) -> Inner {
    let value = |name: &str| last(&row[FIELDS.iter().position(|field| *field == name).unwrap()]);
    let layers: Vec<&str> = row[0].split(':').collect();
    let is_ip = |layer: &str| matches!(layer, "ip" | "ipv6");
    let at = layers.iter().rposition(|layer| is_ip(layer)).unwrap();
    let (family, packet_bytes) = match layers[at] {
        "ip" => ("ip", number(value("ip.len"))),
        _ => ("ipv6", number(value("ipv6.plen")) + 40),
    };
    let address = |end: &str| value(&format!("{family}.{end}")).parse::<IpAddr>().unwrap();
    let transport = layers[at + 1];
    let protocol = match transport {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "icmpv6" => 58,
        other => panic!("{other} in {}", row[0]),
    };
    let port = |end: &str| match transport {
        "tcp" | "udp" => number(value(&format!("{transport}.{end}port"))) as u16,
        _ => 0,
    };
    let around = layers[..at].iter().rposition(|layer| !matches!(*layer, "eth" | "ethertype" | "vlan"));
    let around = around.map_or("", |at| layers[at]);
    let kind = match around {
        "gre" => TunnelKind::Gre,
        "erspan" if value("erspan.version") == "1" => TunnelKind::Erspan2,
        "erspan" => TunnelKind::Erspan3,
        "ip" if family == "ipv6" => TunnelKind::SixInFour,
        "ip" | "ipv6" => TunnelKind::IpInIp,
        "vxlan" => TunnelKind::Vxlan,
        "geneve" => TunnelKind::Geneve,
        "gtp" => TunnelKind::GtpU,
        "teredo" => TunnelKind::Teredo,
        "ah" => TunnelKind::Ah,
        "etherip" => TunnelKind::EtherIp,
        "mpls" if layers[..at].contains(&"udp") => TunnelKind::Mpls,
        _ => TunnelKind::None,
    };
    let (id, is_shared) = match kind {
        TunnelKind::Gre if value("gre.flags.key") == "1" => (value("gre.key"), true),
        TunnelKind::Erspan2 | TunnelKind::Erspan3 => (value("erspan.spanid"), true),
        TunnelKind::Vxlan => (value("vxlan.vni"), true),
        TunnelKind::Geneve => (value("geneve.vni"), true),
        TunnelKind::GtpU => (value("gtp.teid"), false),
        TunnelKind::Ah => (value("ah.spi"), false),
        _ => ("0", false),
    };
    let id = number(id) as u32;
    let conversation = ConversationKey {
        source: address("src"),
        source_port: port("src"),
        destination: address("dst"),
        destination_port: port("dst"),
        protocol,
    };
    let key = InnerKey { conversation, tunnel: kind, domain: if is_shared { id } else { 0 } };
    Inner { key, id, depth: layers[..at].iter().filter(|layer| is_ip(layer)).count() as u8, packet_bytes }
}

/// Payloads are random: what tshark takes them for above the innermost transport layer may well be malformed.
fn has_application(row: &[String]) -> bool {
    let innermost = row[0].rsplit(':').next().unwrap();
    !matches!(innermost, "tcp" | "udp" | "icmp" | "icmpv6")
}

/// The value of the innermost header.
fn last(values: &str) -> &str {
    values.rsplit(',').next().unwrap_or("")
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap_or_else(|_| panic!("{text:?} is no number")),
    }
}

#[test]
fn tshark_finds_the_inner_conversations_and_nothing_wrong_with_them() {
    let Some(tshark) = Tshark::find() else { return };
    for seed in 0..2 {
        let mut traffic = Traffic::new(Options { mix: Mix::Tunnels, seed, conversations: 500 });
        let frames: Vec<_> = traffic.by_ref().collect();
        let expected = traffic.into_expected();
        let rows = tshark.fields(frames.iter().map(|frame| (frame.time_ns, &frame.bytes[..])), &FIELDS);
        assert_eq!(rows.len(), frames.len());
        let mut found: BTreeMap<InnerKey, InnerConversation> = BTreeMap::new();
        for (row, frame) in rows.iter().zip(&frames) {
            assert!(row[19..25].iter().all(|status| !status.contains('0')), "a checksum is wrong: {row:?}");
            assert!(row[25].is_empty() || has_application(row), "malformed: {row:?}");
            let inner = inner(row);
            let is_back = found.contains_key(&inner.key.reversed());
            let key = if is_back { inner.key.reversed() } else { inner.key };
            let conversation = found.entry(key).or_default();
            conversation.depth = inner.depth;
            let (counters, id) = if is_back {
                (&mut conversation.reverse, &mut conversation.reverse_id)
            } else {
                (&mut conversation.forward, &mut conversation.forward_id)
            };
            *id = inner.id;
            counters.packets += 1;
            counters.bytes += inner.packet_bytes;
            counters.frame_bytes += frame.bytes.len() as u64;
        }
        for (key, conversation) in &expected.inner_conversations {
            assert_eq!(found.get(key), Some(conversation), "seed {seed}: {key:?}");
        }
        assert_eq!(found.len(), expected.inner_conversations.len());
    }
}

#[test]
fn outer_conversations_are_those_between_the_ends_of_the_tunnels() {
    let mut traffic = Traffic::new(Options { mix: Mix::Tunnels, seed: 5, conversations: 500 });
    let frames = traffic.by_ref().count() as u64;
    let expected = traffic.into_expected();
    assert_eq!(expected.packets(), frames);
    let is_vxlan = |key: &ConversationKey| key.protocol == 17 && key.destination_port == 4_789;
    let vxlan: Vec<_> = expected.conversations.iter().filter(|(key, _)| is_vxlan(key)).collect();
    assert!(!vxlan.is_empty());
    // Each side sends to the port of VXLAN from one of its own: no answer comes back to that.
    assert!(vxlan.iter().all(|(_, Conversation { reverse, .. })| reverse.packets == 0));
}
