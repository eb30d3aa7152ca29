//! What the sensor tells of itself, gathered at each scrape from the cells of its threads.

mod applications;
mod delivery;
mod families;
mod page;

use crate::{
    accounts::KafkaWatch,
    capture::CaptureCounts,
    cells::{ApplicationCells, Cell, SinkCells, WorkerCells},
    export::Lane,
    http::Pages,
    ledger::Ledger,
    source::KernelCounts,
};
use families::Scrape;
use kflow_delivery::sender::Watch;
use kflow_ipfix::IpfixCounters;
use prometheus_client::{encoding::text, registry::Registry};
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

/// Everything that is read at a scrape.
pub struct Telemetry {
    pub source: &'static str,
    pub interface: String,
    pub workers: Vec<Arc<WorkerCells>>,
    /// One for each inspector of applications.
    pub applications: Vec<Arc<ApplicationCells>>,
    pub lanes: Vec<Arc<Lane>>,
    pub sinks: Vec<(&'static str, Arc<SinkCells>)>,
    /// Of the sink that delivers over HTTP.
    pub delivery: Option<Watch>,
    /// Of sinks for collectors of IPFIX or NetFlow, by their names.
    pub ipfix: Vec<(&'static str, Arc<IpfixCounters>)>,
    pub kafka: Option<KafkaWatch>,
    pub export_delay: Arc<crate::cells::SharedHistogram>,
    pub flow_capacity: u64,
    /// Frames in all rings and UMEMs.
    pub umem_frames: AtomicU64,
    pub mode: Mutex<&'static str>,
    /// The interface is there and running.
    pub interface_up: AtomicBool,
    /// Times that the interface went away and capture had to be opened anew.
    pub reopened: AtomicU64,
    /// Reads the kernel's counters; file sources have none.
    pub capture_counts: Box<dyn Fn() -> CaptureCounts + Send + Sync>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("source", &self.source).field("interface", &self.interface).finish()
    }
}

impl Telemetry {
    fn sum(&self, cell: impl Fn(&WorkerCells) -> &Cell) -> u64 {
        self.workers.iter().map(|cells| cell(cells).read()).sum()
    }

    fn sum_applications(&self, cell: impl Fn(&ApplicationCells) -> &Cell) -> u64 {
        self.applications.iter().map(|cells| cell(cells).read()).sum()
    }

    /// The account of this moment. Workers are read before the kernel, so that nothing is accounted for that
    /// was not offered.
    pub fn ledger(&self, is_final: bool) -> (Ledger, CaptureCounts) {
        let accounted = Ledger::of_workers(self.workers.iter().map(AsRef::as_ref));
        let received = self.sum(|cells| &cells.frames);
        let kernel = KernelCounts {
            offered: self.sum(|cells| &cells.kernel_offered),
            dropped: self.sum(|cells| &cells.kernel_dropped),
        };
        if self.source == "pcap" {
            let offered = if is_final { received } else { received.max(accounted.accounted) };
            return (accounted.with_offered(offered, &[]), CaptureCounts::default());
        }
        let counts = (self.capture_counts)();
        let (offered, drops) = counts.account(received, kernel, is_final);
        // Sockets of AF_PACKET are asked for their counts now and then, bursts are accounted for at once.
        let known = accounted.accounted + drops.iter().map(|(_, frames)| frames).sum::<u64>();
        let offered = if is_final { offered } else { offered.max(known) };
        (accounted.with_offered(offered, &drops), counts)
    }

    pub fn is_attached(&self) -> bool {
        self.workers.iter().all(|cells| cells.attached.read() == 1)
    }
}

/// Serves a telemetry over HTTP.
#[derive(Debug)]
pub struct TelemetryPages {
    telemetry: Arc<Telemetry>,
    registry: Registry,
}

impl TelemetryPages {
    pub fn new(telemetry: Arc<Telemetry>) -> TelemetryPages {
        let mut registry = Registry::with_prefix("sensor");
        registry.register_collector(Box::new(Scrape(telemetry.clone())));
        TelemetryPages { telemetry, registry }
    }
}

impl Pages for TelemetryPages {
    fn metrics(&self) -> String {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.registry).expect("writing to a string does not fail");
        exposition
    }

    fn metrics_prometheus(&self) -> String {
        prometheus_text(&self.metrics())
    }

    fn is_ready(&self) -> bool {
        self.telemetry.is_attached()
    }
}

/// OpenMetrics names a counter's family without the `_total` of its series; the older format names it in full,
/// and has no units and no end mark.
fn prometheus_text(open_metrics: &str) -> String {
    let mut counter = String::new();
    let mut help = String::new();
    let mut text = String::with_capacity(open_metrics.len() + 4096);
    for line in open_metrics.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            // The type comes behind the help, and decides on both names.
            ["#", "HELP", _, _] => help = line.to_owned(),
            ["#", "TYPE", name, kind] => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                counter.clear();
                counter.push_str(name);
                counter.push_str(suffix);
                let described = help.splitn(4, ' ').nth(3).unwrap_or_default();
                text.push_str(&format!("# HELP {counter} {described}\n# TYPE {counter} {kind}\n"));
            }
            ["#", ..] => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}
