//! One sender with all that belongs to it: the device, the flows' way out, DNS answers, counters, status.
//!
//! It is made by `kflowInit`, used by any thread, and ends with `kflowStop` or when another takes its place.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kflow::chf::Chf;
use kflow_delivery::sender::{ChfPack, DeviceSource, Sender, SenderConfig, SenderParts};
use kflow_delivery::{Client, Clock, ContentEncoding, Device};

use crate::columns::{Column, Columns};
use crate::connect::{Connector, posted};
use crate::dns::DnsSender;
use crate::errors::Errors;
use crate::failure::{Code, Failure};
use crate::give;
use crate::meter::{Counts, TICK};
use crate::report;
use crate::settings::{Settings, StatusSettings};
use crate::signals;
use crate::status::StatusServer;
use crate::tsdb::Tags;
use crate::watch::Watch;

/// After its time is over a stop waits so much longer, for those who saw the same time to be over.
const STOP_GRACE: Duration = Duration::from_millis(200);

/// A sender that runs.
#[derive(Debug)]
pub struct Instance {
    flows: Sender<Chf>,
    device: Device,
    columns: Columns,
    dns: Option<DnsSender>,
    watch: Option<Watch>,
    status_settings: Option<StatusSettings>,
    status: Option<StatusServer>,
    /// How long a request may take.
    timeout: Duration,
}

impl Instance {
    /// Finds the device and starts the threads, which take no signals of the program. Nothing is left running if it fails.
    pub fn start(settings: &Settings, errors: &'static Errors) -> Result<Instance, Failure> {
        let started = signals::on_quiet_thread("kflow-init", || Instance::start_here(settings, errors));
        started.unwrap_or_else(|error| Err(no_thread(&error)))
    }

    fn start_here(settings: &Settings, errors: &'static Errors) -> Result<Instance, Failure> {
        let connector = Connector::new(settings)?;
        // All that can be wrong with the config is known before anything runs.
        let client = connector.client(&settings.flow_url)?;
        let dns_poster = match &settings.dns {
            Some(dns) => {
                Some(connector.poster(&dns.url, "dns.URL", "application/chfdns", settings.timeout)?)
            }
            None => None,
        };
        let report_poster = match &settings.metrics_url {
            Some(url) => Some(connector.poster(url, "metrics.URL", "application/json", report::TIMEOUT)?),
            None => None,
        };
        let (device, source) = connector.find_device(settings)?;

        let flows = start_flows(client, source).map_err(|error| no_thread(&error))?;
        let dns = match (&settings.dns, dns_poster) {
            (Some(dns), Some(poster)) => {
                let post = move |bytes: &[u8]| posted(poster.post(bytes));
                Some(
                    DnsSender::start(dns.interval, post, |text| errors.push(text))
                        .map_err(|error| no_thread(&error))?,
                )
            }
            _ => None,
        };
        let watch = if report_poster.is_some() || settings.status.is_some() {
            let counters = Arc::clone(&flows.watch().counters);
            let report = report::reporter(report_poster, Tags::of(settings, &device), errors);
            Some(
                Watch::start(TICK, move || Counts::of(&counters), report)
                    .map_err(|error| no_thread(&error))?,
            )
        } else {
            None
        };
        Ok(Instance {
            flows,
            columns: columns(&device),
            device,
            dns,
            watch,
            status_settings: settings.status.clone(),
            status: None,
            timeout: settings.timeout,
        })
    }

