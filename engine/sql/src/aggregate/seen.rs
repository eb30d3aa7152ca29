//! Which groups have seen a value: the others are null.

use datafusion::arrow::buffer::NullBuffer;
use datafusion::logical_expr::EmitTo;

/// Costs nothing as long as every row of every batch counts.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    groups: usize,
    /// None: all groups have.
    marks: Option<Vec<bool>>,
}

impl Seen {
    /// Every row of a batch counts, and with it every group that is new.
    pub(crate) fn all(&mut self, groups: &[usize], total_groups: usize) {
        self.groups = total_groups;
        if let Some(marks) = &mut self.marks {
            marks.resize(total_groups, false);
            for &group in groups {
                marks[group] = true;
            }
        }
    }

    /// Only these groups have seen a value in a batch.
    pub(crate) fn some(&mut self, groups: impl Iterator<Item = usize>, total_groups: usize) {
        let before = self.groups;
        let marks = self.marks.get_or_insert_with(|| vec![true; before]);
        marks.resize(total_groups, false);
        for group in groups {
            marks[group] = true;
        }
        self.groups = total_groups;
    }

    /// Takes the first groups out.
    pub(crate) fn take(&mut self, emit_to: EmitTo) -> Option<NullBuffer> {
        let taken = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(groups) => groups,
        };
        self.groups -= taken;
        let marks = self.marks.as_mut()?;
        let valid = NullBuffer::from(emit_to.take_needed(marks));
        if self.groups == 0 {
            self.marks = None;
        }
        (valid.null_count() > 0).then_some(valid)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.marks.as_ref().map_or(0, Vec::capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_that_saw_nothing_is_null_whichever_batch_it_came_in() {
        let mut seen = Seen::default();
        seen.all(&[0, 1], 2);
        seen.some([2].into_iter(), 4);
        seen.all(&[4], 5);
        let first = seen.take(EmitTo::First(2));
        assert!(first.is_none());
        let rest = seen.take(EmitTo::All).expect("group 3 saw nothing");
        assert_eq!(rest.iter().collect::<Vec<_>>(), [true, false, true]);
    }
}
