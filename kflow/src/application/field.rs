//! A field of an application protocol: its plain name, and where receivers that know no names find it.

/// A field of a protocol, as [`super::protocols`] names it. Means nothing without the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u8);

/// What is known of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in JSON and CSV.
    pub name: &'static str,
    pub kind: FieldKind,
    pub slot: Slot,
    pub sensitivity: Sensitivity,
    /// One line for the reader of the output.
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Number,
    Text,
    Address,
}

/// Who might object to a text leaving the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Nobody.
    Open,
    /// A name that was looked up, or what it stands for.
    DnsName,
    /// The name of a host that was spoken to, or that spoke.
    HostName,
    /// A URL, whose query is sensitive.
    Url,
    /// The name of a user, or what a user is let in by.
    UserName,
}

/// The custom column that carries a field: receivers know a fixed set of them, whose meaning depends on the
/// application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// `STR00` to `STR32`.
    Text(u8),
    /// `INT00` to `INT09`, 32 bits.
    Number(u8),
    /// `INT64_00` to `INT64_09`.
    LargeNumber(u8),
    /// `INET_00` to `INET_04`.
    Address(u8),
}

impl Slot {
    /// How many slots there are.
    pub const COUNT: usize =
        TEXT_NAMES.len() + NUMBER_NAMES.len() + LARGE_NUMBER_NAMES.len() + ADDRESS_NAMES.len();

    /// All slots that there are.
    pub fn all() -> impl Iterator<Item = Slot> {
        let texts = (0..TEXT_NAMES.len() as u8).map(Slot::Text);
        let numbers = (0..NUMBER_NAMES.len() as u8).map(Slot::Number);
        let large_numbers = (0..LARGE_NUMBER_NAMES.len() as u8).map(Slot::LargeNumber);
        let addresses = (0..ADDRESS_NAMES.len() as u8).map(Slot::Address);
        texts.chain(numbers).chain(large_numbers).chain(addresses)
    }

    /// The place among all slots.
    pub const fn place(self) -> usize {
        const NUMBERS: usize = TEXT_NAMES.len();
        const LARGE_NUMBERS: usize = NUMBERS + NUMBER_NAMES.len();
        const ADDRESSES: usize = LARGE_NUMBERS + LARGE_NUMBER_NAMES.len();
        match self {
            Slot::Text(number) => number as usize,
            Slot::Number(number) => NUMBERS + number as usize,
            Slot::LargeNumber(number) => LARGE_NUMBERS + number as usize,
            Slot::Address(number) => ADDRESSES + number as usize,
        }
    }

    /// What its values are.
    pub const fn kind(self) -> FieldKind {
        match self {
            Slot::Text(_) => FieldKind::Text,
            Slot::Number(_) | Slot::LargeNumber(_) => FieldKind::Number,
            Slot::Address(_) => FieldKind::Address,
        }
    }

    /// The id of the custom column.
    pub const fn id(self) -> u32 {
        match self {
            Slot::Text(number @ 0..=5) => 2887 + number as u32,
            Slot::Text(number @ 6..=16) => 7662 + (number - 6) as u32,
            Slot::Text(number) => 13_800 + (number - 17) as u32,
            Slot::Number(number @ 0..=5) => 2881 + number as u32,
            Slot::Number(number) => 10_434 + (number - 6) as u32,
            Slot::LargeNumber(number @ 0..=4) => 6503 + number as u32,
            Slot::LargeNumber(number) => 10_438 + (number - 5) as u32,
            Slot::Address(number) => 6498 + number as u32,
        }
    }

    /// The name of the custom column.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::Text(number) => TEXT_NAMES[number as usize],
            Slot::Number(number) => NUMBER_NAMES[number as usize],
            Slot::LargeNumber(number) => LARGE_NUMBER_NAMES[number as usize],
            Slot::Address(number) => ADDRESS_NAMES[number as usize],
        }
    }
}

#[rustfmt::skip]
const TEXT_NAMES: [&str; 33] = [
    "STR00", "STR01", "STR02", "STR03", "STR04", "STR05", "STR06", "STR07", "STR08", "STR09", "STR10",
    "STR11", "STR12", "STR13", "STR14", "STR15", "STR16", "STR17", "STR18", "STR19", "STR20", "STR21",
    "STR22", "STR23", "STR24", "STR25", "STR26", "STR27", "STR28", "STR29", "STR30", "STR31", "STR32",
];

#[rustfmt::skip]
const NUMBER_NAMES: [&str; 10] = [
    "INT00", "INT01", "INT02", "INT03", "INT04", "INT05", "INT06", "INT07", "INT08", "INT09",
];

#[rustfmt::skip]
const LARGE_NUMBER_NAMES: [&str; 10] = [
    "INT64_00", "INT64_01", "INT64_02", "INT64_03", "INT64_04",
    "INT64_05", "INT64_06", "INT64_07", "INT64_08", "INT64_09",
];

const ADDRESS_NAMES: [&str; 5] = ["INET_00", "INET_01", "INET_02", "INET_03", "INET_04"];
