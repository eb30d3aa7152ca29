//! The only reader of a clock here: a steady one, for what is due and how long was waited. The time of day comes from
//! the sensor and with the records.

use std::time::{Duration, Instant};

/// Time since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    pub fn uptime(&self) -> Duration {
        self.0.elapsed()
    }
}
