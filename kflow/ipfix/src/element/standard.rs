//! IANA's elements, by part (registry "IP Flow Information Export (IPFIX) Entities").

use super::{Element, Sender, VARIABLE, iana, iana_bytes, write_ipv4, write_ipv6, write_variable};

/// First and last packet: absolute, in milliseconds.
pub(crate) const TIMES_MS: &[Element] = &[
    iana(152, 8, "flowStartMilliseconds", |side| side.start_ms()),
    iana(153, 8, "flowEndMilliseconds", |side| side.end_ms()),
];

/// The same in the format of NTP, which keeps nanoseconds (RFC 7011, 6.1.10).
pub(crate) const TIMES_NS: &[Element] = &[
    iana(156, 8, "flowStartNanoseconds", |side| ntp(side.record.start_ns.min(side.record.end_ns))),
    iana(157, 8, "flowEndNanoseconds", |side| ntp(side.record.end_ns)),
];

pub(crate) const ADDRESSES_V4: &[Element] = &[
    iana_bytes(8, 4, "sourceIPv4Address", |side, output| write_ipv4(side.from().address, output)),
    iana_bytes(12, 4, "destinationIPv4Address", |side, output| write_ipv4(side.to().address, output)),
];

pub(crate) const ADDRESSES_V6: &[Element] = &[
    iana_bytes(27, 16, "sourceIPv6Address", |side, output| write_ipv6(side.from().address, output)),
    iana_bytes(28, 16, "destinationIPv6Address", |side, output| write_ipv6(side.to().address, output)),
];

pub(crate) const PORTS: &[Element] = &[
    iana(7, 2, "sourceTransportPort", |side| side.from().port.into()),
    iana(11, 2, "destinationTransportPort", |side| side.to().port.into()),
];

/// Instead of ports.
pub(crate) const ICMP_V4: &[Element] = &[iana(32, 2, "icmpTypeCodeIPv4", icmp_type_code)];

pub(crate) const ICMP_V6: &[Element] = &[iana(139, 2, "icmpTypeCodeIPv6", icmp_type_code)];

pub(crate) const PROTOCOL: &[Element] =
    &[iana(4, 1, "protocolIdentifier", |side| side.record.protocol.into())];

/// Of the flow, whoever sent.
pub(crate) const FLOW: &[Element] = &[
    iana(136, 1, "flowEndReason", |side| side.record.end_reason as u64),
    // RFC 5103, 6.3: whose record this is of the two, or that the source of a record of both was first.
    iana(239, 1, "biflowDirection", |side| match side.sender {
        Sender::Source => 1,
        Sender::Destination => 2,
    }),
    iana_bytes(56, 6, "sourceMacAddress", |side, output| output.extend_from_slice(&side.from().mac.0)),
    iana_bytes(80, 6, "destinationMacAddress", |side, output| output.extend_from_slice(&side.to().mac.0)),
];

/// What one side sent.
pub(crate) const COUNTERS: &[Element] = &[
    iana(1, 8, "octetDeltaCount", |side| side.counters().bytes),
    iana(2, 8, "packetDeltaCount", |side| side.counters().packets),
    iana(352, 8, "layer2OctetDeltaCount", |side| side.counters().frame_bytes),
    iana(5, 1, "ipClassOfService", |side| side.counters().tos.into()),
    // 16 bits since RFC 7125.
    iana(6, 2, "tcpControlBits", |side| side.counters().tcp_flags.into()),
    iana(52, 1, "minimumTTL", |side| side.counters().ttl_min.into()),
    iana(53, 1, "maximumTTL", |side| side.counters().ttl_max.into()),
    iana(58, 2, "vlanId", |side| side.counters().vlan.into()),
];

/// Behind the outermost VLAN; part of what few flows have.
pub(crate) const INNER_VLAN: Element =
    iana(245, 2, "dot1qCustomerVlanId", |side| side.counters().inner_vlan.into());

/// An entry of the stack: 20 bits of label; the others are not known and zero.
pub(crate) const MPLS: &[Element] = &[iana(70, 3, "mplsTopLabelStackSection", |side| {
    u64::from(side.counters().mpls_label.unwrap_or_default()) << 4
})];

/// How the flow was chosen; the number of the selector is the rate.
pub(crate) const SELECTOR: &[Element] = &[iana(302, 4, "selectorId", |side| side.record.sample_rate.into())];

/// The plain name of the application's protocol.
pub(crate) const APPLICATION_NAME: Element = iana_bytes(96, VARIABLE, "applicationName", |side, output| {
    write_variable(side.record.app_protocol.map_or("", |protocol| protocol.name()).as_bytes(), output);
});

pub(crate) fn icmp_type_code(side: &super::Side<'_>) -> u64 {
    let kind = side.record.icmp;
    u64::from(kind.kind) << 8 | u64::from(kind.code)
}

/// Seconds since 1900 in the upper half, fractions of 2⁻³² s in the lower. Rounded so that nanoseconds can be read
/// back by rounding.
fn ntp(ns: u64) -> u64 {
    const UNIX_EPOCH_S: u64 = 2_208_988_800;
    let seconds = (ns / 1_000_000_000 + UNIX_EPOCH_S) & 0xFFFF_FFFF;
    let fraction = (((ns % 1_000_000_000) << 32) + 500_000_000) / 1_000_000_000;
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_read_back_by_rounding() {
        for ns in [0, 1, 2, 3, 499_999_999, 500_000_000, 999_999_998, 999_999_999] {
            let fraction = ntp(1_795_000_000_000_000_000 + ns) & 0xFFFF_FFFF;
            assert_eq!((fraction * 1_000_000_000 + (1 << 31)) >> 32, ns);
        }
    }
}
