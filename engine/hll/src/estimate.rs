//! An estimate, how sure it is, and bounds for any confidence.

/// A number of distinct values as a sketch tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    value: f64,
    standard_error: f64,
    at_least: f64,
}

impl Estimate {
    /// `at_least` is what is certain, such as the number of values that the sketch can tell apart.
    pub(crate) fn new(value: f64, standard_error: f64, at_least: f64) -> Estimate {
        Estimate { value: value.max(at_least), standard_error, at_least }
    }

    /// The estimate. It is infinite if the sketch is full, which takes more values than can be counted.
    pub fn value(self) -> f64 {
        self.value
    }

    /// The nearest whole number.
    pub fn rounded(self) -> u64 {
        self.value.round() as u64
    }

    /// One standard deviation of the estimate.
    pub fn standard_error(self) -> f64 {
        self.standard_error
    }

    /// Lower and upper bound between which the true number lies with the probability `confidence`, the error
    /// being normally distributed. `confidence` is clamped to what a number can express between 0 and 1.
    pub fn bounds(self, confidence: f64) -> (f64, f64) {
        if !self.value.is_finite() {
            return (self.at_least, f64::INFINITY);
        }
        let spread = two_sided_quantile(confidence) * self.standard_error;
        ((self.value - spread).max(self.at_least), self.value + spread)
    }
}

/// The `z` for which a standard normal variable lies between -z and z with the probability `confidence`.
fn two_sided_quantile(confidence: f64) -> f64 {
    let confidence = if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0 - f64::EPSILON) };
    upper_quantile((1.0 - confidence) / 2.0)
}

/// The `z` that a standard normal variable exceeds with the probability `tail`, between 1e-17 and 0.5.
///
/// Bisection over the complementary error function: exact enough to be checked against tables, and bounds are
/// not asked for in a hot loop.
fn upper_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 9.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle) > tail { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The probability that a standard normal variable exceeds `z` ≥ 0.
fn upper_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if z < 3.0 {
        // 1/2 - φ(z) (z + z³/3 + z⁵/(3·5) + ...)
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= z * z / f64::from(2 * n + 1);
            sum += term;
        }
        return (0.5 - density * sum).max(0.0);
    }
    // φ(z) / (z + 1 / (z + 2 / (z + 3 / ...)))
    let fraction = (1..=60).rev().fold(z, |fraction, n| z + f64::from(n) / fraction);
    density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let tables = [
            (0.0, 0.0),
            (0.5, 0.674_489_750_196),
            (0.682_689_492_137, 1.0),
            (0.95, 1.959_963_984_540),
            (0.99, 2.575_829_303_549),
            (0.999, 3.290_526_731_492),
            (0.999_999, 4.891_638_475_699),
        ];
        for (confidence, quantile) in tables {
            let ours = two_sided_quantile(confidence);
            assert!((ours - quantile).abs() < 1e-9, "{confidence}: {ours}, not {quantile}");
        }
    }

    #[test]
    fn any_confidence_has_bounds_that_hold_the_estimate() {
        let estimate = Estimate::new(1e6, 1e4, 5000.0);
        for confidence in
            [-1.0, 0.0, 0.5, 0.95, 1.0 - 1e-16, 1.0, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        {
            let (low, high) = estimate.bounds(confidence);
            assert!((5000.0..=1e6).contains(&low), "{confidence}: {low}");
            assert!((1e6..1.2e6).contains(&high), "{confidence}: {high}");
        }
    }

    #[test]
    fn wider_bounds_come_with_more_confidence_and_never_below_what_is_certain() {
        let estimate = Estimate::new(100.0, 10.0, 95.0);
        assert!(estimate.bounds(0.99).1 > estimate.bounds(0.9).1);
        assert_eq!(estimate.bounds(0.99).0, 95.0);
        assert_eq!(Estimate::new(0.0, 0.0, 0.0).bounds(0.99), (0.0, 0.0));
    }
}
