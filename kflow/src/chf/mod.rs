//! A record of a flow message as it is on the wire: every field of the schema's `CHF`, as plain types.
//!
//! This is what programs exchange that fill and read the message themselves: clients of Kentik's libraries, receivers
//! that take such messages. The sensor's own record is [`crate::FlowRecord`]. In and out: values, by
//! [`crate::codec::ChfEncoder`] and [`crate::codec::decode_chf`]; also out, JSON. Nothing is computed or checked here.

mod json;

pub use json::write_json;

use std::net::IpAddr;

/// A record with all 67 fields. Unless a field says otherwise, zero means that there is no value.
///
/// Names are those of the schema. IPv4 addresses are the numbers they spell (10.0.0.1 is 0x0A00_0001), IPv6 addresses
/// bytes in network order. What `in` and `out` mean is up to who observes the flow: in from and out of an interface for
/// a router, sent by the source and answered by the destination for this project's sensor.
///
/// Fields marked *not for senders* are filled by the receiver, or were once used; the common receiver ignores them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chf {
    /// Nanoseconds since the Unix epoch. The common receiver goes by the time of arrival instead.
    pub timestamp_nano: i64,
    /// Number of the autonomous system that the destination is in.
    pub dst_as: u32,
    /// Country of the destination: two letters, the first in bits 8 to 15. *Not for senders.*
    pub dst_geo: u32,
    /// *Not for senders*: [`Chf::dst_eth_mac`].
    pub dst_mac: u32,
    /// *Not for senders.*
    pub header_len: u32,
    /// Layer-3 bytes in.
    pub in_bytes: u64,
    /// Packets in.
    pub in_pkts: u64,
    /// Interface that the flow came in by, its SNMP ifIndex; without one the low 16 bits of the destination's MAC address.
    pub input_port: u32,
    /// *Not for senders.*
    pub ip_size: u32,
    pub ipv4_dst_addr: u32,
    pub ipv4_src_addr: u32,
    /// Port; for ICMP and ICMPv6 type << 8 | code.
    pub l4_dst_port: u32,
    pub l4_src_port: u32,
    /// Interface that the flow left by; as [`Chf::input_port`], of the source's MAC address.
    pub output_port: u32,
    /// IP protocol number (IANA).
    pub protocol: u32,
    /// *Not for senders.*
    pub sampled_packet_size: u32,
    /// Number of the autonomous system that the source is in.
    pub src_as: u32,
    /// Country of the source, as [`Chf::dst_geo`]. *Not for senders.*
    pub src_geo: u32,
    /// *Not for senders*: [`Chf::src_eth_mac`].
    pub src_mac: u32,
    /// OR of the TCP flags of all packets.
    pub tcp_flags: u32,
    /// OR of the type of service or traffic class of all packets.
    pub tos: u32,
    /// VLAN identifier in.
    pub vlan_in: u32,
    /// VLAN identifier out.
    pub vlan_out: u32,
    pub ipv4_next_hop: u32,
    /// *Not for senders.*
    pub mpls_type: u32,
    /// Layer-3 bytes out.
    pub out_bytes: u64,
    /// Packets out.
    pub out_pkts: u64,
    /// TCP segments that were sent again.
    pub tcp_retransmit: u32,
    /// *Not for senders.* The same holds for the other six texts: empty if absent.
    pub src_flow_tags: String,
    pub dst_flow_tags: String,
    /// One in so many was looked at; times 100 if [`Chf::sample_adj`] is set. See [`Chf::sample_rate_hundredths`].
    pub sample_rate: u32,
    /// The receiver's number of the device that observed the flow.
    pub device_id: u32,
    pub flow_tags: String,
    /// Set by the receiver, in a unit of its own. *Not for senders.*
    pub timestamp: i64,
    pub dst_bgp_as_path: String,
    pub dst_bgp_community: String,
    pub src_bgp_as_path: String,
    pub src_bgp_community: String,
    /// First autonomous system on the path to the source.
    pub src_next_hop_as: u32,
    /// First autonomous system on the path to the destination.
    pub dst_next_hop_as: u32,
    /// Number of a region. *Not for senders*, like the next three.
    pub src_geo_region: u32,
    pub dst_geo_region: u32,
    pub src_geo_city: u32,
    pub dst_geo_city: u32,
    /// The record is a low-resolution copy of others that are sent in full. Who counts must leave it out.
    pub big: bool,
    /// [`Chf::sample_rate`] is in hundredths.
    pub sample_adj: bool,
    /// Next hop towards the destination.
    pub ipv4_dst_next_hop: u32,
    /// Next hop towards the source.
    pub ipv4_src_next_hop: u32,
    /// IPv4 prefix of the route to the source.
    pub src_route_prefix: u32,
    /// IPv4 prefix of the route to the destination.
    pub dst_route_prefix: u32,
    /// Bits of that prefix.
    pub src_route_length: u8,
    pub dst_route_length: u8,
    /// Second autonomous system on the path to the source.
    pub src_second_asn: u32,
    pub dst_second_asn: u32,
    /// Third autonomous system on the path to the source.
    pub src_third_asn: u32,
    pub dst_third_asn: u32,
    /// In place of [`Chf::ipv4_dst_addr`], if present.
    pub ipv6_dst_addr: Option<[u8; 16]>,
    pub ipv6_src_addr: Option<[u8; 16]>,
    /// EUI-48 as a number, its first octet in bits 40 to 47.
    pub src_eth_mac: u64,
    pub dst_eth_mac: u64,
    /// Values of columns that have no field here.
    pub custom: Vec<Custom>,
    pub ipv6_src_next_hop: Option<[u8; 16]>,
    pub ipv6_dst_next_hop: Option<[u8; 16]>,
    pub ipv6_src_route_prefix: Option<[u8; 16]>,
    pub ipv6_dst_route_prefix: Option<[u8; 16]>,
    /// The record is a measurement and no flow.
    pub is_metric: bool,
    /// Number of the application protocol, 0 for none; [`APP_PROTOCOL_ABSENT`] if the message does not say. 101 marks a
    /// record whose custom columns are the names of ids.
    pub app_protocol: u32,
}

