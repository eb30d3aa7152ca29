//! The contract between the kernel and the user half of the generator: what is set before a program is
//! loaded, what is counted while it runs, and which addresses and ports flow number `n` has.

#![cfg_attr(not(test), no_std)]

/// Name of the program in the object.
pub const PROGRAM: &str = "blast";

/// Name of the constant that is overwritten with [`Settings::to_bytes`] before loading.
pub const SETTINGS: &str = "SETTINGS";

/// Name of the array map whose only element is [`State`].
pub const STATE: &str = "STATE";

/// Name of the program that counts what arrives at an interface.
pub const SINK_PROGRAM: &str = "sink";

/// Name of the 32-bit constant that is the sink's XDP verdict.
pub const SINK_VERDICT: &str = "SINK_VERDICT";

/// Name of the per-CPU array map whose only element is the sink's `[frames, bytes]`.
pub const SINK_COUNTERS: &str = "SINK_COUNTERS";

/// Name of the program that hands every frame to the AF_XDP socket of its queue.
pub const REDIRECT_PROGRAM: &str = "redirect";
/// Name of the map of those sockets, by queue.
pub const REDIRECT_SOCKETS: &str = "REDIRECT_SOCKETS";
/// Queues that the map has room for.
pub const REDIRECT_QUEUES_MAX: u32 = 64;

/// Ethernet, IPv4, UDP and the sequence number.
pub const FRAME_BYTES_MIN_V4: u32 = 14 + 20 + 8 + 8;

/// Ethernet, IPv6, UDP and the sequence number.
pub const FRAME_BYTES_MIN_V6: u32 = 14 + 40 + 8 + 8;

/// Flows are told apart by 24 bits of the source address.
pub const FLOWS_MAX: u32 = 1 << 24;

/// "Internet mix": lengths in a pattern of twelve frames, seven short, four middling and one long.
pub mod imix {
    pub const PATTERN_FRAMES: u32 = 12;
    pub const MIDDLE_BYTES: u32 = 570;
    pub const LONG_BYTES: u32 = 1500;
    pub const SHORT_BYTES_V4: u32 = 64;
    /// The shortest IPv6 frame that has room for its sequence number.
    pub const SHORT_BYTES_V6: u32 = super::FRAME_BYTES_MIN_V6;

    /// Bit `n` is set when frame `n` of the pattern is middling.
    pub const MIDDLE_SLOTS: u32 = 0b0101_0001_0010;
    pub const LONG_SLOT: u32 = 6;
    const _: () = assert!(MIDDLE_SLOTS.count_ones() == 4 && MIDDLE_SLOTS >> LONG_SLOT & 1 == 0);
}

/// What one run does. Constant for the verifier, which removes the branches that the run does not take.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// No frame is built after this many.
    pub count: u64,
    /// From the start of one burst to that of the next; zero does not pace.
    pub burst_gap_ns: u64,
    /// Index of the interface that sends.
    pub interface: u32,
    /// 1 to [`FLOWS_MAX`].
    pub flows: u32,
    /// Frames per burst: between two looks at the clock.
    pub burst_frames: u32,
    /// Length of every frame without check sequence; zero for [`imix`].
    pub frame_bytes: u32,
    /// Slots of the IMIX pattern to skip after each round of flows, so that every flow gets every length.
    pub imix_skip: u32,
    /// 4 or 6.
    pub family: u32,
    /// 2 when each frame is followed by one that goes back, else 1.
    pub directions: u32,
    pub reserved: u32,
}

const _: () = assert!(size_of::<Settings>() == Settings::BYTES);

impl Settings {
    pub const BYTES: usize = 48;

    /// What the object holds until it is overwritten: nothing is built.
    pub const EMPTY: Settings = Settings {
        count: 0,
        burst_gap_ns: 0,
        interface: 0,
        flows: 1,
        burst_frames: 1,
        frame_bytes: 0,
        imix_skip: 0,
        family: 4,
        directions: 1,
        reserved: 0,
    };

