//! The custom columns of a record: which it has, and their packed words.
//!
//! A custom column is four words (id and small value, member of the value union, large value, pointer) in a
//! list; what pointers point to comes behind the list.

use super::encode::Losses;
use super::packing::{Constant, Packer};
use super::wire::{self, Member, address_bytes, text_words, word_of};
use crate::application::{Application, Datum, FIELDS_MAX, Slot, TEXT_BYTES_MAX};
use crate::columns::{self, APPLICATION_CUSTOMS, Access, CUSTOMS, Column, Group, Kind, Visitor};
use crate::community_id::{CommunityId, TEXT_BYTES};
use crate::record::FlowRecord;

/// The custom columns as messages have them.
#[derive(Debug)]
pub(super) struct Layout {
    /// Those of the table, then the slots.
    columns: [CustomColumn; NAMES_MAX],
}

/// The most custom columns that a message can name.
pub(super) const NAMES_MAX: usize = CUSTOMS + Slot::COUNT;

/// A custom column, ready to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct CustomColumn {
    pub(super) id: u32,
    pub(super) name: &'static str,
    form: Form,
}

/// How the four words of a custom column come about.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// The value is one byte, which is at this place of the packed words; unless it is zero.
    Byte { words: Constant, place: usize, zero: Constant },
    /// The value is beside the id; words follow.
    Small { after: Constant },
    /// The value is a word of its own.
    Large { before: Constant, after: Constant },
    /// The value is behind the list; a pointer follows.
    Pointer { before: Constant },
}

/// The custom columns of one record, in their order. Kept from record to record.
#[derive(Debug)]
pub(super) struct Present<'a> {
    /// With their numbers; with the number of bytes for those that are pointed to.
    columns: [(&'a CustomColumn, u64); PRESENT_MAX],
    count: usize,
    /// What pointers point to.
    data: [u64; DATA_WORDS_MAX],
    data_words: usize,
}

/// A record has those of the table and the fields of one application.
const PRESENT_MAX: usize = CUSTOMS + FIELDS_MAX;

/// Words that pointers point to: the Community ID, the two addresses of a tunnel, texts and addresses of an
/// application. A text takes no more than one word beyond its bytes, and no more beyond that than an address.
const DATA_WORDS_MAX: usize =
    text_words(TEXT_BYTES) + (2 + FIELDS_MAX) * wire::ADDRESS_BYTES.div_ceil(8) + TEXT_BYTES_MAX.div_ceil(8);

/// The most words that the custom columns of a record can take: the list's tag, the list, what it points to.
pub(super) const WORDS_MAX: usize = 1 + PRESENT_MAX * wire::CUSTOM_WORDS + DATA_WORDS_MAX;

impl Layout {
    pub(super) fn new() -> Layout {
        let of_table = columns::customs()
            .map(|(column, custom)| CustomColumn::new(custom.id, custom.name, member(column.kind())));
        let slots = Slot::all().map(|slot| CustomColumn::new(slot.id(), slot.name(), slot_member(slot)));
        let mut all = of_table.chain(slots);
        Layout { columns: std::array::from_fn(|_| all.next().expect("NAMES_MAX counts both")) }
    }

    /// The columns that a message of these records names: those of applications only if one is known, because
    /// they are many.
    pub(super) fn named(&self, records: &[FlowRecord]) -> &[CustomColumn] {
        if records.iter().any(|record| Group::Application.applies(record)) {
            &self.columns
        } else {
            &self.columns[..CUSTOMS - APPLICATION_CUSTOMS]
        }
    }

    fn slot(&self, slot: Slot) -> &CustomColumn {
        &self.columns[CUSTOMS + slot.place()]
    }
}

impl CustomColumn {
    pub(super) fn new(id: u32, name: &'static str, member: Member) -> CustomColumn {
        let id_word = u64::from(id);
        let discriminant = member as u64;
        let form = match member {
            Member::U8 => Form::Byte {
                words: Constant::new(&[id_word | 0xFF << 32, discriminant, 0, 0]),
                // After the tag and the bytes of the id that are not zero.
                place: 1 + id.to_le_bytes().iter().filter(|byte| **byte != 0).count(),
                zero: Constant::new(&[id_word, discriminant, 0, 0]),
            },
            Member::U16 | Member::U32 | Member::F32 => {
                Form::Small { after: Constant::new(&[discriminant, 0, 0]) }
            }
            Member::U64 => {
                Form::Large { before: Constant::new(&[id_word, discriminant]), after: Constant::new(&[0]) }
            }
            Member::Text | Member::Address => {
                Form::Pointer { before: Constant::new(&[id_word, discriminant, 0]) }
            }
        };
        CustomColumn { id, name, form }
    }
}

impl<'a> Present<'a> {
    pub(super) fn new(layout: &'a Layout) -> Present<'a> {
        Present {
            columns: [(&layout.columns[0], 0); PRESENT_MAX],
            count: 0,
            data: [0; DATA_WORDS_MAX],
            data_words: 0,
        }
    }

    /// Finds out what this record has.
    #[inline(always)]
    pub(super) fn take(&mut self, record: &FlowRecord, layout: &'a Layout, losses: &mut Losses) {
        self.clear();
        let community_id = CommunityId::of(record);
        let mut taking = Taking { present: self, record, community_id, layout, place: 0 };
        columns::visit_applicable(record, &mut taking);
        if let Some(application) = &record.application {
            debug_assert_eq!(record.app_protocol, Some(application.protocol()));
            self.take_application(application, layout, losses);
        }
    }

    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.data_words = 0;
    }

    /// Takes up the fields, in their slots. Texts are cut where there is no room for more.
    #[inline(never)]
    fn take_application(&mut self, application: &Application, layout: &'a Layout, losses: &mut Losses) {
        let mut text_bytes_left = TEXT_BYTES_MAX;
        for (field, value) in application.values() {
            let column = layout.slot(field.slot);
            match value {
                Datum::Number(number) => self.push(column, Some(number)),
                Datum::Address(address) => self.push_bytes(column, &address_bytes(address)),
                Datum::Text(text) => {
                    let end = text.floor_char_boundary(text_bytes_left);
                    losses.texts_cut += u64::from(end < text.len());
                    text_bytes_left -= end;
                    self.push_text(column, &text.as_bytes()[..end]);
                }
            }
        }
    }

    /// Takes up a column; the next takes its place if this one is not there: no jump to predict.
    #[inline(always)]
    pub(super) fn push(&mut self, column: &'a CustomColumn, value: Option<u64>) {
        self.columns[self.count] = (column, value.unwrap_or(0));
        self.count += usize::from(value.is_some());
    }

    #[inline(always)]
    pub(super) fn push_bytes(&mut self, column: &'a CustomColumn, bytes: &[u8]) {
        self.push(column, Some(bytes.len() as u64));
        let rest = self.push_words(bytes);
        if !rest.is_empty() {
            self.push_word(word_of(rest));
        }
    }

    /// The same with the zero that terminates a text.
    #[inline(always)]
    pub(super) fn push_text(&mut self, column: &'a CustomColumn, text: &[u8]) {
        self.push(column, Some(text.len() as u64 + 1));
        let rest = self.push_words(text);
        self.push_word(word_of(rest));
    }

    /// Takes up the whole words and returns the bytes behind them.
    #[inline(always)]
    fn push_words<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.push_word(u64::from_le_bytes(*word));
        }
        rest
    }

    #[inline(always)]
    fn push_word(&mut self, word: u64) {
        self.data[self.data_words] = word;
        self.data_words += 1;
    }

    /// Words of the list, without its tag.
    pub(super) fn list_words(&self) -> usize {
        self.count * wire::CUSTOM_WORDS
    }

    /// Writes the list with its tag, and what its pointers point to. The caller has reserved room.
    #[inline(always)]
    pub(super) fn write(&self, tail: &mut Packer) {
        tail.word(tag(self.count));
        let mut words_after = self.list_words();
        let mut data_before = 0;
        for (column, value) in &self.columns[..self.count] {
            words_after -= wire::CUSTOM_WORDS;
            match &column.form {
                Form::Byte { zero, .. } if *value == 0 => tail.constant(zero),
                Form::Byte { words, place, .. } => tail.constant_with(words, *place, *value as u8),
                Form::Small { after } => {
                    tail.word(u64::from(column.id) | value << 32);
                    tail.constant(after);
                }
                Form::Large { before, after } => {
                    tail.constant(before);
                    tail.word(*value);
                    tail.constant(after);
                }
                Form::Pointer { before } => {
                    let bytes = *value as usize;
                    tail.constant(before);
                    tail.word(wire::byte_list_pointer(words_after + data_before, bytes));
                    data_before += bytes.div_ceil(8);
                }
            }
        }
        for word in &self.data[..self.data_words] {
            tail.word(*word);
        }
    }
}

