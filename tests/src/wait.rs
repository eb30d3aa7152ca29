//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before it counts as not happening.
pub const DEADLINE: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `look` finds something. Panics with `what` when the deadline has passed.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        thread::sleep(POLL_INTERVAL);
    }
}
