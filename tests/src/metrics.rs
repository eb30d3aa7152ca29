//! A page of metrics, as a scraper reads it.

use std::collections::BTreeMap;

/// Series with their labels, as printed, and values.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Metrics {
    /// Reads either text format; panics on a line that is none.
    pub fn parse(page: &str) -> Metrics {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        Metrics(samples.map(parse_sample).collect())
    }

    /// The one series of this name and these labels.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Sum over all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let series = self.0.iter().filter(|(series, _)| name_of(series) == name);
        series.map(|(_, value)| value).sum()
    }
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

fn parse_sample(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let name = name_of(series);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    assert!(name.bytes().all(is_name) && name.starts_with("sensor_"), "the name of {line}");
    // A series without labels may stand with empty braces.
    let series = series.strip_suffix("{}").unwrap_or(series);
    let labels = &series[name.len()..];
    assert!(
        labels.is_empty() || (labels.starts_with('{') && labels.ends_with("\"}")),
        "the labels of {line}"
    );
    let value = value.parse().unwrap_or_else(|_| panic!("the value of {line}"));
    (series.to_owned(), value)
}
