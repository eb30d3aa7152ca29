//! What holds for every set of values: the state of a sketch depends on the precision and the set alone.

use hll::{Error, Precision, Sketch, SketchRef, hash};
use proptest::collection::vec;
use proptest::prelude::*;

/// Hashes of many kinds: few or many, of any level, from few positions or all.
fn hashes() -> impl Strategy<Value = Vec<u64>> {
    let many = (any::<u32>(), prop_oneof![0..40_u64, 0..3000_u64])
        .prop_map(|(seed, count)| (0..count).map(|n| hash::of_u64(u64::from(seed) << 32 | n)).collect());
    let rare = vec((any::<u64>(), 0..64_u32, 0..64_u32), 0..100).prop_map(|parts| {
        parts.into_iter().map(|(hash, zeros, bits)| hash << zeros & !(u64::MAX << bits)).collect()
    });
    prop_oneof![3 => many, 1 => rare]
}

fn precision() -> impl Strategy<Value = Precision> {
    (4..=13_u8).prop_map(|bits| Precision::new(bits).unwrap())
}

fn sketch(precision: Precision, hashes: &[u64]) -> Sketch {
    let mut sketch = Sketch::new(precision);
    for hash in hashes {
        sketch.add_hash(*hash);
    }
    sketch
}

/// The merged sketch, in one of the ways to merge.
fn merged(a: &Sketch, b: &Sketch, is_serialised: bool) -> Sketch {
    let mut merged = a.clone();
    if is_serialised {
        merged.merge_bytes(&b.to_bytes()).unwrap();
    } else {
        merged.merge(b);
    }
    merged
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(precision in precision(), hashes in hashes(), turn: prop::sample::Index) {
        let mut turned = hashes.clone();
        turned.rotate_left(turn.index(hashes.len().max(1)));
        turned.extend_from_within(..hashes.len() / 2);
        let (a, b) = (sketch(precision, &hashes), sketch(precision, &turned));
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(a.to_bytes(), b.to_bytes());
        prop_assert_eq!(a.estimate(), b.estimate());
    }

    #[test]
    fn batches_are_single_values_however_they_are_split(
        precision in precision(), hashes in hashes(), split: prop::sample::Index,
    ) {
        let one_by_one = sketch(precision, &hashes);
        let (front, back) = hashes.split_at(split.index(hashes.len() + 1));
        let mut batches = Sketch::new(precision);
        batches.add_hashes(front);
        batches.add_hashes(back);
        prop_assert_eq!(batches, one_by_one);
    }

    #[test]
    fn merged_sketches_are_the_sketch_of_the_union(
        precision in precision(), a in hashes(), b in hashes(), is_serialised: bool,
    ) {
        let union = sketch(precision, &[&a[..], &b[..]].concat());
        prop_assert_eq!(merged(&sketch(precision, &a), &sketch(precision, &b), is_serialised), union);
    }

    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        precisions in [precision(), precision(), precision()], sets in [hashes(), hashes(), hashes()], how: [bool; 2],
    ) {
        let [a, b, c] = [0, 1, 2].map(|n| sketch(precisions[n], &sets[n]));
        let merge = |a: &Sketch, b: &Sketch| merged(a, b, how[0]);
        prop_assert_eq!(merge(&a, &b), merged(&b, &a, how[1]));
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merged(&b, &c, how[1])));
        prop_assert_eq!(merge(&a, &a), a.clone());
        prop_assert_eq!(merge(&merge(&a, &b), &b), merge(&a, &b));
    }

    #[test]
    fn lower_precision_is_as_if_it_had_been_the_lower_one_from_the_start(
        high in precision(), low in precision(), hashes in hashes(),
    ) {
        let mut reduced = sketch(high, &hashes);
        reduced.reduce(low);
        prop_assert_eq!(reduced, sketch(high.min(low), &hashes));
    }

    #[test]
    fn serialised_sketch_comes_back_and_reads_the_same(precision in precision(), hashes in hashes()) {
        let sketch = sketch(precision, &hashes);
        let bytes = sketch.to_bytes();
        let view = SketchRef::new(&bytes).unwrap();
        prop_assert_eq!(view.estimate(), sketch.estimate());
        prop_assert_eq!(view.is_empty(), hashes.is_empty());
        prop_assert_eq!(view.serialised_bytes(), bytes.len());
        let mut again = Sketch::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&again, &sketch);
        prop_assert_eq!(again.to_bytes(), bytes);
        again.add_hashes(&hashes);
        prop_assert_eq!(again, sketch);
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(bytes in vec(any::<u8>(), 0..200), precision in 4..=6_u8, dense: bool) {
        let mut bytes = bytes;
        read(&bytes);
        // The same behind a good header.
        let header = [b'H', b'L', 1, precision | u8::from(dense) << 7];
        for (byte, good) in bytes.iter_mut().zip(header) {
            *byte = good;
        }
        read(&bytes);
    }

    #[test]
    fn damaged_sketch_is_another_sketch_or_an_error(
        precision in precision(), hashes in hashes(), at: prop::sample::Index, bit in 0..8_u32, cut: bool,
    ) {
        let mut bytes = sketch(precision, &hashes).to_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert!(SketchRef::new(&bytes).is_err());
        } else {
            bytes[at] ^= 1_u8 << bit;
            read(&bytes);
        }
    }
}

