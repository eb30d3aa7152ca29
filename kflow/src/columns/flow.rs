//! Columns of the flow as a whole: when, between whom, why it ended, what else identifies it.

use super::access::{Access, Kind, Value, address_field, field, part};
use super::{Column, Group, Wire, own};

part!(
    ENDPOINTS,
    each_endpoint,
    [
        Column {
            name: "start_ns",
            group: Group::Always,
            access: field!(start_ns),
            wire: Wire::Field("timestampNano"),
            unit: "ns",
            meaning: "First packet, since the Unix epoch.",
            unknown: "",
        },
        Column {
            name: "end_ns",
            group: Group::Always,
            access: field!(end_ns),
            wire: own(1, "FLOW_END_NS"),
            unit: "ns",
            meaning: "Last packet, since the Unix epoch.",
            unknown: "",
        },
        Column {
            name: "source_address",
            group: Group::Always,
            access: address_field!(source.address),
            wire: Wire::Field("ipv4SrcAddr or ipv6SrcAddr"),
            unit: "",
            meaning: "Address of the side that was seen first.",
            unknown: "",
        },
        Column {
            name: "source_port",
            group: Group::Always,
            access: field!(source.port),
            wire: Wire::Field("l4SrcPort"),
            unit: "",
            meaning: "TCP, UDP or SCTP port; 0 for protocols without ports.",
            unknown: "",
        },
        Column {
            name: "destination_address",
            group: Group::Always,
            access: address_field!(destination.address),
            wire: Wire::Field("ipv4DstAddr or ipv6DstAddr"),
            unit: "",
            meaning: "Address of the other side.",
            unknown: "",
        },
        Column {
            name: "destination_port",
            group: Group::Always,
            access: field!(destination.port),
            wire: Wire::Field("l4DstPort"),
            unit: "",
            meaning: "TCP, UDP or SCTP port; 0 for protocols without ports.",
            unknown: "",
        },
        Column {
            name: "protocol",
            group: Group::Always,
            access: field!(protocol),
            wire: Wire::Field("protocol"),
            unit: "",
            meaning: "IP protocol number.",
            unknown: "",
        },
        Column {
            name: "icmp_type",
            group: Group::Always,
            access: field!(icmp.kind),
            wire: Wire::Field("l4DstPort, bits 8 to 15"),
            unit: "",
            meaning: "Type of the first ICMP or ICMPv6 message; 0 for other protocols.",
            unknown: "",
        },
        Column {
            name: "icmp_code",
            group: Group::Always,
            access: field!(icmp.code),
            wire: Wire::Field("l4DstPort, bits 0 to 7"),
            unit: "",
            meaning: "Code of the first ICMP or ICMPv6 message; 0 for other protocols.",
            unknown: "",
        },
        Column {
            name: "source_mac",
            group: Group::Always,
            access: field!(source.mac),
            wire: Wire::Field("srcEthMac"),
            unit: "",
            meaning: "Link-layer address of the source; zero when the link has none.",
            unknown: "",
        },
        Column {
            name: "destination_mac",
            group: Group::Always,
            access: field!(destination.mac),
            wire: Wire::Field("dstEthMac"),
            unit: "",
            meaning: "Link-layer address of the destination; zero when the link has none.",
            unknown: "",
        },
    ]
);

part!(
    END,
    each_end,
    [
        Column {
            name: "end_reason",
            group: Group::Always,
            access: field!(end_reason),
            wire: own(10, "FLOW_END_REASON"),
            unit: "",
            meaning: "Why the record was exported; numbers in the message are those of IPFIX, from 128 on this project's own.",
            unknown: "",
        },
        Column {
            name: "sample_rate",
            group: Group::Always,
            access: field!(sample_rate),
            wire: Wire::Field("sampleRate"),
            unit: "flows",
            meaning: "One in so many flows was looked at.",
            unknown: "",
        },
    ]
);

part!(
    IDENTITY,
    each_identity,
    [
        Column {
            name: "community_id",
            group: Group::Always,
            access: Access::CommunityId,
            wire: own(11, "COMMUNITY_ID"),
            unit: "",
            meaning: "Community ID version 1, seed 0: the same in every record of the flow and in other tools.",
            unknown: "",
        },
        Column {
            name: "sampling",
            group: Group::Always,
            access: Access::Number {
                kind: Kind::Text,
                value: |record| Some(Value::Name(if record.sample_rate > 1 { "flow" } else { "none" })),
                wire: |_| None,
                set: |_, _| Some(()),
            },
            wire: Wire::Implied("sampleRate"),
            unit: "",
            meaning: "What the sample rate is of: `flow`, whole flows; `none`, all were looked at.",
            unknown: "",
        },
        Column {
            name: "pppoe_session",
            group: Group::Always,
            access: field!(pppoe_session),
            wire: own(12, "PPPOE_SESSION"),
            unit: "",
            meaning: "Session of PPP over Ethernet; 0 for none.",
            unknown: "",
        },
    ]
);
