//! A figure as `cargo xtask bench` reads it, and all of them as people do.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    reference: Option<String>,
    reference_value: Option<f64>,
    ratio: Option<f64>,
    goal: Option<f64>,
    met: Option<bool>,
}

impl Figure {
    pub fn new(name: String, value: f64, unit: &'static str) -> Figure {
        let (reference, reference_value, ratio, goal, met) = (None, None, None, None, None);
        Figure { name, value, unit, reference, reference_value, ratio, goal, met }
    }

    pub fn against(self, reference: &str, reference_value: f64) -> Figure {
        let ratio = Some(self.value / reference_value);
        Figure { reference: Some(reference.into()), reference_value: Some(reference_value), ratio, ..self }
    }

    pub fn at_most(self, goal: f64) -> Figure {
        Figure { goal: Some(goal), met: Some(self.value <= goal), ..self }
    }

    /// At least this share of the reference.
    pub fn with_ratio_at_least(self, goal: f64) -> Figure {
        let met = self.ratio.map(|ratio| ratio >= goal);
        Figure { goal: Some(goal), met, ..self }
    }
}

pub fn print_table(figures: &[Figure]) {
    eprintln!(
        "{:<52} {:>9} {:>9} {:>6} {:>7}  {:<21} reference",
        "", "value", "reference", "ratio", "goal", "unit"
    );
    for figure in figures {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        let verdict = match figure.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        eprintln!(
            "{:<52} {:>9.2} {:>9} {:>6} {:>7}  {:<21} {} {verdict}",
            figure.name,
            figure.value,
            number(figure.reference_value),
            number(figure.ratio),
            number(figure.goal),
            figure.unit,
            figure.reference.as_deref().unwrap_or(""),
        );
    }
}
