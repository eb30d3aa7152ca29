//! Tunnels with an IP protocol number and hardly a header: IP in IP, AH, EtherIP.

use super::{Carrier, Content, NotInner, Opening, Scope};
use crate::packet::{link::Layer, protocol};
use kflow::TunnelKind;
use std::net::IpAddr;

/// RFC 2003, RFC 2473, RFC 4213: nothing lies between the headers.
pub fn ip_in_ip(carrier: &Carrier<'_>, inner: Layer) -> Opening {
    let (outer, _) = carrier.packet.key.end(carrier.packet.sender);
    let kind = match (outer, inner) {
        (IpAddr::V4(_), Layer::Ipv6) => TunnelKind::SixInFour,
        _ => TunnelKind::IpInIp,
    };
    Opening::new(kind, inner, carrier.start)
}

/// RFC 4302. In tunnel mode a packet follows, in transport mode what the carrier would carry without it.
pub fn authentication_header(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    /// With an empty integrity check value.
    const HEADER_BYTES_MIN: usize = 12;
    let [next, length, reserved @ ..] = *carrier.header::<4>(carrier.start)?;
    let index = carrier.be32(carrier.start + 4)?;
    let header_bytes = (usize::from(length) + 2) * 4;
    if header_bytes < HEADER_BYTES_MIN || reserved != [0, 0] || header_bytes > carrier.wire_bytes() {
        return Err(NotInner::Malformed);
    }
    let at = carrier.start + header_bytes;
    let content = match next {
        protocol::IPV4 => Content::Link(Layer::Ipv4, at),
        protocol::IPV6 => Content::Link(Layer::Ipv6, at),
        _ => Content::Upper(next, at),
    };
    let opening = Opening { content, ..Opening::new(TunnelKind::Ah, Layer::Ip, at) };
    Ok(opening.with_id(index, Scope::Direction))
}

/// RFC 3378: version 3 and reserved zeros, then Ethernet.
pub fn ether_ip(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    match carrier.be16(carrier.start)? {
        0x3000 => Ok(Opening::new(TunnelKind::EtherIp, Layer::Ethernet, carrier.start + 2)),
        _ => Err(NotInner::Malformed),
    }
}
