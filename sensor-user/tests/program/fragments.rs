//! Fragments go where their flow goes.

use crate::bench::{Bench, V4, V6, addresses_hash, datagram, decoded_hash, fragments, reversed, udp};
use sensor_ebpf::{Class, Screening, Verdict};
use sensor_user::config::FilterConfig;
use traffic::frame::Ethernet;
use traffic::frame::ip::{Extension, Fragment, Ip, Ipv6, Packet};
use traffic::frame::transport::{Icmp, Transport};

const CLASSES: [Class; 2] = [Class::Ipv4Fragment, Class::Ipv6Fragment];

fn frames(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| Ethernet::default().carry(packet)).collect()
}

fn whole(packet: &Packet) -> u64 {
    decoded_hash(&Ethernet::default().carry(packet)).expect("a packet of a flow")
}

#[test]
fn all_fragments_of_both_directions_are_steered_as_their_flow() {
    let Some(program) = Bench::default().load() else { return };
    for (addresses, class) in [V4, V6].into_iter().zip(CLASSES) {
        for port in 4000..4040 {
            let ports = [port, 53];
            let hash = whole(&datagram(addresses, ports));
            let (there, back) =
                (fragments(addresses, ports, u32::from(port)), (reversed(addresses), reversed(ports)));
            let back = fragments(back.0, back.1, u32::from(port));
            for frame in frames(&there).iter().chain(&frames(&back)) {
                assert_eq!(program.class_and_hash(frame), (class, hash));
                let stamp = program.stamp(frame).expect("a stamp");
                assert!(!stamp.is_hashed(), "the decoder sees no ports in a later fragment");
                assert_eq!(stamp.screening(), Screening::Full);
            }
        }
    }
}

#[test]
fn later_fragments_may_come_in_any_order_and_more_than_once() {
    let Some(program) = Bench::default().load() else { return };
    for addresses in [V4, V6] {
        let hash = whole(&datagram(addresses, [4000, 53]));
        let frames = frames(&fragments(addresses, [4000, 53], 9));
        for index in [0, 3, 1, 3, 2, 0, 2] {
            assert_eq!(program.class_and_hash(&frames[index]).1, hash, "fragment {index}");
        }
    }
}

#[test]
fn a_packet_whose_later_fragment_comes_first_stays_together_by_its_addresses() {
    let Some(program) = Bench::default().load() else { return };
    for (addresses, class) in [V4, V6].into_iter().zip(CLASSES) {
        let orders = [[3, 2, 1, 0], [1, 0, 2, 3], [2, 3, 0, 1]];
        for (number, order) in (20..).zip(orders) {
            let frames = frames(&fragments(addresses, [4000, 53], number));
            for index in order {
                let found = program.class_and_hash(&frames[index]);
                assert_eq!(found, (class, addresses_hash(addresses)), "fragment {index} of {order:?}");
            }
        }
    }
}

#[test]
fn what_came_before_of_other_packets_does_not_matter() {
    let Some(program) = Bench::default().load() else { return };
    for addresses in [V4, V6] {
        let late = &frames(&fragments(addresses, [4000, 53], 11))[2];
        program.stamp(&Ethernet::default().carry(&fragments(addresses, [4000, 53], 12)[0]));
        program.stamp(&Ethernet::default().carry(&fragments(reversed(addresses), [53, 4000], 11)[0]));
        assert_eq!(program.class_and_hash(late).1, addresses_hash(addresses));
    }
}

#[test]
fn fragments_of_a_protocol_without_ports_are_of_its_flow_in_any_order() {
    let Some(program) = Bench::default().load() else { return };
    let echo = Icmp { kind: 8, code: 0, identifier: 7, sequence: 1 };
    for (addresses, echo) in [(V4, Transport::Icmp(echo)), (V6, Transport::Icmpv6(echo))] {
        let ip = Ip::between(addresses[0], addresses[1]);
        let hash = whole(&ip.packet(&echo, b"whole"));
        let frames = frames(&ip.fragments(&echo, &[0x5a; 1000], 400, 5));
        for frame in frames.iter().rev() {
            assert_eq!(program.class_and_hash(frame).1, hash);
        }
    }
}

