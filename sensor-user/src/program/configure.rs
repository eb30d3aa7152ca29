//! Settings and filter: from the config into the program's maps.

use super::{AttachError, ProgramRequest, TunnelSteering, borrowed, error::refused};
use crate::config::FilterConfig;
use aya::{
    Ebpf,
    maps::{Array, MapData, MapError, lpm_trie::Key, lpm_trie::LpmTrie},
};
use sensor_ebpf::{
    Settings, TUNNEL_PORT_WORDS,
    filter_rule::{EXCLUDE, INCLUDE, NOT_NAMED},
    names, settings_flags, tunnel_port,
};
use std::net::IpAddr;

/// The settings of a request, but for the flags of the filter.
pub(super) fn settings_of(request: &ProgramRequest<'_>) -> Settings {
    let mut settings = request.settings;
    if request.tunnels.is_some() {
        settings.flags |= settings_flags::INNER_FLOWS;
    }
    settings
}

/// Sets the bit of each port.
pub(super) fn write_tunnels(ebpf: &mut Ebpf, tunnels: &TunnelSteering) -> Result<(), AttachError> {
    let mut words = [0; TUNNEL_PORT_WORDS as usize];
    // Zero stands for a packet without ports.
    for port in tunnels.ports.iter().filter(|port| **port != 0) {
        let (word, bit) = tunnel_port(*port);
        words[word as usize] |= bit;
    }
    let mut array: Array<_, u64> = borrowed(ebpf, names::TUNNEL_PORTS, Array::try_from)?;
    for (index, word) in (0..).zip(words) {
        array.set(index, word, 0).map_err(|error| refused("write the ports of tunnels", error))?;
    }
    Ok(())
}

pub(super) fn write_settings(
    ebpf: &mut Ebpf,
    settings: Settings,
    filter: &FilterConfig,
) -> Result<(), AttachError> {
    let mut flags = settings.flags;
    let mut set = |flag: u32, is_set: bool| {
        flags = if is_set { flags | flag } else { flags & !flag };
    };
    set(settings_flags::FILTER, !filter.is_empty());
    set(settings_flags::INCLUDE_PREFIXES, !filter.include_prefixes.is_empty());
    set(settings_flags::INCLUDE_PORTS, !filter.include_ports.is_empty());
    set(settings_flags::INCLUDE_PROTOCOLS, !filter.include_protocols.is_empty());
    let settings = SettingsPod(Settings { flags, ..settings });
    let mut array: Array<_, SettingsPod> = borrowed(ebpf, names::SETTINGS, Array::try_from)?;
    array.set(0, settings, 0).map_err(|error| refused("write the program's settings", error))
}

/// What to do with the rules of a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Write,
    Erase,
}

pub(super) fn edit_filter(ebpf: &mut Ebpf, filter: &FilterConfig, edit: Edit) -> Result<(), AttachError> {
    let failed = |error| refused("write the filter", error);
    for (prefix, rule) in rules(&filter.include_prefixes, &filter.exclude_prefixes) {
        match prefix.address {
            IpAddr::V4(address) => {
                let mut trie: LpmTrie<_, [u8; 4], u8> =
                    borrowed(ebpf, names::PREFIXES_V4, LpmTrie::try_from)?;
                edit_prefix(&mut trie, address.octets(), prefix.length, rule, edit)
            }
            IpAddr::V6(address) => {
                let mut trie: LpmTrie<_, [u8; 16], u8> =
                    borrowed(ebpf, names::PREFIXES_V6, LpmTrie::try_from)?;
                edit_prefix(&mut trie, address.octets(), prefix.length, rule, edit)
            }
        }
        .map_err(failed)?;
    }
    let value = |rule| if edit == Edit::Write { rule } else { NOT_NAMED };
    let mut ports: Array<_, u8> = borrowed(ebpf, names::PORTS, Array::try_from)?;
    for (port, rule) in rules(&filter.include_ports, &filter.exclude_ports) {
        ports.set(u32::from(*port), value(rule), 0).map_err(failed)?;
    }
    let mut protocols: Array<_, u8> = borrowed(ebpf, names::PROTOCOLS, Array::try_from)?;
    for (protocol, rule) in rules(&filter.include_protocols, &filter.exclude_protocols) {
        protocols.set(u32::from(*protocol), value(rule), 0).map_err(failed)?;
    }
    Ok(())
}

fn edit_prefix<const N: usize>(
    trie: &mut LpmTrie<&mut MapData, [u8; N], u8>,
    address: [u8; N],
    length: u8,
    rule: u8,
    edit: Edit,
) -> Result<(), MapError>
where
    [u8; N]: aya::Pod,
{
    let key = Key::new(u32::from(length), address);
    match edit {
        Edit::Write => trie.insert(&key, rule, 0),
        // Erased already if it was both included and excluded.
        Edit::Erase => trie.remove(&key).or(Ok(())),
    }
}

/// Exclusions last, so that they win over an equal inclusion.
fn rules<'a, T>(include: &'a [T], exclude: &'a [T]) -> impl Iterator<Item = (&'a T, u8)> {
    include.iter().map(|value| (value, INCLUDE)).chain(exclude.iter().map(|value| (value, EXCLUDE)))
}

/// [`Settings`] as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct SettingsPod(Settings);

#[expect(unsafe_code, reason = "aya::Pod is the promise that any bytes are a value")]
mod pod {
    // SAFETY: integers only, no padding (asserted by size in the contract).
    unsafe impl aya::Pod for super::SettingsPod {}
}
