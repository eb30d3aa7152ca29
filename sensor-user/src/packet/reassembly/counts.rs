//! What the reassembler counts, and the names that metrics and documentation use.

/// Plain sums since construction.
///
/// `begun` is always the sum of `ended` and the datagrams that are being assembled. `fragments` is always
/// `resolved` plus `claimed` plus `unclaimed` plus the fragments that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReassemblyCounts {
    pub fragments: u64,
    /// Fragments whose flow was known when they came.
    pub resolved: u64,
    /// Fragments that waited until the first one came.
    pub claimed: u64,
    /// Fragments that waited for one that did not come.
    pub unclaimed: u64,
    pub begun: u64,
    /// Indexed by `Ending as usize`.
    pub ended: [u64; Ending::ALL.len()],
    /// Fragments whose bytes were not taken, indexed by `Refusal as usize`.
    pub refused: [u64; Refusal::ALL.len()],
    /// Fragments that brought nothing but bytes that were there, and the same.
    pub duplicate: u64,
    /// Other fragments that brought bytes that were there.
    pub overlapping: u64,
    /// Those of them that had other bytes there: the first ones were kept.
    pub conflicting: u64,
    /// Fragments of datagrams that had already ended.
    pub late: u64,
    /// First fragments of TCP, UDP or SCTP that end before the ports do.
    pub first_without_ports: u64,
}

/// How the assembly of a datagram ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    /// Given out whole.
    Completed,
    /// All of it came, but no length field can say it.
    Oversize,
    /// All of it came, and it is a fragment again (IPv6).
    Nested,
    TimedOut,
    /// It was the oldest when every place for a datagram was taken.
    EvictedDatagrams,
    /// It was the oldest when every block of memory was taken.
    EvictedMemory,
    /// It was the oldest of too many datagrams whose hashes are alike.
    EvictedCrowded,
    /// The sensor stopped.
    Flushed,
}

/// Why the bytes of a fragment are not taken. Its flow is told all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    ZeroLength,
    /// Not the last fragment, and its length is not a multiple of eight.
    Misaligned,
    /// Ends behind the 65 535th byte.
    BeyondMaximum,
    /// The capture does not have all of it.
    CaptureCut,
    /// More header bytes before the payload than there is room for.
    HeaderTooLong,
    /// A last fragment that ends elsewhere than the one before did.
    EndConflict,
    /// Data behind the end, or an end before data that came already.
    BeyondEnd,
}

impl ReassemblyCounts {
    pub fn ended(&self, ending: Ending) -> u64 {
        self.ended[ending as usize]
    }

    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }
}

impl Ending {
    pub const ALL: [Ending; 8] = [
        Ending::Completed,
        Ending::Oversize,
        Ending::Nested,
        Ending::TimedOut,
        Ending::EvictedDatagrams,
        Ending::EvictedMemory,
        Ending::EvictedCrowded,
        Ending::Flushed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Oversize => "oversize",
            Ending::Nested => "nested",
            Ending::TimedOut => "timed_out",
            Ending::EvictedDatagrams => "evicted_datagrams",
            Ending::EvictedMemory => "evicted_memory",
            Ending::EvictedCrowded => "evicted_crowded",
            Ending::Flushed => "flushed",
        }
    }
}

impl Refusal {
    pub const ALL: [Refusal; 7] = [
        Refusal::ZeroLength,
        Refusal::Misaligned,
        Refusal::BeyondMaximum,
        Refusal::CaptureCut,
        Refusal::HeaderTooLong,
        Refusal::EndConflict,
        Refusal::BeyondEnd,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Refusal::ZeroLength => "zero_length",
            Refusal::Misaligned => "misaligned",
            Refusal::BeyondMaximum => "beyond_maximum",
            Refusal::CaptureCut => "capture_cut",
            Refusal::HeaderTooLong => "header_too_long",
            Refusal::EndConflict => "end_conflict",
            Refusal::BeyondEnd => "beyond_end",
        }
    }
}
