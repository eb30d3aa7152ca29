//! IEEE 802.11 data frames, and what capture tools write before them: radiotap, Prism, AVS.

use super::{Layer, Step, header, u8_at};
use crate::packet::NotFlow;

/// Whether the header is filled up to a multiple of four bytes, as some drivers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    None,
    ToWord,
}

/// Bits of the first byte of frame control.
const VERSION: u8 = 0x03;
const TYPE: u8 = 0x0c;
const TYPE_DATA: u8 = 0x08;
const HAS_QOS: u8 = 0x80;
/// "Null" subtypes, which carry no data.
const HAS_NO_DATA: u8 = 0x40;
/// Bits of the second.
const DISTRIBUTION: u8 = 0x03;
const IS_PROTECTED: u8 = 0x40;
const HAS_ORDER: u8 = 0x80;

const HEADER_BYTES: usize = 24;

pub fn data_frame(bytes: &[u8], at: usize, padding: Padding) -> Step {
    let [first, second] = *header::<2>(bytes, at)?;
    if first & VERSION != 0 || first & TYPE != TYPE_DATA || first & HAS_NO_DATA != 0 {
        return Err(NotFlow::OtherEtherType);
    }
    if second & IS_PROTECTED != 0 {
        return Err(NotFlow::LinkEncrypted);
    }
    let mut header_bytes = HEADER_BYTES;
    if second & DISTRIBUTION == DISTRIBUTION {
        header_bytes += 6;
    }
    let mut is_aggregate = false;
    let mut has_mesh_control = false;
    if first & HAS_QOS != 0 {
        let qos = *header::<2>(bytes, at + header_bytes)?;
        is_aggregate = qos[0] & 0x80 != 0;
        has_mesh_control = second & DISTRIBUTION == DISTRIBUTION && qos[1] & 0x01 != 0;
        header_bytes += 2;
        // High-throughput control.
        if second & HAS_ORDER != 0 {
            header_bytes += 4;
        }
    }
    // Of a fragmented frame only the first part has a header; sequence control counts them in its lowest bits.
    let fragment = u8_at(bytes, at + 22)? & 0x0f;
    if fragment != 0 {
        return Err(NotFlow::OtherEtherType);
    }
    let mut payload = match padding {
        Padding::None => at + header_bytes,
        Padding::ToWord => at + header_bytes.next_multiple_of(4),
    };
    if is_aggregate {
        // The first of several: addresses and a length, then LLC.
        return Ok((Layer::Llc, payload + 14));
    }
    if has_mesh_control {
        // Flags, time to live, sequence number, then up to two more addresses.
        let address_bytes = usize::from(u8_at(bytes, payload)? & 0x03) * 6;
        payload += 6 + address_bytes;
    }
    Ok((Layer::Llc, payload))
}

/// Version, padding, length (little-endian), words of flags that say which fields follow.
pub fn radiotap(bytes: &[u8], at: usize) -> Step {
    const HAS_TIME: u32 = 1 << 0;
    const HAS_FLAGS: u32 = 1 << 1;
    const HAS_NEXT_WORD: u32 = 1 << 31;
    const IS_PADDED: u8 = 0x20;
    let start = header::<8>(bytes, at)?;
    let length = usize::from(u16::from_le_bytes([start[2], start[3]]));
    if start[0] != 0 || length < start.len() {
        return Err(NotFlow::OtherEtherType);
    }
    let present = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
    let mut fields = start.len();
    let mut word = present;
    while word & HAS_NEXT_WORD != 0 && fields + 4 <= length {
        word = u32::from_le_bytes(*header::<4>(bytes, at + fields)?);
        fields += 4;
    }
    if present & HAS_TIME != 0 {
        fields = fields.next_multiple_of(8) + 8;
    }
    let flags = if present & HAS_FLAGS != 0 && fields < length { u8_at(bytes, at + fields)? } else { 0 };
    let padding = if flags & IS_PADDED != 0 { Padding::ToWord } else { Padding::None };
    data_frame(bytes, at + length, padding)
}

/// Message code and length in the byte order of the host that captured.
pub fn prism(bytes: &[u8], at: usize) -> Step {
    let start = header::<8>(bytes, at)?;
    let code = u32::from_be_bytes([start[0], start[1], start[2], start[3]]);
    if is_avs(code) {
        return avs(bytes, at);
    }
    let length = [start[4], start[5], start[6], start[7]];
    let length = u32::from_le_bytes(length).min(u32::from_be_bytes(length)) as usize;
    Ok((Layer::Ieee80211, at + length.max(start.len())))
}

/// Magic number with version, length, both in network byte order.
pub fn avs(bytes: &[u8], at: usize) -> Step {
    let start = header::<8>(bytes, at)?;
    if !is_avs(u32::from_be_bytes([start[0], start[1], start[2], start[3]])) {
        return Err(NotFlow::OtherEtherType);
    }
    let length = u32::from_be_bytes([start[4], start[5], start[6], start[7]]) as usize;
    Ok((Layer::Ieee80211, at.saturating_add(length.max(start.len()))))
}

fn is_avs(code: u32) -> bool {
    code & 0xffff_f000 == 0x8021_1000
}
