//! Whose records they are: the device as a sender's threads see it, and the thread that keeps it up to date.

use crate::{
    Clock, Jitter, Moment,
    device::{Creation, Device, DeviceApi, DeviceStanding, DeviceWatch, Selector, recall, remember},
};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Where knowledge of the device comes from.
#[derive(Debug)]
pub enum DeviceSource {
    /// The configuration says all.
    Fixed(Device),
    /// It is looked up, and looked at again every 20 minutes.
    Api(Box<Lookup>),
}

/// How a device is looked up.
#[derive(Debug)]
pub struct Lookup {
    pub api: DeviceApi,
    pub selector: Selector,
    /// What the device is created with where there is none.
    pub creation: Option<Creation>,
    /// File that keeps the last answer.
    pub memory: Option<PathBuf>,
    /// The last answer, if it is there already.
    pub known: Option<Device>,
}

/// The device as it is known now.
#[derive(Debug)]
pub(super) struct DeviceCell {
    state: Mutex<State>,
    /// Rung when the device is to be looked up before its time, and at the stop.
    hastened: Condvar,
}

#[derive(Debug)]
struct State {
    watch: DeviceWatch,
    /// The same as the watch's, to be shared, with no higher rate than this.
    device: Option<Arc<Device>>,
    flow_rate_max: Option<u32>,
    /// Look-ups that have come to an end.
    answers: u64,
    is_stopping: bool,
}

impl Default for DeviceCell {
    /// Nothing is known, and nobody asks.
    fn default() -> DeviceCell {
        let watch = DeviceWatch::looking(None);
        let state = State { watch, device: None, flow_rate_max: None, answers: 0, is_stopping: false };
        DeviceCell { state: Mutex::new(state), hastened: Condvar::new() }
    }
}

impl State {
    fn share(&mut self) {
        self.device = self.watch.device().map(|device| {
            let rates = [device.flow_rate_max, self.flow_rate_max];
            Arc::new(Device { flow_rate_max: rates.into_iter().flatten().min(), ..device.clone() })
        });
    }
}

impl DeviceCell {
    /// Starts the thread that looks the device up, if it has to be. Nobody waits for its end, because a name server or
    /// a connection may keep it for a while; it holds nothing that others want. The device's rate is no higher than `flow_rate_max`.
    pub fn start(
        source: DeviceSource,
        flow_rate_max: Option<u32>,
        clock: Clock,
    ) -> io::Result<Arc<DeviceCell>> {
        let (watch, lookup) = match source {
            DeviceSource::Fixed(device) => (DeviceWatch::fixed(device), None),
            DeviceSource::Api(mut lookup) => (lookup.watch(clock.now()), Some(lookup)),
        };
        let mut state = State { watch, device: None, flow_rate_max, answers: 0, is_stopping: false };
        state.share();
        let cell = Arc::new(DeviceCell { state: Mutex::new(state), hastened: Condvar::new() });
        if let Some(lookup) = lookup {
            let of_thread = cell.clone();
            thread::Builder::new()
                .name("device".to_owned())
                .spawn(move || of_thread.keep_up_to_date(&lookup, clock))?;
        }
        Ok(cell)
    }

    /// `None` until it is known.
    pub fn current(&self) -> Option<Arc<Device>> {
        self.lock().device.clone()
    }

    pub fn standing(&self) -> DeviceStanding {
        self.lock().watch.standing().clone()
    }

    /// A receiver says that it does not know the device: has it looked up now. How many look-ups came to an end before.
    pub fn hasten(&self, now: Moment) -> u64 {
        let mut state = self.lock();
        state.watch.hasten(now);
        self.hastened.notify_one();
        state.answers
    }

    /// Whether a look-up came to an end since then, or none is to be waited for.
    pub fn has_answered_since(&self, answers: u64) -> bool {
        let state = self.lock();
        state.answers != answers || state.watch.due().is_none()
    }

    /// Ends the thread, as soon as it has no request under way.
    pub fn stop(&self) {
        self.lock().is_stopping = true;
        self.hastened.notify_one();
    }

    fn keep_up_to_date(&self, lookup: &Lookup, clock: Clock) {
        while self.wait_until_due(clock) {
            let answer = lookup.api.find(&lookup.selector, lookup.creation.as_ref());
            let mut state = self.lock();
            state.answers += 1;
            let before = state.watch.standing().clone();
            let changes = state.watch.take(answer, clock.now(), Jitter::draw());
            report(&before, state.watch.standing(), lookup.api.url());
            if !changes.any() {
                continue;
            }
            state.share();
            let device = state.device.clone();
            drop(state);
            if let Some(device) = device {
                tracing::info!(id = device.id, name = device.name, "the device is known");
                lookup.remember(&device);
            }
        }
    }

    /// False at the stop.
    fn wait_until_due(&self, clock: Clock) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return false;
            }
            let due = state.watch.due().expect("a device that is looked up is due at some time");
            let now = clock.now();
            if due <= now {
                return true;
            }
            let waited = self.hastened.wait_timeout(state, due.since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookup {
    fn watch(&mut self, now: Moment) -> DeviceWatch {
        if let Some(device) = self.known.take() {
            let mut watch = DeviceWatch::looking(None);
            watch.take(Ok(device), now, Jitter::draw());
            return watch;
        }
        let remembered = self.memory.as_deref().map(|path| recall(path, &self.key()));
        let remembered = remembered.transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "what was known of the device is lost");
            None
        });
        DeviceWatch::looking(remembered.flatten())
    }

    fn remember(&self, device: &Device) {
        let Some(path) = &self.memory else { return };
        if let Err(error) = remember(path, &self.key(), device) {
            tracing::warn!(%error, "the device is not remembered; a start without the API would wait for it");
        }
    }

    fn key(&self) -> String {
        format!("{} at {}", self.selector, self.api.url())
    }
}

/// Says what has become different about what is known.
fn report(before: &DeviceStanding, now: &DeviceStanding, url: &str) {
    match (before, now) {
        (DeviceStanding::Stale { .. }, DeviceStanding::Stale { .. })
        | (DeviceStanding::Gone { .. }, DeviceStanding::Gone { .. }) => {}
        (_, DeviceStanding::Stale { trouble, .. }) => {
            tracing::warn!(url, %trouble, "the device cannot be looked up");
        }
        (_, DeviceStanding::Gone { text, .. }) => {
            tracing::error!(url, text, "the API does not know the device");
        }
        (DeviceStanding::Stale { .. } | DeviceStanding::Gone { .. }, DeviceStanding::Current) => {
            tracing::info!(url, "the device can be looked up again");
        }
        _ => {}
    }
}
