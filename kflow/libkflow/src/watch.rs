//! The thread that looks at the counters of a sender: it moves the meters each tick, and every minute tells the collector.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::meter::{Counts, Meters};

/// Ticks from one report to the next.
const TICKS_PER_REPORT: u32 = 12;

/// Stops when it is dropped; a report that is under way is not waited for.
#[derive(Debug)]
pub struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    meters: Meters,
    is_stopping: bool,
}

/// Sees the meters, for as long as anybody wants to look.
#[derive(Clone, Debug)]
pub struct View(Arc<Shared>);

impl Watch {
    /// `counts` tells what the sender has done so far, `report` is called with the meters every twelve ticks.
    pub fn start(
        tick: Duration,
        counts: impl Fn() -> Counts + Send + 'static,
        mut report: impl FnMut(&Meters) + Send + 'static,
    ) -> io::Result<Watch> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("kflow-watch".to_owned()).spawn(move || {
            loop {
                for _ in 0..TICKS_PER_REPORT {
                    if of_thread.waits_for_stop(tick) {
                        return;
                    }
                    of_thread.lock().meters.tick(&counts());
                }
                let meters = of_thread.lock().meters;
                report(&meters);
            }
        })?;
        Ok(Watch(shared))
    }

    pub fn view(&self) -> View {
        View(Arc::clone(&self.0))
    }
}

impl View {
    /// The rates of the last tick, with the counts of now.
    pub fn meters(&self, now: &Counts) -> Meters {
        let mut meters = self.0.lock().meters;
        meters.flows_in.count = now.flows_in;
        meters.flows_out.count = now.flows_out;
        meters.flows_dropped.count = now.flows_dropped;
        meters.bytes_out.count = now.bytes_out;
        meters
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves meters that are at most a tick old.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_for_stop(&self, tick: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), tick, |state| !state.is_stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.lock().is_stopping = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn every_twelfth_tick_is_reported_until_the_stop() {
        let (tell, told) = mpsc::channel();
        let counts = || Counts { flows_in: 60, ..Counts::default() };
        let report = move |meters: &Meters| {
            let _ = tell.send(meters.flows_in.count);
        };
        let watch = Watch::start(Duration::from_millis(1), counts, report).expect("a thread can be started");
        let long = Duration::from_secs(60);
        assert_eq!((told.recv_timeout(long), told.recv_timeout(long)), (Ok(60), Ok(60)));
        let now = Counts { flows_in: 61, ..Counts::default() };
        assert_eq!(watch.view().meters(&now).flows_in.count, 61);
        drop(watch);
        // The thread drops its end of the channel.
        while told.recv_timeout(long).is_ok() {}
    }
}
