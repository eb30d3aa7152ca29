//! The ports of fragmented packets: left behind by the first fragment, taken up by the later ones.
//!
//! What hash, filter and sample say of later fragments is then what they say of their flow. A later fragment whose
//! first was not seen, or came behind it, or was pushed out of the map since, has ports zero. An entry has no age:
//! where the first fragment of a packet is lost and its identification was used before between the same hosts, later
//! fragments go where that packet went. Userspace, which puts packets together, decides for itself.
//!
//! The map evicts what was least recently used. That is the right policy for packets that are complete within a
//! millisecond, and a full one costs several times the rest of the program, which only fragments pay.

use crate::{classify::V6Address, maps::FRAGMENTS, packet};

/// What the fragments of one packet have in common (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FragmentKey {
    source: [u64; 2],
    destination: [u64; 2],
    identification: u32,
    version: u16,
    /// Zero for IPv6, where only the first fragment tells.
    protocol: u16,
}

/// What only the first fragment has.
#[derive(Clone, Copy)]
pub struct Upper {
    pub protocol: u8,
    pub ports: u32,
}

impl FragmentKey {
    #[inline(always)]
    pub fn v4(source: u32, destination: u32, identification: u16, protocol: u8) -> FragmentKey {
        FragmentKey {
            source: [0, u64::from(source)],
            destination: [0, u64::from(destination)],
            identification: u32::from(identification),
            version: 4,
            protocol: u16::from(protocol),
        }
    }

    #[inline(always)]
    pub fn v6(source: V6Address, destination: V6Address, identification: u32) -> FragmentKey {
        FragmentKey {
            source: [source.0, source.1],
            destination: [destination.0, destination.1],
            identification,
            version: 6,
            protocol: 0,
        }
    }

    /// Keeps what the first fragment says. Where the kernel has no room, its later ones do without.
    #[inline(always)]
    pub fn remember(&self, upper: Upper) {
        let value = u64::from(upper.protocol) << 32 | u64::from(upper.ports);
        let _ = FRAGMENTS.insert(self, value, 0);
    }

    #[inline(always)]
    pub fn recall(&self) -> Option<Upper> {
        let value = packet::value_of(FRAGMENTS.get_ptr(self)?);
        Some(Upper { protocol: (value >> 32) as u8, ports: value as u32 })
    }
}