#[test]
fn a_number_that_is_used_again_stands_for_the_latest_packet() {
    let Some(program) = Bench::default().load() else { return };
    for addresses in [V4, V6] {
        for port in [53, 80, 443] {
            let hash = whole(&datagram(addresses, [4000, port]));
            for frame in frames(&fragments(addresses, [4000, port], 77)) {
                assert_eq!(program.class_and_hash(&frame).1, hash);
            }
        }
    }
}

/// In the fragment header of a first fragment stands what follows, which need not be the upper protocol.
#[test]
fn options_between_the_fragment_header_and_udp_do_not_change_the_flow() {
    let Some(program) = Bench::default().load() else { return };
    let Ip::V6(plain) = Ip::between(V6[0], V6[1]) else { panic!("addresses of IPv6") };
    let fragment = |offset, more| Extension::Fragment(Fragment { offset, more, identification: 5 });
    let with = |extensions| Ip::V6(Ipv6 { extensions, ..plain.clone() });
    let first = with(vec![fragment(0, true), Extension::DestinationOptions(vec![1, 4, 0, 0, 0, 0])]);
    let first = first.packet(&udp([4000, 53]), &[0x5a; 64]);
    let hash = whole(&datagram(V6, [4000, 53]));
    assert_eq!(program.class_and_hash(&Ethernet::default().carry(&first)).1, hash);
    let later = with(vec![fragment(80, false), Extension::DestinationOptions(vec![1, 4, 0, 0, 0, 0])]);
    let later = later.packet(&udp([1, 2]), &[0x5a; 64]);
    assert_eq!(program.class_and_hash(&Ethernet::default().carry(&later)), (Class::Ipv6Fragment, hash));
}

#[test]
fn an_atomic_fragment_is_a_packet_of_its_flow_and_leaves_nothing_behind() {
    let Some(program) = Bench::default().load() else { return };
    let Ip::V6(plain) = Ip::between(V6[0], V6[1]) else { panic!("addresses of IPv6") };
    let atomic = Extension::Fragment(Fragment { offset: 0, more: false, identification: 6 });
    let packet = Ip::V6(Ipv6 { extensions: vec![atomic], ..plain }).packet(&udp([4000, 53]), &[0x5a; 64]);
    let hash = whole(&datagram(V6, [4000, 53]));
    assert_eq!(program.class_and_hash(&Ethernet::default().carry(&packet)), (Class::Ipv6Fragment, hash));
    let later = &frames(&fragments(V6, [4000, 53], 6))[1];
    assert_eq!(program.class_and_hash(later).1, addresses_hash(V6));
}

#[test]
fn fragments_are_filtered_with_their_flow_also_for_a_lone_worker() {
    for workers in [1, 2] {
        let filter = FilterConfig { include_ports: vec![53], ..FilterConfig::default() };
        let Some(program) = (Bench { workers, filter, ..Bench::default() }).load() else { return };
        for addresses in [V4, V6] {
            for (port, verdict) in [(53, Verdict::NoSocket), (54, Verdict::Filtered)] {
                for frame in frames(&fragments(addresses, [4000, port], u32::from(port))) {
                    assert_eq!(program.verdict(&frame), verdict, "port {port}, {workers} workers");
                }
            }
        }
    }
}

#[test]
fn fragments_are_sampled_with_their_flow() {
    let Some(program) = (Bench { sample_rate: 3, ..Bench::default() }).load() else { return };
    let mut kept = 0;
    for port in 4000..4100 {
        let flow = program.verdict(&Ethernet::default().carry(&datagram(V4, [port, 53])));
        kept += u32::from(flow == Verdict::NoSocket);
        for frame in frames(&fragments(V4, [port, 53], u32::from(port))) {
            assert_eq!(program.verdict(&frame), flow, "port {port}");
        }
    }
    assert!((10..60).contains(&kept), "{kept} of 100 flows at 1 in 3");
}

#[test]
fn a_flood_of_first_fragments_pushes_out_the_old_and_keeps_the_new() {
    let Some(program) = Bench::default().load() else { return };
    for number in 0..2 * sensor_ebpf::FRAGMENTED_PACKETS_MAX {
        let source = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into();
        let first = &fragments([source, V4[1]], [4000, 53], number)[0];
        program.stamp(&Ethernet::default().carry(first));
    }
    let frames = frames(&fragments(V4, [4000, 53], 1));
    let hash = whole(&datagram(V4, [4000, 53]));
    assert!(frames.iter().all(|frame| program.class_and_hash(frame).1 == hash));
}
