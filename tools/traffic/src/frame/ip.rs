//! IPv4 (RFC 791) and IPv6 (RFC 8200) packets, whole or in fragments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::InternetSum;
use super::ether_type;
use super::transport::{PseudoHeader, Transport};

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const OSPF: u8 = 89;
    pub const ETHERIP: u8 = 97;
    pub const SCTP: u8 = 132;
    /// For experiments (RFC 3692).
    pub const EXPERIMENT: u8 = 253;
}

/// A finished packet: its bytes are what a sensor counts as layer 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub ether_type: u16,
    pub bytes: Vec<u8>,
}

/// The header of a packet, without what follows from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ip {
    V4(Ipv4),
    V6(Ipv6),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub tos: u8,
    pub identification: u16,
    pub dont_fragment: bool,
    pub ttl: u8,
    /// At most 40 bytes; filled up with End of Option List to a multiple of four.
    pub options: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    pub hop_limit: u8,
    /// In the order in which they are sent.
    pub extensions: Vec<Extension>,
}

/// An IPv6 extension header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Options as type, length, value; padded to a multiple of eight.
    HopByHop(Vec<u8>),
    /// Options as type, length, value; padded to a multiple of eight.
    DestinationOptions(Vec<u8>),
    Fragment(Fragment),
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// In bytes, a multiple of eight.
    pub offset: u16,
    pub more: bool,
    /// IPv4 sends the low 16 bits.
    pub identification: u32,
}

impl Ip {
    /// A plain header; both addresses are of one family.
    pub fn between(source: IpAddr, destination: IpAddr) -> Ip {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ip::V4(Ipv4::between(source, destination)),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ip::V6(Ipv6::between(source, destination)),
            _ => panic!("{source} and {destination} are not of one family"),
        }
    }

    pub fn source(&self) -> IpAddr {
        match self {
            Ip::V4(ip) => IpAddr::V4(ip.source),
            Ip::V6(ip) => IpAddr::V6(ip.source),
        }
    }

    pub fn destination(&self) -> IpAddr {
        match self {
            Ip::V4(ip) => IpAddr::V4(ip.destination),
            Ip::V6(ip) => IpAddr::V6(ip.destination),
        }
    }

    /// The same header for the way back.
    pub fn reversed(&self) -> Ip {
        match self {
            Ip::V4(ip) => Ip::V4(Ipv4 { source: ip.destination, destination: ip.source, ..ip.clone() }),
            Ip::V6(ip) => Ip::V6(Ipv6 { source: ip.destination, destination: ip.source, ..ip.clone() }),
        }
    }

    /// The packet that carries `payload` in one `transport` segment. The payload has to fit into 65 535 bytes.
    pub fn packet(&self, transport: &Transport, payload: &[u8]) -> Packet {
        let segment = self.segment(transport, payload);
        match self {
            Ip::V4(ip) => ip.packet(transport.protocol(), &segment, None),
            Ip::V6(ip) => ip.packet(transport.protocol(), &segment, &ip.extensions),
        }
    }

    /// The same segment cut into fragments of at most `fragment_bytes` (rounded down to a multiple of eight) of
    /// it each. IPv6 extension headers set on `self` stay in front of the fragment header.
    pub fn fragments(
        &self,
        transport: &Transport,
        payload: &[u8],
        fragment_bytes: usize,
        identification: u32,
    ) -> Vec<Packet> {
        let step = fragment_bytes & !7;
        assert!(step > 0, "a fragment carries at least eight bytes");
        let segment = self.segment(transport, payload);
        let last = segment.chunks(step).len() - 1;
        let cut = segment.chunks(step).enumerate().map(|(index, part)| {
            let offset = u16::try_from(index * step).expect("a datagram is shorter than 65 536 bytes");
            self.fragment(transport.protocol(), part, Fragment { offset, more: index < last, identification })
        });
        cut.collect()
    }

    /// What [`Ip::packet`] puts behind its headers.
    pub fn segment(&self, transport: &Transport, payload: &[u8]) -> Vec<u8> {
        transport.segment(self.pseudo_header(transport.protocol()), payload)
    }

    /// One fragment with any part of a segment, wherever it says that it belongs.
    pub fn fragment(&self, protocol: u8, part: &[u8], fragment: Fragment) -> Packet {
        match self {
            Ip::V4(ip) => ip.packet(protocol, part, Some(fragment)),
            Ip::V6(ip) => {
                let mut extensions = ip.extensions.clone();
                extensions.push(Extension::Fragment(fragment));
                ip.packet(protocol, part, &extensions)
            }
        }
    }

    fn pseudo_header(&self, protocol: u8) -> PseudoHeader {
        PseudoHeader { source: self.source(), destination: self.destination(), protocol }
    }
}

