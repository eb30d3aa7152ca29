//! Distinct counts from small sketches that merge at memory speed.

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
