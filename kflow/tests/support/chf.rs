//! Arbitrary `Chf` records.

use kflow::{Chf, Custom, CustomValue};
use proptest::prelude::*;
use std::net::IpAddr;

/// Any record at all, with every field's full range.
pub fn any_chf() -> impl Strategy<Value = Chf> {
    let numbers = prop::collection::vec(small(), 40);
    let large = prop::collection::vec(large(), 8);
    let texts = prop::collection::vec(any_text(), 7);
    let addresses = prop::collection::vec(prop::option::of(any::<[u8; 16]>()), 6);
    let customs = prop::collection::vec(any_custom(), 0..8);
    (numbers, large, texts, addresses, customs, any::<[bool; 3]>(), any::<[u8; 2]>()).prop_map(
        |(numbers, large, texts, addresses, custom, flags, lengths)| {
            let (mut numbers, mut large) = (numbers.into_iter(), large.into_iter());
            let (mut texts, mut addresses) = (texts.into_iter(), addresses.into_iter());
            let mut number = || numbers.next().unwrap();
            let mut large = || large.next().unwrap();
            let mut text = || texts.next().unwrap();
            let mut address = || addresses.next().unwrap();
            Chf {
                timestamp_nano: large() as i64,
                dst_as: number(),
                dst_geo: number(),
                dst_mac: number(),
                header_len: number(),
                in_bytes: large(),
                in_pkts: large(),
                input_port: number(),
                ip_size: number(),
                ipv4_dst_addr: number(),
                ipv4_src_addr: number(),
                l4_dst_port: number(),
                l4_src_port: number(),
                output_port: number(),
                protocol: number(),
                sampled_packet_size: number(),
                src_as: number(),
                src_geo: number(),
                src_mac: number(),
                tcp_flags: number(),
                tos: number(),
                vlan_in: number(),
                vlan_out: number(),
                ipv4_next_hop: number(),
                mpls_type: number(),
                out_bytes: large(),
                out_pkts: large(),
                tcp_retransmit: number(),
                src_flow_tags: text(),
                dst_flow_tags: text(),
                sample_rate: number(),
                device_id: number(),
                flow_tags: text(),
                timestamp: large() as i64,
                dst_bgp_as_path: text(),
                dst_bgp_community: text(),
                src_bgp_as_path: text(),
                src_bgp_community: text(),
                src_next_hop_as: number(),
                dst_next_hop_as: number(),
                src_geo_region: number(),
                dst_geo_region: number(),
                src_geo_city: number(),
                dst_geo_city: number(),
                big: flags[0],
                sample_adj: flags[1],
                ipv4_dst_next_hop: number(),
                ipv4_src_next_hop: number(),
                src_route_prefix: number(),
                dst_route_prefix: number(),
                src_route_length: lengths[0],
                dst_route_length: lengths[1],
                src_second_asn: number(),
                dst_second_asn: number(),
                src_third_asn: number(),
                dst_third_asn: number(),
                ipv6_dst_addr: address(),
                ipv6_src_addr: address(),
                src_eth_mac: large(),
                dst_eth_mac: large(),
                custom,
                ipv6_src_next_hop: address(),
                ipv6_dst_next_hop: address(),
                ipv6_src_route_prefix: address(),
                ipv6_dst_route_prefix: address(),
                is_metric: flags[2],
                app_protocol: number(),
            }
        },
    )
}

fn any_custom() -> impl Strategy<Value = Custom> {
    let value = prop_oneof![
        any::<u8>().prop_map(CustomValue::U8),
        any::<u16>().prop_map(CustomValue::U16),
        small().prop_map(CustomValue::U32),
        large().prop_map(CustomValue::U64),
        // Not a number is not even equal to itself.
        any::<f32>().prop_filter("a number", |number| !number.is_nan()).prop_map(CustomValue::F32),
        any_text().prop_map(CustomValue::Text),
        any::<IpAddr>().prop_map(CustomValue::Address),
        Just(CustomValue::Unknown),
    ];
    (small(), any::<bool>(), value).prop_map(|(id, is_dimension, value)| Custom { id, is_dimension, value })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => "[ -~]{8}|[ -~]{16}",
        1 => prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
        1 => (any::<char>(), 100usize..1500).prop_map(|(character, count)| String::from(character).repeat(count)),
    ]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0u32..2000, any::<u32>(), Just(u32::MAX)]
}

fn large() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..2000, any::<u64>(), Just(u64::MAX)]
}
