//! Columns of each direction: what it counts and which way its packets took.

use super::access::{field, part};
use super::{Column, Group, Wire, own};

/// Counters of one direction. A macro, because names are put together from literals and fields are named by
/// path. It takes the side's field of the record, the names of the part, who sends in this direction, the end
/// of custom columns' names, what to add to the forward direction's ids, and the schema's fields.
macro_rules! counters {
    (
        $side:ident, $list:ident, $each:ident, $sender:literal, $end:literal, $id:literal,
        [$packets:literal, $bytes:literal, $vlan:literal]
    ) => {
        part!(
            $list,
            $each,
            [
                Column {
                    name: concat!(stringify!($side), "_packets"),
                    group: Group::Always,
                    access: field!($side.packets),
                    wire: Wire::Field($packets),
                    unit: "packets",
                    meaning: concat!("Packets that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_bytes"),
                    group: Group::Always,
                    access: field!($side.bytes),
                    wire: Wire::Field($bytes),
                    unit: "bytes",
                    meaning: concat!("Layer-3 bytes that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_frame_bytes"),
                    group: Group::Always,
                    access: field!($side.frame_bytes),
                    wire: own(2 + $id, concat!("FRAME_BYTES", $end)),
                    unit: "bytes",
                    meaning: concat!(
                        "Bytes of the frames that the ",
                        $sender,
                        " sent, without frame check sequence."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_fragments"),
                    group: Group::Always,
                    access: field!($side.fragments),
                    wire: own(4 + $id, concat!("FRAGMENTS", $end)),
                    unit: "packets",
                    meaning: concat!("IP fragments that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_tcp_flags"),
                    group: Group::Always,
                    access: field!($side.tcp_flags),
                    wire: own(6 + $id, concat!("TCP_FLAGS", $end)),
                    unit: "",
                    meaning: concat!("OR of the TCP flags that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_tos"),
                    group: Group::Always,
                    access: field!($side.tos),
                    wire: own(8 + $id, concat!("TOS", $end)),
                    unit: "",
                    meaning: concat!(
                        "OR of the types of service or traffic classes that the ",
                        $sender,
                        " sent."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_vlan"),
                    group: Group::Always,
                    access: field!($side.vlan),
                    wire: Wire::Field($vlan),
                    unit: "",
                    meaning: concat!(
                        "Outermost VLAN of the first packet that the ",
                        $sender,
                        " sent; 0 when untagged."
                    ),
                    unknown: "",
                },
            ]
        );
    };
}

counters!(forward, FORWARD, each_forward, "source", "_IN", 0, ["inPkts", "inBytes", "vlanIn"]);
counters!(reverse, REVERSE, each_reverse, "destination", "_OUT", 1, ["outPkts", "outBytes", "vlanOut"]);

/// What packets of one direction had around them and met on their way.
macro_rules! path {
    ($side:ident, $list:ident, $each:ident, $sender:literal, $end:literal, $id:literal) => {
        part!(
            $list,
            $each,
            [
                Column {
                    name: concat!(stringify!($side), "_inner_vlan"),
                    group: Group::Always,
                    access: field!($side.inner_vlan),
                    wire: own(13 + $id, concat!("INNER_VLAN", $end)),
                    unit: "",
                    meaning: concat!(
                        "VLAN behind the outermost of the first packet that the ",
                        $sender,
                        " sent; 0 when there is none."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_mpls_label"),
                    group: Group::Always,
                    access: field!($side.mpls_label),
                    wire: own(15 + $id, concat!("MPLS_LABEL", $end)),
                    unit: "",
                    meaning: concat!("Top MPLS label of the first packet that the ", $sender, " sent."),
                    unknown: "without a label stack",
                },
                Column {
                    name: concat!(stringify!($side), "_ttl_min"),
                    group: Group::Always,
                    access: field!($side.ttl_min),
                    wire: own(17 + $id, concat!("TTL_MIN", $end)),
                    unit: "hops",
                    meaning: concat!(
                        "Smallest time to live or hop limit that the ",
                        $sender,
                        " sent; 0 if it sent nothing."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_ttl_max"),
                    group: Group::Always,
                    access: field!($side.ttl_max),
                    wire: own(19 + $id, concat!("TTL_MAX", $end)),
                    unit: "hops",
                    meaning: concat!(
                        "Largest time to live or hop limit that the ",
                        $sender,
                        " sent; 0 if it sent nothing."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_ecn_ce_packets"),
                    group: Group::Always,
                    access: field!($side.ecn_ce_packets),
                    wire: own(21 + $id, concat!("ECN_CE", $end, "_PKTS")),
                    unit: "packets",
                    meaning: concat!(
                        "Packets that the ",
                        $sender,
                        " sent and a router marked \"congestion experienced\"."
                    ),
                    unknown: "",
                },
            ]
        );
    };
}

path!(forward, FORWARD_PATH, each_forward_path, "source", "_IN", 0);
path!(reverse, REVERSE_PATH, each_reverse_path, "destination", "_OUT", 1);
