//! Link layers: where the network layer starts and which version it has.
//!
//! Layers lie inside of each other in any order (a VLAN tag in a pseudowire in MPLS in Ethernet), so each one is a
//! function that reads its own header and names the next [`Layer`]; [`walk`] is the loop that bounds them.

mod capture;
mod ethernet;
mod ieee80211;
mod juniper;
mod llc;
mod mpls;
mod ppp;
mod serial;
mod shared_media;

pub use ethernet::service_protocol;

use super::{Enclosure, LinkTags, NotFlow, bytes_at, u16_at};
use crate::source::LinkType;

/// Headers followed on one frame, counting a stack of labels and each VLAN tag as one.
const LAYERS_MAX: usize = 16;

/// Where IP starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub version: IpVersion,
    pub offset: usize,
    pub tags: LinkTags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    V4,
    V6,
}

/// What lies at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A frame of a link type of capture files.
    Link(LinkType),
    /// Addresses, then an EtherType.
    Ethernet,
    /// What this EtherType stands for; the number itself lies before.
    EtherType(u16),
    /// IEEE 802.2 logical link control.
    Llc,
    /// The protocol field of PPP, perhaps behind address and control.
    Ppp,
    /// A stack of labels.
    Mpls,
    /// Network service header (RFC 8300).
    ServiceHeader,
    FrameRelay,
    CiscoHdlc,
    Ieee80211,
    /// IP whose first nibble tells the version.
    Ip,
    Ipv4,
    Ipv6,
}

/// The next layer and where it starts.
type Step = Result<(Layer, usize), NotFlow>;

/// Walks from `layer` at `at` to the network layer.
pub fn walk(enclosure: &Enclosure<'_>, layer: Layer, at: usize) -> Result<Network, NotFlow> {
    let bytes = enclosure.bytes;
    let mut tags = LinkTags::default();
    let mut vlan_tags = 0;
    let (mut layer, mut at) = (layer, at);
    for _ in 0..LAYERS_MAX {
        (layer, at) = match layer {
            Layer::Ipv4 => return Ok(Network { version: IpVersion::V4, offset: at, tags }),
            Layer::Ipv6 => return Ok(Network { version: IpVersion::V6, offset: at, tags }),
            Layer::Ip => ip(bytes, at)?,
            Layer::Ethernet => ethernet::addresses(bytes, at)?,
            Layer::EtherType(ethernet::PPPOE_SESSION) => ppp::over_ethernet(bytes, at, &mut tags)?,
            Layer::EtherType(tag) if ethernet::is_vlan(tag) => {
                vlan_tags += 1;
                ethernet::vlan_tag(bytes, at, vlan_tags, &mut tags)?
            }
            Layer::EtherType(ethertype) => ethernet::ethertype(bytes, at, ethertype)?,
            Layer::Llc => llc::llc(bytes, at)?,
            Layer::Ppp => ppp::ppp(bytes, at)?,
            Layer::Mpls => mpls::stack(enclosure, at, &mut tags)?,
            Layer::ServiceHeader => ethernet::service_header(bytes, at)?,
            Layer::FrameRelay => serial::frame_relay(bytes, at)?,
            Layer::CiscoHdlc => serial::cisco_hdlc(bytes, at)?,
            Layer::Ieee80211 => ieee80211::data_frame(bytes, at, ieee80211::Padding::None)?,
            Layer::Link(link) => capture::link_type(bytes, at, link)?,
        };
    }
    Err(NotFlow::LinkDepth)
}

fn ip(bytes: &[u8], at: usize) -> Step {
    match u8_at(bytes, at)? >> 4 {
        4 => Ok((Layer::Ipv4, at)),
        6 => Ok((Layer::Ipv6, at)),
        _ => Err(NotFlow::OtherEtherType),
    }
}

fn u8_at(bytes: &[u8], at: usize) -> Result<u8, NotFlow> {
    bytes.get(at).copied().ok_or(NotFlow::LinkTruncated)
}

/// `N` bytes of a header.
fn header<const N: usize>(bytes: &[u8], at: usize) -> Result<&[u8; N], NotFlow> {
    bytes_at::<N>(bytes, at).ok_or(NotFlow::LinkTruncated)
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, NotFlow> {
    u16_at(bytes, at).ok_or(NotFlow::LinkTruncated)
}
