//! One figure, and what was measured beside it.

use serde_json::{Value, json};

pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    reference: Option<(String, f64)>,
    goal: Option<(String, bool)>,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
        Figure { name: name.into(), value, unit, reference: None, goal: None }
    }

    pub fn against(mut self, name: impl Into<String>, value: f64) -> Figure {
        self.reference = Some((name.into(), value));
        self
    }

    pub fn at_most(mut self, goal: f64) -> Figure {
        self.goal = Some((format!("<= {goal} {}", self.unit), self.value <= goal));
        self
    }

    pub fn to_json(&self) -> Value {
        let reference = self.reference.as_ref();
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "reference": reference.map(|(name, _)| name),
            "reference_value": reference.map(|(_, value)| value),
            "ratio": reference.map(|(_, value)| self.value / value),
            "goal": self.goal.as_ref().map(|(goal, _)| goal),
            "met": self.goal.as_ref().map(|(_, is_met)| is_met),
        })
    }
}