    /// Takes the place of the former sender, which delivers what it holds.
    pub fn replace(mut self, place: &RwLock<Option<Instance>>, errors: &Errors) {
        // The former one's port may be the one that is wanted.
        let former =
            place.write().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|it| it.status.take());
        drop(former);
        if let Err(error) = self.start_status() {
            errors.push(&format!("the status is not shown: {error}"));
        }
        let former = place.write().unwrap_or_else(PoisonError::into_inner).replace(self);
        if let Some(former) = former {
            let timeout = former.timeout;
            if let Err(Failure { text: Some(text), .. }) = former.stop(timeout) {
                errors.push(&text);
            }
        }
    }

    fn start_status(&mut self) -> io::Result<()> {
        let (Some(settings), Some(watch)) = (&self.status_settings, &self.watch) else { return Ok(()) };
        let (view, counters) = (watch.view(), Arc::clone(&self.flows.watch().counters));
        let meters = move || view.meters(&Counts::of(&counters));
        let start = || StatusServer::start(&settings.host, settings.port, meters);
        self.status = Some(signals::on_quiet_thread("kflow-init", start)??);
        Ok(())
    }

    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The device, in memory that C frees.
    pub fn tell_device(&self) -> Result<give::Device, Failure> {
        let Device { id, name, sample_rate, .. } = &self.device;
        give::Device::new((*id).into(), name, (*sample_rate).into(), &self.columns)
    }

    /// Takes a flow in; never waits.
    pub fn send(&self, flow: Chf) {
        self.flows.push([flow]);
    }

    /// Takes a DNS answer in; never waits.
    pub fn send_dns(&self, entry: Vec<u8>) -> Result<(), Failure> {
        let Some(dns) = &self.dns else {
            return Err(Failure::new(Code::Send, "DNS answers are not sent: dns.enable in kflowConfig is 0"));
        };
        dns.push(entry).map_err(|_| Failure::new(Code::Send, "too many DNS answers wait to be sent"))
    }

    /// Delivers what is held, and ends; returns in time though a server does not.
    pub fn stop(self, patience: Duration) -> Result<(), Failure> {
        let Instance { flows, dns, watch, status, .. } = self;
        let clock = Clock::start();
        let deadline = clock.now().plus(patience);
        let left_over = || deadline.since(clock.now()).saturating_add(STOP_GRACE);
        let flow_watch = flows.watch().clone();
        if let Some(dns) = &dns {
            dns.close();
        }
        let (tell, ended) = mpsc::channel();
        let end = move || {
            drop((watch, status));
            flows.stop(patience);
            // Nobody listens any more if it took too long.
            let _ = tell.send(());
        };
        signals::start_quiet_thread("kflow-stop", end).map_err(|error| no_thread(&error))?;
        let has_ended = ended.recv_timeout(left_over()).is_ok();
        let answers = dns.map_or(Some(0), |dns| dns.wait(left_over()));

        // What is under way when time is over may still arrive, but nobody will know.
        let waiting = if has_ended { 0 } else { flow_watch.waiting() };
        let flows = flow_watch.counters.abandoned.read() + waiting;
        match (flows, answers) {
            (0, Some(0)) if has_ended => Ok(()),
            (0, Some(0)) => Err(Failure::new(Code::Timeout, "kflowStop: a request is still under way")),
            (flows, Some(0)) => Err(left(&format!("{flows} flows"))),
            (flows, Some(answers)) => Err(left(&format!("{flows} flows and {answers} DNS answers"))),
            (flows, None) => Err(left(&format!("{flows} flows and DNS answers"))),
        }
    }
}

fn left(what: &str) -> Failure {
    Failure::new(Code::Timeout, format!("kflowStop: {what} were not delivered in time"))
}

fn no_thread(error: &io::Error) -> Failure {
    Failure::new(Code::NoMemory, format!("a thread cannot be started: {error}"))
}

fn start_flows(client: Client, device: DeviceSource) -> io::Result<Sender<Chf>> {
    let pack = ChfPack::new(ContentEncoding::Gzip);
    Sender::start(SenderParts { config: SenderConfig::default(), pack, client, device, spool: None })
}

fn columns(device: &Device) -> Columns {
    let columns = device.columns.iter();
    Columns::new(
        columns.map(|it| Column { id: it.id, name: it.name.clone(), kind: it.kind.clone() }).collect(),
    )
}
