//! Records for the tests: arbitrary ones.

use kflow::application::{Draft, Slot, TEXT_BYTES_MAX};
use kflow::{
    AppProtocol, Application, DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, Latency,
    MacAddress, TcpDirection, TcpRecord, TcpState, Tunnel, TunnelKind,
};
use proptest::prelude::*;
use std::net::IpAddr;

/// Any record that keeps to the record's rules: one address family, ports or an ICMP kind, TCP's part for TCP,
/// an application that says something if its protocol is known.
pub fn any_record() -> impl Strategy<Value = FlowRecord> {
    (any_flow(), prop::option::of(any_application())).prop_map(|(flow, application)| match application {
        None => flow,
        Some((protocol, transactions, application)) => FlowRecord {
            app_protocol: Some(protocol),
            transactions,
            application: application.filter(|application| !application.is_empty()),
            ..flow
        },
    })
}

/// A protocol, transactions, what was said.
fn any_application() -> impl Strategy<Value = (AppProtocol, u32, Option<Application>)> {
    let protocol = prop::sample::select(&AppProtocol::ALL[..]);
    let number = prop_oneof![any::<u32>().prop_map(u64::from), any::<u64>()];
    let value = (number, any_text(), any::<IpAddr>());
    let values = prop::collection::vec(prop::option::of(value), kflow::application::FIELDS_MAX);
    let said = prop::option::weighted(0.8, (values, maybe()));
    (protocol, small(), said).prop_map(|(protocol, transactions, said)| {
        let application = said.map(|(values, latency_us)| {
            let mut draft = Draft::new(TEXT_BYTES_MAX);
            draft.begin(protocol);
            for (field, value) in protocol.fields().iter().zip(values) {
                let (Some((number, text, address)), Some(key)) = (value, protocol.key_in(field.slot)) else {
                    continue;
                };
                match field.slot {
                    Slot::Text(_) => draft.text(key, text.as_bytes()),
                    Slot::Number(_) | Slot::LargeNumber(_) => draft.number(key, number),
                    Slot::Address(_) => draft.address(key, address),
                }
            }
            draft.to_application(latency_us)
        });
        (protocol, transactions, application)
    })
}

/// Empty, short, of a whole number of words, and long enough that there is no room for all texts of a record.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ -~]{0,24}",
        "[ -~]{8}|[ -~]{16}",
        prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
        "[ -~]{300,1500}",
    ]
}

fn any_flow() -> impl Strategy<Value = FlowRecord> {
    let addresses = prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| (source.into(), destination.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| (source.into(), destination.into())),
        Just(([0; 16].into(), [0; 16].into())),
    ];
    let protocol = prop_oneof![2 => Just(6), 1 => Just(1), 1 => Just(17), 1 => Just(58), 1 => any::<u8>()];
    let transport = any::<(u16, u16)>();
    let macs = any::<([u8; 6], [u8; 6])>();
    let end = (prop::sample::select(&EndReason::ALL[..]), prop_oneof![Just(1), any::<u32>()]);
    let times = (number(), number());
    let counters = (any_counters(), any_counters());
    let session = prop_oneof![Just(0), any::<u16>()];
    (
        times,
        addresses,
        protocol,
        transport,
        macs,
        counters,
        end,
        session,
        any_tunnel(),
        any_latency(),
        any_tcp(),
    )
        .prop_map(
            |(times, addresses, protocol, transport, macs, counters, end, session, tunnel, latency, tcp)| {
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
                    forward: counters.0,
                    reverse: counters.1,
                    end_reason: end.0,
                    sample_rate: end.1,
                    pppoe_session: session,
                    tunnel,
                    latency,
                    tcp: if protocol == 6 { tcp } else { TcpRecord::default() },
                    ..FlowRecord::default()
                }
            },
        )
}

fn endpoint(address: IpAddr, port: u16, mac: [u8; 6]) -> Endpoint {
    Endpoint { address, port, mac: MacAddress(mac) }
}

