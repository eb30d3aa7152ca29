//! What Juniper routers write before the frames that they capture.

use super::{Layer, Step, be16, header};
use crate::packet::NotFlow;

const MAGIC: [u8; 3] = [0x4d, 0x47, 0x43];
const HAS_NO_LINK_LAYER: u8 = 0x02;
const HAS_EXTENSIONS: u8 = 0x80;

/// Magic number, flags, perhaps extensions with their length; then the frame.
pub fn frame(bytes: &[u8], at: usize, layer: Layer) -> Step {
    let [a, b, c, flags] = *header::<4>(bytes, at)?;
    if [a, b, c] != MAGIC {
        return Err(NotFlow::OtherEtherType);
    }
    let mut at = at + 4;
    if flags & HAS_EXTENSIONS != 0 {
        at += 2 + usize::from(be16(bytes, at)?);
    }
    if flags & HAS_NO_LINK_LAYER != 0 {
        // Protocol in the router's own numbers.
        return Ok((Layer::Ip, at + 4));
    }
    Ok((layer, at))
}
