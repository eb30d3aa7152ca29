//! Columns of how long answers took, for every protocol.

use super::access::{field, part};
use super::{Column, Group, own};

part!(
    COLUMNS,
    each,
    [
        Column {
            name: "first_response_latency_us",
            group: Group::Always,
            access: field!(latency.first_response_us),
            wire: own(29, "FIRST_RESPONSE_LATENCY_US"),
            unit: "µs",
            meaning: "From the source's first payload to the destination's first, over the flow's whole life.",
            unknown: "until both were seen in this order",
        },
        Column {
            name: "response_latency_min_us",
            group: Group::Always,
            access: field!(latency.response_min_us),
            wire: own(30, "RESPONSE_LATENCY_MIN_US"),
            unit: "µs",
            meaning: "From the last packet of a request to the first of its answer: the shortest.",
            unknown: "without an answer in the span",
        },
        Column {
            name: "response_latency_mean_us",
            group: Group::Always,
            access: field!(latency.response_mean_us),
            wire: own(31, "RESPONSE_LATENCY_MEAN_US"),
            unit: "µs",
            meaning: "The same: the mean.",
            unknown: "without an answer in the span",
        },
        Column {
            name: "response_latency_max_us",
            group: Group::Always,
            access: field!(latency.response_max_us),
            wire: own(32, "RESPONSE_LATENCY_MAX_US"),
            unit: "µs",
            meaning: "The same: the longest.",
            unknown: "without an answer in the span",
        },
        Column {
            name: "responses",
            group: Group::Always,
            access: field!(latency.responses),
            wire: own(33, "RESPONSES"),
            unit: "answers",
            meaning: "Answers in the span: turns from the source sending to the destination sending, ICMP echo replies.",
            unknown: "",
        },
    ]
);