fn any_counters() -> impl Strategy<Value = DirectionCounters> {
    let sizes = (number(), number(), number());
    let marks = (small(), small());
    let vlans = (any::<u16>(), prop_oneof![Just(0), any::<u16>()]);
    (sizes, marks, any::<[u8; 4]>(), vlans, maybe()).prop_map(|(sizes, marks, bytes, vlans, mpls_label)| {
        let [tcp_flags, tos, ttl_min, ttl_max] = bytes;
        DirectionCounters {
            packets: sizes.0,
            bytes: sizes.1,
            frame_bytes: sizes.2,
            fragments: marks.0,
            tcp_flags,
            tos,
            vlan: vlans.0,
            inner_vlan: vlans.1,
            mpls_label,
            ttl_min,
            ttl_max,
            ecn_ce_packets: marks.1,
        }
    })
}

/// No tunnel at all, or one in which everything may be anything.
fn any_tunnel() -> impl Strategy<Value = Tunnel> {
    let address =
        || prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    let kind = prop::sample::select(&TunnelKind::ALL[..]);
    (kind, any::<u8>(), small(), small(), address(), address()).prop_map(
        |(kind, depth, forward_id, reverse_id, source, destination)| match kind {
            TunnelKind::None => Tunnel::default(),
            kind => Tunnel { kind, depth, forward_id, reverse_id, source, destination },
        },
    )
}

fn any_latency() -> impl Strategy<Value = Latency> {
    (maybe(), maybe(), maybe(), maybe(), small()).prop_map(|(first, min, mean, max, responses)| Latency {
        first_response_us: first,
        response_min_us: min,
        response_mean_us: mean,
        response_max_us: max,
        responses,
    })
}

fn any_tcp() -> impl Strategy<Value = TcpRecord> {
    let state = prop::sample::select(&TcpState::ALL[..]);
    (state, any::<u8>(), [maybe(), maybe(), maybe()], any_tcp_direction(), any_tcp_direction()).prop_map(
        |(state, handshake, latencies, forward, reverse)| TcpRecord {
            state,
            handshake,
            client_network_us: latencies[0],
            server_network_us: latencies[1],
            total_network_us: latencies[2],
            forward,
            reverse,
        },
    )
}

fn any_tcp_direction() -> impl Strategy<Value = TcpDirection> {
    let announced = any::<(u8, Option<u16>, Option<u8>, bool)>();
    let counts = prop::collection::vec(small(), 12);
    let bytes = (number(), number());
    let known = prop::collection::vec(maybe(), 6);
    (announced, counts, bytes, known).prop_map(|(announced, counts, bytes, known)| TcpDirection {
        first_flags: announced.0,
        mss: announced.1,
        window_scale: announced.2,
        sack_permitted: announced.3,
        retransmitted_packets: counts[0],
        retransmitted_bytes: bytes.0,
        fast_retransmits: counts[1],
        spurious_retransmits: counts[2],
        repeated_retransmits: counts[3],
        out_of_order_packets: counts[4],
        duplicate_acks: counts[5],
        lost_segments: counts[6],
        capture_gaps: counts[7],
        capture_gap_bytes: bytes.1,
        keep_alives: counts[8],
        zero_windows: counts[9],
        zero_window_us: counts[10],
        receive_window: known[0],
        receive_window_min: known[1],
        rtt_min_us: known[2],
        rtt_mean_us: known[3],
        rtt_max_us: known[4],
        rtt_jitter_us: known[5],
        rtt_samples: counts[11],
    })
}

/// Zero, small and large numbers alike.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..2000, any::<u64>()]
}

/// The same in 32 bits.
fn small() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0u32..2000, any::<u32>()]
}

/// Unknown, known to be zero, or known.
fn maybe() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![Just(None), Just(Some(0)), small().prop_map(Some)]
}
