//! The encoder as it would be without one of our own: the capnp crate's builder and its packed writer.
//!
//! Written against the schema and the list of columns alone, without the table that the codec is driven by,
//! so that it also checks what the codec writes. Its user has the generated code as `crate::chf_capnp`.

use crate::chf_capnp::{c_h_f, custom, packed_c_h_f};
use capnp::message::{Builder, HeapAllocator};
use kflow::application::{Datum, Slot};
use kflow::{CommunityId, FlowRecord, MacAddress, TcpDirection, TunnelKind};
use std::net::IpAddr;

enum Value {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Text(String),
    Address([u8; 17]),
}

/// The custom columns of a message in their order. A value that is absent is `None`.
struct Columns(Vec<(u32, &'static str, Option<Value>)>);

impl Columns {
    fn byte(&mut self, id: u32, name: &'static str, value: impl Into<Option<u8>>) {
        self.0.push((id, name, value.into().map(Value::U8)));
    }

    fn short(&mut self, id: u32, name: &'static str, value: Option<u16>) {
        self.0.push((id, name, value.map(Value::U16)));
    }

    fn number(&mut self, id: u32, name: &'static str, value: impl Into<Option<u32>>) {
        self.0.push((id, name, value.into().map(Value::U32)));
    }

    fn large(&mut self, id: u32, name: &'static str, value: u64) {
        self.0.push((id, name, (value != 0).then_some(Value::U64(value))));
    }
}

/// A number that is always known is absent when it is zero.
fn some<N: PartialEq + Default>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

/// The packed message of a batch.
pub fn encode(records: &[FlowRecord], packed: &mut Vec<u8>) {
    let allocator = HeapAllocator::new().first_segment_words(900 + 250 * (records.len() as u32 + 1));
    let mut message = Builder::new(allocator);
    let root: packed_c_h_f::Builder<'_> = message.init_root();
    let mut structs = root.init_msgs(records.len() as u32 + 1);
    fill_names(structs.reborrow().get(0), &names(records));
    let mut customs = Columns(Vec::new());
    for (index, record) in records.iter().enumerate() {
        fill_record(structs.reborrow().get(index as u32 + 1), record, &mut customs);
    }
    packed.clear();
    capnp::serialize_packed::write_message(packed, &message).unwrap();
}

/// The columns that a message of these records names.
fn names(records: &[FlowRecord]) -> Columns {
    let mut all = Columns(Vec::new());
    list_columns(&FlowRecord::default(), &mut all);
    if records.iter().any(|record| record.app_protocol.is_some()) {
        list_application(&FlowRecord::default(), &mut all);
        all.0.extend(Slot::all().map(|slot| (slot.id(), slot.name(), None)));
    }
    all
}

fn fill_names(mut chf: c_h_f::Builder<'_>, names: &Columns) {
    chf.set_app_protocol(101);
    let mut customs = chf.init_custom(names.0.len() as u32);
    for (index, (id, name, _)) in names.0.iter().enumerate() {
        let mut column = customs.reborrow().get(index as u32);
        column.set_id(*id);
        column.init_value().set_str_val(*name);
    }
}

fn fill_record(mut chf: c_h_f::Builder<'_>, record: &FlowRecord, customs: &mut Columns) {
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
    let tcp = &record.tcp;
    chf.set_tcp_retransmit(
        tcp.forward.retransmitted_packets.saturating_add(tcp.reverse.retransmitted_packets),
    );
    let scaled = record.sample_rate.checked_mul(100);
    chf.set_sample_rate(scaled.unwrap_or(record.sample_rate));
    chf.set_sample_adj(scaled.is_some());
    chf.set_src_eth_mac(record.source.mac.to_integer());
    chf.set_dst_eth_mac(record.destination.mac.to_integer());
    chf.set_app_protocol(record.app_protocol.map_or(0, |protocol| protocol.number().into()));
    customs.0.clear();
    list_columns(record, customs);
    list_application(record, customs);
    fill_customs(chf, customs);
}

fn fill_customs(chf: c_h_f::Builder<'_>, customs: &Columns) {
    let present = customs.0.iter().filter_map(|(id, _, value)| Some((*id, value.as_ref()?)));
    let mut list = chf.init_custom(present.clone().count() as u32);
    for (index, (id, value)) in present.enumerate() {
        let mut column: custom::Builder<'_> = list.reborrow().get(index as u32);
        column.set_id(id);
        let mut union = column.init_value();
        match value {
            Value::U8(number) => union.set_uint8_val(*number),
            Value::U16(number) => union.set_uint16_val(*number),
            Value::U32(number) => union.set_uint32_val(*number),
            Value::U64(number) => union.set_uint64_val(*number),
            Value::Text(text) => union.set_str_val(text.as_str()),
            Value::Address(bytes) => union.set_addr_val(bytes),
        }
    }
}

/// Every custom column with what the record has of it.
fn list_columns(record: &FlowRecord, all: &mut Columns) {
    let (forward, reverse) = (&record.forward, &record.reverse);
    all.large(1_000_001, "FLOW_END_NS", record.end_ns);
    all.large(1_000_002, "FRAME_BYTES_IN", forward.frame_bytes);
    all.number(1_000_004, "FRAGMENTS_IN", some(forward.fragments));
    all.byte(1_000_006, "TCP_FLAGS_IN", some(forward.tcp_flags));
    all.byte(1_000_008, "TOS_IN", some(forward.tos));
    all.large(1_000_003, "FRAME_BYTES_OUT", reverse.frame_bytes);
    all.number(1_000_005, "FRAGMENTS_OUT", some(reverse.fragments));
    all.byte(1_000_007, "TCP_FLAGS_OUT", some(reverse.tcp_flags));
    all.byte(1_000_009, "TOS_OUT", some(reverse.tos));
    all.byte(1_000_010, "FLOW_END_REASON", record.end_reason as u8);
    let community_id = CommunityId::of(record);
    all.0.push((1_000_011, "COMMUNITY_ID", Some(Value::Text(community_id.to_string()))));
    all.short(1_000_012, "PPPOE_SESSION", some(record.pppoe_session));
    all.short(1_000_013, "INNER_VLAN_IN", some(forward.inner_vlan));
    all.number(1_000_015, "MPLS_LABEL_IN", forward.mpls_label);
    all.byte(1_000_017, "TTL_MIN_IN", some(forward.ttl_min));
    all.byte(1_000_019, "TTL_MAX_IN", some(forward.ttl_max));
    all.number(1_000_021, "ECN_CE_IN_PKTS", some(forward.ecn_ce_packets));
    all.short(1_000_014, "INNER_VLAN_OUT", some(reverse.inner_vlan));
    all.number(1_000_016, "MPLS_LABEL_OUT", reverse.mpls_label);
    all.byte(1_000_018, "TTL_MIN_OUT", some(reverse.ttl_min));
    all.byte(1_000_020, "TTL_MAX_OUT", some(reverse.ttl_max));
    all.number(1_000_022, "ECN_CE_OUT_PKTS", some(reverse.ecn_ce_packets));
    list_tunnel(record, all);
    list_latency(record, all);
    list_tcp(record, all);
    all.number(5, "FRAGMENTS", some(forward.fragments.saturating_add(reverse.fragments)));
    list_common(record, all);
    // TCP's columns come from a record of TCP only.
    if record.protocol != 6 {
        let of_tcp = |id: u32| matches!(id, 1..=4 | 6 | 7 | 2814..=2816 | 1_000_034..);
        all.0.iter_mut().filter(|(id, _, _)| of_tcp(*id)).for_each(|(_, _, value)| *value = None);
    }
    all.number(2817, "CONNECTION_ID", some(community_id.connection_id()));
    let first_us = record.latency.first_response_us;
    all.number(3102, "FPEX_LATENCY_MS", first_us.map(|us| rounded(us, 1_000).clamp(1, 20_000)));
}

fn address(address: IpAddr) -> Value {
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
    Value::Address(bytes)
}

/// The columns of applications, and the slots that the record has.
fn list_application(record: &FlowRecord, all: &mut Columns) {
    let application = record.application.as_ref();
    all.number(1_000_083, "TRANSACTIONS", some(record.transactions));
    let latency_us = application.and_then(|application| application.latency_us());
    all.number(1_000_084, "APPLICATION_LATENCY_US", latency_us);
    all.number(2880, "APP_PROTOCOL", record.app_protocol.map(|protocol| protocol.number().into()));
    for (field, value) in application.into_iter().flat_map(|application| application.values()) {
        let value = match (value, field.slot) {
            (Datum::Number(number), Slot::LargeNumber(_)) => Value::U64(number),
            (Datum::Number(number), _) => Value::U32(number as u32),
            (Datum::Text(text), _) => Value::Text(text.to_owned()),
            (Datum::Address(value), _) => address(value),
        };
        all.0.push((field.slot.id(), field.slot.name(), Some(value)));
    }
}

fn list_tunnel(record: &FlowRecord, all: &mut Columns) {
    let tunnel = (record.tunnel.kind != TunnelKind::None).then_some(&record.tunnel);
    all.byte(1_000_023, "TUNNEL", tunnel.map(|tunnel| tunnel.kind as u8));
    all.byte(1_000_024, "TUNNEL_DEPTH", tunnel.and_then(|tunnel| some(tunnel.depth)));
    all.number(1_000_025, "TUNNEL_ID_IN", tunnel.and_then(|tunnel| some(tunnel.forward_id)));
    all.number(1_000_026, "TUNNEL_ID_OUT", tunnel.and_then(|tunnel| some(tunnel.reverse_id)));
    all.0.push((1_000_027, "TUNNEL_SRC_ADDR", tunnel.map(|tunnel| address(tunnel.source))));
    all.0.push((1_000_028, "TUNNEL_DST_ADDR", tunnel.map(|tunnel| address(tunnel.destination))));
}

fn list_latency(record: &FlowRecord, all: &mut Columns) {
    let latency = &record.latency;
    all.number(1_000_029, "FIRST_RESPONSE_LATENCY_US", latency.first_response_us);
    all.number(1_000_030, "RESPONSE_LATENCY_MIN_US", latency.response_min_us);
    all.number(1_000_031, "RESPONSE_LATENCY_MEAN_US", latency.response_mean_us);
    all.number(1_000_032, "RESPONSE_LATENCY_MAX_US", latency.response_max_us);
    all.number(1_000_033, "RESPONSES", some(latency.responses));
}

fn list_tcp(record: &FlowRecord, all: &mut Columns) {
    let tcp = &record.tcp;
    all.byte(1_000_034, "TCP_STATE", some(tcp.state as u8));
    all.byte(1_000_035, "TCP_HANDSHAKE", some(tcp.handshake));
    all.number(1_000_036, "CLIENT_NETWORK_RTT_US", tcp.client_network_us);
    all.number(1_000_037, "SERVER_NETWORK_RTT_US", tcp.server_network_us);
    all.number(1_000_038, "TOTAL_NETWORK_RTT_US", tcp.total_network_us);
    list_direction(&tcp.forward, 0, IN, all);
    list_direction(&tcp.reverse, 1, OUT, all);
}

/// Names of the columns of one direction, in their order.
type DirectionNames = [&'static str; 24];

const IN: DirectionNames = [
    "TCP_FIRST_FLAGS_IN",
    "TCP_MSS_IN",
    "TCP_WINDOW_SCALE_IN",
    "TCP_SACK_PERMITTED_IN",
    "RETRANSMITTED_IN_PKTS",
    "RETRANSMITTED_BYTES_IN",
    "FAST_RETRANSMITS_IN",
    "SPURIOUS_RETRANSMITS_IN",
    "REPEATED_RETRANSMITS_IN",
    "OOORDER_IN_PKTS",
    "DUPLICATE_ACKS_IN",
    "LOST_SEGMENTS_IN",
    "CAPTURE_GAPS_IN",
    "CAPTURE_GAP_BYTES_IN",
    "KEEP_ALIVES_IN",
    "ZERO_WINDOWS_IN",
    "ZERO_WINDOW_US_IN",
    "RECEIVE_WINDOW_IN",
    "RECEIVE_WINDOW_MIN_IN",
    "RTT_MIN_US_IN",
    "RTT_MEAN_US_IN",
    "RTT_MAX_US_IN",
    "RTT_JITTER_US_IN",
    "RTT_SAMPLES_IN",
];

const OUT: DirectionNames = [
    "TCP_FIRST_FLAGS_OUT",
    "TCP_MSS_OUT",
    "TCP_WINDOW_SCALE_OUT",
    "TCP_SACK_PERMITTED_OUT",
    "RETRANSMITTED_OUT_PKTS",
    "RETRANSMITTED_BYTES_OUT",
    "FAST_RETRANSMITS_OUT",
    "SPURIOUS_RETRANSMITS_OUT",
    "REPEATED_RETRANSMITS_OUT",
    "OOORDER_OUT_PKTS",
    "DUPLICATE_ACKS_OUT",
    "LOST_SEGMENTS_OUT",
    "CAPTURE_GAPS_OUT",
    "CAPTURE_GAP_BYTES_OUT",
    "KEEP_ALIVES_OUT",
    "ZERO_WINDOWS_OUT",
    "ZERO_WINDOW_US_OUT",
    "RECEIVE_WINDOW_OUT",
    "RECEIVE_WINDOW_MIN_OUT",
    "RTT_MIN_US_OUT",
    "RTT_MEAN_US_OUT",
    "RTT_MAX_US_OUT",
    "RTT_JITTER_US_OUT",
    "RTT_SAMPLES_OUT",
];

fn list_direction(side: &TcpDirection, index: u32, names: DirectionNames, all: &mut Columns) {
    all.byte(1_000_039 + index, names[0], some(side.first_flags));
    all.short(1_000_041 + index, names[1], side.mss);
    all.byte(1_000_043 + index, names[2], side.window_scale);
    all.byte(1_000_045 + index, names[3], some(u8::from(side.sack_permitted)));
    all.number(1 + index, names[4], some(side.retransmitted_packets));
    all.large(1_000_047 + index, names[5], side.retransmitted_bytes);
    all.number(1_000_049 + index, names[6], some(side.fast_retransmits));
    all.number(1_000_051 + index, names[7], some(side.spurious_retransmits));
    all.number(1_000_053 + index, names[8], some(side.repeated_retransmits));
    all.number(3 + index, names[9], some(side.out_of_order_packets));
    all.number(1_000_055 + index, names[10], some(side.duplicate_acks));
    all.number(1_000_057 + index, names[11], some(side.lost_segments));
    all.number(1_000_059 + index, names[12], some(side.capture_gaps));
    all.large(1_000_061 + index, names[13], side.capture_gap_bytes);
    all.number(1_000_063 + index, names[14], some(side.keep_alives));
    all.number(1_000_065 + index, names[15], some(side.zero_windows));
    all.number(1_000_067 + index, names[16], some(side.zero_window_us));
    all.number(1_000_069 + index, names[17], side.receive_window);
    all.number(1_000_071 + index, names[18], side.receive_window_min);
    all.number(1_000_073 + index, names[19], side.rtt_min_us);
    all.number(1_000_075 + index, names[20], side.rtt_mean_us);
    all.number(1_000_077 + index, names[21], side.rtt_max_us);
    all.number(1_000_079 + index, names[22], side.rtt_jitter_us);
    all.number(1_000_081 + index, names[23], some(side.rtt_samples));
}

/// What receivers know that know only common columns, up to the zero windows.
fn list_common(record: &FlowRecord, all: &mut Columns) {
    let (forward, reverse) = (&record.tcp.forward, &record.tcp.reverse);
    let half = |us: u32| rounded(us, 2_000).clamp(1, 20_000);
    all.number(6, "CLIENT_NW_LATENCY_MS", record.tcp.client_network_us.map(half));
    all.number(7, "SERVER_NW_LATENCY_MS", record.tcp.server_network_us.map(half));
    let application_us = record.application.as_ref().and_then(|application| application.latency_us());
    let answer_us = application_us.or(record.latency.response_mean_us);
    all.number(8, "APPL_LATENCY_MS", answer_us.map(|us| rounded(us, 1_000).max(1)));
    let repeated = forward.repeated_retransmits.saturating_add(reverse.repeated_retransmits);
    all.number(2814, "REPEATED_RETRANSMITS", some(repeated));
    all.number(2815, "RECEIVE_WINDOW", forward.receive_window.or(reverse.receive_window));
    all.number(2816, "ZERO_WINDOWS", some(forward.zero_windows.saturating_add(reverse.zero_windows)));
}

fn rounded(us: u32, unit: u32) -> u32 {
    us / unit + u32::from(us % unit >= unit / 2)
}

fn interface(mac: MacAddress) -> u32 {
    mac.to_integer() as u32 & 0xFFFF
}
