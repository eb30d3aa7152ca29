//! The sending thread: takes batches, oldest first, and stays with each until its fate is known.

use super::{
    counters::Counters,
    device::DeviceCell,
    pace::Pace,
    stop::Stop,
    store::{Outlet, Parcel},
};
use crate::{
    Action, Batch, BatchName, Client, Clock, Jitter, Policy, Standing, Turn, device::Device, outcome::Outcome,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long the courier waits for something before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a batch whose device is unknown waits for the API, and how often the courier looks.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_UP_NAP: Duration = Duration::from_millis(10);

pub(super) struct Courier {
    pub client: Client,
    pub policy: Policy,
    pub clock: Clock,
    pub outlet: Outlet,
    /// Name of the sensor in a batch's identity; the device's number if none is given, since names can change.
    pub sensor: Option<String>,
    pub device: Arc<DeviceCell>,
    pub pace: Pace,
    pub stop: Arc<Stop>,
    pub standing: Arc<Mutex<Standing>>,
    pub counters: Arc<Counters>,
}

impl Courier {
    /// Until no batch can come any more, or until the time that a stop leaves is over.
    pub fn run(mut self) {
        loop {
            // Read before looking: what was put before the end is found after it.
            let is_last_round = self.outlet.is_closed();
            let parcel = match self.outlet.next(PATIENCE) {
                Some(parcel) => parcel,
                None if is_last_round => break,
                None => continue,
            };
            if self.stop.is_over(self.clock.now()) || !self.settle(&parcel) {
                self.outlet.abandon(Some(&parcel));
                break;
            }
            self.outlet.done(&parcel, self.clock.now());
        }
        self.outlet.settle();
        // The packer may still be at it if time was over before.
        while !self.outlet.is_closed() {
            self.outlet.abandon(None);
            self.outlet.wait(PATIENCE);
        }
        self.outlet.abandon(None);
    }

    /// Sends the batch until its fate is known. False if time is over before.
    fn settle(&mut self, parcel: &Parcel) -> bool {
        let may_go_at = self.pace.take(parcel.records, self.clock.now());
        if !self.stop.sleep_until(may_go_at, self.clock) {
            return false;
        }
        loop {
            let endpoint = match self.policy.turn(self.clock.now()) {
                Turn::Send(endpoint) => endpoint,
                Turn::Wait(until) if self.stop.sleep_until(until, self.clock) => continue,
                Turn::Wait(_) => return false,
            };
            let Some(device) = self.device.current() else {
                // A batch of an earlier run, and nobody has said yet whose it is.
                if self.stop.sleep_until(self.clock.now().plus(PATIENCE), self.clock) {
                    continue;
                }
                return false;
            };
            self.pace.set_rate(device.flow_rate_max.map_or(0, u64::from));
            let outcome = self.send(endpoint, parcel, &device);
            if outcome != Outcome::Delivered && self.stop.is_over(self.clock.now()) {
                // The end may have interrupted the request: that is no fault of the receiver.
                return false;
            }
            match self.policy.next(endpoint, &outcome, self.clock.now(), Jitter::draw()) {
                Action::Acknowledge => {
                    self.counters.batches_delivered.add(1);
                    self.counters.delivered.add(u64::from(parcel.records));
                    self.counters.bytes_delivered.add(parcel.body.len() as u64);
                    self.report();
                    return true;
                }
                Action::GiveBack(_) => {
                    self.refused(parcel, &outcome);
                    self.report();
                    return true;
                }
                Action::LookUpDevice => self.look_up_device(),
                Action::TryAgain => {}
            }
            self.counters.attempts_failed.add(1);
            self.report();
        }
    }

    /// Waits for what the API says now, but not for ever.
    fn look_up_device(&self) {
        let now = self.clock.now();
        let before = self.device.hasten(now);
        let latest = now.plus(LOOK_UP_PATIENCE);
        while !self.device.has_answered_since(before) && self.clock.now() < latest {
            if !self.stop.sleep_until(self.clock.now().plus(LOOK_UP_NAP), self.clock) {
                return;
            }
        }
    }

    fn send(&self, endpoint: crate::EndpointId, parcel: &Parcel, device: &Device) -> Outcome {
        let batch =
            Batch { body: &parcel.body, encoding: parcel.encoding, records: u64::from(parcel.records) };
        let number = device.id.to_string();
        let name = BatchName {
            sensor: self.sensor.as_deref().unwrap_or(&number),
            epoch: parcel.epoch,
            sequence: parcel.sequence,
        };
        self.client.send(endpoint, &batch, &device.identity(), Some(&name))
    }

    fn refused(&self, parcel: &Parcel, outcome: &Outcome) {
        self.counters.batches_rejected.add(1);
        self.counters.rejected.add(u64::from(parcel.records));
        if let Outcome::Failed(trouble) = outcome {
            tracing::error!(%trouble, records = parcel.records, "the receiver refuses a batch for good");
        }
    }

    /// Says when delivery begins to fail and when it works again.
    fn report(&self) {
        let mut last = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.policy.standing();
        match (&*last, now) {
            (Standing::Failing { .. }, Standing::Delivering) => tracing::info!("delivery works again"),
            (Standing::Failing { trouble: before, .. }, Standing::Failing { trouble, .. })
                if before.cause == trouble.cause => {}
            (_, Standing::Failing { trouble, .. }) => {
                let url = self.client.url(self.policy.current());
                tracing::warn!(url, %trouble, "records are not delivered; they wait");
            }
            _ => {}
        }
        last.clone_from(now);
    }
}
