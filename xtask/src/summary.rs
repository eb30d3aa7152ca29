//! The account that the sensor gives of itself when it stops: `sensor run --summary FILE`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// The sensor's own account, from its summary file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub source: String,
    pub mode: String,
    pub offered: u64,
    pub accounted: u64,
    pub dropped: u64,
    pub in_flight: u64,
    /// The sensor's own verdict.
    pub balanced: bool,
    pub accounted_by: BTreeMap<String, u64>,
    pub drops_by: BTreeMap<String, u64>,
    pub records_exported: u64,
    pub records_dropped: u64,
}

impl Summary {
    pub fn read(file: &Path) -> anyhow::Result<Summary> {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        Summary::parse(&text)
    }

    pub fn parse(text: &str) -> anyhow::Result<Summary> {
        let json: Value = serde_json::from_str(text).context("parse the sensor's summary")?;
        let at =
            |path: &str| json.pointer(path).with_context(|| format!("the sensor's summary lacks {path}"));
        let number = |path: &str| at(path)?.as_u64().with_context(|| format!("{path} is not a number"));
        let word = |path: &str| Ok::<_, anyhow::Error>(at(path)?.as_str().unwrap_or_default().to_string());
        let counts = |path: &str| {
            let object = at(path)?.as_object().with_context(|| format!("{path} is not an object"))?;
            let count = |(name, value): (&String, &Value)| {
                let value = value.as_u64().with_context(|| format!("{path}/{name} is not a number"))?;
                Ok((name.clone(), value))
            };
            object.iter().map(count).collect::<anyhow::Result<BTreeMap<_, _>>>()
        };
        Ok(Summary {
            source: word("/source")?,
            mode: word("/mode")?,
            offered: number("/ledger/offered")?,
            accounted: number("/ledger/accounted")?,
            dropped: number("/ledger/dropped")?,
            in_flight: number("/ledger/in_flight")?,
            balanced: at("/ledger/balanced")?
                .as_bool()
                .context("/ledger/balanced is neither true nor false")?,
            accounted_by: counts("/ledger/accounted_by")?,
            drops_by: counts("/ledger/drops_by")?,
            records_exported: number("/records/exported")?,
            records_dropped: number("/records/dropped")?,
        })
    }

    /// Whether every packet is accounted for, by the sensor's word and by adding up.
    pub fn is_balanced(&self) -> bool {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        self.balanced
            && self.offered == self.accounted + self.dropped + self.in_flight
            && sum(&self.accounted_by) == self.accounted
            && sum(&self.drops_by) == self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"{"source":"xdp","mode":"native","interface":"sensor0",
        "ledger":{"offered":110,"accounted":100,"dropped":10,"in_flight":0,"balanced":true,
            "accounted_by":{"flow":98,"not_ip.arp":2},"drops_by":{"xsk.ring_full":10}},
        "records":{"exported":7,"dropped":0}}"#;

    #[test]
    fn summary_is_read() {
        let summary = Summary::parse(SUMMARY).unwrap();
        assert_eq!((summary.source.as_str(), summary.mode.as_str()), ("xdp", "native"));
        assert_eq!((summary.offered, summary.accounted, summary.dropped), (110, 100, 10));
        assert_eq!(summary.accounted_by["not_ip.arp"], 2);
        assert_eq!((summary.records_exported, summary.records_dropped), (7, 0));
        assert!(summary.is_balanced());
    }

    #[test]
    fn ledger_that_does_not_add_up_is_not_balanced_whatever_it_says() {
        for (from, to) in [
            ("\"offered\":110", "\"offered\":111"),
            ("\"flow\":98", "\"flow\":97"),
            ("\"xsk.ring_full\":10", "\"xsk.ring_full\":9"),
            ("\"balanced\":true", "\"balanced\":false"),
        ] {
            assert!(!Summary::parse(&SUMMARY.replace(from, to)).unwrap().is_balanced(), "{to}");
        }
    }

    #[test]
    fn summary_without_a_field_names_the_field() {
        let error = Summary::parse(&SUMMARY.replace("in_flight", "elsewhere")).unwrap_err();
        assert!(error.to_string().contains("/ledger/in_flight"), "{error}");
    }
}
