//! One fragment as it lies in a frame: which datagram it belongs to, and where in it.

use super::{Refusal, blocks::BLOCK_BYTES};
use crate::{
    packet::{Anomaly, Fragment, Packet, Side, bytes_at, protocol, u16_at},
    source::Frame,
};
use sensor_ebpf::{
    EXTENSION_HEADERS_MAX,
    hash::{self, HashKey},
};
use std::ops::Range;

/// An IPv4 datagram, or the payload of an IPv6 packet, is no longer than this.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Blocks that the longest datagram takes.
pub const DATAGRAM_BLOCKS: usize = DATAGRAM_BYTES_MAX.div_ceil(BLOCK_BYTES);

const IPV4_HEADER_BYTES: usize = 20;
pub(super) const IPV6_HEADER_BYTES: usize = 40;
/// Where the next-header field is in the fixed IPv6 header; in extension headers it is the first byte.
const IPV6_NEXT_HEADER_AT: usize = 6;
const FRAGMENT_HEADER_BYTES: usize = 8;

/// Next-header values (IANA "IPv6 Extension Header Types") that may stand before a fragment header.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// What all fragments of a datagram have in common (RFC 791 §2.3, RFC 8200 §4.5), with the tunnel they are in:
/// tenants of an overlay network may use the same addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramId {
    source: (u64, u64),
    destination: (u64, u64),
    /// From the lowest bit: 32 of identification, 8 of the protocol (IPv4 only), 8 of the IP version, 8 of the
    /// kind of tunnel.
    number: u64,
    tunnel: u32,
}

impl DatagramId {
    pub const NONE: DatagramId = DatagramId { source: (0, 0), destination: (0, 0), number: 0, tunnel: 0 };

    pub fn hash(&self, key: HashKey) -> u64 {
        let end = |(upper, lower)| (upper, lower, 0);
        let addresses = hash::flow_v6(key, end(self.source), end(self.destination), 0);
        hash::within(key, hash::within(key, addresses, u64::from(self.tunnel)), self.number)
    }
}

/// One fragment, borrowed from its frame.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub(super) frame: &'a Frame<'a>,
    pub(super) packet: &'a Packet,
    pub(super) id: DatagramId,
    /// Where its payload belongs in that of the datagram.
    pub(super) offset: u32,
    pub(super) has_more: bool,
    pub(super) header: HeaderParts<'a>,
    /// What was captured of the payload.
    pub(super) payload: &'a [u8],
    /// Length of the payload on the wire.
    pub(super) wire_bytes: u32,
}

/// The headers that a whole packet starts with, as its first fragment has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderParts<'a> {
    /// All of IPv4's; of IPv6, what is before the fragment header.
    pub bytes: &'a [u8],
    /// IPv6: where in `bytes` the fragment header is named, and what follows it.
    pub next_header: Option<(usize, u8)>,
}

impl<'a> Piece<'a> {
    /// The fragment that a packet is, if it is one and its header was captured.
    pub fn of(frame: &'a Frame<'a>, packet: &'a Packet) -> Option<Piece<'a>> {
        if packet.fragment == Fragment::Whole {
            return None;
        }
        let captured = frame.bytes.get(packet.network_start as usize..)?;
        match captured.first()? >> 4 {
            4 => Piece::v4(frame, packet, captured),
            6 => Piece::v6(frame, packet, captured),
            _ => None,
        }
    }

    fn v4(frame: &'a Frame<'a>, packet: &'a Packet, captured: &'a [u8]) -> Option<Piece<'a>> {
        let fixed = bytes_at::<IPV4_HEADER_BYTES>(captured, 0)?;
        let flags_and_offset = u16::from_be_bytes([fixed[6], fixed[7]]);
        let address = |at| Some((0, u64::from(u32::from_be_bytes(*bytes_at(captured, at)?))));
        let identification = u32::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let header_bytes = usize::from(fixed[0] & 0x0f) * 4;
        let (payload, wire_bytes) = payload(packet, captured, header_bytes);
        Some(Piece {
            frame,
            packet,
            id: DatagramId {
                source: address(12)?,
                destination: address(16)?,
                number: number(packet, 4, identification) | u64::from(fixed[9]) << 32,
                tunnel: packet.tunnel.id,
            },
            offset: u32::from(flags_and_offset & 0x1fff) * 8,
            has_more: flags_and_offset & 0x2000 != 0,
            header: HeaderParts { bytes: captured.get(..header_bytes)?, next_header: None },
            payload,
            wire_bytes,
        })
    }

