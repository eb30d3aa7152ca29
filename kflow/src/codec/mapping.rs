//! The columns of a record in the numbers of a device: which of them it has, and how they get there.
//!
//! What was said by applications is in slots if the device has the column `APP_PROTOCOL`, and otherwise, for the
//! protocols that receivers knew before, in columns of their own.

use super::customs::{CustomColumn, Present};
use super::encode::Losses;
use super::wire::{Member, address_bytes};
use crate::application::protocols::{AppProtocol, dns, http, quic, tls};
use crate::application::{Application, Datum, FieldKind, Key, Slot, TEXT_BYTES_MAX};
use crate::chf::CUSTOM_TEXT_BYTES_MAX;
use crate::columns::{self, Access, Column, Kind};
use crate::community_id::CommunityId;
use crate::device::{ColumnType, DeviceColumns};
use crate::record::FlowRecord;

/// What a device has of the columns of a record.
#[derive(Debug)]
pub(super) struct Mapping {
    columns: Vec<MappedColumn>,
    fields: Fields,
    /// Whether a column is there that follows from the Community ID, which takes a while to compute.
    needs_community_id: bool,
}

#[derive(Clone, Copy, Debug)]
struct MappedColumn {
    column: &'static Column,
    /// In place of the column's own value.
    sum: Option<fn(&FlowRecord) -> u32>,
    mapped: Mapped,
}

/// Where fields of applications go.
#[derive(Debug)]
enum Fields {
    /// By the place of the field's slot.
    Slots(Box<[Option<Mapped>; Slot::COUNT]>),
    Named(Vec<(AppProtocol, Slot, Mapped)>),
}

/// A column of the device.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    custom: CustomColumn,
    column_type: ColumnType,
}

/// The column that devices with slots have.
const SLOTS_MARK: &str = "APP_PROTOCOL";

/// Fields that devices without slots have columns for.
const NAMED_FIELDS: [(AppProtocol, Key, &str); 11] = [
    (AppProtocol::Dns, dns::QUERY, "KFLOW_DNS_QUERY"),
    (AppProtocol::Dns, dns::QUERY_TYPE, "KFLOW_DNS_QUERY_TYPE"),
    (AppProtocol::Dns, dns::RCODE, "KFLOW_DNS_RET_CODE"),
    (AppProtocol::Dns, dns::ANSWERS, "KFLOW_DNS_RESPONSE"),
    (AppProtocol::Http, http::URL, "KFLOW_HTTP_URL"),
    (AppProtocol::Http, http::HOST, "KFLOW_HTTP_HOST"),
    (AppProtocol::Http, http::REFERER, "KFLOW_HTTP_REFERER"),
    (AppProtocol::Http, http::USER_AGENT, "KFLOW_HTTP_UA"),
    (AppProtocol::Http, http::STATUS, "KFLOW_HTTP_STATUS"),
    (AppProtocol::Tls, tls::SERVER_NAME, "KFLOW_HTTP_HOST"),
    (AppProtocol::Quic, quic::SERVER_NAME, "KFLOW_HTTP_HOST"),
];

/// Two columns, of one direction each, that are not always apart.
struct Pair {
    names: [&'static str; 2],
    sum: fn(&FlowRecord) -> u32,
}

const PAIRS: [Pair; 2] = [
    Pair { names: ["RETRANSMITTED_OUT_PKTS", "RETRANSMITTED_IN_PKTS"], sum: columns::retransmitted_packets },
    Pair { names: ["OOORDER_IN_PKTS", "OOORDER_OUT_PKTS"], sum: columns::out_of_order_packets },
];

impl Pair {
    /// The column that has both directions together: with slots the first, as receivers are used to; without them the
    /// only one, if there is but one.
    fn together(&self, device: &DeviceColumns, has_slots: bool) -> Option<&'static str> {
        match self.names.map(|name| device.find(name).is_some()) {
            [true, true] if !has_slots => None,
            [true, _] => Some(self.names[0]),
            [false, true] => Some(self.names[1]),
            [false, false] => None,
        }
    }
}

impl Mapping {
    pub(super) fn new(device: &DeviceColumns) -> Mapping {
        let has_slots = device.find(SLOTS_MARK).is_some();
        let mut mapped_columns = Vec::new();
        for (column, custom) in columns::customs() {
            let pair = PAIRS.iter().find(|pair| pair.names.contains(&custom.name));
            let sum = match pair.and_then(|pair| Some((pair.sum, pair.together(device, has_slots)?))) {
                None => None,
                Some((sum, name)) if name == custom.name => Some(sum),
                Some(_) => continue,
            };
            if let Some(mapped) = Mapped::new(device, custom.name, field_kind(column.kind())) {
                mapped_columns.push(MappedColumn { column, sum, mapped });
            }
        }
        let follows = |column: &Column| matches!(column.access, Access::CommunityId | Access::ConnectionId);
        let needs_community_id = mapped_columns.iter().any(|mapped| follows(mapped.column));
        Mapping { columns: mapped_columns, fields: Fields::new(device, has_slots), needs_community_id }
    }
}

