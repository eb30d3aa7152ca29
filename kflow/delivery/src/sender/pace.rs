//! The rate that a receiver grants: a token bucket over records.

use crate::clock::Moment;
use std::time::Duration;

/// How many records may go, and when.
#[derive(Debug)]
pub(super) struct Pace {
    /// Records a second; 0 for no limit.
    records_per_s: u64,
    /// When everything that was let through so far has been paid for.
    paid_at: Moment,
}

/// What may be ahead of the rate: so much of it saved up in quiet times.
const BURST: Duration = Duration::from_secs(1);

impl Pace {
    pub fn new(records_per_s: u64) -> Pace {
        Pace { records_per_s, paid_at: Moment(0) }
    }

    pub fn set_rate(&mut self, records_per_s: u64) {
        self.records_per_s = records_per_s;
    }

    /// Accounts for so many records and says when they may go.
    pub fn take(&mut self, records: u32, now: Moment) -> Moment {
        if self.records_per_s == 0 {
            return now;
        }
        let saved_from = Moment(now.0.saturating_sub(BURST.as_nanos() as u64));
        let cost_ns = u128::from(records) * 1_000_000_000 / u128::from(self.records_per_s);
        self.paid_at = self.paid_at.max(saved_from).plus(Duration::from_nanos(cost_ns as u64));
        now.max(self.paid_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rate_holds_over_a_long_time_and_bursts_are_bounded() {
        let mut pace = Pace::new(1000);
        let mut now = Moment(100 * SECOND);
        let start = now;
        for _ in 0..100 {
            now = pace.take(500, now);
        }
        // 50,000 records at 1000 a second, of which a second's worth were saved up.
        assert_eq!(now.since(start), Duration::from_secs(49));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.take(u32::MAX, Moment(5)), Moment(5));
    }
}
