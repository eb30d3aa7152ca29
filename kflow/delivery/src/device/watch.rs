//! When to look the device up again, and what has changed when that was done. No clock, no network: time, random
//! numbers and answers come in as values.
//!
//! Whatever the API says or does not say, what was known last stays in use.

use super::Device;
use crate::clock::{Jitter, Moment};
use crate::outcome::{Remedy, Trouble};
use std::time::Duration;

/// How often the portal is asked for changes.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(20 * 60);

/// Wait after the first look-up that fails; each further one doubles it, up to the interval.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// A device and how far what is known of it can be trusted.
#[derive(Clone, Debug)]
pub struct DeviceWatch {
    device: Option<Device>,
    standing: DeviceStanding,
    due: Option<Moment>,
    /// Look-ups in a row that failed.
    failures: u32,
}

/// Where the knowledge of the device comes from, for the status page and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceStanding {
    /// The configuration says all; the API is not asked.
    Fixed,
    /// The API was not asked yet; a device that is known was remembered from another time.
    Remembered,
    /// As the API said last.
    Current,
    /// The API does not answer as it should since this moment; the device is as it was known before, if it was.
    Stale { since: Moment, trouble: Trouble },
    /// The API does not know the device any more, or never did; what was known stays in use.
    Gone { since: Moment, text: String },
}

/// What is different from before. All false when nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Number, company or name: requests have to say them.
    pub identity: bool,
    pub sample_rate: bool,
    pub flow_rate_max: bool,
    pub columns: bool,
}

impl Changes {
    /// Everything is new where nothing was known before.
    pub fn between(known: Option<&Device>, now: &Device) -> Changes {
        let Some(known) = known else {
            return Changes { identity: true, sample_rate: true, flow_rate_max: true, columns: true };
        };
        Changes {
            identity: known.identity() != now.identity(),
            sample_rate: known.sample_rate != now.sample_rate,
            flow_rate_max: known.flow_rate_max != now.flow_rate_max,
            columns: known.columns != now.columns,
        }
    }

    pub fn any(self) -> bool {
        self != Changes::default()
    }
}

impl DeviceWatch {
    /// A device that is never looked up.
    pub fn fixed(device: Device) -> DeviceWatch {
        DeviceWatch { device: Some(device), standing: DeviceStanding::Fixed, due: None, failures: 0 }
    }

    /// A device that is looked up at once; `remembered` is in use until there is an answer.
    pub fn looking(remembered: Option<Device>) -> DeviceWatch {
        let standing = DeviceStanding::Remembered;
        DeviceWatch { device: remembered, standing, due: Some(Moment(0)), failures: 0 }
    }

    /// What is known of the device; nothing can be sent before that.
    pub fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    pub fn standing(&self) -> &DeviceStanding {
        &self.standing
    }

    /// When to look the device up; never if none.
    pub fn due(&self) -> Option<Moment> {
        self.due
    }

    /// A receiver does not know the device: look it up now, whatever the time.
    pub fn hasten(&mut self, now: Moment) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// Takes the answer of a look-up, and says what is different now.
    pub fn take(&mut self, answer: Result<Device, Trouble>, now: Moment, jitter: Jitter) -> Changes {
        let trouble = match answer {
            Ok(device) => {
                let changes = Changes::between(self.device.as_ref(), &device);
                self.device = Some(device);
                self.standing = DeviceStanding::Current;
                self.failures = 0;
                // Up to a tenth later, so that sensors that started together part.
                self.schedule(now, REFRESH_INTERVAL + jitter.part_of(REFRESH_INTERVAL / 10));
                return changes;
            }
            Err(trouble) => trouble,
        };
        let doubled = RETRY_DELAY.saturating_mul(1 << self.failures.min(20)).min(REFRESH_INTERVAL);
        self.failures = self.failures.saturating_add(1);
        let asked = trouble.retry_after.map_or(Duration::ZERO, |after| after.delay(now));
        let delay = doubled / 2 + jitter.part_of(doubled / 2);
        self.schedule(now, delay.max(asked.min(REFRESH_INTERVAL)));
        let since = match self.standing {
            DeviceStanding::Stale { since, .. } | DeviceStanding::Gone { since, .. } => since,
            _ => now,
        };
        self.standing = if trouble.remedy() == Remedy::LookUpDevice {
            DeviceStanding::Gone { since, text: trouble.text }
        } else {
            DeviceStanding::Stale { since, trouble }
        };
        Changes::default()
    }