impl Fields {
    fn new(device: &DeviceColumns, has_slots: bool) -> Fields {
        if has_slots {
            let mut slots = Slot::all().map(|slot| Mapped::new(device, slot.name(), slot.kind()));
            return Fields::Slots(Box::new(std::array::from_fn(|_| slots.next().flatten())));
        }
        let named = NAMED_FIELDS.into_iter().filter_map(|(protocol, key, name)| {
            let field = protocol.field(key);
            Some((protocol, field.slot, Mapped::new(device, name, field.kind)?))
        });
        Fields::Named(named.collect())
    }

    #[inline]
    fn find(&self, protocol: AppProtocol, slot: Slot) -> Option<&Mapped> {
        match self {
            Fields::Slots(slots) => slots[slot.place()].as_ref(),
            Fields::Named(named) => {
                let mut named = named.iter();
                let found = named.find(|(of, at, _)| *of == protocol && *at == slot)?;
                Some(&found.2)
            }
        }
    }
}

impl Mapped {
    /// The column with this name, if the device has it and it can hold such values.
    fn new(device: &DeviceColumns, name: &'static str, kind: FieldKind) -> Option<Mapped> {
        let (id, column_type) = device.find(name)?;
        let (member, holds) = match column_type {
            ColumnType::Text => (Member::Text, FieldKind::Text),
            ColumnType::Address => (Member::Address, FieldKind::Address),
            ColumnType::U8 => (Member::U8, FieldKind::Number),
            ColumnType::U16 => (Member::U16, FieldKind::Number),
            ColumnType::U32 => (Member::U32, FieldKind::Number),
            ColumnType::U64 => (Member::U64, FieldKind::Number),
            ColumnType::F32 => (Member::F32, FieldKind::Number),
        };
        (kind == holds).then(|| Mapped { custom: CustomColumn::new(id, name, member), column_type })
    }
}

impl<'a> Present<'a> {
    /// Finds out what this record has of what the device has.
    pub(super) fn take_mapped(&mut self, record: &FlowRecord, mapping: &'a Mapping, losses: &mut Losses) {
        self.clear();
        let community_id = mapping.needs_community_id.then(|| CommunityId::of(record));
        for MappedColumn { column, sum, mapped } in &mapping.columns {
            if !column.group.applies(record) {
                continue;
            }
            let number = match (sum, column.access) {
                (Some(sum), _) => Some(u64::from(sum(record))).filter(|sum| *sum != 0),
                (None, Access::Number { wire, .. }) => wire(record),
                (None, Access::ApplicationLatency) => columns::application_latency_us(record).map(u64::from),
                (None, Access::ConnectionId) => community_id.map(|id| u64::from(id.connection_id())),
                (None, Access::Address { get, .. }) => {
                    self.push_bytes(&mapped.custom, &address_bytes(get(record)));
                    None
                }
                (None, Access::CommunityId) => {
                    let text = community_id.expect("it was computed for this column").text();
                    self.push_text(&mapped.custom, &text);
                    None
                }
                // Its fields have custom columns, it has none.
                (None, Access::Application) => None,
            };
            if let Some(number) = number {
                self.push_number(mapped, number, losses);
            }
        }
        if let Some(application) = &record.application {
            self.take_mapped_application(application, mapping, losses);
        }
    }

    fn take_mapped_application(
        &mut self,
        application: &Application,
        mapping: &'a Mapping,
        losses: &mut Losses,
    ) {
        let mut text_bytes_left = TEXT_BYTES_MAX;
        for (field, value) in application.values() {
            let Some(mapped) = mapping.fields.find(application.protocol(), field.slot) else {
                continue;
            };
            match value {
                Datum::Number(number) => self.push_number(mapped, number, losses),
                Datum::Address(address) => self.push_bytes(&mapped.custom, &address_bytes(address)),
                Datum::Text(text) => {
                    let end = text.floor_char_boundary(text_bytes_left.min(CUSTOM_TEXT_BYTES_MAX));
                    losses.texts_cut += u64::from(end < text.len());
                    text_bytes_left -= end;
                    self.push_text(&mapped.custom, &text.as_bytes()[..end]);
                }
            }
        }
    }

    fn push_number(&mut self, mapped: &'a Mapped, number: u64, losses: &mut Losses) {
        if !mapped.column_type.holds(number) {
            losses.values_left_out += 1;
            return;
        }
        let number = match mapped.column_type {
            ColumnType::F32 => u64::from((number as f32).to_bits()),
            _ => number,
        };
        self.push(&mapped.custom, Some(number));
    }
}

/// What values of a column are: numbers, but for texts and addresses.
fn field_kind(kind: Kind) -> FieldKind {
    match kind {
        Kind::Text => FieldKind::Text,
        Kind::Address => FieldKind::Address,
        _ => FieldKind::Number,
    }
}
