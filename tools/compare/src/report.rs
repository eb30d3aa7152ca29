//! What the comparison comes to: a line a field, every difference, and whether the goals are met.

use crate::explained::Explanations;
use crate::field::Field;
use crate::judged::{Counts, Difference, Judged, Reason};
use crate::line::{self, Line};
use crate::matching::{NOT_IP, READ};
use crate::message::line::{self as message_line, MessageLine};
use crate::ndpi;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Debug)]
pub struct Report {
    pub captures: u64,
    /// Captures that could not be judged, and why.
    pub failed: Vec<(String, String)>,
    pub lines: Vec<Line>,
    /// Empty if the sensor's records have no room for what messages say.
    pub message_lines: Vec<MessageLine>,
    pub differences: Vec<Difference>,
    explanations: Explanations,
    /// Entries of the list that explained nothing although their capture was there.
    unused: Vec<usize>,
}

/// What the captures came to, before it is added up.
#[derive(Debug, Default)]
pub struct Results {
    pub judged: Vec<Judged>,
    /// For each field of the table, whether a record had it.
    pub reported: Vec<bool>,
    /// Whether records had room for what messages say.
    pub has_messages: bool,
    pub captures: Vec<String>,
    pub failed: Vec<(String, String)>,
}

impl Report {
    pub fn new(results: Results, fields: &'static [Field], explanations: Explanations) -> Report {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        let mut differences = Vec::new();
        for judged in &results.judged {
            for (field, of_capture) in &judged.counts {
                counts.entry(field).or_default().add(*of_capture);
            }
            differences.extend(judged.differences.iter().cloned());
        }
        let mut message_lines = message_line::lines(&results.judged, &differences);
        if !results.has_messages {
            differences.retain(|each| !message_lines.iter().any(|line| line.field == each.field));
            message_lines.clear();
        }
        let of_table = fields.iter().zip(results.reported);
        let of_table = of_table.map(|(field, reported)| (field.name, reported, Some(field.goal_percent)));
        let of_captures = [READ, NOT_IP].map(|field| (field, true, Some(100.0)));
        let of_ndpi = ndpi::FIELDS.map(|(field, _)| (field, counts.contains_key(field), None));
        let mut lines = Vec::new();
        for (field, is_reported, goal_percent) in of_captures.into_iter().chain(of_table).chain(of_ndpi) {
            if goal_percent.is_none() && !is_reported {
                continue;
            }
            if !is_reported {
                differences.retain(|difference: &Difference| difference.field != field);
            }
            let is_explained = |each: &&Difference| each.field == field && each.reason.is_some();
            let explained = differences.iter().filter(is_explained).count() as u64;
            let counts = counts.get(field).copied().unwrap_or_default();
            lines.push(Line { field, is_reported, counts, explained, goal_percent });
        }
        let is_used =
            |entry: &usize| differences.iter().any(|each| each.reason == Some(Reason::Entry(*entry)));
        let is_compared = |field: &String| {
            lines.iter().any(|line| line.is_reported && line.field == *field)
                || message_lines.iter().any(|line| line.field == *field)
        };
        let is_expected = |entry: &usize| {
            let entry = &explanations.entries()[*entry];
            let has_field = entry.fields.is_empty() || entry.fields.iter().any(is_compared);
            let has_capture = results.captures.iter().any(|capture| entry.is_of(capture));
            entry.account.is_none() && has_field && has_capture
        };
        let entries = 0..explanations.entries().len();
        let unused = entries.filter(|entry| !is_used(entry) && is_expected(entry)).collect();
        let captures = results.captures.len() as u64;
        Report { captures, failed: results.failed, lines, message_lines, differences, explanations, unused }
    }

    /// Whether every capture was judged and every goal of what the sensor reports is met.
    pub fn is_met(&self) -> bool {
        self.failed.is_empty()
            && self.lines.iter().all(|line| line.is_met() != Some(false))
            && self.message_lines.iter().all(MessageLine::is_met)
    }

    /// Why a difference is one, if that is known.
    pub fn reason(&self, difference: &Difference) -> Option<&str> {
        difference.reason.map(|reason| match reason {
            Reason::Rule(rule) => rule,
            Reason::Entry(entry) => self.explanations.entries()[entry].reason.as_str(),
        })
    }

    /// The table, and of the differences of each sort as many as are asked for.
    pub fn text(&self, details: usize) -> String {
        let mut text = String::new();
        let write =
            |text: &mut String, line: &str| writeln!(text, "{line}").expect("a string takes every write");
        write(&mut text, &format!("{} captures", self.captures));
        text.push_str(&line::text(&self.lines));
        if !self.message_lines.is_empty() {
            text.push('\n');
            text.push_str(&message_line::text(&self.message_lines));
        }
        self.list(&mut text, "different", details, |each| each.missing > 0 && each.reason.is_none());
        self.list(&mut text, "explained", details, |each| each.missing > 0 && each.reason.is_some());
        self.list(&mut text, "said by ours alone", details, |each| each.missing == 0);
        for (capture, why) in &self.failed {
            write(&mut text, &format!("not judged: {capture}: {why}"));
        }
        for entry in &self.unused {
            let entry = &self.explanations.entries()[*entry];
            write(
                &mut text,
                &format!("explains nothing: {} {}: {}", entry.capture, entry.conversation, entry.reason),
            );
        }
        text
    }

