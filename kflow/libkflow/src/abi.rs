//! The types of `include/kflow.h`, as a C compiler lays them out on 64-bit machines.
//!
//! Each member stands behind its offset in bytes, which is asserted, as is the size of each type. Members have the header's
//! names and order, written as Rust writes names. Nothing here reads what a pointer points to.

use std::ffi::{c_char, c_int};
use std::mem::offset_of;

/// Defines a type that C knows, and asserts its layout.
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident, $size:literal bytes { $($offset:literal $member:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name { $(pub $member: $kind,)* }

        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(offset_of!($name, $member) == $offset);)*
        };
    };
}

layout! {
    /// `kflowConfig`.
    Config, 184 bytes {
        0 url: *const c_char,
        8 api: Api,
        32 capture: Capture,
        56 metrics: Metrics,
        72 proxy: Proxy,
        80 status: Status,
        96 dns: Dns,
        112 device_id: c_int,
        120 device_if: *const c_char,
        128 device_ip: *const c_char,
        136 device_name: *const c_char,
        144 device_plan: c_int,
        148 device_site: c_int,
        152 sample_rate: c_int,
        156 timeout: c_int,
        160 verbose: c_int,
        168 program: *const c_char,
        176 version: *const c_char,
    }
}

layout! {
    Api, 24 bytes {
        0 email: *const c_char,
        8 token: *const c_char,
        16 url: *const c_char,
    }
}

layout! {
    Capture, 24 bytes {
        0 device: *const c_char,
        8 snaplen: c_int,
        12 promisc: c_int,
        16 ip: *const c_char,
    }
}

layout! {
    Metrics, 16 bytes {
        0 interval: c_int,
        8 url: *const c_char,
    }
}

layout! {
    Proxy, 8 bytes {
        0 url: *const c_char,
    }
}

layout! {
    Status, 16 bytes {
        0 host: *const c_char,
        8 port: c_int,
    }
}

layout! {
    Dns, 16 bytes {
        0 enable: c_int,
        4 interval: c_int,
        8 url: *const c_char,
    }
}

/// The union in `kflowCustom`: the member that `vtype` names is there, the rest need not be initialised.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Value {
    pub str: *const c_char,
    pub u8: u8,
    pub u16: u16,
    pub u32: u32,
    pub u64: u64,
    pub i8: i8,
    pub i16: i16,
    pub i32: i32,
    pub i64: i64,
    pub f32: f32,
    pub f64: f64,
    pub addr: [u8; 17],
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value")
    }
}

layout! {
    /// `kflowCustom`.
    Custom, 48 bytes {
        0 name: *mut c_char,
        8 id: u64,
        16 vtype: c_int,
        24 value: Value,
    }
}

/// The numbers of `vtype`, `KFLOWCUSTOM…` in the header.
pub mod vtype {
    use std::ffi::c_int;

    pub const STR: c_int = 1;
    pub const U8: c_int = 2;
    pub const U16: c_int = 3;
    pub const U32: c_int = 4;
    pub const U64: c_int = 5;
    pub const I8: c_int = 6;
    pub const I16: c_int = 7;
    pub const I32: c_int = 8;
    pub const I64: c_int = 9;
    pub const F32: c_int = 10;
    pub const F64: c_int = 11;
    pub const ADDR: c_int = 12;
}

layout! {
    /// `kflowDevice`.
    Device, 40 bytes {
        0 id: u64,
        8 name: *mut c_char,
        16 sample_rate: u64,
        24 customs: *mut Custom,
        32 num_customs: u32,
    }
}

layout! {
    /// `kflow`.
    Flow, 360 bytes {
        0 timestamp_nano: i64,
        8 dst_as: u32,
        12 dst_geo: u32,
        16 dst_mac: u32,
        20 header_len: u32,
        24 in_bytes: u64,
        32 in_pkts: u64,
        40 input_port: u32,
        44 ip_size: u32,
        48 ipv4_dst_addr: u32,
        52 ipv4_src_addr: u32,
        56 l4_dst_port: u32,
        60 l4_src_port: u32,
        64 output_port: u32,
        68 protocol: u32,
        72 sampled_packet_size: u32,
        76 src_as: u32,
        80 src_geo: u32,
        84 src_mac: u32,
        88 tcp_flags: u32,
        92 tos: u32,
        96 vlan_in: u32,
        100 vlan_out: u32,
        104 ipv4_next_hop: u32,
        108 mpls_type: u32,
        112 out_bytes: u64,
        120 out_pkts: u64,
        128 tcp_retransmit: u32,
        136 src_flow_tags: *const c_char,
        144 dst_flow_tags: *const c_char,
        152 sample_rate: u32,
        156 device_id: u32,
        160 flow_tags: *const c_char,
        168 timestamp: i64,
        176 dst_bgp_as_path: *const c_char,
        184 dst_bgp_community: *const c_char,
        192 src_bgp_as_path: *const c_char,
        200 src_bgp_community: *const c_char,
        208 src_next_hop_as: u32,
        212 dst_next_hop_as: u32,
        216 src_geo_region: u32,
        220 dst_geo_region: u32,
        224 src_geo_city: u32,
        228 dst_geo_city: u32,
        232 big: u8,
        233 sample_adj: u8,
        236 ipv4_dst_next_hop: u32,
        240 ipv4_src_next_hop: u32,
        244 src_route_prefix: u32,
        248 dst_route_prefix: u32,
        252 src_route_length: u8,
        253 dst_route_length: u8,
        256 src_second_asn: u32,
        260 dst_second_asn: u32,
        264 src_third_asn: u32,
        268 dst_third_asn: u32,
        272 ipv6_dst_addr: *const u8,
        280 ipv6_src_addr: *const u8,
        288 src_eth_mac: u64,
        296 dst_eth_mac: u64,
        304 ipv6_src_next_hop: *const u8,
        312 ipv6_dst_next_hop: *const u8,
        320 ipv6_src_route_prefix: *const u8,
        328 ipv6_dst_route_prefix: *const u8,
        336 is_metric: u8,
        340 app_protocol: u32,
        344 customs: *const Custom,
        352 num_customs: u32,
    }
}

layout! {
    /// `kflowByteSlice`.
    ByteSlice, 16 bytes {
        0 ptr: *const u8,
        8 len: usize,
    }
}

layout! {
    /// `kflowDomainQuery`, which is passed by value.
    DomainQuery, 32 bytes {
        0 name: ByteSlice,
        16 host: ByteSlice,
    }
}

layout! {
    /// `kflowDomainAnswer`.
    DomainAnswer, 24 bytes {
        0 ip: ByteSlice,
        16 ttl: u32,
    }
}
