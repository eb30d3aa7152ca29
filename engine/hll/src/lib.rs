//! Distinct counts from small sketches that merge at memory speed.

pub mod datasketches;
mod error;
mod estimate;
pub mod hash;
mod likelihood;
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
pub use precision::Precision;
pub use sketch::Sketch;
pub use view::SketchRef;
