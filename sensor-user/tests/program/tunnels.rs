//! Tunnels, where userspace counts what is inside of them: one worker for all that passes between two ends.

use crate::bench::{Bench, V4, V6, addresses_hash, datagram, decoded_hash, fragments, reversed};
use sensor_ebpf::{Class, Screening, Verdict, ip_protocol};
use sensor_user::config::FilterConfig;
use sensor_user::program::TunnelSteering;
use std::net::IpAddr;
use traffic::frame::Ethernet;
use traffic::frame::ip::Ip;
use traffic::frame::transport::Transport;

fn inner_flows() -> Bench {
    Bench { tunnels: Some(TunnelSteering::default()), ..Bench::default() }
}

fn over_udp(addresses: [IpAddr; 2], ports: [u16; 2]) -> Vec<u8> {
    Ethernet::default().carry(&datagram(addresses, ports))
}

fn over_ip([source, destination]: [IpAddr; 2], protocol: u8) -> Vec<u8> {
    Ethernet::default().carry(&Ip::between(source, destination).packet(&Transport::Other(protocol), &[0; 40]))
}

#[test]
fn everything_between_two_tunnel_ends_has_one_hash() {
    let Some(program) = inner_flows().load() else { return };
    for addresses in [V4, V6] {
        let hash = addresses_hash(addresses);
        for port in TunnelSteering::default().ports {
            for frame in [
                over_udp(addresses, [50000, port]),
                over_udp(reversed(addresses), [61234, port]),
                over_udp(reversed(addresses), [port, 61234]),
            ] {
                assert_eq!(program.class_and_hash(&frame), (Class::Tunnel, hash), "port {port}");
            }
        }
        for protocol in (0..=u8::MAX).filter(|protocol| ip_protocol::is_tunnel(*protocol)) {
            for addresses in [addresses, reversed(addresses)] {
                let frame = over_ip(addresses, protocol);
                assert_eq!(program.class_and_hash(&frame), (Class::Tunnel, hash), "protocol {protocol}");
            }
        }
        let (class, other) = program.class_and_hash(&over_udp(addresses, [50000, 53]));
        assert!(class != Class::Tunnel && other != hash, "not a tunnel");
    }
}

#[test]
fn other_tunnel_ends_go_to_other_workers() {
    let Some(program) = inner_flows().load() else { return };
    let mut per_worker = [0; 2];
    for end in 0..100 {
        let (_, hash) = program.class_and_hash(&over_udp([V4[0], [192, 0, 2, end].into()], [50000, 4789]));
        per_worker[sensor_ebpf::hash::worker_of(hash, 2) as usize] += 1;
    }
    assert!(per_worker.iter().all(|ends| *ends > 25), "{per_worker:?}");
}

#[test]
fn a_tunnel_is_left_to_userspace_to_hash_and_to_sample() {
    let Some(program) = (Bench { sample_rate: u32::MAX, ..inner_flows() }).load() else { return };
    for port in 50000..50050 {
        let stamp = program.stamp(&over_udp(V4, [port, 4789])).expect("a stamp: it is not sampled out");
        assert!(!stamp.is_hashed());
        assert_eq!(stamp.screening(), Screening::OuterFilter);
    }
    assert_eq!(program.verdict(&over_udp(V4, [50000, 53])), Verdict::SampledOut);
}

#[test]
fn the_filter_sees_the_outer_packet_only() {
    let filter = FilterConfig {
        exclude_ports: vec![6081],
        exclude_prefixes: vec!["192.0.2.9/32".parse().expect("a prefix")],
        exclude_protocols: vec![47],
        ..FilterConfig::default()
    };
    let Some(program) = (Bench { filter, ..inner_flows() }).load() else { return };
    assert_eq!(program.verdict(&over_udp(V4, [50000, 4789])), Verdict::NoSocket);
    assert_eq!(program.verdict(&over_udp(V4, [50000, 6081])), Verdict::Filtered);
    assert_eq!(program.verdict(&over_udp([V4[0], [192, 0, 2, 9].into()], [50000, 4789])), Verdict::Filtered);
    assert_eq!(program.verdict(&over_ip(V4, 47)), Verdict::Filtered);
    assert_eq!(program.verdict(&over_ip(V4, 4)), Verdict::NoSocket);
}

#[test]
fn fragments_of_a_tunnel_stay_with_it() {
    let Some(program) = inner_flows().load() else { return };
    for addresses in [V4, V6] {
        let (_, hash) = program.class_and_hash(&over_udp(addresses, [50000, 4789]));
        for packet in fragments(addresses, [50001, 4789], 3) {
            let frame = Ethernet::default().carry(&packet);
            assert_eq!(program.class_and_hash(&frame), (Class::Tunnel, hash));
        }
        for packet in fragments(addresses, [50001, 4789], 4).iter().rev() {
            assert_eq!(program.class_and_hash(&Ethernet::default().carry(packet)).1, hash);
        }
    }
}

#[test]
fn without_inner_flows_a_tunnel_is_a_flow_like_any_other() {
    let Some(program) = Bench::default().load() else { return };
    for frame in [over_udp(V4, [50000, 4789]), over_udp(V6, [50000, 4789]), over_ip(V4, 47), over_ip(V6, 4)] {
        let stamp = program.stamp(&frame).expect("a stamp");
        assert!(stamp.is_hashed() && stamp.class != Class::Tunnel as u16);
        assert_eq!(Some(stamp.hash), decoded_hash(&frame));
    }
}

#[test]
fn port_zero_never_stands_for_a_tunnel() {
    let tunnels = Some(TunnelSteering { ports: vec![0, 4789] });
    let Some(program) = (Bench { tunnels, ..Bench::default() }).load() else { return };
    assert_eq!(program.class_and_hash(&over_udp(V4, [0, 53])).0, Class::Ipv4Udp);
    assert_eq!(program.class_and_hash(&over_udp(V4, [0, 4789])).0, Class::Tunnel);
}
