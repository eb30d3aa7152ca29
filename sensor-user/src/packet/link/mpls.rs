//! MPLS (RFC 3032): a stack of labels, and a guess of what it carries, which nothing in the packet says.

use super::{IpVersion, Layer, Step, header, llc, u8_at};
use crate::packet::{Enclosure, LinkTags, NotFlow, ip};

/// Labels followed in one stack.
const LABELS_MAX: u8 = 16;
const LABEL_BYTES: usize = 4;
const ADDRESSES_BYTES: usize = 12;
const CONTROL_WORD_BYTES: usize = 4;

pub fn stack(enclosure: &Enclosure<'_>, at: usize, tags: &mut LinkTags) -> Step {
    let mut at = at;
    for count in 1..=LABELS_MAX {
        let entry = u32::from_be_bytes(*header::<LABEL_BYTES>(enclosure.bytes, at)?);
        at += LABEL_BYTES;
        if count == 1 && tags.mpls_labels == 0 {
            tags.mpls_label = entry >> 12;
        }
        let is_bottom = entry & 0x100 != 0;
        if is_bottom {
            tags.mpls_labels = tags.mpls_labels.saturating_add(count);
            return content(enclosure, at);
        }
    }
    Err(NotFlow::LinkDepth)
}

/// IP if the header makes sense, else a pseudowire's Ethernet with its control word (RFC 4448) or without.
fn content(enclosure: &Enclosure<'_>, at: usize) -> Step {
    let bytes = enclosure.bytes;
    let nibble = u8_at(bytes, at)? >> 4;
    if ip::is_plausible(enclosure, IpVersion::V4, at) {
        return Ok((Layer::Ipv4, at));
    }
    if ip::is_plausible(enclosure, IpVersion::V6, at) {
        return Ok((Layer::Ipv6, at));
    }
    let behind_control_word = at + CONTROL_WORD_BYTES;
    if nibble == 0 && llc::is_likely(bytes, behind_control_word + ADDRESSES_BYTES) {
        return Ok((Layer::Ethernet, behind_control_word));
    }
    if llc::is_likely(bytes, at + ADDRESSES_BYTES) {
        return Ok((Layer::Ethernet, at));
    }
    Err(NotFlow::OtherEtherType)
}
