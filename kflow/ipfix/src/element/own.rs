//! This project's own elements: what IANA has no element for.
//!
//! Their numbers follow from the ids of the custom columns of the flow message: 10000 more than an own column's number,
//! 10900 more than a common column's. They never change their meaning. The test of `IPFIX.md` holds the two together.
//!
//! A field of a template cannot be absent from one record. So values that may be unknown are zero if they are, and the
//! part's element `…_known` has a bit for each that is known.

use super::{Element, Namespace, Side, Write, standard, write_ipv4, write_ipv6};

/// What few flows have, of one side.
pub(crate) const PATH: &[Element] = &[
    standard::INNER_VLAN,
    directed(10_004, 10_005, 4, "fragments", |side| side.counters().fragments.into()),
    directed(10_021, 10_022, 4, "ecn_ce_packets", |side| side.counters().ecn_ce_packets.into()),
];

pub(crate) const PPPOE: &[Element] =
    &[flow(10_012, 2, "pppoe_session", |side| side.record.pppoe_session.into())];

pub(crate) const TUNNEL: &[Element] = &[
    flow(10_023, 1, "tunnel", |side| side.record.tunnel.kind as u64),
    flow(10_024, 1, "tunnel_depth", |side| side.record.tunnel.depth.into()),
    flow(10_025, 4, "tunnel_forward_id", |side| side.record.tunnel.forward_id.into()),
    flow(10_026, 4, "tunnel_reverse_id", |side| side.record.tunnel.reverse_id.into()),
];

pub(crate) const TUNNEL_SOURCE_V4: &[Element] =
    &[address(10_027, 4, "tunnel_source_address", |side, output| write_ipv4(side.tunnel_ends().0, output))];
pub(crate) const TUNNEL_SOURCE_V6: &[Element] =
    &[address(10_127, 16, "tunnel_source_address", |side, output| write_ipv6(side.tunnel_ends().0, output))];
pub(crate) const TUNNEL_DESTINATION_V4: &[Element] =
    &[address(10_028, 4, "tunnel_destination_address", |side, output| {
        write_ipv4(side.tunnel_ends().1, output);
    })];
pub(crate) const TUNNEL_DESTINATION_V6: &[Element] =
    &[address(10_128, 16, "tunnel_destination_address", |side, output| {
        write_ipv6(side.tunnel_ends().1, output);
    })];

pub(crate) const LATENCY: &[Element] = &[
    flow(10_501, 1, "latency_known", |side| {
        let latency = &side.record.latency;
        known(&[
            latency.first_response_us.is_some(),
            latency.response_min_us.is_some(),
            latency.response_mean_us.is_some(),
            latency.response_max_us.is_some(),
        ])
    }),
    flow(10_029, 4, "first_response_latency_us", |side| zero(side.record.latency.first_response_us)),
    flow(10_030, 4, "response_latency_min_us", |side| zero(side.record.latency.response_min_us)),
    flow(10_031, 4, "response_latency_mean_us", |side| zero(side.record.latency.response_mean_us)),
    flow(10_032, 4, "response_latency_max_us", |side| zero(side.record.latency.response_max_us)),
    flow(10_033, 4, "responses", |side| side.record.latency.responses.into()),
];

/// Of the whole connection.
pub(crate) const CONNECTION: &[Element] = &[
    flow(10_034, 1, "tcp_state", |side| side.record.tcp.state as u64),
    flow(10_035, 1, "tcp_handshake", |side| side.record.tcp.handshake.into()),
    flow(10_502, 1, "tcp_known", |side| {
        let tcp = &side.record.tcp;
        known(&[
            tcp.client_network_us.is_some(),
            tcp.server_network_us.is_some(),
            tcp.total_network_us.is_some(),
        ])
    }),
    flow(10_036, 4, "client_network_latency_us", |side| zero(side.record.tcp.client_network_us)),
    flow(10_037, 4, "server_network_latency_us", |side| zero(side.record.tcp.server_network_us)),
    flow(10_038, 4, "total_network_latency_us", |side| zero(side.record.tcp.total_network_us)),
];

