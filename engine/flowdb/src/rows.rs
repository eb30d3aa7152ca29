//! Flow messages to rows: columns that grow as values come.
//!
//! In: the records of a message, the device that sent them, when they arrived. Out: a [`RecordBatch`] for each device and
//! minute, with those stored columns that have a value in it. A field that is zero and need not be known is null.

use crate::columns::{Catalog, Kind, Stored};
use crate::devices::DeviceId;
use crate::error::Error;
use crate::minute::Minute;
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    RecordBatch, StringViewBuilder, TimestampMillisecondBuilder, UInt32Builder,
};
use datafusion::arrow::datatypes::{Field, Schema};
use kflow::chf::{APP_PROTOCOL_ABSENT, Chf, Custom, CustomValue};
use kflow::codec::{Limits, decode_chf};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

/// Rows of one device and minute.
#[derive(Clone, Debug)]
pub struct MinuteRows {
    pub device: DeviceId,
    pub minute: Minute,
    pub batch: RecordBatch,
}

/// What a message had.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    pub rows: Vec<MinuteRows>,
    pub count: u64,
    /// Low-resolution copies of records that are sent in full as well.
    pub copies: u64,
}

/// What the message itself does not say.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// In place of a device number of zero.
    pub device: Option<DeviceId>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Rows that began longer ago are of the minute in which they arrive.
    pub age_max_ms: i64,
}

/// A row may begin so much later than it arrives, by a clock that is ahead.
const AHEAD_MAX_MS: i64 = 10 * 60_000;

/// Value of `appProtocol` that marks a record whose custom columns are the names of ids.
const NAMES: u32 = 101;

/// Decodes a message.
pub fn decode(message: &[u8], arrival: Arrival) -> Result<Decoded, Error> {
    let records =
        decode_chf(message, &Limits::default()).map_err(|error| Error::Malformed(error.to_string()))?;
    let mut builders: BTreeMap<(DeviceId, Minute), RowBuilder> = BTreeMap::new();
    let mut names = HashMap::new();
    let mut decoded = Decoded::default();
    for (index, chf) in records.iter().enumerate() {
        if chf.app_protocol == NAMES {
            learn(&chf.custom, &mut names);
            continue;
        }
        if chf.big {
            decoded.copies += 1;
            continue;
        }
        let device = match (chf.device_id, arrival.device) {
            (0, Some(device)) => device,
            (0, None) => return Err(Error::Malformed(format!("record {index} does not say its device"))),
            (id, _) => DeviceId(id),
        };
        let start_ms = start_ms(chf.timestamp_nano, arrival);
        let builder = builders.entry((device, Minute::of_ms(start_ms))).or_default();
        builder.push(chf, &names, start_ms, arrival.now_ms);
        decoded.count += 1;
    }
    decoded.rows = builders
        .into_iter()
        .map(|((device, minute), builder)| MinuteRows { device, minute, batch: builder.finish() })
        .collect();
    Ok(decoded)
}

fn start_ms(timestamp_nano: i64, arrival: Arrival) -> i64 {
    let start = timestamp_nano.div_euclid(1_000_000);
    let is_plausible = start >= arrival.now_ms - arrival.age_max_ms && start <= arrival.now_ms + AHEAD_MAX_MS;
    if timestamp_nano > 0 && is_plausible { start } else { arrival.now_ms }
}

/// Takes the ids that a message gives to names of columns; `None` for names that are not known.
fn learn(customs: &[Custom], names: &mut HashMap<u32, Option<Stored>>) {
    for custom in customs {
        if let CustomValue::Text(name) = &custom.value {
            let place = Catalog::shared().by_custom_name(name);
            names.insert(custom.id, if name == FLOW_END { Some(FIXED.i_end_time) } else { place });
        }
    }
}

/// The column of this project's records that is the end of the flow, in nanoseconds.
const FLOW_END: &str = "FLOW_END_NS";
const FLOW_END_ID: u32 = kflow::columns::OWN_IDS + 1;

/// Columns in the making.
#[derive(Debug)]
struct RowBuilder {
    rows: usize,
    cells: Vec<Option<Cells>>,
}

#[derive(Debug)]
enum Cells {
    Small(Int32Builder),
    Large(Int64Builder),
    Ipv4(UInt32Builder),
    Inet(FixedSizeBinaryBuilder),
    Text(StringViewBuilder),
    Flag(BooleanBuilder),
    Time(TimestampMillisecondBuilder),
    Real(Float64Builder),
}

impl Default for RowBuilder {
    fn default() -> RowBuilder {
        let columns = Catalog::shared().stored().len();
        RowBuilder { rows: 0, cells: std::iter::repeat_with(|| None).take(columns).collect() }
    }
}

