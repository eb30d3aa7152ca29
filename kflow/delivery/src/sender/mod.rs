//! Sending records: from many threads that push to one receiver that takes batches.
//!
//! ```text
//!  push ─► window ─► packer: message, body ─► spool (disk) ─┐
//!  push ─►  (thins when full)              └► memory ───────┴─► courier ─► receiver
//!                        ▲                                        │
//!                        └────────── device (id, columns, rate) ◄─┘ looked up, refreshed
//! ```
//!
//! 1. Whoever has records pushes them into the window. That never waits for disk or network. A window that is full
//!    thins its records and remembers by how much ([`crate::window`]).
//! 2. The packer takes the window as soon as a message can be filled, and otherwise once an interval. It makes
//!    messages for the device, and bodies of them.
//! 3. A body waits in the spool, if there is one, and in memory otherwise or when the disk refuses. In the spool it is
//!    durable before it is sent. Memory that is full holds up the packer, so the window thins.
//! 4. The courier sends the oldest batch until its fate is known: delivered, or refused for good. Then its place is
//!    freed.
//!
//! A device's `max_flow_rate` is kept twice: the window has room for no more in an interval, and the courier sends no
//! more even when it has an outage to catch up on.

mod counters;
mod courier;
mod device;
mod pace;
mod pack;
mod packer;
mod stop;
mod store;

pub use counters::{Counter, Counters};
pub use device::{DeviceSource, Lookup};
pub use pack::{ChfPack, Columns, FlowPack, Pack};

use crate::{
    Client, Clock, Interrupter, Jitter, Policy, RetryConfig, Standing,
    device::{Device, DeviceStanding},
    window::{FACTOR_ONE, OfFlow, Taken, Window},
};
use courier::Courier;
use device::DeviceCell;
use pace::Pace;
use packer::Packer;
use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use stop::Stop;

/// Sizes and times of a sender.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// Records that wait to be packed, at most. The device's rate may allow fewer.
    pub window_records: usize,
    /// Records of one message, at most.
    pub batch_records: usize,
    /// Records wait no longer for others to fill a message.
    pub interval: Duration,
    /// Bytes of bodies that wait in memory.
    pub memory_bytes: usize,
    /// Records a second; the device's rate may allow fewer.
    pub records_per_s_max: Option<u32>,
    pub retry: RetryConfig,
    /// Name of the sensor in the identity of batches; the number of the device if none is given.
    pub sensor: Option<String>,
}

impl Default for SenderConfig {
    fn default() -> SenderConfig {
        SenderConfig {
            window_records: 1 << 15,
            batch_records: 4096,
            interval: Duration::from_secs(1),
            memory_bytes: 64 << 20,
            records_per_s_max: None,
            retry: RetryConfig::default(),
            sensor: None,
        }
    }
}

/// What a sender is made of.
#[derive(Debug)]
pub struct SenderParts<P> {
    pub config: SenderConfig,
    pub pack: P,
    pub client: Client,
    pub device: DeviceSource,
    /// Both ends of a spool, if bodies wait on disk.
    pub spool: Option<(kflow_spool::Writer, kflow_spool::Reader)>,
}

/// Accepts records from any number of threads and delivers them on threads of its own.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    stop: Arc<Stop>,
    watch: Watch,
    threads: Vec<JoinHandle<()>>,
    /// Ends requests that are under way: those of the courier, and those for the device.
    interrupters: Vec<Interrupter>,
    clock: Clock,
}

/// How a sender gets on.
#[derive(Clone, Debug)]
pub struct Watch {
    pub counters: Arc<Counters>,
    /// The account of the spool, if there is one …
    pub spool: Option<kflow_spool::StatsHandle>,
    /// … and what it was at the start.
    pub spool_before: kflow_spool::Stats,
    device: Arc<DeviceCell>,
    standing: Arc<Mutex<Standing>>,
}

impl Default for Watch {
    /// Of a sender that has not done anything yet.
    fn default() -> Watch {
        Watch {
            counters: Arc::default(),
            spool: None,
            spool_before: kflow_spool::Stats::default(),
            device: Arc::default(),
            standing: Arc::new(Mutex::new(Standing::Idle)),
        }
    }
}

impl Watch {
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of the device, and where from.
    pub fn device(&self) -> (Option<Arc<Device>>, DeviceStanding) {
        (self.device.current(), self.device.standing())
    }

    /// Records that wait, in memory and on disk.
    pub fn waiting(&self) -> u64 {
        let on_disk = self.spool.as_ref().map_or(0, |spool| {
            let spool = spool.read();
            spool.waiting.records + spool.uncommitted.records
        });
        self.counters.in_window.read() + self.counters.in_memory.read() + on_disk
    }
}

/// What pushers and the packer share.
#[derive(Debug)]
struct Shared<T> {
    window: Mutex<Window<T>>,
    window_records: usize,
    /// Rung when as many records are there as are wanted, and at the stop.
    enough: Condvar,
    /// So many records make a message; none do while a rate is to be kept.
    wanted: AtomicUsize,
    is_stopping: AtomicBool,
    device: Arc<DeviceCell>,
    counters: Arc<Counters>,
}

