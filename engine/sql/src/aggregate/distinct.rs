//! Distinct counts over sketches, and sketches as values: `f_countdistinct`, `f_hll`, `hll_sketch`, `hll_merge`.
//!
//! The state of each is a sketch as `hll` serialises it; an empty or null state is an empty sketch.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use hll::{Groups, Sketch, SketchRef};

use super::groups::mask;
use crate::sketch::{PRECISION, hashes, hashes_of_rows};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    CountDistinct,
    /// The same with a second argument, which is taken and not looked at.
    Hll,
    /// The sketch of values.
    Sketch,
    /// The sketch of sketches.
    Merge,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Distinct {
    what: What,
    signature: Signature,
}

impl Distinct {
    pub(crate) fn new(what: What) -> Distinct {
        Distinct { what, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Distinct {
    fn name(&self) -> &str {
        match self.what {
            What::CountDistinct => "f_countdistinct",
            What::Hll => "f_hll",
            What::Sketch => "hll_sketch",
            What::Merge => "hll_merge",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let most = if self.what == What::Hll { 2 } else { 1 };
        if types.is_empty() || types.len() > most {
            return plan_err!("{} takes {most} argument(s), not {}", self.name(), types.len());
        }
        let mut coerced = types.to_vec();
        if self.what == What::Merge {
            if !matches!(
                types[0],
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null
            ) {
                return plan_err!("hll_merge takes sketches (BYTEA), not {}", types[0]);
            }
            coerced[0] = DataType::Binary;
        }
        if let Some(error) = coerced.get_mut(1) {
            *error = DataType::Float64;
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(if self.counts() { DataType::Int64 } else { DataType::Binary })
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Ok(result(self.what, &Sketch::new(PRECISION)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "sketch"), DataType::Binary, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SketchAccumulator {
            what: self.what,
            sketch: Sketch::new(PRECISION),
            hashes: Vec::new(),
        }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(SketchGroups {
            what: self.what,
            sketches: Groups::new(PRECISION),
            hashes: Vec::new(),
            groups: Vec::new(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

impl Distinct {
    fn counts(&self) -> bool {
        matches!(self.what, What::CountDistinct | What::Hll)
    }
}

fn result(what: What, sketch: &Sketch) -> ScalarValue {
    match what {
        What::CountDistinct | What::Hll => ScalarValue::Int64(Some(count(sketch))),
        What::Sketch | What::Merge => ScalarValue::Binary(Some(sketch.to_bytes())),
    }
}

fn count(sketch: &Sketch) -> i64 {
    i64::try_from(sketch.estimate().rounded()).unwrap_or(i64::MAX)
}

/// The sketch that a state is; None if it is null or empty.
fn read(state: Option<&[u8]>) -> Result<Option<SketchRef<'_>>> {
    let Some(bytes) = state.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    match SketchRef::new(bytes) {
        Ok(sketch) => Ok(Some(sketch)),
        Err(error) => exec_err!("{} bytes are no sketch: {error}", bytes.len()),
    }
}

/// One group.
#[derive(Debug)]
struct SketchAccumulator {
    what: What,
    sketch: Sketch,
    /// Of a batch; kept for its room.
    hashes: Vec<u64>,
}

impl Accumulator for SketchAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if self.what == What::Merge {
            return self.merge_batch(columns);
        }
        self.hashes.clear();
        hashes(&columns[0], &mut self.hashes)?;
        self.sketch.add_hashes(&self.hashes);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states[0].as_binary::<i32>() {
            if let Some(sketch) = read(state)? {
                self.sketch.merge(sketch);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.to_bytes()))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(result(self.what, &self.sketch))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sketch.memory_bytes() + self.hashes.capacity() * size_of::<u64>()
    }
}

/// Many groups.
#[derive(Debug)]
struct SketchGroups {
    what: What,
    sketches: Groups,
    /// Of a batch; kept for their room.
    hashes: Vec<u64>,
    groups: Vec<usize>,
}

impl SketchGroups {
    fn merge(&mut self, states: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>) -> Result<()> {
        let valid = mask(states.nulls(), filter);
        let states = states.as_binary::<i32>();
        for (row, &group) in groups.iter().enumerate() {
            if valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
                continue;
            }
            if let Some(sketch) = read(Some(states.value(row)))? {
                self.sketches.merge(group, sketch);
            }
        }
        Ok(())
    }
}

impl GroupsAccumulator for SketchGroups {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.sketches.grow(total_groups);
        if self.what == What::Merge {
            return self.merge(&columns[0], groups, filter);
        }
        self.hashes.clear();
        hashes_of_rows(&columns[0], &mut self.hashes)?;
        let Some(valid) = mask(columns[0].logical_nulls().as_ref(), filter) else {
            self.sketches.add_hashes(groups, &self.hashes);
            return Ok(());
        };
        self.groups.clear();
        for (kept, row) in valid.valid_indices().enumerate() {
            self.groups.push(groups[row]);
            self.hashes[kept] = self.hashes[row];
        }
        self.sketches.add_hashes(&self.groups, &self.hashes[..self.groups.len()]);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.sketches.grow(total_groups);
        self.merge(&states[0], groups, None)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut states = BinaryBuilder::new();
        for sketch in self.take(emit_to) {
            states.append_value(sketch.to_bytes());
        }
        Ok(vec![Arc::new(states.finish())])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        if matches!(self.what, What::Sketch | What::Merge) {
            return Ok(self.state(emit_to)?.swap_remove(0));
        }
        Ok(Arc::new(Int64Array::from_iter_values(self.take(emit_to).iter().map(count))))
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let valid = mask(columns[0].logical_nulls().as_ref(), filter);
        let is_valid = |row| valid.as_ref().is_none_or(|valid| valid.is_valid(row));
        let mut states = BinaryBuilder::new();
        if self.what == What::Merge {
            for (row, state) in columns[0].as_binary::<i32>().iter().enumerate() {
                states.append_option(state.filter(|_| is_valid(row)));
            }
            return Ok(vec![Arc::new(states.finish())]);
        }
        let mut hashes = Vec::new();
        hashes_of_rows(&columns[0], &mut hashes)?;
        let mut sketch = Sketch::new(PRECISION);
        for (row, hash) in hashes.into_iter().enumerate() {
            if !is_valid(row) {
                states.append_null();
                continue;
            }
            sketch.clear();
            sketch.add_hash(hash);
            states.append_value(sketch.to_bytes());
        }
        Ok(vec![Arc::new(states.finish())])
    }

    fn size(&self) -> usize {
        self.sketches.memory_bytes()
            + self.hashes.capacity() * size_of::<u64>()
            + self.groups.capacity() * size_of::<usize>()
    }
}

impl SketchGroups {
    fn take(&mut self, emit_to: EmitTo) -> Vec<Sketch> {
        match emit_to {
            EmitTo::All => self.sketches.take(self.sketches.len()),
            EmitTo::First(groups) => self.sketches.take(groups),
        }
    }
}