/// What one side announced and how it was answered.
pub(crate) const TCP: &[Element] = &[
    directed(10_039, 10_040, 1, "tcp_first_flags", |side| side.tcp().first_flags.into()),
    directed(10_503, 10_504, 1, "tcp_side_known", |side| {
        let tcp = side.tcp();
        known(&[
            tcp.mss.is_some(),
            tcp.window_scale.is_some(),
            tcp.receive_window.is_some(),
            tcp.receive_window_min.is_some(),
            tcp.rtt_min_us.is_some(),
            tcp.rtt_mean_us.is_some(),
            tcp.rtt_max_us.is_some(),
            tcp.rtt_jitter_us.is_some(),
        ])
    }),
    directed(10_041, 10_042, 2, "tcp_mss", |side| side.tcp().mss.unwrap_or_default().into()),
    directed(10_043, 10_044, 1, "tcp_window_scale", |side| {
        side.tcp().window_scale.unwrap_or_default().into()
    }),
    directed(10_045, 10_046, 1, "tcp_sack_permitted", |side| side.tcp().sack_permitted.into()),
    directed(10_069, 10_070, 4, "receive_window", |side| zero(side.tcp().receive_window)),
    directed(10_071, 10_072, 4, "receive_window_min", |side| zero(side.tcp().receive_window_min)),
    directed(10_073, 10_074, 4, "rtt_min_us", |side| zero(side.tcp().rtt_min_us)),
    directed(10_075, 10_076, 4, "rtt_mean_us", |side| zero(side.tcp().rtt_mean_us)),
    directed(10_077, 10_078, 4, "rtt_max_us", |side| zero(side.tcp().rtt_max_us)),
    directed(10_079, 10_080, 4, "rtt_jitter_us", |side| zero(side.tcp().rtt_jitter_us)),
    directed(10_081, 10_082, 4, "rtt_samples", |side| side.tcp().rtt_samples.into()),
];

/// What went wrong on the way, of one side; records in which nothing did are without it.
pub(crate) const TROUBLE: &[Element] = &[
    directed(10_901, 10_902, 4, "retransmitted_packets", |side| side.tcp().retransmitted_packets.into()),
    directed(10_047, 10_048, 8, "retransmitted_bytes", |side| side.tcp().retransmitted_bytes),
    directed(10_049, 10_050, 4, "fast_retransmits", |side| side.tcp().fast_retransmits.into()),
    directed(10_051, 10_052, 4, "spurious_retransmits", |side| side.tcp().spurious_retransmits.into()),
    directed(10_053, 10_054, 4, "repeated_retransmits", |side| side.tcp().repeated_retransmits.into()),
    directed(10_903, 10_904, 4, "out_of_order_packets", |side| side.tcp().out_of_order_packets.into()),
    directed(10_055, 10_056, 4, "duplicate_acks", |side| side.tcp().duplicate_acks.into()),
    directed(10_057, 10_058, 4, "lost_segments", |side| side.tcp().lost_segments.into()),
    directed(10_059, 10_060, 4, "capture_gaps", |side| side.tcp().capture_gaps.into()),
    directed(10_061, 10_062, 8, "capture_gap_bytes", |side| side.tcp().capture_gap_bytes),
    directed(10_063, 10_064, 4, "keep_alives", |side| side.tcp().keep_alives.into()),
    directed(10_065, 10_066, 4, "zero_windows", |side| side.tcp().zero_windows.into()),
    directed(10_067, 10_068, 4, "zero_window_us", |side| side.tcp().zero_window_us.into()),
];

/// Whether the part has anything to say.
pub(crate) fn has_trouble(side: &Side<'_>) -> bool {
    let tcp = side.tcp();
    let counts = tcp.retransmitted_packets
        | tcp.fast_retransmits
        | tcp.spurious_retransmits
        | tcp.repeated_retransmits
        | tcp.out_of_order_packets
        | tcp.duplicate_acks
        | tcp.lost_segments
        | tcp.capture_gaps
        | tcp.keep_alives
        | tcp.zero_windows
        | tcp.zero_window_us;
    counts != 0 || tcp.retransmitted_bytes | tcp.capture_gap_bytes != 0
}

pub(crate) fn has_path(side: &Side<'_>) -> bool {
    let counters = side.counters();
    counters.fragments | counters.ecn_ce_packets | u32::from(counters.inner_vlan) != 0
}

pub(crate) fn has_latency(side: &Side<'_>) -> bool {
    side.record.latency != kflow::Latency::default()
}

/// An element of the whole flow.
pub(crate) const fn flow(
    number: u16,
    length: u16,
    name: &'static str,
    value: fn(&Side<'_>) -> u64,
) -> Element {
    directed(number, 0, length, name, value)
}

/// An element of what one side sent, and the number of the same of the other side.
const fn directed(
    number: u16,
    reverse: u16,
    length: u16,
    name: &'static str,
    value: fn(&Side<'_>) -> u64,
) -> Element {
    Element { number, namespace: Namespace::Own { reverse }, length, name, write: Write::Number(value) }
}

const fn address(
    number: u16,
    length: u16,
    name: &'static str,
    write: fn(&Side<'_>, &mut Vec<u8>),
) -> Element {
    Element { number, namespace: Namespace::Own { reverse: 0 }, length, name, write: Write::Bytes(write) }
}

/// A bit for each that is known, the first in the lowest bit.
fn known(values: &[bool]) -> u64 {
    values.iter().rev().fold(0, |bits, is_known| bits << 1 | u64::from(*is_known))
}

fn zero(value: Option<u32>) -> u64 {
    value.unwrap_or_default().into()
}
