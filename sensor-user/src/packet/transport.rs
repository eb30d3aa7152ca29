//! TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792, RFC 4443): ports, flags, where data starts.

use super::{Anomaly, bytes_at, protocol, u16_at};

/// What the flow needs of a transport header. Absent fields are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    pub source_port: u16,
    pub destination_port: u16,
    pub tcp_flags: u8,
    pub icmp_type: u8,
    pub icmp_code: u8,
    pub payload_start: usize,
    pub anomaly: Option<Anomaly>,
}

impl Transport {
    pub fn without_header(payload_start: usize) -> Transport {
        Transport { payload_start, ..Transport::default() }
    }
}

/// Reads the transport header at `at`; `bytes` ends where the IP packet (or the capture) ends.
#[inline]
pub fn decode(bytes: &[u8], at: usize, protocol: u8) -> Transport {
    match protocol {
        protocol::TCP => tcp(bytes, at),
        protocol::UDP => udp(bytes, at),
        protocol::SCTP => with_ports(bytes, at, 12),
        protocol::ICMP | protocol::ICMPV6 => icmp(bytes, at),
        _ => Transport::without_header(at),
    }
}

#[inline(always)]
fn tcp(bytes: &[u8], at: usize) -> Transport {
    let Some(header) = bytes_at::<20>(bytes, at) else { return with_ports(bytes, at, 20) };
    let header_bytes = usize::from(header[12] >> 4) * 4;
    let fits = header_bytes >= 20 && at + header_bytes <= bytes.len();
    Transport {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        tcp_flags: header[13],
        payload_start: at + if fits { header_bytes } else { 20 },
        anomaly: (!fits).then_some(Anomaly::TcpHeaderLength),
        ..Transport::default()
    }
}

#[inline(always)]
fn udp(bytes: &[u8], at: usize) -> Transport {
    let Some(header) = bytes_at::<8>(bytes, at) else { return with_ports(bytes, at, 8) };
    let length = u16::from_be_bytes([header[4], header[5]]);
    Transport {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        payload_start: at + 8,
        // Zero is allowed in jumbograms (RFC 2675).
        anomaly: (1..8).contains(&length).then_some(Anomaly::UdpLength),
        ..Transport::default()
    }
}

#[inline(always)]
fn icmp(bytes: &[u8], at: usize) -> Transport {
    let Some([icmp_type, icmp_code]) = bytes_at::<2>(bytes, at).copied() else {
        return Transport { anomaly: Some(Anomaly::TransportTruncated), ..Transport::without_header(at) };
    };
    Transport { icmp_type, icmp_code, ..Transport::without_header(at + 8) }
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
