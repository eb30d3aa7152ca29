//! Flow files that were written once and must stay readable, and whose bytes are where the wire format says.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow --test golden` writes files that do not exist yet; existing ones never
//! change. A file that an earlier set of columns was written with must still read as the same records.

mod words;

use kflow::{
    DirectionCounters, EndReason, Endpoint, FlowRecord, IcmpKind, Latency, MacAddress, TcpDirection,
    TcpRecord, TcpState, Tunnel, TunnelKind,
};
use words::{earlier_message, golden_message};

#[test]
fn an_ipv4_flow_of_the_first_columns_is_where_the_format_says() {
    let message = earlier_message("tcp4.kflow", &tcp4());
    let flow = message.flow(1);
    assert_eq!(flow.u64(0), 1_795_000_000_123_456_789, "timestampNano");
    assert_eq!(flow.u64(24), 5_000, "inBytes");
    assert_eq!(flow.u64(32), 12, "inPkts");
    assert_eq!(flow.u32(40), 0x0001, "inputPort");
    assert_eq!(flow.u32(48), 0xC633_6414, "ipv4DstAddr");
    assert_eq!(flow.u32(52), 0x0A00_0001, "ipv4SrcAddr");
    assert_eq!(flow.u32(56), 443, "l4DstPort");
    assert_eq!(flow.u32(60), 49_152, "l4SrcPort");
    assert_eq!(flow.u32(64), 0xEEFF, "outputPort");
    assert_eq!(flow.u32(68), 6, "protocol");
    assert_eq!(flow.u32(88), 0x1B | 0x12, "tcpFlags");
    assert_eq!(flow.u32(92), 0xB8 | 0x01, "tos");
    assert_eq!(flow.u32(96), 100, "vlanIn");
    assert_eq!(flow.u32(100), 200, "vlanOut");
    assert_eq!(flow.u64(112), 70_000, "outBytes");
    assert_eq!(flow.u64(120), 60, "outPkts");
    assert_eq!(flow.u32(132), 1_600, "sampleRate");
    assert_eq!(flow.byte(172), 0b010, "big, sampleAdj, isMetric");
    assert_eq!(flow.u64(208), 0x0242_AACC_EEFF, "srcEthMac");
    assert_eq!(flow.u64(216), 0x0242_AC11_0001, "dstEthMac");
    assert_eq!(flow.u32(224) ^ 0xFFFF_FFFF, 0, "appProtocol");
    assert_eq!(flow.pointers_set(), [9], "only custom is there");
    flow.assert_zero_but(&[0..8, 24..44, 48..72, 88..104, 112..128, 132..136, 172..173, 208..228]);
    assert_eq!(
        flow.customs(),
        [
            (1_000_001, 3, 1_795_000_030_123_456_789),
            (1_000_002, 3, 5_168),
            (1_000_004, 0, 3),
            (1_000_006, 6, 0x1B),
            (1_000_008, 6, 0xB8),
            (1_000_003, 3, 70_840),
            (1_000_005, 0, 4),
            (1_000_007, 6, 0x12),
            (1_000_009, 6, 0x01),
            (1_000_010, 6, 3),
            (5, 0, 7),
        ]
    );
}

