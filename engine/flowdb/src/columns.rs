//! The columns of a flow table: their names, their types, where their values come from.
//!
//! A **stored** column is in the files of a slice. A **computed** one is derived from stored ones when it is asked for,
//! and takes no room. Names are those that the users of Kentik's data engine know; the names of this project's records
//! ([`kflow::columns`]) are aliases, and columns that only this project has keep them.
//!
//! A slice stores no column that is empty in all its rows, so a wide table costs nothing.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use kflow::application::{AppProtocol, FieldKind, Slot};
use kflow::columns::{self as record, Kind as RecordKind, Wire};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// What values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32 bits.
    Small,
    /// 64 bits.
    Large,
    /// IPv4 address as a number; null for IPv6.
    Ipv4,
    /// Address of either family in 16 bytes; IPv4 as `::ffff:a.b.c.d`.
    Inet,
    /// EUI-48 as a number.
    Mac,
    Text,
    Flag,
    /// Milliseconds since the Unix epoch, UTC.
    Time,
    /// 64-bit floating point.
    Real,
}

/// How a column comes by its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The files have it.
    Stored,
    /// Another name of the column.
    Alias(&'static str),
    /// The sum of two stored columns.
    Sum(&'static str, &'static str),
    /// IPv4 column and IPv6 column as one.
    Inet(&'static str, &'static str),
    /// A part of a stored number: shifted right, then masked.
    Bits(&'static str, u32, i32),
    /// A slot, in rows whose application protocol is one of these.
    Field {
        slot: &'static str,
        protocols: Vec<i32>,
    },
    /// 4 or 6.
    Family,
    /// The name of the application protocol, of the IP protocol.
    AppProtocolName,
    ProtocolName,
    /// What all rows of a device have in common.
    Device(DeviceFact),
    /// Which series the rows are of.
    IsFast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFact {
    Id,
    Name,
    Site,
    Type,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub source: Source,
    pub meaning: String,
}

/// The index of a stored column among all stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stored(pub u16);

/// All that is known of columns; made once.
#[derive(Debug)]
pub struct Catalog {
    /// Stored ones first.
    columns: Vec<Column>,
    stored: usize,
    by_name: HashMap<String, usize>,
    schema: SchemaRef,
    by_custom_id: HashMap<u32, Stored>,
    by_custom_name: HashMap<String, Stored>,
    customs: Vec<CustomColumn>,
}

/// A custom column as the device API lists it: what a sender may send.
#[derive(Clone, Debug)]
pub struct CustomColumn {
    pub id: u32,
    /// As senders spell it.
    pub name: String,
    /// The API's name of the type.
    pub type_name: &'static str,
}

/// Metadata key of a field that says what its numbers are.
pub const TYPE_KEY: &str = "flow.type";

impl Kind {
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Small => DataType::Int32,
            Kind::Large | Kind::Mac => DataType::Int64,
            Kind::Ipv4 => DataType::UInt32,
            Kind::Inet => DataType::FixedSizeBinary(16),
            Kind::Text => DataType::Utf8View,
            Kind::Flag => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Kind::Real => DataType::Float64,
        }
    }

    /// The field of a column of this kind.
    pub fn field(self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        let mark = match self {
            Kind::Ipv4 => "ipv4",
            Kind::Mac => "mac",
            _ => return field,
        };
        field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), mark.to_owned())]))
    }
}

impl Catalog {
    /// The one catalogue.
    pub fn shared() -> &'static Catalog {
        static CATALOG: LazyLock<Catalog> = LazyLock::new(build);
        &CATALOG
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The schema of a flow table: stored columns first, then computed ones.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub fn stored(&self) -> &[Column] {
        &self.columns[..self.stored]
    }

    pub fn find(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).map(|&index| &self.columns[index])
    }

    /// The index of a column that is there.
    pub fn index(&self, name: &str) -> usize {
        self.by_name[name]
    }

    pub fn find_stored(&self, name: &str) -> Option<Stored> {
        self.by_name.get(name).filter(|&&index| index < self.stored).map(|&index| Stored(index as u16))
    }

    /// The stored column that a custom column of this id goes to, unless the message names its ids itself.
    pub fn by_custom_id(&self, id: u32) -> Option<Stored> {
        self.by_custom_id.get(&id).copied()
    }

    pub fn by_custom_name(&self, name: &str) -> Option<Stored> {
        self.by_custom_name.get(name).copied()
    }

    /// What the device API says that may be sent.
    pub fn customs(&self) -> &[CustomColumn] {
        &self.customs
    }
}

