//! The flow record: what the sensor knows of one conversation over one span of time.
//!
//! A record is bidirectional. `source` is the side that was seen first, so `forward` counts what the
//! source sent and `reverse` what the destination answered. Counters are those of the record's own span:
//! a long flow yields one record per active timeout, and their sum is the flow.

use crate::application::{AppProtocol, Application};
use std::net::{IpAddr, Ipv4Addr};

/// One exported flow. Addresses of one record are always of the same family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Time of the first packet of this span, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Time of the last packet of this span, nanoseconds since the Unix epoch.
    pub end_ns: u64,
    pub source: Endpoint,
    pub destination: Endpoint,
    /// IP protocol number (IANA "Assigned Internet Protocol Numbers"); for IPv6 that of the upper layer.
    pub protocol: u8,
    /// Type and code of the first ICMP or ICMPv6 message of the flow; zero for other protocols.
    pub icmp: IcmpKind,
    pub forward: DirectionCounters,
    pub reverse: DirectionCounters,
    pub end_reason: EndReason,
    /// One in this many flows was looked at; 1 when all were. Whole conversations are kept or left, so
    /// everything about one flow is exact; only totals over flows are to be multiplied.
    pub sample_rate: u32,
    /// Session of PPP over Ethernet (RFC 2516) that the flow was in; 0 for none.
    pub pppoe_session: u16,
    /// What carried the flow's packets, if it was counted inside a tunnel.
    pub tunnel: Tunnel,
    pub latency: Latency,
    /// All default unless `protocol` is TCP.
    pub tcp: TcpRecord,
    /// What the flow's application speaks, once it was recognised.
    pub app_protocol: Option<AppProtocol>,
    /// Transactions that completed in this span, those in records of their own among them. 0 unless `app_protocol` is
    /// known.
    pub transactions: u32,
    /// A transaction of this span, or what is known of the session; its protocol is `app_protocol`.
    pub application: Option<Application>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    /// TCP, UDP or SCTP port, zero for protocols without ports and for later fragments.
    pub port: u16,
    /// Link-layer address in the flow's first packet of that direction; zero when the link has none.
    pub mac: MacAddress,
}

/// An EUI-48 address in transmission order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpKind {
    pub kind: u8,
    pub code: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionCounters {
    pub packets: u64,
    /// Layer-3 bytes: IPv4 total length; IPv6 payload length plus the fixed header.
    pub bytes: u64,
    /// Frame bytes on the wire without the frame check sequence.
    pub frame_bytes: u64,
    /// Packets of this direction that were IP fragments.
    pub fragments: u32,
    /// OR of the TCP flags (RFC 9293: FIN 0x01 … CWR 0x80).
    pub tcp_flags: u8,
    /// OR of the IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// VLAN identifier of the direction's first packet (outermost tag, 12 bits); 0 when untagged.
    pub vlan: u16,
    /// VLAN identifier of the tag behind the outermost, of the direction's first packet; 0 when there is none.
    pub inner_vlan: u16,
    /// Top label of the MPLS stack (RFC 3032, 20 bits) of the direction's first packet; unknown without a stack.
    pub mpls_label: Option<u32>,
    /// Smallest and largest time to live or hop limit; 0 if there was no packet.
    pub ttl_min: u8,
    pub ttl_max: u8,
    /// Packets marked "congestion experienced" (RFC 3168).
    pub ecn_ce_packets: u32,
}

/// The tunnel directly around the packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    pub kind: TunnelKind,
    /// IP headers outside of the counted one, at most 7.
    pub depth: u8,
    /// What tells tunnels between two ends apart, of packets that the flow's source sent: VNI of VXLAN and Geneve,
    /// key of GRE, session of ERSPAN, TEID of GTP-U, SPI of AH; 0 where the kind has none.
    pub forward_id: u32,
    /// The same of packets that the flow's destination sent; 0 if there were none.
    pub reverse_id: u32,
    /// Outer addresses of packets that the flow's source sent; of those it received, if it sent none.
    pub source: IpAddr,
    pub destination: IpAddr,
}

/// Numbers are this project's own and never change their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// Not in a tunnel.
    #[default]
    None = 0,
    /// RFC 2784 and 2890, also NVGRE (RFC 7637) and enhanced GRE (RFC 2637).
    Gre = 1,
    /// ERSPAN type I or II in GRE.
    Erspan2 = 2,
    Erspan3 = 3,
    /// IPv4 or IPv6 in IPv4, IPv4 in IPv6 (RFC 2003, RFC 2473), except 6in4.
    IpInIp = 4,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour = 5,
    /// RFC 7348, also its generic protocol extension.
    Vxlan = 6,
    /// RFC 8926.
    Geneve = 7,
    /// 3GPP TS 29.281.
    GtpU = 8,
    /// RFC 4380.
    Teredo = 9,
    /// Authentication header (RFC 4302).
    Ah = 10,
    /// RFC 3378.
    EtherIp = 11,
    /// MPLS in IP (RFC 4023) or in UDP (RFC 7510).
    Mpls = 12,
    /// L2TP version 2 or 3 (RFC 2661, RFC 3931).
    L2tp = 13,
}

