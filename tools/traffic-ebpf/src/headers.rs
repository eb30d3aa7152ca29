//! Headers as aligned 64-bit stores. A frame starts at a multiple of eight, and all numbers here are in memory
//! order: the lowest byte of a word is its first byte on the wire.
//!
//! The ones' complement sum does not care about byte order (RFC 1071, 2 B), so checksums are summed from the
//! same words, 32 bits at a time, and folded once.

use aya_ebpf::programs::XdpContext;
use traffic_ebpf::{
    FRAME_BYTES_MIN_V4, FRAME_BYTES_MIN_V6, FlowTuple, PREFIX_DESTINATION_V6, PREFIX_SOURCE_V6,
};

/// What a frame is to say.
pub struct Packet {
    pub tuple: FlowTuple,
    /// From the destination of the tuple to its source.
    pub back: bool,
    pub frame_bytes: u32,
    pub sequence: u64,
}

/// False when the frame is too short.
#[inline(always)]
pub fn write_v4(context: &XdpContext, packet: &Packet) -> bool {
    let start = context.data();
    if start + FRAME_BYTES_MIN_V4 as usize > context.data_end() {
        return false;
    }
    let tuple = &packet.tuple;
    let (mut source, mut destination) = (u64::from(tuple.source_v4), u64::from(tuple.destination_v4));
    let (mut source_port, mut destination_port) =
        (u64::from(tuple.source_port), u64::from(tuple.destination_port));
    let (mut near, mut far) = (MAC_NEAR, MAC_FAR);
    if packet.back {
        (source, destination) = (destination, source);
        (source_port, destination_port) = (destination_port, source_port);
        (near, far) = (far, near);
    }
    let total_length = swapped(packet.frame_bytes - 14);
    let udp_length = swapped(packet.frame_bytes - 34);
    let sequence = packet.sequence.to_be();
    let addresses = source + destination;
    let header_sum = VERSION_4 + total_length + DO_NOT_FRAGMENT + TTL_AND_UDP + addresses;
    let udp_sum = addresses
        + UDP_IN_PSEUDO_HEADER
        + 2 * udp_length
        + source_port
        + destination_port
        + (sequence & 0xffff_ffff)
        + (sequence >> 32);
    let header_checksum = folded(header_sum);
    let udp_checksum = never_zero(folded(udp_sum));

    store(start, 0, far | near << 48);
    store(start, 8, near >> 16 | ETHER_TYPE_IPV4 << 32 | VERSION_4 << 48);
    store(start, 16, total_length | DO_NOT_FRAGMENT << 32 | TTL_AND_UDP << 48);
    store(start, 24, header_checksum | source << 16 | destination << 48);
    store(start, 32, destination >> 16 | source_port << 16 | destination_port << 32 | udp_length << 48);
    store(start, 40, udp_checksum | sequence << 16);
    store_u16(start, 48, (sequence >> 48) as u16);
    true
}

/// False when the frame is too short.
#[inline(always)]
pub fn write_v6(context: &XdpContext, packet: &Packet) -> bool {
    let start = context.data();
    if start + FRAME_BYTES_MIN_V6 as usize > context.data_end() {
        return false;
    }
    let tuple = &packet.tuple;
    let mut source = (PREFIX_SOURCE_V6, tuple.source_v6);
    let mut destination = (PREFIX_DESTINATION_V6, tuple.destination_v6);
    let (mut source_port, mut destination_port) =
        (u64::from(tuple.source_port), u64::from(tuple.destination_port));
    let (mut near, mut far) = (MAC_NEAR, MAC_FAR);
    if packet.back {
        (source, destination) = (destination, source);
        (source_port, destination_port) = (destination_port, source_port);
        (near, far) = (far, near);
    }
    let udp_length = swapped(packet.frame_bytes - 54);
    let sequence = packet.sequence.to_be();
    let udp_sum = halves(PREFIX_SOURCE_V6)
        + halves(PREFIX_DESTINATION_V6)
        + halves(tuple.source_v6)
        + halves(tuple.destination_v6)
        + UDP_IN_PSEUDO_HEADER
        + 2 * udp_length
        + source_port
        + destination_port
        + halves(sequence);
    let udp_checksum = never_zero(folded(udp_sum));

    store(start, 0, far | near << 48);
    store(start, 8, near >> 16 | ETHER_TYPE_IPV6 << 32 | VERSION_6 << 48);
    store(start, 16, udp_length << 16 | UDP_AND_HOP_LIMIT << 32 | source.0 << 48);
    store(start, 24, source.0 >> 16 | source.1 << 48);
    store(start, 32, source.1 >> 16 | destination.0 << 48);
    store(start, 40, destination.0 >> 16 | destination.1 << 48);
    store(start, 48, destination.1 >> 16 | source_port << 48);
    store(start, 56, destination_port | udp_length << 16 | udp_checksum << 32 | sequence << 48);
    store_u32(start, 64, (sequence >> 16) as u32);
    store_u16(start, 68, (sequence >> 48) as u16);
    true
}

/// 02:00:00:00:00:01, on the side of the flow's source.
const MAC_NEAR: u64 = u64::from_le_bytes([2, 0, 0, 0, 0, 1, 0, 0]);
/// 02:00:00:00:00:02.
const MAC_FAR: u64 = u64::from_le_bytes([2, 0, 0, 0, 0, 2, 0, 0]);

const ETHER_TYPE_IPV4: u64 = u16::from_le_bytes([0x08, 0x00]) as u64;
const ETHER_TYPE_IPV6: u64 = u16::from_le_bytes([0x86, 0xdd]) as u64;
/// Header of five words, type of service zero.
const VERSION_4: u64 = u16::from_le_bytes([0x45, 0]) as u64;
const VERSION_6: u64 = u16::from_le_bytes([0x60, 0]) as u64;
const DO_NOT_FRAGMENT: u64 = u16::from_le_bytes([0x40, 0]) as u64;
const TTL_AND_UDP: u64 = u16::from_le_bytes([64, 17]) as u64;
const UDP_AND_HOP_LIMIT: u64 = u16::from_le_bytes([17, 64]) as u64;
const UDP_IN_PSEUDO_HEADER: u64 = u16::from_le_bytes([0, 17]) as u64;

/// A 16-bit length in memory order.
#[inline(always)]
fn swapped(length: u32) -> u64 {
    u64::from((length as u16).to_be())
}

#[inline(always)]
fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff) + (word >> 32)
}

/// The checksum of a sum of a few 32-bit words.
#[inline(always)]
fn folded(sum: u64) -> u64 {
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum ^ 0xffff
}

/// UDP sends a computed zero as its complement.
#[inline(always)]
fn never_zero(checksum: u64) -> u64 {
    if checksum == 0 { 0xffff } else { checksum }
}

#[inline(always)]
fn store(start: usize, offset: usize, word: u64) {
    // SAFETY: the callers compared `start` plus the greatest offset with the end; the verifier proves it again.
    unsafe { ((start + offset) as *mut u64).write(word.to_le()) };
}

#[inline(always)]
fn store_u32(start: usize, offset: usize, word: u32) {
    // SAFETY: as for `store`.
    unsafe { ((start + offset) as *mut u32).write(word.to_le()) };
}

#[inline(always)]
fn store_u16(start: usize, offset: usize, word: u16) {
    // SAFETY: as for `store`.
    unsafe { ((start + offset) as *mut u16).write(word.to_le()) };
}
