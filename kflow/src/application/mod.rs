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

use std::{borrow::Cow, net::IpAddr};

/// Bytes of all texts of one application together that the flow message has room for.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A transaction or a session, as it is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    protocol: AppProtocol,
    latency_us: Option<u32>,
    /// In the order of the protocol's fields.
    entries: Box<[Entry]>,
    text: Box<str>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum<'a> {
    Number(u64),
    Text(&'a str),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    key: Key,
    stored: Stored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Number(u64),
    Address(IpAddr),
    /// In the text, from here to there.
    Text(u32, u32),
}

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
        self.entries.is_empty() && self.latency_us.is_none()
    }

    /// The fields that have a value, in the order of the protocol's table.
    pub fn values(&self) -> impl Iterator<Item = (&'static Field, Datum<'_>)> {
        self.entries.iter().map(|entry| (self.field(entry.key), entry.stored.datum(&self.text)))
    }

    pub fn value(&self, key: Key) -> Option<Datum<'_>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(entry.stored.datum(&self.text))
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
        self.protocol.field(key)
    }

    /// The same with other texts: what `rewrite` returns takes the place of a text, `None` leaves the field out.
    #[must_use]
    pub fn with_texts<'a>(
        &'a self,
        mut rewrite: impl FnMut(&'static Field, &'a str) -> Option<Cow<'a, str>>,
    ) -> Application {
        let mut text = String::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let stored = match entry.stored.datum(&self.text) {
                Datum::Text(old) => {
                    let Some(new) = rewrite(self.field(entry.key), old) else { continue };
                    let start = text.len();
                    text.push_str(&new);
                    Stored::Text(start as u32, text.len() as u32)
                }
                Datum::Number(_) | Datum::Address(_) => entry.stored,
            };
            entries.push(Entry { key: entry.key, stored });
        }
        let Application { protocol, latency_us, .. } = *self;
        Application { protocol, latency_us, entries: entries.into(), text: text.into() }
    }
}

impl Stored {
    fn datum(self, text: &str) -> Datum<'_> {
        match self {
            Stored::Number(number) => Datum::Number(number),
            Stored::Address(address) => Datum::Address(address),
            Stored::Text(start, end) => Datum::Text(&text[start as usize..end as usize]),
        }
    }
}
