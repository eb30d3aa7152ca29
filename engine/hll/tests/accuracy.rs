//! Errors of estimates over many sketches, against what is promised.

use hll::{Precision, Sketch, hash};

/// Estimates of `count` values by `trials` sketches that saw different ones, with their bounds for 90 %
/// confidence.
struct Trials {
    bias: f64,
    rmse: f64,
    /// Share of the sketches whose bounds hold the true number.
    coverage: f64,
    stated_error: f64,
}

fn trials(bits: u8, count: u64, trials: u64) -> Trials {
    let precision = Precision::new(bits).unwrap();
    let (mut bias, mut square, mut covered, mut stated) = (0.0, 0.0, 0.0, 0.0);
    for trial in 0..trials {
        let hashes: Vec<u64> = (0..count).map(|n| hash::of_u64((trial + 1) << 32 | n)).collect();
        let mut sketch = Sketch::new(precision);
        sketch.add_hashes(&hashes);
        let estimate = sketch.estimate();
        let (low, high) = estimate.bounds(0.9);
        let truth = count as f64;
        let error = estimate.value() / truth - 1.0;
        bias += error;
        square += error * error;
        covered += f64::from(u8::from(low <= truth && truth <= high));
        stated += estimate.standard_error() / truth;
    }
    let mean = |sum: f64| sum / trials as f64;
    Trials {
        bias: mean(bias),
        rmse: mean(square).sqrt(),
        coverage: mean(covered),
        stated_error: mean(stated),
    }
}

#[test]
fn error_is_at_most_the_promised_one_at_every_size() {
    for bits in [6, 8] {
        let promised = Precision::new(bits).unwrap().standard_error();
        let m = f64::from(1 << bits);
        for load in [0.3, 1.0, 3.0, 10.0, 50.0] {
            let Trials { bias, rmse, coverage, stated_error } = trials(bits, (load * m) as u64, 1000);
            let what = format!(
                "precision {bits}, {load} m: bias {bias:.5}, rmse {rmse:.5}, coverage {coverage:.3}, stated {stated_error:.5}"
            );
            println!("{what} / {promised:.5}");
            // A thousand trials know the error to one part in 45, and the bias to 1/32 of it.
            assert!(rmse < promised * 1.1, "{what}");
            assert!(bias.abs() < promised * 0.13, "{what}");
            assert!((stated_error / rmse - 1.0).abs() < 0.12, "{what}");
            assert!((0.86..0.94).contains(&coverage), "{what}");
        }
    }
}

#[test]
fn small_sets_are_counted_exactly() {
    for count in [0, 1, 2, 10, 100, 300, 1000] {
        let wrong = (0..100_u64)
            .filter(|seed| {
                let mut sketch = Sketch::new(Precision::new(12).unwrap());
                (0..count).for_each(|n| sketch.add_u64(seed << 32 | n));
                sketch.estimate().rounded() != count
            })
            .count();
        // Two of a thousand values are taken for one with a probability of 4 %.
        assert!(wrong <= 12, "{wrong} of 100 sketches of {count} values");
        assert!(count > 300 || wrong <= 3, "{wrong} of 100 sketches of {count} values");
    }
}
