//! Names of numbers: protocols, ports, TCP flags, autonomous systems, MAC addresses.
//!
//! A number that has no name is shown as the number, so that nothing disappears.

mod function;
mod ports;
mod protocols;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use ports::port;
pub use protocols::protocol;

pub(crate) use function::all;

/// Names that only the caller knows.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Autonomous systems: without a name, `AS<n>`.
    pub autonomous_systems: Arc<BTreeMap<u32, String>>,
    /// Application protocols: without a name, the number.
    pub application_protocols: Arc<BTreeMap<u32, String>>,
}

/// TCP flags as letters, in the order of the bits: `FSRPAUEC`, those that are not set left out.
pub fn tcp_flags(flags: u8) -> impl fmt::Display {
    const LETTERS: [char; 8] = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];
    fmt::from_fn(move |formatter| {
        let mut set = LETTERS.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
        set.try_for_each(|(_, &letter)| fmt::Write::write_char(formatter, letter))
    })
}

/// The text of a MAC address (EUI-48) in the low 48 bits: `02:00:5e:10:00:01`.
pub fn mac(number: u64) -> impl fmt::Display {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    fmt::from_fn(move |formatter| write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_macs_have_their_usual_texts() {
        assert_eq!(tcp_flags(0x12).to_string(), "SA");
        assert_eq!(tcp_flags(0xff).to_string(), "FSRPAUEC");
        assert_eq!(tcp_flags(0).to_string(), "");
        assert_eq!(mac(0x0200_5e10_0001).to_string(), "02:00:5e:10:00:01");
    }
}
