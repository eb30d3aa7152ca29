//! The flow record: what the sensor knows of one conversation over one span of time.
//!
//! A record is bidirectional. `source` is the side that was seen first, so `forward` counts what the
//! source sent and `reverse` what the destination answered. Counters are those of the record's own span:
//! a long flow yields one record per active timeout, and their sum is the flow.

use std::net::{IpAddr, Ipv4Addr};

/// One exported flow. Addresses of one record are always of the same family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Time of the first packet of this span, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Time of the last packet of this span, nanoseconds since the Unix epoch.
    pub end_ns: u64,
    pub source: Endpoint,
    pub destination: Endpoint,
    /// IP protocol number (IANA "Assigned Internet Protocol Numbers"); for IPv6 that of the upper layer.
    pub protocol: u8,
    /// Type and code of the first ICMP or ICMPv6 message of the flow; zero for other protocols.
    pub icmp: IcmpKind,
    pub forward: DirectionCounters,
    pub reverse: DirectionCounters,
    pub end_reason: EndReason,
    /// One in this many flows was looked at; 1 when all were.
    pub sample_rate: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    /// TCP, UDP or SCTP port, zero for protocols without ports and for later fragments.
    pub port: u16,
    /// Link-layer address in the flow's first packet of that direction; zero when the link has none.
    pub mac: MacAddress,
}

/// An EUI-48 address in transmission order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpKind {
    pub kind: u8,
    pub code: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionCounters {
    pub packets: u64,
    /// Layer-3 bytes: IPv4 total length; IPv6 payload length plus the fixed header.
    pub bytes: u64,
    /// Frame bytes on the wire without the frame check sequence.
    pub frame_bytes: u64,
    /// Packets of this direction that were IP fragments.
    pub fragments: u32,
    /// OR of the TCP flags (RFC 9293: FIN 0x01 … CWR 0x80).
    pub tcp_flags: u8,
    /// OR of the IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// VLAN identifier of the direction's first packet (outermost tag, 12 bits); 0 when untagged.
    pub vlan: u16,
}

/// Why a record was exported. Numbers are those of IPFIX `flowEndReason` (RFC 5102, element 136).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// No packet for the idle timeout.
    IdleTimeout = 1,
    /// The flow lives on; its counters start anew.
    ActiveTimeout = 2,
    /// FIN from both sides or RST.
    EndOfFlow = 3,
    /// The sensor was stopped or the capture file ended.
    ForcedEnd = 4,
    /// Evicted to make room for another flow.
    LackOfResources = 5,
}

impl EndReason {
    pub const ALL: [EndReason; 5] = [
        EndReason::IdleTimeout,
        EndReason::ActiveTimeout,
        EndReason::EndOfFlow,
        EndReason::ForcedEnd,
        EndReason::LackOfResources,
    ];

    /// The name that JSON, CSV and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::ActiveTimeout => "active_timeout",
            EndReason::EndOfFlow => "end_of_flow",
            EndReason::ForcedEnd => "forced_end",
            EndReason::LackOfResources => "lack_of_resources",
        }
    }

    /// `None` for a number that RFC 5102 does not assign.
    pub fn from_number(number: u8) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

impl MacAddress {
    /// The address as a 48-bit integer, first octet most significant.
    pub fn to_integer(self) -> u64 {
        self.0.iter().fold(0, |integer, octet| integer << 8 | u64::from(*octet))
    }

    /// Inverse of [`MacAddress::to_integer`]; bits above the 48th are ignored.
    pub fn from_integer(integer: u64) -> MacAddress {
        let octets = integer.to_be_bytes();
        MacAddress([octets[2], octets[3], octets[4], octets[5], octets[6], octets[7]])
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Default for Endpoint {
    fn default() -> Endpoint {
        Endpoint { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, mac: MacAddress::default() }
    }
}

impl Default for FlowRecord {
    /// An empty, unsampled IPv4 record: a starting point for tests and for filling in.
    fn default() -> FlowRecord {
        FlowRecord {
            start_ns: 0,
            end_ns: 0,
            source: Endpoint::default(),
            destination: Endpoint::default(),
            protocol: 0,
            icmp: IcmpKind::default(),
            forward: DirectionCounters::default(),
            reverse: DirectionCounters::default(),
            end_reason: EndReason::IdleTimeout,
            sample_rate: 1,
        }
    }
}
