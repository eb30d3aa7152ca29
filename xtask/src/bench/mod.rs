//! `cargo xtask bench`: measures, and shows each figure beside the reference that was measured with it.
//!
//! A group is a benchmark of one crate, which prints its figures as a JSON array, or a module here.

mod capture;
mod hll;
mod peers;
mod resources;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::shell;

/// Measures, beside a reference measured in the same run
#[derive(Debug, Args)]
pub struct Options {
    /// What to measure; everything if nothing is named.
    groups: Vec<Group>,
    /// Also writes the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Frames of a capture file to flows, by stage.
    Offline,
    /// The XDP program, by what is in a frame.
    Program,
    /// Flow records to kflow messages.
    Encode,
    /// Flow records to a receiver, from memory and from the spool.
    Delivery,
    /// Capture files to flows, beside other sensors on the same CPU.
    Peers,
    /// Live frames to flows, beside a receiver that only takes them.
    Capture,
    /// Distinct counts by sketches, beside other libraries; draws the pictures of their documentation.
    Hll,
}

/// One figure, and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    /// What was measured beside it, in the same unit.
    pub reference: Option<String>,
    pub reference_value: Option<f64>,
    pub ratio: Option<f64>,
    /// The ratio, or the value in words, that is wanted.
    pub goal: Option<Value>,
    pub met: Option<bool>,
}

pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    let groups = if options.groups.is_empty() { Group::value_variants() } else { &options.groups };
    let mut figures = Vec::new();
    for group in groups {
        figures.extend(match group {
            Group::Offline => cargo_bench("sensor-user", "offline")?,
            Group::Program => cargo_bench("sensor-user", "program")?,
            Group::Encode => cargo_bench("kflow", "encode")?,
            Group::Delivery => cargo_bench("kflow-delivery", "delivery")?,
            Group::Peers => peers::measure()?,
            Group::Capture => capture::measure()?,
            Group::Hll => hll::measure()?,
        });
    }
    print!("{}", table(&figures));
    if let Some(file) = &options.json {
        let array: Value = figures.iter().map(Figure::to_json).collect();
        fs::write(file, format!("{array:#}\n")).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a benchmark of a crate and reads the JSON array that it prints on stdout.
fn cargo_bench(package: &str, bench: &str) -> anyhow::Result<Vec<Figure>> {
    let mut cargo = shell::cargo()?;
    cargo.args(["bench", "--package", package, "--bench", bench]);
    parse(&shell::read(&mut cargo)?).with_context(|| format!("figures of the benchmark {bench} of {package}"))
}

fn parse(printed: &str) -> anyhow::Result<Vec<Figure>> {
    let array: Vec<Value> = serde_json::from_str(printed).context("not a JSON array")?;
    array.iter().map(|figure| Figure::from_json(figure).with_context(|| format!("figure {figure}"))).collect()
}

impl Figure {
    /// A figure without a reference.
    pub fn alone(name: String, value: f64, unit: &str) -> Figure {
        Figure {
            name,
            value,
            unit: unit.into(),
            reference: None,
            reference_value: None,
            ratio: None,
            goal: None,
            met: None,
        }
    }

    fn from_json(json: &Value) -> anyhow::Result<Figure> {
        let text = |name: &str| json[name].as_str().map(String::from);
        Ok(Figure {
            name: text("name").context("no name")?,
            value: json["value"].as_f64().context("no value")?,
            unit: text("unit").context("no unit")?,
            reference: text("reference"),
            reference_value: json["reference_value"].as_f64(),
            ratio: json["ratio"].as_f64(),
            goal: Some(json["goal"].clone()).filter(|goal| !goal.is_null()),
            met: json["met"].as_bool(),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "reference": self.reference,
            "reference_value": self.reference_value,
            "ratio": self.ratio,
            "goal": self.goal,
            "met": self.met,
        })
    }

    fn cells(&self) -> [String; 7] {
        let number = |value: Option<f64>| value.map(rounded).unwrap_or_default();
        [
            self.name.clone(),
            rounded(self.value),
            self.unit.clone(),
            self.reference.clone().unwrap_or_default(),
            number(self.reference_value),
            number(self.ratio),
            match (&self.goal, self.met) {
                (None, _) => String::new(),
                (Some(goal), None) => in_words(goal),
                (Some(goal), Some(true)) => format!("{} met", in_words(goal)),
                (Some(goal), Some(false)) => format!("{} NOT MET", in_words(goal)),
            },
        ]
    }
}

fn in_words(goal: &Value) -> String {
    goal.as_str().map_or_else(|| goal.to_string(), String::from)
}

/// Three significant digits at least, and no more decimals than that takes.
fn rounded(value: f64) -> String {
    let decimals = match value.abs() {
        0.0..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn table(figures: &[Figure]) -> String {
    let head = ["figure", "value", "unit", "reference", "its value", "ratio", "goal"].map(String::from);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
    let widths: Vec<usize> = (0..7)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers to the right, words to the left.
            let is_number = [1, 4, 5].contains(&index);
            let written =
                if is_number { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
            written.expect("a string takes every write");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"[
        {"name":"encode","value":12.345,"unit":"M/s","reference":"memcpy","reference_value":100.0,
         "ratio":0.12345,"goal":0.1,"met":true},
        {"name":"allocations","value":0,"unit":"per record"}]"#;

    #[test]
    fn figures_are_read_and_written_alike() {
        let figures = parse(PRINTED).unwrap();
        assert_eq!(figures[0].reference.as_deref(), Some("memcpy"));
        assert_eq!(figures[1], Figure::alone("allocations".into(), 0.0, "per record"));
        let again: Vec<_> = figures.iter().map(|f| Figure::from_json(&f.to_json()).unwrap()).collect();
        assert_eq!(again, figures);
    }

    #[test]
    fn figure_without_a_unit_is_an_error_that_names_it() {
        let error = parse(r#"[{"name":"encode","value":1}]"#).unwrap_err();
        assert!(format!("{error:#}").contains("no unit"), "{error:#}");
    }

    #[test]
    fn columns_are_aligned_and_unmet_goals_stand_out() {
        let mut figures = parse(PRINTED).unwrap();
        figures[0].met = Some(false);
        assert_eq!(
            table(&figures),
            "figure       value  unit        reference  its value  ratio  goal\n\
             encode        12.3  M/s         memcpy           100  0.123  0.1 NOT MET\n\
             allocations  0.000  per record\n"
        );
    }
}