/// Places of the columns that every message has fields for.
macro_rules! fixed {
    ($($name:ident),+ $(,)?) => {
        struct Fixed { $($name: Stored),+ }
        static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
            let place = |name| Catalog::shared().find_stored(name).expect("the catalogue has it");
            Fixed { $($name: place(stringify!($name))),+ }
        });
    };
}

fixed!(
    i_start_time,
    i_end_time,
    ctimestamp,
    sample_rate,
    protocol,
    l4_src_port,
    l4_dst_port,
    ipv4_src_addr,
    ipv4_dst_addr,
    ipv6_src_addr,
    ipv6_dst_addr,
    in_bytes,
    in_pkts,
    out_bytes,
    out_pkts,
    tcp_flags,
    tos,
    input_port,
    output_port,
    vlan_in,
    vlan_out,
    src_as,
    dst_as,
    src_nexthop_as,
    dst_nexthop_as,
    src_second_asn,
    dst_second_asn,
    src_third_asn,
    dst_third_asn,
    src_bgp_aspath,
    dst_bgp_aspath,
    src_bgp_community,
    dst_bgp_community,
    inet_src_next_hop,
    inet_dst_next_hop,
    inet_src_route_prefix,
    inet_dst_route_prefix,
    src_route_prefix_len,
    dst_route_prefix_len,
    src_geo,
    dst_geo,
    src_geo_region,
    dst_geo_region,
    src_geo_city,
    dst_geo_city,
    src_eth_mac,
    dst_eth_mac,
    mpls_type,
    sampledpktsize,
    tcp_retransmit,
    src_flow_tags,
    dst_flow_tags,
    flow_tags,
    is_metric,
    app_protocol,
    other_columns,
);

impl RowBuilder {
    fn push(&mut self, chf: &Chf, names: &HashMap<u32, Option<Stored>>, start_ms: i64, now_ms: i64) {
        let at = &*FIXED;
        self.time(at.i_start_time, start_ms);
        self.large(at.ctimestamp, now_ms.div_euclid(1000));
        let every_flow = 100;
        let rate = chf.sample_rate_hundredths();
        self.large(at.sample_rate, if rate == 0 { every_flow } else { large(rate) });
        self.small(at.protocol, small(chf.protocol));
        self.small(at.l4_src_port, small(chf.l4_src_port));
        self.small(at.l4_dst_port, small(chf.l4_dst_port));
        match chf.ipv6_src_addr {
            Some(octets) => self.inet(at.ipv6_src_addr, octets),
            None => self.ipv4(at.ipv4_src_addr, chf.ipv4_src_addr),
        }
        match chf.ipv6_dst_addr {
            Some(octets) => self.inet(at.ipv6_dst_addr, octets),
            None => self.ipv4(at.ipv4_dst_addr, chf.ipv4_dst_addr),
        }
        self.large(at.in_bytes, large(chf.in_bytes));
        self.large(at.in_pkts, large(chf.in_pkts));
        self.large(at.out_bytes, large(chf.out_bytes));
        self.large(at.out_pkts, large(chf.out_pkts));
        self.small(at.tcp_flags, small(chf.tcp_flags));
        self.small(at.tos, small(chf.tos));
        self.push_path(chf);
        self.push_marks(chf);
        self.push_customs(&chf.custom, names);
        self.rows += 1;
    }

    /// Where the flow came by, and what routers know of it.
    fn push_path(&mut self, chf: &Chf) {
        let at = &*FIXED;
        for (place, number) in [
            (at.input_port, chf.input_port),
            (at.output_port, chf.output_port),
            (at.src_as, chf.src_as),
            (at.dst_as, chf.dst_as),
            (at.src_nexthop_as, chf.src_next_hop_as),
            (at.dst_nexthop_as, chf.dst_next_hop_as),
            (at.src_second_asn, chf.src_second_asn),
            (at.dst_second_asn, chf.dst_second_asn),
            (at.src_third_asn, chf.src_third_asn),
            (at.dst_third_asn, chf.dst_third_asn),
            (at.src_geo_region, chf.src_geo_region),
            (at.dst_geo_region, chf.dst_geo_region),
            (at.src_geo_city, chf.src_geo_city),
            (at.dst_geo_city, chf.dst_geo_city),
            (at.mpls_type, chf.mpls_type),
            (at.sampledpktsize, chf.sampled_packet_size),
            (at.tcp_retransmit, chf.tcp_retransmit),
        ] {
            if number != 0 {
                self.large(place, i64::from(number));
            }
        }
        for (place, number) in [(at.vlan_in, chf.vlan_in), (at.vlan_out, chf.vlan_out)] {
            if number != 0 {
                self.small(place, small(number));
            }
        }
        for (place, length) in
            [(at.src_route_prefix_len, chf.src_route_length), (at.dst_route_prefix_len, chf.dst_route_length)]
        {
            if length != 0 {
                self.small(place, i32::from(length));
            }
        }
        for (place, ipv6, ipv4) in [
            (at.inet_src_next_hop, chf.ipv6_src_next_hop, chf.ipv4_src_next_hop),
            (at.inet_dst_next_hop, chf.ipv6_dst_next_hop, chf.ipv4_dst_next_hop.max(chf.ipv4_next_hop)),
            (at.inet_src_route_prefix, chf.ipv6_src_route_prefix, chf.src_route_prefix),
            (at.inet_dst_route_prefix, chf.ipv6_dst_route_prefix, chf.dst_route_prefix),
        ] {
            match (ipv6, ipv4) {
                (Some(octets), _) => self.inet(place, octets),
                (None, 0) => {}
                (None, number) => self.inet(place, mapped(number)),
            }
        }
        for (place, text) in [
            (at.src_bgp_aspath, &chf.src_bgp_as_path),
            (at.dst_bgp_aspath, &chf.dst_bgp_as_path),
            (at.src_bgp_community, &chf.src_bgp_community),
            (at.dst_bgp_community, &chf.dst_bgp_community),
            (at.src_flow_tags, &chf.src_flow_tags),
            (at.dst_flow_tags, &chf.dst_flow_tags),
            (at.flow_tags, &chf.flow_tags),
        ] {
            if !text.is_empty() {
                self.text(place, text);
            }
        }
    }

