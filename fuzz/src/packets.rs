//! The input of the target `packets`: how the datapath is set up, then frames.
//!
//! ```text
//! setup   tunnels u8 · screen u8 · capacity u8 · datagrams u8 · blocks u8 · idle u8 · active u8 · linger u8
//! frame   link u16 · time u16 · marks u8 · cut u8 · length u16 · bytes            (little endian)
//! ```

use crate::{take, take_up_to};
use sensor_ebpf::Screening;
use sensor_user::{
    clock::Moment,
    config::{FilterConfig, TunnelCount},
    source::LinkType,
};

/// How the datapath is set up. All limits are small, so that few frames reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Which packets of a tunnel are counted: outer, inner, both.
    pub tunnels: u8,
    /// OR of the `screen`s.
    pub screen: u8,
    /// Flows, less one.
    pub capacity: u8,
    /// Datagrams that are put together at once, less one.
    pub datagrams: u8,
    /// Blocks of their memory.
    pub blocks: u8,
    pub idle_timeout_s: u8,
    pub active_timeout_s: u8,
    pub close_linger_s: u8,
}

/// Bits of [`Setup::screen`].
pub mod screen {
    pub const EXCLUDE_UDP: u8 = 1 << 0;
    pub const EXCLUDE_PORT_80: u8 = 1 << 1;
    pub const EVERY_OTHER_FLOW: u8 = 1 << 2;
}

/// What a block of the reassembler's memory takes: 2 KiB and what is kept about it.
const BLOCK_MEMORY_BYTES: usize = 2080;

impl Setup {
    /// Room for a few conversations, and nothing is screened.
    pub const PLAIN: Setup = Setup {
        tunnels: 0,
        screen: 0,
        capacity: 31,
        datagrams: 3,
        blocks: 15,
        idle_timeout_s: 60,
        active_timeout_s: 60,
        close_linger_s: 1,
    };

    pub fn read(input: &mut &[u8]) -> Option<Setup> {
        let [tunnels, screen, capacity, datagrams, blocks, idle_timeout_s, active_timeout_s, close_linger_s] =
            take(input)?;
        Some(Setup {
            tunnels,
            screen,
            capacity,
            datagrams,
            blocks,
            idle_timeout_s,
            active_timeout_s,
            close_linger_s,
        })
    }

    pub fn write(&self, input: &mut Vec<u8>) {
        input.extend_from_slice(&[self.tunnels, self.screen, self.capacity, self.datagrams, self.blocks]);
        input.extend_from_slice(&[self.idle_timeout_s, self.active_timeout_s, self.close_linger_s]);
    }

    pub fn count(&self) -> TunnelCount {
        [TunnelCount::Outer, TunnelCount::Inner, TunnelCount::Both][usize::from(self.tunnels % 3)]
    }

    pub fn capacity(&self) -> usize {
        1 + usize::from(self.capacity % 64)
    }

    pub fn datagrams(&self) -> usize {
        1 + usize::from(self.datagrams % 8)
    }

    pub fn memory_bytes(&self) -> usize {
        usize::from(self.blocks % 64) * BLOCK_MEMORY_BYTES
    }

    pub fn sample_rate(&self) -> u32 {
        if self.screen & screen::EVERY_OTHER_FLOW != 0 { 2 } else { 1 }
    }

    pub fn filter(&self) -> FilterConfig {
        let mut filter = FilterConfig::default();
        if self.screen & screen::EXCLUDE_UDP != 0 {
            filter.exclude_protocols.push(17);
        }
        if self.screen & screen::EXCLUDE_PORT_80 != 0 {
            filter.exclude_ports.push(80);
        }
        filter
    }
}

/// One frame and what happens before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub link: LinkType,
    pub time: Step,
    /// OR of the `mark`s; the bits of `SCREENING` say what the kernel did.
    pub marks: u8,
    /// Bytes at the end that were on the wire and not captured.
    pub cut: u8,
    pub bytes: &'a [u8],
}

/// Bits of [`Frame::marks`].
pub mod mark {
    pub const SCREENING: u8 = 0b11;
    /// The burst ends behind the frame.
    pub const BURST: u8 = 1 << 2;
    /// … and timers are looked at.
    pub const EXPIRE: u8 = 1 << 3;
}

impl<'a> Frame<'a> {
    pub fn read(input: &mut &'a [u8]) -> Option<Frame<'a>> {
        let [a, b, c, d, marks, cut, e, f] = take(input)?;
        let number = |low, high| u16::from_le_bytes([low, high]);
        let bytes = take_up_to(input, usize::from(number(e, f)));
        Some(Frame { link: LinkType(number(a, b)), time: Step(number(c, d)), marks, cut, bytes })
    }

    pub fn write(&self, input: &mut Vec<u8>) {
        let length = u16::try_from(self.bytes.len()).expect("frames of seeds are short");
        input.extend_from_slice(&self.link.0.to_le_bytes());
        input.extend_from_slice(&self.time.0.to_le_bytes());
        input.extend_from_slice(&[self.marks, self.cut]);
        input.extend_from_slice(&length.to_le_bytes());
        input.extend_from_slice(self.bytes);
    }

    pub fn screening(&self) -> Screening {
        match self.marks & mark::SCREENING {
            1 => Screening::OuterFilter,
            2 => Screening::Full,
            _ => Screening::None,
        }
    }
}

/// A difference of time, up to 36 minutes: ten bits of mantissa, five of a binary exponent, and the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub u16);

impl Step {
    const MANTISSA_BITS: u32 = 10;
    const BACKWARDS: u16 = 1 << 15;

    /// The nearest step that is not longer.
    pub fn of_ns(difference_ns: u64) -> Step {
        let exponent = (u64::BITS - difference_ns.leading_zeros()).saturating_sub(Step::MANTISSA_BITS);
        Step((exponent.min(31) << Step::MANTISSA_BITS) as u16 | (difference_ns >> exponent) as u16 & 0x3ff)
    }

    pub fn from(self, now: Moment) -> Moment {
        let difference = u64::from(self.0 & 0x3ff) << (self.0 >> Step::MANTISSA_BITS & 31);
        Moment(match self.0 & Step::BACKWARDS {
            0 => now.0.saturating_add(difference),
            _ => now.0.saturating_sub(difference),
        })
    }
}
