//! Layer 2 tunneling protocol: data of version 2 (RFC 2661) and, where it can be told, of version 3 (RFC 3931).

use super::{Carrier, NotInner, Opening, Scope};
use crate::packet::{
    ip,
    link::{self, Layer},
};
use kflow::TunnelKind;

// First two bytes of the header.
const IS_CONTROL: u16 = 0x8000;
const HAS_LENGTH: u16 = 0x4000;
const HAS_SEQUENCE: u16 = 0x0800;
const HAS_OFFSET: u16 = 0x0200;
const VERSION: u16 = 0x000f;
/// Zero in data of version 2: all but the flags above, priority and version.
const RESERVED: u16 = 0x34f0;
/// Zero in data of version 3 over UDP: all but the version.
const RESERVED_3: u16 = 0x7ff0;

pub fn over_udp(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    let flags = carrier.be16(carrier.start)?;
    match (flags & IS_CONTROL != 0, flags & VERSION) {
        (true, 2 | 3) if flags & HAS_LENGTH != 0 => Err(NotInner::Control),
        (false, 2) if flags & RESERVED == 0 => version_2(carrier, flags),
        (false, 3) if flags & RESERVED_3 == 0 => version_3(carrier, carrier.start + 4),
        _ => Err(NotInner::NotTunnel),
    }
}

/// A session of zero means control.
pub fn over_ip(carrier: &Carrier<'_>) -> Result<Opening, NotInner> {
    match carrier.be32(carrier.start)? {
        0 => Err(NotInner::Control),
        _ => version_3(carrier, carrier.start),
    }
}

/// Optional length, tunnel and session, optional sequence numbers, optional padding; then PPP.
fn version_2(carrier: &Carrier<'_>, flags: u16) -> Result<Opening, NotInner> {
    let mut at = carrier.start + 2;
    let mut wire_end = carrier.enclosure.wire_end;
    if flags & HAS_LENGTH != 0 {
        let length = usize::from(carrier.be16(at)?);
        if length > carrier.wire_bytes() {
            return Err(NotInner::NotTunnel);
        }
        wire_end = carrier.start + length;
        at += 2;
    }
    // Tunnel and session, each as its receiver numbers it.
    let id = carrier.be32(at)?;
    at += 4;
    if flags & HAS_SEQUENCE != 0 {
        at += 4;
    }
    if flags & HAS_OFFSET != 0 {
        at += 2 + usize::from(carrier.be16(at)?);
    }
    let opening = Opening::new(TunnelKind::L2tp, Layer::Ppp, at).ending_at(wire_end);
    Ok(opening.with_id(id, Scope::Direction))
}

/// Session; then a cookie and a sublayer whose lengths only the two ends know. If exactly one way to read it gives an
/// IP packet of just the right length, that is it.
fn version_3(carrier: &Carrier<'_>, at: usize) -> Result<Opening, NotInner> {
    let session = carrier.be32(at)?;
    let mut fitting = [0, 4, 8, 12]
        .into_iter()
        .flat_map(|skipped| [Layer::Ethernet, Layer::Ppp].map(|layer| (layer, at + 4 + skipped)))
        .filter(|(layer, at)| fits(carrier, *layer, *at));
    match (fitting.next(), fitting.next()) {
        (Some((layer, at)), None) => {
            Ok(Opening::new(TunnelKind::L2tp, layer, at).with_id(session, Scope::Direction))
        }
        _ => Err(NotInner::NotIp),
    }
}

fn fits(carrier: &Carrier<'_>, layer: Layer, at: usize) -> bool {
    link::walk(&carrier.enclosure, layer, at)
        .is_ok_and(|network| ip::is_plausible(&carrier.enclosure, network.version, network.offset))
}
