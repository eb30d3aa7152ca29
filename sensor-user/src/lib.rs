//! The flow sensor as a library: everything but the command line.
pub mod clock;
pub mod flow;
pub mod packet;
mod prefetch;
pub mod source;
