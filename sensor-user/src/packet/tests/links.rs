//! Link layers: each leads to the same packet.

use super::{decoded, ethernet, frame, payload, ports, udp, untagged, v4, v6};
use crate::{
    packet::{LinkTags, NotFlow, decode, mac_addresses},
    source::LinkType,
};
use kflow::MacAddress;
use traffic::frame::{Ethernet, Tag};

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

/// Link type, what lies before the packet, and whether the packet is IPv4.
pub type LinkCase = (LinkType, Vec<u8>, Version);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V4,
    V6,
}

use Version::{V4, V6};

const SNAP_IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];
const SNAP_IPV6: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd];

/// Headers of every link type, several for most.
pub fn cases() -> Vec<LinkCase> {
    let groups = [system_cases(), serial_cases(), wireless_cases(), shared_cases(), nested_cases()];
    groups.concat()
}

/// What operating systems write where there is no link layer, or beside it.
fn system_cases() -> Vec<LinkCase> {
    let sll = |hardware: u16, protocol: [u8; 2]| {
        [&[0, 0][..], &hardware.to_be_bytes(), &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &protocol].concat()
    };
    let sll2 = |protocol: [u8; 2]| [&protocol[..], &[0; 6], &[0, 1], &[0; 10]].concat();
    let padded = |head: &[u8], length: usize| [head, &vec![0; length - head.len()]].concat();
    // Attributes of the netfilter log: a prefix of three bytes, then the packet.
    let nflog_le = [10, 0, 0, 1, 7, 0, 10, 0, b'a', b'b', 0, 0, 44, 0, 9, 0];
    let nflog_be = [2, 0, 0, 1, 0, 7, 0, 10, b'a', b'b', 0, 0, 0, 44, 0, 9];
    let pktap =
        |link: u8, header: &[u8]| [&padded(&[108, 0, 0, 0, 1, 0, 0, 0, link], 108)[..], header].concat();
    vec![
        (LinkType::RAW, vec![], V4),
        (LinkType::RAW, vec![], V6),
        (LinkType::RAW_BSD, vec![], V4),
        (LinkType::RAW_OPENBSD, vec![], V6),
        (LinkType::IPV4, vec![], V4),
        (LinkType::IPV6, vec![], V6),
        (LinkType::NULL, vec![2, 0, 0, 0], V4),
        (LinkType::NULL, vec![0, 0, 0, 2], V4),
        (LinkType::LOOP, vec![0, 0, 0, 2], V4),
        (LinkType::NULL, vec![24, 0, 0, 0], V6),
        (LinkType::NULL, vec![28, 0, 0, 0], V6),
        (LinkType::LOOP, vec![0, 0, 0, 30], V6),
        (LinkType::NULL, vec![10, 0, 0, 0], V6),
        (LinkType::LINUX_SLL, sll(1, [0x08, 0x00]), V4),
        (LinkType::LINUX_SLL, sll(1, [0x86, 0xdd]), V6),
        (LinkType::LINUX_SLL, [&sll(1, [0, 4])[..], &SNAP_IPV4].concat(), V4),
        // Frame relay keeps its own header behind the cooked one.
        (LinkType::LINUX_SLL, [&sll(770, [0, 0])[..], &[0x18, 0x41, 3, 0xcc]].concat(), V4),
        (LinkType::LINUX_SLL2, sll2([0x08, 0x00]), V4),
        (LinkType::LINUX_SLL2, sll2([0x86, 0xdd]), V6),
        (LinkType::ENC, padded(&[2, 0, 0, 0], 12), V4),
        (LinkType::ENC, padded(&[0, 0, 0, 24], 12), V6),
        (LinkType::PFLOG, padded(&[61, 2], 64), V4),
        (LinkType::PFLOG, padded(&[61, 30], 64), V6),
        (LinkType::IPNET, padded(&[1, 2], 24), V4),
        (LinkType::IPNET, padded(&[1, 26], 24), V6),
        (LinkType::NFLOG, nflog_le.to_vec(), V6),
        (LinkType::NFLOG, nflog_be.to_vec(), V4),
        (LinkType::PKTAP, pktap(12, &[]), V4),
        (LinkType::PKTAP, pktap(1, &ethernet_header([0x86, 0xdd])), V6),
        (LinkType::USER2, pktap(0, &[2, 0, 0, 0]), V4),
        (LinkType::PPI, [&[0, 0, 8, 0, 1, 0, 0, 0][..], &ethernet_header([0x08, 0x00])].concat(), V4),
    ]
}

fn ethernet_header(ethertype: [u8; 2]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ethertype].concat()
}

