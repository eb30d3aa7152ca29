//! The header of a whole packet, made of that of its first fragment.

use super::piece::{DATAGRAM_BYTES_MAX, HeaderParts, IPV6_HEADER_BYTES};

/// Header bytes that a datagram has room for: IPv4 with all its options, IPv6 with 216 bytes of extension headers.
pub const HEADER_BYTES_MAX: usize = 256;

/// A header that waits for its payload.
#[derive(Clone, Copy, Debug)]
pub struct StoredHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u16,
}

impl StoredHeader {
    pub const NONE: StoredHeader = StoredHeader { bytes: [0; HEADER_BYTES_MAX], len: 0 };

    /// Keeps a header of at most [`HEADER_BYTES_MAX`]; the chain of IPv6 skips the fragment header.
    pub fn store(&mut self, header: HeaderParts<'_>) {
        let len = header.bytes.len();
        self.bytes[..len].copy_from_slice(header.bytes);
        if let Some((named_at, next)) = header.next_header {
            self.bytes[named_at] = next;
        }
        self.len = len as u16;
    }

    /// Forgets the header.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether the length fields can say a payload of this length.
    pub fn carries(&self, payload_bytes: usize) -> bool {
        let counted_bytes = if self.is_v6() {
            self.bytes().len() - IPV6_HEADER_BYTES + payload_bytes
        } else {
            self.bytes().len() + payload_bytes
        };
        counted_bytes <= DATAGRAM_BYTES_MAX
    }

    pub fn is_v6(&self) -> bool {
        self.bytes[0] >> 4 == 6
    }
}

/// Has the header at the start of a whole packet say what a whole packet says: lengths, no fragment, checksum.
pub fn complete(packet: &mut [u8], header_bytes: usize) {
    let total_bytes = packet.len();
    if packet[0] >> 4 == 6 {
        packet[4..6].copy_from_slice(&((total_bytes - IPV6_HEADER_BYTES) as u16).to_be_bytes());
        return;
    }
    packet[2..4].copy_from_slice(&(total_bytes as u16).to_be_bytes());
    packet[6..8].fill(0);
    packet[10..12].fill(0);
    let checksum = checksum(&packet[..header_bytes]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// The Internet checksum (RFC 1071) of a header, which is a whole number of words.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    // Thirty words carry at most 29, and folding that may carry once more.
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}