/// Reads bytes that may be bad, and if they are good uses them in every way.
fn read(bytes: &[u8]) {
    let Ok(view) = SketchRef::new(bytes) else { return };
    let sketch = Sketch::from(view);
    assert_eq!(sketch.to_bytes(), bytes, "a form that is read is the form that is written");
    let estimate = view.estimate();
    assert!(estimate.value() >= 0.0);
    let (low, high) = estimate.bounds(0.99);
    assert!(low <= estimate.value() && estimate.value() <= high);
    assert_eq!(merged(&sketch, &sketch, true), sketch);
}

#[test]
fn errors_say_what_is_wrong() {
    let precision = Precision::new(10).unwrap();
    let small = sketch(precision, &[1, 2, 3]).to_bytes();
    let large = sketch(precision, &(0..1000).map(hash::of_u64).collect::<Vec<_>>()).to_bytes();
    let changed = |bytes: &[u8], at: usize, to: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = to;
        SketchRef::new(&bytes).map(|_| ()).unwrap_err()
    };
    assert_eq!(SketchRef::new(&small[..7]).unwrap_err(), Error::NotASketch);
    assert_eq!(changed(&small, 0, b'X'), Error::NotASketch);
    assert_eq!(changed(&small, 2, 2), Error::Version(2));
    assert_eq!(changed(&small, 3, 19), Error::Precision(19));
    assert_eq!(changed(&small, 3, 20 | 0x80), Error::Precision(20));
    assert!(matches!(changed(&small, 5, 2), Error::Corrupt(_)), "513 tokens are too many for precision 10");
    assert!(matches!(changed(&small, 4, 4), Error::Corrupt(_)), "there are three tokens");
    assert!(matches!(changed(&large, 4, 1), Error::Corrupt(_)), "a dense sketch has no number of tokens");
    assert!(matches!(changed(&large, 11, 0xff), Error::Corrupt(_)), "no register has such a largest value");
    assert_eq!(changed(&large, 3, 11 | 0x80), Error::Length);
    assert_eq!(SketchRef::new(&large[..large.len() - 1]).unwrap_err(), Error::Length);
}

#[test]
fn every_way_to_add_a_number_adds_the_same_value() {
    let precision = Precision::new(12).unwrap();
    for value in [0_u64, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
        let mut ways: [Sketch; 4] = std::array::from_fn(|_| Sketch::new(precision));
        ways[0].add_u64(value);
        ways[1].add(&value.to_le_bytes());
        ways[2].add_hash(hash::of_u64(value));
        ways[3].add_u64s(&[value]);
        assert!(ways.iter().all(|sketch| *sketch == ways[0]));
    }
    let mut address = Sketch::new(precision);
    address.add_u128(1 << 100);
    address.add(&(1_u128 << 100).to_le_bytes());
    assert_eq!(address.estimate().rounded(), 1);
}

#[test]
fn serial_form_is_the_documented_one() {
    let precision = Precision::new(4).unwrap();
    let hash =
        |position: u64, level: u32| position << 42 | 1_u64.checked_shl(level).unwrap() & ((1 << 42) - 1);
    let sparse = sketch(precision, &[hash(5, 0), hash((1 << 20) + 1, 3)]);
    // k = 21: "1", 21 bits of 5, "1"; then the distance 2^20 - 4 likewise, and "0001".
    let bits: u64 = 1 | 5 << 1 | 1 << 22 | 1 << 23 | ((1 << 20) - 4) << 24 | 8 << 45;
    let mut expected = vec![b'H', b'L', 1, 4, 2, 0, 0, 0];
    expected.extend_from_slice(&bits.to_le_bytes()[..7]);
    assert_eq!(sparse.to_bytes(), expected);

    // Five values, one more than a sparse sketch holds: in register 1 the values 1, 2 and 9, in register 3
    // the value 172 and the value 170.
    let hashes = [hash(4, 0), hash(5, 0), hash(4, 2), hash(15, 42), hash(13, 42)];
    let mut expected = vec![b'H', b'L', 1, 4 | 0x80, 0, 0, 0, 0];
    let registers: [u32; 4] =
        [0, (9 + 24) << 24 | 1 << (24 - 7) | 1 << (24 - 8), 0, (172 + 24) << 24 | 1 << 22];
    expected.extend(registers.iter().flat_map(|register| register.to_le_bytes()));
    assert_eq!(sketch(precision, &hashes).to_bytes(), expected);
}

#[test]
fn sparse_sketch_of_a_hundred_values_takes_at_most_250_bytes() {
    let bytes = |seed: u64| {
        let hashes: Vec<u64> = (0..100).map(|n| hash::of_u64(seed << 32 | n)).collect();
        sketch(Precision::new(12).unwrap(), &hashes).to_bytes().len()
    };
    let largest = (0..1000).map(bytes).max().unwrap();
    assert!(largest <= 254, "{largest} bytes");
    let mean = (0..1000).map(bytes).sum::<usize>() as f64 / 1000.0;
    assert!(mean <= 246.0, "{mean} bytes");
}
