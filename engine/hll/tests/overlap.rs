//! Unions, intersections and differences against sets whose parts are known.

use hll::{Overlap, Precision, Sketch};
use proptest::prelude::*;

/// Sketches of two sets with so many values in the first alone, in the second alone and in both.
fn sketches(bits: [u8; 2], [first, second, both]: [u64; 3], seed: u64) -> [Sketch; 2] {
    let mut sketches = bits.map(|bits| Sketch::new(Precision::new(bits).unwrap()));
    let numbers = |part: u64, count: u64| (0..count).map(move |n| seed << 34 | part << 32 | n);
    for (index, sketch) in sketches.iter_mut().enumerate() {
        let own = numbers(index as u64, [first, second][index]);
        own.chain(numbers(2, both)).for_each(|number| sketch.add_u64(number));
    }
    sketches
}

fn parts(overlap: Overlap) -> [hll::Estimate; 4] {
    [overlap.only_first, overlap.only_second, overlap.both, overlap.union]
}

#[test]
fn small_sets_are_told_apart_exactly() {
    for counts in [[0, 0, 0], [1, 0, 0], [0, 0, 5], [10, 20, 30], [300, 200, 100], [700, 0, 300]] {
        let [first, second] = sketches([12, 12], counts, 1);
        let overlap = first.overlap(&second);
        let rounded = parts(overlap).map(hll::Estimate::rounded);
        assert_eq!(rounded[..3], counts, "{counts:?}");
        assert_eq!(rounded[3], counts.iter().sum::<u64>());
    }
}

#[test]
fn errors_are_the_stated_ones_and_below_those_of_inclusion_and_exclusion() {
    const TRIALS: u64 = 200;
    for counts in [[5000, 5000, 5000], [9000, 9000, 300], [200, 20_000, 200], [30_000, 2000, 100]] {
        let mut squares = [0.0_f64; 4];
        let mut stated = [0.0; 4];
        let mut bias = [0.0_f64; 4];
        let mut exclusion = 0.0_f64;
        let truth = [counts[0], counts[1], counts[2], counts.iter().sum()].map(|count: u64| count as f64);
        for seed in 0..TRIALS {
            let [first, second] = sketches([9, 9], counts, seed);
            for (part, estimate) in parts(first.overlap(&second)).into_iter().enumerate() {
                let error = estimate.value() - truth[part];
                bias[part] += error / TRIALS as f64;
                squares[part] += error * error / TRIALS as f64;
                stated[part] += estimate.standard_error() / TRIALS as f64;
            }
            let mut union = first.clone();
            union.merge(&second);
            let both = first.estimate().value() + second.estimate().value() - union.estimate().value();
            exclusion += (both - truth[2]).powi(2) / TRIALS as f64;
        }
        for part in 0..4 {
            let rmse = squares[part].sqrt();
            let what = format!(
                "{counts:?}, part {part}: rmse {rmse:.1}, stated {:.1}, bias {:.1}, exclusion {:.1}",
                stated[part],
                bias[part],
                exclusion.sqrt()
            );
            println!("{what}");
            // A part that cannot be below zero errs less than a normal variable; one that is small beside the
            // others errs up to a quarter more than stated.
            assert!((0.6..1.3).contains(&(rmse / stated[part])), "{what}");
            assert!(bias[part].abs() < 0.35 * rmse, "{what}");
        }
        assert!(squares[2] < exclusion, "{counts:?}: {} and {}", squares[2].sqrt(), exclusion.sqrt());
    }
}

proptest! {
    #[test]
    fn parts_change_places_with_the_sketches_and_add_up(
        bits in [4..=10_u8, 4..=10_u8], counts in [0..3000_u64, 0..3000_u64, 0..3000_u64], seed: u16,
    ) {
        let [first, second] = sketches(bits, counts, seed.into());
        let (there, back) = (first.overlap(&second), second.overlap(&first));
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * (a + b) + 0.1;
        prop_assert!(close(there.both.value(), back.both.value()), "{there:?} {back:?}");
        prop_assert!(close(there.only_first.value(), back.only_second.value()), "{there:?} {back:?}");
        let sum = there.only_first.value() + there.only_second.value() + there.both.value();
        prop_assert!(close(sum, there.union.value()));
        prop_assert!((0.0..=1.0).contains(&there.similarity()));
    }

    #[test]
    fn set_overlaps_itself_entirely(bits in 4..=10_u8, count in 0..5000_u64, seed: u16) {
        let [first, second] = sketches([bits, bits], [0, 0, count], seed.into());
        let overlap = first.overlap(&second);
        prop_assert_eq!(overlap.only_first.rounded(), 0);
        prop_assert_eq!(overlap.only_second.rounded(), 0);
        let (both, alone) = (overlap.both.value(), first.estimate().value());
        prop_assert!((both - alone).abs() <= 0.06 * alone + 0.01, "{both} {alone}");
        if count > 0 {
            prop_assert!(overlap.similarity() > 0.999);
        }
    }
}
