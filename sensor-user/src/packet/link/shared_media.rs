//! Local networks before and beside Ethernet: token ring, FDDI, ARCNET, ATM.

use super::{Layer, Step, header, llc, u8_at};
use crate::packet::NotFlow;

/// Access and frame control, two addresses, perhaps a route.
pub fn token_ring(bytes: &[u8], at: usize) -> Step {
    const TYPE: u8 = 0xc0;
    const TYPE_LLC: u8 = 0x40;
    const HAS_ROUTE: u8 = 0x80;
    let header = header::<14>(bytes, at)?;
    if header[1] & TYPE != TYPE_LLC {
        return Err(NotFlow::OtherEtherType);
    }
    let at = at + header.len();
    let route_bytes = if header[8] & HAS_ROUTE != 0 { usize::from(u8_at(bytes, at)? & 0x1f) } else { 0 };
    Ok((Layer::Llc, at + route_bytes))
}

/// Frame control, two addresses.
pub fn fddi(bytes: &[u8], at: usize) -> Step {
    const TYPE: u8 = 0xf0;
    const TYPE_LLC_ASYNCHRONOUS: u8 = 0x50;
    match u8_at(bytes, at)? & TYPE {
        TYPE_LLC_ASYNCHRONOUS => Ok((Layer::Llc, at + 13)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// A protocol byte at `protocol_at`, then (except in the older encapsulation) how the packet is split over frames,
/// of which only the first has its header.
pub fn arcnet(bytes: &[u8], at: usize, protocol_at: usize) -> Step {
    const IPV4_RFC1051: u8 = 240;
    const ARP_RFC1051: u8 = 241;
    const IPV4: u8 = 212;
    const ARP: u8 = 213;
    const IPV6: u8 = 196;
    const IS_EXCEPTION: u8 = 0xff;
    let at = at + protocol_at;
    let layer = match u8_at(bytes, at)? {
        IPV4_RFC1051 => return Ok((Layer::Ipv4, at + 1)),
        ARP | ARP_RFC1051 => return Err(NotFlow::Arp),
        IPV4 => Layer::Ipv4,
        IPV6 => Layer::Ipv6,
        _ => return Err(NotFlow::OtherEtherType),
    };
    // A filler of four bytes keeps frames away from lengths that the hardware cannot send.
    let split_at = if u8_at(bytes, at + 1)? == IS_EXCEPTION { at + 5 } else { at + 1 };
    let split = u8_at(bytes, split_at)?;
    let is_later_part = split != 0 && split & 1 == 0;
    if is_later_part { Err(NotFlow::OtherEtherType) } else { Ok((layer, split_at + 3)) }
}

/// RFC 2684 with LLC, or routed packets by themselves.
pub fn atm(bytes: &[u8], at: usize) -> Step {
    match u8_at(bytes, at)? >> 4 {
        4 | 6 => Ok((Layer::Ip, at)),
        _ => llc::llc_on_atm(bytes, at),
    }
}

/// SunATM: flags with the kind of traffic, path and channel.
pub fn sun_atm(bytes: &[u8], at: usize) -> Step {
    const LAN_EMULATION: u8 = 1;
    const LLC: u8 = 2;
    let [flags, ..] = *header::<4>(bytes, at)?;
    match flags & 0x0f {
        // An identifier of the client, then Ethernet.
        LAN_EMULATION => Ok((Layer::Ethernet, at + 6)),
        LLC => llc::llc_on_atm(bytes, at + 4),
        _ => Err(NotFlow::OtherEtherType),
    }
}
