//! Groups against sketches that are kept one by one.

use std::collections::BTreeMap;

use hll::{Groups, Precision, Sketch, hash};
use proptest::prelude::*;

fn precision() -> Precision {
    Precision::new(8).unwrap()
}

proptest! {
    #[test]
    fn groups_are_sketches_of_their_own(
        batches in prop::collection::vec(prop::collection::vec((0..20_usize, 0..5000_u64), 0..300), 0..6),
        taken in 0..25_usize,
    ) {
        let mut groups = Groups::new(precision());
        groups.grow(20);
        let mut model: BTreeMap<usize, Sketch> = (0..20).map(|group| (group, Sketch::new(precision()))).collect();
        for batch in batches {
            let (indices, hashes): (Vec<usize>, Vec<u64>) =
                batch.into_iter().map(|(group, number)| (group, hash::of_u64(number))).unzip();
            groups.add_hashes(&indices, &hashes);
            for (group, hash) in indices.iter().zip(hashes) {
                model.get_mut(group).unwrap().add_hash(hash);
            }
        }
        prop_assert!((0..20).all(|group| groups.get(group) == model.get(&group)));
        prop_assert!(groups.estimates().eq(model.values().map(Sketch::estimate)));

        let before = groups.memory_bytes();
        let out = groups.take(taken);
        prop_assert!(out.iter().eq(model.values().take(taken)));
        prop_assert_eq!(groups.len(), 20_usize.saturating_sub(taken));
        let heap = |sketches: &[Sketch]| sketches.iter().map(|s| s.memory_bytes() - size_of::<Sketch>()).sum::<usize>();
        prop_assert!(groups.memory_bytes() <= before - heap(&out));
        groups.take(20);
        groups.grow(0);
        // Nothing is left but the room for sketches.
        prop_assert!(groups.memory_bytes() <= size_of::<Groups>() + 20 * size_of::<Sketch>());
    }

    #[test]
    fn serialised_partial_states_make_the_state_of_all_rows(
        rows in prop::collection::vec((0..5_usize, any::<u32>()), 0..2000), parts in 1..5_usize,
    ) {
        let mut whole = Groups::new(precision());
        whole.grow(5);
        let mut merged = whole.clone();
        for part in rows.chunks(rows.len().div_ceil(parts).max(1)) {
            let (indices, hashes): (Vec<usize>, Vec<u64>) =
                part.iter().map(|(group, number)| (*group, hash::of_u64((*number).into()))).unzip();
            whole.add_hashes(&indices, &hashes);
            let mut partial = Groups::new(precision());
            partial.grow(5);
            partial.add_hashes(&indices, &hashes);
            let states: Vec<Vec<u8>> = partial.take(5).iter().map(Sketch::to_bytes).collect();
            merged.merge_bytes(&[0, 1, 2, 3, 4], states.iter().map(Vec::as_slice)).unwrap();
        }
        prop_assert!((0..5).all(|group| merged.get(group) == whole.get(group)));
    }
}

#[test]
fn bad_state_is_an_error_and_an_empty_one_is_nothing() {
    let mut groups = Groups::new(precision());
    groups.grow(2);
    let mut sketch = Sketch::new(precision());
    sketch.add(b"value");
    let good = sketch.to_bytes();
    groups.merge_bytes(&[0, 1], [&[][..], &good].into_iter()).unwrap();
    assert!(groups.get(0).unwrap().is_empty());
    assert_eq!(groups.get(1), Some(&sketch));
    assert!(groups.merge_bytes(&[0], [&good[1..]].into_iter()).is_err());
}

#[test]
fn memory_is_accounted_to_the_byte() {
    let mut groups = Groups::new(precision());
    groups.grow(3);
    for n in 0..1000 {
        groups.add_hashes(&[0, 1, 1], &[hash::of_u64(n), hash::of_u64(n % 10), hash::of_u64(n % 50)]);
    }
    let sketches: usize = (0..3).map(|group| groups.get(group).unwrap().memory_bytes()).sum();
    let room = groups.memory_bytes() - size_of::<Groups>() - sketches;
    // A vector may have room for more sketches than it holds.
    assert_eq!(room % size_of::<Sketch>(), 0);
    assert!(room <= 3 * size_of::<Sketch>());
}
