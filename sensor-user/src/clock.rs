//! Time as a value. Only this file reads the clock; everything else is given a [`Moment`].

use std::time::Duration;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Time from `earlier` to `self` in nanoseconds; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub fn plus(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A monotonic clock that counts from the wall time at which it was started, so that moments of one
/// process never run backwards and still mean a date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall time minus monotonic time at start, nanoseconds.
    offset_ns: u64,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { offset_ns: read_ns(libc::CLOCK_REALTIME).saturating_sub(read_ns(libc::CLOCK_MONOTONIC)) }
    }

    pub fn now(self) -> Moment {
        self.from_kernel(read_ns(libc::CLOCK_MONOTONIC))
    }

    /// The moment of a `CLOCK_MONOTONIC` reading, such as `bpf_ktime_get_ns` gives.
    pub fn from_kernel(self, monotonic_ns: u64) -> Moment {
        Moment(monotonic_ns.saturating_add(self.offset_ns))
    }
}

#[expect(
    unsafe_code,
    reason = "std::time cannot give CLOCK_MONOTONIC as a number, which kernel time stamps need"
)]
fn read_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes nothing but it.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "the two clocks used here exist on every Linux");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
