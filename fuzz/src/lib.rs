//! What the fuzz targets and their seeds share: the inputs that are more than bytes to decode, and the laws that hold for
//! whatever comes out.
//!
//! Inputs are read and written here, so that the generator's frames can be seeds. Every input is valid: numbers out of
//! range are taken modulo, and an input that ends in the middle of a step ends before it.

pub mod applications;
pub mod flow;
pub mod laws;
pub mod packets;
pub mod spool;

/// Splits off the next `N` bytes, or leaves all of them.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

/// Splits off `length` bytes, or as many as there are.
fn take_up_to<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    taken
}
