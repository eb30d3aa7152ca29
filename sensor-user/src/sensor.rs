//! The assembly: from a config to threads, and from a signal to the final ledger.
//!
//! The supervisor (the calling thread) opens the capture, starts workers, exporter and metrics server, and then
//! only watches: for signals, for the interface going away and coming back, for a worker that died.
//!
//! Order of the end: detach the program → workers drain their rings and end all flows → exporter writes what is
//! left → ledger.

use crate::{
    accounts::{DeliveryAccount, FragmentAccount, KafkaAccount, KafkaWatch, TunnelAccount},
    applications::{ApplicationParts, Applications, ThreadParts, Threads},
    capture::{Capture, CaptureCounts, CaptureRequest, XdpCapture},
    cells::{ApplicationCells, SinkCells, WorkerCells},
    clock::Clock,
    config::{Config, FilterConfig, FragmentsConfig, PrivacyConfig, SourceKind},
    datapath::Tunnels,
    export::{Exporter, Lane, Outbox, WhenFull},
    filter::PacketFilter,
    flow::{FlowTable, TableConfig},
    http::MetricsServer,
    interface::{Interface, InterfaceState},
    ledger::Ledger,
    metrics::{Telemetry, TelemetryPages},
    packet::reassembly::{Reassembler, ReassemblyConfig},
    sinks::{self, Sinks},
    source::pcap::PcapSource,
    worker::{Command, Worker, WorkerParts},
};
use anyhow::{Context, Result, anyhow, bail};
use crossbeam_queue::ArrayQueue;
use kflow_delivery::sender::Watch;
use kflow_ipfix::IpfixCounters;
use sensor_app::{Inspector, Privacy};
use sensor_ebpf::hash::HashKey;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often the supervisor looks around.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Looks between two attempts to open a capture anew.
const REOPEN_LOOKS: u32 = 5;
/// Longest time for workers to let go of a source.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the process occupies besides tables, rings and buffers: the part of its code and libraries that is paged in,
/// and their heap. Measured with one worker, from start to after a flood that was exported and scraped: 4.1 to
/// 4.8 MiB.
const BASE_BYTES: u64 = 9 << 19;
/// Heap that loading the XDP program leaves behind. Measured: 2.9 MiB.
const PROGRAM_BYTES: u64 = 3 << 20;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub source: &'static str,
    pub mode: &'static str,
    pub interface: String,
    pub ledger: Ledger,
    pub tunnels: TunnelAccount,
    pub fragments: FragmentAccount,
    pub records: RecordAccount,
    /// Of the sink that delivers over HTTP.
    pub delivery: Option<DeliveryAccount>,
    pub kafka: Option<KafkaAccount>,
}

/// records produced = written + dropped, for each sink.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordAccount {
    pub produced: u64,
    /// Handed to the exporter.
    pub exported: u64,
    /// Shed on the way to the exporter.
    pub dropped: u64,
    pub written_by: BTreeMap<&'static str, u64>,
    pub failed_by: BTreeMap<&'static str, u64>,
}

/// Requests from outside.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    pub stop: Arc<AtomicBool>,
    pub reload: Arc<AtomicBool>,
}