/// A custom column of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// The receiver's number of the column: the `field_id` that its API gives for the device.
    pub id: u32,
    /// The column is something to group by. Common senders never set it.
    pub is_dimension: bool,
    pub value: CustomValue,
}

/// A value of a custom column: the members of the schema's union. There is none for numbers with a sign.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomValue {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    F32(f32),
    /// Common senders cut it to [`CUSTOM_TEXT_BYTES_MAX`] bytes; here it has any length.
    Text(String),
    /// On the wire its version, 4 or 6, and 16 bytes that begin with it.
    Address(IpAddr),
    /// A value that cannot be told: an address that is of neither version, or a member that the schema got later.
    /// Written as an address without bytes.
    Unknown,
}

/// What [`Chf::app_protocol`] is in a message that does not say it.
pub const APP_PROTOCOL_ABSENT: u32 = 0xFFFF_FFFF;

/// Bytes of a custom column's text that common senders go up to.
pub const CUSTOM_TEXT_BYTES_MAX: usize = 384;

impl Chf {
    /// The sample rate in hundredths, whichever way the record has it: 250 is one in 2.5.
    pub fn sample_rate_hundredths(&self) -> u64 {
        let rate = u64::from(self.sample_rate);
        if self.sample_adj { rate } else { rate * 100 }
    }
}

impl Default for Chf {
    /// What a message without any value says.
    fn default() -> Chf {
        Chf {
            timestamp_nano: 0,
            dst_as: 0,
            dst_geo: 0,
            dst_mac: 0,
            header_len: 0,
            in_bytes: 0,
            in_pkts: 0,
            input_port: 0,
            ip_size: 0,
            ipv4_dst_addr: 0,
            ipv4_src_addr: 0,
            l4_dst_port: 0,
            l4_src_port: 0,
            output_port: 0,
            protocol: 0,
            sampled_packet_size: 0,
            src_as: 0,
            src_geo: 0,
            src_mac: 0,
            tcp_flags: 0,
            tos: 0,
            vlan_in: 0,
            vlan_out: 0,
            ipv4_next_hop: 0,
            mpls_type: 0,
            out_bytes: 0,
            out_pkts: 0,
            tcp_retransmit: 0,
            src_flow_tags: String::new(),
            dst_flow_tags: String::new(),
            sample_rate: 0,
            device_id: 0,
            flow_tags: String::new(),
            timestamp: 0,
            dst_bgp_as_path: String::new(),
            dst_bgp_community: String::new(),
            src_bgp_as_path: String::new(),
            src_bgp_community: String::new(),
            src_next_hop_as: 0,
            dst_next_hop_as: 0,
            src_geo_region: 0,
            dst_geo_region: 0,
            src_geo_city: 0,
            dst_geo_city: 0,
            big: false,
            sample_adj: false,
            ipv4_dst_next_hop: 0,
            ipv4_src_next_hop: 0,
            src_route_prefix: 0,
            dst_route_prefix: 0,
            src_route_length: 0,
            dst_route_length: 0,
            src_second_asn: 0,
            dst_second_asn: 0,
            src_third_asn: 0,
            dst_third_asn: 0,
            ipv6_dst_addr: None,
            ipv6_src_addr: None,
            src_eth_mac: 0,
            dst_eth_mac: 0,
            custom: Vec::new(),
            ipv6_src_next_hop: None,
            ipv6_dst_next_hop: None,
            ipv6_src_route_prefix: None,
            ipv6_dst_route_prefix: None,
            is_metric: false,
            app_protocol: APP_PROTOCOL_ABSENT,
        }
    }
}