fn serial_cases() -> Vec<LinkCase> {
    vec![
        (LinkType::PPP, vec![0xff, 3, 0x00, 0x21], V4),
        (LinkType::PPP, vec![0x00, 0x57], V6),
        (LinkType::PPP, vec![0x21], V4),
        (LinkType::PPP, vec![0x02, 0x81, 0, 1, 0x01, 64], V4),
        // A bridged Ethernet frame, with and without an identifier of its network.
        (LinkType::PPP, [&[0x00, 0x31, 0, 1][..], &ethernet_header([0x08, 0x00])].concat(), V4),
        (
            LinkType::PPP,
            [&[0x00, 0x31, 0x20, 1, 0, 0, 0, 9][..], &ethernet_header([0x08, 0x00])].concat(),
            V4,
        ),
        (LinkType::PPP_HDLC, vec![0xff, 3, 0x00, 0x57], V6),
        (LinkType::PPP_HDLC, vec![0x0f, 0, 0x08, 0x00], V4),
        (LinkType::PPP_WITH_DIRECTION, vec![1, 0xff, 3, 0x00, 0x21], V4),
        (LinkType::PPP_OVER_ETHERNET, vec![0x11, 0, 0, 1, 0, 40, 0x00, 0x21], V4),
        (LinkType::CISCO_HDLC, vec![0x0f, 0, 0x08, 0x00], V4),
        (LinkType::CISCO_HDLC, vec![0x8f, 0, 0x86, 0xdd], V6),
        (LinkType::CISCO_HDLC_WITH_DIRECTION, vec![0, 0x0f, 0, 0x08, 0x00], V4),
        // Addresses of two and of four bytes; padding; SNAP; Cisco's EtherType; bridged Ethernet.
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 0xcc], V4),
        (LinkType::FRAME_RELAY, vec![0x18, 0x40, 0x40, 0x41, 3, 0x8e], V6),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 0x08, 0x00], V4),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 0x08, 0x00], V4),
        (
            LinkType::FRAME_RELAY,
            [&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7][..], &ethernet_header([0x08, 0x00])].concat(),
            V4,
        ),
        (LinkType::FRAME_RELAY_WITH_DIRECTION, vec![1, 0x18, 0x41, 3, 0xcc], V4),
        (LinkType::MPLS, vec![0, 1, 0x01, 64], V6),
        (LinkType::SLIP, vec![0; 16], V4),
        (LinkType::SLIP_BSDOS, vec![0; 24], V4),
    ]
}

fn wireless_cases() -> Vec<LinkCase> {
    // Frame control, duration, three addresses, sequence control, then LLC.
    let data = |control: [u8; 2], more: &[u8]| [&control[..], &[0; 22], more, &SNAP_IPV4].concat();
    let plain = data([0x08, 0x01], &[]);
    let avs = [&[0x80, 0x21, 0x10, 0x02, 0, 0, 0, 64][..], &[0; 56], &plain].concat();
    vec![
        (LinkType::IEEE802_11, plain.clone(), V4),
        // QoS; four addresses; QoS with high-throughput control; a mesh with one more address; an aggregate.
        (LinkType::IEEE802_11, data([0x88, 0x02], &[0, 0]), V4),
        (LinkType::IEEE802_11, data([0x08, 0x03], &[0; 6]), V4),
        (LinkType::IEEE802_11, data([0x88, 0x81], &[0; 6]), V4),
        (
            LinkType::IEEE802_11,
            data([0x88, 0x03], &[&[0; 6][..], &[0, 1], &[1, 9, 0, 0, 0, 0], &[0; 6]].concat()),
            V4,
        ),
        (LinkType::IEEE802_11, data([0x88, 0x02], &[&[0x80, 0][..], &[0; 12], &[0, 39]].concat()), V4),
        (LinkType::RADIOTAP, [&[0, 0, 8, 0, 0, 0, 0, 0][..], &plain].concat(), V4),
        // With a time stamp and flags, which say that the header is filled up to words.
        (
            LinkType::RADIOTAP,
            [&[0, 0, 17, 0, 3, 0, 0, 0][..], &[0; 8], &[0x20], &data([0x88, 0x02], &[0, 0, 0, 0])].concat(),
            V4,
        ),
        // With a second word of flags before the fields.
        (LinkType::RADIOTAP, [&[0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0][..], &plain].concat(), V4),
        (LinkType::PRISM, [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136], &plain].concat(), V4),
        (LinkType::PRISM, [&[0, 0, 0, 0x44, 0, 0, 0, 144][..], &[0; 136], &plain].concat(), V4),
        (LinkType::PRISM, avs.clone(), V4),
        (LinkType::AVS, avs, V4),
        (LinkType::PPI, [&[0, 0, 8, 0, 105, 0, 0, 0][..], &plain].concat(), V4),
    ]
}

