//! Against Apache DataSketches: the same registers from the same values, read and written by both.

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use hll::datasketches::{Hll, hash};
use hll::{Error, Precision, Sketch};
use proptest::prelude::*;

const TYPES: [HllType; 3] = [HllType::Hll4, HllType::Hll6, HllType::Hll8];

/// What DataSketches makes of the numbers from `from` on.
fn theirs(log_registers: u8, kind: HllType, from: u64, count: u64) -> HllSketch {
    let mut sketch = HllSketch::new(log_registers, kind).unwrap();
    for n in from..from + count {
        sketch.update(n);
    }
    sketch
}

/// What we make of them.
fn ours(precision: u8, from: u64, count: u64) -> Sketch {
    let mut sketch = Sketch::new(Precision::new(precision).unwrap());
    for n in from..from + count {
        sketch.add_hash(hash(&n.to_le_bytes()));
    }
    sketch
}

/// The registers that one value raises, from a sketch large enough to be sparse.
fn of_value(value: &[u8]) -> Hll {
    let mut sketch = Sketch::new(Precision::new(12).unwrap());
    sketch.add_hash(hash(value));
    Hll::from(&sketch)
}

proptest! {
    #[test]
    fn values_hash_to_the_registers_of_datasketches(value in prop::collection::vec(any::<u8>(), 1..70)) {
        let mut theirs = HllSketch::new(12, HllType::Hll8).unwrap();
        theirs.update(raw_bytes::from_slice(&value));
        prop_assert_eq!(of_value(&value), Hll::from_bytes(&theirs.serialize()).unwrap());
    }

    #[test]
    fn every_type_and_mode_is_read_alike(log_registers in 4..=13_u8, count in prop_oneof![0..40_u64, 0..20_000_u64]) {
        let read = TYPES.map(|kind| Hll::from_bytes(&theirs(log_registers, kind, 0, count).serialize()).unwrap());
        prop_assert_eq!(&read[0], &read[2]);
        prop_assert_eq!(&read[1], &read[2]);
        // Two bits more make our sketch large enough to be sparse, that is to know every register.
        if count <= 4096 {
            let mut exact = Hll::from(&ours(14, 0, count));
            exact.merge(&read[0]);
            prop_assert_eq!(&exact, &read[0]);
        }
    }

    #[test]
    fn merged_sketches_are_those_of_datasketches(
        logs in [4..=12_u8, 4..=12_u8], counts in [0..3000_u64, 0..3000_u64], kind in 0..3_usize,
    ) {
        let [a, b] = [0, 1].map(|n| theirs(logs[n], TYPES[kind], 1000 * n as u64, counts[n]));
        let mut union = HllUnion::new(logs[0].min(logs[1])).unwrap();
        union.update(&a);
        union.update(&b);
        let [mut a, b] = [a, b].map(|sketch| Hll::from_bytes(&sketch.serialize()).unwrap());
        a.merge(&b);
        prop_assert_eq!(a, Hll::from_bytes(&union.to_sketch(TYPES[kind]).serialize()).unwrap());
    }

    #[test]
    fn written_sketch_is_read_by_datasketches_and_comes_back(log_registers in 4..=13_u8, count in 0..20_000_u64) {
        let hll = Hll::from_bytes(&theirs(log_registers, HllType::Hll4, 0, count).serialize()).unwrap();
        let bytes = hll.to_bytes();
        prop_assert_eq!(&Hll::from_bytes(&bytes).unwrap(), &hll);
        let read = HllSketch::deserialize(&bytes).unwrap();
        prop_assert_eq!(read.lg_config_k(), log_registers);
        prop_assert_eq!(&read.serialize(), &bytes);
        // Two good estimators of the same registers differ by less than either errs.
        let (ours, theirs) = (hll.estimate(), read.estimate());
        let error = 1.04 / f64::from(1 << log_registers).sqrt();
        prop_assert!((ours.value() - theirs).abs() <= theirs * error + 0.5, "{} and {theirs}", ours.value());
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200), preamble in 2..=10_u8, log in 3..8_u8, mode in 0..12_u8,
    ) {
        let mut bytes = bytes;
        let _ = Hll::from_bytes(&bytes);
        for (at, value) in [(0, preamble), (1, 1), (2, 7), (3, log), (7, mode)] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(hll) = Hll::from_bytes(&bytes) {
            prop_assert_eq!(&Hll::from_bytes(&hll.to_bytes()).unwrap(), &hll);
            prop_assert!(hll.estimate().value() >= 0.0);
        }
    }
}

#[test]
fn exported_dense_sketch_errs_as_an_hll_sketch_does() {
    const TRIALS: u64 = 300;
    for count in [600_u64, 2000, 10_000] {
        let (mut bias, mut square) = (0.0_f64, 0.0_f64);
        for trial in 0..TRIALS {
            let exported = Hll::from(&ours(9, trial << 32, count)).to_bytes();
            let error = HllSketch::deserialize(&exported).unwrap().estimate() / count as f64 - 1.0;
            bias += error / TRIALS as f64;
            square += error * error / TRIALS as f64;
        }
        let rmse = square.sqrt();
        let theory = 1.04 / 512_f64.sqrt();
        // Three hundred trials know the error to one part in 25, and the bias to 1/17 of it.
        assert!(
            rmse < theory * 1.13 && bias.abs() < theory * 0.2,
            "{count}: bias {bias:.4}, rmse {rmse:.4} of {theory:.4}"
        );
    }
}

#[test]
fn most_registers_of_a_dense_sketch_are_those_of_datasketches() {
    let theirs = Hll::from_bytes(&theirs(12, HllType::Hll8, 0, 50_000).serialize()).unwrap().to_bytes();
    let ours = Hll::from(&ours(12, 0, 50_000)).to_bytes();
    let differ = ours[40..].iter().zip(&theirs[40..]).filter(|(ours, theirs)| ours != theirs).count();
    assert!(differ < 4096 / 25, "{differ} of 4096 registers differ");
}

#[test]
fn other_bytes_are_refused_with_a_reason() {
    let good = theirs(10, HllType::Hll8, 0, 5000).serialize();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Hll::from_bytes(&bytes)
    };
    for (at, value) in [(0, 3), (1, 2), (2, 8), (3, 22), (3, 3), (7, 3), (7, 14), (40, 64)] {
        assert!(matches!(with(at, value), Err(Error::DataSketches(_))), "byte {at} = {value}");
    }
    assert!(Hll::from_bytes(&good[..good.len() - 1]).is_err());
    assert!(Hll::from_bytes(&[]).is_err());
}
