//! Minutes: the grain of slices.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A minute: how many since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minute(pub i64);

pub const MS: i64 = 60_000;

impl Minute {
    pub fn of_ms(ms: i64) -> Minute {
        Minute(ms.div_euclid(MS))
    }

    pub fn start_ms(self) -> i64 {
        self.0.saturating_mul(MS)
    }

    pub fn end_ms(self) -> i64 {
        self.0.saturating_add(1).saturating_mul(MS)
    }

    /// The first minute of the hour that it is in.
    pub fn hour(self) -> Minute {
        Minute(self.0.div_euclid(60) * 60)
    }
}

/// Times that a query asks for, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub from_ms: i64,
    /// Exclusive.
    pub until_ms: i64,
}

impl Span {
    pub const ALL: Span = Span { from_ms: i64::MIN, until_ms: i64::MAX };

    pub fn is_empty(self) -> bool {
        self.from_ms >= self.until_ms
    }

    pub fn intersect(self, other: Span) -> Span {
        Span { from_ms: self.from_ms.max(other.from_ms), until_ms: self.until_ms.min(other.until_ms) }
    }

    pub fn touches(self, other: Span) -> bool {
        !self.intersect(other).is_empty()
    }

    /// Whether all of the other is in it.
    pub fn covers(self, other: Span) -> bool {
        self.from_ms <= other.from_ms && other.until_ms <= self.until_ms
    }

    /// The minutes that it touches.
    pub fn minutes(self) -> Range<Minute> {
        let end = self.until_ms.saturating_add(MS - 1).div_euclid(MS);
        Minute::of_ms(self.from_ms)..Minute(end)
    }
}
