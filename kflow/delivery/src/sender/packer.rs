//! The packing thread: takes the window, makes messages of it for the device, and puts them where they wait.

use super::{
    Shared,
    pack::Pack,
    stop::Stop,
    store::{Intake, NoRoom},
};
use crate::{Clock, clock::Moment, device::Device, window::Taken};
use std::{sync::Arc, time::Duration};

/// How long the packer waits for room before it tries again.
const ROOM_PATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Packer<P: Pack> {
    pub shared: Arc<Shared<P::Record>>,
    pub pack: P,
    pub intake: Intake,
    pub batch_records: usize,
    pub interval: Duration,
    pub stop: Arc<Stop>,
    pub clock: Clock,
}

impl<P: Pack> Packer<P> {
    /// Until the sender is stopped and the window is empty.
    pub fn run(mut self) {
        let mut spare = Vec::new();
        let mut known: Option<Arc<Device>> = None;
        let mut next_tick = self.clock.now().plus(self.interval);
        loop {
            let is_last_round = self.wait(known.as_deref(), next_tick);
            let now = self.clock.now();
            if now >= next_tick {
                next_tick = now.plus(self.interval);
                // What the disk did not take before.
                self.intake.commit();
            }
            if let Some(device) = self.shared.device.current() {
                if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &device)) {
                    self.pack.set_device(&device);
                    self.shared.fit_window(device.flow_rate_max, self.interval);
                    known = Some(device);
                }
                let mut taken = self.shared.take(spare);
                self.pack_all(&mut taken);
                spare = taken.records;
                spare.clear();
            }
            // Without a device records wait, and are thinned when they are too many, until it is known whose they are.
            if is_last_round {
                break;
            }
        }
        self.shared.abandon_window();
        self.intake.close();
    }

    /// Until there is something to do: enough records for a message, the end of the interval, or the stop. With a rate
    /// to keep, the window is what an interval may have, so it is taken at the end of it and not before.
    fn wait(&self, known: Option<&Device>, next_tick: Moment) -> bool {
        let is_limited = known.is_none_or(|device| device.flow_rate_max.is_some());
        let wanted = if is_limited { usize::MAX } else { self.batch_records };
        self.shared.wait(wanted, next_tick.since(self.clock.now()))
    }

    fn pack_all(&mut self, taken: &mut Taken<P::Record>) {
        self.shared.counters.factor_hundredths.set(u64::from(taken.factor_hundredths));
        for records in taken.records.chunks_mut(self.batch_records) {
            self.pack_batch(records, taken.factor_hundredths);
        }
    }

    /// Makes a batch of the records; of each half, if they are too much for one message.
    fn pack_batch(&mut self, records: &mut [P::Record], factor_hundredths: u32) {
        let encoding = self.pack.encoding();
        let count = records.len() as u64;
        let fate = match self.pack.pack(records, factor_hundredths) {
            Ok(body) => {
                let (intake, stop, clock) = (&mut self.intake, &self.stop, self.clock);
                let is_put = loop {
                    match intake.put(body, encoding, count as u32) {
                        Ok(()) => break true,
                        Err(NoRoom) if stop.is_over(clock.now()) => break false,
                        Err(NoRoom) => intake.wait_for_room(ROOM_PATIENCE),
                    }
                };
                if is_put { &self.shared.counters.packed } else { &self.shared.counters.abandoned }
            }
            Err(_) if records.len() > 1 => {
                let (one, other) = records.split_at_mut(records.len() / 2);
                self.pack_batch(one, factor_hundredths);
                self.pack_batch(other, factor_hundredths);
                return;
            }
            Err(error) => {
                tracing::error!(%error, "a record does not go into a message");
                &self.shared.counters.unpackable
            }
        };
        fate.add(count);
        self.shared.counters.in_window.subtract(count);
    }
}
