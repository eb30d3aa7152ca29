//! The ledger: every frame offered is accounted for or dropped under a name, to the packet.

use crate::{cells::WorkerCells, packet::NotFlow};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// The name under which frames that made it into a flow are accounted.
pub const FLOW: &str = "flow";

/// One moment's account. While the sensor runs, frames between two counters are in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Frames that the source was offered.
    pub offered: u64,
    pub accounted: u64,
    pub dropped: u64,
    /// Offered, and neither accounted for nor dropped yet.
    pub in_flight: u64,
    /// `offered = accounted + dropped`, which holds once the sensor has stopped.
    pub balanced: bool,
    pub accounted_by: BTreeMap<&'static str, u64>,
    /// Stage and reason.
    pub drops_by: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// What the workers have accounted for by now.
    pub fn of_workers<'a>(workers: impl IntoIterator<Item = &'a WorkerCells>) -> Ledger {
        let mut ledger = Ledger::default();
        for cells in workers {
            *ledger.accounted_by.entry(FLOW).or_default() += cells.flow_packets.read();
            for reason in NotFlow::ALL {
                *ledger.accounted_by.entry(reason.name()).or_default() +=
                    cells.not_flow[reason as usize].read();
            }
        }
        ledger.accounted_by.retain(|name, frames| *name == FLOW || *frames > 0);
        ledger.accounted = ledger.accounted_by.values().sum();
        ledger
    }

    /// Completes the account by what the source was offered, read after the workers. `drops` names what was lost
    /// before a worker saw it.
    #[must_use]
    pub fn with_offered(mut self, offered: u64, drops: &[(&'static str, u64)]) -> Ledger {
        for (name, frames) in drops {
            *self.drops_by.entry(name).or_default() += frames;
        }
        self.drops_by.retain(|_, frames| *frames > 0);
        self.offered = offered;
        self.dropped = self.drops_by.values().sum();
        self.in_flight = offered.saturating_sub(self.accounted + self.dropped);
        self.balanced = offered == self.accounted + self.dropped;
        self
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ledger (frames)")?;
        writeln!(f, "  {:<32}{:>16}", "offered", self.offered)?;
        writeln!(f, "  {:<32}{:>16}", "accounted", self.accounted)?;
        for (name, frames) in self.accounted_by.iter().filter(|(_, frames)| **frames > 0) {
            writeln!(f, "    {name:<30}{frames:>16}")?;
        }
        writeln!(f, "  {:<32}{:>16}", "dropped", self.dropped)?;
        for (name, frames) in self.drops_by.iter().filter(|(_, frames)| **frames > 0) {
            writeln!(f, "    {name:<30}{frames:>16}")?;
        }
        if self.balanced {
            return write!(f, "  offered = accounted + dropped: the ledger balances");
        }
        write!(f, "  in flight {}: the ledger does not balance", self.in_flight)
    }
}
