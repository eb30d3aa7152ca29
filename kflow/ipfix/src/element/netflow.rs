//! Fields of NetFlow version 9 (RFC 3954, 8).

use super::{Element, Side, iana, iana_bytes, standard};

/// Milliseconds since the exporter's start, as the header has it.
pub(crate) const TIMES: &[Element] = &[
    iana(22, 4, "FIRST_SWITCHED", |side| since_boot(side, side.start_ms())),
    iana(21, 4, "LAST_SWITCHED", |side| since_boot(side, side.end_ms())),
];

pub(crate) const ICMP: &[Element] = &[iana(32, 2, "ICMP_TYPE", standard::icmp_type_code)];

/// What one side sent.
pub(crate) const COUNTERS: &[Element] = &[
    iana(1, 8, "IN_BYTES", |side| side.counters().bytes),
    iana(2, 8, "IN_PKTS", |side| side.counters().packets),
    iana(5, 1, "SRC_TOS", |side| side.counters().tos.into()),
    iana(6, 1, "TCP_FLAGS", |side| side.counters().tcp_flags.into()),
    iana(52, 1, "MIN_TTL", |side| side.counters().ttl_min.into()),
    iana(53, 1, "MAX_TTL", |side| side.counters().ttl_max.into()),
    iana(58, 2, "SRC_VLAN", |side| side.counters().vlan.into()),
];

/// IPFIX's `flowEndReason`, which collectors take in version 9 too.
pub(crate) const END_REASON: &[Element] =
    &[iana(136, 1, "flowEndReason", |side| side.record.end_reason as u64)];

pub(crate) const MACS: &[Element] = &[
    iana_bytes(56, 6, "IN_SRC_MAC", |side, output| output.extend_from_slice(&side.from().mac.0)),
    iana_bytes(80, 6, "IN_DST_MAC", |side, output| output.extend_from_slice(&side.to().mac.0)),
];

pub(crate) const SAMPLER: &[Element] =
    &[iana(48, 4, "FLOW_SAMPLER_ID", |side| side.record.sample_rate.into())];

fn since_boot(side: &Side<'_>, ms: u64) -> u64 {
    // The anchor is chosen so that ends fit; a start before it is a flow of more than 49 days.
    ms.saturating_sub(side.boot_ms).min(u64::from(u32::MAX))
}
