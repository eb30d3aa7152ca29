//! Records of all fields as JSON lines: one object a record, with what is not the default.
//!
//! Names are those of the schema. Addresses are text, also those of IPv4, which the message has as numbers; a custom
//! column is an object with its id and its value under the name of the union's member.

use super::{APP_PROTOCOL_ABSENT, Chf, Custom, CustomValue};
use crate::record::MacAddress;
use crate::text::{write_json_text, write_name, write_number};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Appends a record as a JSON object and a line feed.
pub fn write_json(chf: &Chf, text: &mut Vec<u8>) {
    text.push(b'{');
    let mut object = Object(text);
    write_flow(chf, &mut object);
    write_routes(chf, &mut object);
    write_others(chf, &mut object);
    write_customs(&chf.custom, text);
    text.extend_from_slice(b"}\n");
}

fn write_flow(chf: &Chf, object: &mut Object<'_>) {
    object.signed("timestampNano", chf.timestamp_nano);
    object.signed("timestamp", chf.timestamp);
    object.ipv4("ipv4SrcAddr", chf.ipv4_src_addr);
    object.ipv6("ipv6SrcAddr", chf.ipv6_src_addr);
    object.number("l4SrcPort", chf.l4_src_port);
    object.ipv4("ipv4DstAddr", chf.ipv4_dst_addr);
    object.ipv6("ipv6DstAddr", chf.ipv6_dst_addr);
    object.number("l4DstPort", chf.l4_dst_port);
    object.number("protocol", chf.protocol);
    object.number("inBytes", chf.in_bytes);
    object.number("inPkts", chf.in_pkts);
    object.number("outBytes", chf.out_bytes);
    object.number("outPkts", chf.out_pkts);
    object.number("sampleRate", chf.sample_rate);
    object.flag("sampleAdj", chf.sample_adj);
    object.number("tcpFlags", chf.tcp_flags);
    object.number("tcpRetransmit", chf.tcp_retransmit);
    object.number("tos", chf.tos);
    object.number("vlanIn", chf.vlan_in);
    object.number("vlanOut", chf.vlan_out);
    object.number("inputPort", chf.input_port);
    object.number("outputPort", chf.output_port);
    object.mac("srcEthMac", chf.src_eth_mac);
    object.mac("dstEthMac", chf.dst_eth_mac);
    object.number("deviceId", chf.device_id);
    if chf.app_protocol != APP_PROTOCOL_ABSENT {
        write_name("appProtocol", object.0);
        write_number(chf.app_protocol.into(), object.0);
    }
}

fn write_routes(chf: &Chf, object: &mut Object<'_>) {
    object.number("srcAs", chf.src_as);
    object.number("dstAs", chf.dst_as);
    object.number("srcNextHopAs", chf.src_next_hop_as);
    object.number("dstNextHopAs", chf.dst_next_hop_as);
    object.number("srcSecondAsn", chf.src_second_asn);
    object.number("dstSecondAsn", chf.dst_second_asn);
    object.number("srcThirdAsn", chf.src_third_asn);
    object.number("dstThirdAsn", chf.dst_third_asn);
    object.ipv4("ipv4NextHop", chf.ipv4_next_hop);
    object.ipv4("ipv4SrcNextHop", chf.ipv4_src_next_hop);
    object.ipv4("ipv4DstNextHop", chf.ipv4_dst_next_hop);
    object.ipv6("ipv6SrcNextHop", chf.ipv6_src_next_hop);
    object.ipv6("ipv6DstNextHop", chf.ipv6_dst_next_hop);
    object.ipv4("srcRoutePrefix", chf.src_route_prefix);
    object.ipv4("dstRoutePrefix", chf.dst_route_prefix);
    object.ipv6("ipv6SrcRoutePrefix", chf.ipv6_src_route_prefix);
    object.ipv6("ipv6DstRoutePrefix", chf.ipv6_dst_route_prefix);
    object.number("srcRouteLength", chf.src_route_length);
    object.number("dstRouteLength", chf.dst_route_length);
    object.text("srcBgpAsPath", &chf.src_bgp_as_path);
    object.text("dstBgpAsPath", &chf.dst_bgp_as_path);
    object.text("srcBgpCommunity", &chf.src_bgp_community);
    object.text("dstBgpCommunity", &chf.dst_bgp_community);
}

fn write_others(chf: &Chf, object: &mut Object<'_>) {
    object.number("srcGeo", chf.src_geo);
    object.number("dstGeo", chf.dst_geo);
    object.number("srcGeoRegion", chf.src_geo_region);
    object.number("dstGeoRegion", chf.dst_geo_region);
    object.number("srcGeoCity", chf.src_geo_city);
    object.number("dstGeoCity", chf.dst_geo_city);
    object.text("flowTags", &chf.flow_tags);
    object.text("srcFlowTags", &chf.src_flow_tags);
    object.text("dstFlowTags", &chf.dst_flow_tags);
    object.number("srcMac", chf.src_mac);
    object.number("dstMac", chf.dst_mac);
    object.number("headerLen", chf.header_len);
    object.number("ipSize", chf.ip_size);
    object.number("sampledPacketSize", chf.sampled_packet_size);
    object.number("mplsType", chf.mpls_type);
    object.flag("big", chf.big);
    object.flag("isMetric", chf.is_metric);
}

