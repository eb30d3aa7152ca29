//! Generic routing encapsulation (RFC 2784, RFC 2890), enhanced GRE (RFC 2637, PPTP), ERSPAN, WCCP.

use super::{Carrier, NotInner, Opening, Scope};
use crate::packet::link::Layer;
use kflow::TunnelKind;

// First two bytes of the header.
const HAS_CHECKSUM: u16 = 0x8000;
const HAS_ROUTE: u16 = 0x4000;
const HAS_KEY: u16 = 0x2000;
const HAS_SEQUENCE: u16 = 0x1000;
/// Enhanced GRE only.
const HAS_ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;
/// Zero in what RFC 2784 and RFC 2890 describe.
const RESERVED: u16 = 0x0ff8;

// Protocol types beside EtherTypes.
const ETHERNET: u16 = 0x6558;
const PPP: u16 = 0x880b;
const WCCP: u16 = 0x883e;
const ERSPAN_1_2: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

pub fn gre(carrier: &Carrier<'_>, at: usize) -> Result<Opening, NotInner> {
    let flags = carrier.be16(at)?;
    let protocol = carrier.be16(at + 2)?;
    match flags & VERSION {
        0 => version_0(carrier, at + 4, flags, protocol),
        1 => version_1(carrier, at + 4, flags, protocol),
        _ => Err(carrier.broken()),
    }
}

/// RFC 8086. Checksum, key and sequence number are allowed, nothing else.
pub fn over_udp(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    if carrier.be16(carrier.start)? & (HAS_ROUTE | RESERVED | VERSION) != 0 {
        return Err(NotInner::NotTunnel);
    }
    gre(carrier, carrier.start)
}

fn version_0(carrier: &Carrier<'_>, at: usize, flags: u16, protocol: u16) -> Result<Opening, NotInner> {
    // Source routes (RFC 1701) are of no use to anyone but an attacker.
    if flags & HAS_ROUTE != 0 {
        return Err(carrier.broken());
    }
    let mut at = at;
    if flags & HAS_CHECKSUM != 0 {
        at += 4;
    }
    let key = if flags & HAS_KEY != 0 { Some(carrier.be32(at)?) } else { None };
    at += if key.is_some() { 4 } else { 0 };
    let has_sequence = flags & HAS_SEQUENCE != 0;
    at += if has_sequence { 4 } else { 0 };
    if at == carrier.enclosure.wire_end {
        // Keepalive of some routers.
        return Err(NotInner::Control);
    }
    let layer = match protocol {
        // Type I of ERSPAN has no header of its own, and no sequence number in GRE.
        ERSPAN_1_2 if !has_sequence => return Ok(Opening::new(TunnelKind::Erspan2, Layer::Ethernet, at)),
        ERSPAN_1_2 => return erspan_2(carrier, at),
        ERSPAN_3 => return erspan_3(carrier, at),
        ETHERNET => Layer::Ethernet,
        PPP => Layer::Ppp,
        WCCP => {
            at = behind_redirect_header(carrier, at)?;
            Layer::Ip
        }
        ethertype => Layer::EtherType(ethertype),
    };
    let opening = Opening::new(TunnelKind::Gre, layer, at);
    Ok(match key {
        None => opening,
        // NVGRE (RFC 7637) and its like: the key is the tenant's network.
        Some(key) if layer == Layer::Ethernet => opening.with_id(key, Scope::Both),
        Some(key) => opening.with_id(key, Scope::Direction),
    })
}

/// Key split into payload length and call, an acknowledgement, PPP.
fn version_1(carrier: &Carrier<'_>, at: usize, flags: u16, protocol: u16) -> Result<Opening, NotInner> {
    if flags & (HAS_CHECKSUM | HAS_ROUTE | HAS_KEY) != HAS_KEY || protocol != PPP {
        return Err(carrier.broken());
    }
    let (payload_bytes, call) = (carrier.be16(at)?, carrier.be16(at + 2)?);
    let mut at = at + 4;
    for has_field in [flags & HAS_SEQUENCE != 0, flags & HAS_ACKNOWLEDGEMENT != 0] {
        at += if has_field { 4 } else { 0 };
    }
    if payload_bytes == 0 {
        return Err(NotInner::Control);
    }
    let opening = Opening::new(TunnelKind::Gre, Layer::Ppp, at).ending_at(at + usize::from(payload_bytes));
    Ok(opening.with_id(u32::from(call), Scope::Direction))
}

/// Version 2 puts four bytes before the packet that it redirects, version 1 nothing.
fn behind_redirect_header(carrier: &Carrier<'_>, at: usize) -> Result<usize, NotInner> {
    let [first] = *carrier.header::<1>(at)?;
    Ok(if matches!(first >> 4, 4 | 6) { at } else { at + 4 })
}

/// Version 1, VLAN, class, flags and session, index; then Ethernet.
fn erspan_2(carrier: &Carrier<'_>, at: usize) -> Result<Opening, NotInner> {
    const VERSION: u32 = 1;
    let first = carrier.be32(at)?;
    if first >> 28 != VERSION {
        return Err(carrier.broken());
    }
    Ok(Opening::new(TunnelKind::Erspan2, Layer::Ethernet, at + 8).with_id(session(first), Scope::Direction))
}

/// Version 2, VLAN, class, flags and session, time stamp, group, what kind of frame; then perhaps more of the
/// platform's own.
fn erspan_3(carrier: &Carrier<'_>, at: usize) -> Result<Opening, NotInner> {
    const VERSION: u32 = 2;
    const HAS_SUBHEADER: u16 = 1;
    const ETHERNET: u16 = 0;
    const IP: u16 = 2;
    let (first, last) = (carrier.be32(at)?, carrier.be16(at + 10)?);
    if first >> 28 != VERSION {
        return Err(carrier.broken());
    }
    let layer = match last >> 10 & 0x1f {
        ETHERNET => Layer::Ethernet,
        IP => Layer::Ip,
        _ => return Err(NotInner::NotIp),
    };
    let header_bytes = if last & HAS_SUBHEADER != 0 { 20 } else { 12 };
    let opening = Opening::new(TunnelKind::Erspan3, layer, at + header_bytes);
    Ok(opening.with_id(session(first), Scope::Direction))
}

fn session(first: u32) -> u32 {
    first & 0x03ff
}