impl Signals {
    /// SIGINT and SIGTERM stop, SIGHUP reloads the filter.
    pub fn register() -> io::Result<Signals> {
        let signals = Signals::default();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The second one ends the process at once.
            signal_hook::flag::register_conditional_shutdown(signal, 1, signals.stop.clone())?;
            signal_hook::flag::register(signal, signals.stop.clone())?;
        }
        signal_hook::flag::register(signal_hook::consts::SIGHUP, signals.reload.clone())?;
        Ok(signals)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// A run that ended: the account, and what cut it short.
#[derive(Debug)]
pub struct Outcome {
    pub summary: Summary,
    pub error: Option<anyhow::Error>,
}

/// Runs until a signal, or until the capture file ends. `config_path` is read again on reload.
pub fn run(config: &Config, config_path: Option<&Path>, signals: &Signals) -> Result<Outcome> {
    let clock = Clock::start();
    if let Some(path) = &config.capture.pcap {
        return run_file(config, path, clock, signals);
    }
    let name =
        config.capture.interface.as_deref().context("the config was checked: an interface is given")?;
    let interface = Interface::new(name);
    let state = interface.state()?.ok_or_else(|| anyhow!("there is no interface {name} (see `ip link`)"))?;
    let source = chosen_source(config, &interface)?;
    let filter = RefCell::new(config.filter.clone());
    let live = Live { config, config_path, filter, interface, clock, signals, hash_key: random_hash_key()? };
    match source {
        SourceKind::Afpacket => live.run::<crate::capture::AfPacketCapture>("afpacket", state),
        SourceKind::Xdp | SourceKind::Auto => live.run::<XdpCapture>("xdp", state),
    }
}

/// How a live run captures: never `Auto`.
fn chosen_source(config: &Config, interface: &Interface) -> io::Result<SourceKind> {
    Ok(match config.capture.source {
        SourceKind::Auto if interface.is_used_by_host()? => SourceKind::Afpacket,
        SourceKind::Auto => SourceKind::Xdp,
        chosen => chosen,
    })
}

/// Memory that a live sensor occupies, all of it taken at start. One that reads a file takes it as it needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub bytes: u64,
    /// Of these, frames and rings that are shared with the kernel.
    pub ring_bytes: u64,
}

pub fn predicted_memory(config: &Config) -> io::Result<Memory> {
    let capture = &config.capture;
    let (ring_bytes, program_bytes) = match (&capture.pcap, &capture.interface) {
        (None, Some(name)) => live_bytes(config, &Interface::new(name))?,
        _ => (0, 0),
    };
    let table = FlowTable::predicted_bytes(config.flow.capacity) as u64;
    let reassembler = Reassembler::predicted_bytes(reassembly_config(config)) as u64;
    let lane = Lane::predicted_bytes(config.export.queue_batches, config.export.batch_records) as u64;
    let worker_bytes = table + reassembler + lane + application_bytes(config, lane);
    let bytes = BASE_BYTES + program_bytes + capture.workers as u64 * worker_bytes + ring_bytes;
    Ok(Memory { bytes, ring_bytes })
}

/// What following the applications of one worker's flows takes, with lanes of this size for parser threads.
fn application_bytes(config: &Config, lane: u64) -> u64 {
    let applications = &config.applications;
    if !applications.enabled {
        return 0;
    }
    let inspector = Inspector::predicted_bytes(&applications.limits(config.flow.capacity)) as u64;
    let threads = applications.threads() as u64;
    let carriers = Threads::predicted_bytes(applications.queue_payloads) as u64;
    threads.max(1) * inspector + threads * (lane + carriers)
}

/// Inspectors of one worker.
fn inspectors(config: &Config) -> usize {
    config.applications.threads().max(1)
}

/// Bytes of the rings, and what it takes to load a program.
fn live_bytes(config: &Config, interface: &Interface) -> io::Result<(u64, u64)> {
    let capture = &config.capture;
    if chosen_source(config, interface)? == SourceKind::Afpacket {
        return Ok((capture.workers as u64 * u64::from(capture.afpacket_ring_bytes), 0));
    }
    let queues = u64::from(interface.receive_queues()?);
    Ok((queues * u64::from(capture.frames) * u64::from(capture.frame_bytes), PROGRAM_BYTES))
}

