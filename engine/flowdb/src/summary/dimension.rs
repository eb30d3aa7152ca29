//! Dimensions: columns whose distinct values and whose heaviest values are kept.

use hll::Precision;
use hll::hash;
use std::net::Ipv6Addr;

/// Of all sketches; the error is then 1.0 %.
pub const PRECISION: Precision = match Precision::new(12) {
    Ok(precision) => precision,
    Err(_) => panic!("12 is a precision"),
};

/// Dimensions with a sketch of their distinct values.
///
/// A number is hashed as [`hash::of_u64`] of its two's complement, an address as [`hash::of_u128`] of its 16 bytes as a
/// big-endian number: IPv4 addresses as `::ffff:a.b.c.d`, so that they are equal values in the columns of one family and
/// in those of both.
pub const SKETCHED: [&str; 12] = [
    "inet_src_addr",
    "inet_dst_addr",
    "ipv4_src_addr",
    "ipv4_dst_addr",
    "l4_src_port",
    "l4_dst_port",
    "src_as",
    "dst_as",
    "protocol",
    "app_protocol",
    "input_port",
    "output_port",
];

/// Dimensions whose heaviest values are kept.
pub const TOPPED: [&str; 8] = [
    "inet_src_addr",
    "inet_dst_addr",
    "l4_src_port",
    "l4_dst_port",
    "src_as",
    "dst_as",
    "protocol",
    "app_protocol",
];

/// A value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Number(i64),
    /// IPv4 as `::ffff:a.b.c.d`.
    Address(Ipv6Addr),
}

/// Sketches that are kept: a dimension is one of them, or the union of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Ipv4Source,
    Ipv6Source,
    Ipv4Destination,
    Ipv6Destination,
    SourcePort,
    DestinationPort,
    SourceAs,
    DestinationAs,
    Protocol,
    Application,
    Input,
    Output,
}

impl Half {
    pub const ALL: [Half; 12] = [
        Half::Ipv4Source,
        Half::Ipv6Source,
        Half::Ipv4Destination,
        Half::Ipv6Destination,
        Half::SourcePort,
        Half::DestinationPort,
        Half::SourceAs,
        Half::DestinationAs,
        Half::Protocol,
        Half::Application,
        Half::Input,
        Half::Output,
    ];

    /// What a dimension is the union of.
    pub fn of_dimension(name: &str) -> Option<&'static [Half]> {
        Some(match name {
            "inet_src_addr" => &[Half::Ipv4Source, Half::Ipv6Source],
            "inet_dst_addr" => &[Half::Ipv4Destination, Half::Ipv6Destination],
            "ipv4_src_addr" => &[Half::Ipv4Source],
            "ipv4_dst_addr" => &[Half::Ipv4Destination],
            "l4_src_port" => &[Half::SourcePort],
            "l4_dst_port" => &[Half::DestinationPort],
            "src_as" => &[Half::SourceAs],
            "dst_as" => &[Half::DestinationAs],
            "protocol" => &[Half::Protocol],
            "app_protocol" => &[Half::Application],
            "input_port" => &[Half::Input],
            "output_port" => &[Half::Output],
            _ => return None,
        })
    }
}

impl Key {
    pub fn hash(self) -> u64 {
        match self {
            Key::Number(number) => hash::of_u64(number as u64),
            Key::Address(address) => hash::of_u128(address.to_bits()),
        }
    }

    pub fn ipv4(address: u32) -> Key {
        Key::Address(Ipv6Addr::from_bits(0xFFFF << 32 | u128::from(address)))
    }

    pub fn inet(octets: [u8; 16]) -> Key {
        Key::Address(Ipv6Addr::from(octets))
    }
}