impl<T: OfFlow + Send + 'static> Sender<T> {
    /// Starts the threads. Nothing was sent when this returns, and the device need not be known.
    pub fn start<P: Pack<Record = T>>(parts: SenderParts<P>) -> io::Result<Sender<T>> {
        let SenderParts { config, pack, client, device, spool } = parts;
        let clock = Clock::start();
        let stop = Arc::new(Stop::default());
        let counters = Arc::new(Counters::default());
        counters.factor_hundredths.set(u64::from(FACTOR_ONE));
        let mut interrupters = vec![client.interrupter()];
        if let DeviceSource::Api(lookup) = &device {
            interrupters.push(lookup.api.interrupter());
        }
        let device = DeviceCell::start(device, config.records_per_s_max, clock)?;
        let shared = Arc::new(Shared {
            window: Mutex::new(Window::new(config.window_records, Jitter::draw().0)),
            window_records: config.window_records,
            enough: Condvar::new(),
            wanted: AtomicUsize::new(usize::MAX),
            is_stopping: AtomicBool::new(false),
            device: device.clone(),
            counters: counters.clone(),
        });
        let spool_stats = spool.as_ref().map(|(writer, _)| writer.stats());
        let watch = Watch {
            counters: counters.clone(),
            spool_before: spool_stats.as_ref().map(|spool| spool.read()).unwrap_or_default(),
            spool: spool_stats,
            device: device.clone(),
            standing: Arc::new(Mutex::new(Standing::Idle)),
        };
        let (intake, outlet) = store::open(spool, config.memory_bytes, clock.now().0, &counters);
        let packer = Packer {
            shared: shared.clone(),
            pack,
            intake,
            batch_records: config.batch_records,
            interval: config.interval,
            stop: stop.clone(),
            clock,
        };
        let courier = Courier {
            policy: Policy::new(config.retry, client.endpoints()),
            client,
            clock,
            outlet,
            sensor: config.sensor,
            device,
            pace: Pace::new(0),
            stop: stop.clone(),
            standing: watch.standing.clone(),
            counters,
        };
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        // Whole before the threads are there, so that those that are end if another cannot be started.
        let mut sender = Sender { shared, stop, watch, threads: Vec::new(), interrupters, clock };
        sender.threads.push(named("packer").spawn(move || packer.run())?);
        sender.threads.push(named("courier").spawn(move || courier.run())?);
        Ok(sender)
    }

    /// Takes records in. Waits for nothing but other pushers.
    pub fn push(&self, records: impl IntoIterator<Item = T>) {
        let mut window = self.shared.window();
        let (mut offered, mut thinned) = (0, 0);
        for record in records {
            offered += 1;
            thinned += window.push(record);
        }
        let waiting = window.len();
        // Under the lock: the packer may only take away what was counted.
        let counters = &self.shared.counters;
        counters.offered.add(offered);
        counters.in_window.add(offered);
        counters.thinned.add(thinned);
        counters.in_window.subtract(thinned);
        drop(window);
        if waiting >= self.shared.wanted.load(Ordering::Relaxed) {
            self.shared.enough.notify_one();
        }
    }

    /// What tells how it goes, also when the sender is gone.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Sends what can be sent within this time and ends. What is left then waits in the spool, or is lost and counted as
    /// abandoned. True if nothing is left.
    pub fn stop(mut self, patience: Duration) -> bool {
        self.end(patience);
        self.watch.counters.abandoned.read() == 0 && self.watch.waiting() == 0
    }
}

impl<T> Sender<T> {
    fn end(&mut self, patience: Duration) {
        let deadline = self.clock.now().plus(patience);
        self.stop.at(deadline);
        self.shared.is_stopping.store(true, Ordering::Release);
        // Under the lock, so that a packer that is about to wait has seen it or is woken.
        drop(self.shared.window());
        self.shared.enough.notify_one();
        self.watch.device.stop();
        let are_busy = || self.threads.iter().any(|thread| !thread.is_finished());
        while are_busy() && self.clock.now() < deadline {
            thread::sleep(END_NAP);
        }
        for interrupter in self.interrupters.drain(..) {
            interrupter.interrupt();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the sender panicked");
            }
        }
    }
}

/// How long the end sleeps before it looks again whether all is sent.
const END_NAP: Duration = Duration::from_millis(5);

impl<T> Drop for Sender<T> {
    /// A sender that was not stopped is, without patience.
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl<T> Shared<T> {
    fn window(&self) -> MutexGuard<'_, Window<T>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: OfFlow> Shared<T> {
    /// Until so many records wait, the time is over, or the sender is stopped: true then.
    fn wait(&self, wanted: usize, patience: Duration) -> bool {
        self.wanted.store(wanted, Ordering::Relaxed);
        let window = self.window();
        let is_early =
            |window: &mut Window<T>| window.len() < wanted && !self.is_stopping.load(Ordering::Acquire);
        drop(self.enough.wait_timeout_while(window, patience, is_early));
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Takes what waits, in exchange for an empty vector.
    fn take(&self, empty: Vec<T>) -> Taken<T> {
        self.window().take(empty)
    }

    /// Makes room for what the device's rate allows in an interval, and for no more.
    fn fit_window(&self, records_per_s: Option<u32>, interval: Duration) {
        let of_interval = |rate| u128::from(rate) * interval.as_millis() / 1000;
        let allowed = records_per_s.map_or(usize::MAX, |rate: u32| of_interval(rate) as usize);
        self.window().set_capacity(allowed.min(self.window_records));
    }

    /// Counts what nobody will take any more.
    fn abandon_window(&self) {
        let left = self.window().take(Vec::new()).records.len();
        self.counters.abandoned.add(left as u64);
        self.counters.in_window.subtract(left as u64);
    }
}
