//! Columns of the tunnel directly around a flow's packets.

use super::access::{address_field, field, part};
use super::{Column, Group, own};

part!(
    COLUMNS,
    each,
    [
        Column {
            name: "tunnel",
            group: Group::Tunnel,
            access: field!(tunnel.kind),
            wire: own(23, "TUNNEL"),
            unit: "",
            meaning: "Kind of the tunnel.",
            unknown: "",
        },
        Column {
            name: "tunnel_depth",
            group: Group::Tunnel,
            access: field!(tunnel.depth),
            wire: own(24, "TUNNEL_DEPTH"),
            unit: "headers",
            meaning: "IP headers outside of the counted one.",
            unknown: "",
        },
        Column {
            name: "tunnel_forward_id",
            group: Group::Tunnel,
            access: field!(tunnel.forward_id),
            wire: own(25, "TUNNEL_ID_IN"),
            unit: "",
            meaning: "VNI, key, session, TEID or SPI of packets that the source sent; 0 where the kind has none.",
            unknown: "",
        },
        Column {
            name: "tunnel_reverse_id",
            group: Group::Tunnel,
            access: field!(tunnel.reverse_id),
            wire: own(26, "TUNNEL_ID_OUT"),
            unit: "",
            meaning: "The same of packets that the destination sent; 0 if there were none.",
            unknown: "",
        },
        Column {
            name: "tunnel_source_address",
            group: Group::Tunnel,
            access: address_field!(tunnel.source),
            wire: own(27, "TUNNEL_SRC_ADDR"),
            unit: "",
            meaning: "Outer source address of packets that the source sent.",
            unknown: "",
        },
        Column {
            name: "tunnel_destination_address",
            group: Group::Tunnel,
            access: address_field!(tunnel.destination),
            wire: own(28, "TUNNEL_DST_ADDR"),
            unit: "",
            meaning: "Outer destination address of packets that the source sent.",
            unknown: "",
        },
    ]
);
