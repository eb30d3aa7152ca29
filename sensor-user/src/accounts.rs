//! The accounts beside the ledger: what became of tunnels, of fragments, and of records that are sent.
//!
//! The ledger is of frames, and each is in it once. Here are the packets that a frame brings besides, and the
//! datagrams that many make together.

use crate::{
    cells::{Cell, WorkerCells},
    packet::{
        NotInner,
        reassembly::{Ending, Refusal},
    },
};
use kflow_delivery::sender::Watch;
use kflow_spool::Stats;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Empty unless the config says that flows inside of tunnels are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TunnelAccount {
    /// Innermost packets that were found.
    pub inner_packets: u64,
    /// Packets in which none was, by reason; reasons that never happened are left out, as everywhere below.
    pub not_inner_by: BTreeMap<&'static str, u64>,
    /// Packets counted to a flow beside the one that accounts for their frame: the packets of all records are these
    /// and the frames that the ledger has under `flow`.
    pub packets_beside: u64,
}

/// fragments = resolved + claimed + unclaimed, once the sensor has stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FragmentAccount {
    pub fragments: u64,
    /// Their flow was known when they came.
    pub resolved: u64,
    /// Their flow was known when the first fragment of their datagram came.
    pub claimed: u64,
    /// It never came.
    pub unclaimed: u64,
    /// Fragments whose bytes were not taken, by reason.
    pub refused_by: BTreeMap<&'static str, u64>,
    /// Fragments about which something was odd; one may be odd in several ways.
    pub anomalies_by: BTreeMap<&'static str, u64>,
    /// Datagrams by how their assembly ended.
    pub datagrams_by: BTreeMap<&'static str, u64>,
}

/// recovered + offered = delivered + thinned + unpackable + rejected + dropped_by_spool + abandoned + waiting, once the
/// sensor has stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryAccount {
    /// Waited in the spool at the start.
    pub recovered: u64,
    pub offered: u64,
    pub delivered: u64,
    /// Left out because there were too many. The sample rates of the others stand for them.
    pub thinned: u64,
    pub unpackable: u64,
    /// Refused for good by the receiver.
    pub rejected: u64,
    /// Dropped by the spool, for any reason.
    pub dropped_by_spool: u64,
    /// Neither sent nor in the spool at the end.
    pub abandoned: u64,
    /// In the spool at the end.
    pub waiting: u64,
}

impl DeliveryAccount {
    pub fn of(watch: &Watch) -> DeliveryAccount {
        let counters = &watch.counters;
        let now = watch.spool.as_ref().map(|spool| spool.read()).unwrap_or_default();
        let dropped = |spool: &Stats| spool.dropped_for_any_reason().records;
        DeliveryAccount {
            recovered: watch.spool_before.waiting.records,
            offered: counters.offered.read(),
            delivered: counters.delivered.read(),
            thinned: counters.thinned.read(),
            unpackable: counters.unpackable.read(),
            rejected: counters.rejected.read(),
            dropped_by_spool: dropped(&now).saturating_sub(dropped(&watch.spool_before)),
            abandoned: counters.abandoned.read(),
            waiting: now.waiting.records,
        }
    }
}

impl fmt::Display for DeliveryAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "delivery")?;
        let always = [("offered", self.offered), ("delivered", self.delivered)];
        let seldom = [
            ("recovered from the spool", self.recovered),
            ("thinned out", self.thinned),
            ("unpackable", self.unpackable),
            ("rejected by the receiver", self.rejected),
            ("dropped by the spool", self.dropped_by_spool),
            ("abandoned at the end", self.abandoned),
            ("waiting in the spool", self.waiting),
        ];
        let happened = seldom.into_iter().filter(|(_, records)| *records > 0);
        for (name, records) in always.into_iter().chain(happened) {
            writeln!(f, "  {name:<32}{records:>16}")?;
        }
        Ok(())
    }
}

/// What Kafka's sink counts: written = `records_delivered` + `records_failed` + those under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KafkaCounts {
    /// Records that all replicas in sync have.
    pub records_delivered: u64,
    /// Records that were refused at the door, or given up later.
    pub records_failed: u64,
    /// Of these: records that found the queue full.
    pub records_refused: u64,
    pub messages_delivered: u64,
    pub messages_failed: u64,
    /// Bytes of the messages that were delivered, without keys.
    pub bytes_delivered: u64,
}

/// Reads these, also in a sensor that has no type of Kafka's.
#[derive(Clone)]
pub struct KafkaWatch(Arc<dyn Fn() -> KafkaCounts + Send + Sync>);

impl KafkaWatch {
    pub fn new(read: impl Fn() -> KafkaCounts + Send + Sync + 'static) -> KafkaWatch {
        KafkaWatch(Arc::new(read))
    }

    pub fn read(&self) -> KafkaCounts {
        (self.0)()
    }
}

impl fmt::Debug for KafkaWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaWatch").field(&self.read()).finish()
    }
}

/// offered = delivered + failed, once the sensor has stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KafkaAccount {
    pub offered: u64,
    /// Records that all replicas in sync have.
    pub delivered: u64,
    /// Refused because the queue was full, given up after `delivery_timeout_s`, or under way at the end.
    pub failed: u64,
    /// Of these: records that found the queue full.
    pub refused: u64,
}

impl KafkaAccount {
    /// `offered` is what the exporter handed to the sink.
    pub fn of(watch: &KafkaWatch, offered: u64) -> KafkaAccount {
        let KafkaCounts { records_delivered, records_failed, records_refused, .. } = watch.read();
        KafkaAccount {
            offered,
            delivered: records_delivered,
            failed: records_failed,
            refused: records_refused,
        }
    }
}