/// How long answers took, as seen at the place of capture. Unknown until the flow had an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// From the first payload of the flow's source to the first payload of its destination, microseconds. Of the
    /// flow's whole life: the same in each of its records.
    pub first_response_us: Option<u32>,
    /// From the last packet of a request to the first packet of its answer, microseconds, over the turns of this
    /// span. A turn is a change of the sending side from source to destination; an ICMP echo and its reply.
    pub response_min_us: Option<u32>,
    pub response_mean_us: Option<u32>,
    pub response_max_us: Option<u32>,
    /// Turns of this span.
    pub responses: u32,
}

/// What TCP's headers say of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpRecord {
    /// At the end of the span.
    pub state: TcpState,
    /// Which parts of the handshake were seen, OR of [`handshake`].
    pub handshake: u8,
    /// From SYN+ACK to ACK, microseconds: a round trip between the place of capture and the client.
    pub client_network_us: Option<u32>,
    /// From SYN to SYN+ACK, microseconds: a round trip between the place of capture and the server.
    pub server_network_us: Option<u32>,
    /// From the latest SYN to the first ACK behind it, microseconds: a round trip between client and server.
    pub total_network_us: Option<u32>,
    /// Of segments that the flow's source sent.
    pub forward: TcpDirection,
    pub reverse: TcpDirection,
}

/// Bits of [`TcpRecord::handshake`].
pub mod handshake {
    pub const SYN: u8 = 1;
    pub const SYN_ACK: u8 = 2;
    /// The first ACK after the SYN.
    pub const ACK: u8 = 4;
}

/// Where a connection stands. Numbers are this project's own and never change their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TcpState {
    /// Not TCP, or nothing but fragments.
    #[default]
    Unknown = 0,
    /// SYN without an answer.
    SynSent = 1,
    /// SYN and SYN+ACK, but no ACK: half-open.
    HalfOpen = 2,
    /// Data may flow. Without handshake, the flow began before the capture did.
    Established = 3,
    /// FIN from one side.
    Closing = 4,
    /// FIN from both sides.
    Closed = 5,
    ResetBySource = 6,
    ResetByDestination = 7,
    /// Established or closing, then silent for the idle timeout.
    TimedOut = 8,
}

/// What one side of a connection sent. Counters are those of the record's span; what was announced in the
/// handshake is repeated in every record. `TCP.md` of the sensor defines each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpDirection {
    /// Flags of the direction's first segment.
    pub first_flags: u8,
    /// Maximum segment size that the side announced; unknown if its SYN was not seen or did not say.
    pub mss: Option<u16>,
    /// Shift of its windows (RFC 7323): 0 if it or the other side did not offer scaling; unknown if a SYN was missed.
    pub window_scale: Option<u8>,
    /// Its SYN permitted selective acknowledgements (RFC 2018).
    pub sack_permitted: bool,
    /// Segments that repeat a sequence range that was sent before: fast and spurious ones and those after a timeout.
    pub retransmitted_packets: u32,
    /// Payload of those.
    pub retransmitted_bytes: u64,
    /// Retransmitted at once after duplicate ACKs.
    pub fast_retransmits: u32,
    /// Retransmitted although the whole range was acknowledged already.
    pub spurious_retransmits: u32,
    /// Ranges that were retransmitted three times or more.
    pub repeated_retransmits: u32,
    /// Segments that came late but not again.
    pub out_of_order_packets: u32,
    pub duplicate_acks: u32,
    /// Segments that came before an earlier one: a gap in the sequence at the place of capture.
    pub lost_segments: u32,
    /// ACKs of the other side for data of this side that the capture never saw: loss before the sensor.
    pub capture_gaps: u32,
    /// Bytes in these gaps.
    pub capture_gap_bytes: u64,
    pub keep_alives: u32,
    /// Segments that announce a window of zero.
    pub zero_windows: u32,
    /// How long the window was announced as zero, microseconds.
    pub zero_window_us: u32,
    /// The window announced last, bytes; unknown while the scale is.
    pub receive_window: Option<u32>,
    /// The smallest window announced in the span, bytes.
    pub receive_window_min: Option<u32>,
    /// From data of this side to its ACK, microseconds: the round trip between the place of capture and the other
    /// side, over the samples of the span. Retransmitted data gives no sample (Karn's rule).
    pub rtt_min_us: Option<u32>,
    pub rtt_mean_us: Option<u32>,
    pub rtt_max_us: Option<u32>,
    /// Smoothed difference between successive samples as in RFC 3550, microseconds.
    pub rtt_jitter_us: Option<u32>,
    pub rtt_samples: u32,
}

/// Why a record was exported. Numbers up to 5 are those of IPFIX `flowEndReason` (RFC 5102, element 136).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// No packet for the idle timeout.
    IdleTimeout = 1,
    /// The flow lives on; its counters start anew.
    ActiveTimeout = 2,
    /// FIN from both sides or RST.
    EndOfFlow = 3,
    /// The sensor was stopped or the capture file ended.
    ForcedEnd = 4,
    /// Evicted to make room for another flow.
    LackOfResources = 5,
    /// No span ended: the record adds a transaction to those of the flow, and counts no packets. Its start is the
    /// end of the request, its end the start of the answer.
    Transaction = 128,
}

