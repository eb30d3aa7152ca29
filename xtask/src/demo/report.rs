//! What the demo found, for people and for programs, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::conversations::{EXPECTED, SELECTORS_EACH, Seen, Tally};
use crate::summary::Summary;

/// Where the demo tells its story; the other stream is left to the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narration {
    Stdout,
    Stderr,
}

impl Narration {
    pub fn say(self, line: impl fmt::Display) {
        match self {
            Narration::Stdout => println!("{line}"),
            Narration::Stderr => eprintln!("{line}"),
        }
    }
}

/// What was counted, by whom.
#[derive(Clone, Debug)]
pub struct Facts {
    /// By the kernel, copied to the mirror port: the selectors of each conversation, then the rest.
    pub mirrored: Vec<u64>,
    /// By the kernel, arrived at the sensor's device.
    pub received: u64,
    /// By the sensor, from its records.
    pub tally: Tally,
    /// By the sensor, from its ledger.
    pub summary: Summary,
    pub kflow_folder: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Report {
    facts: Facts,
    failures: Vec<String>,
}

impl Report {
    pub fn new(facts: Facts) -> Report {
        let failures = failures(&facts);
        Report { facts, failures }
    }

    /// One sentence for each thing that is wrong.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    pub fn to_json(&self) -> Value {
        let Facts { received, tally, summary, kflow_folder, .. } = &self.facts;
        let conversations: Vec<Value> = self
            .rows()
            .map(|(name, kernel_packets, seen)| {
                json!({
                    "name": name,
                    "kernel_packets": kernel_packets,
                    "packets": seen.packets,
                    "bytes": seen.bytes,
                    "records": seen.records,
                })
            })
            .collect();
        json!({
            "ok": self.failures.is_empty(),
            "failures": self.failures,
            "source": summary.source,
            "mode": summary.mode,
            "conversations": conversations,
            "other_packets": tally.others.packets,
            "device_received_packets": received,
            "ledger": {
                "offered": summary.offered,
                "accounted": summary.accounted,
                "dropped": summary.dropped,
                "in_flight": summary.in_flight,
                "balanced": summary.is_balanced(),
                "accounted_by": summary.accounted_by,
                "drops_by": summary.drops_by,
            },
            "records": { "exported": summary.records_exported, "dropped": summary.records_dropped },
            "kflow": kflow_folder,
        })
    }

    /// Each conversation with the kernel's packets and what the sensor saw.
    fn rows(&self) -> impl Iterator<Item = (&'static str, u64, &Seen)> {
        rows(&self.facts)
    }
}

fn rows(facts: &Facts) -> impl Iterator<Item = (&'static str, u64, &Seen)> {
    let kernel = facts.mirrored.chunks(SELECTORS_EACH).map(|directions| directions.iter().sum());
    EXPECTED
        .iter()
        .zip(kernel)
        .zip(&facts.tally.conversations)
        .map(|((expected, kernel), seen)| (expected.name, kernel, seen))
}