/// Threads and cells that file and live runs have in common.
struct Pipeline {
    workers: Vec<Arc<WorkerCells>>,
    applications: Vec<Arc<ApplicationCells>>,
    privacy: Privacy,
    lanes: Vec<Arc<Lane>>,
    sinks: Vec<(&'static str, Arc<SinkCells>)>,
    delivery: Option<Watch>,
    ipfix: Vec<(&'static str, Arc<IpfixCounters>)>,
    kafka: Option<KafkaWatch>,
    exporter: Exporter,
}

impl Pipeline {
    fn start(config: &Config, clock: Clock) -> Result<Pipeline> {
        let export = &config.export;
        let workers: Vec<_> = (0..config.capture.workers).map(|_| Arc::new(WorkerCells::default())).collect();
        let applications: Vec<_> = (0..inspectors(config) * workers.len()).map(|_| Arc::default()).collect();
        // Parser threads have lanes of their own, behind those of the workers.
        let parser_threads = config.applications.threads() * workers.len();
        let lanes: Vec<_> = (0..workers.len() + parser_threads)
            .map(|_| Arc::new(Lane::new(export.queue_batches, export.batch_records)))
            .collect();
        let privacy = privacy(&config.applications.privacy)?;
        let Sinks { named, delivery, ipfix, kafka } = sinks::open(config)?;
        let cells = named.iter().map(|sink| (sink.sink.name(), sink.cells.clone())).collect();
        let exporter = Exporter::start(&lanes, named, clock).context("start the exporter thread")?;
        Ok(Pipeline { workers, applications, privacy, lanes, sinks: cells, delivery, ipfix, kafka, exporter })
    }

    fn outbox(&self, worker: usize, when_full: WhenFull) -> Outbox {
        Outbox::new(self.lanes[worker].clone(), when_full, self.workers[worker].records_shed.clone())
    }

    fn applications(&self, config: &Config, worker: usize, when_full: WhenFull) -> Result<Applications> {
        if !config.applications.enabled {
            return Ok(Applications::Off);
        }
        let parts = |inspector: usize| ApplicationParts {
            limits: config.applications.limits(config.flow.capacity),
            privacy: self.privacy,
            cells: self.applications[inspector].clone(),
        };
        let threads = config.applications.threads();
        if threads == 0 {
            return Ok(Applications::inline(parts(worker)));
        }
        let threads = (worker * threads..(worker + 1) * threads).map(|thread| {
            let parts = parts(thread);
            let lane = self.lanes[self.workers.len() + thread].clone();
            let outbox = Outbox::new(lane, when_full, parts.cells.records_shed.clone());
            (parts, outbox)
        });
        let parts = ThreadParts {
            threads: threads.collect(),
            carriers: config.applications.queue_payloads,
            when_full,
        };
        Ok(Applications::Threads(Threads::start(parts).context("start the parser threads")?))
    }

    fn telemetry(
        &self,
        config: &Config,
        source: &'static str,
        interface: String,
        capture_counts: Box<dyn Fn() -> CaptureCounts + Send + Sync>,
    ) -> Arc<Telemetry> {
        Arc::new(Telemetry {
            source,
            interface,
            workers: self.workers.clone(),
            applications: self.applications.clone(),
            lanes: self.lanes.clone(),
            sinks: self.sinks.clone(),
            delivery: self.delivery.clone(),
            ipfix: self.ipfix.clone(),
            kafka: self.kafka.clone(),
            export_delay: self.exporter.delay.clone(),
            flow_capacity: config.flow.capacity as u64,
            umem_frames: AtomicU64::new(0),
            mode: Mutex::new(source),
            interface_up: AtomicBool::new(true),
            reopened: AtomicU64::new(0),
            capture_counts,
        })
    }

    /// Ends the exporter and sums up. Workers have ended before.
    fn finish(self, telemetry: &Telemetry) -> Summary {
        self.exporter.stop();
        let (ledger, _) = telemetry.ledger(true);
        let produced = self
            .workers
            .iter()
            .flat_map(|cells| &cells.records)
            .chain(self.applications.iter().map(|cells| &cells.transaction_records))
            .map(|cell| cell.read())
            .sum::<u64>();
        let of_workers = self.workers.iter().map(|cells| &cells.records_shed);
        let of_parser_threads = self.applications.iter().map(|cells| &cells.records_shed);
        let dropped = of_workers.chain(of_parser_threads).map(|cell| cell.read()).sum::<u64>();
        // What the exporter handed to a sink.
        let offered_to = |name: &str| {
            let sinks = self.sinks.iter().filter(|(sink, _)| *sink == name);
            sinks.map(|(_, cells)| cells.records_written.read() + cells.records_failed.read()).sum()
        };
        let by = |cell: fn(&SinkCells) -> u64| {
            self.sinks.iter().map(|(name, cells)| (*name, cell(cells))).collect()
        };
        Summary {
            source: telemetry.source,
            mode: *lock(&telemetry.mode),
            interface: telemetry.interface.clone(),
            ledger,
            tunnels: TunnelAccount::of(&self.workers),
            fragments: FragmentAccount::of(&self.workers),
            records: RecordAccount {
                produced,
                exported: produced - dropped,
                dropped,
                written_by: by(|cells| cells.records_written.read()),
                failed_by: by(|cells| cells.records_failed.read()),
            },
            delivery: self.delivery.as_ref().map(DeliveryAccount::of),
            kafka: self.kafka.as_ref().map(|kafka| KafkaAccount::of(kafka, offered_to("kafka"))),
        }
    }
}

fn run_file(config: &Config, path: &Path, clock: Clock, signals: &Signals) -> Result<Outcome> {
    let source =
        PcapSource::open(path).with_context(|| format!("open the capture file {}", path.display()))?;
    let pipeline = Pipeline::start(config, clock)?;
    let interface = path.display().to_string();
    let telemetry = pipeline.telemetry(config, "pcap", interface, Box::new(CaptureCounts::default));
    // A file is read for its records; whoever wants metrics of it asks for them.
    let server = config.metrics.enabled.then(|| serve_metrics(config, &telemetry)).transpose()?;
    let worker = Worker::new(WorkerParts {
        table: table_config(config),
        hash_key: random_hash_key()?,
        filter: packet_filter(&config.filter, config.capture.sample_rate),
        reassembly: reassembly_config(config),
        tunnels: tunnels(config)?,
        applications: pipeline.applications(config, 0, WhenFull::Wait)?,
        cells: pipeline.workers[0].clone(),
        outbox: pipeline.outbox(0, WhenFull::Wait),
        clock,
        idle: config.capture.idle,
    });
    let reader_gone = pipeline.exporter.reader_gone.clone();
    let stopped = || signals.is_stopped() || reader_gone.load(Ordering::Acquire);
    if let [cpu] = config.capture.cpus[..] {
        pin_to(cpu)?;
    }
    let error = worker
        .run_file(source, stopped)
        .err()
        .map(|error| anyhow::Error::new(error).context(format!("read the capture file {}", path.display())));
    let summary = pipeline.finish(&telemetry);
    if let Some(server) = server {
        server.stop();
    }
    Ok(Outcome { summary, error })
}

/// What a live run needs, whichever way it captures.
struct Live<'a> {
    config: &'a Config,
    config_path: Option<&'a Path>,
    /// In force; a reload replaces it.
    filter: RefCell<FilterConfig>,
    interface: Interface,
    clock: Clock,
    signals: &'a Signals,
    hash_key: HashKey,
}

/// The capture and the counts of those before it; read by the metrics server too.
struct CaptureCell<C> {
    current: Option<C>,
    /// Counts of captures that are over.
    closed: CaptureCounts,
}

impl<C: Capture> CaptureCell<C> {
    fn counts(&self) -> CaptureCounts {
        let mut counts = self.closed.clone();
        if let Some(capture) = &self.current {
            counts.add(&capture.counts());
        }
        counts
    }

