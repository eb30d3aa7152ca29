//! The libraries that are measured, behind one interface.
//!
//! All but DataSketches take hashes as they are; DataSketches hashes each of them again, with MurmurHash3.

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hasher};

use cardinality_estimator::CardinalityEstimator;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use hll::{Precision, Sketch};
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use ultraloglog::UltraLogLog;

/// A sketch with 2^`precision` registers of about a byte, or as many bytes.
pub trait Peer: Sized {
    const NAME: &'static str;

    fn new(precision: u8) -> Self;
    fn copy(&self) -> Self;
    fn add(&mut self, hash: u64);
    /// The fastest way to add many.
    fn add_all(&mut self, hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.add(*hash));
    }
    fn merge(&mut self, other: &Self);
    fn estimate(&mut self) -> f64;
    /// The serial form, if it has one of its own.
    fn serialised(&self) -> Option<Vec<u8>> {
        None
    }
    /// Bytes of memory, where there is no serial form.
    fn memory_bytes(&self) -> Option<usize> {
        None
    }
}

impl Peer for Sketch {
    const NAME: &'static str = "hll";

    fn new(precision: u8) -> Sketch {
        Sketch::new(Precision::new(precision).expect("a precision in range"))
    }

    fn copy(&self) -> Sketch {
        self.clone()
    }

    fn add(&mut self, hash: u64) {
        self.add_hash(hash);
    }

    fn add_all(&mut self, hashes: &[u64]) {
        self.add_hashes(hashes);
    }

    fn merge(&mut self, other: &Sketch) {
        Sketch::merge(self, other);
    }

    fn estimate(&mut self) -> f64 {
        Sketch::estimate(self).value()
    }

    fn serialised(&self) -> Option<Vec<u8>> {
        Some(self.to_bytes())
    }
}

/// A union takes values as well, so that one type does all.
pub struct DataSketches {
    union: HllUnion,
    sketch: Option<HllSketch>,
    precision: u8,
}

impl DataSketches {
    fn sketch(&mut self) -> &mut HllSketch {
        self.sketch.get_or_insert_with(|| new_sketch(self.precision))
    }
}

fn new_sketch(precision: u8) -> HllSketch {
    HllSketch::new(precision, HllType::Hll8).expect("a precision in range")
}

impl Peer for DataSketches {
    const NAME: &'static str = "datasketches";

    fn new(precision: u8) -> DataSketches {
        let union = HllUnion::new(precision).expect("a precision in range");
        DataSketches { union, sketch: None, precision }
    }

    fn copy(&self) -> DataSketches {
        let mut copy = DataSketches::new(self.precision);
        copy.sketch.clone_from(&self.sketch);
        copy
    }

    fn add(&mut self, hash: u64) {
        self.sketch().update(hash);
    }

    fn merge(&mut self, other: &DataSketches) {
        if let Some(own) = self.sketch.take() {
            self.union.update(&own);
        }
        if let Some(sketch) = &other.sketch {
            self.union.update(sketch);
        }
    }

    fn estimate(&mut self) -> f64 {
        match &self.sketch {
            Some(sketch) => sketch.estimate(),
            None => self.union.estimate(),
        }
    }

    fn serialised(&self) -> Option<Vec<u8>> {
        let merged = || self.union.to_sketch(HllType::Hll8).serialize();
        Some(self.sketch.as_ref().map_or_else(merged, HllSketch::serialize))
    }
}

/// Its precision is part of its type.
pub enum Cloudflare {
    P12(CardinalityEstimator<u64, DefaultHasher, 12>),
    P14(CardinalityEstimator<u64, DefaultHasher, 14>),
}

impl Peer for Cloudflare {
    const NAME: &'static str = "cardinality-estimator";

    fn new(precision: u8) -> Cloudflare {
        match precision {
            12 => Cloudflare::P12(CardinalityEstimator::new()),
            14 => Cloudflare::P14(CardinalityEstimator::new()),
            other => panic!("precision {other} is not measured"),
        }
    }

    fn copy(&self) -> Cloudflare {
        match self {
            Cloudflare::P12(sketch) => Cloudflare::P12(sketch.clone()),
            Cloudflare::P14(sketch) => Cloudflare::P14(sketch.clone()),
        }
    }

    fn add(&mut self, hash: u64) {
        match self {
            Cloudflare::P12(sketch) => sketch.insert_hash(hash),
            Cloudflare::P14(sketch) => sketch.insert_hash(hash),
        }
    }

    fn add_all(&mut self, hashes: &[u64]) {
        match self {
            Cloudflare::P12(sketch) => hashes.iter().for_each(|hash| sketch.insert_hash(*hash)),
            Cloudflare::P14(sketch) => hashes.iter().for_each(|hash| sketch.insert_hash(*hash)),
        }
    }

    fn merge(&mut self, other: &Cloudflare) {
        match (self, other) {
            (Cloudflare::P12(sketch), Cloudflare::P12(other)) => sketch.merge(other),
            (Cloudflare::P14(sketch), Cloudflare::P14(other)) => sketch.merge(other),
            _ => panic!("sketches of one precision are merged"),
        }
    }

    fn estimate(&mut self) -> f64 {
        match self {
            Cloudflare::P12(sketch) => sketch.estimate() as f64,
            Cloudflare::P14(sketch) => sketch.estimate() as f64,
        }
    }

    fn memory_bytes(&self) -> Option<usize> {
        Some(match self {
            Cloudflare::P12(sketch) => sketch.size_of(),
            Cloudflare::P14(sketch) => sketch.size_of(),
        })
    }
}

impl Peer for UltraLogLog {
    const NAME: &'static str = "ultraloglog";

    fn new(precision: u8) -> UltraLogLog {
        UltraLogLog::new(precision.into()).expect("a precision in range")
    }

    fn copy(&self) -> UltraLogLog {
        UltraLogLog::copy(self)
    }

    fn add(&mut self, hash: u64) {
        UltraLogLog::add(self, hash);
    }

    fn merge(&mut self, other: &UltraLogLog) {
        self.add_sketch(other).expect("both have one precision");
    }

    fn estimate(&mut self) -> f64 {
        self.get_distinct_count_estimate()
    }

    fn serialised(&self) -> Option<Vec<u8>> {
        Some(self.get_state().to_vec())
    }
}

pub type PlusPlus = HyperLogLogPlus<u64, BuildHasherDefault<Identity>>;

impl Peer for PlusPlus {
    const NAME: &'static str = "hyperloglogplus";

    fn new(precision: u8) -> PlusPlus {
        HyperLogLogPlus::new(precision, BuildHasherDefault::default()).expect("a precision in range")
    }

    fn copy(&self) -> PlusPlus {
        self.clone()
    }

    fn add(&mut self, hash: u64) {
        self.insert(&hash);
    }

    fn merge(&mut self, other: &PlusPlus) {
        HyperLogLogPlus::merge(self, other).expect("both have one precision");
    }

    fn estimate(&mut self) -> f64 {
        self.count()
    }
}

/// Takes a number for its own hash.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