    fn push_marks(&mut self, chf: &Chf) {
        let at = &*FIXED;
        for (place, address) in [(at.src_eth_mac, chf.src_eth_mac), (at.dst_eth_mac, chf.dst_eth_mac)] {
            if address != 0 {
                self.large(place, large(address));
            }
        }
        for (place, country) in [(at.src_geo, chf.src_geo), (at.dst_geo, chf.dst_geo)] {
            let letters = [(country >> 8) as u8, country as u8];
            if let Ok(text) = std::str::from_utf8(&letters)
                && country != 0
            {
                self.text(place, text);
            }
        }
        if chf.is_metric {
            self.flag(at.is_metric, true);
        }
        if chf.app_protocol != APP_PROTOCOL_ABSENT && chf.app_protocol != 0 {
            self.small(at.app_protocol, small(chf.app_protocol));
        }
    }

    fn push_customs(&mut self, customs: &[Custom], names: &HashMap<u32, Option<Stored>>) {
        let mut others: Option<serde_json::Map<String, serde_json::Value>> = None;
        for custom in customs {
            let named = names.get(&custom.id).copied();
            let place = named.unwrap_or_else(|| known(custom.id));
            let is_taken = place.is_some_and(|place| self.custom(place, &custom.value));
            if !is_taken && let Some(value) = json(&custom.value) {
                others.get_or_insert_default().insert(custom.id.to_string(), value);
            }
        }
        if let Some(others) = others {
            self.text(FIXED.other_columns, &serde_json::Value::Object(others).to_string());
        }
    }

    /// Whether a column of this type can have the value.
    fn custom(&mut self, place: Stored, value: &CustomValue) -> bool {
        if self.is_filled(place) {
            return true;
        }
        let kind = Catalog::shared().stored()[usize::from(place.0)].kind;
        let number = match value {
            CustomValue::U8(number) => Some(u64::from(*number)),
            CustomValue::U16(number) => Some(u64::from(*number)),
            CustomValue::U32(number) => Some(u64::from(*number)),
            CustomValue::U64(number) => Some(*number),
            _ => None,
        };
        match (kind, number, value) {
            (Kind::Small, Some(number), _) if i32::try_from(number).is_ok() => {
                self.small(place, number as i32);
            }
            (Kind::Large | Kind::Mac, Some(number), _) => self.large(place, large(number)),
            (Kind::Time, Some(number), _) => self.time(place, large(number / 1_000_000)),
            (Kind::Flag, Some(number), _) => self.flag(place, number != 0),
            (Kind::Text, _, CustomValue::Text(text)) => self.text(place, text),
            (Kind::Inet, _, CustomValue::Address(IpAddr::V4(address))) => {
                self.inet(place, mapped((*address).into()));
            }
            (Kind::Inet, _, CustomValue::Address(IpAddr::V6(address))) => self.inet(place, address.octets()),
            (Kind::Real, _, CustomValue::F32(number)) => self.real(place, f64::from(*number)),
            _ => return false,
        }
        true
    }

    /// Whether this row has a value there already: a message may say a column twice.
    fn is_filled(&self, place: Stored) -> bool {
        self.cells[usize::from(place.0)].as_ref().is_some_and(|cells| cells.len() > self.rows)
    }