fn write_customs(customs: &[Custom], text: &mut Vec<u8>) {
    if customs.is_empty() {
        return;
    }
    write_name("custom", text);
    for (index, custom) in customs.iter().enumerate() {
        text.push(if index == 0 { b'[' } else { b',' });
        text.push(b'{');
        write_name("id", text);
        write_number(custom.id.into(), text);
        Object(text).flag("isDimension", custom.is_dimension);
        write_custom_value(&custom.value, text);
        text.push(b'}');
    }
    text.push(b']');
}

fn write_custom_value(value: &CustomValue, text: &mut Vec<u8>) {
    let (name, number) = match value {
        CustomValue::U8(number) => ("uint8Val", u64::from(*number)),
        CustomValue::U16(number) => ("uint16Val", u64::from(*number)),
        CustomValue::U32(number) => ("uint32Val", u64::from(*number)),
        CustomValue::U64(number) => ("uint64Val", *number),
        CustomValue::F32(number) => {
            write_name("float32Val", text);
            // JSON has no infinity, and nothing that is not a number.
            return if number.is_finite() {
                write!(text, "{number}").expect("a vector takes every write");
            } else {
                write_json_text(&number.to_string(), text);
            };
        }
        CustomValue::Text(value) => {
            write_name("strVal", text);
            return write_json_text(value, text);
        }
        CustomValue::Address(address) => return Object(text).address("addrVal", *address),
        CustomValue::Unknown => return,
    };
    write_name(name, text);
    write_number(number, text);
}

/// The members of an object that is open. What is the default is left out.
struct Object<'a>(&'a mut Vec<u8>);

impl Object<'_> {
    fn number(&mut self, name: &str, number: impl Into<u64>) {
        let number = number.into();
        if number != 0 {
            write_name(name, self.0);
            write_number(number, self.0);
        }
    }

    fn signed(&mut self, name: &str, number: i64) {
        if number != 0 {
            write_name(name, self.0);
            write!(self.0, "{number}").expect("a vector takes every write");
        }
    }

    fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            write_name(name, self.0);
            self.0.extend_from_slice(b"true");
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            write_name(name, self.0);
            write_json_text(text, self.0);
        }
    }

    fn ipv4(&mut self, name: &str, number: u32) {
        if number != 0 {
            self.address(name, Ipv4Addr::from_bits(number).into());
        }
    }

    fn ipv6(&mut self, name: &str, octets: Option<[u8; 16]>) {
        if let Some(octets) = octets {
            self.address(name, Ipv6Addr::from(octets).into());
        }
    }

    fn address(&mut self, name: &str, address: IpAddr) {
        write_name(name, self.0);
        write!(self.0, "\"{address}\"").expect("a vector takes every write");
    }

    /// A number of more than 48 bits is no such address, and is printed as it is.
    fn mac(&mut self, name: &str, number: u64) {
        if number >> 48 != 0 {
            self.number(name, number);
        } else if number != 0 {
            write_name(name, self.0);
            write!(self.0, "\"{}\"", MacAddress::from_integer(number)).expect("a vector takes every write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(chf: &Chf) -> Value {
        let mut line = Vec::new();
        write_json(chf, &mut line);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn what_is_the_default_is_left_out() {
        assert_eq!(read(&Chf::default()), json!({}));
        assert_eq!(read(&Chf { app_protocol: 0, ..Chf::default() }), json!({ "appProtocol": 0 }));
    }

    #[test]
    fn addresses_are_text() {
        let chf = Chf {
            ipv4_src_addr: 0x0A00_0001,
            ipv6_dst_addr: Some([0; 16]),
            src_eth_mac: 0x0242_AC11_0001,
            dst_eth_mac: u64::MAX,
            timestamp: -5,
            ..Chf::default()
        };
        let expected = json!({
            "timestamp": -5,
            "ipv4SrcAddr": "10.0.0.1",
            "ipv6DstAddr": "::",
            "srcEthMac": "02:42:ac:11:00:01",
            "dstEthMac": u64::MAX,
        });
        assert_eq!(read(&chf), expected);
    }

    #[test]
    fn custom_columns_have_their_values_by_the_name_of_the_member() {
        let values = [
            CustomValue::U8(1),
            CustomValue::U16(2),
            CustomValue::U32(0),
            CustomValue::U64(u64::MAX),
            CustomValue::F32(-0.5),
            CustomValue::F32(f32::INFINITY),
            CustomValue::Text("a \"b\"\n".to_owned()),
            CustomValue::Address([192, 0, 2, 1].into()),
            CustomValue::Unknown,
        ];
        let custom = (0..).zip(values).map(|(id, value)| Custom { id, is_dimension: id == 1, value });
        let object = read(&Chf { custom: custom.collect(), ..Chf::default() });
        let expected = json!([
            { "id": 0, "uint8Val": 1 },
            { "id": 1, "isDimension": true, "uint16Val": 2 },
            { "id": 2, "uint32Val": 0 },
            { "id": 3, "uint64Val": u64::MAX },
            { "id": 4, "float32Val": -0.5 },
            { "id": 5, "float32Val": "inf" },
            { "id": 6, "strVal": "a \"b\"\n" },
            { "id": 7, "addrVal": "192.0.2.1" },
            { "id": 8 },
        ]);
        assert_eq!(object["custom"], expected);
    }
}
