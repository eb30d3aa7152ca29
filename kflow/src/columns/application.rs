//! Columns of what the flow's application speaks and what it said.

use super::access::{Access, derived, field, part};
use super::{Column, Custom, Group, Wire, own};

part!(
    COLUMNS,
    each,
    [
        Column {
            name: "app_protocol",
            group: Group::Application,
            access: field!(app_protocol),
            wire: Wire::Field("appProtocol"),
            unit: "",
            meaning: "What the application speaks, once it was recognised.",
            unknown: "",
        },
        Column {
            name: "transactions",
            group: Group::Application,
            access: field!(transactions),
            wire: own(83, "TRANSACTIONS"),
            unit: "transactions",
            meaning: "Transactions that completed in the span, those in records of their own among them.",
            unknown: "",
        },
        Column {
            name: "application_latency_us",
            group: Group::Application,
            access: Access::ApplicationLatency,
            wire: own(84, "APPLICATION_LATENCY_US"),
            unit: "µs",
            meaning: "From the end of the request to the start of its answer.",
            unknown: "unless both were seen",
        },
        Column {
            name: "application",
            group: Group::Application,
            access: Access::Application,
            wire: Wire::Slots,
            unit: "",
            meaning: "Fields of a transaction of the span, or of the session.",
            unknown: "without one",
        },
        Column {
            name: "app_protocol_number",
            group: Group::Application,
            access: derived(|record| record.app_protocol.map(|protocol| u64::from(protocol.number()))),
            wire: Wire::Derived(Custom { id: 2880, name: "APP_PROTOCOL" }),
            unit: "",
            meaning: "`app_protocol`.",
            unknown: "",
        },
    ]
);
