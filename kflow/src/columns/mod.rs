//! The columns of a record: one table that the outputs and the wire format are driven by.
//!
//! A column has a name for JSON and CSV, a place in the flow message and functions that read it from a record
//! and put it there. Some places in the message are fields of the schema, which the codec fills; the rest
//! travel as custom columns, for which this table is all there is. A new column of a record is a new entry at
//! the end of the parts, so that CSV only grows at its end; ids of custom columns are never used twice.

mod access;
mod application;
mod derived;
mod direction;
mod document;
mod flow;
mod latency;
mod tcp;
mod tunnel;

pub(crate) use access::Visitor;
pub use access::{Access, Kind, Value};
pub(crate) use derived::{application_latency_us, out_of_order_packets, retransmitted_packets};
pub use document::document;

use crate::community_id::CommunityId;
use crate::protocol;
use crate::record::{FlowRecord, TunnelKind};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name in JSON and CSV.
    pub name: &'static str,
    pub group: Group,
    pub access: Access,
    pub wire: Wire,
    /// What numbers count; empty for numbers that count nothing and for everything else.
    pub unit: &'static str,
    /// One line for the reader of the output.
    pub meaning: &'static str,
    /// When there is no value, to be read after "unknown"; empty if there always is one.
    pub unknown: &'static str,
}

/// The records that columns apply to. In others they are absent from JSON and from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Always,
    /// Flows inside of a tunnel.
    Tunnel,
    Tcp,
    /// Flows whose application is known.
    Application,
}

/// Where a column is in the flow message.
#[derive(Clone, Copy, Debug)]
pub enum Wire {
    /// This field of the schema.
    Field(&'static str),
    /// A custom column. Numbers that are always known are left out where they are zero.
    Custom(Custom),
    /// A custom column that says anew what others say, for receivers which know only it. Neither printed nor
    /// read back.
    Derived(Custom),
    /// Several custom columns, whose meaning depends on the application protocol ([`crate::application::Slot`]).
    Slots,
    /// Nowhere: it follows from this.
    Implied(&'static str),
}

/// A custom column of the flow message.
#[derive(Clone, Copy, Debug)]
pub struct Custom {
    pub id: u32,
    pub name: &'static str,
}

/// Ids up to here belong to receivers that hand out their own; the custom columns of this crate come after.
pub const OWN_IDS: u32 = 1_000_000;

const PARTS: [&[Column]; 14] = [
    flow::ENDPOINTS,
    direction::FORWARD,
    direction::REVERSE,
    flow::END,
    flow::IDENTITY,
    direction::FORWARD_PATH,
    direction::REVERSE_PATH,
    tunnel::COLUMNS,
    latency::COLUMNS,
    tcp::CONNECTION,
    tcp::FORWARD,
    tcp::REVERSE,
    derived::COLUMNS,
    application::COLUMNS,
];

/// How many custom columns there are, slots apart.
pub const CUSTOMS: usize = {
    let mut count = 0;
    let mut part = 0;
    while part < PARTS.len() {
        count += customs_among(PARTS[part]);
        part += 1;
    }
    count
};

/// The last of the custom columns, so many, are of applications.
pub(crate) const APPLICATION_CUSTOMS: usize = customs_among(application::COLUMNS);

/// How many of these are custom columns.
pub(crate) const fn customs_among(columns: &[Column]) -> usize {
    let mut count = 0;
    let mut index = 0;
    while index < columns.len() {
        count += columns[index].custom().is_some() as usize;
        index += 1;
    }
    count
}

/// All columns. Those that are printed come in the order in which they are printed, custom columns in their
/// order on the wire.
pub fn all() -> impl Iterator<Item = &'static Column> {
    PARTS.into_iter().flatten()
}

/// The columns that are printed.
pub fn printed() -> impl Iterator<Item = &'static Column> {
    all().filter(|column| !matches!(column.wire, Wire::Derived(_)))
}

/// The custom columns, slots apart.
pub fn customs() -> impl Iterator<Item = (&'static Column, &'static Custom)> {
    all().filter_map(|column| Some((column, column.custom()?)))
}

/// Shows all columns in their order, but passes over parts that do not apply to the record.
#[inline(always)]
pub(crate) fn visit_applicable(record: &FlowRecord, visitor: &mut impl Visitor) {
    flow::each_endpoint(visitor);
    direction::each_forward(visitor);
    direction::each_reverse(visitor);
    flow::each_end(visitor);
    flow::each_identity(visitor);
    direction::each_forward_path(visitor);
    direction::each_reverse_path(visitor);
    if Group::Tunnel.applies(record) {
        tunnel::each(visitor);
    } else {
        visitor.skip(tunnel::COLUMNS);
    }
    latency::each(visitor);
    if Group::Tcp.applies(record) {
        tcp::each_connection(visitor);
        tcp::each_forward(visitor);
        tcp::each_reverse(visitor);
    } else {
        visitor.skip(tcp::CONNECTION);
        visitor.skip(tcp::FORWARD);
        visitor.skip(tcp::REVERSE);
    }
    derived::each(visitor);
    if Group::Application.applies(record) {
        application::each(visitor);
    } else {
        visitor.skip(application::COLUMNS);
    }
}

