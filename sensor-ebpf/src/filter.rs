//! The filter: prefixes, ports and protocols that are wanted or not.
//!
//! An address takes the rule of its longest prefix. Excluded on either side means dropped; where something is
//! included, one of the two sides must be. Frames without addresses always pass.

use crate::{
    classify::{Addresses, Packed, V6Address},
    maps::{PORTS, PREFIXES_V4, PREFIXES_V6, PROTOCOLS},
};
use aya_ebpf::maps::lpm_trie::Key;
use sensor_ebpf::{
    filter_rule::{EXCLUDE, INCLUDE, NOT_NAMED},
    settings_flags::{INCLUDE_PORTS, INCLUDE_PREFIXES, INCLUDE_PROTOCOLS},
};

#[inline(always)]
pub fn passes(packed: &Packed, flags: u32) -> bool {
    let (source, destination) = match &packed.addresses {
        Addresses::None => return true,
        Addresses::V4 { source, destination } => (prefix_v4(*source), prefix_v4(*destination)),
        Addresses::V6 { source, destination } => (prefix_v6(*source), prefix_v6(*destination)),
    };
    if !pair_passes(source, destination, flags & INCLUDE_PREFIXES != 0) {
        return false;
    }
    let (source, destination) = (port(packed.source_port), port(packed.destination_port));
    if !pair_passes(source, destination, flags & INCLUDE_PORTS != 0) {
        return false;
    }
    let protocol = rule(PROTOCOLS.get(u32::from(packed.protocol)));
    pair_passes(protocol, protocol, flags & INCLUDE_PROTOCOLS != 0)
}

#[inline(always)]
fn pair_passes(source: u8, destination: u8, must_include: bool) -> bool {
    if source == EXCLUDE || destination == EXCLUDE {
        return false;
    }
    !must_include || source == INCLUDE || destination == INCLUDE
}

#[inline(always)]
fn prefix_v4(address: u32) -> u8 {
    rule(PREFIXES_V4.get(Key::new(32, address.to_be_bytes())))
}

#[inline(always)]
fn prefix_v6((upper, lower): V6Address) -> u8 {
    let address = u128::from(upper) << 64 | u128::from(lower);
    rule(PREFIXES_V6.get(Key::new(128, address.to_be_bytes())))
}

#[inline(always)]
fn port(port: u16) -> u8 {
    rule(PORTS.get(u32::from(port)))
}

#[inline(always)]
fn rule(entry: Option<&u8>) -> u8 {
    match entry {
        Some(rule) => *rule,
        None => NOT_NAMED,
    }
}