fn shared_cases() -> Vec<LinkCase> {
    let behind = |head: &[u8], zeros: usize, tail: &[u8]| [head, &vec![0; zeros], tail].concat();
    let route = [0x06, 0x30, 0, 1, 0, 2];
    let routed = [&[0x10, 0x40, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0][..], &route, &SNAP_IPV4].concat();
    let bridged = [&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0][..], &ethernet_header([0x08, 0x00])].concat();
    let juniper = |flags: u8, rest: &[u8]| [&[0x4d, 0x47, 0x43, flags][..], rest].concat();
    vec![
        (LinkType::TOKEN_RING, behind(&[0x10, 0x40], 12, &SNAP_IPV4), V4),
        (LinkType::TOKEN_RING, routed, V4),
        (LinkType::FDDI, behind(&[0x57], 12, &SNAP_IPV6), V6),
        (LinkType::ARCNET, vec![1, 2, 240], V4),
        (LinkType::ARCNET, vec![1, 2, 212, 0, 0, 1], V4),
        // An exception frame, and the first of three parts.
        (LinkType::ARCNET, vec![1, 2, 212, 0xff, 0xff, 0xff, 212, 0, 0, 1], V4),
        (LinkType::ARCNET, vec![1, 2, 196, 3, 0, 1], V6),
        (LinkType::ARCNET_LINUX, vec![1, 2, 0, 0, 212, 0, 0, 1], V4),
        (LinkType::ATM_RFC1483, SNAP_IPV4.to_vec(), V4),
        (LinkType::ATM_RFC1483, vec![0xfe, 0xfe, 3, 0xcf, 0x00, 0x21], V4),
        (LinkType::ATM_RFC1483, bridged, V4),
        (LinkType::ATM_CLIP, vec![], V6),
        (LinkType::SUN_ATM, behind(&[0x02], 3, &SNAP_IPV4), V4),
        (LinkType::SUN_ATM, behind(&[0x81], 5, &ethernet_header([0x08, 0x00])), V4),
        (LinkType::IP_OVER_FIBRE_CHANNEL, behind(&[], 16, &SNAP_IPV6), V6),
        (LinkType::IP_OVER_FIREWIRE, behind(&[], 16, &[0x08, 0x00]), V4),
        (LinkType::IP_OVER_INFINIBAND, behind(&[], 40, &[0x86, 0xdd, 0, 0]), V6),
        (LinkType::JUNIPER_ETHERNET, juniper(0, &ethernet_header([0x08, 0x00])), V4),
        (
            LinkType::JUNIPER_ETHERNET,
            juniper(0x80, &[&[0, 3, 1, 1, 9][..], &ethernet_header([0x86, 0xdd])].concat()),
            V6,
        ),
        (LinkType::JUNIPER_ETHERNET, juniper(0x02, &[0, 0, 0, 2]), V4),
        (LinkType::JUNIPER_PPP, juniper(0, &[0x00, 0x21]), V4),
        (LinkType::JUNIPER_FRAME_RELAY, juniper(0, &[0x18, 0x41, 3, 0xcc]), V4),
        (LinkType::JUNIPER_CISCO_HDLC, juniper(0, &[0x0f, 0, 0x08, 0x00]), V4),
        (LinkType::BROADCOM_TAG, behind(&[], 16, &[0x08, 0x00]), V4),
        (LinkType::DSA_TAG, behind(&[], 16, &[0x86, 0xdd]), V6),
        (LinkType::EDSA_TAG, behind(&[], 20, &[0x08, 0x00]), V4),
        (LinkType::BROADCOM_TAG_BEFORE, behind(&[], 4, &ethernet_header([0x08, 0x00])), V4),
        (LinkType::NETANALYZER, behind(&[], 4, &ethernet_header([0x08, 0x00])), V4),
        (LinkType::NETANALYZER_TRANSPARENT, behind(&[], 12, &ethernet_header([0x08, 0x00])), V4),
        (LinkType::ETHERNET_MPACKET, behind(&[], 8, &ethernet_header([0x08, 0x00])), V4),
    ]
}

