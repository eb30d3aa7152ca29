//! Many sketches at once, one a group, as a query with GROUP BY needs them.
//!
//! Rows come in batches: a group index and a hash for each. The bytes that all sketches take are known at any
//! time without looking at them, so that a memory budget can be kept.

use crate::error::Error;
use crate::estimate::Estimate;
use crate::precision::Precision;
use crate::sketch::Sketch;
use crate::view::SketchRef;

/// Sketches of one precision, by group index.
#[derive(Clone, Debug)]
pub struct Groups {
    precision: Precision,
    sketches: Vec<Sketch>,
    /// Of all sketches together.
    heap_bytes: usize,
}

impl Groups {
    pub fn new(precision: Precision) -> Groups {
        Groups { precision, sketches: Vec::new(), heap_bytes: 0 }
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.sketches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sketches.is_empty()
    }

    /// Makes room for `groups` groups, of which the new ones are empty; never takes one away.
    pub fn grow(&mut self, groups: usize) {
        if groups > self.len() {
            self.sketches.resize_with(groups, || Sketch::new(self.precision));
        }
    }

    /// Adds each hash to the group of the same place.
    ///
    /// # Panics
    /// If there are not as many hashes as group indices, or a group is not there: see [`Groups::grow`].
    pub fn add_hashes(&mut self, groups: &[usize], hashes: &[u64]) {
        assert_eq!(groups.len(), hashes.len(), "a hash for each group index");
        let mut rows = groups.iter().zip(hashes).peekable();
        while let Some((group, hash)) = rows.next() {
            self.change(*group, |sketch| {
                sketch.add_hash(*hash);
                // Rows are often sorted by group.
                while let Some((_, hash)) = rows.next_if(|(next, _)| *next == group) {
                    sketch.add_hash(*hash);
                }
            });
        }
    }

    /// Merges a sketch, in memory or serialised, into a group.
    ///
    /// # Panics
    /// If the group is not there.
    pub fn merge<'a>(&mut self, group: usize, other: impl Into<SketchRef<'a>>) {
        self.change(group, |sketch| sketch.merge(other));
    }

    /// Merges serialised states, each into the group of the same place; an empty slice is an empty state.
    ///
    /// # Errors
    /// If one of the states is not exactly what some sketch is serialised as; those before it were merged.
    ///
    /// # Panics
    /// If there are not as many states as group indices, or a group is not there.
    pub fn merge_bytes<'a>(
        &mut self,
        groups: &[usize],
        states: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<(), Error> {
        assert_eq!(groups.len(), states.len(), "a state for each group index");
        for (group, state) in groups.iter().zip(states) {
            if !state.is_empty() {
                self.merge(*group, SketchRef::new(state)?);
            }
        }
        Ok(())
    }

    /// The sketch of a group.
    pub fn get(&self, group: usize) -> Option<&Sketch> {
        self.sketches.get(group)
    }

    /// The number of distinct values of each group, in the order of the groups.
    pub fn estimates(&self) -> impl ExactSizeIterator<Item = Estimate> {
        self.sketches.iter().map(Sketch::estimate)
    }

    /// Takes the first `groups` groups out, or all if there are fewer; the others move to the front.
    pub fn take(&mut self, groups: usize) -> Vec<Sketch> {
        let rest = self.sketches.split_off(groups.min(self.len()));
        let taken = std::mem::replace(&mut self.sketches, rest);
        self.heap_bytes -= taken.iter().map(Sketch::heap_bytes).sum::<usize>();
        taken
    }

    /// Bytes of memory that the groups take, those of the sketches included.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Groups>() + self.sketches.capacity() * size_of::<Sketch>() + self.heap_bytes
    }

    /// Changes a sketch and accounts for the memory.
    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch)) {
        let sketch = &mut self.sketches[group];
        let before = sketch.heap_bytes();
        change(sketch);
        self.heap_bytes = self.heap_bytes - before + sketch.heap_bytes();
    }
}
