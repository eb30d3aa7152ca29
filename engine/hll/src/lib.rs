//! Distinct counts from small sketches that merge at memory speed.
//!
//! # The life of a value
//!
//! 1. A value is hashed ([`hash`]), and what a sketch keeps of the hash is its token (`token`).
//! 2. A small sketch keeps the tokens themselves, sorted (`sparse`); a large one only what they leave in its
//!    registers (`register`), in loops that are compiled for the processor (`simd`). [`Sketch`] is either.
//! 3. Sketches merge, in memory or as they lie in serialised bytes ([`SketchRef`], `rice`).
//! 4. The number of values is the one that makes what was seen most likely (`likelihood`), with its error
//!    ([`Estimate`]); for two sketches at once, so are the parts of their union ([`Overlap`]).
//!
//! Around that: [`Groups`] for queries with GROUP BY, [`datasketches`] for sketches of that library, `ffi`
//! for C, whose documentation is `include/hll.h`. README has figures, and says why the registers are what
//! they are.

pub mod datasketches;
mod error;
mod estimate;
mod ffi;
mod groups;
pub mod hash;
mod likelihood;
mod overlap;
mod precision;
mod register;
mod rice;
mod simd;
mod sketch;
mod sparse;
mod token;
mod view;

pub use error::Error;
pub use estimate::Estimate;
pub use groups::Groups;
pub use overlap::Overlap;
pub use precision::Precision;
pub use sketch::Sketch;
pub use view::SketchRef;

/// Compiles and runs what README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
