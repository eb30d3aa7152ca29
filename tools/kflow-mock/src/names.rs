//! The memory of a receiver that takes each batch once, however often it is sent.

use crate::request::{Fate, Received};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hasher};

/// Takes a batch that is sound, or finds that it was taken before, and says what the service answers.
pub(crate) fn take(request: &mut Received, taken: &mut BTreeMap<String, u64>) -> (u16, Value) {
    let name = request.header("x-kflow-batch").concat();
    if name.is_empty() {
        request.fate = Fate::Taken;
        return (200, json!({}));
    }
    let mut digest = DefaultHasher::new();
    digest.write(&request.body);
    match taken.entry(name) {
        Entry::Vacant(free) => {
            free.insert(digest.finish());
            request.fate = Fate::Taken;
        }
        Entry::Occupied(before) if *before.get() == digest.finish() => request.fate = Fate::Repeated,
        Entry::Occupied(before) => {
            let fault = format!("batch {} is another than before", before.key());
            request.faults.push(fault.clone());
            return (400, json!({"error": fault}));
        }
    }
    (200, json!({}))
}
