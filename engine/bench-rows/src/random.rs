//! Random numbers that are the same everywhere: SplitMix64, whose output is a hash of a counter.

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The Zipf distribution of ranks below `ranks`, by the inverse of its continuous distribution function.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    ranks: u32,
    exponent: f64,
    /// (ranks + 1)^(1 - exponent); its logarithm if the exponent is 1.
    end: f64,
}

impl Random {
    /// The sequence of a seed and a stream.
    pub fn of(seed: u64, stream: u64) -> Random {
        Random(mix(mix(seed) ^ stream))
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `end`, which is far below 2^32.
    pub fn below(&mut self, end: u64) -> u64 {
        ((self.number() >> 32) * end) >> 32
    }

    /// From the normal distribution of mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn rank(&mut self, zipf: Zipf) -> u32 {
        let unit = self.unit();
        let value = if zipf.exponent == 1.0 {
            (unit * zipf.end).exp()
        } else {
            (unit * (zipf.end - 1.0) + 1.0).powf(1.0 / (1.0 - zipf.exponent))
        };
        (value as u32).clamp(1, zipf.ranks) - 1
    }
}

impl Zipf {
    pub fn new(ranks: u32, exponent: f64) -> Zipf {
        let end = f64::from(ranks) + 1.0;
        let end = if exponent == 1.0 { end.ln() } else { end.powf(1.0 - exponent) };
        Zipf { ranks, exponent, end }
    }
}

/// The finish of SplitMix64: a bijection that scatters.
pub fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}