impl Column {
    /// What is printed; `None` if it is unknown or does not apply to the record.
    #[inline]
    pub fn value<'a>(&self, record: &'a FlowRecord) -> Option<Value<'a>> {
        if !self.group.applies(record) {
            return None;
        }
        match self.access {
            Access::Number { value, .. } => value(record),
            Access::Address { get, .. } => Some(Value::Address(get(record))),
            Access::CommunityId => Some(Value::CommunityId(CommunityId::of(record))),
            Access::ConnectionId => Some(Value::Number(CommunityId::of(record).connection_id().into())),
            Access::ApplicationLatency => Some(Value::Number(application_latency_us(record)?.into())),
            Access::Application => Some(Value::Fields(record.application.as_ref()?)),
        }
    }

    pub fn kind(&self) -> Kind {
        match self.access {
            Access::Number { kind, .. } => kind,
            Access::Address { .. } => Kind::Address,
            Access::CommunityId | Access::Application => Kind::Text,
            Access::ConnectionId | Access::ApplicationLatency => Kind::U32,
        }
    }

    pub(crate) const fn custom(&self) -> Option<&Custom> {
        match &self.wire {
            Wire::Custom(custom) | Wire::Derived(custom) => Some(custom),
            Wire::Field(_) | Wire::Slots | Wire::Implied(_) => None,
        }
    }
}

impl Group {
    #[inline]
    pub fn applies(self, record: &FlowRecord) -> bool {
        match self {
            Group::Always => true,
            Group::Tunnel => record.tunnel.kind != TunnelKind::None,
            Group::Tcp => record.protocol == protocol::TCP,
            Group::Application => record.app_protocol.is_some(),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Group::Always => "always",
            Group::Tunnel => "in tunnels",
            Group::Tcp => "TCP",
            Group::Application => "application known",
        }
    }
}

/// A custom column of this crate.
const fn own(number: u32, name: &'static str) -> Wire {
    Wire::Custom(Custom { id: OWN_IDS + number, name })
}

/// A custom column by the id and the name that receivers know it by.
const fn common(id: u32, name: &'static str) -> Wire {
    Wire::Custom(Custom { id, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{AppProtocol, Slot};
    use std::collections::HashSet;

    #[test]
    fn names_and_ids_are_unique() {
        let names: HashSet<&str> = all().map(|column| column.name).collect();
        assert_eq!(names.len(), all().count());
        let ids: HashSet<u32> =
            customs().map(|(_, custom)| custom.id).chain(Slot::all().map(Slot::id)).collect();
        assert_eq!(ids.len(), CUSTOMS + Slot::COUNT);
        let names = customs().map(|(_, custom)| custom.name).chain(Slot::all().map(Slot::name));
        assert_eq!(names.collect::<HashSet<&str>>().len(), CUSTOMS + Slot::COUNT);
    }

    #[test]
    fn no_field_of_a_protocol_has_the_name_of_a_column() {
        let names: HashSet<&str> = all().map(|column| column.name).collect();
        let fields = AppProtocol::ALL.into_iter().flat_map(AppProtocol::fields);
        assert_eq!(fields.filter(|field| names.contains(field.name)).count(), 0);
    }

    #[test]
    fn custom_columns_of_applications_come_last() {
        let of_applications: Vec<bool> =
            customs().map(|(column, _)| column.group == Group::Application).collect();
        let others = CUSTOMS - APPLICATION_CUSTOMS;
        assert!(of_applications[..others].iter().all(|of_application| !of_application));
        assert!(of_applications[others..].iter().all(|of_application| *of_application));
    }

    /// Names of the columns that it is shown.
    struct Names(Vec<&'static str>);

    impl Visitor for Names {
        fn visit(&mut self, column: &'static Column) {
            self.0.push(column.name);
        }

        fn skip(&mut self, columns: &'static [Column]) {
            self.0.extend(columns.iter().map(|column| column.name));
        }
    }

    #[test]
    fn a_visitor_is_shown_all_columns_in_their_order() {
        let mut record = FlowRecord { protocol: protocol::TCP, ..FlowRecord::default() };
        record.tunnel.kind = TunnelKind::Gre;
        record.app_protocol = Some(AppProtocol::Dns);
        for record in [FlowRecord::default(), record] {
            let mut names = Names(Vec::new());
            visit_applicable(&record, &mut names);
            assert!(names.0.into_iter().eq(all().map(|column| column.name)));
        }
    }

    #[test]
    fn names_of_custom_columns_have_at_most_31_bytes() {
        assert!(customs().all(|(_, custom)| custom.name.len() <= 31));
    }

    #[test]
    fn every_column_that_travels_as_a_number_reads_what_was_put_there() {
        for (column, custom) in customs() {
            let (Access::Number { kind, wire, set, .. }, Wire::Custom(_)) = (column.access, column.wire)
            else {
                continue;
            };
            let mut record = FlowRecord::default();
            assert_eq!(set(&mut record, 1), Some(()), "{}", custom.name);
            assert_eq!(wire(&record), Some(1), "{}", custom.name);
            let too_large = match kind {
                Kind::U64 => continue,
                Kind::U32 => u64::from(u32::MAX) + 1,
                Kind::U16 => u64::from(u16::MAX) + 1,
                _ => u64::from(u8::MAX) + 1,
            };
            assert_eq!(set(&mut record, too_large), None, "{}", custom.name);
            assert_eq!(wire(&record), Some(1), "{}", custom.name);
        }
    }
}
