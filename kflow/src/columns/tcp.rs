//! Columns of what TCP's headers say: of the connection, then of the segments of each side.

use super::access::{field, part};
use super::{Column, Group, common, own};

part!(
    CONNECTION,
    each_connection,
    [
        Column {
            name: "tcp_state",
            group: Group::Tcp,
            access: field!(tcp.state),
            wire: own(34, "TCP_STATE"),
            unit: "",
            meaning: "Where the connection stood at the end of the span.",
            unknown: "",
        },
        Column {
            name: "tcp_handshake",
            group: Group::Tcp,
            access: field!(tcp.handshake),
            wire: own(35, "TCP_HANDSHAKE"),
            unit: "",
            meaning: "Parts of the handshake that were seen: 1 SYN, 2 SYN+ACK, 4 the first ACK behind it; added up.",
            unknown: "",
        },
        Column {
            name: "client_network_latency_us",
            group: Group::Tcp,
            access: field!(tcp.client_network_us),
            wire: own(36, "CLIENT_NETWORK_RTT_US"),
            unit: "µs",
            meaning: "Round trip between the place of capture and the client: from SYN+ACK to ACK.",
            unknown: "unless both were seen",
        },
        Column {
            name: "server_network_latency_us",
            group: Group::Tcp,
            access: field!(tcp.server_network_us),
            wire: own(37, "SERVER_NETWORK_RTT_US"),
            unit: "µs",
            meaning: "Round trip between the place of capture and the server: from SYN to SYN+ACK.",
            unknown: "unless both were seen",
        },
        Column {
            name: "total_network_latency_us",
            group: Group::Tcp,
            access: field!(tcp.total_network_us),
            wire: own(38, "TOTAL_NETWORK_RTT_US"),
            unit: "µs",
            meaning: "Round trip between client and server: from the latest SYN to the first ACK behind it.",
            unknown: "unless both were seen",
        },
    ]
);

