//! A field of messages as the report has it.

use super::{FIELDS, ndpi};
use crate::judged::{Difference, Judged, MessageCounts};
use crate::table::table;
use serde_json::{Value as Json, json};

/// Share of what theirs says that has to be equal or explained, percent.
const GOAL_PERCENT: f64 = 100.0;

#[derive(Clone, Debug, PartialEq)]
pub struct MessageLine {
    pub field: &'static str,
    pub counts: MessageCounts,
    /// Of those that are not equal.
    pub explained: u64,
}

/// A line for each field that either program says anything of.
pub fn lines(judged: &[Judged], differences: &[Difference]) -> Vec<MessageLine> {
    let names = FIELDS.iter().map(|field| field.name).chain([ndpi::HOST_NAME]);
    let line = |field| {
        let mut counts = MessageCounts::default();
        judged.iter().filter_map(|each| each.messages.get(field)).for_each(|each| counts.add(*each));
        let of_field = differences.iter().filter(|each| each.field == field && each.reason.is_some());
        MessageLine { field, counts, explained: of_field.map(|each| each.missing).sum() }
    };
    names.map(line).filter(|line| line.counts != MessageCounts::default()).collect()
}

impl MessageLine {
    /// Neither equal nor explained.
    pub fn different(&self) -> u64 {
        self.counts.reported - self.counts.equal - self.explained
    }

    pub fn percent(&self) -> Option<f64> {
        let MessageCounts { reported, equal, .. } = self.counts;
        (reported > 0).then(|| equal as f64 / reported as f64 * 100.0)
    }

    pub fn is_met(&self) -> bool {
        self.different() == 0
    }

    pub fn json(&self) -> Json {
        json!({
            "field": self.field,
            "reported": self.counts.reported,
            "equal": self.counts.equal,
            "different": self.different(),
            "explained": self.explained,
            "equal_percent": self.percent(),
            "ours_alone": self.counts.alone,
            "goal_percent": GOAL_PERCENT,
            "met": self.is_met(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let is_met = match self.percent() {
            None => "",
            Some(_) if !self.is_met() => "NO",
            Some(percent) if percent < GOAL_PERCENT => "explained",
            Some(_) => "yes",
        };
        vec![
            self.field.to_owned(),
            self.counts.reported.to_string(),
            self.counts.equal.to_string(),
            self.different().to_string(),
            self.explained.to_string(),
            self.percent().map(|percent| format!("{percent:.2}")).unwrap_or_default(),
            self.counts.alone.to_string(),
            GOAL_PERCENT.to_string(),
            is_met.to_owned(),
        ]
    }
}

pub fn text(lines: &[MessageLine]) -> String {
    let heading =
        ["messages", "reported", "equal", "different", "explained", "% equal", "ours alone", "goal", "met"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(lines.iter().map(MessageLine::cells));
    table(&rows, &[8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judged::Reason;

    fn judged(counts: MessageCounts, explained: u64) -> Vec<MessageLine> {
        let mut judged = Judged::default();
        judged.messages.insert("dns_query", counts);
        let difference = |missing, reason| Difference {
            capture: "a.pcap".to_owned(),
            conversation: None,
            field: "dns_query",
            ours: String::new(),
            theirs: String::new(),
            missing,
            reason,
        };
        let differences =
            [difference(explained, Some(Reason::Rule("because"))), difference(1, None), difference(0, None)];
        lines(&[judged], &differences)
    }

    #[test]
    fn only_what_theirs_says_and_nothing_explains_is_missed() {
        let counts = MessageCounts { reported: 10, equal: 7, alone: 5 };
        let lines = judged(counts, 2);
        assert_eq!((lines.len(), lines[0].different(), lines[0].percent()), (1, 1, Some(70.0)));
        assert!(!lines[0].is_met());
        assert!(text(&lines).contains("NO"), "{}", text(&lines));
        let lines = judged(counts, 3);
        assert!(lines[0].is_met());
        assert!(text(&lines).ends_with("explained\n"), "{}", text(&lines));
    }

    #[test]
    fn what_ours_alone_says_fails_nothing() {
        let lines = judged(MessageCounts { reported: 0, equal: 0, alone: 3 }, 0);
        assert!(lines[0].is_met());
        assert_eq!(lines[0].json()["ours_alone"], 3);
        assert_eq!(judged(MessageCounts::default(), 0), []);
    }
}
