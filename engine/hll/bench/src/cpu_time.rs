//! Time on the CPU, which other programs on the machine do not add to.

#![expect(unsafe_code, reason = "the standard library does not know CPU time")]

pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes nothing but it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "every Linux has this clock");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Nanoseconds for each of so many things that one run does, the least of several runs.
pub fn least_ns(runs: usize, things: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = now_ns();
        run();
        (now_ns() - start) as f64 / things as f64
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}
