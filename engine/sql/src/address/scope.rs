//! What an address is for, by the registries of special-purpose addresses (RFC 6890 and its updates at IANA).

use super::{Address, Network, to_ipv4};

/// Private IPv4 (RFC 1918) or unique local IPv6 (RFC 4193).
pub(crate) fn is_private(address: Address) -> bool {
    match to_ipv4(address) {
        Some(v4) => v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8,
        None => address >> 121 == 0xfc >> 1,
    }
}

/// 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291).
pub(crate) fn is_multicast(address: Address) -> bool {
    match to_ipv4(address) {
        Some(v4) => v4 >> 28 == 0xe,
        None => address >> 120 == 0xff,
    }
}

/// 127.0.0.0/8 or ::1.
pub(crate) fn is_loopback(address: Address) -> bool {
    match to_ipv4(address) {
        Some(v4) => v4 >> 24 == 127,
        None => address == 1,
    }
}

/// 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
pub(crate) fn is_link_local(address: Address) -> bool {
    match to_ipv4(address) {
        Some(v4) => v4 >> 16 == 0xa9fe,
        None => address >> 118 == 0xfe80 >> 6,
    }
}

/// IPv4 that is not globally reachable, beside what the functions above say: first address and length.
const NOT_GLOBAL_IPV4: [(u32, u8); 8] = [
    (0x0000_0000, 8),  // this network
    (0x6440_0000, 10), // shared address space (RFC 6598)
    (0xc000_0000, 24), // protocol assignments
    (0xc000_0200, 24), // documentation
    (0xc612_0000, 15), // benchmarks
    (0xc633_6400, 24), // documentation
    (0xcb00_7100, 24), // documentation
    (0xf000_0000, 4),  // reserved, and the broadcast
];

/// The same for IPv6 within 2000::/3, all of which else is global unicast.
const NOT_GLOBAL_IPV6: [(u128, u8); 3] = [
    (0x2001 << 112, 23),     // protocol assignments
    (0x2001_0db8 << 96, 32), // documentation
    (0x3fff << 112, 20),     // documentation (RFC 9637)
];

/// Reachable over the internet: unicast, of nobody's private use, not reserved.
pub(crate) fn is_global(address: Address) -> bool {
    let Some(v4) = to_ipv4(address) else {
        let reserved = NOT_GLOBAL_IPV6.iter().any(|&(first, bits)| is_in(address, first, bits));
        return address >> 125 == 1 && !reserved;
    };
    let reserved = NOT_GLOBAL_IPV4.iter().any(|&(first, bits)| is_in(address, super::mapped(first), bits));
    let special =
        is_private(address) || is_multicast(address) || is_loopback(address) || is_link_local(address);
    !reserved && !special && v4 != u32::MAX
}

fn is_in(address: Address, first: Address, bits: u8) -> bool {
    Network::new(first, bits).is_some_and(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::parse;

    fn which(text: &str) -> Vec<&'static str> {
        let address = parse(text).unwrap();
        type Test = fn(Address) -> bool;
        let all: [(&'static str, Test); 5] = [
            ("private", is_private),
            ("multicast", is_multicast),
            ("loopback", is_loopback),
            ("link-local", is_link_local),
            ("global", is_global),
        ];
        all.into_iter().filter(|(_, is)| is(address)).map(|(name, _)| name).collect()
    }

    #[test]
    fn addresses_are_what_the_registries_say() {
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "fc00::1",
            "fdff::1",
        ] {
            assert_eq!(which(text), ["private"], "{text}");
        }
        for text in ["224.0.0.1", "239.255.255.255", "ff02::1"] {
            assert_eq!(which(text), ["multicast"], "{text}");
        }
        for text in ["127.0.0.1", "127.255.0.1", "::1"] {
            assert_eq!(which(text), ["loopback"], "{text}");
        }
        for text in ["169.254.1.1", "fe80::1", "febf::1"] {
            assert_eq!(which(text), ["link-local"], "{text}");
        }
        for text in ["8.8.8.8", "172.32.0.1", "11.0.0.0", "2606:4700::1", "2400::1", "1.1.1.1"] {
            assert_eq!(which(text), ["global"], "{text}");
        }
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "192.0.2.1",
            "100.64.0.1",
            "2001:db8::1",
            "::",
            "fec0::1",
            "3fff::1",
        ] {
            assert!(which(text).is_empty(), "{text}");
        }
    }
}