    /// Takes leave of the capture, keeping its counts. Its workers have drained their sources.
    fn close(&mut self) {
        if let Some(capture) = self.current.take() {
            self.closed.add(&capture.counts());
        }
    }
}

struct RunningWorker<S> {
    commands: Arc<ArrayQueue<Command<S>>>,
    cells: Arc<WorkerCells>,
    thread: JoinHandle<()>,
}

impl Live<'_> {
    fn run<C: Capture + Send + 'static>(
        &self,
        source: &'static str,
        state: InterfaceState,
    ) -> Result<Outcome> {
        let pipeline = Pipeline::start(self.config, self.clock)?;
        pipeline.lanes.iter().for_each(|lane| lane.touch());
        // Workers first: until their tables are in memory, rings that nobody reads would fill.
        let workers = self.start_workers(&pipeline)?;
        let (capture, sources) = match self.open::<C>(state) {
            Ok(opened) => opened,
            Err(error) => {
                stop_workers(workers);
                return Err(error);
            }
        };
        let cell =
            Arc::new(Mutex::new(CaptureCell { current: Some(capture), closed: CaptureCounts::default() }));
        let cell_of_metrics = cell.clone();
        let counts = Box::new(move || lock(&cell_of_metrics).counts());
        let telemetry = pipeline.telemetry(self.config, source, self.interface.name().to_owned(), counts);
        let server =
            self.config.metrics.enabled.then(|| serve_metrics(self.config, &telemetry)).transpose()?;
        self.attach(&workers, sources, &telemetry, &cell)?;
        let reader_gone = pipeline.exporter.reader_gone.clone();
        let error = self.watch(state, &workers, &telemetry, &cell, &reader_gone).err();
        if let Some(capture) = &mut lock(&cell).current {
            capture.detach();
        }
        let panicked = stop_workers(workers);
        lock(&cell).close();
        tracing::info!(interface = self.interface.name(), "stopped");
        let summary = pipeline.finish(&telemetry);
        if let Some(server) = server {
            server.stop();
        }
        let error = error.or(panicked.then(|| anyhow!("a worker panicked; its flows are lost")));
        Ok(Outcome { summary, error })
    }

    fn open<C: Capture>(&self, state: InterfaceState) -> Result<(C, Vec<C::Source>)> {
        C::open(&CaptureRequest {
            config: self.config,
            filter: &self.filter.borrow(),
            interface: &self.interface,
            state,
            hash_key: self.hash_key,
            clock: self.clock,
        })
    }

    fn start_workers<S: crate::source::Source + Send + 'static>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<Vec<RunningWorker<S>>> {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let mut workers = Vec::new();
        for index in 0..self.config.capture.workers {
            let parts = WorkerParts {
                table: table_config(self.config),
                hash_key: self.hash_key,
                filter: None,
                reassembly: reassembly_config(self.config),
                tunnels: tunnels(self.config)?,
                applications: pipeline.applications(self.config, index, WhenFull::Shed)?,
                cells: pipeline.workers[index].clone(),
                outbox: pipeline.outbox(index, WhenFull::Shed),
                clock: self.clock,
                idle: self.config.capture.idle,
            };
            let commands = Arc::new(ArrayQueue::new(4));
            let (cells, own_commands, ready) = (parts.cells.clone(), commands.clone(), ready.clone());
            let cpu = self.config.capture.cpus.get(index).copied();
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let pinned = cpu.map_or(Ok(()), pin_to);
                    // The table is built on the worker's own CPU, so that its memory is near.
                    let mut worker = Worker::new(parts);
                    worker.touch();
                    if ready.send(pinned).is_ok() {
                        worker.run_live(&own_commands);
                    }
                })
                .with_context(|| format!("start worker {index}"))?;
            workers.push(RunningWorker { commands, cells, thread });
        }
        for _ in &workers {
            is_ready.recv().context("a worker did not start")??;
        }
        Ok(workers)
    }

    fn attach<C: Capture>(
        &self,
        workers: &[RunningWorker<C::Source>],
        sources: Vec<C::Source>,
        telemetry: &Telemetry,
        cell: &Mutex<CaptureCell<C>>,
    ) -> Result<()> {
        for (worker, source) in workers.iter().zip(sources) {
            // The filter first: no frame passes without it.
            send(worker, Command::Filter(self.packet_filter()))?;
            send(worker, Command::Attach(source))?;
        }
        let mode = lock(cell).current.as_ref().map_or("none", |capture| capture.mode());
        *lock(&telemetry.mode) = mode;
        let umem_frames = match mode {
            "afpacket" => 0,
            _ => self.interface.receive_queues()? * self.config.capture.frames,
        };
        telemetry.umem_frames.store(u64::from(umem_frames), Ordering::Relaxed);
        tracing::info!(interface = self.interface.name(), mode, workers = workers.len(), "capturing",);
        Ok(())
    }

    /// Looks after the run until it is over.
    fn watch<C: Capture>(
        &self,
        mut attached: InterfaceState,
        workers: &[RunningWorker<C::Source>],
        telemetry: &Telemetry,
        cell: &Mutex<CaptureCell<C>>,
        reader_gone: &AtomicBool,
    ) -> Result<()> {
        let mut looks_until_reopen = 0;
        loop {
            if self.signals.is_stopped() || reader_gone.load(Ordering::Acquire) {
                return Ok(());
            }
            if workers.iter().any(|worker| worker.thread.is_finished()) {
                bail!("a worker ended on its own");
            }
            if self.signals.reload.swap(false, Ordering::AcqRel) {
                self.reload(workers, cell);
            }
            let state = self.interface.state()?;
            note_state(self.interface.name(), state, telemetry);
            let is_open = lock(cell).current.is_some();
            if is_open && state.is_none_or(|state| state.index != attached.index) {
                tracing::warn!(
                    interface = self.interface.name(),
                    "the interface is gone; waiting for its return"
                );
                release(workers, cell)?;
                looks_until_reopen = 0;
            }
            if let Some(state) = state
                && lock(cell).current.is_none()
            {
                if looks_until_reopen == 0 {
                    looks_until_reopen = REOPEN_LOOKS;
                    match self.open::<C>(state) {
                        Ok((capture, sources)) => {
                            lock(cell).current = Some(capture);
                            self.attach(workers, sources, telemetry, cell)?;
                            telemetry.reopened.fetch_add(1, Ordering::Relaxed);
                            attached = state;
                        }
                        Err(error) => tracing::warn!(
                            interface = self.interface.name(),
                            error = format!("{error:#}"),
                            "the interface is back, but cannot be captured from yet",
                        ),
                    }
                }
                looks_until_reopen -= 1;
            }
            thread::sleep(WATCH_INTERVAL);
        }
    }

    fn packet_filter(&self) -> Option<PacketFilter> {
        packet_filter(&self.filter.borrow(), self.config.capture.sample_rate)
    }

    /// Takes the filter from the config file anew; everything else needs a restart.
    fn reload<C: Capture>(&self, workers: &[RunningWorker<C::Source>], cell: &Mutex<CaptureCell<C>>) {
        let Some(path) = self.config_path else {
            return tracing::warn!("nothing to reload: the sensor was started without a config file");
        };
        let reloaded = Config::read(path).map_err(|error| anyhow!(error)).and_then(|config| {
            let faults = config.filter.faults();
            if !faults.is_empty() {
                bail!("{}", faults.join("; "));
            }
            let mut cell = lock(cell);
            if let Some(capture) = &mut cell.current {
                capture.set_filter(&config.filter)?;
            }
            // Also for a capture that is opened later, should the interface be away.
            self.filter.replace(config.filter);
            for worker in workers {
                send(worker, Command::Filter(self.packet_filter()))?;
            }
            Ok(())
        });
        match reloaded {
            Ok(()) => tracing::info!(path = %path.display(), "filter reloaded"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "filter not reloaded"),
        }
    }
}