    fn finish(self) -> RecordBatch {
        let stored = Catalog::shared().stored();
        let mut fields: Vec<Field> = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (column, cells) in stored.iter().zip(self.cells) {
            if let Some(cells) = cells {
                fields.push(column.kind.field(&column.name));
                arrays.push(cells.finish(self.rows));
            }
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("all columns have as many rows")
    }
}

/// A method that appends a value to a column, behind nulls for the rows that had none.
macro_rules! setter {
    ($name:ident, $variant:ident, $builder:expr, $value:ty, $append:expr) => {
        impl RowBuilder {
            fn $name(&mut self, place: Stored, value: $value) {
                let cells = self.cells[usize::from(place.0)].get_or_insert_with(|| Cells::$variant($builder));
                let Cells::$variant(builder) = cells else { unreachable!("the catalogue says the type") };
                for _ in builder.len()..self.rows {
                    builder.append_null();
                }
                $append(builder, value);
            }
        }
    };
}

use datafusion::arrow::array::ArrayBuilder;

setter!(small, Small, Int32Builder::new(), i32, |builder: &mut Int32Builder, value: i32| builder
    .append_value(value));
setter!(large, Large, Int64Builder::new(), i64, |builder: &mut Int64Builder, value: i64| builder
    .append_value(value));
setter!(ipv4, Ipv4, UInt32Builder::new(), u32, |builder: &mut UInt32Builder, value: u32| builder
    .append_value(value));
setter!(flag, Flag, BooleanBuilder::new(), bool, |builder: &mut BooleanBuilder, value: bool| builder
    .append_value(value));
setter!(real, Real, Float64Builder::new(), f64, |builder: &mut Float64Builder, value: f64| builder
    .append_value(value));
setter!(text, Text, StringViewBuilder::new(), &str, |builder: &mut StringViewBuilder, value: &str| builder
    .append_value(value));
setter!(
    time,
    Time,
    TimestampMillisecondBuilder::new().with_timezone("UTC"),
    i64,
    |builder: &mut TimestampMillisecondBuilder, value: i64| {
        builder.append_value(value);
    }
);
setter!(
    inet,
    Inet,
    FixedSizeBinaryBuilder::new(16),
    [u8; 16],
    |builder: &mut FixedSizeBinaryBuilder, value: [u8; 16]| {
        builder.append_value(value).expect("it is 16 bytes");
    }
);

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::Small(builder) => builder.len(),
            Cells::Large(builder) => builder.len(),
            Cells::Ipv4(builder) => builder.len(),
            Cells::Inet(builder) => builder.len(),
            Cells::Text(builder) => builder.len(),
            Cells::Flag(builder) => builder.len(),
            Cells::Time(builder) => builder.len(),
            Cells::Real(builder) => builder.len(),
        }
    }

    /// The column, with nulls up to so many rows.
    fn finish(mut self, rows: usize) -> ArrayRef {
        for _ in self.len()..rows {
            match &mut self {
                Cells::Small(builder) => builder.append_null(),
                Cells::Large(builder) => builder.append_null(),
                Cells::Ipv4(builder) => builder.append_null(),
                Cells::Inet(builder) => builder.append_null(),
                Cells::Text(builder) => builder.append_null(),
                Cells::Flag(builder) => builder.append_null(),
                Cells::Time(builder) => builder.append_null(),
                Cells::Real(builder) => builder.append_null(),
            }
        }
        match self {
            Cells::Small(mut builder) => Arc::new(builder.finish()),
            Cells::Large(mut builder) => Arc::new(builder.finish()),
            Cells::Ipv4(mut builder) => Arc::new(builder.finish()),
            Cells::Inet(mut builder) => Arc::new(builder.finish()),
            Cells::Text(mut builder) => Arc::new(builder.finish()),
            Cells::Flag(mut builder) => Arc::new(builder.finish()),
            Cells::Time(mut builder) => Arc::new(builder.finish()),
            Cells::Real(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn known(id: u32) -> Option<Stored> {
    if id == FLOW_END_ID { Some(FIXED.i_end_time) } else { Catalog::shared().by_custom_id(id) }
}

/// Numbers beyond a column's range are its largest.
fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn large(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An IPv4 address as an IPv6 one (RFC 4291, 2.5.5.2).
pub fn mapped(address: u32) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

fn json(value: &CustomValue) -> Option<serde_json::Value> {
    Some(match value {
        CustomValue::U8(number) => (*number).into(),
        CustomValue::U16(number) => (*number).into(),
        CustomValue::U32(number) => (*number).into(),
        CustomValue::U64(number) => (*number).into(),
        CustomValue::F32(number) => f64::from(*number).into(),
        CustomValue::Text(text) => text.as_str().into(),
        CustomValue::Address(address) => address.to_string().into(),
        CustomValue::Unknown => return None,
    })
}