/// What one side sent. A macro, because names are put together from literals and fields are named by path. It
/// takes the side's field of the record, the names of the part, who sends in this direction and to whom, the
/// end of custom columns' names, and what to add to the forward direction's ids.
macro_rules! direction {
    (
        $side:ident, $list:ident, $each:ident, $sender:literal, $receiver:literal, $end:literal, $id:literal
    ) => {
        part!(
            $list,
            $each,
            [
                Column {
                    name: concat!(stringify!($side), "_tcp_first_flags"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.first_flags),
                    wire: own(39 + $id, concat!("TCP_FIRST_FLAGS", $end)),
                    unit: "",
                    meaning: concat!("Flags of the first segment that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_tcp_mss"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.mss),
                    wire: own(41 + $id, concat!("TCP_MSS", $end)),
                    unit: "bytes",
                    meaning: concat!("Maximum segment size that the ", $sender, " announced."),
                    unknown: "unless its SYN was seen and said it",
                },
                Column {
                    name: concat!(stringify!($side), "_tcp_window_scale"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.window_scale),
                    wire: own(43 + $id, concat!("TCP_WINDOW_SCALE", $end)),
                    unit: "bits",
                    meaning: concat!(
                        "Shift of the windows that the ",
                        $sender,
                        " announces; 0 if one side did not offer scaling."
                    ),
                    unknown: "unless both SYNs were seen",
                },
                Column {
                    name: concat!(stringify!($side), "_tcp_sack_permitted"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.sack_permitted),
                    wire: own(45 + $id, concat!("TCP_SACK_PERMITTED", $end)),
                    unit: "",
                    meaning: concat!(
                        "1 if the SYN of the ",
                        $sender,
                        " permitted selective acknowledgements; 0 also if it was not seen."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_retransmitted_packets"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.retransmitted_packets),
                    wire: common(1 + $id, concat!("RETRANSMITTED", $end, "_PKTS")),
                    unit: "segments",
                    meaning: concat!("Segments of the ", $sender, " that repeat what was sent before."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_retransmitted_bytes"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.retransmitted_bytes),
                    wire: own(47 + $id, concat!("RETRANSMITTED_BYTES", $end)),
                    unit: "bytes",
                    meaning: "Payload of those.",
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_fast_retransmits"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.fast_retransmits),
                    wire: own(49 + $id, concat!("FAST_RETRANSMITS", $end)),
                    unit: "segments",
                    meaning: "Of those, sent at once after duplicate ACKs.",
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_spurious_retransmits"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.spurious_retransmits),
                    wire: own(51 + $id, concat!("SPURIOUS_RETRANSMITS", $end)),
                    unit: "segments",
                    meaning: "Of those, sent although everything in them was acknowledged.",
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_repeated_retransmits"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.repeated_retransmits),
                    wire: own(53 + $id, concat!("REPEATED_RETRANSMITS", $end)),
                    unit: "ranges",
                    meaning: concat!(
                        "Sequence ranges that the ",
                        $sender,
                        " retransmitted three times or more."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_out_of_order_packets"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.out_of_order_packets),
                    wire: common(3 + $id, concat!("OOORDER", $end, "_PKTS")),
                    unit: "segments",
                    meaning: concat!("Segments of the ", $sender, " that came late, but for the first time."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_duplicate_acks"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.duplicate_acks),
                    wire: own(55 + $id, concat!("DUPLICATE_ACKS", $end)),
                    unit: "segments",
                    meaning: concat!("Duplicate ACKs that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_lost_segments"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.lost_segments),
                    wire: own(57 + $id, concat!("LOST_SEGMENTS", $end)),
                    unit: "segments",
                    meaning: concat!(
                        "Segments of the ",
                        $sender,
                        " that came before an earlier one: gaps at the place of capture."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_capture_gaps"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.capture_gaps),
                    wire: own(59 + $id, concat!("CAPTURE_GAPS", $end)),
                    unit: "gaps",
                    meaning: concat!(
                        "Data of the ",
                        $sender,
                        " that the other side acknowledged and the capture never saw: loss before the sensor."
                    ),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_capture_gap_bytes"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.capture_gap_bytes),
                    wire: own(61 + $id, concat!("CAPTURE_GAP_BYTES", $end)),
                    unit: "bytes",
                    meaning: "Bytes in these gaps.",
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_keep_alives"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.keep_alives),
                    wire: own(63 + $id, concat!("KEEP_ALIVES", $end)),
                    unit: "segments",
                    meaning: concat!("Keep-alives that the ", $sender, " sent."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_zero_windows"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.zero_windows),
                    wire: own(65 + $id, concat!("ZERO_WINDOWS", $end)),
                    unit: "segments",
                    meaning: concat!("Segments in which the ", $sender, " announces a window of zero."),
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_zero_window_us"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.zero_window_us),
                    wire: own(67 + $id, concat!("ZERO_WINDOW_US", $end)),
                    unit: "µs",
                    meaning: "How long that window was zero.",
                    unknown: "",
                },
                Column {
                    name: concat!(stringify!($side), "_receive_window"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.receive_window),
                    wire: own(69 + $id, concat!("RECEIVE_WINDOW", $end)),
                    unit: "bytes",
                    meaning: concat!("Window that the ", $sender, " announced last."),
                    unknown: "while the window scale is",
                },
                Column {
                    name: concat!(stringify!($side), "_receive_window_min"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.receive_window_min),
                    wire: own(71 + $id, concat!("RECEIVE_WINDOW_MIN", $end)),
                    unit: "bytes",
                    meaning: concat!("Smallest window that the ", $sender, " announced."),
                    unknown: "while the window scale is",
                },
                Column {
                    name: concat!(stringify!($side), "_rtt_min_us"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.rtt_min_us),
                    wire: own(73 + $id, concat!("RTT_MIN_US", $end)),
                    unit: "µs",
                    meaning: concat!(
                        "Round trip between the place of capture and the ",
                        $receiver,
                        ", from data to its ACK: the shortest."
                    ),
                    unknown: "without a sample in the span",
                },
                Column {
                    name: concat!(stringify!($side), "_rtt_mean_us"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.rtt_mean_us),
                    wire: own(75 + $id, concat!("RTT_MEAN_US", $end)),
                    unit: "µs",
                    meaning: "The same: the mean.",
                    unknown: "without a sample in the span",
                },
                Column {
                    name: concat!(stringify!($side), "_rtt_max_us"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.rtt_max_us),
                    wire: own(77 + $id, concat!("RTT_MAX_US", $end)),
                    unit: "µs",
                    meaning: "The same: the longest.",
                    unknown: "without a sample in the span",
                },
                Column {
                    name: concat!(stringify!($side), "_rtt_jitter_us"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.rtt_jitter_us),
                    wire: own(79 + $id, concat!("RTT_JITTER_US", $end)),
                    unit: "µs",
                    meaning: "The same: how much one differs from the next, smoothed as in RFC 3550.",
                    unknown: "with fewer than two samples in the span",
                },
                Column {
                    name: concat!(stringify!($side), "_rtt_samples"),
                    group: Group::Tcp,
                    access: field!(tcp.$side.rtt_samples),
                    wire: own(81 + $id, concat!("RTT_SAMPLES", $end)),
                    unit: "samples",
                    meaning: "How many these are of.",
                    unknown: "",
                },
            ]
        );
    };
}

direction!(forward, FORWARD, each_forward, "source", "destination", "_IN", 0);
direction!(reverse, REVERSE, each_reverse, "destination", "source", "_OUT", 1);
