//! The filter and the sample for what the kernel program did not screen. The same rules as there.

use crate::{
    config::{FilterConfig, Prefix},
    packet::{NotFlow, Packet, Side},
};
use kflow::TunnelKind;
use sensor_ebpf::{Screening, hash};
use std::net::IpAddr;

/// What a worker checks each packet against.
#[derive(Clone, Debug)]
pub struct PacketFilter {
    config: FilterConfig,
    sample_rate: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    NotNamed,
    Include,
    Exclude,
}

impl PacketFilter {
    pub fn new(config: FilterConfig, sample_rate: u32) -> PacketFilter {
        PacketFilter { config, sample_rate }
    }

    /// Whether a packet is wanted, if the kernel program has not decided. What is inside of a tunnel is wanted if the
    /// outermost packet is.
    #[inline]
    pub fn check(&self, packet: &Packet, screening: Screening) -> Result<(), NotFlow> {
        let is_decided = screening != Screening::None || packet.tunnel.kind != TunnelKind::None;
        if is_decided || self.config.is_empty() || self.passes(packet) {
            return Ok(());
        }
        Err(NotFlow::Filtered)
    }

    /// Whether the flow that a packet is counted to is in the sample, if the kernel program has not decided.
    #[inline]
    pub fn check_sample(&self, flow_hash: u64, screening: Screening) -> Result<(), NotFlow> {
        if screening == Screening::Full || hash::is_sampled(flow_hash, self.sample_rate) {
            return Ok(());
        }
        Err(NotFlow::SampledOut)
    }

    fn passes(&self, packet: &Packet) -> bool {
        let FilterConfig {
            include_prefixes,
            exclude_prefixes,
            include_ports,
            exclude_ports,
            include_protocols,
            exclude_protocols,
        } = &self.config;
        let ends = [packet.key.end(Side::Low), packet.key.end(Side::High)];
        let prefixes = ends.map(|(address, _)| prefix_rule(address, include_prefixes, exclude_prefixes));
        let ports = ends.map(|(_, port)| rule(&port, include_ports, exclude_ports));
        let protocol = rule(&packet.key.protocol(), include_protocols, exclude_protocols);
        pair_passes(prefixes, include_prefixes.is_empty())
            && pair_passes(ports, include_ports.is_empty())
            && pair_passes([protocol; 2], include_protocols.is_empty())
    }
}

/// Excluded on either side means no; where something is included, one side must be.
fn pair_passes(rules: [Rule; 2], nothing_included: bool) -> bool {
    !rules.contains(&Rule::Exclude) && (nothing_included || rules.contains(&Rule::Include))
}

fn rule<T: PartialEq>(value: &T, include: &[T], exclude: &[T]) -> Rule {
    if exclude.contains(value) {
        return Rule::Exclude;
    }
    if include.contains(value) { Rule::Include } else { Rule::NotNamed }
}

/// The rule of the longest prefix; of equal ones, exclusion.
fn prefix_rule(address: IpAddr, include: &[Prefix], exclude: &[Prefix]) -> Rule {
    let longest = |prefixes: &[Prefix]| {
        prefixes.iter().filter(|prefix| prefix.contains(address)).map(|prefix| prefix.length).max()
    };
    match (longest(include), longest(exclude)) {
        (None, None) => Rule::NotNamed,
        (included, excluded) if included > excluded => Rule::Include,
        _ => Rule::Exclude,
    }
}
