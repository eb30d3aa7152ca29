//! The metric families, gathered at each scrape.

use super::{
    Telemetry,
    page::{Page, label},
};
use crate::{
    accounts::{fragment_anomalies, fragment_results},
    capture::CaptureCounts,
    ledger::Ledger,
    packet::{
        Anomaly, NotFlow, NotInner,
        reassembly::{Ending, Refusal},
    },
};
use kflow::EndReason;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use sensor_ebpf::{Class, Verdict};
use std::{
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
};

#[derive(Debug)]
pub struct Scrape(pub Arc<Telemetry>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let telemetry = &*self.0;
        let mut page = Page(encoder);
        let (ledger, counts) = telemetry.ledger(false);
        about(&mut page, telemetry)?;
        account(&mut page, &ledger)?;
        kernel(&mut page, telemetry, &counts)?;
        workers(&mut page, telemetry)?;
        tunnels(&mut page, telemetry)?;
        fragments(&mut page, telemetry)?;
        flows(&mut page, telemetry)?;
        super::applications::applications(&mut page, telemetry)?;
        export(&mut page, telemetry)?;
        super::delivery::delivery(&mut page, telemetry)?;
        super::delivery::collectors(&mut page, telemetry)?;
        super::delivery::kafka(&mut page, telemetry)
    }
}

fn about(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let mode = *telemetry.mode.lock().unwrap_or_else(PoisonError::into_inner);
    let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.gauges("build_info", "Always 1; the version is in the label", [(build, 1)])?;
    let capture = vec![
        ("source", telemetry.source.to_owned()),
        ("mode", mode.to_owned()),
        ("interface", telemetry.interface.clone()),
    ];
    page.gauges("capture_info", "Always 1; how frames are captured is in the labels", [(capture, 1)])?;
    let is_up = i64::from(telemetry.interface_up.load(Ordering::Relaxed));
    page.gauges("interface_up", "1 while the interface exists and has a carrier", [(vec![], is_up)])?;
    let reopened = telemetry.reopened.load(Ordering::Relaxed);
    page.counters(
        "capture_reopened",
        "Times that capture was opened anew after its interface went away",
        [(vec![], reopened)],
    )
}

fn account(page: &mut Page<'_>, ledger: &Ledger) -> fmt::Result {
    page.counters("ledger_offered_frames", "Frames offered to the sensor", [(vec![], ledger.offered)])?;
    let accounted = ledger.accounted_by.iter().map(|(name, frames)| (label("account", name), *frames));
    page.counters(
        "ledger_accounted_frames",
        "Frames accounted for: in a flow, or not by which reason",
        accounted,
    )?;
    let dropped = ledger.drops_by.iter().map(|(name, frames)| (label("reason", name), *frames));
    page.counters("ledger_dropped_frames", "Frames dropped, by stage and reason", dropped)?;
    let in_flight = i64::try_from(ledger.in_flight).unwrap_or(i64::MAX);
    page.gauges(
        "ledger_in_flight_frames",
        "Frames offered and not yet accounted for or dropped",
        [(vec![], in_flight)],
    )
}