    fn schedule(&mut self, now: Moment, delay: Duration) {
        if self.due.is_some() {
            self.due = Some(now.plus(delay));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Column;
    use crate::outcome::{Cause, RetryAfter};

    const NOW: Moment = Moment(1 << 60);

    fn device() -> Device {
        Device {
            id: 42,
            company_id: 7,
            name: "sensor".into(),
            sample_rate: 1,
            flow_rate_max: Some(4000),
            columns: vec![Column { id: 2887, name: "STR00".into(), kind: "string".into() }],
        }
    }

    fn failed(cause: Cause) -> Result<Device, Trouble> {
        Err(Trouble { cause, text: "why".into(), retry_after: None })
    }

    fn wait(watch: &DeviceWatch) -> Duration {
        watch.due().unwrap().since(NOW)
    }

    #[test]
    fn the_first_answer_changes_everything_and_the_same_again_nothing() {
        let mut watch = DeviceWatch::looking(None);
        assert!(watch.due().unwrap() <= NOW);
        let changes = watch.take(Ok(device()), NOW, Jitter(0));
        assert_eq!(
            changes,
            Changes { identity: true, sample_rate: true, flow_rate_max: true, columns: true }
        );
        assert_eq!(wait(&watch), REFRESH_INTERVAL);
        let changes = watch.take(Ok(device()), NOW, Jitter(u64::MAX));
        assert!(!changes.any());
        assert!(
            wait(&watch) > REFRESH_INTERVAL && wait(&watch) < REFRESH_INTERVAL + Duration::from_secs(121)
        );
        assert_eq!(watch.standing(), &DeviceStanding::Current);
    }

    #[test]
    fn each_change_is_told_apart() {
        let nothing = Changes::default();
        let change = |change: fn(&mut Device)| {
            let mut watch = DeviceWatch::looking(Some(device()));
            let mut changed = device();
            change(&mut changed);
            let changes = watch.take(Ok(changed.clone()), NOW, Jitter(0));
            assert_eq!(watch.device(), Some(&changed));
            changes
        };
        assert_eq!(change(|device| device.sample_rate = 16), Changes { sample_rate: true, ..nothing });
        assert_eq!(change(|device| device.flow_rate_max = None), Changes { flow_rate_max: true, ..nothing });
        assert_eq!(change(|device| device.columns.clear()), Changes { columns: true, ..nothing });
        assert_eq!(change(|device| device.columns[0].id = 1), Changes { columns: true, ..nothing });
        assert_eq!(change(|device| device.id = 43), Changes { identity: true, ..nothing });
        assert_eq!(change(|device| device.name = "other".into()), Changes { identity: true, ..nothing });
    }

    #[test]
    fn a_device_that_is_gone_stays_in_use_as_it_was_known() {
        let mut watch = DeviceWatch::looking(Some(device()));
        assert!(!watch.take(failed(Cause::Status(404)), NOW, Jitter(0)).any());
        assert_eq!(watch.device(), Some(&device()));
        assert_eq!(watch.standing(), &DeviceStanding::Gone { since: NOW, text: "why".into() });
    }

    #[test]
    fn an_api_that_fails_is_asked_again_after_growing_waits() {
        let mut watch = DeviceWatch::looking(Some(device()));
        let mut waits = Vec::new();
        for _ in 0..10 {
            watch.take(failed(Cause::Connect), NOW, Jitter(u64::MAX));
            waits.push(wait(&watch).as_secs_f64().round() as u64);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1200, 1200]);
        assert!(matches!(watch.standing(), DeviceStanding::Stale { since: NOW, .. }));
        assert_eq!(watch.device(), Some(&device()));
        watch.take(Ok(device()), NOW, Jitter(0));
        watch.take(failed(Cause::Connect), NOW, Jitter(0));
        assert_eq!(wait(&watch), RETRY_DELAY / 2);
    }

    #[test]
    fn retry_after_is_heeded_up_to_the_interval() {
        for (seconds, expected) in [(60, 60), (86_400, 1200)] {
            let mut watch = DeviceWatch::looking(None);
            let retry_after = Some(RetryAfter::Delay(Duration::from_secs(seconds)));
            let trouble = Trouble { cause: Cause::Status(429), text: String::new(), retry_after };
            watch.take(Err(trouble), NOW, Jitter(0));
            assert_eq!(wait(&watch), Duration::from_secs(expected));
            assert_eq!(watch.device(), None);
        }
    }

    #[test]
    fn a_receiver_that_does_not_know_the_device_hastens_the_look_up() {
        let mut watch = DeviceWatch::looking(None);
        watch.take(Ok(device()), NOW, Jitter(0));
        watch.hasten(NOW);
        assert_eq!(watch.due(), Some(NOW));
    }

    #[test]
    fn a_fixed_device_is_never_looked_up() {
        let mut watch = DeviceWatch::fixed(device());
        watch.hasten(NOW);
        assert_eq!((watch.due(), watch.standing()), (None, &DeviceStanding::Fixed));
        assert_eq!(watch.device(), Some(&device()));
    }
}
