//! IPv4 (RFC 791) and IPv6 (RFC 8200): addresses, length, fragments, extension headers.

use super::{
    Anomaly, Encapsulation, Enclosure, Fragment, NotFlow, Packet, Side, bytes_at,
    link::{IpVersion, Network},
    transport::{self, Transport},
};
use crate::flow::{FlowKey, key::Ends};
use sensor_ebpf::EXTENSION_HEADERS_MAX;
use std::net::IpAddr;

pub const IPV4_HEADER_BYTES: usize = 20;
pub const IPV6_HEADER_BYTES: usize = 40;
/// Next-header value of a packet that is its header (RFC 8200 §4.7).
const NO_NEXT_HEADER: u8 = 59;

/// Next-header values of the extension headers that are walked over.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// What the header of either version says of the packet as a whole.
struct Header {
    network_bytes: usize,
    tos: u8,
    ttl: u8,
}

/// What both versions found out before the transport layer is read.
struct Upper {
    protocol: u8,
    /// Start and end of the IP payload in the captured bytes.
    start: usize,
    end: usize,
    /// Where the IP packet ends by its own word, captured or not.
    wire_end: usize,
    fragment: Fragment,
    anomaly: Option<Anomaly>,
}

/// Reads the packet at `network`. After an error the place holds what it held.
#[inline]
pub fn decode(enclosure: &Enclosure<'_>, network: &Network, packet: &mut Packet) -> Result<(), NotFlow> {
    match network.version {
        IpVersion::V4 => decode_v4(enclosure, network, packet),
        IpVersion::V6 => decode_v6(enclosure, network, packet),
    }
}

fn decode_v4(enclosure: &Enclosure<'_>, network: &Network, packet: &mut Packet) -> Result<(), NotFlow> {
    let at = network.offset;
    let header = bytes_at::<IPV4_HEADER_BYTES>(enclosure.bytes, at).ok_or(NotFlow::Ipv4Truncated)?;
    if header[0] >> 4 != 4 {
        return Err(NotFlow::Ipv4Version);
    }
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    if header_bytes < IPV4_HEADER_BYTES {
        return Err(NotFlow::Ipv4HeaderLength);
    }
    let on_wire = enclosure.wire_end.saturating_sub(at);
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // Segmentation offload leaves a zero in captures taken before the card fills it in.
    let network_bytes = if total_length == 0 { on_wire } else { total_length };
    let mut anomaly = None;
    if network_bytes < header_bytes {
        anomaly = Some(Anomaly::Ipv4TotalLengthShort);
    } else if network_bytes > on_wire {
        anomaly = Some(Anomaly::LengthBeyondFrame);
    }
    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let fragment = match flags_and_offset & 0x3fff {
        0 => Fragment::Whole,
        0x2000 => Fragment::First,
        _ => Fragment::Later,
    };
    let end = (at + network_bytes.max(header_bytes)).min(enclosure.bytes.len());
    let start = (at + header_bytes).min(end);
    let upper = Upper { protocol: header[9], start, end, wire_end: at + network_bytes, fragment, anomaly };
    let transport = upper.transport(enclosure);
    let addresses = [
        u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    ];
    let key = FlowKey::v4(addresses, upper.ends(&transport));
    let header = Header { network_bytes, tos: header[1], ttl: header[8] };
    write(enclosure, network, &header, &upper, &transport, key, packet);
    Ok(())
}

