//! Any bytes are a sketch or an error, and a sketch can be used in every way: it is written as it was read,
//! its estimate lies within its bounds, and it merges and overlaps with others.
#![no_main]

use hll::datasketches::Hll;
use hll::{Precision, Sketch, SketchRef};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(hll) = Hll::from_bytes(bytes) {
        assert!(hll.estimate().value() >= 0.0);
        assert_eq!(Hll::from_bytes(&hll.to_bytes()).expect("our own form is read"), hll);
    }
    let Ok(view) = SketchRef::new(bytes) else { return };
    let sketch = Sketch::from(view);
    assert_eq!(sketch.to_bytes(), bytes);
    let estimate = view.estimate();
    assert_eq!(estimate, sketch.estimate());
    let (low, high) = estimate.bounds(0.99);
    assert!(low <= estimate.value() && estimate.value() <= high);

    let mut merged = Sketch::new(view.precision());
    merged.merge(view);
    assert_eq!(merged, sketch);
    merged.merge_bytes(bytes).expect("the bytes were read before");
    assert_eq!(merged, sketch);
    let mut other = Sketch::new(Precision::new(6).expect("6 is in range"));
    (0..100).for_each(|number| other.add_u64(number));
    let overlap = view.overlap(&other);
    assert!(overlap.both.value() >= 0.0 && (0.0..=1.0).contains(&overlap.similarity()));
    merged.merge(&other);
    assert!(!merged.is_empty());
    let _ = Hll::from(view);
});
