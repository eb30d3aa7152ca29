//! When to try again, and where: the policy of retries and failover. It neither reads a clock nor sends anything.
//!
//! In come outcomes, with the time and a random number; out come turns (send now to this endpoint, or wait) and
//! actions (acknowledge, give back, look the device up). It holds one batch in mind: the one that is being sent.
//!
//! ```text
//!          turn() ── Send(endpoint) ──► Client::send ──► outcome ──► next() ──► Acknowledge | GiveBack: next batch
//!            ▲  └── Wait(until) ──► the caller sleeps                       └─► TryAgain | LookUpDevice
//!            └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Endpoints are listed by preference. One that works is kept. One that fails is left for the next that is ready,
//! and is ready again after its back-off. After a while on another the first is tried again.

use crate::clock::{Jitter, Moment};
use crate::outcome::{Cause, Outcome, Remedy, Trouble};
use std::time::Duration;

/// Number of an endpoint in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointId(pub usize);

/// Bounds of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Wait after the first failure of an endpoint; each further one doubles it.
    pub delay_min: Duration,
    /// Longest wait between two attempts at an endpoint that fails.
    pub delay_max: Duration,
    /// Wait after an answer that only a change of configuration can make better.
    pub refused_delay: Duration,
    /// A server that asks for a longer pause (Retry-After) gets this one.
    pub retry_after_max: Duration,
    /// How long another endpoint is kept before a preferred one is tried again.
    pub return_after: Duration,
    /// Give a batch back after so many failed attempts; never if none.
    pub attempts_max: Option<u32>,
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig {
            delay_min: Duration::from_secs(1),
            delay_max: Duration::from_secs(60),
            refused_delay: Duration::from_secs(300),
            retry_after_max: Duration::from_secs(3600),
            return_after: Duration::from_secs(300),
            attempts_max: None,
        }
    }
}

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Send(EndpointId),
    /// No endpoint is ready before this moment.
    Wait(Moment),
}

/// What follows from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The batch is delivered: forget it.
    Acknowledge,
    /// Nobody will take the batch: count its records as lost for this reason.
    GiveBack(GivenBack),
    /// Look the device up at the API, then ask for the next turn.
    LookUpDevice,
    /// Keep the batch and ask for the next turn.
    TryAgain,
}

/// Why a batch is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// The receiver says that it will never take it.
    Rejected,
    /// All attempts that the configuration allows have failed.
    AttemptsSpent,
}

/// How delivery stands, for the status page and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was sent yet.
    Idle,
    /// The last attempt reached a receiver that takes flows.
    Delivering,
    /// Attempts fail since this moment; the last one for this reason.
    Failing { since: Moment, remedy: Remedy, trouble: Trouble },
}

/// Decides on retries and failover.
#[derive(Clone, Debug)]
pub struct Policy {
    config: RetryConfig,
    endpoints: Vec<Endpoint>,
    current: usize,
    /// When an endpoint before the current one may be tried again.
    return_at: Moment,
    /// Failed attempts of the batch that is being sent.
    attempts: u32,
    /// The device was looked up for this batch already.
    looked_up: bool,
    standing: Standing,
}

#[derive(Clone, Debug, Default)]
struct Endpoint {
    ready_at: Moment,
    /// Failures in a row.
    failures: u32,
    /// The last attempt succeeded, so its connection may have been kept open since.
    kept_alive: bool,
}

impl Policy {
    /// # Panics
    /// There is no endpoint.
    pub fn new(config: RetryConfig, endpoints: usize) -> Policy {
        assert!(endpoints > 0, "a policy decides between endpoints");
        Policy {
            config,
            endpoints: vec![Endpoint::default(); endpoints],
            current: 0,
            return_at: Moment(0),
            attempts: 0,
            looked_up: false,
            standing: Standing::Idle,
        }
    }