/// A record that is gone through.
struct Taking<'a, 'b> {
    present: &'b mut Present<'a>,
    record: &'b FlowRecord,
    community_id: CommunityId,
    layout: &'a Layout,
    /// Of the next column among the custom ones.
    place: usize,
}

impl Visitor for Taking<'_, '_> {
    #[inline(always)]
    fn visit(&mut self, column: &'static Column) {
        if column.custom().is_none() {
            return;
        }
        let custom = &self.layout.columns[self.place];
        self.place += 1;
        if !column.group.applies(self.record) {
            return;
        }
        match column.access {
            Access::Number { wire, .. } => self.present.push(custom, wire(self.record)),
            Access::Address { get, .. } => self.present.push_bytes(custom, &address_bytes(get(self.record))),
            Access::CommunityId => self.present.push_text(custom, &self.community_id.text()),
            Access::ConnectionId => {
                self.present.push(custom, Some(u64::from(self.community_id.connection_id())));
            }
            Access::ApplicationLatency => {
                self.present.push(custom, columns::application_latency_us(self.record).map(u64::from));
            }
            // Its fields have custom columns, it has none.
            Access::Application => {}
        }
    }

    #[inline(always)]
    fn skip(&mut self, columns: &'static [Column]) {
        self.place += columns::customs_among(columns);
    }
}

/// The word before a list of custom columns.
pub(super) fn tag(count: usize) -> u64 {
    wire::composite_tag(count, wire::CUSTOM_DATA_WORDS, wire::CUSTOM_POINTERS)
}

/// The member of a custom column's value union that holds values of this kind.
fn member(kind: Kind) -> Member {
    match kind {
        Kind::U8 | Kind::Flag | Kind::EndReason | Kind::TcpState | Kind::TunnelKind => Member::U8,
        Kind::U16 | Kind::AppProtocol => Member::U16,
        Kind::U32 => Member::U32,
        Kind::U64 | Kind::Mac => Member::U64,
        Kind::Text => Member::Text,
        Kind::Address => Member::Address,
    }
}

fn slot_member(slot: Slot) -> Member {
    match slot {
        Slot::Text(_) => Member::Text,
        Slot::Number(_) => Member::U32,
        Slot::LargeNumber(_) => Member::U64,
        Slot::Address(_) => Member::Address,
    }
}