/// Stored columns with a place of their own in the flow message, in the order of the files.
const FIXED: &[(&str, Kind, &str)] = &[
    ("i_start_time", Kind::Time, "When the flow, or this part of it, began."),
    ("i_end_time", Kind::Time, "When it ended; null if the sender does not say."),
    ("ctimestamp", Kind::Large, "Second of the Unix epoch in which the record arrived."),
    (
        "sample_rate",
        Kind::Large,
        "What the row's counters are multiplied by, in hundredths: 100 is every flow.",
    ),
    ("i_fast_weight", Kind::Large, "In the Fast series, how many rows this one stands for, in hundredths."),
    ("protocol", Kind::Small, "IP protocol number."),
    ("l4_src_port", Kind::Small, "Source port."),
    ("l4_dst_port", Kind::Small, "Destination port; for ICMP type << 8 | code."),
    ("ipv4_src_addr", Kind::Ipv4, "IPv4 source address; null for IPv6."),
    ("ipv4_dst_addr", Kind::Ipv4, "IPv4 destination address; null for IPv6."),
    ("ipv6_src_addr", Kind::Inet, "IPv6 source address; null for IPv4."),
    ("ipv6_dst_addr", Kind::Inet, "IPv6 destination address; null for IPv4."),
    ("in_bytes", Kind::Large, "Layer-3 bytes in."),
    ("in_pkts", Kind::Large, "Packets in."),
    ("out_bytes", Kind::Large, "Layer-3 bytes out."),
    ("out_pkts", Kind::Large, "Packets out."),
    ("tcp_flags", Kind::Small, "OR of the TCP flags of all packets."),
    ("tos", Kind::Small, "OR of the types of service or traffic classes."),
    ("input_port", Kind::Large, "Interface that the flow came in by (ifIndex)."),
    ("output_port", Kind::Large, "Interface that the flow left by (ifIndex)."),
    ("vlan_in", Kind::Small, "VLAN in."),
    ("vlan_out", Kind::Small, "VLAN out."),
    ("src_as", Kind::Large, "Autonomous system of the source."),
    ("dst_as", Kind::Large, "Autonomous system of the destination."),
    ("src_nexthop_as", Kind::Large, "First autonomous system on the path to the source."),
    ("dst_nexthop_as", Kind::Large, "First autonomous system on the path to the destination."),
    ("src_second_asn", Kind::Large, "Second autonomous system on the path to the source."),
    ("dst_second_asn", Kind::Large, "Second autonomous system on the path to the destination."),
    ("src_third_asn", Kind::Large, "Third autonomous system on the path to the source."),
    ("dst_third_asn", Kind::Large, "Third autonomous system on the path to the destination."),
    ("src_bgp_aspath", Kind::Text, "BGP path to the source."),
    ("dst_bgp_aspath", Kind::Text, "BGP path to the destination."),
    ("src_bgp_community", Kind::Text, "BGP communities of the source's route."),
    ("dst_bgp_community", Kind::Text, "BGP communities of the destination's route."),
    ("inet_src_next_hop", Kind::Inet, "Next hop towards the source."),
    ("inet_dst_next_hop", Kind::Inet, "Next hop towards the destination."),
    ("inet_src_route_prefix", Kind::Inet, "Prefix of the route to the source."),
    ("inet_dst_route_prefix", Kind::Inet, "Prefix of the route to the destination."),
    ("src_route_prefix_len", Kind::Small, "Bits of the source's prefix."),
    ("dst_route_prefix_len", Kind::Small, "Bits of the destination's prefix."),
    ("src_geo", Kind::Text, "Country of the source, two letters."),
    ("dst_geo", Kind::Text, "Country of the destination, two letters."),
    ("src_geo_region", Kind::Large, "Region of the source, the receiver's number."),
    ("dst_geo_region", Kind::Large, "Region of the destination, the receiver's number."),
    ("src_geo_city", Kind::Large, "City of the source, the receiver's number."),
    ("dst_geo_city", Kind::Large, "City of the destination, the receiver's number."),
    ("src_eth_mac", Kind::Mac, "MAC address of the source."),
    ("dst_eth_mac", Kind::Mac, "MAC address of the destination."),
    ("mpls_type", Kind::Large, "Type of the MPLS label."),
    ("sampledpktsize", Kind::Large, "Size of the sampled packet."),
    ("tcp_retransmit", Kind::Large, "TCP segments that were sent again."),
    ("src_flow_tags", Kind::Text, "Tags of the source."),
    ("dst_flow_tags", Kind::Text, "Tags of the destination."),
    ("flow_tags", Kind::Text, "Tags of the flow."),
    ("is_metric", Kind::Flag, "The record is a measurement and no flow."),
    ("app_protocol", Kind::Small, "Number of the application protocol."),
    ("other_columns", Kind::Text, "Custom columns of ids that are not known here: a JSON object by id."),
];

