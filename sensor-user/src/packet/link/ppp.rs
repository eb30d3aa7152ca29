//! The point-to-point protocol (RFC 1661, RFC 1662) and PPP over Ethernet (RFC 2516).

use super::{Layer, Step, be16, header, u8_at};
use crate::packet::{LinkTags, NotFlow};

/// Address and control bytes of HDLC framing, often left out.
const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];
/// Unicast and multicast address of Cisco's HDLC, which shares the link types of PPP.
const CISCO_ADDRESSES: [u8; 2] = [0x0f, 0x8f];

/// Protocol numbers (IANA "PPP DLL protocol numbers").
mod protocol {
    pub const IPV4: u16 = 0x0021;
    pub const BRIDGING: u16 = 0x0031;
    pub const ENCRYPTED: u16 = 0x0053;
    pub const ENCRYPTED_LINK: u16 = 0x0055;
    pub const IPV6: u16 = 0x0057;
    pub const COMPRESSED_LINK: u16 = 0x00fb;
    pub const COMPRESSED: u16 = 0x00fd;
    pub const MPLS: u16 = 0x0281;
    pub const MPLS_MULTICAST: u16 = 0x0283;
}

pub fn ppp(bytes: &[u8], at: usize) -> Step {
    let has_address = *header::<2>(bytes, at)? == ADDRESS_AND_CONTROL;
    let at = if has_address { at + 2 } else { at };
    let first = u8_at(bytes, at)?;
    // An odd first byte is the whole number: both ends agreed to leave out the zero.
    let (number, at) = if first & 1 == 1 { (u16::from(first), at + 1) } else { (be16(bytes, at)?, at + 2) };
    match number {
        protocol::IPV4 => Ok((Layer::Ipv4, at)),
        protocol::IPV6 => Ok((Layer::Ipv6, at)),
        protocol::MPLS | protocol::MPLS_MULTICAST => Ok((Layer::Mpls, at)),
        protocol::BRIDGING => bridging(bytes, at),
        protocol::ENCRYPTED | protocol::ENCRYPTED_LINK | protocol::COMPRESSED | protocol::COMPRESSED_LINK => {
            Err(NotFlow::LinkEncrypted)
        }
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// RFC 3518: flags, the kind of address, then the frame.
fn bridging(bytes: &[u8], at: usize) -> Step {
    const HAS_LAN_ID: u8 = 0x20;
    const ETHERNET: u8 = 1;
    let [flags, kind] = *header::<2>(bytes, at)?;
    let lan_id_bytes = if flags & HAS_LAN_ID != 0 { 4 } else { 0 };
    match kind {
        ETHERNET => Ok((Layer::Ethernet, at + 2 + lan_id_bytes)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

/// Version and type, code, session, length; then PPP.
pub fn over_ethernet(bytes: &[u8], at: usize, tags: &mut LinkTags) -> Step {
    const VERSION_AND_TYPE: u8 = 0x11;
    const SESSION_DATA: u8 = 0;
    let header = header::<6>(bytes, at)?;
    if header[0] != VERSION_AND_TYPE || header[1] != SESSION_DATA {
        return Err(NotFlow::OtherEtherType);
    }
    tags.pppoe_session = u16::from_be_bytes([header[2], header[3]]);
    Ok((Layer::Ppp, at + 6))
}

/// PPP or Cisco's HDLC: the link types of PPP stand for both.
pub fn serial(bytes: &[u8], at: usize) -> Step {
    let first = u8_at(bytes, at)?;
    let layer = if CISCO_ADDRESSES.contains(&first) { Layer::CiscoHdlc } else { Layer::Ppp };
    Ok((layer, at))
}
