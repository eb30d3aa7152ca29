//! The end of a sender: how long its courier may still try.

use crate::clock::{Clock, Moment};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// When to end; never, until it is told.
#[derive(Debug, Default)]
pub(super) struct Stop {
    deadline: Mutex<Option<Moment>>,
    told: Condvar,
}

impl Stop {
    pub fn at(&self, deadline: Moment) {
        *self.lock() = Some(deadline);
        self.told.notify_all();
    }

    pub fn is_over(&self, now: Moment) -> bool {
        self.lock().is_some_and(|deadline| deadline <= now)
    }

    /// Sleeps until then, and at once returns false if it is over before.
    pub fn sleep_until(&self, moment: Moment, clock: Clock) -> bool {
        let mut deadline = self.lock();
        loop {
            let now = clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return false;
            }
            if moment <= now {
                return true;
            }
            let end = deadline.map_or(moment, |deadline| deadline.min(moment));
            let wait = self.told.wait_timeout(deadline, end.since(now));
            deadline = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Moment>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