/// Computed columns that are the same for all senders.
fn computed() -> Vec<(String, Kind, Source, &'static str)> {
    use Source::{AppProtocolName, Bits, Device, Family, Inet, IsFast, ProtocolName, Sum};
    let fixed: [(&str, Kind, Source, &str); 16] = [
        ("both_bytes", Kind::Large, Sum("in_bytes", "out_bytes"), "Bytes in and out."),
        ("both_pkts", Kind::Large, Sum("in_pkts", "out_pkts"), "Packets in and out."),
        ("inet_src_addr", Kind::Inet, Inet("ipv4_src_addr", "ipv6_src_addr"), "Source address."),
        ("inet_dst_addr", Kind::Inet, Inet("ipv4_dst_addr", "ipv6_dst_addr"), "Destination address."),
        ("inet_family", Kind::Small, Family, "4 or 6."),
        ("dscp", Kind::Small, Bits("tos", 2, 63), "Differentiated services code point (RFC 2474)."),
        ("icmp_type", Kind::Small, Bits("l4_dst_port", 8, 255), "Type of the ICMP message, if it is one."),
        ("icmp_code", Kind::Small, Bits("l4_dst_port", 0, 255), "Code of the ICMP message, if it is one."),
        ("i_protocol_name", Kind::Text, ProtocolName, "Name of the IP protocol (IANA)."),
        ("i_app_protocol_name", Kind::Text, AppProtocolName, "Name of the application protocol."),
        ("i_device_id", Kind::Large, Device(DeviceFact::Id), "Number of the device."),
        ("i_device_name", Kind::Text, Device(DeviceFact::Name), "Name of the device."),
        ("i_device_site_name", Kind::Text, Device(DeviceFact::Site), "Site of the device."),
        ("i_device_type", Kind::Text, Device(DeviceFact::Type), "Type of the device."),
        ("i_fast_dataset", Kind::Flag, IsFast, "The rows are of the Fast series."),
        (
            "src_route_length",
            Kind::Small,
            Source::Alias("src_route_prefix_len"),
            "Bits of the source's prefix.",
        ),
    ];
    let mut columns: Vec<_> = fixed
        .into_iter()
        .map(|(name, kind, source, meaning)| (name.to_owned(), kind, source, meaning))
        .collect();
    columns.push((
        "dst_route_length".to_owned(),
        Kind::Small,
        Source::Alias("dst_route_prefix_len"),
        "Bits of the destination's prefix.",
    ));
    for (name, of) in RECORD_NAMES {
        let kind = FIXED.iter().find(|fixed| fixed.0 == *of).map(|fixed| fixed.1);
        let kind = kind.unwrap_or(Kind::Inet);
        columns.push(((*name).to_owned(), kind, Source::Alias(of), "The name in this project's records."));
    }
    columns
}

/// Names of records' fields, and the columns that they are.
const RECORD_NAMES: &[(&str, &str)] = &[
    ("source_address", "inet_src_addr"),
    ("destination_address", "inet_dst_addr"),
    ("source_port", "l4_src_port"),
    ("destination_port", "l4_dst_port"),
    ("source_mac", "src_eth_mac"),
    ("destination_mac", "dst_eth_mac"),
    ("forward_packets", "in_pkts"),
    ("forward_bytes", "in_bytes"),
    ("reverse_packets", "out_pkts"),
    ("reverse_bytes", "out_bytes"),
    ("forward_vlan", "vlan_in"),
    ("reverse_vlan", "vlan_out"),
];

/// Fields of applications by their older names.
const OLDER_FIELDS: &[(&str, Kind, &str, &[AppProtocol])] = &[
    ("kflow_dns_query", Kind::Text, "str00", &[AppProtocol::Dns]),
    ("kflow_dns_query_type", Kind::Large, "int00", &[AppProtocol::Dns]),
    ("kflow_dns_ret_code", Kind::Large, "int01", &[AppProtocol::Dns]),
    ("kflow_dns_response", Kind::Text, "str01", &[AppProtocol::Dns]),
    ("kflow_http_url", Kind::Text, "str00", &[AppProtocol::Http]),
    ("kflow_http_host", Kind::Text, "str01", &[AppProtocol::Http]),
    ("kflow_http_referer", Kind::Text, "str02", &[AppProtocol::Http]),
    ("kflow_http_ua", Kind::Text, "str03", &[AppProtocol::Http]),
    ("kflow_http_status", Kind::Large, "int00", &[AppProtocol::Http]),
];

