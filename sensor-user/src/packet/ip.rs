//! IPv4 (RFC 791) and IPv6 (RFC 8200): addresses, length, fragments, extension headers.

use super::{Anomaly, Fragment, LinkTags, NotFlow, Packet, bytes_at, link::Network, transport};
use crate::{
    flow::{FlowKey, key::Ends},
    source::Frame,
};
use kflow::IcmpKind;
use sensor_ebpf::EXTENSION_HEADERS_MAX;

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// Ethernet pads shorter frames to this length (IEEE 802.3, without frame check sequence).
const PADDED_FRAME_BYTES: u32 = 60;
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

/// What both versions found out before the transport layer is read.
struct Upper {
    protocol: u8,
    /// Start and end of the IP payload in the captured bytes.
    start: usize,
    end: usize,
    /// Where the IP packet ends on the wire, captured or not.
    wire_end: usize,
    fragment: Fragment,
    anomaly: Option<Anomaly>,
}

#[inline(always)]
pub fn decode_v4(frame: &Frame<'_>, network: Network, packet: &mut Packet) -> Result<(), NotFlow> {
    let at = network.offset;
    let header = bytes_at::<IPV4_HEADER_BYTES>(frame.bytes, at).ok_or(NotFlow::Ipv4Truncated)?;
    if header[0] >> 4 != 4 {
        return Err(NotFlow::Ipv4Version);
    }
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    if header_bytes < IPV4_HEADER_BYTES {
        return Err(NotFlow::Ipv4HeaderLength);
    }
    let on_wire = (frame.wire_bytes as usize).saturating_sub(at);
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
    let end = (at + network_bytes.max(header_bytes)).min(frame.bytes.len());
    let start = (at + header_bytes).min(end);
    let upper = Upper { protocol: header[9], start, end, wire_end: at + network_bytes, fragment, anomaly };
    let addresses = [
        u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    ];
    let tos = header[1];
    *packet = finish(frame, network, tos, network_bytes, &upper, |ends| FlowKey::v4(addresses, ends));
    Ok(())
}

#[inline(always)]
pub fn decode_v6(frame: &Frame<'_>, network: Network, packet: &mut Packet) -> Result<(), NotFlow> {
    let at = network.offset;
    let header = bytes_at::<IPV6_HEADER_BYTES>(frame.bytes, at).ok_or(NotFlow::Ipv6Truncated)?;
    if header[0] >> 4 != 6 {
        return Err(NotFlow::Ipv6Version);
    }
    let on_wire = (frame.wire_bytes as usize).saturating_sub(at);
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A payload length of zero before another header is a jumbogram (RFC 2675), or what segmentation offload
    // shows in place of one: the frame ends it. A frame that may be padded shows nothing of the kind.
    let is_open = payload_length == 0 && header[6] != NO_NEXT_HEADER && frame.wire_bytes > PADDED_FRAME_BYTES;
    let network_bytes = if is_open { on_wire } else { IPV6_HEADER_BYTES + payload_length };
    let wire_end = at + network_bytes.max(IPV6_HEADER_BYTES);
    let end = wire_end.min(frame.bytes.len());
    let upper = extension_headers(frame.bytes, header[6], at + IPV6_HEADER_BYTES, end)?;
    let anomaly = if network_bytes > on_wire { Some(Anomaly::LengthBeyondFrame) } else { upper.anomaly };
    let upper = Upper { anomaly, wire_end, ..upper };
    let half = |at: usize| u64::from_be_bytes(*bytes_at::<8>(header, at).expect("the header has 40 bytes"));
    let addresses = [(half(8), half(16)), (half(24), half(32))];
    let tos = header[0] << 4 | header[1] >> 4;
    *packet = finish(frame, network, tos, network_bytes, &upper, |ends| FlowKey::v6(addresses, ends));
    Ok(())
}

/// Walks to the upper layer. A chain that is cut off leaves the flow without ports.
#[inline]
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

#[inline(always)]
fn finish(
    frame: &Frame<'_>,
    network: Network,
    tos: u8,
    network_bytes: usize,
    upper: &Upper,
    key: impl FnOnce(Ends) -> (FlowKey, super::Side),
) -> Packet {
    let transport = match upper.fragment {
        Fragment::Later => transport::Transport::without_header(upper.start),
        Fragment::Whole | Fragment::First => {
            let segment = transport::Segment {
                bytes: &frame.bytes[..upper.end],
                at: upper.start,
                wire_end: upper.wire_end,
                is_whole: upper.fragment == Fragment::Whole,
            };
            transport::decode(segment, upper.protocol)
        }
    };
    let (key, sender) = key(Ends {
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        protocol: upper.protocol,
    });
    let payload_start = transport.payload_start.min(upper.end);
    Packet {
        key,
        sender,
        network_bytes: u32::try_from(network_bytes).unwrap_or(u32::MAX),
        link: LinkTags { vlan: network.vlan, ..LinkTags::default() },
        tos,
        tcp_flags: transport.tcp_flags,
        icmp: IcmpKind { kind: transport.icmp_type, code: transport.icmp_code },
        fragment: upper.fragment,
        payload: payload_start as u32..upper.end as u32,
        anomaly: upper.anomaly.or(transport.anomaly),
        ..Packet::EMPTY
    }
}