/// Says changes, and only those.
fn note_state(name: &str, state: Option<InterfaceState>, telemetry: &Telemetry) {
    let is_up = state.is_some_and(|state| state.is_running);
    let was_up = telemetry.interface_up.swap(is_up, Ordering::Relaxed);
    match (was_up, is_up) {
        (true, false) => tracing::warn!(interface = name, "the interface is down"),
        (false, true) => tracing::info!(interface = name, "the interface is up"),
        _ => {}
    }
}

/// Has every worker let go of its source, then closes the capture.
fn release<C: Capture>(workers: &[RunningWorker<C::Source>], cell: &Mutex<CaptureCell<C>>) -> Result<()> {
    if let Some(capture) = &mut lock(cell).current {
        capture.detach();
    }
    for worker in workers {
        send(worker, Command::Release)?;
    }
    let mut waited = Duration::ZERO;
    while workers.iter().any(|worker| worker.cells.attached.read() == 1) {
        if waited > RELEASE_TIMEOUT {
            bail!("a worker does not let go of the interface");
        }
        thread::sleep(Duration::from_millis(10));
        waited += Duration::from_millis(10);
    }
    lock(cell).close();
    Ok(())
}

/// Workers look at their commands several times a second, so that four places are enough.
fn send<S>(worker: &RunningWorker<S>, command: Command<S>) -> Result<()> {
    worker.commands.push(command).map_err(|_| anyhow!("a worker does not listen"))
}