fn decode_v6(enclosure: &Enclosure<'_>, network: &Network, packet: &mut Packet) -> Result<(), NotFlow> {
    let at = network.offset;
    let header = bytes_at::<IPV6_HEADER_BYTES>(enclosure.bytes, at).ok_or(NotFlow::Ipv6Truncated)?;
    if header[0] >> 4 != 6 {
        return Err(NotFlow::Ipv6Version);
    }
    let on_wire = enclosure.wire_end.saturating_sub(at);
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A payload length of zero before another header is a jumbogram (RFC 2675), or what segmentation offload
    // shows in place of one: the frame ends it. A frame that may be padded shows nothing of the kind.
    let is_open =
        payload_length == 0 && header[6] != NO_NEXT_HEADER && enclosure.wire_end > enclosure.padded_end;
    let network_bytes = if is_open { on_wire } else { IPV6_HEADER_BYTES + payload_length };
    let wire_end = at + network_bytes.max(IPV6_HEADER_BYTES);
    let end = wire_end.min(enclosure.bytes.len());
    let upper = extension_headers(enclosure.bytes, header[6], at + IPV6_HEADER_BYTES, end)?;
    let anomaly = if network_bytes > on_wire { Some(Anomaly::LengthBeyondFrame) } else { upper.anomaly };
    let upper = Upper { anomaly, wire_end, ..upper };
    let transport = upper.transport(enclosure);
    let half = |at: usize| u64::from_be_bytes(*bytes_at::<8>(header, at).expect("the header has 40 bytes"));
    let addresses = [(half(8), half(16)), (half(24), half(32))];
    let key = FlowKey::v6(addresses, upper.ends(&transport));
    let header = Header { network_bytes, tos: header[0] << 4 | header[1] >> 4, ttl: header[7] };
    write(enclosure, network, &header, &upper, &transport, key, packet);
    Ok(())
}

/// What follows a header that keeps the addresses of `packet`, such as AH: at `at`, of protocol `next`.
pub fn decode_behind(
    enclosure: &Enclosure<'_>,
    packet: &Packet,
    next: u8,
    at: usize,
    behind: &mut Packet,
) -> Result<(), NotFlow> {
    let [source, destination] = [packet.sender, packet.sender.other()].map(|side| packet.key.end(side).0);
    let end = enclosure.bytes.len();
    let upper = match source {
        IpAddr::V4(_) => {
            let (fragment, anomaly) = (Fragment::Whole, None);
            Upper { protocol: next, start: at.min(end), end, wire_end: enclosure.wire_end, fragment, anomaly }
        }
        IpAddr::V6(_) => {
            let upper = extension_headers(enclosure.bytes, next, at, end)?;
            Upper { wire_end: enclosure.wire_end, ..upper }
        }
    };
    let transport = upper.transport(enclosure);
    let (key, sender) = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            FlowKey::v4([source.to_bits(), destination.to_bits()], upper.ends(&transport))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let halves = [source, destination].map(|address| {
                let bits = address.to_bits();
                ((bits >> 64) as u64, bits as u64)
            });
            FlowKey::v6(halves, upper.ends(&transport))
        }
        _ => unreachable!("both ends of a key are of one family"),
    };
    let header = Header { network_bytes: packet.network_bytes as usize, tos: packet.tos, ttl: packet.ttl };
    let network =
        Network { version: IpVersion::V4, offset: packet.network_start as usize, tags: packet.link };
    write(enclosure, &network, &header, &upper, &transport, (key, sender), behind);
    Ok(())
}

/// Whether a header of this version starts here whose lengths fit in: for places where nothing says so for certain.
pub fn is_plausible(enclosure: &Enclosure<'_>, version: IpVersion, at: usize) -> bool {
    let Some(first) = bytes_at::<6>(enclosure.bytes, at) else { return false };
    let (is_version, header_bytes, packet_bytes) = match version {
        IpVersion::V4 => {
            let header_bytes = usize::from(first[0] & 0x0f) * 4;
            let total_length = usize::from(u16::from_be_bytes([first[2], first[3]]));
            // Segmentation offload leaves a zero.
            let packet_bytes = if total_length == 0 { header_bytes } else { total_length };
            (first[0] >> 4 == 4 && header_bytes >= IPV4_HEADER_BYTES, header_bytes, packet_bytes)
        }
        IpVersion::V6 => {
            let payload_length = usize::from(u16::from_be_bytes([first[4], first[5]]));
            (first[0] >> 4 == 6, IPV6_HEADER_BYTES, IPV6_HEADER_BYTES + payload_length)
        }
    };
    is_version && packet_bytes >= header_bytes && at + packet_bytes <= enclosure.wire_end
}