#[test]
fn an_ipv6_flow_of_the_first_columns_is_where_the_format_says() {
    let message = earlier_message("icmp6.kflow", &icmp6());
    let flow = message.flow(1);
    assert_eq!(flow.u32(48), 0, "ipv4DstAddr");
    assert_eq!(flow.u32(52), 0, "ipv4SrcAddr");
    assert_eq!(flow.u32(56), 0x8003, "l4DstPort is type and code");
    assert_eq!(flow.u32(60), 0, "l4SrcPort");
    assert_eq!(flow.u32(68), 58, "protocol");
    assert_eq!(flow.u32(132), 100, "sampleRate");
    assert_eq!(flow.pointers_set(), [7, 8, 9]);
    let octets = |last| [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    assert_eq!(flow.bytes(7), octets(2), "ipv6DstAddr");
    assert_eq!(flow.bytes(8), octets(1), "ipv6SrcAddr");
    assert_eq!(flow.customs(), [(1_000_001, 3, 2_000), (1_000_010, 6, 1)]);
}

#[test]
fn the_first_record_names_the_first_custom_columns() {
    let message = earlier_message("empty.kflow", &FlowRecord::default());
    let names = message.flow(0);
    assert_eq!(names.u32(224) ^ 0xFFFF_FFFF, 101, "appProtocol");
    assert_eq!(names.pointers_set(), [9]);
    names.assert_zero_but(std::slice::from_ref(&(224..228)));
    assert_eq!(
        names.custom_texts(),
        [
            (1_000_001, "FLOW_END_NS"),
            (1_000_002, "FRAME_BYTES_IN"),
            (1_000_004, "FRAGMENTS_IN"),
            (1_000_006, "TCP_FLAGS_IN"),
            (1_000_008, "TOS_IN"),
            (1_000_003, "FRAME_BYTES_OUT"),
            (1_000_005, "FRAGMENTS_OUT"),
            (1_000_007, "TCP_FLAGS_OUT"),
            (1_000_009, "TOS_OUT"),
            (1_000_010, "FLOW_END_REASON"),
            (5, "FRAGMENTS"),
        ]
        .map(|(id, name)| (id, name.to_owned()))
    );
    assert_eq!(message.flow(1).customs(), [(1_000_010, 6, 1)]);
}

#[test]
fn every_record_says_its_community_id() {
    let message = golden_message("icmp6_community_id.kflow", &icmp6());
    let flow = message.flow(1);
    assert_eq!(flow.u32(56), 0x8003, "l4DstPort");
    assert_eq!(flow.custom_texts(), [(1_000_011, "1:u2vMS3HiWth2lIMKHB1fjELshpQ=".to_owned())]);
    assert_eq!(flow.customs(), [(1_000_001, 3, 2_000), (1_000_010, 6, 1), (2_817, 0, 0x42EC_8694)]);
}

#[test]
fn a_tcp_flow_with_all_its_metrics_is_where_the_format_says() {
    let message = golden_message("tcp4_metrics.kflow", &tcp4_metrics());
    let flow = message.flow(1);
    assert_eq!(flow.u32(128), 3 + 1, "tcpRetransmit");
    assert_eq!(flow.pointers_set(), [9], "only custom is there");
    assert_eq!(flow.custom_texts(), [(1_000_011, "1:Wxk7BEuT5zL3kOYt3jczaZwojZE=".to_owned())]);
    assert_eq!(flow.custom_addresses(), []);
    assert_eq!(flow.customs(), TCP4_METRICS);
}

/// Id, discriminant and number: unknown numbers are absent, known zeros are not.
const TCP4_METRICS: &[(u32, u16, u64)] = &[
    (1_000_001, 3, 1_795_000_030_123_456_789),
    (1_000_002, 3, 5_168),
    (1_000_004, 0, 3),
    (1_000_006, 6, 0x1B),
    (1_000_008, 6, 0xB8),
    (1_000_003, 3, 70_840),
    (1_000_005, 0, 4),
    (1_000_007, 6, 0x12),
    (1_000_009, 6, 0x01),
    (1_000_010, 6, 3),
    (1_000_029, 0, 21_400),
    (1_000_030, 0, 900),
    (1_000_031, 0, 21_600),
    (1_000_032, 0, 40_000),
    (1_000_033, 0, 5),
    (1_000_034, 6, 7),
    (1_000_035, 6, 7),
    (1_000_036, 0, 310),
    (1_000_037, 0, 20_999),
    (1_000_038, 0, 21_309),
    (1_000_039, 6, 0x02),
    (1_000_041, 5, 1_460),
    (1_000_043, 6, 0),
    (1_000_045, 6, 1),
    (1, 0, 3),
    (1_000_047, 3, 4_380),
    (1_000_049, 0, 2),
    (1_000_051, 0, 1),
    (1_000_053, 0, 1),
    (3, 0, 4),
    (1_000_055, 0, 6),
    (1_000_057, 0, 5),
    (1_000_059, 0, 7),
    (1_000_061, 3, 1 << 33),
    (1_000_063, 0, 8),
    (1_000_065, 0, 9),
    (1_000_067, 0, 10_000),
    (1_000_069, 0, 0),
    (1_000_071, 0, 0),
    (1_000_073, 0, 200),
    (1_000_075, 0, 250),
    (1_000_077, 0, 70_000),
    (1_000_079, 0, 0),
    (1_000_081, 0, 11),
    (1_000_040, 6, 0x12),
    (1_000_044, 6, 7),
    (2, 0, 1),
    (1_000_070, 0, 65_535),
    (5, 0, 7),
    (6, 0, 1),
    (7, 0, 10),
    (8, 0, 22),
    (2_814, 0, 1),
    (2_815, 0, 0),
    (2_816, 0, 9),
    (2_817, 0, 0x9C28_8D91),
    (3_102, 0, 21),
];

#[test]
fn a_flow_in_an_ipv4_tunnel_is_where_the_format_says() {
    let message = golden_message("tunnel4.kflow", &tunnel4());
    let flow = message.flow(1);
    assert_eq!(flow.pointers_set(), [7, 8, 9]);
    let v4 = |a, b, c, d| vec![4, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(flow.custom_addresses(), [(1_000_027, v4(192, 0, 2, 7)), (1_000_028, v4(198, 51, 100, 9))]);
    assert_eq!(flow.custom_texts(), [(1_000_011, "1:hSkYw34jHOmwny+JRTvaR6j8pbc=".to_owned())]);
    assert_eq!(
        flow.customs(),
        [
            (1_000_001, 3, 2_000),
            (1_000_010, 6, 2),
            (1_000_012, 5, 0x1234),
            (1_000_013, 5, 300),
            (1_000_015, 0, 0),
            (1_000_017, 6, 63),
            (1_000_019, 6, 64),
            (1_000_021, 0, 9),
            (1_000_016, 0, 0xF_FFFF),
            (1_000_023, 6, 6),
            (1_000_024, 6, 1),
            (1_000_025, 0, 5_001),
            (1_000_026, 0, 5_002),
            (1_000_029, 0, 499),
            (1_000_030, 0, 0),
            (1_000_031, 0, 1_500),
            (1_000_032, 0, 3_000),
            (1_000_033, 0, 2),
            (8, 0, 2),
            (2_817, 0, 0xA8FC_A5B7),
            (3_102, 0, 1),
        ]
    );
}

#[test]
fn a_flow_in_an_ipv6_tunnel_is_where_the_format_says() {
    let message = golden_message("tunnel6.kflow", &tunnel6());
    let flow = message.flow(1);
    assert_eq!(flow.pointers_set(), [9]);
    let v6 = |last| vec![6, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    assert_eq!(flow.custom_addresses(), [(1_000_027, v6(1)), (1_000_028, v6(2))]);
    assert_eq!(
        flow.customs(),
        [(1_000_010, 6, 1), (1_000_023, 6, 4), (1_000_024, 6, 2), (2_817, 0, 0xBC4B_4BBF)]
    );
}

#[test]
fn the_first_record_names_the_custom_columns() {
    let message = golden_message("columns.kflow", &FlowRecord::default());
    let names: Vec<String> =
        message.flow(0).custom_texts().into_iter().map(|(id, name)| format!("{id} {name}")).collect();
    let listed: Vec<&str> = include_str!("golden/columns.txt").lines().collect();
    assert_eq!(names, listed);
}

fn tcp4_metrics() -> FlowRecord {
    FlowRecord {
        latency: Latency {
            first_response_us: Some(21_400),
            response_min_us: Some(900),
            response_mean_us: Some(21_600),
            response_max_us: Some(40_000),
            responses: 5,
        },
        tcp: TcpRecord {
            state: TcpState::ResetByDestination,
            handshake: 7,
            client_network_us: Some(310),
            server_network_us: Some(20_999),
            total_network_us: Some(21_309),
            forward: TcpDirection {
                first_flags: 0x02,
                mss: Some(1_460),
                window_scale: Some(0),
                sack_permitted: true,
                retransmitted_packets: 3,
                retransmitted_bytes: 4_380,
                fast_retransmits: 2,
                spurious_retransmits: 1,
                repeated_retransmits: 1,
                out_of_order_packets: 4,
                duplicate_acks: 6,
                lost_segments: 5,
                capture_gaps: 7,
                capture_gap_bytes: 1 << 33,
                keep_alives: 8,
                zero_windows: 9,
                zero_window_us: 10_000,
                receive_window: Some(0),
                receive_window_min: Some(0),
                rtt_min_us: Some(200),
                rtt_mean_us: Some(250),
                rtt_max_us: Some(70_000),
                rtt_jitter_us: Some(0),
                rtt_samples: 11,
            },
            reverse: TcpDirection {
                first_flags: 0x12,
                window_scale: Some(7),
                retransmitted_packets: 1,
                receive_window: Some(65_535),
                ..TcpDirection::default()
            },
        },
        ..tcp4()
    }
}

fn tunnel4() -> FlowRecord {
    FlowRecord {
        protocol: 17,
        icmp: IcmpKind::default(),
        end_reason: EndReason::ActiveTimeout,
        forward: DirectionCounters {
            inner_vlan: 300,
            mpls_label: Some(0),
            ttl_min: 63,
            ttl_max: 64,
            ecn_ce_packets: 9,
            ..DirectionCounters::default()
        },
        reverse: DirectionCounters { mpls_label: Some(0xF_FFFF), ..DirectionCounters::default() },
        pppoe_session: 0x1234,
        tunnel: Tunnel {
            kind: TunnelKind::Vxlan,
            depth: 1,
            forward_id: 5_001,
            reverse_id: 5_002,
            source: [192, 0, 2, 7].into(),
            destination: [198, 51, 100, 9].into(),
        },
        latency: Latency {
            first_response_us: Some(499),
            response_min_us: Some(0),
            response_mean_us: Some(1_500),
            response_max_us: Some(3_000),
            responses: 2,
        },
        ..icmp6()
    }
}

fn tunnel6() -> FlowRecord {
    FlowRecord {
        tunnel: Tunnel {
            kind: TunnelKind::IpInIp,
            depth: 2,
            source: [0x2001, 0xDB8, 0, 0, 0, 0, 0, 1].into(),
            destination: [0x2001, 0xDB8, 0, 0, 0, 0, 0, 2].into(),
            ..Tunnel::default()
        },
        ..FlowRecord::default()
    }
}

fn tcp4() -> FlowRecord {
    FlowRecord {
        start_ns: 1_795_000_000_123_456_789,
        end_ns: 1_795_000_030_123_456_789,
        source: Endpoint {
            address: [10, 0, 0, 1].into(),
            port: 49_152,
            mac: MacAddress([0x02, 0x42, 0xAA, 0xCC, 0xEE, 0xFF]),
        },
        destination: Endpoint {
            address: [198, 51, 100, 20].into(),
            port: 443,
            mac: MacAddress([0x02, 0x42, 0xAC, 0x11, 0x00, 0x01]),
        },
        protocol: 6,
        icmp: IcmpKind::default(),
        forward: DirectionCounters {
            packets: 12,
            bytes: 5_000,
            frame_bytes: 5_168,
            fragments: 3,
            tcp_flags: 0x1B,
            tos: 0xB8,
            vlan: 100,
            ..DirectionCounters::default()
        },
        reverse: DirectionCounters {
            packets: 60,
            bytes: 70_000,
            frame_bytes: 70_840,
            fragments: 4,
            tcp_flags: 0x12,
            tos: 0x01,
            vlan: 200,
            ..DirectionCounters::default()
        },
        end_reason: EndReason::EndOfFlow,
        sample_rate: 16,
        ..FlowRecord::default()
    }
}

fn icmp6() -> FlowRecord {
    let endpoint =
        |last: u16| Endpoint { address: [0x2001, 0xDB8, 0, 0, 0, 0, 0, last].into(), ..Endpoint::default() };
    FlowRecord {
        start_ns: 1_000,
        end_ns: 2_000,
        source: endpoint(1),
        destination: endpoint(2),
        protocol: 58,
        icmp: IcmpKind { kind: 128, code: 3 },
        ..FlowRecord::default()
    }
}