/// Whether one of them panicked.
fn stop_workers<S>(workers: Vec<RunningWorker<S>>) -> bool {
    for worker in &workers {
        // A queue that is full belongs to a worker that died.
        let _ = worker.commands.push(Command::Stop);
    }
    workers.into_iter().map(|worker| worker.thread.join()).filter(Result::is_err).count() > 0
}

fn serve_metrics(config: &Config, telemetry: &Arc<Telemetry>) -> Result<MetricsServer> {
    let listen = config.metrics.listen;
    let server = MetricsServer::start(listen, TelemetryPages::new(telemetry.clone())).with_context(|| {
        format!("listen on {listen} for metrics: choose another address with --metrics, or --metrics off")
    })?;
    tracing::info!(address = %server.address(), "metrics at http://{}/metrics", server.address());
    Ok(server)
}

fn reassembly_config(config: &Config) -> ReassemblyConfig {
    let FragmentsConfig { datagrams, memory_bytes, timeout_s } = config.fragments;
    ReassemblyConfig { datagrams, memory_bytes, timeout: Duration::from_secs(timeout_s) }
}

fn tunnels(config: &Config) -> Result<Tunnels> {
    Ok(Tunnels { count: config.tunnels.count, ports: config.tunnels.ports()? })
}

/// What may leave of texts, with the secret for hashes.
fn privacy(config: &PrivacyConfig) -> Result<Privacy> {
    let mut key = [0; 32];
    let secret = match &config.key_file {
        Some(path) => {
            std::fs::read(path).with_context(|| format!("read the privacy key {}", path.display()))?
        }
        None => {
            let mut bytes = vec![0; key.len()];
            File::open("/dev/urandom")
                .and_then(|mut file| file.read_exact(&mut bytes))
                .context("read a random privacy key from /dev/urandom")?;
            bytes
        }
    };
    key.copy_from_slice(&Sha256::digest(secret));
    Ok(config.with_key(key))
}

