//! Columns that say anew what others say, under the ids and in the units of receivers that know only these.
//!
//! Latencies are what such receivers are used to: of a network, half of the round trip; at least 1 ms once
//! known; at most 20 s.

use super::access::{Access, derived, part};
use super::{Column, Custom, Group, Wire};
use crate::record::{FlowRecord, TcpDirection};

part!(
    COLUMNS,
    each,
    [
        Column {
            name: "fragments",
            group: Group::Always,
            access: derived(|record| sum(record.forward.fragments, record.reverse.fragments)),
            wire: only_sent(5, "FRAGMENTS"),
            unit: "packets",
            meaning: "IP fragments of both directions.",
            unknown: "",
        },
        Column {
            name: "client_network_latency_ms",
            group: Group::Tcp,
            access: derived(|record| record.tcp.client_network_us.map(half_round_trip_ms)),
            wire: only_sent(6, "CLIENT_NW_LATENCY_MS"),
            unit: "ms",
            meaning: "Half of `client_network_latency_us`, from 1 to 20000.",
            unknown: "when that is",
        },
        Column {
            name: "server_network_latency_ms",
            group: Group::Tcp,
            access: derived(|record| record.tcp.server_network_us.map(half_round_trip_ms)),
            wire: only_sent(7, "SERVER_NW_LATENCY_MS"),
            unit: "ms",
            meaning: "Half of `server_network_latency_us`, from 1 to 20000.",
            unknown: "when that is",
        },
        Column {
            name: "application_latency_ms",
            group: Group::Always,
            access: derived(|record| {
                let latency_us = application_latency_us(record).or(record.latency.response_mean_us);
                latency_us.map(|us| milliseconds(us).max(1))
            }),
            wire: only_sent(8, "APPL_LATENCY_MS"),
            unit: "ms",
            meaning: "`application_latency_us`, or else `response_latency_mean_us`; at least 1.",
            unknown: "when both are",
        },
        Column {
            name: "repeated_retransmits",
            group: Group::Tcp,
            access: derived(|record| of_both(record, |direction| direction.repeated_retransmits)),
            wire: only_sent(2814, "REPEATED_RETRANSMITS"),
            unit: "ranges",
            meaning: "`repeated_retransmits` of both directions.",
            unknown: "",
        },
        Column {
            name: "receive_window",
            group: Group::Tcp,
            access: derived(|record| {
                let (forward, reverse) =
                    (record.tcp.forward.receive_window, record.tcp.reverse.receive_window);
                forward.or(reverse).map(u64::from)
            }),
            wire: only_sent(2815, "RECEIVE_WINDOW"),
            unit: "bytes",
            meaning: "`forward_receive_window`, or else `reverse_receive_window`.",
            unknown: "when both are",
        },
        Column {
            name: "zero_windows",
            group: Group::Tcp,
            access: derived(|record| of_both(record, |direction| direction.zero_windows)),
            wire: only_sent(2816, "ZERO_WINDOWS"),
            unit: "segments",
            meaning: "`zero_windows` of both directions.",
            unknown: "",
        },
        Column {
            name: "connection_id",
            group: Group::Always,
            access: Access::ConnectionId,
            wire: only_sent(2817, "CONNECTION_ID"),
            unit: "",
            meaning: "The last 32 bits of the digest that `community_id` is the text of.",
            unknown: "",
        },
        Column {
            name: "first_response_latency_ms",
            group: Group::Always,
            access: derived(|record| {
                record.latency.first_response_us.map(|us| milliseconds(us).clamp(1, LATENCY_MS_MAX))
            }),
            wire: only_sent(3102, "FPEX_LATENCY_MS"),
            unit: "ms",
            meaning: "`first_response_latency_us`, from 1 to 20000.",
            unknown: "when that is",
        },
    ]
);

/// Retransmitted packets of both directions, for the schema's field.
pub(crate) fn retransmitted_packets(record: &FlowRecord) -> u32 {
    record.tcp.forward.retransmitted_packets.saturating_add(record.tcp.reverse.retransmitted_packets)
}

/// Out of order packets of both directions, for devices that do not tell them apart.
pub(crate) fn out_of_order_packets(record: &FlowRecord) -> u32 {
    record.tcp.forward.out_of_order_packets.saturating_add(record.tcp.reverse.out_of_order_packets)
}

/// Of the record's application.
pub(crate) fn application_latency_us(record: &FlowRecord) -> Option<u32> {
    record.application.as_ref()?.latency_us()
}

const LATENCY_MS_MAX: u64 = 20_000;

const fn only_sent(id: u32, name: &'static str) -> Wire {
    Wire::Derived(Custom { id, name })
}

fn of_both(record: &FlowRecord, count: fn(&TcpDirection) -> u32) -> Option<u64> {
    sum(count(&record.tcp.forward), count(&record.tcp.reverse))
}

/// Left out when it is zero.
fn sum(forward: u32, reverse: u32) -> Option<u64> {
    let sum = forward.saturating_add(reverse);
    (sum != 0).then_some(u64::from(sum))
}

fn half_round_trip_ms(round_trip_us: u32) -> u64 {
    ((u64::from(round_trip_us) + 1_000) / 2_000).clamp(1, LATENCY_MS_MAX)
}

fn milliseconds(us: u32) -> u64 {
    (u64::from(us) + 500) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_latency_is_half_of_the_round_trip_and_at_least_a_millisecond() {
        let cases = [(0, 1), (2_999, 1), (3_000, 2), (80_000, 40), (40_000_000, 20_000), (u32::MAX, 20_000)];
        for (round_trip_us, ms) in cases {
            assert_eq!(half_round_trip_ms(round_trip_us), ms, "{round_trip_us} µs");
        }
    }

    #[test]
    fn a_sum_stays_at_the_largest_number() {
        assert_eq!(sum(u32::MAX, 1), Some(u64::from(u32::MAX)));
        assert_eq!(sum(0, 0), None);
    }
}
