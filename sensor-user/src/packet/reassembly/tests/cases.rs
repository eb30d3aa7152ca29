//! Datagrams as hosts send them, whole and in pieces that overlap.

use super::{super::Ending, *};
use proptest::prelude::*;

#[test]
fn fragments_in_order_make_the_packet_that_was_cut() {
    for ip in [v4(), v6()] {
        let packet = ip.packet(&udp(), &payload(4000));
        let mut rig = Rig::new();
        let outcomes = rig.add_all(&ip.fragments(&udp(), &payload(4000), 1480, 7));
        let flow = Some(flow_of(&packet));
        let part = Outcome { flow, ..Outcome::default() };
        let last = Outcome { flow, whole: Some(packet.bytes), ..Outcome::default() };
        assert_eq!(outcomes, [part.clone(), part, last]);
        let counts = rig.reassembler.counts();
        assert_eq!((counts.fragments, counts.resolved, counts.begun), (3, 3, 1));
        assert_eq!(counts.ended(Ending::Completed), 1);
        assert_eq!(rig.reassembler.levels().memory_bytes, 0);
    }
}

#[test]
fn fragments_in_reverse_wait_and_are_claimed_by_the_first() {
    for ip in [v4(), v6()] {
        let packet = ip.packet(&udp(), &payload(4000));
        let fragments = ip.fragments(&udp(), &payload(4000), 1480, 7);
        let mut rig = Rig::new();
        let start = rig.now;
        assert_eq!(rig.add(&fragments[2]), Outcome::default());
        rig.pass(Duration::from_secs(1));
        assert_eq!(rig.add(&fragments[1]), Outcome::default());
        let second = rig.now;
        rig.pass(Duration::from_secs(1));
        let outcome = rig.add(&fragments[0]);
        assert_eq!(outcome.flow, Some(flow_of(&packet)));
        assert_eq!(outcome.whole, Some(packet.bytes));
        let waited = outcome.claimed.expect("two waited");
        let network_bytes = (fragments[1].bytes.len() + fragments[2].bytes.len()) as u64;
        assert_eq!((waited.packets, waited.network_bytes), (2, network_bytes));
        assert_eq!(waited.frame_bytes, network_bytes + 2 * 14);
        assert_eq!((waited.first, waited.last), (start, second));
        assert_eq!(waited.mac_addresses.0.0, Ethernet::default().destination);
        assert_eq!(rig.reassembler.counts().claimed, 2);
        assert!(rig.unclaimed.is_empty());
    }
}

#[test]
fn what_waits_keeps_marks_and_tags_of_its_packets() {
    let marked = |tos| match v4() {
        Ip::V4(ip) => fragment(&Ip::V4(Ipv4 { tos, ..ip }), at(8, true), &[1; 8]),
        Ip::V6(_) => unreachable!("v4() is IPv4"),
    };
    let mut rig = Rig::new();
    let tagged = Ethernet { tags: vec![traffic::frame::Tag::vlan(100)], ..Ethernet::default() };
    let bytes = tagged.carry(&marked(0x43));
    rig.add_frame(&bytes, bytes.len());
    rig.add(&marked(0x80));
    rig.flush();
    let waiting = rig.unclaimed[0].waiting;
    assert_eq!((waiting.tos, waiting.ecn_ce_packets, waiting.link.vlan), (0xc3, 1, 100));
}

