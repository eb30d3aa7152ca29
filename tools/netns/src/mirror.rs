//! A mirror port: every frame of one device, both directions, copied to another and counted by kind.
//!
//! It is made of `tc` filters on the clsact hooks. The first filter that matches a frame copies it, so each
//! frame is copied and counted exactly once. A segmented frame counts as its segments, which is what the
//! other end of the mirror port receives.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::Namespace;

const DIRECTIONS: [&str; 2] = ["ingress", "egress"];

/// Frames to count apart from the rest, in the words of tc's u32 classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSelector {
    /// `ip`, `ipv6` or another protocol name of tc.
    pub protocol: String,
    /// What has to match, such as `["ip", "protocol", "6", "0xff"]`; all of them.
    pub matches: Vec<Vec<String>>,
}

/// A mirror port at work; [`Mirror::stop`] ends it, and so does the end of its namespace.
#[derive(Debug)]
pub struct Mirror<'a> {
    namespace: &'a Namespace,
    device: String,
    selectors: usize,
}

/// Copies every frame that `from_device` receives or sends to `to_device`, in the same namespace.
pub fn mirror(namespace: &Namespace, from_device: &str, to_device: &str) -> anyhow::Result<()> {
    Mirror::start(namespace, from_device, to_device, &[]).map(drop)
}

impl<'a> Mirror<'a> {
    /// Copies every frame of `from_device` to `to_device`; those of each selector are counted apart, the
    /// first that matches.
    pub fn start(
        namespace: &'a Namespace,
        from_device: &str,
        to_device: &str,
        selectors: &[MirrorSelector],
    ) -> anyhow::Result<Mirror<'a>> {
        namespace
            .run(["tc", "qdisc", "add", "dev", from_device, "clsact"])
            .with_context(|| format!("prepare {from_device} for mirroring"))?;
        let everything = MirrorSelector {
            protocol: "all".into(),
            matches: vec![["u32", "0", "0"].map(String::from).to_vec()],
        };
        for (index, selector) in selectors.iter().chain([&everything]).enumerate() {
            let priority = (index + 1).to_string();
            for direction in DIRECTIONS {
                let filter = ["tc", "filter", "add", "dev", from_device, direction];
                let order = ["protocol", &selector.protocol, "prio", &priority, "u32"];
                let matches = selector
                    .matches
                    .iter()
                    .flat_map(|words| std::iter::once("match").chain(words.iter().map(String::as_str)));
                let action = ["action", "mirred", "egress", "mirror", "dev", to_device];
                namespace
                    .run(filter.into_iter().chain(order).chain(matches).chain(action))
                    .with_context(|| format!("mirror {direction} of {from_device} to {to_device}"))?;
            }
        }
        Ok(Mirror { namespace, device: from_device.into(), selectors: selectors.len() })
    }

    /// Packets copied so far: one number for each selector, then those that no selector matched.
    pub fn packets(&self) -> anyhow::Result<Vec<u64>> {
        let mut actions = BTreeMap::new();
        for direction in DIRECTIONS {
            let shown = self.namespace.run(["tc", "-s", "filter", "show", "dev", &self.device, direction])?;
            // The listing of one direction may hold the other's filters too: both share their u32 tables.
            actions.extend(counts(&shown));
        }
        let mut packets = vec![0; self.selectors + 1];
        for FilterCount { priority, packets: count } in actions.into_values() {
            let index = priority.checked_sub(1).filter(|index| *index < packets.len());
            packets[index.with_context(|| format!("unknown filter {priority} on {}", self.device))?] += count;
        }
        Ok(packets)
    }

    /// Ends the mirroring, counters included.
    pub fn stop(self) -> anyhow::Result<()> {
        self.namespace
            .run(["tc", "qdisc", "delete", "dev", &self.device, "clsact"])
            .with_context(|| format!("stop mirroring {}", self.device))?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FilterCount {
    priority: usize,
    packets: u64,
}

/// Every filter by the index of its action, which is unique in a namespace, from what `tc -s filter show`
/// prints: `filter protocol ip pref 1 u32 …`, then `index 7 ref …`, then `Sent 176 bytes 2 pkt (dropped …`.
fn counts(shown: &str) -> BTreeMap<u32, FilterCount> {
    let mut priority = None;
    let mut action = None;
    let mut counts = BTreeMap::new();
    for line in shown.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["filter", "protocol", _, "pref", number, ..] => priority = number.parse().ok(),
            ["index", number, ..] => action = number.parse().ok(),
            ["Sent", _, "bytes", packets, "pkt", ..] => {
                let (Some(priority), Some(action), Ok(packets)) = (priority, action.take(), packets.parse())
                else {
                    continue;
                };
                counts.insert(action, FilterCount { priority, packets });
            }
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_what_tc_prints() {
        let shown = "filter protocol ip pref 1 u32 chain 0 \n\
             filter protocol ip pref 1 u32 chain 0 fh 800: ht divisor 1 \n\
             filter protocol ip pref 1 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 terminal flowid\n\
               match 00060000/00ff0000 at 8\n\
             \taction order 1: mirred (Egress Mirror to device tap0) pipe\n\
             \tindex 2 ref 1 bind 1 installed 0 sec used 0 sec\n\
             \tAction statistics:\n\
             \tSent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) \n\
             filter protocol all pref 3 u32 chain 0 \n\
             \tindex 5 ref 1 bind 1 installed 0 sec used 0 sec\n\
             \tSent 176 bytes 2 pkt (dropped 0, overlimits 2 requeues 0) \n";
        let expected =
            [(2, FilterCount { priority: 1, packets: 0 }), (5, FilterCount { priority: 3, packets: 2 })];
        assert_eq!(counts(shown), BTreeMap::from(expected));
    }
}
