//! What both programs say of messages, side by side.

use super::{FIELDS, Field, Messages, Per};
use crate::conversation::Key;
use crate::facts::Facts;
use crate::judged::{Context, Judged, MessageCounts, Said};
use crate::matching::loose_key;
use crate::sensor::Observed;
use std::collections::BTreeSet;

/// So many values are shown of those that differ.
const SHOWN_MAX: usize = 4;

pub fn compare(context: Context<'_>, ours: &Observed, theirs: &Facts, judged: &mut Judged) {
    let rename = |messages: &Messages| messages.renamed(|key| loose_key(key, &theirs.loose_pairs));
    let (our_side, their_side) = (rename(&ours.messages), rename(&theirs.messages));
    for key in our_side.keys().chain(their_side.keys()).collect::<BTreeSet<_>>() {
        for (index, field) in FIELDS.iter().enumerate() {
            let said = said(*key, field, our_side.values(key, index), their_side.values(key, index));
            judged.add_said(context, said);
        }
    }
}

fn said(key: Key, field: &'static Field, ours: &[String], theirs: &[String]) -> Said {
    let (alone, missing) = (without(ours, theirs), without(theirs, ours));
    let (reported, equal) = match field.per {
        Per::Transaction => (theirs.len(), theirs.len() - missing.len()),
        Per::Session => {
            let reported = usize::from(!theirs.is_empty());
            let is_equal = !ours.is_empty() && ours.iter().all(|value| theirs.contains(value));
            (reported, reported * usize::from(is_equal))
        }
    };
    let is_missing = reported > equal;
    Said {
        field: field.name,
        conversation: key,
        counts: MessageCounts { reported: reported as u64, equal: equal as u64, alone: alone.len() as u64 },
        ours: shown(&alone),
        theirs: shown(if is_missing { &missing } else { &[] }),
    }
}

/// The values that the others do not have, or not as often.
fn without<'a>(values: &'a [String], others: &[String]) -> Vec<&'a str> {
    let mut others: Vec<&str> = others.iter().map(String::as_str).collect();
    others.sort_unstable();
    let mut left: Vec<&str> = values.iter().map(String::as_str).collect();
    left.sort_unstable();
    let mut others = others.into_iter().peekable();
    left.retain(|value| {
        while others.next_if(|other| other < value).is_some() {}
        others.next_if(|other| other == value).is_none()
    });
    left
}

fn shown(values: &[&str]) -> String {
    if values.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: Vec<String> = values.iter().take(SHOWN_MAX).map(|value| format!("`{value}`")).collect();
    if values.len() > SHOWN_MAX {
        shown.push(format!("and {} more", values.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(field: &str, ours: &[&str], theirs: &[&str]) -> (u64, u64, u64) {
        let (key, _) = Key::parse("6 192.0.2.1 40000 192.0.2.9 80").unwrap();
        let field = FIELDS.iter().find(|each| each.name == field).unwrap();
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let MessageCounts { reported, equal, alone } = said(key, field, &owned(ours), &owned(theirs)).counts;
        (reported, equal, alone)
    }

    #[test]
    fn value_of_a_transaction_is_equal_as_often_as_both_say_it() {
        assert_eq!(counts("http_method", &["GET", "PUT"], &["PUT", "GET"]), (2, 2, 0));
        assert_eq!(counts("http_method", &["GET"], &["GET", "GET"]), (2, 1, 0));
        assert_eq!(counts("http_method", &["GET", "GET"], &["GET"]), (1, 1, 1));
        assert_eq!(counts("http_method", &["PUT"], &["GET"]), (1, 0, 1));
    }

    #[test]
    fn session_says_what_one_of_its_hellos_says() {
        assert_eq!(counts("tls_ja3", &["a"], &["a", "b"]), (1, 1, 0));
        assert_eq!(counts("tls_ja3", &["a"], &["a", "a"]), (1, 1, 0));
        assert_eq!(counts("tls_ja3", &[], &["a", "b"]), (1, 0, 0));
        assert_eq!(counts("tls_ja3", &["a", "c"], &["a", "b"]), (1, 0, 1));
        assert_eq!(counts("tls_ja3", &["a"], &[]), (0, 0, 1));
    }

    #[test]
    fn what_is_shown_of_a_long_list_says_how_much_more_there_is() {
        assert_eq!(shown(&[]), "nothing");
        assert_eq!(shown(&["a"; 6]), "`a`, `a`, `a`, `a`, and 2 more");
    }

    proptest! {
        #[test]
        fn what_one_has_more_often_is_what_is_left(
            ours in prop::collection::vec("[a-d]", 0..12),
            theirs in prop::collection::vec("[a-d]", 0..12),
        ) {
            let left = without(&ours, &theirs);
            for value in ["a", "b", "c", "d"] {
                let times = |values: &[String]| values.iter().filter(|each| *each == value).count();
                let expected = times(&ours).saturating_sub(times(&theirs));
                prop_assert_eq!(left.iter().filter(|each| **each == value).count(), expected);
            }
        }
    }
}