fn table_config(config: &Config) -> TableConfig {
    let flow = &config.flow;
    TableConfig {
        capacity: flow.capacity,
        idle_timeout: flow.idle_timeout(),
        active_timeout: flow.active_timeout(),
        close_linger: Duration::from_millis(flow.close_linger_ms),
        embryonic_timeout: Duration::from_secs(flow.embryonic_timeout_s),
        pressure: flow.pressure(),
        sample_rate: config.capture.sample_rate,
    }
}

/// `None` if every packet passes.
fn packet_filter(filter: &FilterConfig, sample_rate: u32) -> Option<PacketFilter> {
    (!filter.is_empty() || sample_rate > 1).then(|| PacketFilter::new(filter.clone(), sample_rate))
}

fn pin_to(cpu: usize) -> Result<()> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    bail!("cannot pin a worker to CPU {cpu}: see /sys/devices/system/cpu/online and the process's CPU mask")
}

fn random_hash_key() -> Result<HashKey> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("read a random hash key from /dev/urandom")?;
    let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    Ok(HashKey { endpoint: word(0), flow: word(8) })
}

/// A panic of another thread does not make the counts behind its lock unreadable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Summary {
    /// Prints the accounts for a reader.
    pub fn print(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "{}", self.ledger)?;
        write!(output, "{}{}", self.tunnels, self.fragments)?;
        writeln!(output, "records")?;
        writeln!(output, "  {:<32}{:>16}", "produced", self.records.produced)?;
        writeln!(output, "  {:<32}{:>16}", "shed on the way to the exporter", self.records.dropped)?;
        for (sink, records) in &self.records.written_by {
            writeln!(output, "  {:<32}{records:>16}", format!("written: {sink}"))?;
        }
        for (sink, records) in self.records.failed_by.iter().filter(|(_, records)| **records > 0) {
            writeln!(output, "  {:<32}{records:>16}", format!("failed: {sink}"))?;
        }
        if let Some(delivery) = &self.delivery {
            write!(output, "{delivery}")?;
        }
        self.kafka.as_ref().map_or(Ok(()), |kafka| write!(output, "{kafka}"))
    }
}