    fn list(&self, text: &mut String, title: &str, details: usize, is_of: impl Fn(&Difference) -> bool) {
        let all: Vec<&Difference> = self.differences.iter().filter(|difference| is_of(difference)).collect();
        let mut line = |line: String| writeln!(text, "{line}").expect("a string takes every write");
        if !all.is_empty() {
            line(format!("\n{title}: {}", all.len()));
        }
        for difference in all.iter().take(details) {
            let Difference { capture, conversation, field, ours, theirs, .. } = difference;
            let conversation = conversation.map(|key| format!(" {key}")).unwrap_or_default();
            line(format!("  {capture}{conversation}: {field}: ours {ours}, theirs {theirs}"));
            if let Some(reason) = self.reason(difference) {
                line(format!("    {reason}"));
            }
        }
        if all.len() > details {
            line(format!("  and {} more", all.len() - details));
        }
    }

    pub fn json(&self) -> Json {
        let failed: Vec<Json> =
            self.failed.iter().map(|(capture, why)| json!({"capture": capture, "reason": why})).collect();
        let unused: Vec<Json> = self
            .unused
            .iter()
            .map(|entry| {
                let entry = &self.explanations.entries()[*entry];
                json!({"capture": entry.capture, "conversation": entry.conversation, "reason": entry.reason})
            })
            .collect();
        let differences: Vec<Json> = self
            .differences
            .iter()
            .map(|difference| {
                json!({
                    "capture": difference.capture,
                    "conversation": difference.conversation.map(|key| key.to_string()),
                    "field": difference.field,
                    "ours": difference.ours,
                    "theirs": difference.theirs,
                    "missing": difference.missing,
                    "reason": self.reason(difference),
                })
            })
            .collect();
        json!({
            "captures": self.captures,
            "met": self.is_met(),
            "fields": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            "messages": self.message_lines.iter().map(MessageLine::json).collect::<Vec<_>>(),
            "differences": differences,
            "not_judged": failed,
            "unused_explanations": unused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::OUTER;
    use crate::judged::{Context, Pair};

    const LIST: &str = "[[explained]]\ncapture = \"b.pcap\"\nreason = \"because\"\n\
                        [[explained]]\ncapture = \"a.pcap\"\nfields = [\"bytes\"]\nreason = \"no more\"\n";

    /// A report on `equal` equal values of the field, and a different one in each of the captures.
    fn report(field: &'static str, equal: u64, different_in: &[&str], reported: bool) -> Report {
        let explanations = Explanations::parse(LIST).unwrap();
        let mut judged = Judged::default();
        let accounts = BTreeMap::new();
        let mut add = |capture, is_equal| {
            let context = Context { capture, explanations: &explanations, accounts: &accounts };
            let (ours, theirs) = ("1/0".to_owned(), "2/0".to_owned());
            let pair = Pair {
                field,
                conversation: None,
                is_equal,
                is_nothing: false,
                missing_packets: 0,
                ours,
                theirs,
                rule: None,
            };
            judged.add(context, pair);
        };
        (0..equal).for_each(|_| add("a.pcap", true));
        different_in.iter().for_each(|capture| add(capture, false));
        let results = Results {
            judged: vec![judged],
            reported: vec![reported; OUTER.len()],
            captures: ["a.pcap", "b.pcap"].map(String::from).to_vec(),
            failed: Vec::new(),
            has_messages: false,
        };
        Report::new(results, &OUTER, explanations)
    }

    fn line<'a>(report: &'a Report, field: &str) -> &'a Line {
        report.lines.iter().find(|line| line.field == field).unwrap()
    }

    #[test]
    fn share_of_the_goal_suffices() {
        let report = report("retransmission", 99, &["a.pcap"], true);
        assert_eq!(line(&report, "retransmission").percent(), Some(99.0));
        assert!(report.is_met());
    }

    #[test]
    fn difference_below_the_goal_fails_unless_it_is_explained() {
        let unexplained = report("packets", 999, &["a.pcap"], true);
        assert!(!unexplained.is_met());
        assert!(
            unexplained.text(9).contains("a.pcap: packets: ours 1/0, theirs 2/0"),
            "{}",
            unexplained.text(9)
        );
        let explained = report("packets", 999, &["b.pcap"], true);
        assert!(explained.is_met());
        assert_eq!((line(&explained, "packets").different(), line(&explained, "packets").explained), (0, 1));
        assert_eq!(explained.json()["differences"][0]["reason"], "because");
    }

    #[test]
    fn field_that_the_sensor_does_not_report_is_said_to_be_so() {
        let report = report("retransmission", 0, &["a.pcap"], false);
        assert!(
            report.text(9).contains("retransmission           not reported by the sensor\n"),
            "{}",
            report.text(9)
        );
        assert_eq!(report.differences, []);
        assert_eq!(line(&report, "retransmission").is_met(), None);
        assert_eq!(report.json()["fields"][4]["reported"], false);
    }

    #[test]
    fn explanation_that_explains_nothing_is_named() {
        let report = report("packets", 1, &["b.pcap"], true);
        assert_eq!(report.json()["unused_explanations"][0]["reason"], "no more");
        assert!(report.text(0).contains("explains nothing: a.pcap"), "{}", report.text(0));
    }

    #[test]
    fn explanation_of_a_field_that_is_not_compared_is_not_missed() {
        let results = Results {
            reported: vec![false; OUTER.len()],
            captures: vec!["a.pcap".to_owned()],
            ..Results::default()
        };
        let report = Report::new(results, &OUTER, Explanations::parse(LIST).unwrap());
        assert!(!report.text(0).contains("explains nothing"), "{}", report.text(0));
    }

    #[test]
    fn capture_that_could_not_be_judged_fails() {
        let results = Results {
            failed: vec![("a.pcap".to_owned(), "no tshark".to_owned())],
            reported: vec![false; OUTER.len()],
            ..Results::default()
        };
        let report = Report::new(results, &OUTER, Explanations::parse("").unwrap());
        assert!(!report.is_met());
        assert!(report.text(0).contains("not judged: a.pcap: no tshark"));
    }
}