fn build() -> Catalog {
    let mut stored: Vec<Column> = FIXED
        .iter()
        .map(|(name, kind, meaning)| Column {
            name: (*name).to_owned(),
            kind: *kind,
            source: Source::Stored,
            meaning: (*meaning).to_owned(),
        })
        .collect();
    let mut customs = Vec::new();
    let mut aliases = Vec::new();
    for column in record::all() {
        let (Wire::Custom(custom) | Wire::Derived(custom)) = column.wire else { continue };
        // The end of a flow and its protocol have columns of their own.
        if matches!(custom.name, "FLOW_END_NS" | "APP_PROTOCOL") {
            continue;
        }
        let kind = kind_of(column.kind());
        let name = custom.name.to_lowercase();
        customs.push(CustomColumn {
            id: custom.id,
            name: custom.name.to_owned(),
            type_name: type_name(column.kind()),
        });
        if name != column.name && !stored.iter().any(|other| other.name == column.name) {
            aliases.push((column.name.to_owned(), kind, name.clone()));
        }
        if !stored.iter().any(|other| other.name == name) {
            stored.push(Column { name, kind, source: Source::Stored, meaning: column.meaning.to_owned() });
        }
    }
    for slot in Slot::all() {
        let (kind, type_name) = match slot {
            Slot::Text(_) => (Kind::Text, "string"),
            Slot::Number(_) => (Kind::Large, "uint32"),
            Slot::LargeNumber(_) => (Kind::Large, "uint64"),
            Slot::Address(_) => (Kind::Inet, "addr"),
        };
        customs.push(CustomColumn { id: slot.id(), name: slot.name().to_owned(), type_name });
        stored.push(Column {
            name: slot.name().to_lowercase(),
            kind,
            source: Source::Stored,
            meaning: "A field of the application, by the protocol.".to_owned(),
        });
    }
    finish(stored, &aliases, customs)
}

/// Adds the computed columns and the indices.
fn finish(stored: Vec<Column>, aliases: &[(String, Kind, String)], customs: Vec<CustomColumn>) -> Catalog {
    let stored_count = stored.len();
    let mut columns = stored;
    for (name, kind, source, meaning) in computed() {
        columns.push(Column { name, kind, source, meaning: meaning.to_owned() });
    }
    for (name, kind, of) in aliases {
        let meaning = format!("`{of}`.");
        let source = Source::Alias(String::leak(of.clone()));
        columns.push(Column { name: name.clone(), kind: *kind, source, meaning });
    }
    for (name, kind, slot, protocols) in OLDER_FIELDS {
        let protocols = protocols.iter().map(|protocol| i32::from(protocol.number())).collect();
        let source = Source::Field { slot, protocols };
        columns.push(Column {
            name: (*name).to_owned(),
            kind: *kind,
            source,
            meaning: "By its older name.".to_owned(),
        });
    }
    for protocol in AppProtocol::ALL {
        for field in protocol.fields() {
            let slot: &'static str = String::leak(field.slot.name().to_lowercase());
            let kind = match field.kind {
                FieldKind::Number => Kind::Large,
                FieldKind::Text => Kind::Text,
                FieldKind::Address => Kind::Inet,
            };
            let number = i32::from(protocol.number());
            let same = columns.iter_mut().find(|column| column.name == field.name);
            match same.map(|column| &mut column.source) {
                Some(Source::Field { slot: other, protocols }) if *other == slot => protocols.push(number),
                Some(_) => {}
                None => columns.push(Column {
                    name: field.name.to_owned(),
                    kind,
                    source: Source::Field { slot, protocols: vec![number] },
                    meaning: field.meaning.to_owned(),
                }),
            }
        }
    }
    let by_name: HashMap<_, _> =
        columns.iter().enumerate().map(|(index, column)| (column.name.clone(), index)).collect();
    let fields: Vec<Field> = columns.iter().map(|column| column.kind.field(&column.name)).collect();
    let place = |name: &str| Stored(by_name[&name.to_lowercase()] as u16);
    let by_custom_id = customs.iter().map(|custom| (custom.id, place(&custom.name))).collect();
    let by_custom_name = customs.iter().map(|custom| (custom.name.clone(), place(&custom.name))).collect();
    Catalog {
        stored: stored_count,
        columns,
        by_name,
        schema: Arc::new(Schema::new(fields)),
        by_custom_id,
        by_custom_name,
        customs,
    }
}

fn kind_of(kind: RecordKind) -> Kind {
    match kind {
        RecordKind::U8 | RecordKind::U16 | RecordKind::Flag => Kind::Small,
        RecordKind::EndReason | RecordKind::TcpState | RecordKind::TunnelKind | RecordKind::AppProtocol => {
            Kind::Small
        }
        RecordKind::U32 | RecordKind::U64 => Kind::Large,
        RecordKind::Address => Kind::Inet,
        RecordKind::Mac => Kind::Mac,
        RecordKind::Text => Kind::Text,
    }
}

/// What the device API calls the type.
fn type_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::U8 | RecordKind::Flag => "byte",
        RecordKind::EndReason | RecordKind::TcpState | RecordKind::TunnelKind => "byte",
        RecordKind::U16 | RecordKind::AppProtocol => "uint16",
        RecordKind::U32 => "uint32",
        RecordKind::U64 | RecordKind::Mac => "uint64",
        RecordKind::Address => "addr",
        RecordKind::Text => "string",
    }
}
