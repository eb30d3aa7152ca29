//! A field of conversations as the report has it.

use crate::judged::Counts;
use crate::table::table;
use serde_json::{Value as Json, json};

#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub field: &'static str,
    /// Whether the sensor's records have it.
    pub is_reported: bool,
    pub counts: Counts,
    pub explained: u64,
    /// Share that has to be equal; `None` for a second opinion.
    pub goal_percent: Option<f64>,
}

impl Line {
    /// Neither equal nor explained.
    pub fn different(&self) -> u64 {
        self.counts.compared - self.counts.equal - self.explained
    }

    pub fn percent(&self) -> Option<f64> {
        share(self.counts.equal, self.counts.compared)
    }

    pub fn nonzero_percent(&self) -> Option<f64> {
        share(self.counts.nonzero_equal, self.counts.nonzero)
    }

    /// Whether nothing is left unexplained, or both shares reach the goal; `None` without a goal or a value.
    pub fn is_met(&self) -> Option<bool> {
        self.goal_percent.filter(|_| self.is_reported)?;
        Some(self.different() == 0 || self.reaches_goal())
    }

    /// Whether the equal ones are enough by themselves.
    fn reaches_goal(&self) -> bool {
        let goal = self.goal_percent.unwrap_or(0.0);
        let reaches = |share: Option<f64>| share.is_none_or(|percent| percent >= goal);
        reaches(self.percent()) && reaches(self.nonzero_percent())
    }

    pub fn json(&self) -> Json {
        let Counts { compared, equal, nonzero, nonzero_equal } = self.counts;
        json!({
            "field": self.field,
            "reported": self.is_reported,
            "compared": compared,
            "equal": equal,
            "different": self.different(),
            "explained": self.explained,
            "equal_percent": self.percent(),
            "nonzero": nonzero,
            "nonzero_equal": nonzero_equal,
            "nonzero_equal_percent": self.nonzero_percent(),
            "goal_percent": self.goal_percent,
            "met": self.is_met(),
        })
    }

    fn cells(&self) -> Vec<String> {
        if !self.is_reported {
            return vec![self.field.to_owned(), "not reported by the sensor".to_owned()];
        }
        let percent = |share: Option<f64>| share.map(|percent| format!("{percent:.2}")).unwrap_or_default();
        let is_met = match self.is_met() {
            None => "",
            Some(false) => "NO",
            Some(true) if self.reaches_goal() => "yes",
            Some(true) => "explained",
        };
        vec![
            self.field.to_owned(),
            self.counts.compared.to_string(),
            self.counts.equal.to_string(),
            self.different().to_string(),
            self.explained.to_string(),
            percent(self.percent()),
            self.counts.nonzero.to_string(),
            percent(self.nonzero_percent()),
            self.goal_percent.map(|goal| goal.to_string()).unwrap_or_default(),
            is_met.to_owned(),
        ]
    }
}

pub fn text(lines: &[Line]) -> String {
    let heading = [
        "field",
        "compared",
        "equal",
        "different",
        "explained",
        "% equal",
        "not zero",
        "% equal",
        "goal",
        "met",
    ];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(lines.iter().map(Line::cells));
    table(&rows, &[9])
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}