    /// Says whether to send now, and where to.
    pub fn turn(&mut self, now: Moment) -> Turn {
        let ready = |endpoint: &Endpoint| endpoint.ready_at <= now;
        let preferred = self.endpoints.iter().position(ready);
        let keeps_current = ready(&self.endpoints[self.current])
            && (now < self.return_at || preferred.is_none_or(|preferred| preferred >= self.current));
        if keeps_current {
            return Turn::Send(EndpointId(self.current));
        }
        let Some(preferred) = preferred else {
            let earliest = self.endpoints.iter().map(|endpoint| endpoint.ready_at).min();
            return Turn::Wait(earliest.expect("there is an endpoint: new() asserts it"));
        };
        self.current = preferred;
        self.return_at = now.plus(self.config.return_after);
        Turn::Send(EndpointId(preferred))
    }

    /// Takes what became of an attempt at `endpoint`, and says what follows.
    pub fn next(&mut self, endpoint: EndpointId, outcome: &Outcome, now: Moment, jitter: Jitter) -> Action {
        let trouble = match outcome {
            Outcome::Delivered => {
                self.works(endpoint);
                return self.end_batch(Action::Acknowledge);
            }
            Outcome::Failed(trouble) => trouble,
        };
        let remedy = trouble.remedy();
        if remedy == Remedy::GiveBack {
            // An answer about the batch is a sign of life: the next one goes there too.
            self.works(endpoint);
            return self.end_batch(Action::GiveBack(GivenBack::Rejected));
        }
        let look_up = remedy == Remedy::LookUpDevice && !self.looked_up;
        let delay = if look_up { Duration::ZERO } else { self.delay(endpoint, trouble, now, jitter) };
        self.fails(endpoint, now.plus(delay));
        self.note(remedy, trouble, now);
        self.attempts += 1;
        if self.config.attempts_max.is_some_and(|max| self.attempts >= max) {
            return self.end_batch(Action::GiveBack(GivenBack::AttemptsSpent));
        }
        if look_up {
            self.looked_up = true;
            return Action::LookUpDevice;
        }
        // The device may come to exist at any time: once more, slowly.
        self.looked_up = false;
        Action::TryAgain
    }

    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The endpoint that was used last, or is next if none was.
    pub fn current(&self) -> EndpointId {
        EndpointId(self.current)
    }

    /// Failed attempts of the batch that is being sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    fn works(&mut self, EndpointId(index): EndpointId) {
        self.endpoints[index] = Endpoint { ready_at: Moment(0), failures: 0, kept_alive: true };
        self.standing = Standing::Delivering;
    }

    fn fails(&mut self, EndpointId(index): EndpointId, ready_at: Moment) {
        let endpoint = &mut self.endpoints[index];
        endpoint.failures = endpoint.failures.saturating_add(1);
        endpoint.ready_at = ready_at;
        endpoint.kept_alive = false;
    }

    fn note(&mut self, remedy: Remedy, trouble: &Trouble, now: Moment) {
        let since = match self.standing {
            Standing::Failing { since, .. } => since,
            Standing::Idle | Standing::Delivering => now,
        };
        self.standing = Standing::Failing { since, remedy, trouble: trouble.clone() };
    }

    fn end_batch(&mut self, action: Action) -> Action {
        self.attempts = 0;
        self.looked_up = false;
        action
    }

    /// How long the endpoint is left alone after this failure.
    fn delay(
        &self,
        EndpointId(index): EndpointId,
        trouble: &Trouble,
        now: Moment,
        jitter: Jitter,
    ) -> Duration {
        let endpoint = &self.endpoints[index];
        if trouble.cause == Cause::Broken && endpoint.kept_alive {
            // The server closed a connection that waited for its next request; a new one finds out.
            return Duration::ZERO;
        }
        let whole = match trouble.remedy() {
            Remedy::Retry | Remedy::GiveBack => {
                let doubled = self.config.delay_min.saturating_mul(1 << endpoint.failures.min(30));
                doubled.min(self.config.delay_max)
            }
            Remedy::CheckCredentials | Remedy::CheckUrl | Remedy::LookUpDevice => self.config.refused_delay,
        };
        // Between half and all of it, so that senders that failed together do not come back together.
        let half = whole / 2;
        let spread = jitter.part_of(half);
        let asked = trouble.retry_after.map_or(Duration::ZERO, |after| after.delay(now));
        let asked = asked.min(self.config.retry_after_max);
        if asked > half + spread { asked + jitter.part_of(asked / 8) } else { half + spread }
    }
}

#[cfg(test)]
mod tests;