impl fmt::Display for KafkaAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kafka")?;
        let seldom = [("failed", self.failed), ("of these: the queue was full", self.refused)];
        let happened = seldom.into_iter().filter(|(_, records)| *records > 0);
        for (name, records) in
            [("offered", self.offered), ("delivered", self.delivered)].into_iter().chain(happened)
        {
            writeln!(f, "  {name:<32}{records:>16}")?;
        }
        Ok(())
    }
}

impl TunnelAccount {
    pub fn of(workers: &[Arc<WorkerCells>]) -> TunnelAccount {
        let reasons = NotInner::ALL
            .map(|reason| (reason.name(), sum(workers, |cells| &cells.not_inner[reason as usize])));
        TunnelAccount {
            inner_packets: sum(workers, |cells| &cells.inner_packets),
            not_inner_by: happened(reasons),
            packets_beside: sum(workers, |cells| &cells.packets_beside),
        }
    }
}

impl FragmentAccount {
    pub fn of(workers: &[Arc<WorkerCells>]) -> FragmentAccount {
        let refusals = Refusal::ALL
            .map(|reason| (reason.name(), sum(workers, |cells| &cells.reassembly.refused[reason as usize])));
        let endings = Ending::ALL
            .map(|ending| (ending.name(), sum(workers, |cells| &cells.reassembly.ended[ending as usize])));
        let [resolved, claimed, unclaimed] = fragment_results(workers).map(|(_, fragments)| fragments);
        FragmentAccount {
            fragments: sum(workers, |cells| &cells.reassembly.fragments),
            resolved,
            claimed,
            unclaimed,
            refused_by: happened(refusals),
            anomalies_by: happened(fragment_anomalies(workers)),
            datagrams_by: happened(endings),
        }
    }
}

/// How their flow was told, and of how many fragments.
pub fn fragment_results(workers: &[Arc<WorkerCells>]) -> [(&'static str, u64); 3] {
    [
        ("resolved", sum(workers, |cells| &cells.reassembly.resolved)),
        ("claimed", sum(workers, |cells| &cells.reassembly.claimed)),
        ("unclaimed", sum(workers, |cells| &cells.reassembly.unclaimed)),
    ]
}

/// What was odd, and about how many fragments.
pub fn fragment_anomalies(workers: &[Arc<WorkerCells>]) -> [(&'static str, u64); 5] {
    [
        ("duplicate", sum(workers, |cells| &cells.reassembly.duplicate)),
        ("overlapping", sum(workers, |cells| &cells.reassembly.overlapping)),
        ("conflicting", sum(workers, |cells| &cells.reassembly.conflicting)),
        ("late", sum(workers, |cells| &cells.reassembly.late)),
        ("first_without_ports", sum(workers, |cells| &cells.reassembly.first_without_ports)),
    ]
}

fn sum(workers: &[Arc<WorkerCells>], cell: impl Fn(&WorkerCells) -> &Cell) -> u64 {
    workers.iter().map(|cells| cell(cells).read()).sum()
}

fn happened(counts: impl IntoIterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Nothing if there was none.
impl fmt::Display for TunnelAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == TunnelAccount::default() {
            return Ok(());
        }
        writeln!(f, "tunnels (packets)")?;
        writeln!(f, "  {:<32}{:>16}", "innermost packets found", self.inner_packets)?;
        write_lines(f, "not found: ", &self.not_inner_by)?;
        writeln!(f, "  {:<32}{:>16}", "counted beside their frame", self.packets_beside)
    }
}

/// Nothing if there was none.
impl fmt::Display for FragmentAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == FragmentAccount::default() {
            return Ok(());
        }
        writeln!(f, "fragments")?;
        writeln!(f, "  {:<32}{:>16}", "seen", self.fragments)?;
        writeln!(f, "  {:<32}{:>16}", "without their first one", self.unclaimed)?;
        write_lines(f, "bytes refused: ", &self.refused_by)?;
        write_lines(f, "odd: ", &self.anomalies_by)?;
        write_lines(f, "datagrams ", &self.datagrams_by)
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, what: &str, counts: &BTreeMap<&'static str, u64>) -> fmt::Result {
    counts.iter().try_for_each(|(name, count)| writeln!(f, "  {:<32}{count:>16}", format!("{what}{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_nothing_prints_nothing() {
        assert_eq!(TunnelAccount::of(&[Arc::default()]).to_string(), "");
        assert_eq!(FragmentAccount::of(&[Arc::default()]).to_string(), "");
    }

    #[test]
    fn accounts_are_sums_over_workers_and_leave_out_what_never_happened() {
        let workers: [Arc<WorkerCells>; 2] = Default::default();
        for cells in &workers {
            cells.note_inner(Ok(()));
            cells.note_inner(Err(NotInner::Encrypted));
            cells.reassembly.fragments.add(3);
            cells.reassembly.resolved.add(2);
            cells.reassembly.unclaimed.add(1);
            cells.reassembly.ended[Ending::EvictedMemory as usize].add(5);
        }
        let tunnels = TunnelAccount::of(&workers);
        assert_eq!(tunnels.inner_packets, 2);
        assert_eq!(tunnels.not_inner_by, BTreeMap::from([("encrypted", 2)]));
        let fragments = FragmentAccount::of(&workers);
        assert_eq!((fragments.fragments, fragments.resolved, fragments.unclaimed), (6, 4, 2));
        assert_eq!(fragments.datagrams_by, BTreeMap::from([("evicted_memory", 10)]));
        assert_eq!(fragments.refused_by, BTreeMap::new());
        let line = format!("  {:<32}{:>16}\n", "datagrams evicted_memory", 10);
        assert!(fragments.to_string().ends_with(&line), "{fragments}");
    }
}
