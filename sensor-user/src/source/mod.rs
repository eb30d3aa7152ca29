//! Where frames come from: one contract, three sources (`xdp`, `afpacket`, `pcap`) and memory for tests.
//!
//! A source lends frames in bursts. The borrow ends with the call, so a frame can be recycled (given back to
//! the kernel, its block released, its window unmapped) as soon as the visitor returns, and no copy is made.

pub mod afpacket;
pub mod pcap;
pub mod xsk;

use crate::clock::Moment;
use sensor_ebpf::Screening;
use std::time::Duration;

/// Frames lent at once. Above 64 the kernel's own burst (NAPI budget) is the limit and nothing is gained.
pub const BURST_FRAMES_MAX: usize = 64;

/// One frame as it was on the wire, borrowed for the length of a burst.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The captured bytes, starting at the link-layer header. Shorter than `wire_bytes` if the capture cut it.
    pub bytes: &'a [u8],
    /// Length on the wire, without frame check sequence.
    pub wire_bytes: u32,
    /// When the frame was captured.
    pub time: Moment,
    pub link: LinkType,
    /// The symmetric flow hash, where the kernel already computed it with the sensor's own key.
    pub hash: Option<u64>,
    /// What the kernel program did about filter and sample. The rest is for the worker to do.
    ///
    /// A frame that the program did not stamp is taken for one that it screened in full. That holds wherever the
    /// driver has room for stamps; where it has none, frames that the program cannot parse pass unfiltered.
    pub screening: Screening,
}

impl Frame<'_> {
    pub const EMPTY: Frame<'static> = Frame {
        bytes: &[],
        wire_bytes: 0,
        time: Moment(0),
        link: LinkType::ETHERNET,
        hash: None,
        screening: Screening::None,
    };
}

/// Link-layer header type, numbered as in capture files (the tcpdump group's LINKTYPE_ registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: 4-byte address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    pub const ETHERNET: LinkType = LinkType(1);
    pub const TOKEN_RING: LinkType = LinkType(6);
    pub const ARCNET: LinkType = LinkType(7);
    pub const SLIP: LinkType = LinkType(8);
    pub const PPP: LinkType = LinkType(9);
    pub const FDDI: LinkType = LinkType(10);
    /// Raw IP by the numbers that systems use among themselves and some tools write into files.
    pub const RAW_BSD: LinkType = LinkType(12);
    pub const RAW_OPENBSD: LinkType = LinkType(14);
    pub const SLIP_BSDOS: LinkType = LinkType(15);
    /// PPP in HDLC-like framing, or Cisco HDLC.
    pub const PPP_HDLC: LinkType = LinkType(50);
    pub const PPP_OVER_ETHERNET: LinkType = LinkType(51);
    /// LLC over ATM.
    pub const ATM_RFC1483: LinkType = LinkType(100);
    /// Raw IP, version in the first nibble.
    pub const RAW: LinkType = LinkType(101);
    pub const CISCO_HDLC: LinkType = LinkType(104);
    pub const IEEE802_11: LinkType = LinkType(105);
    /// Linux classical IP over ATM.
    pub const ATM_CLIP: LinkType = LinkType(106);
    pub const FRAME_RELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: 4-byte address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// OpenBSD's IPsec interface.
    pub const ENC: LinkType = LinkType(109);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// OpenBSD packet filter log.
    pub const PFLOG: LinkType = LinkType(117);
    pub const PRISM: LinkType = LinkType(119);
    pub const IP_OVER_FIBRE_CHANNEL: LinkType = LinkType(122);
    pub const SUN_ATM: LinkType = LinkType(123);
    pub const RADIOTAP: LinkType = LinkType(127);
    pub const ARCNET_LINUX: LinkType = LinkType(129);
    pub const IP_OVER_FIREWIRE: LinkType = LinkType(138);
    /// For private use; macOS writes [`LinkType::PKTAP`] under this number.
    pub const USER2: LinkType = LinkType(149);
    pub const AVS: LinkType = LinkType(163);
    pub const JUNIPER_ETHERNET: LinkType = LinkType(178);
    pub const JUNIPER_PPP: LinkType = LinkType(179);
    pub const JUNIPER_FRAME_RELAY: LinkType = LinkType(180);
    pub const JUNIPER_CISCO_HDLC: LinkType = LinkType(181);
    /// Per-packet information, then another link type.
    pub const PPI: LinkType = LinkType(192);
    pub const PPP_WITH_DIRECTION: LinkType = LinkType(204);
    pub const CISCO_HDLC_WITH_DIRECTION: LinkType = LinkType(205);
    pub const FRAME_RELAY_WITH_DIRECTION: LinkType = LinkType(206);
    pub const MPLS: LinkType = LinkType(219);
    /// Solaris.
    pub const IPNET: LinkType = LinkType(226);
    pub const IPV4: LinkType = LinkType(228);
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log.
    pub const NFLOG: LinkType = LinkType(239);
    pub const NETANALYZER: LinkType = LinkType(240);
    pub const NETANALYZER_TRANSPARENT: LinkType = LinkType(241);
    pub const IP_OVER_INFINIBAND: LinkType = LinkType(242);
    /// macOS: metadata, then another link type.
    pub const PKTAP: LinkType = LinkType(258);
    pub const ETHERNET_MPACKET: LinkType = LinkType(274);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
    /// Ethernet with a switch chip's tag behind the addresses.
    pub const BROADCOM_TAG: LinkType = LinkType(281);
    /// … before them.
    pub const BROADCOM_TAG_BEFORE: LinkType = LinkType(282);
    pub const DSA_TAG: LinkType = LinkType(283);
    pub const EDSA_TAG: LinkType = LinkType(284);
}

