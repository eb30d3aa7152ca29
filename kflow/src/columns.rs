//! The columns of a record: one table that the outputs and the wire format are driven by.
//!
//! A column has a name for JSON and CSV, a place in the flow message and a function that reads it from a
//! record. Most of the message's places are fields of the schema, which the codec fills; the rest travel as
//! custom columns, for which this table is all there is. A new column of a record is a new line here, at any
//! place; ids of custom columns are never used twice.

use crate::record::{EndReason, FlowRecord, MacAddress};
use std::fmt::Write;
use std::net::IpAddr;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name in JSON and CSV.
    pub name: &'static str,
    pub kind: Kind,
    pub wire: Wire,
    /// One line for the reader of the output.
    pub meaning: &'static str,
    pub value: fn(&FlowRecord) -> Value,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U8,
    U16,
    U32,
    U64,
    Address,
    Mac,
    EndReason,
}

/// Where a column is in the flow message.
#[derive(Clone, Copy, Debug)]
pub enum Wire {
    /// This field of the schema.
    Field(&'static str),
    /// A custom column, left out of records in which it is zero.
    Custom(Custom),
    /// A custom column that sums up others for receivers which know only it. Neither printed nor read back.
    Total(Custom),
}

/// A custom column of the flow message.
#[derive(Clone, Copy, Debug)]
pub struct Custom {
    pub id: u32,
    pub name: &'static str,
    /// Puts a received number into a record; `None` when no record can have it.
    pub set: fn(&mut FlowRecord, u64) -> Option<()>,
}

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Address(IpAddr),
    Mac(MacAddress),
    EndReason(EndReason),
}

/// Ids up to here belong to receivers that hand out their own; the custom columns of this crate come after.
pub const OWN_IDS: u32 = 1_000_000;

/// The columns that are printed, in their order.
pub fn printed() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(|column| !matches!(column.wire, Wire::Total(_)))
}

/// The custom columns, in their order on the wire.
pub fn customs() -> impl Iterator<Item = (&'static Column, &'static Custom)> {
    COLUMNS.iter().filter_map(|column| match &column.wire {
        Wire::Custom(custom) | Wire::Total(custom) => Some((column, custom)),
        Wire::Field(_) => None,
    })
}

/// The table as Markdown, which `COLUMNS.md` is a copy of.
pub fn document() -> String {
    let mut text = String::from(DOCUMENT_HEAD);
    for column in printed() {
        let wire = match &column.wire {
            Wire::Field(field) => (*field).to_owned(),
            Wire::Custom(custom) | Wire::Total(custom) => format!("custom {} {}", custom.id, custom.name),
        };
        writeln!(text, "| `{}` | {} | {wire} | {} |", column.name, column.kind.name(), column.meaning)
            .expect("a string takes every write");
    }
    text
}

const DOCUMENT_HEAD: &str = "\
# Columns

The columns of a flow record: their names in JSON and CSV and their places in the flow message
(`schema/chf.capnp`). This file is written from `src/columns.rs`; a test compares the two.

Custom columns with ids above 1000000 are this project's own. They are left out of a record in which they are
zero, and every message says their names in its first record. For receivers that know only common columns a
message also holds `tcpFlags` and `tos` (both directions together), `inputPort` and `outputPort` (the low 16 bits
of the destination's and of the source's link-layer address) and the custom column 5 `FRAGMENTS` (both
directions together).

| name | type | in the flow message | meaning |
|---|---|---|---|
";

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::U8 => "u8",
            Kind::U16 => "u16",
            Kind::U32 => "u32",
            Kind::U64 => "u64",
            Kind::Address => "address",
            Kind::Mac => "mac",
            Kind::EndReason => "end reason",
        }
    }
}

impl Value {
    /// The value as the number that a custom column carries; zero for addresses, which are none.
    #[inline]
    pub fn number(self) -> u64 {
        match self {
            Value::Number(number) => number,
            Value::EndReason(reason) => reason as u64,
            Value::Mac(mac) => mac.to_integer(),
            Value::Address(_) => 0,
        }
    }
}