fn failures(facts: &Facts) -> Vec<String> {
    let summary = &facts.summary;
    let mut failures = Vec::new();
    if !summary.is_balanced() {
        failures.push("the ledger does not balance".to_string());
    }
    if summary.offered != facts.received {
        failures.push(format!(
            "the device received {} packets, the sensor was offered {}",
            facts.received, summary.offered
        ));
    }
    // What is lost before the device or dropped by name cannot be in the records.
    let mirrored: u64 = facts.mirrored.iter().sum();
    let is_lossless = mirrored == facts.received && summary.dropped == 0 && summary.records_dropped == 0;
    for (name, kernel, seen) in rows(facts) {
        if seen.packets == 0 {
            failures.push(format!("{name} is missing"));
        } else if seen.packets > kernel || (is_lossless && seen.packets != kernel) {
            failures
                .push(format!("{name}: the kernel counted {kernel} packets, the sensor {}", seen.packets));
        }
    }
    failures
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { mirrored, received, summary, kflow_folder, .. } = &self.facts;
        writeln!(f, "\nconversation  kernel packets  sensor packets        bytes  records")?;
        for (name, kernel, seen) in self.rows() {
            let Seen { packets, bytes, records } = seen;
            writeln!(f, "{name:<12}  {kernel:>14}  {packets:>14}  {bytes:>11}  {records:>7}")?;
        }
        let Summary { source, mode, offered, accounted, dropped, in_flight, .. } = summary;
        let lost = mirrored.iter().sum::<u64>().saturating_sub(*received);
        writeln!(f, "\nsource  {source} ({mode})")?;
        writeln!(f, "device  {received} received, {lost} lost on the way to it")?;
        writeln!(
            f,
            "ledger  {offered} offered = {accounted} accounted + {dropped} dropped + {in_flight} in flight"
        )?;
        for (reason, packets) in &summary.accounted_by {
            writeln!(f, "        accounted  {packets:>9}  {reason}")?;
        }
        for (reason, packets) in &summary.drops_by {
            writeln!(f, "        dropped    {packets:>9}  {reason}")?;
        }
        writeln!(f, "records {} exported, {} dropped", summary.records_exported, summary.records_dropped)?;
        writeln!(f, "kflow   {}", kflow_folder.display())?;
        for failure in &self.failures {
            writeln!(f, "FAILED  {failure}")?;
        }
        let verdict = if self.failures.is_empty() { "all counts agree" } else { "not all is well" };
        write!(f, "result  {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Ten packets in each conversation, two beside them.
    fn facts() -> Facts {
        let packets = 10 * EXPECTED.len() as u64;
        let mut mirrored = vec![5; SELECTORS_EACH * EXPECTED.len()];
        mirrored.push(2);
        let tally = Tally {
            conversations: [Seen { records: 1, packets: 10, bytes: 1000 }; EXPECTED.len()],
            others: Seen::default(),
        };
        let summary = Summary {
            source: "xdp".into(),
            mode: "native".into(),
            offered: packets + 2,
            accounted: packets + 2,
            dropped: 0,
            in_flight: 0,
            balanced: true,
            accounted_by: BTreeMap::from([("flow".into(), packets), ("not_ip.arp".into(), 2)]),
            drops_by: BTreeMap::new(),
            records_exported: 8,
            records_dropped: 0,
        };
        Facts { mirrored, received: packets + 2, tally, summary, kflow_folder: PathBuf::new() }
    }

    #[test]
    fn agreeing_counts_are_no_failure() {
        assert_eq!(failures(&facts()), Vec::<String>::new());
        assert_eq!(Report::new(facts()).to_json()["ok"], true);
    }

    #[test]
    fn conversation_without_packets_is_missing() {
        let mut facts = facts();
        facts.tally.conversations[3] = Seen::default();
        assert_eq!(failures(&facts), ["dns v6 is missing"]);
    }

    #[test]
    fn one_packet_too_few_is_a_failure_unless_packets_were_lost_by_name() {
        let mut facts = facts();
        facts.tally.conversations[0].packets = 9;
        assert_eq!(failures(&facts).len(), 1);

        facts.summary.accounted -= 1;
        *facts.summary.accounted_by.get_mut("flow").unwrap() -= 1;
        facts.summary.dropped = 1;
        facts.summary.drops_by.insert("xsk.ring_full".into(), 1);
        assert_eq!(failures(&facts), Vec::<String>::new());
    }

    #[test]
    fn one_packet_too_many_is_always_a_failure() {
        let mut facts = facts();
        facts.received -= 1;
        facts.summary.offered -= 1;
        facts.summary.accounted -= 1;
        *facts.summary.accounted_by.get_mut("flow").unwrap() -= 1;
        assert_eq!(failures(&facts), Vec::<String>::new());
        facts.tally.conversations[0].packets = 11;
        assert_eq!(failures(&facts).len(), 1);
    }

    #[test]
    fn ledger_and_device_must_agree() {
        let mut facts = facts();
        facts.received += 1;
        assert_eq!(failures(&facts).len(), 1);
    }

    #[test]
    fn unbalanced_ledger_is_a_failure() {
        let mut facts = facts();
        facts.summary.in_flight = 1;
        assert_eq!(failures(&facts), ["the ledger does not balance"]);
    }
}
