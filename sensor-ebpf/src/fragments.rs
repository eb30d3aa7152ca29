//! The ports of fragmented packets: left behind by the first fragment, taken up by the later ones.
//!
//! All fragments of one packet are steered and sampled alike, so that one worker can put them together. What they are
//! steered by, the fragment that is seen first decides: the first fragment by its flow, which keeps the packet with
//! the whole packets of its flow; a later one by the addresses alone. Where the first fragment was not seen, or was
//! pushed out of the map since, ports are zero for the filter.
//!
//! An entry has no age: where an identification is used again between the same hosts, and the first fragment is lost,
//! later fragments go where the packet before went. Userspace, which puts packets together, decides for itself.
//!
//! The map evicts what was least recently used. That is the right policy for packets that are complete within a
//! millisecond, and a full one costs several times the rest of the program, which only fragments pay.

use crate::{classify::V6Address, maps::FRAGMENTS, packet};
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};

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
    /// A later fragment came first: the packet is steered by its addresses.
    pub is_late: bool,
}

const LATE: u64 = 1 << 40;

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
    pub fn first(&self, protocol: u8, ports: u32) -> Upper {
        let is_late = match self.recall() {
            Some(known) => known.is_late,
            None => false,
        };
        let upper = Upper { protocol, ports, is_late };
        let _ = FRAGMENTS.insert(self, upper.to_value(), u64::from(BPF_ANY));
        upper
    }

    /// What is known of the packet of a later fragment, which itself names no more than the protocol.
    #[inline(always)]
    pub fn later(&self, protocol: u8) -> Upper {
        if let Some(known) = self.recall() {
            return known;
        }
        let upper = Upper { protocol, ports: 0, is_late: true };
        // Meanwhile another CPU may have seen the first one.
        let _ = FRAGMENTS.insert(self, upper.to_value(), u64::from(BPF_NOEXIST));
        upper
    }

    #[inline(always)]
    fn recall(&self) -> Option<Upper> {
        let value = packet::value_of(FRAGMENTS.get_ptr(self)?);
        Some(Upper { protocol: (value >> 32) as u8, ports: value as u32, is_late: value & LATE != 0 })
    }
}

impl Upper {
    /// Of a packet that is not in fragments, or whose fragments all say as much.
    #[inline(always)]
    pub const fn of(protocol: u8, ports: u32) -> Upper {
        Upper { protocol, ports, is_late: false }
    }

    #[inline(always)]
    fn to_value(self) -> u64 {
        let late = if self.is_late { LATE } else { 0 };
        late | u64::from(self.protocol) << 32 | u64::from(self.ports)
    }
}
