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
    /// All slots that there are.
    pub fn all() -> impl Iterator<Item = Slot> {
        let texts = (0..=32).map(Slot::Text);
        let numbers = (0..=9).map(Slot::Number);
        let large_numbers = (0..=9).map(Slot::LargeNumber);
        texts.chain(numbers).chain(large_numbers).chain((0..=4).map(Slot::Address))
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
    pub fn name(self) -> String {
        match self {
            Slot::Text(number) => format!("STR{number:02}"),
            Slot::Number(number) => format!("INT{number:02}"),
            Slot::LargeNumber(number) => format!("INT64_{number:02}"),
            Slot::Address(number) => format!("INET_{number:02}"),
        }
    }
}
