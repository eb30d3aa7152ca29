//! The encoder of records of all fields as it would be without one of our own: the capnp crate's builder and its packed
//! writer. Its user has the generated code as `crate::chf_capnp`.

use crate::chf_capnp::{c_h_f, custom, packed_c_h_f};
use capnp::message::{Builder, HeapAllocator};
use kflow::{Chf, Custom, CustomValue};
use std::net::IpAddr;

/// The packed message of a batch.
pub fn encode_chf(records: &[Chf], packed: &mut Vec<u8>) {
    let allocator = HeapAllocator::new().first_segment_words(100 + 120 * records.len() as u32);
    let mut message = Builder::new(allocator);
    let root: packed_c_h_f::Builder<'_> = message.init_root();
    let mut structs = root.init_msgs(records.len() as u32);
    for (index, record) in records.iter().enumerate() {
        let mut chf = structs.reborrow().get(index as u32);
        fill_numbers(chf.reborrow(), record);
        fill_pointers(chf, record);
    }
    packed.clear();
    capnp::serialize_packed::write_message(packed, &message).unwrap();
}

fn fill_numbers(mut chf: c_h_f::Builder<'_>, record: &Chf) {
    chf.set_timestamp_nano(record.timestamp_nano);
    chf.set_dst_as(record.dst_as);
    chf.set_dst_geo(record.dst_geo);
    chf.set_dst_mac(record.dst_mac);
    chf.set_header_len(record.header_len);
    chf.set_in_bytes(record.in_bytes);
    chf.set_in_pkts(record.in_pkts);
    chf.set_input_port(record.input_port);
    chf.set_ip_size(record.ip_size);
    chf.set_ipv4_dst_addr(record.ipv4_dst_addr);
    chf.set_ipv4_src_addr(record.ipv4_src_addr);
    chf.set_l4_dst_port(record.l4_dst_port);
    chf.set_l4_src_port(record.l4_src_port);
    chf.set_output_port(record.output_port);
    chf.set_protocol(record.protocol);
    chf.set_sampled_packet_size(record.sampled_packet_size);
    chf.set_src_as(record.src_as);
    chf.set_src_geo(record.src_geo);
    chf.set_src_mac(record.src_mac);
    chf.set_tcp_flags(record.tcp_flags);
    chf.set_tos(record.tos);
    chf.set_vlan_in(record.vlan_in);
    chf.set_vlan_out(record.vlan_out);
    chf.set_ipv4_next_hop(record.ipv4_next_hop);
    chf.set_mpls_type(record.mpls_type);
    chf.set_out_bytes(record.out_bytes);
    chf.set_out_pkts(record.out_pkts);
    chf.set_tcp_retransmit(record.tcp_retransmit);
    chf.set_sample_rate(record.sample_rate);
    chf.set_device_id(record.device_id);
    chf.set_timestamp(record.timestamp);
    chf.set_src_next_hop_as(record.src_next_hop_as);
    chf.set_dst_next_hop_as(record.dst_next_hop_as);
    chf.set_src_geo_region(record.src_geo_region);
    chf.set_dst_geo_region(record.dst_geo_region);
    chf.set_src_geo_city(record.src_geo_city);
    chf.set_dst_geo_city(record.dst_geo_city);
    chf.set_big(record.big);
    chf.set_sample_adj(record.sample_adj);
    chf.set_ipv4_dst_next_hop(record.ipv4_dst_next_hop);
    chf.set_ipv4_src_next_hop(record.ipv4_src_next_hop);
    chf.set_src_route_prefix(record.src_route_prefix);
    chf.set_dst_route_prefix(record.dst_route_prefix);
    chf.set_src_route_length(record.src_route_length);
    chf.set_dst_route_length(record.dst_route_length);
    chf.set_src_second_asn(record.src_second_asn);
    chf.set_dst_second_asn(record.dst_second_asn);
    chf.set_src_third_asn(record.src_third_asn);
    chf.set_dst_third_asn(record.dst_third_asn);
    chf.set_src_eth_mac(record.src_eth_mac);
    chf.set_dst_eth_mac(record.dst_eth_mac);
    chf.set_is_metric(record.is_metric);
    chf.set_app_protocol(record.app_protocol);
}

fn fill_pointers(mut chf: c_h_f::Builder<'_>, record: &Chf) {
    if !record.src_flow_tags.is_empty() {
        chf.set_src_flow_tags(record.src_flow_tags.as_str());
    }
    if !record.dst_flow_tags.is_empty() {
        chf.set_dst_flow_tags(record.dst_flow_tags.as_str());
    }
    if !record.flow_tags.is_empty() {
        chf.set_flow_tags(record.flow_tags.as_str());
    }
    if !record.dst_bgp_as_path.is_empty() {
        chf.set_dst_bgp_as_path(record.dst_bgp_as_path.as_str());
    }
    if !record.dst_bgp_community.is_empty() {
        chf.set_dst_bgp_community(record.dst_bgp_community.as_str());
    }
    if !record.src_bgp_as_path.is_empty() {
        chf.set_src_bgp_as_path(record.src_bgp_as_path.as_str());
    }
    if !record.src_bgp_community.is_empty() {
        chf.set_src_bgp_community(record.src_bgp_community.as_str());
    }
    if let Some(octets) = &record.ipv6_dst_addr {
        chf.set_ipv6_dst_addr(octets);
    }
    if let Some(octets) = &record.ipv6_src_addr {
        chf.set_ipv6_src_addr(octets);
    }
    if let Some(octets) = &record.ipv6_src_next_hop {
        chf.set_ipv6_src_next_hop(octets);
    }
    if let Some(octets) = &record.ipv6_dst_next_hop {
        chf.set_ipv6_dst_next_hop(octets);
    }
    if let Some(octets) = &record.ipv6_src_route_prefix {
        chf.set_ipv6_src_route_prefix(octets);
    }
    if let Some(octets) = &record.ipv6_dst_route_prefix {
        chf.set_ipv6_dst_route_prefix(octets);
    }
    if record.custom.is_empty() {
        return;
    }
    let mut list = chf.init_custom(record.custom.len() as u32);
    for (index, custom) in record.custom.iter().enumerate() {
        fill_custom(list.reborrow().get(index as u32), custom);
    }
}

fn fill_custom(mut column: custom::Builder<'_>, custom: &Custom) {
    column.set_id(custom.id);
    column.set_is_dimension(custom.is_dimension);
    let mut union = column.init_value();
    match &custom.value {
        CustomValue::U8(number) => union.set_uint8_val(*number),
        CustomValue::U16(number) => union.set_uint16_val(*number),
        CustomValue::U32(number) => union.set_uint32_val(*number),
        CustomValue::U64(number) => union.set_uint64_val(*number),
        CustomValue::F32(number) => union.set_float32_val(*number),
        CustomValue::Text(text) => union.set_str_val(text.as_str()),
        CustomValue::Address(address) => {
            let mut bytes = [0; 17];
            match address {
                IpAddr::V4(address) => {
                    bytes[0] = 4;
                    bytes[1..5].copy_from_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    bytes[0] = 6;
                    bytes[1..].copy_from_slice(&address.octets());
                }
            }
            union.set_addr_val(&bytes);
        }
        CustomValue::Unknown => union.set_addr_val(&[]),
    }
}
