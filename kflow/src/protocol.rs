//! The IP protocol numbers (IANA "Assigned Internet Protocol Numbers") whose records have something of their
//! own.

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// Whether a flow of this protocol has a type and code instead of ports.
pub(crate) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}