/// Walks to the upper layer. A chain that is cut off leaves the flow without ports.
fn extension_headers(bytes: &[u8], first: u8, start: usize, end: usize) -> Result<Upper, NotFlow> {
    let mut upper = Upper {
        protocol: first,
        start: start.min(end),
        end,
        wire_end: end,
        fragment: Fragment::Whole,
        anomaly: None,
    };
    for depth in 0..=EXTENSION_HEADERS_MAX {
        let is_fragment = match upper.protocol {
            extension::FRAGMENT => true,
            extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::DESTINATION
            | extension::MOBILITY
            | extension::HOST_IDENTITY
            | extension::SHIM6 => false,
            _ => return Ok(upper),
        };
        if depth == EXTENSION_HEADERS_MAX {
            break;
        }
        let Some(header) = bytes_at::<4>(&bytes[..end], upper.start) else {
            return Ok(Upper { anomaly: Some(Anomaly::ExtensionTruncated), ..upper });
        };
        upper.protocol = header[0];
        if !is_fragment {
            upper.start = (upper.start + (usize::from(header[1]) + 1) * 8).min(end);
            continue;
        }
        upper.start = (upper.start + 8).min(end);
        let offset_and_more = u16::from_be_bytes([header[2], header[3]]);
        if offset_and_more & 0xfff8 != 0 {
            // Behind the fragment header of a later fragment there is only data.
            return Ok(Upper { fragment: Fragment::Later, ..upper });
        }
        upper.fragment = if offset_and_more & 1 != 0 { Fragment::First } else { upper.fragment };
    }
    Err(NotFlow::Ipv6ExtensionDepth)
}

impl Upper {
    fn transport(&self, enclosure: &Enclosure<'_>) -> Transport {
        match self.fragment {
            Fragment::Later => Transport::without_header(self.start),
            Fragment::Whole | Fragment::First => {
                let segment = transport::Segment {
                    bytes: &enclosure.bytes[..self.end],
                    at: self.start,
                    wire_end: self.wire_end,
                    frame_end: enclosure.wire_end,
                    is_whole: self.fragment == Fragment::Whole,
                };
                transport::decode(segment, self.protocol)
            }
        }
    }

    fn ends(&self, transport: &Transport) -> Ends {
        Ends {
            source_port: transport.source_port,
            destination_port: transport.destination_port,
            protocol: self.protocol,
        }
    }
}

/// The one place where a packet is put together.
fn write(
    enclosure: &Enclosure<'_>,
    network: &Network,
    header: &Header,
    upper: &Upper,
    transport: &Transport,
    (key, sender): (FlowKey, Side),
    packet: &mut Packet,
) {
    let payload_start = transport.payload_start.min(upper.end);
    let payload_wire_bytes = upper.wire_end.min(enclosure.wire_end).saturating_sub(transport.payload_start);
    *packet = Packet {
        key,
        sender,
        network_bytes: u32::try_from(header.network_bytes).unwrap_or(u32::MAX),
        network_start: network.offset as u32,
        link: network.tags,
        tos: header.tos,
        ttl: header.ttl,
        tcp_flags: transport.tcp_flags,
        icmp: transport.icmp,
        fragment: upper.fragment,
        transport_start: upper.start as u32,
        payload: payload_start as u32..upper.end as u32,
        payload_wire_bytes: u32::try_from(payload_wire_bytes).unwrap_or(u32::MAX),
        tcp: transport.tcp,
        tunnel: Encapsulation::default(),
        anomaly: upper.anomaly.or(transport.anomaly),
    };
}
