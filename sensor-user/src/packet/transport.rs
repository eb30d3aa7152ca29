//! TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792, RFC 4443): ports, flags, where data starts.

use super::{Anomaly, TcpHeader, bytes_at, protocol, u16_at};
use kflow::IcmpKind;

pub const TCP_HEADER_BYTES: usize = 20;
pub const UDP_HEADER_BYTES: usize = 8;
const SCTP_HEADER_BYTES: usize = 12;
pub const ICMP_HEADER_BYTES: usize = 8;

/// What the flow needs of a transport header. Absent fields are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    pub source_port: u16,
    pub destination_port: u16,
    pub tcp_flags: u8,
    pub tcp: TcpHeader,
    pub icmp: IcmpKind,
    pub payload_start: usize,
    pub anomaly: Option<Anomaly>,
}

impl Transport {
    pub fn without_header(payload_start: usize) -> Transport {
        Transport { payload_start, ..Transport::default() }
    }
}

/// Where a transport header lies.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The frame up to where the IP packet or the capture ends.
    pub bytes: &'a [u8],
    /// Offset of the header.
    pub at: usize,
    /// Where the IP packet ends by its own word: beyond `bytes` if the capture cut it.
    pub wire_end: usize,
    /// Where the frame ends on the wire, or the tunnel that carries the packet.
    pub frame_end: usize,
    /// Not a first fragment, whose header speaks of bytes that come later.
    pub is_whole: bool,
}

pub fn decode(segment: Segment<'_>, protocol: u8) -> Transport {
    let Segment { bytes, at, .. } = segment;
    match protocol {
        protocol::TCP => tcp(segment),
        protocol::UDP => udp(segment),
        protocol::SCTP => with_ports(bytes, at, SCTP_HEADER_BYTES),
        protocol::ICMP | protocol::ICMPV6 => icmp(bytes, at),
        _ => Transport::without_header(at),
    }
}

fn tcp(Segment { bytes, at, wire_end, frame_end, is_whole }: Segment<'_>) -> Transport {
    let Some(header) = bytes_at::<TCP_HEADER_BYTES>(bytes, at) else {
        return with_ports(bytes, at, TCP_HEADER_BYTES);
    };
    let header_bytes = usize::from(header[12] >> 4) * 4;
    let header_end = at + header_bytes.max(TCP_HEADER_BYTES);
    let anomaly = if header_bytes < TCP_HEADER_BYTES || (is_whole && header_end > wire_end) {
        Some(Anomaly::TcpHeaderLength)
    } else {
        (header_end > bytes.len()).then_some(Anomaly::TransportTruncated)
    };
    let is_plausible = anomaly != Some(Anomaly::TcpHeaderLength) && header_end <= frame_end;
    Transport {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        tcp_flags: header[13],
        tcp: if is_whole && is_plausible { fixed_part(header) } else { TcpHeader::default() },
        payload_start: header_end,
        anomaly,
        ..Transport::default()
    }
}

#[inline(always)]
pub fn fixed_part(header: &[u8; TCP_HEADER_BYTES]) -> TcpHeader {
    TcpHeader {
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        window: u16::from_be_bytes([header[14], header[15]]),
        header_bytes: (header[12] >> 4) * 4,
    }
}

fn udp(Segment { bytes, at, wire_end, is_whole, .. }: Segment<'_>) -> Transport {
    let Some(header) = bytes_at::<UDP_HEADER_BYTES>(bytes, at) else {
        return with_ports(bytes, at, UDP_HEADER_BYTES);
    };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // Zero is allowed in jumbograms (RFC 2675).
    let is_odd = (1..UDP_HEADER_BYTES).contains(&length) || (is_whole && at + length > wire_end);
    Transport {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        payload_start: at + UDP_HEADER_BYTES,
        anomaly: is_odd.then_some(Anomaly::UdpLength),
        ..Transport::default()
    }
}

fn icmp(bytes: &[u8], at: usize) -> Transport {
    let Some([kind, code]) = bytes_at::<2>(bytes, at).copied() else {
        return Transport { anomaly: Some(Anomaly::TransportTruncated), ..Transport::without_header(at) };
    };
    Transport { icmp: IcmpKind { kind, code }, ..Transport::without_header(at + ICMP_HEADER_BYTES) }
}

/// Ports alone, if the first four bytes are there; the rest of the header may be cut off.
fn with_ports(bytes: &[u8], at: usize, header_bytes: usize) -> Transport {
    let (Some(source_port), Some(destination_port)) = (u16_at(bytes, at), u16_at(bytes, at + 2)) else {
        return Transport { anomaly: Some(Anomaly::TransportTruncated), ..Transport::without_header(at) };
    };
    let anomaly = (at + header_bytes > bytes.len()).then_some(Anomaly::TransportTruncated);
    Transport {
        source_port,
        destination_port,
        payload_start: at + header_bytes,
        anomaly,
        ..Transport::default()
    }
}
