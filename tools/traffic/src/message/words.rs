//! Names that somebody might have, drawn so that hardly two are alike.

use crate::mix::random::Random;

/// Letters alone.
pub fn word(random: &mut Random) -> String {
    let letters = random.between(7, 12);
    (0..letters).map(|_| char::from(b'a' + random.between(0, 25) as u8)).collect()
}

/// Under the domains that are nobody's (RFC 2606).
pub fn host(random: &mut Random) -> String {
    let top = ["example", "test"][random.index(2)];
    if random.one_in(4) {
        return format!("{}.{top}", word(random));
    }
    format!("{}.{}.{top}", word(random), word(random))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers with something in between.
pub fn joined<N: ToString>(numbers: &[N], separator: &str) -> String {
    numbers.iter().map(N::to_string).collect::<Vec<_>>().join(separator)
}