impl TunnelKind {
    pub const ALL: [TunnelKind; 14] = [
        TunnelKind::None,
        TunnelKind::Gre,
        TunnelKind::Erspan2,
        TunnelKind::Erspan3,
        TunnelKind::IpInIp,
        TunnelKind::SixInFour,
        TunnelKind::Vxlan,
        TunnelKind::Geneve,
        TunnelKind::GtpU,
        TunnelKind::Teredo,
        TunnelKind::Ah,
        TunnelKind::EtherIp,
        TunnelKind::Mpls,
        TunnelKind::L2tp,
    ];

    /// The name that JSON and CSV use.
    pub const fn name(self) -> &'static str {
        match self {
            TunnelKind::None => "none",
            TunnelKind::Gre => "gre",
            TunnelKind::Erspan2 => "erspan2",
            TunnelKind::Erspan3 => "erspan3",
            TunnelKind::IpInIp => "ip_in_ip",
            TunnelKind::SixInFour => "6in4",
            TunnelKind::Vxlan => "vxlan",
            TunnelKind::Geneve => "geneve",
            TunnelKind::GtpU => "gtp_u",
            TunnelKind::Teredo => "teredo",
            TunnelKind::Ah => "ah",
            TunnelKind::EtherIp => "etherip",
            TunnelKind::Mpls => "mpls",
            TunnelKind::L2tp => "l2tp",
        }
    }

    pub fn from_number(number: u8) -> Option<TunnelKind> {
        TunnelKind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl TcpState {
    pub const ALL: [TcpState; 9] = [
        TcpState::Unknown,
        TcpState::SynSent,
        TcpState::HalfOpen,
        TcpState::Established,
        TcpState::Closing,
        TcpState::Closed,
        TcpState::ResetBySource,
        TcpState::ResetByDestination,
        TcpState::TimedOut,
    ];

    /// The name that JSON and CSV use.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::Unknown => "unknown",
            TcpState::SynSent => "syn_sent",
            TcpState::HalfOpen => "half_open",
            TcpState::Established => "established",
            TcpState::Closing => "closing",
            TcpState::Closed => "closed",
            TcpState::ResetBySource => "reset_by_source",
            TcpState::ResetByDestination => "reset_by_destination",
            TcpState::TimedOut => "timed_out",
        }
    }

    pub fn from_number(number: u8) -> Option<TcpState> {
        TcpState::ALL.into_iter().find(|state| *state as u8 == number)
    }
}

impl EndReason {
    pub const ALL: [EndReason; 6] = [
        EndReason::IdleTimeout,
        EndReason::ActiveTimeout,
        EndReason::EndOfFlow,
        EndReason::ForcedEnd,
        EndReason::LackOfResources,
        EndReason::Transaction,
    ];

    /// The name that JSON, CSV and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::ActiveTimeout => "active_timeout",
            EndReason::EndOfFlow => "end_of_flow",
            EndReason::ForcedEnd => "forced_end",
            EndReason::LackOfResources => "lack_of_resources",
            EndReason::Transaction => "transaction",
        }
    }

    /// `None` for a number that means nothing.
    pub fn from_number(number: u8) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

impl MacAddress {
    /// The address as a 48-bit integer, first octet most significant.
    pub fn to_integer(self) -> u64 {
        self.0.iter().fold(0, |integer, octet| integer << 8 | u64::from(*octet))
    }

    /// Inverse of [`MacAddress::to_integer`]; bits above the 48th are ignored.
    pub fn from_integer(integer: u64) -> MacAddress {
        let octets = integer.to_be_bytes();
        MacAddress([octets[2], octets[3], octets[4], octets[5], octets[6], octets[7]])
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Default for Endpoint {
    fn default() -> Endpoint {
        Endpoint { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, mac: MacAddress::default() }
    }
}

impl Default for Tunnel {
    /// No tunnel.
    fn default() -> Tunnel {
        Tunnel {
            kind: TunnelKind::None,
            depth: 0,
            forward_id: 0,
            reverse_id: 0,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

impl Default for FlowRecord {
    /// An empty, unsampled IPv4 record: a starting point for tests and for filling in.
    fn default() -> FlowRecord {
        FlowRecord {
            start_ns: 0,
            end_ns: 0,
            source: Endpoint::default(),
            destination: Endpoint::default(),
            protocol: 0,
            icmp: IcmpKind::default(),
            forward: DirectionCounters::default(),
            reverse: DirectionCounters::default(),
            end_reason: EndReason::IdleTimeout,
            sample_rate: 1,
            pppoe_session: 0,
            tunnel: Tunnel::default(),
            latency: Latency::default(),
            tcp: TcpRecord::default(),
            app_protocol: None,
            transactions: 0,
            application: None,
        }
    }
}
