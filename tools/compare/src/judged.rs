//! How one capture came out: counts by field, and the values that differ.

use crate::conversation::Key;
use crate::explained::Explanations;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// By name of the field.
    pub counts: BTreeMap<&'static str, Counts>,
    /// What messages say, by name of the field.
    pub messages: BTreeMap<&'static str, MessageCounts>,
    pub differences: Vec<Difference>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub compared: u64,
    pub equal: u64,
    /// Of those compared, where one of the programs says more than nothing.
    pub nonzero: u64,
    pub nonzero_equal: u64,
}

/// How often messages say a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// By theirs.
    pub reported: u64,
    /// Of those, by ours as well.
    pub equal: u64,
    /// By ours alone.
    pub alone: u64,
}

/// What the messages of one conversation say of a field.
#[derive(Debug)]
pub struct Said {
    pub field: &'static str,
    pub conversation: Key,
    pub counts: MessageCounts,
    /// What only ours says.
    pub ours: String,
    /// What only theirs says.
    pub theirs: String,
}

/// Two values that are to be the same.
#[derive(Debug)]
pub struct Pair {
    pub field: &'static str,
    /// `None` for what is compared once a capture.
    pub conversation: Option<Key>,
    pub is_equal: bool,
    /// Neither program says more than nothing.
    pub is_nothing: bool,
    /// Packets that ours is short of.
    pub missing_packets: u64,
    pub ours: String,
    pub theirs: String,
    /// A difference of definition that accounts for these values.
    pub rule: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Relative to the corpus.
    pub capture: String,
    pub conversation: Option<Key>,
    pub field: &'static str,
    pub ours: String,
    pub theirs: String,
    /// How many values of theirs are not in ours; zero if ours only says more than theirs.
    pub missing: u64,
    pub reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Rule(&'static str),
    /// The entry of the list of explanations.
    Entry(usize),
}

/// The capture whose values are judged, and with what differences may be explained.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub capture: &'a str,
    pub explanations: &'a Explanations,
    /// The sensor's account of frames that are in no flow.
    pub accounts: &'a BTreeMap<String, u64>,
}

impl Judged {
    /// Counts a pair, and keeps it if it is a difference.
    pub fn add(&mut self, context: Context<'_>, pair: Pair) {
        let counts = self.counts.entry(pair.field).or_default();
        let equal = u64::from(pair.is_equal);
        counts.compared += 1;
        counts.equal += equal;
        if !pair.is_nothing {
            counts.nonzero += 1;
            counts.nonzero_equal += equal;
        }
        if pair.is_equal {
            return;
        }
        self.differ(context, pair, 1);
    }

    /// Counts what messages say, and keeps it if it differs.
    pub fn add_said(&mut self, context: Context<'_>, said: Said) {
        self.messages.entry(said.field).or_default().add(said.counts);
        let MessageCounts { reported, equal, alone } = said.counts;
        if reported == equal && alone == 0 {
            return;
        }
        let pair = Pair {
            field: said.field,
            conversation: Some(said.conversation),
            is_equal: false,
            is_nothing: false,
            missing_packets: 0,
            ours: said.ours,
            theirs: said.theirs,
            rule: None,
        };
        self.differ(context, pair, reported - equal);
    }

    fn differ(&mut self, context: Context<'_>, pair: Pair, missing: u64) {
        let entry = context.explanations.find(&context, &pair).map(Reason::Entry);
        self.differences.push(Difference {
            capture: context.capture.to_owned(),
            conversation: pair.conversation,
            field: pair.field,
            ours: pair.ours,
            theirs: pair.theirs,
            missing,
            reason: pair.rule.map(Reason::Rule).or(entry),
        });
    }
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.compared += other.compared;
        self.equal += other.equal;
        self.nonzero += other.nonzero;
        self.nonzero_equal += other.nonzero_equal;
    }
}

impl MessageCounts {
    pub fn add(&mut self, other: MessageCounts) {
        self.reported += other.reported;
        self.equal += other.equal;
        self.alone += other.alone;
    }
}