/// All columns. Printed columns come in the order in which they are printed.
pub static COLUMNS: [Column; 28] = [
    Column {
        name: "start_ns",
        kind: Kind::U64,
        wire: Wire::Field("timestampNano"),
        meaning: "First packet, nanoseconds since the Unix epoch.",
        value: |record| Value::Number(record.start_ns),
    },
    Column {
        name: "end_ns",
        kind: Kind::U64,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 1,
            name: "FLOW_END_NS",
            set: |record, number| {
                record.end_ns = number;
                Some(())
            },
        }),
        meaning: "Last packet, nanoseconds since the Unix epoch.",
        value: |record| Value::Number(record.end_ns),
    },
    Column {
        name: "source_address",
        kind: Kind::Address,
        wire: Wire::Field("ipv4SrcAddr or ipv6SrcAddr"),
        meaning: "Address of the side that was seen first.",
        value: |record| Value::Address(record.source.address),
    },
    Column {
        name: "source_port",
        kind: Kind::U16,
        wire: Wire::Field("l4SrcPort"),
        meaning: "TCP, UDP or SCTP port; 0 for protocols without ports.",
        value: |record| Value::Number(u64::from(record.source.port)),
    },
    Column {
        name: "destination_address",
        kind: Kind::Address,
        wire: Wire::Field("ipv4DstAddr or ipv6DstAddr"),
        meaning: "Address of the other side.",
        value: |record| Value::Address(record.destination.address),
    },
    Column {
        name: "destination_port",
        kind: Kind::U16,
        wire: Wire::Field("l4DstPort"),
        meaning: "TCP, UDP or SCTP port; 0 for protocols without ports.",
        value: |record| Value::Number(u64::from(record.destination.port)),
    },
    Column {
        name: "protocol",
        kind: Kind::U8,
        wire: Wire::Field("protocol"),
        meaning: "IP protocol number.",
        value: |record| Value::Number(u64::from(record.protocol)),
    },
    Column {
        name: "icmp_type",
        kind: Kind::U8,
        wire: Wire::Field("l4DstPort, bits 8 to 15"),
        meaning: "Type of the first ICMP or ICMPv6 message; 0 for other protocols.",
        value: |record| Value::Number(u64::from(record.icmp.kind)),
    },
    Column {
        name: "icmp_code",
        kind: Kind::U8,
        wire: Wire::Field("l4DstPort, bits 0 to 7"),
        meaning: "Code of the first ICMP or ICMPv6 message; 0 for other protocols.",
        value: |record| Value::Number(u64::from(record.icmp.code)),
    },
    Column {
        name: "source_mac",
        kind: Kind::Mac,
        wire: Wire::Field("srcEthMac"),
        meaning: "Link-layer address of the source; zero when the link has none.",
        value: |record| Value::Mac(record.source.mac),
    },
    Column {
        name: "destination_mac",
        kind: Kind::Mac,
        wire: Wire::Field("dstEthMac"),
        meaning: "Link-layer address of the destination; zero when the link has none.",
        value: |record| Value::Mac(record.destination.mac),
    },
    Column {
        name: "forward_packets",
        kind: Kind::U64,
        wire: Wire::Field("inPkts"),
        meaning: "Packets that the source sent.",
        value: |record| Value::Number(record.forward.packets),
    },
    Column {
        name: "forward_bytes",
        kind: Kind::U64,
        wire: Wire::Field("inBytes"),
        meaning: "Layer-3 bytes that the source sent.",
        value: |record| Value::Number(record.forward.bytes),
    },
    Column {
        name: "forward_frame_bytes",
        kind: Kind::U64,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 2,
            name: "FRAME_BYTES_IN",
            set: |record, number| {
                record.forward.frame_bytes = number;
                Some(())
            },
        }),
        meaning: "Bytes of the frames that the source sent, without frame check sequence.",
        value: |record| Value::Number(record.forward.frame_bytes),
    },
    Column {
        name: "forward_fragments",
        kind: Kind::U32,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 4,
            name: "FRAGMENTS_IN",
            set: |record, number| {
                record.forward.fragments = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "IP fragments that the source sent.",
        value: |record| Value::Number(u64::from(record.forward.fragments)),
    },
    Column {
        name: "forward_tcp_flags",
        kind: Kind::U8,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 6,
            name: "TCP_FLAGS_IN",
            set: |record, number| {
                record.forward.tcp_flags = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "OR of the TCP flags that the source sent.",
        value: |record| Value::Number(u64::from(record.forward.tcp_flags)),
    },
    Column {
        name: "forward_tos",
        kind: Kind::U8,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 8,
            name: "TOS_IN",
            set: |record, number| {
                record.forward.tos = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "OR of the types of service or traffic classes that the source sent.",
        value: |record| Value::Number(u64::from(record.forward.tos)),
    },
    Column {
        name: "forward_vlan",
        kind: Kind::U16,
        wire: Wire::Field("vlanIn"),
        meaning: "Outermost VLAN of the first packet that the source sent; 0 when untagged.",
        value: |record| Value::Number(u64::from(record.forward.vlan)),
    },
    Column {
        name: "reverse_packets",
        kind: Kind::U64,
        wire: Wire::Field("outPkts"),
        meaning: "Packets that the destination sent.",
        value: |record| Value::Number(record.reverse.packets),
    },
    Column {
        name: "reverse_bytes",
        kind: Kind::U64,
        wire: Wire::Field("outBytes"),
        meaning: "Layer-3 bytes that the destination sent.",
        value: |record| Value::Number(record.reverse.bytes),
    },
    Column {
        name: "reverse_frame_bytes",
        kind: Kind::U64,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 3,
            name: "FRAME_BYTES_OUT",
            set: |record, number| {
                record.reverse.frame_bytes = number;
                Some(())
            },
        }),
        meaning: "Bytes of the frames that the destination sent, without frame check sequence.",
        value: |record| Value::Number(record.reverse.frame_bytes),
    },
    Column {
        name: "reverse_fragments",
        kind: Kind::U32,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 5,
            name: "FRAGMENTS_OUT",
            set: |record, number| {
                record.reverse.fragments = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "IP fragments that the destination sent.",
        value: |record| Value::Number(u64::from(record.reverse.fragments)),
    },
    Column {
        name: "reverse_tcp_flags",
        kind: Kind::U8,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 7,
            name: "TCP_FLAGS_OUT",
            set: |record, number| {
                record.reverse.tcp_flags = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "OR of the TCP flags that the destination sent.",
        value: |record| Value::Number(u64::from(record.reverse.tcp_flags)),
    },
    Column {
        name: "reverse_tos",
        kind: Kind::U8,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 9,
            name: "TOS_OUT",
            set: |record, number| {
                record.reverse.tos = number.try_into().ok()?;
                Some(())
            },
        }),
        meaning: "OR of the types of service or traffic classes that the destination sent.",
        value: |record| Value::Number(u64::from(record.reverse.tos)),
    },
    Column {
        name: "reverse_vlan",
        kind: Kind::U16,
        wire: Wire::Field("vlanOut"),
        meaning: "Outermost VLAN of the first packet that the destination sent; 0 when untagged.",
        value: |record| Value::Number(u64::from(record.reverse.vlan)),
    },
    Column {
        name: "end_reason",
        kind: Kind::EndReason,
        wire: Wire::Custom(Custom {
            id: OWN_IDS + 10,
            name: "FLOW_END_REASON",
            set: |record, number| {
                record.end_reason = EndReason::from_number(number.try_into().ok()?)?;
                Some(())
            },
        }),
        meaning: "Why the record was exported.",
        value: |record| Value::EndReason(record.end_reason),
    },
    Column {
        name: "sample_rate",
        kind: Kind::U32,
        wire: Wire::Field("sampleRate"),
        meaning: "One in so many flows was looked at.",
        value: |record| Value::Number(u64::from(record.sample_rate)),
    },
    Column {
        name: "fragments",
        kind: Kind::U32,
        wire: Wire::Total(Custom { id: 5, name: "FRAGMENTS", set: |_, _| Some(()) }),
        meaning: "IP fragments of both directions.",
        value: |record| {
            Value::Number(u64::from(record.forward.fragments.saturating_add(record.reverse.fragments)))
        },
    },
];

/// How many custom columns there are.
pub const CUSTOMS: usize = {
    let mut count = 0;
    let mut index = 0;
    while index < COLUMNS.len() {
        if !matches!(COLUMNS[index].wire, Wire::Field(_)) {
            count += 1;
        }
        index += 1;
    }
    count
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_ids_are_unique() {
        let names: HashSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        let ids: HashSet<u32> = customs().map(|(_, custom)| custom.id).collect();
        assert_eq!(ids.len(), CUSTOMS);
    }

    #[test]
    fn names_of_custom_columns_have_at_most_31_bytes() {
        assert!(customs().all(|(_, custom)| custom.name.len() <= 31));
    }

    #[test]
    fn every_custom_column_is_a_number() {
        for (column, custom) in customs() {
            assert!(!matches!(column.kind, Kind::Address | Kind::Mac), "{}", custom.name);
        }
    }
}