/// What one call to [`Source::receive`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many frames were lent, 1 to [`BURST_FRAMES_MAX`].
    Frames(usize),
    /// Nothing is waiting now. Only live sources say so.
    Nothing,
    /// The last frame of a file was lent. Live sources never say so.
    End,
}

/// Frames as the kernel counted them before they reached the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Frames that were meant for the source, dropped ones included.
    pub offered: u64,
    /// Frames that found no room in its ring.
    pub dropped: u64,
}

/// Frames in the rings of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingLevels {
    /// Free frames that wait for the kernel in the fill rings that the source owns.
    pub fill: u32,
    /// Received frames that wait for the worker.
    pub receive: u32,
}

impl KernelCounts {
    pub fn add(&mut self, other: KernelCounts) {
        self.offered += other.offered;
        self.dropped += other.dropped;
    }
}

/// A place that frames come from, owned by one worker.
pub trait Source {
    /// Lends the next burst to `visit`, which is called at most once and not at all for an empty burst.
    ///
    /// `now` is the caller's clock reading for this burst; sources that have better time stamps ignore it.
    /// An error ends the source: frames before it have been lent already.
    fn receive(&mut self, now: Moment, visit: impl FnMut(&[Frame<'_>])) -> Result<Received, SourceError>;

    /// Sleeps until there may be something to receive, at most for `timeout`. Files are always ready.
    fn wait(&mut self, _timeout: Duration) {}

    /// Frames in the rings of this source right now; zeros where there are none.
    fn ring_levels(&self) -> RingLevels {
        RingLevels::default()
    }

    /// What the kernel counted for this source since it was opened; zero where others keep that count.
    fn kernel_counts(&mut self) -> KernelCounts {
        KernelCounts::default()
    }
}

/// Why a source ended early.
#[derive(Debug)]
pub enum SourceError {
    /// A capture file is broken from this byte offset on (of the decompressed stream).
    Damaged { offset: u64, what: String },
    /// Reading failed.
    Io(std::io::Error),
    /// The interface is gone.
    InterfaceGone,
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceError::Damaged { offset, what } => write!(f, "damaged at byte {offset}: {what}"),
            SourceError::Io(_) => write!(f, "read failed"),
            SourceError::InterfaceGone => write!(f, "the interface is gone"),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SourceError::Io(error) => Some(error),
            SourceError::Damaged { .. } | SourceError::InterfaceGone => None,
        }
    }
}
