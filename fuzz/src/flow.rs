//! The input of the target `flow`: how the table is set up, then packets, looks at the timers and time that passes.
//!
//! ```text
//! setup   capacity u8 · pressure u8 · idle u8 · active u8 · linger u8 · embryonic u8 · start u64
//! step    0: conversation u8 · marks u8 · sequence u32 · acknowledgement u32 · window u16 · flags u8 ·
//!            payload u16 · options u8 · bytes of options
//!         1: flows u8                                                    look at that many timers at most
//!         2: time, as in packets.rs, u16                                              (little endian)
//! ```

use crate::{packets, take, take_up_to};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Flows, less one.
    pub capacity: u8,
    pub pressure: u8,
    pub idle_timeout_s: u8,
    pub active_timeout_s: u8,
    pub close_linger_s: u8,
    pub embryonic_timeout_s: u8,
    pub start_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Packet(Packet<'a>),
    /// Looks at so many flows at most.
    Expire(u8),
    Time(packets::Step),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub conversation: u8,
    /// OR of the `mark`s.
    pub marks: u8,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub window: u16,
    pub flags: u8,
    pub payload_bytes: u16,
    /// At most 40 bytes.
    pub options: &'a [u8],
}

/// Bits of [`Packet::marks`].
pub mod mark {
    /// The end with the lower address sent it.
    pub const FROM_LOW: u8 = 1 << 0;
    pub const FRAGMENT: u8 = 1 << 1;
    /// The hash of the flow is one that many have.
    pub const CROWD: u8 = 1 << 2;
    /// Only ports and payload mean anything.
    pub const UDP: u8 = 1 << 3;
}

const OPTIONS_BYTES_MAX: u8 = 40;

impl Setup {
    /// Room for a few conversations.
    pub const PLAIN: Setup = Setup {
        capacity: 7,
        pressure: 6,
        idle_timeout_s: 60,
        active_timeout_s: 60,
        close_linger_s: 1,
        embryonic_timeout_s: 5,
        start_ns: 1 << 60,
    };

    pub fn read(input: &mut &[u8]) -> Option<Setup> {
        let [capacity, pressure, idle_timeout_s, active_timeout_s, close_linger_s, embryonic_timeout_s] =
            take(input)?;
        let start_ns = u64::from_le_bytes(take(input)?);
        Some(Setup {
            capacity,
            pressure,
            idle_timeout_s,
            active_timeout_s,
            close_linger_s,
            embryonic_timeout_s,
            start_ns,
        })
    }

    pub fn write(&self, input: &mut Vec<u8>) {
        input.extend_from_slice(&[self.capacity, self.pressure, self.idle_timeout_s, self.active_timeout_s]);
        input.extend_from_slice(&[self.close_linger_s, self.embryonic_timeout_s]);
        input.extend_from_slice(&self.start_ns.to_le_bytes());
    }
}

impl<'a> Step<'a> {
    pub fn read(input: &mut &'a [u8]) -> Option<Step<'a>> {
        let [kind] = take(input)?;
        Some(match kind % 3 {
            0 => Step::Packet(Packet::read(input)?),
            1 => Step::Expire(take::<1>(input)?[0]),
            _ => Step::Time(packets::Step(u16::from_le_bytes(take(input)?))),
        })
    }

    pub fn write(&self, input: &mut Vec<u8>) {
        match self {
            Step::Packet(packet) => {
                input.push(0);
                packet.write(input);
            }
            Step::Expire(flows_max) => input.extend_from_slice(&[1, *flows_max]),
            Step::Time(packets::Step(step)) => {
                input.push(2);
                input.extend_from_slice(&step.to_le_bytes());
            }
        }
    }
}

impl<'a> Packet<'a> {
    fn read(input: &mut &'a [u8]) -> Option<Packet<'a>> {
        let [conversation, marks] = take(input)?;
        let [sequence, acknowledgement] = [take(input)?, take(input)?].map(u32::from_le_bytes);
        let window = u16::from_le_bytes(take(input)?);
        let [flags] = take(input)?;
        let payload_bytes = u16::from_le_bytes(take(input)?);
        let [options] = take(input)?;
        let options = take_up_to(input, usize::from(options % (OPTIONS_BYTES_MAX + 1)));
        Some(Packet { conversation, marks, sequence, acknowledgement, window, flags, payload_bytes, options })
    }

    fn write(&self, input: &mut Vec<u8>) {
        input.extend_from_slice(&[self.conversation, self.marks]);
        input.extend_from_slice(&self.sequence.to_le_bytes());
        input.extend_from_slice(&self.acknowledgement.to_le_bytes());
        input.extend_from_slice(&self.window.to_le_bytes());
        input.push(self.flags);
        input.extend_from_slice(&self.payload_bytes.to_le_bytes());
        input.push(u8::try_from(self.options.len()).expect("there is room for 40 bytes of options"));
        input.extend_from_slice(self.options);
    }
}
