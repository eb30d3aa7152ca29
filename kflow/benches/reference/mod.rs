//! The encoder as it would be without one of our own: the capnp crate's builder and its packed writer.
//!
//! Written against the schema alone, so that it also checks what the codec writes. Its user has the generated
//! code as `crate::chf_capnp`.

use crate::chf_capnp::{c_h_f, custom, packed_c_h_f};
use capnp::message::{Builder, HeapAllocator};
use kflow::{FlowRecord, MacAddress};
use std::net::IpAddr;

enum Number {
    U8(u8),
    U32(u32),
    U64(u64),
}

const NAMES: [(u32, &str); 11] = [
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
];

/// The packed message of a batch.
pub fn encode(records: &[FlowRecord], packed: &mut Vec<u8>) {
    let allocator = HeapAllocator::new().first_segment_words(200 + 110 * (records.len() as u32 + 1));
    let mut message = Builder::new(allocator);
    let root: packed_c_h_f::Builder<'_> = message.init_root();
    let mut structs = root.init_msgs(records.len() as u32 + 1);
    fill_names(structs.reborrow().get(0));
    for (index, record) in records.iter().enumerate() {
        fill_record(structs.reborrow().get(index as u32 + 1), record);
    }
    packed.clear();
    capnp::serialize_packed::write_message(packed, &message).unwrap();
}

fn fill_names(mut chf: c_h_f::Builder<'_>) {
    chf.set_app_protocol(101);
    let mut customs = chf.init_custom(NAMES.len() as u32);
    for (index, (id, name)) in NAMES.iter().enumerate() {
        let mut column = customs.reborrow().get(index as u32);
        column.set_id(*id);
        column.init_value().set_str_val(*name);
    }
}

fn fill_record(mut chf: c_h_f::Builder<'_>, record: &FlowRecord) {
    let (forward, reverse) = (&record.forward, &record.reverse);
    chf.set_timestamp_nano(record.start_ns as i64);
    chf.set_in_bytes(forward.bytes);
    chf.set_in_pkts(forward.packets);
    chf.set_out_bytes(reverse.bytes);
    chf.set_out_pkts(reverse.packets);
    chf.set_input_port(interface(record.destination.mac));
    chf.set_output_port(interface(record.source.mac));
    match record.source.address {
        IpAddr::V4(address) => chf.set_ipv4_src_addr(address.to_bits()),
        IpAddr::V6(address) => chf.set_ipv6_src_addr(&address.octets()),
    }
    match record.destination.address {
        IpAddr::V4(address) => chf.set_ipv4_dst_addr(address.to_bits()),
        IpAddr::V6(address) => chf.set_ipv6_dst_addr(&address.octets()),
    }
    if record.protocol == 1 || record.protocol == 58 {
        chf.set_l4_dst_port(u32::from(record.icmp.kind) << 8 | u32::from(record.icmp.code));
    } else {
        chf.set_l4_src_port(record.source.port.into());
        chf.set_l4_dst_port(record.destination.port.into());
    }
    chf.set_protocol(record.protocol.into());
    chf.set_tcp_flags(u32::from(forward.tcp_flags | reverse.tcp_flags));
    chf.set_tos(u32::from(forward.tos | reverse.tos));
    chf.set_vlan_in(forward.vlan.into());
    chf.set_vlan_out(reverse.vlan.into());
    let scaled = record.sample_rate.checked_mul(100);
    chf.set_sample_rate(scaled.unwrap_or(record.sample_rate));
    chf.set_sample_adj(scaled.is_some());
    chf.set_src_eth_mac(record.source.mac.to_integer());
    chf.set_dst_eth_mac(record.destination.mac.to_integer());
    chf.set_app_protocol(0);
    fill_customs(chf, record);
}

fn fill_customs(chf: c_h_f::Builder<'_>, record: &FlowRecord) {
    let (forward, reverse) = (&record.forward, &record.reverse);
    let numbers = [
        Number::U64(record.end_ns),
        Number::U64(forward.frame_bytes),
        Number::U32(forward.fragments),
        Number::U8(forward.tcp_flags),
        Number::U8(forward.tos),
        Number::U64(reverse.frame_bytes),
        Number::U32(reverse.fragments),
        Number::U8(reverse.tcp_flags),
        Number::U8(reverse.tos),
        Number::U8(record.end_reason as u8),
        Number::U32(forward.fragments.saturating_add(reverse.fragments)),
    ];
    let present = |number: &Number| !matches!(number, Number::U8(0) | Number::U32(0) | Number::U64(0));
    let count = numbers.iter().filter(|number| present(number)).count();
    let mut customs = chf.init_custom(count as u32);
    let columns = NAMES.iter().zip(&numbers).filter(|(_, number)| present(number));
    for (index, ((id, _), number)) in columns.enumerate() {
        let mut column: custom::Builder<'_> = customs.reborrow().get(index as u32);
        column.set_id(*id);
        let mut value = column.init_value();
        match number {
            Number::U8(number) => value.set_uint8_val(*number),
            Number::U32(number) => value.set_uint32_val(*number),
            Number::U64(number) => value.set_uint64_val(*number),
        }
    }
}

fn interface(mac: MacAddress) -> u32 {
    mac.to_integer() as u32 & 0xFFFF
}
