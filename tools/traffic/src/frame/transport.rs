//! What an IP packet carries: TCP (RFC 9293), UDP (RFC 768), ICMP and ICMPv6 echo (RFC 792, RFC 4443), SCTP
//! (RFC 9260) or the bare bytes of any other protocol.

use std::net::IpAddr;

use super::checksum::{InternetSum, crc32c};
use super::ip::protocol;

/// TCP flags as they stand in the header.
pub mod tcp_flags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    /// Congestion was experienced (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// The congestion window was reduced.
    pub const CWR: u8 = 0x80;
}

/// The header above IP, without what follows from the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp(Tcp),
    Udp(Udp),
    Icmp(Icmp),
    /// Only over IPv6: the checksum covers its pseudo header.
    Icmpv6(Icmp),
    Sctp(Sctp),
    /// The payload alone, under this protocol number.
    Other(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    /// See [`tcp_flags`].
    pub flags: u8,
    pub window: u16,
    /// At most 40 bytes; filled up with End of Option List to a multiple of four.
    pub options: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    pub source_port: u16,
    pub destination_port: u16,
}

/// An ICMP message whose second word is an identifier and a sequence number, as in echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub identifier: u16,
    pub sequence: u16,
}

/// An SCTP packet; its chunks are the payload, see [`Sctp::data_chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp {
    pub source_port: u16,
    pub destination_port: u16,
    pub verification_tag: u32,
}

/// What checksums cover besides the segment itself.
#[derive(Clone, Copy, Debug)]
pub struct PseudoHeader {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
}

impl Transport {
    pub fn protocol(&self) -> u8 {
        match self {
            Transport::Tcp(_) => protocol::TCP,
            Transport::Udp(_) => protocol::UDP,
            Transport::Icmp(_) => protocol::ICMP,
            Transport::Icmpv6(_) => protocol::ICMPV6,
            Transport::Sctp(_) => protocol::SCTP,
            Transport::Other(number) => *number,
        }
    }

    /// Source and destination port; zeros for protocols without ports.
    pub fn ports(&self) -> (u16, u16) {
        match self {
            Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
            Transport::Udp(udp) => (udp.source_port, udp.destination_port),
            Transport::Sctp(sctp) => (sctp.source_port, sctp.destination_port),
            Transport::Icmp(_) | Transport::Icmpv6(_) | Transport::Other(_) => (0, 0),
        }
    }

    /// Header and payload with the checksum filled in.
    pub fn segment(&self, pseudo: PseudoHeader, payload: &[u8]) -> Vec<u8> {
        match self {
            Transport::Tcp(tcp) => tcp.segment(pseudo, payload),
            Transport::Udp(udp) => udp.segment(pseudo, payload),
            Transport::Icmp(icmp) => icmp.segment(InternetSum::default(), payload),
            Transport::Icmpv6(icmp) => icmp.segment(pseudo.sum(8 + payload.len()), payload),
            Transport::Sctp(sctp) => sctp.segment(payload),
            Transport::Other(_) => payload.to_vec(),
        }
    }
}

impl Tcp {
    fn segment(&self, pseudo: PseudoHeader, payload: &[u8]) -> Vec<u8> {
        assert!(self.options.len() <= 40, "TCP has room for 40 bytes of options");
        let header_bytes = 20 + self.options.len().next_multiple_of(4);
        let mut segment = ports(self.source_port, self.destination_port);
        segment.extend_from_slice(&self.sequence.to_be_bytes());
        segment.extend_from_slice(&self.acknowledgement.to_be_bytes());
        segment.extend_from_slice(&[((header_bytes / 4) as u8) << 4, self.flags]);
        segment.extend_from_slice(&self.window.to_be_bytes());
        segment.extend_from_slice(&[0; 4]);
        segment.extend_from_slice(&self.options);
        segment.resize(header_bytes, 0);
        segment.extend_from_slice(payload);
        let checksum = pseudo.sum(segment.len()).over(&segment).finish();
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        segment
    }
}

impl Udp {
    fn segment(&self, pseudo: PseudoHeader, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + payload.len()).expect("a UDP datagram fits into 65 535 bytes");
        let mut segment = ports(self.source_port, self.destination_port);
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(&[0; 2]);
        segment.extend_from_slice(payload);
        let checksum = match pseudo.sum(segment.len()).over(&segment).finish() {
            // RFC 768: zero means "no checksum", so a computed zero is sent as its complement.
            0 => u16::MAX,
            checksum => checksum,
        };
        segment[6..8].copy_from_slice(&checksum.to_be_bytes());
        segment
    }
}

impl Icmp {
    pub const fn echo_request(identifier: u16, sequence: u16) -> Icmp {
        Icmp { kind: 8, code: 0, identifier, sequence }
    }

    pub const fn echo_reply(identifier: u16, sequence: u16) -> Icmp {
        Icmp { kind: 0, code: 0, identifier, sequence }
    }

    /// Of ICMPv6.
    pub const fn echo_request_v6(identifier: u16, sequence: u16) -> Icmp {
        Icmp { kind: 128, code: 0, identifier, sequence }
    }

    /// Of ICMPv6.
    pub const fn echo_reply_v6(identifier: u16, sequence: u16) -> Icmp {
        Icmp { kind: 129, code: 0, identifier, sequence }
    }

    fn segment(&self, pseudo: InternetSum, payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![self.kind, self.code, 0, 0];
        segment.extend_from_slice(&self.identifier.to_be_bytes());
        segment.extend_from_slice(&self.sequence.to_be_bytes());
        segment.extend_from_slice(payload);
        let checksum = pseudo.over(&segment).finish();
        segment[2..4].copy_from_slice(&checksum.to_be_bytes());
        segment
    }
}

impl Sctp {
    /// A DATA chunk that is a whole message, padded to a multiple of four.
    pub fn data_chunk(transmission_sequence: u32, message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(16 + message.len()).expect("an SCTP chunk fits into 65 535 bytes");
        let mut chunk = vec![0, BEGIN_AND_END];
        chunk.extend_from_slice(&length.to_be_bytes());
        chunk.extend_from_slice(&transmission_sequence.to_be_bytes());
        // Stream 0, stream sequence 0, no payload protocol.
        chunk.extend_from_slice(&[0; 8]);
        chunk.extend_from_slice(message);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    fn segment(&self, chunks: &[u8]) -> Vec<u8> {
        let mut segment = ports(self.source_port, self.destination_port);
        segment.extend_from_slice(&self.verification_tag.to_be_bytes());
        segment.extend_from_slice(&[0; 4]);
        segment.extend_from_slice(chunks);
        let checksum = crc32c(&segment);
        segment[8..12].copy_from_slice(&checksum.to_le_bytes());
        segment
    }
}

impl PseudoHeader {
    fn sum(&self, segment_bytes: usize) -> InternetSum {
        let length = u32::try_from(segment_bytes).expect("a segment fits into an IP packet");
        let sum = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                InternetSum::default().over(&source.octets()).over(&destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                InternetSum::default().over(&source.octets()).over(&destination.octets())
            }
            _ => unreachable!("both addresses come from one IP header"),
        };
        sum.over(&length.to_be_bytes()).over(&[0, self.protocol])
    }
}

const BEGIN_AND_END: u8 = 0x03;

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}
