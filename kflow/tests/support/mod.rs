//! Records for the tests: typical ones and arbitrary ones.

use kflow::{DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, MacAddress};
use proptest::prelude::*;
use std::net::IpAddr;

/// Any record that keeps to the record's rules: one address family, ports or an ICMP kind.
pub fn any_record() -> impl Strategy<Value = FlowRecord> {
    let addresses = prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| (source.into(), destination.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| (source.into(), destination.into())),
        Just(([0; 16].into(), [0; 16].into())),
    ];
    let protocol = prop_oneof![Just(1), Just(6), Just(17), Just(58), any::<u8>()];
    let transport = any::<(u16, u16)>();
    let macs = any::<([u8; 6], [u8; 6])>();
    let reason = prop::sample::select(&EndReason::ALL[..]);
    let sample_rate = prop_oneof![Just(1), any::<u32>()];
    let times = (number(), number());
    (times, addresses, protocol, transport, macs, any_counters(), any_counters(), reason, sample_rate)
        .prop_map(
            |(times, addresses, protocol, transport, macs, forward, reverse, end_reason, sample_rate)| {
                let is_icmp = protocol == 1 || protocol == 58;
                let [kind, code] = transport.0.to_be_bytes();
                let ports = if is_icmp { (0, 0) } else { transport };
                FlowRecord {
                    start_ns: times.0,
                    end_ns: times.1,
                    source: endpoint(addresses.0, ports.0, macs.0),
                    destination: endpoint(addresses.1, ports.1, macs.1),
                    protocol,
                    icmp: if is_icmp { IcmpKind { kind, code } } else { IcmpKind::default() },
                    forward,
                    reverse,
                    end_reason,
                    sample_rate,
                }
            },
        )
}

fn endpoint(address: IpAddr, port: u16, mac: [u8; 6]) -> Endpoint {
    Endpoint { address, port, mac: MacAddress(mac) }
}

fn any_counters() -> impl Strategy<Value = DirectionCounters> {
    let sizes = (number(), number(), number());
    (sizes, prop_oneof![Just(0), any::<u32>()], any::<u8>(), any::<u8>(), any::<u16>()).prop_map(
        |(sizes, fragments, tcp_flags, tos, vlan)| DirectionCounters {
            packets: sizes.0,
            bytes: sizes.1,
            frame_bytes: sizes.2,
            fragments,
            tcp_flags,
            tos,
            vlan,
        },
    )
}

/// Zero, small and large numbers alike.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..2000, any::<u64>()]
}