    /// The struct as it lies in memory.
    pub fn to_bytes(&self) -> [u8; Settings::BYTES] {
        let mut bytes = [0; Settings::BYTES];
        bytes[0..8].copy_from_slice(&self.count.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.burst_gap_ns.to_ne_bytes());
        let words = [
            self.interface,
            self.flows,
            self.burst_frames,
            self.frame_bytes,
            self.imix_skip,
            self.family,
            self.directions,
            self.reserved,
        ];
        for (place, word) in bytes[16..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// What the program keeps from frame to frame. One thread runs it, so nothing here is per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Frames built and handed to the interface; the next one's sequence number.
    pub built: u64,
    /// Length of all of those.
    pub built_bytes: u64,
    /// Frames whose length could not be set; they were not handed over.
    pub failed: u64,
    /// `CLOCK_MONOTONIC` when the first burst began.
    pub first_ns: u64,
    /// `CLOCK_MONOTONIC` when the latest burst began …
    pub last_ns: u64,
    /// … and the frames built before it.
    pub built_before_last: u64,
    /// When the next burst may begin.
    pub due_ns: u64,
    /// Frames that the current burst still has.
    pub burst_left: u64,
    pub flow: u64,
    pub direction: u64,
    pub imix_slot: u64,
    pub reserved: u64,
}

const _: () = assert!(size_of::<State>() == 8 * State::WORDS);

impl State {
    pub const WORDS: usize = 12;

    /// The struct from its memory, read as words.
    pub fn from_words(words: [u64; State::WORDS]) -> State {
        let [
            built,
            built_bytes,
            failed,
            first_ns,
            last_ns,
            built_before_last,
            due_ns,
            burst_left,
            flow,
            direction,
            imix_slot,
            reserved,
        ] = words;
        State {
            built,
            built_bytes,
            failed,
            first_ns,
            last_ns,
            built_before_last,
            due_ns,
            burst_left,
            flow,
            direction,
            imix_slot,
            reserved,
        }
    }
}

/// Addresses and ports of a flow. All in memory order: stored little-endian they are the bytes of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTuple {
    /// 10.a.b.c, different for every flow.
    pub source_v4: u32,
    /// 198.18.a.b.
    pub destination_v4: u32,
    /// Low half of 2001:2:0:1::/64, different for every flow.
    pub source_v6: u64,
    /// Low half of 2001:2:0:2::/64.
    pub destination_v6: u64,
    /// 32768 and above.
    pub source_port: u16,
    /// 1 to 255, odd.
    pub destination_port: u16,
}

impl FlowTuple {
    /// Multiplying by an odd number maps 24 bits one to one onto 24 bits, so no two flows share a source.
    #[inline(always)]
    pub fn of(flow: u64) -> FlowTuple {
        let mixed = (flow + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let far = (mixed >> 40 & 0xffff) as u32;
        FlowTuple {
            source_v4: 10 | (mixed as u32) << 8,
            destination_v4: 198 | 18 << 8 | far << 16,
            source_v6: mixed,
            destination_v6: u64::from(far) << 48,
            source_port: (mixed >> 24) as u16 | 0x80,
            destination_port: ((mixed >> 56 | 1) << 8) as u16,
        }
    }
}

/// High half of all source addresses, 2001:2:0:1 (from the benchmarking prefix of RFC 5180), in memory order.
pub const PREFIX_SOURCE_V6: u64 = u64::from_le_bytes([0x20, 0x01, 0, 2, 0, 0, 0, 1]);

/// High half of all destination addresses, 2001:2:0:2, in memory order.
pub const PREFIX_DESTINATION_V6: u64 = u64::from_le_bytes([0x20, 0x01, 0, 2, 0, 0, 0, 2]);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn bytes_of_settings_lie_where_the_fields_do() {
        let settings = Settings {
            count: 1,
            burst_gap_ns: 2,
            interface: 3,
            flows: 4,
            burst_frames: 5,
            frame_bytes: 6,
            imix_skip: 7,
            family: 8,
            directions: 9,
            reserved: 10,
        };
        let bytes = settings.to_bytes();
        let word = |offset: usize| u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap());
        let long = |offset: usize| u64::from_ne_bytes(bytes[offset..offset + 8].try_into().unwrap());
        assert_eq!(long(offset_of!(Settings, count)), 1);
        assert_eq!(long(offset_of!(Settings, burst_gap_ns)), 2);
        assert_eq!(word(offset_of!(Settings, interface)), 3);
        assert_eq!(word(offset_of!(Settings, flows)), 4);
        assert_eq!(word(offset_of!(Settings, burst_frames)), 5);
        assert_eq!(word(offset_of!(Settings, frame_bytes)), 6);
        assert_eq!(word(offset_of!(Settings, imix_skip)), 7);
        assert_eq!(word(offset_of!(Settings, family)), 8);
        assert_eq!(word(offset_of!(Settings, directions)), 9);
        assert_eq!(word(offset_of!(Settings, reserved)), 10);
    }

    #[test]
    fn words_of_the_state_lie_where_the_fields_do() {
        let words: [u64; State::WORDS] = std::array::from_fn(|index| index as u64);
        let state = State::from_words(words);
        assert_eq!(state.built, offset_of!(State, built) as u64 / 8);
        assert_eq!(state.built_bytes, offset_of!(State, built_bytes) as u64 / 8);
        assert_eq!(state.failed, offset_of!(State, failed) as u64 / 8);
        assert_eq!(state.first_ns, offset_of!(State, first_ns) as u64 / 8);
        assert_eq!(state.last_ns, offset_of!(State, last_ns) as u64 / 8);
        assert_eq!(state.built_before_last, offset_of!(State, built_before_last) as u64 / 8);
        assert_eq!(state.due_ns, offset_of!(State, due_ns) as u64 / 8);
        assert_eq!(state.burst_left, offset_of!(State, burst_left) as u64 / 8);
        assert_eq!(state.flow, offset_of!(State, flow) as u64 / 8);
        assert_eq!(state.direction, offset_of!(State, direction) as u64 / 8);
        assert_eq!(state.imix_slot, offset_of!(State, imix_slot) as u64 / 8);
    }

    #[test]
    fn a_million_flows_have_a_million_sources_and_ports_that_exist() {
        let tuples: Vec<FlowTuple> = (0..1_000_000).map(FlowTuple::of).collect();
        let sources_v4: HashSet<u32> = tuples.iter().map(|tuple| tuple.source_v4).collect();
        let sources_v6: HashSet<u64> = tuples.iter().map(|tuple| tuple.source_v6).collect();
        assert_eq!((sources_v4.len(), sources_v6.len()), (1_000_000, 1_000_000));
        assert!(tuples.iter().all(|tuple| u16::from_be(tuple.source_port) >= 32_768));
        assert!(tuples.iter().all(|tuple| (1..256).contains(&u16::from_be(tuple.destination_port))));
        assert!(tuples.iter().all(|tuple| tuple.source_v4.to_le_bytes()[0] == 10));
        assert!(tuples.iter().all(|tuple| tuple.destination_v4.to_le_bytes()[..2] == [198, 18]));
    }
}
