//! Tunnels over UDP: VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), Teredo (RFC 4380).

use super::{Carrier, NotInner, Opening, Scope};
use crate::packet::link::{Layer, service_protocol};
use kflow::TunnelKind;

/// Flags, reserved bytes or the group policy that some switches put there, network, a reserved byte; then Ethernet.
pub fn vxlan(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    const HAS_NETWORK: u8 = 0x08;
    const HAS_POLICY: u8 = 0x80;
    /// "Do not learn" and "policy applied".
    const POLICY_FLAGS: u8 = 0x48;
    let [flags, policy_flags, group @ .., _, _, _, last] = *carrier.header::<8>(carrier.start)?;
    let is_valid = match flags {
        HAS_NETWORK => policy_flags == 0 && group == [0, 0],
        flags => flags == HAS_NETWORK | HAS_POLICY && policy_flags & !POLICY_FLAGS == 0,
    };
    if !is_valid || last != 0 {
        return Err(NotInner::NotTunnel);
    }
    network(carrier, TunnelKind::Vxlan, Layer::Ethernet, 8)
}

/// Flags with a version, what follows, network, a reserved byte.
pub fn vxlan_gpe(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    const HAS_NETWORK: u8 = 0x08;
    const HAS_PROTOCOL: u8 = 0x04;
    /// Broadcast traffic, which leaves the format as it is.
    const IS_BROADCAST: u8 = 0x02;
    const IS_MANAGEMENT: u8 = 0x01;
    let [flags, reserved_1, reserved_2, next, _, _, _, last] = *carrier.header::<8>(carrier.start)?;
    let known = HAS_NETWORK | HAS_PROTOCOL | IS_BROADCAST | IS_MANAGEMENT;
    if flags & !known != 0 || flags & HAS_NETWORK == 0 || [reserved_1, reserved_2, last] != [0; 3] {
        return Err(NotInner::NotTunnel);
    }
    if flags & IS_MANAGEMENT != 0 {
        return Err(NotInner::Control);
    }
    let layer = match flags & HAS_PROTOCOL {
        0 => Layer::Ethernet,
        _ => service_protocol(next).map_err(|_| NotInner::NotIp)?,
    };
    network(carrier, TunnelKind::Vxlan, layer, 8)
}

/// Version and length of options, flags, EtherType, network, a reserved byte, options.
pub fn geneve(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    const HEADER_BYTES: usize = 8;
    const VERSION: u8 = 0xc0;
    /// All but "control" and "has critical options".
    const RESERVED_FLAGS: u8 = 0x3f;
    const ETHERNET: u16 = 0x6558;
    let [first, flags, a, b, _, _, _, last] = *carrier.header::<HEADER_BYTES>(carrier.start)?;
    let options_bytes = usize::from(first & 0x3f) * 4;
    if first & VERSION != 0 || flags & RESERVED_FLAGS != 0 || last != 0 {
        return Err(NotInner::NotTunnel);
    }
    check_geneve_options(carrier, carrier.start + HEADER_BYTES, options_bytes)?;
    let layer = match u16::from_be_bytes([a, b]) {
        ETHERNET => Layer::Ethernet,
        ethertype => Layer::EtherType(ethertype),
    };
    network(carrier, TunnelKind::Geneve, layer, HEADER_BYTES + options_bytes)
}

/// Each option has four bytes and as many words as its last five bits say; together they have to fill their place.
fn check_geneve_options(carrier: &Carrier<'_>, start: usize, options_bytes: usize) -> Result<(), NotInner> {
    let end = start + options_bytes;
    let mut at = start;
    // At least four bytes each: 63 at most.
    while at < end {
        let [_, _, _, words] = *carrier.header::<4>(at)?;
        at += 4 + usize::from(words & 0x1f) * 4;
    }
    if at == end && end <= carrier.enclosure.wire_end { Ok(()) } else { Err(NotInner::NotTunnel) }
}