/// Headers between Ethernet and the packet.
fn nested_cases() -> Vec<LinkCase> {
    let on = |header: &[u8], version| {
        (LinkType::ETHERNET, [&ethernet_header([0, 0])[..12], header].concat(), version)
    };
    let tagged = [&[0, 5, 0, 0, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &[0x81, 0, 0, 9, 0x08, 0]].concat();
    let pseudowire =
        |word: &[u8]| [&[0x88, 0x47, 0, 1, 0x01, 64][..], word, &ethernet_header([0x08, 0x00])].concat();
    vec![
        on(&[0x91, 0x00, 0, 9, 0x08, 0x00], V4),
        on(&[0x92, 0x00, 0, 9, 0x86, 0xdd], V6),
        on(&[&[0, 60][..], &SNAP_IPV4].concat(), V4),
        on(&[0, 60, 0xaa, 0xaa, 3, 0, 0, 0xf8, 0x08, 0x00], V4),
        on(&[0, 60, 0xfe, 0xfe, 3, 0xcc], V4),
        on(&[0, 60, 0xfe, 0xfe, 3, 0x8e], V6),
        on(&[0, 60, 6, 6, 3], V4),
        on(&[0x88, 0x70, 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], V6),
        on(&[&[0x88, 0xe7][..], &tagged].concat(), V4),
        on(&[0x89, 0x26, 0, 1, 0, 2, 0x08, 0x00], V4),
        on(&[0x89, 0x2f, 0, 1, 0, 2, 0x08, 0x00], V4),
        on(&[0xf1, 0xc1, 0, 0, 0, 2, 0x86, 0xdd], V6),
        on(&[0x89, 0x3f, 0, 0, 0, 0, 0, 0, 0x08, 0x00], V4),
        on(&[0x89, 0x09, 1, 1, 0, 1, 0, 9, 0x08, 0x00], V4),
        on(&[&[0x89, 0x03, 0, 0x3f][..], &ethernet_header([0x08, 0x00])].concat(), V4),
        // TRILL with one word of options.
        on(
            &[&[0x22, 0xf3, 0, 0x42, 0, 1, 0, 2, 0, 0, 0, 0][..], &ethernet_header([0x86, 0xdd])].concat(),
            V6,
        ),
        on(&[&[0x65, 0x58][..], &ethernet_header([0x08, 0x00])].concat(), V4),
        on(&[0x88, 0x0b, 0x00, 0x21], V4),
        // MACsec that only authenticates, without and with a channel.
        on(&[0x88, 0xe5, 0, 0, 0, 0, 0, 1, 0x08, 0x00], V4),
        on(&[0x88, 0xe5, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x86, 0xdd], V6),
        on(&[0xd2, 0x8b, 0, 1, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00], V4),
        on(&[0xd2, 0x8b, 0, 1, 0, 0x20, 0, 0, 0, 0, 0, 0, 0x08, 0x00], V4),
        // Service header of two words: path and time to live.
        on(&[0x89, 0x4f, 0x0f, 0xc2, 1, 1, 0, 0, 0, 0], V4),
        on(&[0x88, 0x47, 0, 1, 0, 64, 0, 2, 0x01, 64], V4),
        on(&[0x88, 0x48, 0, 1, 0x01, 64], V6),
        on(&pseudowire(&[0; 4]), V4),
        on(&pseudowire(&[]), V4),
        on(&[0x81, 0x00, 0, 9, 0x88, 0x64, 0x11, 0, 0, 1, 0, 40, 0x00, 0x57], V6),
    ]
}

pub fn packet_of(version: Version) -> Vec<u8> {
    match version {
        V4 => v4().packet(&udp(), b"abc").bytes,
        V6 => v6().packet(&udp(), b"abc").bytes,
    }
}

#[test]
fn every_link_leads_to_the_same_packet() {
    for (link, header, version) in cases() {
        let packet = packet_of(version);
        let bytes = [&header[..], &packet].concat();
        let decoded = decode(&frame(link, &bytes)).unwrap_or_else(|reason| {
            panic!("{} {link:?} {header:02x?}", reason.name());
        });
        assert_eq!(decoded.network_start as usize, header.len(), "{link:?} {header:02x?}");
        assert_eq!(ports(&decoded), (4000, 53));
        assert_eq!(payload(&bytes, &decoded), b"abc");
        assert_eq!((decoded.network_bytes as usize, decoded.anomaly), (packet.len(), None));
    }
}

#[test]
fn a_link_header_that_is_cut_anywhere_says_so() {
    for (link, header, version) in cases() {
        let bytes = [&header[..], &packet_of(version)].concat();
        for kept in 0..header.len() {
            let reason = decode(&frame(link, &bytes[..kept])).expect_err("half a header");
            let is_truncated =
                matches!(reason, NotFlow::LinkTruncated | NotFlow::Ipv4Truncated | NotFlow::Ipv6Truncated);
            // A tap that is told from other private use by its header is none without it, and what labels carry
            // is a guess.
            let is_guess = match reason {
                NotFlow::LinkUnsupported => link == LinkType::USER2,
                NotFlow::OtherEtherType => header.get(12..14) == Some(&[0x88, 0x47]),
                _ => false,
            };
            assert!(is_truncated || is_guess, "{reason:?} {link:?} {kept} of {header:02x?}");
        }
    }
}

#[test]
fn frames_of_the_link_itself_are_no_packets() {
    let packet = packet_of(V4);
    let sll = |hardware: u16, protocol: u16| {
        [&[0, 0][..], &hardware.to_be_bytes(), &[0; 10], &protocol.to_be_bytes()].concat()
    };
    let wireless = |control: [u8; 2]| [&control[..], &[0; 22], &SNAP_IPV4].concat();
    let later = [&[0x08, 0x01][..], &[0; 20], &[0x11, 0], &SNAP_IPV4].concat();
    let cases = [
        // Netlink; CAN; a beacon; data without data; protected data; a later fragment; a later part.
        (LinkType::LINUX_SLL, sll(824, 0x0800), NotFlow::OtherEtherType),
        (LinkType::LINUX_SLL, sll(280, 0x000c), NotFlow::OtherEtherType),
        (LinkType::IEEE802_11, wireless([0x80, 0]), NotFlow::OtherEtherType),
        (LinkType::IEEE802_11, wireless([0x48, 0]), NotFlow::OtherEtherType),
        (LinkType::IEEE802_11, wireless([0x08, 0x41]), NotFlow::LinkEncrypted),
        (LinkType::IEEE802_11, later, NotFlow::OtherEtherType),
        (LinkType::ARCNET, vec![1, 2, 212, 2, 0, 1], NotFlow::OtherEtherType),
        (LinkType::ARCNET, vec![1, 2, 213, 0, 0, 1], NotFlow::Arp),
        (LinkType::PPP, vec![0xc0, 0x21], NotFlow::OtherEtherType),
        (LinkType::PPP, vec![0x00, 0xfd], NotFlow::LinkEncrypted),
        (LinkType::CISCO_HDLC, vec![0x8f, 0, 0x80, 0x35], NotFlow::OtherEtherType),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 8], NotFlow::Llc),
        (LinkType::FRAME_RELAY, vec![0x18, 0x40, 0x40, 0x40], NotFlow::OtherEtherType),
        (LinkType::TOKEN_RING, vec![0; 14], NotFlow::OtherEtherType),
        (LinkType::FDDI, vec![0; 13], NotFlow::OtherEtherType),
        (LinkType::NFLOG, vec![2, 1, 0, 0], NotFlow::OtherEtherType),
        (LinkType::USER2, vec![0; 12], NotFlow::LinkUnsupported),
        (LinkType::PPI, vec![0, 0, 8, 0, 0, 0, 1, 0], NotFlow::LinkUnsupported),
        (LinkType::JUNIPER_ETHERNET, vec![0; 4], NotFlow::OtherEtherType),
    ];
    for (link, header, reason) in cases {
        let bytes = [&header[..], &packet].concat();
        assert_eq!(decode(&frame(link, &bytes)), Err(reason), "{link:?} {header:02x?}");
    }
}

