//! Conversations from a seed: the same options give the same frames, byte for byte, on every machine.
//!
//! ```text
//! Options ─► Traffic ─► TimedFrame, TimedFrame, … in order of time
//!               └────► Expected: what has been given out so far, by outer and by inner packets, what TCP did
//!                              and what applications said
//! ```
//!
//! Conversations start a millisecond apart and overlap. Every conversation has an address pair of its own, so
//! no two of them share a flow key however a sensor builds it. Only those running at one moment are in memory.
//!
//! A conversation is planned as a list of frames, each with what is meant by it; the meaning is added to what is
//! expected when the frame is given out.

mod applications;
mod conversation;
mod expected;
mod garbage;
mod hostile;
mod planned;
pub(crate) mod random;
pub mod stream;
mod talk;
mod tcp;
mod tcp_expected;
mod trouble;
mod tunnelled;

pub use expected::{
    ApplicationExpected, Conversation, ConversationKey, Counters, Expected, InnerConversation, InnerKey,
};
pub use talk::Side;
pub use tcp_expected::{TcpConversation, TcpExpected, TcpSign};

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use planned::{InnerMeaning, Meaning, PacketMeaning, Planned, PlannedFrame};
use random::Random;

/// What kind of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Handshake, data both ways, FIN or RST; IPv4.
    Tcp,
    /// One to eight requests, most of them answered, like DNS; IPv4.
    Udp,
    /// Echo requests, most of them answered; both families.
    Icmp,
    /// TCP, UDP and echo over IPv6, some with extension headers.
    Ipv6,
    /// TCP and UDP behind one or two VLAN tags.
    Vlan,
    /// UDP datagrams in fragments; both families.
    Fragments,
    /// SCTP, OSPF and an experimental protocol number; IPv4 options.
    Protocols,
    /// TCP with segments of up to 8 960 bytes.
    Jumbo,
    /// Frames that are no flow: ARP, unknown EtherTypes, noise, cut and damaged IP headers.
    Garbage,
    /// All of the above but jumbo.
    All,
    /// TCP connections with losses, reordering, zero windows, keep-alives and the like; IPv4.
    TcpTrouble,
    /// Conversations inside of tunnels and behind MPLS, PPPoE, LLC and QinQ.
    Tunnels,
    /// What an attacker or a broken sender makes: fragments that overlap, segments that contradict each other, tunnels
    /// without end, lengths of zero. Frames of up to 3 500 bytes.
    Hostile,
    /// What applications say: names that are looked up, pages, hellos, sessions; some of TCP's segments swapped or
    /// repeated; both families.
    Applications,
}

impl Mix {
    pub const ALL: [Mix; 14] = [
        Mix::Tcp,
        Mix::Udp,
        Mix::Icmp,
        Mix::Ipv6,
        Mix::Vlan,
        Mix::Fragments,
        Mix::Protocols,
        Mix::Jumbo,
        Mix::Garbage,
        Mix::All,
        Mix::TcpTrouble,
        Mix::Tunnels,
        Mix::Hostile,
        Mix::Applications,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Mix::Tcp => "tcp",
            Mix::Udp => "udp",
            Mix::Icmp => "icmp",
            Mix::Ipv6 => "ipv6",
            Mix::Vlan => "vlan",
            Mix::Fragments => "fragments",
            Mix::Protocols => "protocols",
            Mix::Jumbo => "jumbo",
            Mix::Garbage => "garbage",
            Mix::All => "all",
            Mix::TcpTrouble => "tcp-trouble",
            Mix::Tunnels => "tunnels",
            Mix::Hostile => "hostile",
            Mix::Applications => "applications",
        }
    }

    pub fn from_name(name: &str) -> Option<Mix> {
        Mix::ALL.into_iter().find(|mix| mix.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub mix: Mix,
    pub seed: u64,
    /// At most [`CONVERSATIONS_MAX`].
    pub conversations: u32,
}

/// Conversations of a mix are told apart by 24 bits of an address.
pub const CONVERSATIONS_MAX: u32 = 1 << 24;

/// Time of the first conversation: 2026-01-01T00:00:00Z.
pub const START_NS: u64 = 1_767_225_600_000_000_000;

/// One frame of a mix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedFrame {
    /// Since the Unix epoch.
    pub time_ns: u64,
    /// Which conversation of the mix planned it, from zero.
    pub conversation: u32,
    pub bytes: Vec<u8>,
    /// What the frame is, for people.
    pub description: &'static str,
}

/// The frames of a mix in order of time.
#[derive(Clone, Debug)]
pub struct Traffic {
    options: Options,
    random: Random,
    conversations_begun: u32,
    waiting: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    expected: Expected,
}

impl Traffic {
    pub fn new(options: Options) -> Traffic {
        assert!(options.conversations <= CONVERSATIONS_MAX, "at most {CONVERSATIONS_MAX} conversations");
        Traffic {
            options,
            random: Random::new(options.seed),
            conversations_begun: 0,
            waiting: BinaryHeap::new(),
            planned: 0,
            expected: Expected::default(),
        }
    }

    /// The counters of the frames given out so far; of the whole mix once the iterator has ended.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    pub fn into_expected(self) -> Expected {
        self.expected
    }

    /// Plans conversations until none that is still to begin could have a frame before the next one waiting.
    fn begin_conversations(&mut self) {
        while self.conversations_begun < self.options.conversations {
            let start_ns = START_NS + u64::from(self.conversations_begun) * CONVERSATION_SPACING_NS;
            if self.waiting.peek().is_some_and(|Reverse(next)| next.time_ns < start_ns) {
                return;
            }
            self.begin_conversation(start_ns);
        }
    }

    fn begin_conversation(&mut self, start_ns: u64) {
        let conversation = self.conversations_begun;
        self.conversations_begun += 1;
        let (mut time_ns, mut gap_ns) = (start_ns, 0);
        for frame in conversation::plan(self.options.mix, conversation, &mut self.random) {
            time_ns += frame.wait_ns.unwrap_or(gap_ns);
            let order = self.planned;
            self.planned += 1;
            self.waiting.push(Reverse(Planned { time_ns, order, conversation, frame }));
            gap_ns = self.random.between(FRAME_GAP_NS.0, FRAME_GAP_NS.1);
        }
    }
}

impl Iterator for Traffic {
    type Item = TimedFrame;

    fn next(&mut self) -> Option<TimedFrame> {
        self.begin_conversations();
        let Reverse(Planned { time_ns, conversation, frame, .. }) = self.waiting.pop()?;
        match &frame.meaning {
            Meaning::Packet(meaning) => self.expected.count(meaning, frame.bytes.len()),
            Meaning::NotFlow => self.expected.not_flow += 1,
        }
        Some(TimedFrame { time_ns, conversation, bytes: frame.bytes, description: frame.description })
    }
}

const CONVERSATION_SPACING_NS: u64 = 1_000_000;

/// Between the frames of one conversation, if it does not say.
const FRAME_GAP_NS: (u64, u64) = (20_000, 800_000);
