//! Serial lines: Cisco's HDLC, frame relay (Q.922, RFC 2427).

use super::{Layer, Step, be16, llc, u8_at};
use crate::packet::NotFlow;

/// Address and control, then an EtherType.
pub fn cisco_hdlc(bytes: &[u8], at: usize) -> Step {
    let ethertype = be16(bytes, at + 2)?;
    match ethertype {
        // ISO network layer protocols, with a byte of padding before.
        0xfefe => llc::network_layer(bytes, at + 5),
        _ => Ok((Layer::EtherType(ethertype), at + 4)),
    }
}

/// An address of two to four bytes, then either a control byte and a network layer identifier, or an EtherType as
/// Cisco has it.
pub fn frame_relay(bytes: &[u8], at: usize) -> Step {
    const ADDRESS_BYTES_MAX: usize = 4;
    const UI: u8 = 0x03;
    const PAD: u8 = 0;
    let mut behind = at;
    loop {
        let is_last = u8_at(bytes, behind)? & 1 == 1;
        behind += 1;
        if is_last {
            break;
        }
        if behind - at == ADDRESS_BYTES_MAX {
            return Err(NotFlow::OtherEtherType);
        }
    }
    if u8_at(bytes, behind)? != UI {
        return Ok((Layer::EtherType(be16(bytes, behind)?), behind + 2));
    }
    let is_padded = u8_at(bytes, behind + 1)? == PAD;
    llc::network_layer(bytes, behind + if is_padded { 2 } else { 1 })
}
