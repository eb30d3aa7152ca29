//! The sketch that values are added to.

use std::mem;

use crate::error::Error;
use crate::estimate::Estimate;
use crate::hash;
use crate::overlap::Overlap;
use crate::precision::Precision;
use crate::register::{self, Register};
use crate::simd;
use crate::sparse::Tokens;
use crate::token::Token;
use crate::view::{Form, SketchRef};

/// An estimate of how many distinct values were added, in bounded memory.
///
/// The state depends on the precision and on the set of values, and on nothing else: not on their order, not
/// on how often each was added, not on the sketches it was merged from.
#[derive(Clone, Debug)]
pub struct Sketch {
    precision: Precision,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Sparse(Tokens),
    Dense(Box<[Register]>),
}

impl Sketch {
    /// An empty sketch; it allocates with the first value.
    pub fn new(precision: Precision) -> Sketch {
        Sketch { precision, state: State::Sparse(Tokens::default()) }
    }

    /// A sketch from its serial form.
    ///
    /// # Errors
    /// If the bytes are not exactly what some sketch is serialised as.
    pub fn from_bytes(bytes: &[u8]) -> Result<Sketch, Error> {
        Ok(Sketch::from(SketchRef::new(bytes)?))
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Adds a value by its bytes.
    pub fn add(&mut self, value: &[u8]) {
        self.add_hash(hash::of_bytes(value));
    }

    /// Adds a number; the same as adding its eight little-endian bytes.
    #[inline]
    pub fn add_u64(&mut self, value: u64) {
        self.add_hash(hash::of_u64(value));
    }

    /// Adds a number, such as an IPv6 address; the same as adding its sixteen little-endian bytes.
    #[inline]
    pub fn add_u128(&mut self, value: u128) {
        self.add_hash(hash::of_u128(value));
    }

    /// Adds a value by its hash, of which all 64 bits must be as good as random.
    ///
    /// Sketches that are merged must have been given hashes of one function.
    #[inline]
    pub fn add_hash(&mut self, hash: u64) {
        self.add_token(Token::of_hash(hash));
    }

    /// Adds many numbers.
    pub fn add_u64s(&mut self, values: &[u64]) {
        let mut hashes = [0; 64];
        for values in values.chunks(hashes.len()) {
            for (hash, value) in hashes.iter_mut().zip(values) {
                *hash = hash::of_u64(*value);
            }
            self.add_hashes(&hashes[..values.len()]);
        }
    }

    /// Adds many values by their hashes: the fastest way.
    pub fn add_hashes(&mut self, hashes: &[u64]) {
        let mut hashes = hashes.iter();
        loop {
            if let State::Dense(registers) = &mut self.state {
                simd::add_hashes(registers, hashes.as_slice());
                return;
            }
            let Some(hash) = hashes.next() else { return };
            self.add_hash(*hash);
        }
    }

    /// Adds all that another sketch saw, in memory or serialised. Of two precisions the lower is the
    /// result's.
    pub fn merge<'a>(&mut self, other: impl Into<SketchRef<'a>>) {
        let other = other.into();
        self.reduce(other.precision);
        match (&mut self.state, other.form) {
            (State::Dense(registers), _) => other.merge_into(registers),
            (State::Sparse(_), Form::Dense(_)) => other.merge_into(self.make_dense()),
            (State::Sparse(_), _) => other.for_each_token(|token| self.add_token(token)),
        }
    }

    /// Adds all that a serialised sketch saw.
    ///
    /// # Errors
    /// If the bytes are not exactly what some sketch is serialised as; then nothing was added.
    pub fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.merge(SketchRef::new(bytes)?);
        Ok(())
    }

    /// Lowers the precision, as if it had been the lower one from the start; a precision that is not lower
    /// changes nothing.
    pub fn reduce(&mut self, precision: Precision) {
        if precision >= self.precision {
            return;
        }
        self.precision = precision;
        match &mut self.state {
            State::Sparse(tokens) => {
                if tokens.count() > precision.tokens_max() {
                    self.make_dense();
                }
            }
            State::Dense(registers) => {
                let mut reduced = empty_registers(precision);
                registers.chunks(reduced.len()).for_each(|part| simd::merge(&mut reduced, part));
                *registers = reduced;
            }
        }
    }

    /// Forgets all values and gives the memory back.
    pub fn clear(&mut self) {
        *self = Sketch::new(self.precision);
    }

    /// The sketch as one that can only be read.
    pub fn view(&self) -> SketchRef<'_> {
        let form = match &self.state {
            State::Sparse(tokens) => Form::Sparse(tokens),
            State::Dense(registers) => Form::Dense(registers),
        };
        SketchRef { precision: self.precision, form }
    }

    /// The number of distinct values that were added.
    pub fn estimate(&self) -> Estimate {
        self.view().estimate()
    }

    /// How the values of this sketch and of another overlap. Of two precisions the lower is used.
    pub fn overlap<'b>(&self, other: impl Into<SketchRef<'b>>) -> Overlap {
        self.view().overlap(other)
    }

    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// The serial form, described at [`SketchRef`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let view = self.view();
        let mut bytes = Vec::with_capacity(view.serialised_bytes());
        view.write_to(&mut bytes);
        bytes
    }

    /// Bytes of memory, those on the heap included.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Sketch>() + self.heap_bytes()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Sparse(tokens) => tokens.heap_bytes(),
            State::Dense(registers) => size_of_val::<[Register]>(registers),
        }
    }

    #[inline]
    fn add_token(&mut self, token: Token) {
        match &mut self.state {
            State::Dense(registers) => register::add(registers, token),
            State::Sparse(tokens) => {
                if tokens.insert(token) && tokens.count() > self.precision.tokens_max() {
                    self.make_dense();
                }
            }
        }
    }

    /// The registers, into which the tokens go if the sketch is sparse.
    #[cold]
    fn make_dense(&mut self) -> &mut [Register] {
        if let State::Sparse(tokens) = &mut self.state {
            let mut registers = empty_registers(self.precision);
            for token in mem::take(tokens).iter() {
                register::add(&mut registers, token);
            }
            self.state = State::Dense(registers);
        }
        match &mut self.state {
            State::Dense(registers) => registers,
            State::Sparse(_) => unreachable!("a sparse state was replaced above"),
        }
    }
}

pub(crate) fn empty_registers(precision: Precision) -> Box<[Register]> {
    vec![[0; 4]; precision.registers()].into_boxed_slice()
}

impl<'a> From<&'a Sketch> for SketchRef<'a> {
    fn from(sketch: &'a Sketch) -> SketchRef<'a> {
        sketch.view()
    }
}

impl From<SketchRef<'_>> for Sketch {
    fn from(view: SketchRef<'_>) -> Sketch {
        let state = match view.form {
            Form::Sparse(tokens) => State::Sparse(tokens.clone()),
            Form::Packed { tokens, count } => {
                State::Sparse(Tokens::collect(crate::rice::Tokens::new(tokens, count), count))
            }
            Form::Dense(registers) => State::Dense(registers.into()),
        };
        Sketch { precision: view.precision, state }
    }
}

/// Sketches are equal if they have the same precision and saw the same values, as far as they can tell.
impl PartialEq for Sketch {
    fn eq(&self, other: &Sketch) -> bool {
        self.precision == other.precision
            && match (&self.state, &other.state) {
                (State::Sparse(a), State::Sparse(b)) => a.iter().eq(b.iter()),
                (State::Dense(a), State::Dense(b)) => a == b,
                _ => false,
            }
    }
}

impl Eq for Sketch {}
