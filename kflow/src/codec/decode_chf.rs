//! Message to `Chf` records, by the schema's generated reader, within limits.

use super::limits::Limits;
use super::unpacking::Unpacked;
use super::wire;
use crate::chf::{Chf, Custom, CustomValue};
use crate::chf_capnp::{c_h_f, custom, packed_c_h_f};
use crate::error::Error;
use std::fmt::Display;

/// Decodes one message, packed or, if it is of a single segment, as it is.
///
/// Every slice of bytes is a valid argument. Fields that an older sender does not know are what [`Chf::default`] has;
/// those that are newer than the schema are left out. Text that is not UTF-8 is replaced (U+FFFD). An IPv6 address that
/// has not 16 bytes is an error, and so is everything that exceeds a limit.
pub fn decode_chf(bytes: &[u8], limits: &Limits) -> Result<Vec<Chf>, Error> {
    let message = Unpacked::read(bytes, limits)?;
    let message = message.reader(limits);
    let root: packed_c_h_f::Reader<'_> = message.get_root().map_err(malformed)?;
    let structs = root.get_msgs().map_err(malformed)?;
    if structs.len() as usize > limits.records {
        return Err(Error::malformed(format!("it claims {} records", structs.len())));
    }
    let mut records = Vec::with_capacity(structs.len() as usize);
    for (index, chf) in structs.iter().enumerate() {
        let record = read_chf(chf).map_err(|error| malformed(format!("record {index}: {error}")))?;
        records.push(record);
    }
    Ok(records)
}

#[cold]
fn malformed(error: impl Display) -> Error {
    Error::malformed(error.to_string())
}

fn read_chf(chf: c_h_f::Reader<'_>) -> capnp::Result<Chf> {
    Ok(Chf {
        timestamp_nano: chf.get_timestamp_nano(),
        dst_as: chf.get_dst_as(),
        dst_geo: chf.get_dst_geo(),
        dst_mac: chf.get_dst_mac(),
        header_len: chf.get_header_len(),
        in_bytes: chf.get_in_bytes(),
        in_pkts: chf.get_in_pkts(),
        input_port: chf.get_input_port(),
        ip_size: chf.get_ip_size(),
        ipv4_dst_addr: chf.get_ipv4_dst_addr(),
        ipv4_src_addr: chf.get_ipv4_src_addr(),
        l4_dst_port: chf.get_l4_dst_port(),
        l4_src_port: chf.get_l4_src_port(),
        output_port: chf.get_output_port(),
        protocol: chf.get_protocol(),
        sampled_packet_size: chf.get_sampled_packet_size(),
        src_as: chf.get_src_as(),
        src_geo: chf.get_src_geo(),
        src_mac: chf.get_src_mac(),
        tcp_flags: chf.get_tcp_flags(),
        tos: chf.get_tos(),
        vlan_in: chf.get_vlan_in(),
        vlan_out: chf.get_vlan_out(),
        ipv4_next_hop: chf.get_ipv4_next_hop(),
        mpls_type: chf.get_mpls_type(),
        out_bytes: chf.get_out_bytes(),
        out_pkts: chf.get_out_pkts(),
        tcp_retransmit: chf.get_tcp_retransmit(),
        src_flow_tags: text(chf.get_src_flow_tags()?),
        dst_flow_tags: text(chf.get_dst_flow_tags()?),
        sample_rate: chf.get_sample_rate(),
        device_id: chf.get_device_id(),
        flow_tags: text(chf.get_flow_tags()?),
        timestamp: chf.get_timestamp(),
        dst_bgp_as_path: text(chf.get_dst_bgp_as_path()?),
        dst_bgp_community: text(chf.get_dst_bgp_community()?),
        src_bgp_as_path: text(chf.get_src_bgp_as_path()?),
        src_bgp_community: text(chf.get_src_bgp_community()?),
        src_next_hop_as: chf.get_src_next_hop_as(),
        dst_next_hop_as: chf.get_dst_next_hop_as(),
        src_geo_region: chf.get_src_geo_region(),
        dst_geo_region: chf.get_dst_geo_region(),
        src_geo_city: chf.get_src_geo_city(),
        dst_geo_city: chf.get_dst_geo_city(),
        big: chf.get_big(),
        sample_adj: chf.get_sample_adj(),
        ipv4_dst_next_hop: chf.get_ipv4_dst_next_hop(),
        ipv4_src_next_hop: chf.get_ipv4_src_next_hop(),
        src_route_prefix: chf.get_src_route_prefix(),
        dst_route_prefix: chf.get_dst_route_prefix(),
        src_route_length: chf.get_src_route_length(),
        dst_route_length: chf.get_dst_route_length(),
        src_second_asn: chf.get_src_second_asn(),
        dst_second_asn: chf.get_dst_second_asn(),
        src_third_asn: chf.get_src_third_asn(),
        dst_third_asn: chf.get_dst_third_asn(),
        ipv6_dst_addr: ipv6(chf.get_ipv6_dst_addr()?)?,
        ipv6_src_addr: ipv6(chf.get_ipv6_src_addr()?)?,
        src_eth_mac: chf.get_src_eth_mac(),
        dst_eth_mac: chf.get_dst_eth_mac(),
        custom: chf.get_custom()?.iter().map(read_custom).collect::<capnp::Result<_>>()?,
        ipv6_src_next_hop: ipv6(chf.get_ipv6_src_next_hop()?)?,
        ipv6_dst_next_hop: ipv6(chf.get_ipv6_dst_next_hop()?)?,
        ipv6_src_route_prefix: ipv6(chf.get_ipv6_src_route_prefix()?)?,
        ipv6_dst_route_prefix: ipv6(chf.get_ipv6_dst_route_prefix()?)?,
        is_metric: chf.get_is_metric(),
        app_protocol: chf.get_app_protocol(),
    })
}

fn read_custom(custom: custom::Reader<'_>) -> capnp::Result<Custom> {
    let value = match custom.get_value().which() {
        Ok(custom::value::Uint8Val(number)) => CustomValue::U8(number),
        Ok(custom::value::Uint16Val(number)) => CustomValue::U16(number),
        Ok(custom::value::Uint32Val(number)) => CustomValue::U32(number),
        Ok(custom::value::Uint64Val(number)) => CustomValue::U64(number),
        Ok(custom::value::Float32Val(number)) => CustomValue::F32(number),
        Ok(custom::value::StrVal(value)) => CustomValue::Text(text(value?)),
        Ok(custom::value::AddrVal(bytes)) => {
            wire::address_of(bytes?).map_or(CustomValue::Unknown, CustomValue::Address)
        }
        Err(capnp::NotInSchema(_)) => CustomValue::Unknown,
    };
    Ok(Custom { id: custom.get_id(), is_dimension: custom.get_is_dimension(), value })
}

fn text(text: capnp::text::Reader<'_>) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

fn ipv6(bytes: &[u8]) -> capnp::Result<Option<[u8; 16]>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let octets = bytes.try_into();
    octets.map(Some).map_err(|_| capnp::Error::failed(format!("an IPv6 address of {} bytes", bytes.len())))
}
