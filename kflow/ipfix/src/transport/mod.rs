//! Messages to the collector, and what is known of those that did not get there.

mod backoff;
mod socket;
mod tcp;
mod udp;

pub(crate) use backoff::Backoff;
pub(crate) use tcp::Tcp;
pub(crate) use udp::Udp;

use crate::clock::Clock;
use crate::config::IpfixConfig;
use std::io;
use std::time::Duration;

/// Whether there is somebody to send to.
#[derive(Debug)]
pub(crate) enum Readiness {
    Ready,
    /// A new session: nothing that was announced before is known there.
    New,
    Away(io::Error),
}

/// How long one call may go on waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    clock: Clock,
    until: Duration,
}

impl Budget {
    pub fn begin(clock: Clock, config: &IpfixConfig) -> Budget {
        Budget { clock, until: clock.uptime() + wait(config) }
    }

    pub fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    pub fn is_used_up(&self) -> bool {
        self.uptime() >= self.until
    }
}

/// How long to wait for one thing. A call waits for a connection, then until its budget is used up, and then for what it
/// began before: three waits at most.
fn wait(config: &IpfixConfig) -> Duration {
    (config.block_max / 3).max(Duration::from_millis(1))
}