#[test]
fn datagrams_between_each_other_stay_apart() {
    // The same identification in both families, from both ends and of two protocols; another one of each.
    let reversed = v4().reversed();
    let icmp = Transport::Icmp(traffic::frame::transport::Icmp::echo_request(1, 1));
    let cut = |ip: &Ip, transport: &Transport, identification: u16| {
        let ip = match ip {
            Ip::V4(ip) => Ip::V4(Ipv4 { identification, ..ip.clone() }),
            Ip::V6(_) => ip.clone(),
        };
        let data = payload(3000 + usize::from(identification));
        (ip.packet(transport, &data), ip.fragments(transport, &data, 1000, u32::from(identification)))
    };
    let datagrams = [
        cut(&v4(), &udp(), 7),
        cut(&v4(), &udp_from(4001), 8),
        cut(&v4(), &icmp, 7),
        cut(&reversed, &udp(), 7),
        cut(&v6(), &udp(), 7),
        cut(&v6(), &udp_from(4002), 8),
        cut(&v6().reversed(), &udp(), 7),
    ];
    let mut rig = Rig::new();
    for n in 0..3 {
        for (_, fragments) in &datagrams {
            assert_eq!(rig.add(&fragments[n]).whole, None);
        }
    }
    for (packet, fragments) in &datagrams {
        let outcome = rig.add(&fragments[3]);
        assert_eq!(outcome.whole.as_ref(), Some(&packet.bytes));
        assert_eq!(outcome.flow, Some(flow_of(packet)));
    }
}

#[test]
fn tunnels_keep_equal_datagrams_apart() {
    let fragments = v4().fragments(&udp(), &payload(100), 64, 7);
    let mut rig = Rig::new();
    for id in [1, 2] {
        for (n, fragment) in fragments.iter().enumerate() {
            let frame = raw(&fragment.bytes);
            let mut packet = packet::decode(&frame).expect("it was built");
            packet.tunnel.kind = kflow::TunnelKind::Vxlan;
            packet.tunnel.id = id;
            let piece = Piece::of(&frame, &packet).expect("it is a fragment");
            let added = rig.reassembler.add(&piece, &mut |_| unreachable!("nothing waits in vain"));
            assert_eq!(added.whole.is_some(), n == 1);
        }
    }
    assert_eq!(rig.reassembler.counts().begun, 2);
}

#[test]
fn options_and_extension_headers_of_the_first_fragment_are_kept() {
    let router_alert = vec![0x94, 4, 0, 0];
    let Ip::V4(plain) = v4() else { unreachable!("v4() is IPv4") };
    let extensions = vec![
        Extension::HopByHop(vec![5, 2, 0, 0]),
        Extension::DestinationOptions(vec![
            1, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
        ]),
    ];
    for ip in [Ip::V4(Ipv4 { options: router_alert, ..plain }), v6_with(extensions)] {
        let packet = ip.packet(&udp(), &payload(3000));
        let mut rig = Rig::new();
        let outcomes = rig.add_all(&ip.fragments(&udp(), &payload(3000), 1400, 7));
        assert_eq!(outcomes[2].whole, Some(packet.bytes));
    }
}

#[test]
fn duplicates_are_counted_and_change_nothing() {
    let fragments = v4().fragments(&udp(), &payload(3000), 1480, 7);
    let packet = v4().packet(&udp(), &payload(3000));
    let mut rig = Rig::new();
    for n in [0, 0, 1, 1, 0] {
        assert_eq!(rig.add(&fragments[n]).whole, None);
    }
    assert_eq!(rig.add(&fragments[2]).whole, Some(packet.bytes.clone()));
    let late = rig.add(&fragments[2]);
    assert_eq!(late, Outcome { flow: Some(flow_of(&packet)), ..Outcome::default() });
    let counts = rig.reassembler.counts();
    assert_eq!((counts.duplicate, counts.overlapping, counts.late), (3, 0, 1));
}

#[test]
fn a_first_fragment_with_a_used_identification_starts_anew() {
    let first = v4().fragments(&udp(), &payload(2000), 1480, 7);
    let second = v4().fragments(&udp_from(4001), &payload(1999), 1480, 7);
    let mut rig = Rig::new();
    rig.add_all(&first);
    let outcomes = rig.add_all(&second);
    let packet = v4().packet(&udp_from(4001), &payload(1999));
    assert_eq!(outcomes[0].flow, Some(flow_of(&packet)));
    assert_eq!(outcomes[1].flow, Some(flow_of(&packet)));
    assert_eq!(outcomes[1].whole, Some(packet.bytes));
    assert_eq!(rig.reassembler.counts().begun, 2);
}

