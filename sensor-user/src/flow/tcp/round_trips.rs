//! Round trips: from data to its ACK.

use crate::flow::microseconds;
use kflow::TcpDirection;

/// Round-trip samples of a span, microseconds.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrips {
    sum_us: u64,
    min_us: u32,
    max_us: u32,
    last_us: u32,
    samples: u32,
    /// Sixteen times the smoothed difference between successive samples.
    jitter_16_us: u32,
}

impl RoundTrips {
    pub const NONE: RoundTrips =
        RoundTrips { sum_us: 0, min_us: 0, max_us: 0, last_us: 0, samples: 0, jitter_16_us: 0 };

    #[inline]
    pub fn add(&mut self, elapsed_ns: u64) {
        let sample_us = microseconds(elapsed_ns);
        if self.samples == 0 {
            self.min_us = sample_us;
        } else {
            // RFC 3550 §6.4.1 and appendix A.8.
            let difference_us = sample_us.abs_diff(self.last_us);
            let decay_us = self.jitter_16_us.saturating_add(8) >> 4;
            self.jitter_16_us = self.jitter_16_us.saturating_sub(decay_us).saturating_add(difference_us);
        }
        self.min_us = self.min_us.min(sample_us);
        self.max_us = self.max_us.max(sample_us);
        self.last_us = sample_us;
        self.samples = self.samples.saturating_add(1);
        self.sum_us = self.sum_us.saturating_add(u64::from(sample_us));
    }

    /// For the record.
    pub fn fill(&self, direction: &mut TcpDirection) {
        let sampled = |value_us| (self.samples > 0).then_some(value_us);
        direction.rtt_min_us = sampled(self.min_us);
        // A mean of 32-bit numbers fits.
        direction.rtt_mean_us = self.sum_us.checked_div(u64::from(self.samples)).map(|mean| mean as u32);
        direction.rtt_max_us = sampled(self.max_us);
        direction.rtt_jitter_us = (self.samples > 1).then_some(self.jitter_16_us >> 4);
        direction.rtt_samples = self.samples;
    }
}
