//! What an application said: a protocol, and values of the fields that the protocol has.
//!
//! An [`Application`] is one transaction (a request and its answer) or what is known of a session. It is made by
//! filling a [`Draft`], which has its memory from the start, so that requests can wait in it for their answers.
//! [`protocols`] is the table of protocols and fields: numbers, plain names and places in the flow message.

mod draft;
mod field;
pub mod protocols;

pub use draft::{Draft, TextWriter};
pub use field::{Field, FieldKind, Key, Sensitivity, Slot};
pub use protocols::{AppProtocol, FIELDS_MAX};

use std::{borrow::Cow, fmt, net::IpAddr};

/// Bytes of all texts of one application together that the flow message has room for.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A transaction or a session, as it is exported. All of its values are in one piece of memory.
///
/// ```text
/// memory  entry … entry  texts and octets of addresses
/// entry   key (1 byte), number or place (8 bytes): start (4) and end (4), counted from behind the entries
/// ```
#[derive(Clone)]
pub struct Application {
    protocol: AppProtocol,
    latency_us: Option<u32>,
    /// In the order of the protocol's fields.
    entries: u8,
    memory: Box<[u8]>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum<'a> {
    Number(u64),
    Text(&'a str),
    Address(IpAddr),
}

const ENTRY_BYTES: usize = 9;

impl Application {
    pub fn protocol(&self) -> AppProtocol {
        self.protocol
    }

    /// From the end of the request to the start of its answer, microseconds; unknown without an answer, or if the
    /// request was not seen.
    pub fn latency_us(&self) -> Option<u32> {
        self.latency_us
    }

    /// Whether it says nothing. A record does without such an application.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.latency_us.is_none()
    }

    /// The fields that have a value, in the order of the protocol's table.
    pub fn values(&self) -> impl Iterator<Item = (&'static Field, Datum<'_>)> {
        self.entries().map(|(key, word)| (self.field(key), self.datum(key, word)))
    }

    pub fn value(&self, key: Key) -> Option<Datum<'_>> {
        let (key, word) = self.entries().find(|entry| entry.0 == key)?;
        Some(self.datum(key, word))
    }

    pub fn text(&self, key: Key) -> Option<&str> {
        match self.value(key)? {
            Datum::Text(text) => Some(text),
            Datum::Number(_) | Datum::Address(_) => None,
        }
    }

    pub fn number(&self, key: Key) -> Option<u64> {
        match self.value(key)? {
            Datum::Number(number) => Some(number),
            Datum::Text(_) | Datum::Address(_) => None,
        }
    }

    fn field(&self, key: Key) -> &'static Field {
        &self.protocol.fields()[usize::from(key.0)]
    }

    /// Keys, and numbers or places.
    fn entries(&self) -> impl Iterator<Item = (Key, u64)> {
        let (entries, _) = self.memory.as_chunks::<ENTRY_BYTES>();
        let entries = entries[..usize::from(self.entries)].iter();
        entries.map(|[key, word @ ..]| (Key(*key), u64::from_le_bytes(*word)))
    }

    fn datum(&self, key: Key, word: u64) -> Datum<'_> {
        let octets = || {
            let [start, end] = places(word);
            &self.memory[usize::from(self.entries) * ENTRY_BYTES..][start..end]
        };
        match self.field(key).kind {
            FieldKind::Number => Datum::Number(word),
            FieldKind::Text => {
                Datum::Text(std::str::from_utf8(octets()).expect("texts are valid UTF-8 each"))
            }
            FieldKind::Address => Datum::Address(match *octets() {
                [a, b, c, d] => IpAddr::from([a, b, c, d]),
                ref octets => IpAddr::from(<[u8; 16]>::try_from(octets).expect("what is not IPv4 is IPv6")),
            }),
        }
    }

    /// The same with other texts: what `rewrite` returns takes the place of a text, `None` leaves the field out.
    #[must_use]
    pub fn with_texts<'a>(
        &'a self,
        mut rewrite: impl FnMut(&'static Field, &'a str) -> Option<Cow<'a, str>>,
    ) -> Application {
        let mut data = Vec::new();
        let mut entries = Vec::with_capacity(usize::from(self.entries));
        for (key, word) in self.entries() {
            let start = data.len();
            match self.datum(key, word) {
                Datum::Text(old) => {
                    let Some(new) = rewrite(self.field(key), old) else { continue };
                    data.extend_from_slice(new.as_bytes());
                }
                Datum::Address(IpAddr::V4(address)) => data.extend_from_slice(&address.octets()),
                Datum::Address(IpAddr::V6(address)) => data.extend_from_slice(&address.octets()),
                Datum::Number(number) => {
                    entries.push((key, number));
                    continue;
                }
            }
            entries.push((key, place(start, data.len())));
        }
        Application::new(self.protocol, self.latency_us, entries.into_iter(), &data)
    }

    /// Of entries in the order of the table.
    #[inline]
    fn new(
        protocol: AppProtocol,
        latency_us: Option<u32>,
        entries: impl ExactSizeIterator<Item = (Key, u64)>,
        data: &[u8],
    ) -> Application {
        let count = entries.len();
        let mut memory = Vec::with_capacity(count * ENTRY_BYTES + data.len());
        for (key, word) in entries {
            let mut entry = [key.0; ENTRY_BYTES];
            entry[1..].copy_from_slice(&word.to_le_bytes());
            memory.extend_from_slice(&entry);
        }
        memory.extend_from_slice(data);
        Application { protocol, latency_us, entries: count as u8, memory: memory.into() }
    }
}

/// The same values, wherever they are in memory.
impl PartialEq for Application {
    fn eq(&self, other: &Application) -> bool {
        (self.protocol, self.latency_us) == (other.protocol, other.latency_us)
            && self.values().eq(other.values())
    }
}

impl Eq for Application {}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values().map(|(field, datum)| (field.name, datum));
        f.debug_struct("Application")
            .field("protocol", &self.protocol)
            .field("latency_us", &self.latency_us)
            .field("values", &values.collect::<Vec<_>>())
            .finish()
    }
}

/// Start and end of a value, as an entry has them.
fn place(start: usize, end: usize) -> u64 {
    (end as u64) << 32 | start as u64
}

fn places(word: u64) -> [usize; 2] {
    [word as u32, (word >> 32) as u32].map(|place| place as usize)
}
