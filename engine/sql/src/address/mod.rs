//! Addresses and networks: what their texts mean, which of them contain which.
//!
//! An address is 128 bits, an IPv4 one as `::ffff:a.b.c.d`; that is also how a text of this form is understood. In a
//! flow table it is a `FixedSizeBinary(16)`, big-endian, or a `UInt32` if it is an IPv4 one. Bytes in order are
//! addresses in order: IPv4 ones among themselves, IPv6 ones among themselves.

pub(crate) mod column;
pub(crate) mod compare;
pub(crate) mod function;
pub(crate) mod rule;
pub(crate) mod scope;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address in 128 bits.
pub type Address = u128;

/// `::ffff:0:0`, where IPv4 begins, and its length as a prefix.
const MAPPED: u128 = 0xffff_0000_0000;
const MAPPED_BITS: u8 = 96;

/// An IPv4 address among all addresses.
pub fn mapped(address: u32) -> Address {
    MAPPED | u128::from(address)
}

/// The IPv4 address that it is, if it is one.
pub fn to_ipv4(address: Address) -> Option<u32> {
    (address >> 32 == MAPPED >> 32).then_some(address as u32)
}

/// As people write it: `192.0.2.1`, `2001:db8::1` (RFC 5952).
pub fn text(address: Address) -> impl fmt::Display {
    match to_ipv4(address) {
        Some(address) => IpAddr::V4(Ipv4Addr::from_bits(address)),
        None => IpAddr::V6(Ipv6Addr::from_bits(address)),
    }
}

/// The address that a text is; None if it is none.
pub fn parse(text: &str) -> Option<Address> {
    match text.trim().parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => Some(mapped(address.to_bits())),
        IpAddr::V6(address) => Some(address.to_bits()),
    }
}

/// All addresses of one family that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: Address,
    /// Of 128, also for IPv4.
    bits: u8,
}

impl Network {
    /// `bits` are counted as the family does: at most 32 or 128.
    pub fn new(address: Address, bits: u8) -> Option<Network> {
        let (offset, most) = if to_ipv4(address).is_some() { (MAPPED_BITS, 32) } else { (0, 128) };
        if bits > most {
            return None;
        }
        let bits = offset + bits;
        Some(Network { first: address & mask(bits), bits })
    }

    /// The network that a text is: an address with a length, `10.0.0.0/8`, `2001:db8::/32`; without a length, the
    /// address alone. Bits beyond the length do not count, and zeros at the end of an IPv4 network may be left out:
    /// `10/8`.
    pub fn parse(text: &str) -> Option<Network> {
        let text = text.trim();
        let Some((address, bits)) = text.split_once('/') else {
            return Some(Network { first: parse(text)?, bits: 128 });
        };
        let bits = bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?;
        match parse(address) {
            Some(address) => Network::new(address, bits),
            None => Network::new(parse_short(address)?, bits),
        }
    }

    /// The address, if it is one alone.
    pub fn single(self) -> Option<Address> {
        (self.bits == 128).then_some(self.first)
    }

    pub fn first(self) -> Address {
        self.first
    }

    pub fn last(self) -> Address {
        self.first | !mask(self.bits)
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(self) -> bool {
        self.bits >= MAPPED_BITS && to_ipv4(self.first).is_some()
    }

    /// The length as the family counts it.
    pub fn bits(self) -> u8 {
        if self.is_ipv4() { self.bits - MAPPED_BITS } else { self.bits }
    }

    /// Whether IPv4 lies within the bits of an IPv6 network, to which it does not belong.
    fn spans_ipv4(self) -> bool {
        self.bits < MAPPED_BITS && MAPPED & mask(self.bits) == self.first
    }

    pub fn contains(self, address: Address) -> bool {
        address & mask(self.bits) == self.first && !(self.spans_ipv4() && to_ipv4(address).is_some())
    }

    /// Whether each address of the other is one of this.
    pub fn contains_network(self, other: Network) -> bool {
        self.is_ipv4() == other.is_ipv4() && self.bits <= other.bits && self.contains(other.first)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", text(self.first), self.bits())
    }
}

/// `10`, `10.1`: the rest is zeros.
fn parse_short(text: &str) -> Option<Address> {
    let mut octets = [0; 4];
    let mut given = text.split('.');
    for octet in &mut octets {
        let Some(text) = given.next() else { break };
        *octet = text.parse().ok()?;
    }
    given.next().is_none().then(|| mapped(u32::from_be_bytes(octets)))
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn text_of_a_parsed_address_is_the_shortest() {
        for (written, shortest) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::", "::"),
        ] {
            assert_eq!(text(parse(written).unwrap()).to_string(), shortest);
        }
    }

    #[test]
    fn text_that_is_no_address_is_none() {
        for text in ["", "10.0.0", "10.0.0.256", "1.2.3.4/24", "::g", "10.0.0.1 x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn network_may_leave_out_zeros_and_have_bits_beyond_its_length() {
        assert_eq!(network("10/8"), network("10.0.0.0/8"));
        assert_eq!(network("10.1.2.3/8"), network("10.0.0.0/8"));
        assert_eq!(network("10.1/16").to_string(), "10.1.0.0/16");
        assert_eq!(network("2001:db8::5/32").to_string(), "2001:db8::/32");
    }

    #[test]
    fn text_that_is_no_network_is_none() {
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0.0/8", "a/8", "/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn network_contains_what_begins_as_it_does_and_is_of_its_family() {
        let address = |text: &str| parse(text).unwrap();
        assert!(network("10.0.0.0/8").contains(address("10.255.0.1")));
        assert!(!network("10.0.0.0/8").contains(address("11.0.0.0")));
        assert!(network("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!network("0.0.0.0/0").contains(address("::1")));
        assert!(network("::/0").contains(address("2001:db8::1")));
        assert!(!network("::/0").contains(address("10.0.0.1")));
        assert!(network("10.0.0.0/8").contains_network(network("10.1.0.0/16")));
        assert!(!network("10.1.0.0/16").contains_network(network("10.0.0.0/8")));
        assert!(!network("::/0").contains_network(network("10.0.0.0/8")));
    }

    #[test]
    fn last_address_of_a_network_ends_in_ones() {
        assert_eq!(text(network("10.0.0.0/8").last()).to_string(), "10.255.255.255");
        assert_eq!(network("::/0").last(), u128::MAX);
        assert_eq!(network("192.0.2.1").last(), network("192.0.2.1").first());
    }
}