    fn v6(frame: &'a Frame<'a>, packet: &'a Packet, captured: &'a [u8]) -> Option<Piece<'a>> {
        let end = captured.len().min(packet.network_bytes as usize);
        let FragmentHeader { at, named_at } = FragmentHeader::find(&captured[..end])?;
        let header = bytes_at::<FRAGMENT_HEADER_BYTES>(&captured[..end], at)?;
        let offset_and_more = u16::from_be_bytes([header[2], header[3]]);
        let half = |at| Some(u64::from_be_bytes(*bytes_at(captured, at)?));
        let identification = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let (payload, wire_bytes) = payload(packet, captured, at + FRAGMENT_HEADER_BYTES);
        Some(Piece {
            frame,
            packet,
            id: DatagramId {
                source: (half(8)?, half(16)?),
                destination: (half(24)?, half(32)?),
                number: number(packet, 6, identification),
                tunnel: packet.tunnel.id,
            },
            offset: u32::from(offset_and_more & 0xfff8),
            has_more: offset_and_more & 1 != 0,
            header: HeaderParts { bytes: &captured[..at], next_header: Some((named_at, header[0])) },
            payload,
            wire_bytes,
        })
    }

    /// Where its payload lies in that of the datagram.
    pub(super) fn range(&self) -> Range<u32> {
        // A frame without a length in its IP header may claim any number of bytes on the wire.
        self.offset..self.offset.saturating_add(self.wire_bytes)
    }

    /// Has the transport header, if any has; says the flow of the others.
    pub(super) fn is_beginning(&self) -> bool {
        self.offset == 0 && self.malformation().is_none()
    }

    /// Whether a first fragment ends before the ports of a protocol that has ports, or before the transport header.
    pub(super) fn lacks_ports(&self) -> bool {
        let Packet { key, anomaly, .. } = self.packet;
        let has_zeros = [Side::Low, Side::High].into_iter().all(|side| key.end(side).1 == 0);
        *anomaly == Some(Anomaly::ExtensionTruncated)
            || (has_zeros && matches!(key.protocol(), protocol::TCP | protocol::UDP | protocol::SCTP))
    }

    /// What no host would take, whatever else came.
    pub(super) fn malformation(&self) -> Option<Refusal> {
        if self.wire_bytes == 0 {
            return Some(Refusal::ZeroLength);
        }
        if self.has_more && !self.wire_bytes.is_multiple_of(8) {
            return Some(Refusal::Misaligned);
        }
        (self.range().end as usize > DATAGRAM_BYTES_MAX).then_some(Refusal::BeyondMaximum)
    }
}

/// The first fragment header that says more than "not fragmented" (RFC 6946) in the chain of an IPv6 packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct FragmentHeader {
    pub at: usize,
    /// Where the next-header field is that names it.
    named_at: usize,
}

impl FragmentHeader {
    /// Follows the chain exactly as far as the decoder does.
    pub fn find(packet: &[u8]) -> Option<FragmentHeader> {
        let (mut named_at, mut at) = (IPV6_NEXT_HEADER_AT, IPV6_HEADER_BYTES);
        for _ in 0..EXTENSION_HEADERS_MAX {
            let name = *packet.get(named_at)?;
            let [_, length, ..] = *bytes_at::<4>(packet, at)?;
            let bytes = match name {
                extension::FRAGMENT if u16_at(packet, at + 2)? & 0xfff9 != 0 => {
                    return Some(FragmentHeader { at, named_at });
                }
                extension::FRAGMENT => FRAGMENT_HEADER_BYTES,
                extension::HOP_BY_HOP
                | extension::ROUTING
                | extension::DESTINATION
                | extension::MOBILITY
                | extension::HOST_IDENTITY
                | extension::SHIM6 => (usize::from(length) + 1) * 8,
                _ => return None,
            };
            (named_at, at) = (at, at + bytes);
        }
        None
    }
}

fn number(packet: &Packet, version: u64, identification: u32) -> u64 {
    u64::from(identification) | version << 40 | (packet.tunnel.kind as u64) << 48
}

/// What was captured of the payload, and its length on the wire.
fn payload<'a>(packet: &Packet, captured: &'a [u8], start: usize) -> (&'a [u8], u32) {
    let end = packet.network_bytes as usize;
    let payload = captured.get(start..captured.len().min(end)).unwrap_or_default();
    (payload, end.saturating_sub(start) as u32)
}