#[test]
fn discovery_of_sessions_and_unknown_labels_are_no_packets() {
    let discovery = untagged().frame(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0]);
    assert_eq!(decode(&ethernet(&discovery)), Err(NotFlow::OtherEtherType));
    // A stack before something that is neither IP nor Ethernet.
    let other = untagged().frame(0x8847, &[&[0, 1, 0x01, 64][..], &[0x12; 40]].concat());
    assert_eq!(decode(&ethernet(&other)), Err(NotFlow::OtherEtherType));
}

#[test]
fn layers_inside_of_each_other_are_bounded() {
    let mut bytes = packet_of(V4);
    for _ in 0..16 {
        bytes = [&ethernet_header([0x65, 0x58])[..], &bytes].concat();
    }
    assert_eq!(decode(&ethernet(&bytes)), Err(NotFlow::LinkDepth));
    let labels = [&[0, 1, 0, 64].repeat(15)[..], &[0, 1, 0x01, 64]].concat();
    let deepest = untagged().frame(0x8847, &[&labels[..], &packet_of(V4)].concat());
    assert_eq!(decoded(&deepest).link, LinkTags { mpls_labels: 16, mpls_label: 16, ..LinkTags::default() });
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
    assert_eq!(mac_addresses(&frame(LinkType::LINUX_SLL, &bytes)), Default::default());
}
