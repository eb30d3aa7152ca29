//! What the exporter is told: plain fields, with all defaults here.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// One collector and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpfixConfig {
    /// Address and port. A name is resolved by whoever fills this in, once: a resolver may block for long.
    pub collector: SocketAddr,
    pub format: Format,
    pub transport: Transport,
    /// Observation domain of IPFIX, source identifier of NetFlow.
    pub domain: u32,
    /// Enterprise of this project's own elements. The default is [`EXAMPLE_ENTERPRISE`].
    pub enterprise: u32,
    /// Bytes of a message at most, over UDP the payload of a datagram: from [`MESSAGE_BYTES_MIN`] to 65535.
    /// Unless given, [`UDP_MESSAGE_BYTES`] or [`TCP_MESSAGE_BYTES`].
    pub message_bytes_max: Option<usize>,
    /// Over UDP every template is sent again, with the next record that needs it, after this time …
    pub template_refresh: Duration,
    /// … or after so many messages.
    pub template_refresh_messages: u32,
    pub elements: Elements,
    pub biflow: Biflow,
    pub times: Times,
    pub transactions: Transactions,
    pub sampling: Sampling,
    /// How long one call may wait for the network in all: for room in the socket's buffer, or for a connection. What
    /// cannot be sent by then is counted as failed.
    pub block_max: Duration,
    /// Between attempts to connect: doubled after each that failed, from the first to the second of these.
    pub reconnect: (Duration, Duration),
    /// A TCP peer that reads nothing for so long is left, and connected to anew.
    pub stall_max: Duration,
}

/// What goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 7011.
    Ipfix,
    /// RFC 3954, over UDP only. Has addresses, ports, counters, VLAN and the top MPLS label, and nothing of TCP's
    /// analysis, latencies, tunnels and applications.
    NetflowV9,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Which elements there are (IPFIX; NetFlow has none of this project's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// IANA's and this project's own.
    All,
    /// IANA's only: what NetFlow has too, frame bytes and the name of the application's protocol. For collectors that
    /// cannot do with more. Transactions are left out.
    Standard,
}

/// What becomes of the two directions of a flow (IPFIX; NetFlow knows one only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biflow {
    /// Each direction that has packets is a record. What every collector counts right.
    TwoRecords,
    /// One record, the other direction in reverse elements (RFC 5103). Collectors that do not know these count one
    /// direction only, and those that do may add both directions up in one flow.
    Rfc5103,
}

/// The elements for a flow's first and last packet (IPFIX; NetFlow has milliseconds since the exporter's start).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// What every collector reads.
    Milliseconds,
    /// As exact as the record.
    Nanoseconds,
}

/// Transactions that have records of their own: they are part of a flow and no flow themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// Left out, and counted as such. The first of a flow's span is in the flow's record in any case.
    LeaveOut,
    /// As records of options, whose scope is the flow, so that collectors do not count them as flows. IPFIX only. Not
    /// the default because some collectors (nfcapd) do not count such records when they check sequence numbers, and
    /// report losses that are none.
    Options,
}

/// How a sample rate above one is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// As if packets were sampled, which is what collectors know: they multiply packets and bytes by the rate, so that
    /// totals are right, and counters of single flows are not.
    Packets,
    /// As what it is, sampling of flows (RFC 7014, IPFIX only): collectors leave counters as they are.
    Flows,
}

/// Reserved for examples (RFC 5612). This project has no number of its own: whoever has one, or knows that no other
/// exporter at the collector uses this one, is served.
pub const EXAMPLE_ENTERPRISE: u32 = 32_473;

/// The largest template and a record of it without texts fit.
pub const MESSAGE_BYTES_MIN: usize = 1_200;
/// Within the MTU of Ethernet, with room for a few headers of tunnels.
pub const UDP_MESSAGE_BYTES: usize = 1_400;
/// The length in IPFIX's header has 16 bits.
pub const TCP_MESSAGE_BYTES: usize = 65_535;
/// A datagram of IPv4 holds no more.
const UDP_MESSAGE_BYTES_MAX: usize = 65_507;

/// Why a configuration is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// NetFlow version 9 goes over UDP.
    NetflowOverTcp,
    /// Messages are smaller than [`MESSAGE_BYTES_MIN`] or larger than the transport allows.
    MessageBytes { given: usize, max: usize },
    /// Nothing would ever be sent: a refresh after no messages.
    RefreshMessages,
    /// The number has the bit that says that there is one, or is IANA's own.
    Enterprise,
}

impl IpfixConfig {
    /// IPFIX over UDP, everything else by default.
    pub fn new(collector: SocketAddr) -> IpfixConfig {
        IpfixConfig {
            collector,
            format: Format::Ipfix,
            transport: Transport::Udp,
            domain: 1,
            enterprise: EXAMPLE_ENTERPRISE,
            message_bytes_max: None,
            template_refresh: Duration::from_secs(60),
            template_refresh_messages: 1_000,
            elements: Elements::All,
            biflow: Biflow::TwoRecords,
            times: Times::Milliseconds,
            transactions: Transactions::LeaveOut,
            sampling: Sampling::Packets,
            block_max: Duration::from_millis(100),
            reconnect: (Duration::from_secs(1), Duration::from_secs(60)),
            stall_max: Duration::from_secs(30),
        }
    }

    /// Whether it can be done.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.format == Format::NetflowV9 && self.transport == Transport::Tcp {
            return Err(ConfigError::NetflowOverTcp);
        }
        let max = match self.transport {
            Transport::Udp => UDP_MESSAGE_BYTES_MAX,
            Transport::Tcp => TCP_MESSAGE_BYTES,
        };
        let given = self.message_bytes();
        if !(MESSAGE_BYTES_MIN..=max).contains(&given) {
            return Err(ConfigError::MessageBytes { given, max });
        }
        if self.template_refresh_messages == 0 {
            return Err(ConfigError::RefreshMessages);
        }
        if self.enterprise == 0 || self.enterprise == crate::template::REVERSE_ENTERPRISE {
            return Err(ConfigError::Enterprise);
        }
        Ok(())
    }

    /// The most bytes of a message.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes_max.unwrap_or(match self.transport {
            Transport::Udp => UDP_MESSAGE_BYTES,
            Transport::Tcp => TCP_MESSAGE_BYTES,
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NetflowOverTcp => write!(f, "NetFlow version 9 goes over UDP only"),
            ConfigError::MessageBytes { given, max } => {
                write!(f, "messages of {given} bytes; they have from {MESSAGE_BYTES_MIN} to {max}")
            }
            ConfigError::RefreshMessages => write!(f, "templates are sent again after one message at least"),
            ConfigError::Enterprise => {
                write!(f, "0 and {} are IANA's own enterprise numbers", crate::template::REVERSE_ENTERPRISE)
            }
        }
    }
}

impl std::error::Error for ConfigError {}