impl Ipv4 {
    pub fn between(source: impl Into<Ipv4Addr>, destination: impl Into<Ipv4Addr>) -> Ipv4 {
        Ipv4 {
            source: source.into(),
            destination: destination.into(),
            tos: 0,
            identification: 0,
            dont_fragment: true,
            ttl: 64,
            options: Vec::new(),
        }
    }

    fn packet(&self, protocol: u8, payload: &[u8], fragment: Option<Fragment>) -> Packet {
        assert!(self.options.len() <= 40, "IPv4 has room for 40 bytes of options");
        let options_bytes = self.options.len().next_multiple_of(4);
        let header_bytes = 20 + options_bytes;
        let total =
            u16::try_from(header_bytes + payload.len()).expect("an IPv4 packet fits into 65 535 bytes");
        let (identification, flags_and_offset) = match fragment {
            None => (self.identification, if self.dont_fragment { 0x4000 } else { 0 }),
            Some(fragment) => {
                let more = if fragment.more { 0x2000 } else { 0 };
                ((fragment.identification & 0xffff) as u16, more | (fragment.offset / 8))
            }
        };
        let mut bytes = Vec::with_capacity(usize::from(total));
        bytes.push(0x40 | (header_bytes / 4) as u8);
        bytes.push(self.tos);
        bytes.extend_from_slice(&total.to_be_bytes());
        bytes.extend_from_slice(&identification.to_be_bytes());
        bytes.extend_from_slice(&flags_and_offset.to_be_bytes());
        bytes.extend_from_slice(&[self.ttl, protocol, 0, 0]);
        bytes.extend_from_slice(&self.source.octets());
        bytes.extend_from_slice(&self.destination.octets());
        bytes.extend_from_slice(&self.options);
        bytes.resize(header_bytes, 0);
        let checksum = InternetSum::default().over(&bytes).finish();
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend_from_slice(payload);
        Packet { ether_type: ether_type::IPV4, bytes }
    }
}

impl Ipv6 {
    pub fn between(source: impl Into<Ipv6Addr>, destination: impl Into<Ipv6Addr>) -> Ipv6 {
        Ipv6 {
            source: source.into(),
            destination: destination.into(),
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
            extensions: Vec::new(),
        }
    }

    fn packet(&self, protocol: u8, payload: &[u8], extensions: &[Extension]) -> Packet {
        let mut body = Vec::new();
        for (index, extension) in extensions.iter().enumerate() {
            let next = extensions.get(index + 1).map_or(protocol, Extension::number);
            extension.append(next, &mut body);
        }
        body.extend_from_slice(payload);
        let body_bytes = u16::try_from(body.len()).expect("an IPv6 payload fits into 65 535 bytes");
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0x000f_ffff;
        let mut bytes = Vec::with_capacity(40 + body.len());
        bytes.extend_from_slice(&first.to_be_bytes());
        bytes.extend_from_slice(&body_bytes.to_be_bytes());
        bytes.push(extensions.first().map_or(protocol, Extension::number));
        bytes.push(self.hop_limit);
        bytes.extend_from_slice(&self.source.octets());
        bytes.extend_from_slice(&self.destination.octets());
        bytes.extend_from_slice(&body);
        Packet { ether_type: ether_type::IPV6, bytes }
    }
}

impl Extension {
    fn number(&self) -> u8 {
        match self {
            Extension::HopByHop(_) => protocol::HOP_BY_HOP,
            Extension::DestinationOptions(_) => protocol::DESTINATION_OPTIONS,
            Extension::Fragment(_) => protocol::FRAGMENT,
        }
    }

    fn append(&self, next: u8, body: &mut Vec<u8>) {
        match self {
            Extension::HopByHop(options) | Extension::DestinationOptions(options) => {
                append_options(next, options, body);
            }
            Extension::Fragment(fragment) => {
                let offset_and_more = fragment.offset & !7 | u16::from(fragment.more);
                body.extend_from_slice(&[next, 0]);
                body.extend_from_slice(&offset_and_more.to_be_bytes());
                body.extend_from_slice(&fragment.identification.to_be_bytes());
            }
        }
    }
}

fn append_options(next: u8, options: &[u8], body: &mut Vec<u8>) {
    let header_bytes = (2 + options.len()).next_multiple_of(8);
    let units = u8::try_from(header_bytes / 8 - 1).expect("extension options fit into 2046 bytes");
    body.extend_from_slice(&[next, units]);
    body.extend_from_slice(options);
    match header_bytes - 2 - options.len() {
        0 => {}
        1 => body.push(PAD_1),
        pad => {
            body.extend_from_slice(&[PAD_N, (pad - 2) as u8]);
            body.resize(body.len() + pad - 2, 0);
        }
    }
}

const PAD_1: u8 = 0;
const PAD_N: u8 = 1;
