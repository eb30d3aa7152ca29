//! Bytes that are of no protocol.

use super::{Carrier, Script};
use crate::mix::Side;
use crate::mix::random::Random;

/// On a port that hints at nothing.
const PORT: u16 = 31_337;

pub fn script(random: &mut Random) -> Script {
    let mut script = if random.one_in(2) { Script::tcp(PORT) } else { Script::udp(PORT) };
    let bytes_max = if script.carrier == Carrier::Tcp { 5_000 } else { 1_200 };
    for _ in 0..random.between(1, 10) {
        let speaker = if random.one_in(2) { Side::Client } else { Side::Server };
        let bytes = random.between(20, bytes_max) as usize;
        let mut bytes = random.bytes(bytes);
        // No protocol begins like this, whatever follows.
        bytes[..4].copy_from_slice(&[0xF7, 0xE3, 0xFF, 0x9B]);
        script.line(speaker, bytes);
    }
    script
}