#[test]
fn a_later_fragment_with_a_used_identification_cannot_start_anew() {
    let mut rig = Rig::new();
    let fragments = v4().fragments(&udp(), &payload(2000), 1480, 7);
    rig.add_all(&fragments);
    let late = rig.add(&fragment(&v4(), at(4000, true), &[0; 8]));
    assert!(late.flow.is_some());
    assert_eq!(rig.reassembler.counts().begun, 1);
}

#[test]
fn the_first_of_overlapping_bytes_win() {
    for ip in [v4(), v6()] {
        let mut rig = Rig::new();
        rig.add(&fragment(&ip, at(8, true), &[2; 16]));
        rig.add(&fragment(&ip, at(0, true), &[1; 16]));
        rig.add(&fragment(&ip, at(16, true), &[3; 24]));
        let whole = rig.add(&fragment(&ip, at(32, false), &[4; 11])).whole.expect("all is there");
        let data = &whole[whole.len() - 43..];
        assert_eq!(data, [&[1; 8][..], &[2; 16], &[3; 16], &[4; 3]].concat());
        let counts = rig.reassembler.counts();
        assert_eq!((counts.overlapping, counts.conflicting, counts.duplicate), (3, 3, 0));
    }
}

#[test]
fn the_same_bytes_in_other_cuts_are_overlaps_without_conflict() {
    let ip = v4();
    let data = payload(64);
    let mut rig = Rig::new();
    rig.add(&fragment(&ip, at(0, true), &data[..32]));
    rig.add(&fragment(&ip, at(8, true), &data[8..24]));
    let whole = rig.add(&fragment(&ip, at(16, false), &data[16..])).whole.expect("all is there");
    assert_eq!(whole[20..], data);
    let counts = rig.reassembler.counts();
    assert_eq!((counts.duplicate, counts.overlapping, counts.conflicting), (1, 1, 0));
}

#[test]
fn the_longest_datagrams_are_assembled() {
    for (ip, bytes) in [(v4(), 65_515 - 8), (v6(), 65_535 - 8)] {
        let packet = ip.packet(&udp(), &payload(bytes));
        let mut rig = Rig::new();
        let outcomes = rig.add_all(&ip.fragments(&udp(), &payload(bytes), 1480, 7));
        let whole = outcomes.last().and_then(|outcome| outcome.whole.as_ref());
        assert!(whole == Some(&packet.bytes), "the packet differs");
    }
}

#[test]
fn tiny_fragments_are_assembled_like_others() {
    let packet = v4().packet(&udp(), &payload(2000));
    let mut fragments = v4().fragments(&udp(), &payload(2000), 8, 7);
    fragments.reverse();
    let mut rig = Rig::new();
    let outcomes = rig.add_all(&fragments);
    let last = outcomes.last().expect("there are many");
    assert_eq!(last.whole.as_ref(), Some(&packet.bytes));
    assert_eq!(last.claimed.map(|waiting| waiting.packets as usize), Some(fragments.len() - 1));
}

proptest! {
    #[test]
    fn a_rewritten_ipv4_header_has_a_right_checksum(
        addresses in any::<[[u8; 4]; 2]>(),
        (tos, ttl, identification) in any::<(u8, u8, u16)>(),
        options in proptest::collection::vec(any::<u8>(), 0..=40),
        bytes in 9usize..100,
    ) {
        let ip = Ipv4 { tos, ttl, options, identification, dont_fragment: false, ..Ipv4::between(addresses[0], addresses[1]) };
        let ip = Ip::V4(ip);
        let mut rig = Rig::new();
        let outcomes = rig.add_all(&ip.fragments(&udp(), &payload(bytes), 16, u32::from(identification)));
        let whole = outcomes.last().and_then(|outcome| outcome.whole.clone());
        prop_assert_eq!(whole, Some(ip.packet(&udp(), &payload(bytes)).bytes));
    }
}