/// VXLAN and Geneve keep the network's identifier in the same place.
fn network(
    carrier: &Carrier<'_>,
    kind: TunnelKind,
    layer: Layer,
    header_bytes: usize,
) -> Result<Opening, NotInner> {
    let identifier = carrier.be32(carrier.start + 4)? >> 8;
    Ok(Opening::new(kind, layer, carrier.start + header_bytes).with_id(identifier, Scope::Both))
}

/// Flags with version 1, type of message, length, tunnel endpoint; optional fields, extension headers; IP.
pub fn gtp_u(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    const HEADER_BYTES: usize = 8;
    /// Version, protocol type and the reserved bit, with the value that they have to have.
    const FIXED: u8 = 0xf8;
    const VERSION_1: u8 = 0x30;
    const HAS_EXTENSIONS: u8 = 0x04;
    const HAS_OPTIONAL: u8 = 0x07;
    const PACKET: u8 = 255;
    let [flags, kind, a, b, ..] = *carrier.header::<HEADER_BYTES>(carrier.start)?;
    let length = usize::from(u16::from_be_bytes([a, b]));
    if flags & FIXED != VERSION_1 || HEADER_BYTES + length > carrier.wire_bytes() {
        return Err(NotInner::NotTunnel);
    }
    if kind != PACKET {
        return Err(NotInner::Control);
    }
    let endpoint = carrier.be32(carrier.start + 4)?;
    let end = carrier.start + HEADER_BYTES + length;
    let mut at = carrier.start + HEADER_BYTES;
    if flags & HAS_OPTIONAL != 0 {
        let [_, _, _, next] = *carrier.header::<4>(at)?;
        at += 4;
        if flags & HAS_EXTENSIONS != 0 {
            at = behind_gtp_extensions(carrier, at, next)?;
        }
    }
    let opening = Opening::new(TunnelKind::GtpU, Layer::Ip, at).ending_at(end);
    Ok(opening.with_id(endpoint, Scope::Direction))
}

/// Each extension header has its length in words in the first byte and the type of the next in the last.
fn behind_gtp_extensions(carrier: &Carrier<'_>, at: usize, next: u8) -> Result<usize, NotInner> {
    const EXTENSIONS_MAX: usize = 8;
    const NO_MORE: u8 = 0;
    let (mut at, mut next) = (at, next);
    for _ in 0..EXTENSIONS_MAX {
        if next == NO_MORE {
            return Ok(at);
        }
        let [words] = *carrier.header::<1>(at)?;
        if words == 0 {
            return Err(NotInner::NotTunnel);
        }
        at += usize::from(words) * 4;
        [next] = *carrier.header::<1>(at - 1)?;
    }
    Err(NotInner::NotTunnel)
}

/// Authentication and the sender's origin, each announced by a number that is no version of IP; then IPv6.
pub fn teredo(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    const AUTHENTICATION: u16 = 0x0001;
    const ORIGIN: u16 = 0x0000;
    let mut at = carrier.start;
    if carrier.be16(at)? == AUTHENTICATION {
        let [identifier_bytes, value_bytes] = *carrier.header::<2>(at + 2)?;
        // Both of them, a nonce of eight bytes, a confirmation.
        at += 4 + usize::from(identifier_bytes) + usize::from(value_bytes) + 9;
    }
    if carrier.be16(at)? == ORIGIN {
        at += 8;
    }
    let header = carrier.header::<40>(at)?;
    let addresses = [&header[8..24], &header[24..40]];
    if !addresses.into_iter().any(is_teredo_address) {
        return Err(NotInner::NotTunnel);
    }
    Ok(Opening::new(TunnelKind::Teredo, Layer::Ipv6, at))
}

/// 2001::/32, the prefix used before, or a link-local address, with which a client asks for its own.
fn is_teredo_address(address: &[u8]) -> bool {
    const PREFIXES: [[u8; 4]; 2] = [[0x20, 0x01, 0, 0], [0x3f, 0xfe, 0x83, 0x1f]];
    let is_link_local = address[0] == 0xfe && address[1] & 0xc0 == 0x80;
    is_link_local || PREFIXES.iter().any(|prefix| address.starts_with(prefix))
}