fn kernel(page: &mut Page<'_>, telemetry: &Telemetry, counts: &CaptureCounts) -> fmt::Result {
    let program = counts.program.clone().unwrap_or_default();
    let cells = || Verdict::ALL.into_iter().flat_map(|verdict| Class::ALL.map(|class| (verdict, class)));
    let labels = |verdict: Verdict, class: Class| {
        vec![("verdict", verdict.name().to_owned()), ("class", class.name().to_owned())]
    };
    let frames =
        cells().map(|(verdict, class)| (labels(verdict, class), program.get(verdict, class).packets));
    page.counters("kernel_frames", "Frames that the XDP program saw, by verdict and protocol class", frames)?;
    let bytes = cells().map(|(verdict, class)| (labels(verdict, class), program.get(verdict, class).bytes));
    page.counters("kernel_bytes", "Bytes that the XDP program saw, by verdict and protocol class", bytes)?;
    let sockets = counts.sockets;
    let statistics = [
        ("rx_dropped", sockets.rx_dropped),
        ("rx_invalid_descriptors", sockets.rx_invalid_descriptors),
        ("tx_invalid_descriptors", sockets.tx_invalid_descriptors),
        ("rx_ring_full", sockets.rx_ring_full),
        ("rx_fill_ring_empty", sockets.rx_fill_ring_empty),
        ("tx_ring_empty", sockets.tx_ring_empty),
    ];
    let statistics = statistics.map(|(name, value)| (label("statistic", name), value));
    page.counters("xsk_statistics", "AF_XDP socket statistics (XDP_STATISTICS), each apart", statistics)?;
    let umem = i64::try_from(telemetry.umem_frames.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
    page.gauges("umem_frames", "Frames in the UMEMs of all queues", [(vec![], umem)])?;
    page.worker_gauges(
        telemetry,
        "fill_ring_frames",
        "Frames waiting for the kernel in the fill rings that a worker owns",
        |cells| &cells.fill_level,
    )?;
    page.worker_gauges(
        telemetry,
        "receive_ring_frames",
        "Frames waiting for a worker in its AF_XDP receive rings",
        |cells| &cells.receive_level,
    )?;
    page.worker_counters(
        telemetry,
        "afpacket_offered_frames",
        "Frames that passed by a worker's AF_PACKET socket",
        |cells| &cells.kernel_offered,
    )?;
    page.worker_counters(
        telemetry,
        "afpacket_dropped_frames",
        "Frames that found no room in a worker's AF_PACKET ring",
        |cells| &cells.kernel_dropped,
    )
}

fn workers(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    page.worker_counters(telemetry, "worker_frames", "Frames that a worker received", |cells| &cells.frames)?;
    page.worker_counters(
        telemetry,
        "worker_bytes",
        "Bytes of the frames that a worker received, as on the wire",
        |cells| &cells.frame_bytes,
    )?;
    page.worker_counters(telemetry, "worker_bursts", "Bursts that a worker received", |cells| &cells.bursts)?;
    let seconds = telemetry.workers.iter().enumerate().flat_map(|(worker, cells)| {
        [("busy", &cells.busy_ns), ("idle", &cells.idle_ns)].map(|(state, cell)| {
            (vec![("worker", worker.to_string()), ("state", state.to_owned())], cell.read() as f64 / 1e9)
        })
    });
    page.counters("worker_time_seconds", "Time that a worker spent with frames and without", seconds)?;
    page.worker_gauges(
        telemetry,
        "worker_attached",
        "1 while a worker has something to receive from",
        |cells| &cells.attached,
    )?;
    let histograms = telemetry.workers.iter().enumerate();
    let histograms = histograms.map(|(worker, cells)| (label("worker", worker), cells.burst_time.read()));
    page.latencies(
        "worker_burst_seconds",
        "Time from the receipt of a burst to the next receive",
        histograms,
    )?;
    let reasons = NotFlow::ALL.map(|reason| {
        (label("reason", reason.name()), telemetry.sum(|cells| &cells.not_flow[reason as usize]))
    });
    page.counters("decode_not_flow_frames", "Frames that belong to no flow, by layer and reason", reasons)?;
    let anomalies = Anomaly::ALL.map(|anomaly| {
        (label("anomaly", anomaly.name()), telemetry.sum(|cells| &cells.anomalies[anomaly as usize]))
    });
    page.counters(
        "decode_anomalous_packets",
        "Packets counted to a flow although something about them is odd",
        anomalies,
    )
}

fn tunnels(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    page.worker_counters(
        telemetry,
        "tunnel_inner_packets",
        "Innermost packets that were found in tunnels",
        |cells| &cells.inner_packets,
    )?;
    let reasons = NotInner::ALL.map(|reason| {
        (label("reason", reason.name()), telemetry.sum(|cells| &cells.not_inner[reason as usize]))
    });
    page.counters(
        "tunnel_not_inner_packets",
        "Packets in which no other was found although protocol or port hint at one, by reason",
        reasons,
    )?;
    page.worker_counters(
        telemetry,
        "worker_packets_beside",
        "Packets counted to a flow beside the one that accounts for their frame",
        |cells| &cells.packets_beside,
    )
}

fn fragments(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let results = fragment_results(&telemetry.workers);
    let results = results.map(|(name, fragments)| (label("result", name), fragments));
    page.counters("reassembly_fragments", "Fragments, by how their flow was told", results)?;
    let waiting = telemetry.workers.iter().enumerate();
    let waiting = waiting.map(|(worker, cells)| {
        (label("worker", worker), i64::try_from(cells.reassembly.waiting()).unwrap_or(i64::MAX))
    });
    page.gauges(
        "reassembly_waiting_fragments",
        "Fragments that wait for the first one of their datagram",
        waiting,
    )?;
    let refused = Refusal::ALL.map(|reason| {
        (label("reason", reason.name()), telemetry.sum(|cells| &cells.reassembly.refused[reason as usize]))
    });
    page.counters(
        "reassembly_refused_fragments",
        "Fragments whose bytes were not taken, by reason; their flow is told all the same",
        refused,
    )?;
    let anomalies = fragment_anomalies(&telemetry.workers);
    let anomalies = anomalies.map(|(name, fragments)| (label("anomaly", name), fragments));
    page.counters("reassembly_anomalous_fragments", "Fragments about which something is odd", anomalies)?;
    let endings = Ending::ALL.map(|ending| {
        (label("result", ending.name()), telemetry.sum(|cells| &cells.reassembly.ended[ending as usize]))
    });
    page.counters("reassembly_datagrams", "Datagrams in fragments, by how their assembly ended", endings)?;
    page.worker_gauges(
        telemetry,
        "reassembly_assembling_datagrams",
        "Datagrams that a worker puts together right now",
        |cells| &cells.reassembly.assembling,
    )?;
    page.worker_gauges(
        telemetry,
        "reassembly_memory_bytes",
        "Memory that holds fragments of these datagrams",
        |cells| &cells.reassembly.memory_bytes,
    )
}

fn flows(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    page.worker_gauges(telemetry, "flows", "Flows in a worker's table", |cells| &cells.flows)?;
    let capacity = i64::try_from(telemetry.flow_capacity).unwrap_or(i64::MAX);
    page.gauges("flow_capacity", "Flows that one worker's table holds at most", [(vec![], capacity)])?;
    page.worker_counters(telemetry, "flows_created", "Flows that began", |cells| &cells.flows_created)?;
    let evictions = [
        ("embryonic", telemetry.sum(|cells| &cells.evicted_embryonic)),
        ("idlest", telemetry.sum(|cells| &cells.evicted_idlest)),
        ("crowded", telemetry.sum(|cells| &cells.evicted_crowded)),
    ];
    let evictions = evictions.map(|(policy, flows)| (label("policy", policy), flows));
    page.counters("flow_evictions", "Flows ended early to make room, by who was chosen", evictions)?;
    let records = EndReason::ALL.into_iter().enumerate().map(|(index, reason)| {
        let of_their_own = match reason {
            EndReason::Transaction => telemetry.sum_applications(|cells| &cells.transaction_records),
            _ => 0,
        };
        (label("reason", reason.name()), telemetry.sum(|cells| &cells.records[index]) + of_their_own)
    });
    page.counters("flow_records", "Records that the flow tables produced, by end reason", records)
}

fn export(page: &mut Page<'_>, telemetry: &Telemetry) -> fmt::Result {
    let workers = telemetry.workers.len();
    let sheds = telemetry.workers.iter().enumerate().map(|(worker, cells)| {
        let of_parsers = of_worker(&telemetry.applications, worker, workers).iter();
        let shed = of_parsers.map(|cells| &cells.records_shed).chain([&cells.records_shed]);
        (label("worker", worker), shed.map(|cell| cell.read()).sum::<u64>())
    });
    page.counters(
        "export_shed_records",
        "Records dropped because every buffer to the exporter was full",
        sheds,
    )?;
    let (of_workers, of_parsers) = telemetry.lanes.split_at(workers);
    let waiting = of_workers.iter().enumerate().map(|(worker, lane)| {
        let lanes = of_worker(of_parsers, worker, workers).iter().chain([lane]);
        (label("worker", worker), lanes.map(|lane| lane.batches_waiting() as i64).sum())
    });
    page.gauges("export_queue_batches", "Batches waiting for the exporter", waiting)?;
    let results = telemetry.sinks.iter().flat_map(|(name, cells)| {
        [("written", &cells.records_written), ("failed", &cells.records_failed)].map(|(result, cell)| {
            (vec![("sink", (*name).to_owned()), ("result", result.to_owned())], cell.read())
        })
    });
    page.counters("export_records", "Records by sink and result", results)?;
    let failures = telemetry.sinks.iter().map(|(name, cells)| (label("sink", name), cells.failures.read()));
    page.counters("export_failures", "Writes and flushes that a sink refused", failures)?;
    let delay = [(vec![], telemetry.export_delay.read())];
    page.latencies(
        "export_delay_seconds",
        "Time from a batch's hand-over to the exporter until it was written",
        delay,
    )
}

/// Those of all workers' parser threads that are one worker's.
fn of_worker<T>(all: &[T], worker: usize, workers: usize) -> &[T] {
    let each = all.len() / workers;
    &all[worker * each..(worker + 1) * each]
}
