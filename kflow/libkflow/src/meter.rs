//! Rates as load averages are made: each tick moves a rate towards what the last five seconds had, so that it follows the last
//! minute or the last five.

use std::time::Duration;

use kflow_delivery::sender::Counters;

/// Time between ticks.
pub const TICK: Duration = Duration::from_secs(5);

/// What a sender has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Flows that were handed over.
    pub flows_in: u64,
    /// Flows that were delivered.
    pub flows_out: u64,
    /// Flows that were thinned out.
    pub flows_dropped: u64,
    /// Bytes of messages that were delivered, as sent.
    pub bytes_out: u64,
}

impl Counts {
    pub fn of(counters: &Counters) -> Counts {
        Counts {
            flows_in: counters.offered.read(),
            flows_out: counters.delivered.read(),
            flows_dropped: counters.thinned.read(),
            bytes_out: counters.bytes_delivered.read(),
        }
    }
}

/// One count and its rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    pub count: u64,
    /// Per second, over a minute and over five.
    pub per_second_1m: f64,
    pub per_second_5m: f64,
    has_ticked: bool,
}

/// The meters of a sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meters {
    pub flows_in: Meter,
    pub flows_out: Meter,
    pub flows_dropped: Meter,
    pub bytes_out: Meter,
}

impl Meter {
    /// Takes the count as it is one tick after the last.
    fn tick(&mut self, count: u64) {
        let now = count.saturating_sub(self.count) as f64 / TICK.as_secs_f64();
        let follow = |rate: f64, minutes: f64| {
            let weight = 1.0 - (-TICK.as_secs_f64() / 60.0 / minutes).exp();
            if self.has_ticked { rate + weight * (now - rate) } else { now }
        };
        self.per_second_1m = follow(self.per_second_1m, 1.0);
        self.per_second_5m = follow(self.per_second_5m, 5.0);
        self.count = count;
        self.has_ticked = true;
    }
}

impl Meters {
    /// Takes the counts as they are one tick after the last.
    pub fn tick(&mut self, counts: &Counts) {
        self.flows_in.tick(counts.flows_in);
        self.flows_out.tick(counts.flows_out);
        self.flows_dropped.tick(counts.flows_dropped);
        self.bytes_out.tick(counts.bytes_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_told_at_once_and_stays() {
        let mut meter = Meter::default();
        for tick in 1..=100 {
            meter.tick(tick * 50);
            assert!((meter.per_second_1m - 10.0).abs() < 1e-9 && (meter.per_second_5m - 10.0).abs() < 1e-9);
        }
        assert_eq!(meter.count, 5000);
    }

    #[test]
    fn a_rate_that_ends_fades_to_a_third_in_its_time() {
        let mut meter = Meter::default();
        meter.tick(50);
        for _ in 0..12 {
            meter.tick(50);
        }
        assert!((meter.per_second_1m - 10.0 / std::f64::consts::E).abs() < 1e-9, "{meter:?}");
        for _ in 12..60 {
            meter.tick(50);
        }
        assert!((meter.per_second_5m - 10.0 / std::f64::consts::E).abs() < 1e-9, "{meter:?}");
    }
}
