//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Doubles from the first to the last wait while attempts fail.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    wait: Duration,
    next_at: Duration,
}

impl Backoff {
    pub fn new((first, last): (Duration, Duration)) -> Backoff {
        Backoff { first, last, wait: first, next_at: Duration::ZERO }
    }

    /// Whether an attempt is due, by a steady clock.
    pub fn is_due(&self, uptime: Duration) -> bool {
        uptime >= self.next_at
    }

    /// An attempt failed, or what it brought did not last.
    pub fn failed(&mut self, uptime: Duration) {
        self.next_at = uptime + self.wait;
        self.wait = (self.wait * 2).min(self.last);
    }

    pub fn succeeded(&mut self) {
        self.wait = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_begin_anew_after_a_success() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new((seconds(1), seconds(5)));
        assert!(backoff.is_due(seconds(0)));
        for (failed_at, due_at) in [(10, 11), (20, 22), (30, 34), (40, 45), (50, 55)] {
            backoff.failed(seconds(failed_at));
            assert!(!backoff.is_due(seconds(due_at) - Duration::from_nanos(1)));
            assert!(backoff.is_due(seconds(due_at)));
        }
        backoff.succeeded();
        backoff.failed(seconds(60));
        assert!(backoff.is_due(seconds(61)));
    }
}
