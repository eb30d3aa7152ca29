//! What applications said, as both programs list it: names, fingerprints, methods, codes.
//!
//! ```text
//! expected.jsonl, tshark ─► theirs (dns puts transactions together) ─┐
//! records of the sensor ──► ours ────────────────────────────────────┼─► matching ─► Judged
//! ndpi_flows.tsv ─────────► ndpi ────────────────────────────────────┘
//! ```
//!
//! A program says a value of a [`Field`] in a conversation as often as it saw a message, or once a session. Values are
//! texts; [`text`] has how both are brought to one way of writing.

mod dns;
pub mod field;
pub mod line;
pub mod matching;
pub mod ndpi;
pub mod ours;
mod text;
pub mod theirs;

pub use field::{FIELDS, Field, Per};

use crate::conversation::Key;
use std::collections::BTreeMap;

/// Values of each field, in the order of [`FIELDS`], by conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages(BTreeMap<Key, Vec<Vec<String>>>);

impl Messages {
    /// Adds a value of the field with this name. What is empty says nothing.
    pub fn add(&mut self, key: Key, field: &str, value: String) {
        if value.is_empty() {
            return;
        }
        self.of_key(key)[place(field)].push(value);
    }

    fn of_key(&mut self, key: Key) -> &mut Vec<Vec<String>> {
        self.0.entry(key).or_insert_with(|| vec![Vec::new(); FIELDS.len()])
    }

    /// The values of the field in the order in which they were said; none if the conversation is not known.
    pub fn values(&self, key: &Key, field: usize) -> &[String] {
        self.0.get(key).map(|fields| fields[field].as_slice()).unwrap_or_default()
    }

    /// The values of the field with this name.
    pub fn named(&self, key: &Key, field: &str) -> &[String] {
        self.values(key, place(field))
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// The same under other keys; what comes under one key is put together.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(&Key) -> Key) -> Messages {
        let mut renamed = Messages::default();
        for (key, fields) in &self.0 {
            for (all, values) in renamed.of_key(name(key)).iter_mut().zip(fields) {
                all.extend_from_slice(values);
            }
        }
        renamed
    }
}

/// Where in the table the field with this name is.
fn place(field: &str) -> usize {
    FIELDS.iter().position(|each| each.name == field).expect("a field of the table")
}
