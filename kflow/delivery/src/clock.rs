//! Time and chance as values. Only this file reads the clock or makes up numbers; everything else is given a
//! [`Moment`] and a [`Jitter`].
#![expect(clippy::disallowed_methods, reason = "the one place that reads the time")]

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub fn plus(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A monotonic clock that counts from the wall time at which it was started, so that moments of one process never
/// run backwards and still mean a date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_ns: u64,
}

impl Clock {
    pub fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), start_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX) }
    }

    pub fn now(self) -> Moment {
        Moment(self.start_ns).plus(self.start.elapsed())
    }
}

/// A random number that spreads waiting times, so that many senders do not come back at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter(pub u64);

impl Jitter {
    /// Draws one. Good enough to spread senders, not for secrets.
    pub fn draw() -> Jitter {
        // Each RandomState has keys of its own, which start from the operating system's randomness.
        Jitter(RandomState::new().hash_one(0_u8))
    }

    /// A part of `range`: evenly distributed over zero to all of it.
    pub(crate) fn part_of(self, range: Duration) -> Duration {
        let range_ns = u128::from(u64::try_from(range.as_nanos()).unwrap_or(u64::MAX));
        let part_ns = (range_ns * u128::from(self.0)) >> 64;
        Duration::from_nanos(u64::try_from(part_ns).expect("a part is no longer than a range of 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_covers_its_range_and_never_leaves_it() {
        let range = Duration::from_secs(8);
        assert_eq!(Jitter(0).part_of(range), Duration::ZERO);
        assert_eq!(Jitter(1 << 63).part_of(range), Duration::from_secs(4));
        let most = Jitter(u64::MAX).part_of(range);
        assert!(most < range && most > Duration::from_millis(7_999));
        assert!(Jitter(u64::MAX).part_of(Duration::MAX) <= Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(Jitter::draw(), Jitter::draw());
    }

    #[test]
    fn a_clock_never_runs_backwards() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(first > Moment(1_700_000_000_000_000_000));
    }
}
