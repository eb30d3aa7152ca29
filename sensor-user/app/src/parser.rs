//! What a parser of a protocol is.

use crate::output::Output;
use kflow::AppProtocol;

/// A parser: the state of one flow.
///
/// A parser sees datagrams as they come, and of a stream the bytes that it has not taken yet, contiguous and in order.
/// How a stream was split into segments must not change what comes out.
pub trait Parser: Sized {
    /// The carriers of the protocol.
    const TRANSPORTS: &[Transport];
    /// Ports that hint at the protocol: flows that use one are tried with this parser first.
    const PORTS: &[u16];
    /// Nothing was seen yet.
    const NEW: Self;

    /// Whether these first bytes that one side sent are of this protocol. Cheap: it is asked for every flow.
    fn recognise(opening: &Opening<'_>) -> Recognition;

    /// What to call the flow.
    fn protocol(&self) -> AppProtocol;

    /// Looks at the bytes of one side.
    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step;

    /// What there is of a message that will not be whole, since bytes of the stream are missing or were not captured:
    /// it was offered before, and [`Parser::resume`] follows.
    fn salvage(&mut self, _input: &Input<'_>, _output: &mut Output<'_>) {}

    /// Bytes of a stream are missing: what this side had begun is over. Whether the parser can go on with a later
    /// message that [`Parser::recognise`] knows by its first bytes.
    fn resume(&mut self, _sender: Sender, _output: &mut Output<'_>) -> bool {
        false
    }

    /// The flow is over: requests without an answer are completed without one. Every draft has to leave.
    fn finish(&mut self, output: &mut Output<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A stream: segments that were put in order.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Which end of the flow sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Source,
    Destination,
}

/// The first bytes of one side.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    pub bytes: &'a [u8],
    pub transport: Transport,
    pub sender: Sender,
    pub sender_port: u16,
    pub receiver_port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    Yes,
    /// Too few bytes to tell, all of which fit. Only of a stream.
    More,
    No,
}

/// A datagram, or the bytes of a stream that the parser has not taken yet.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Of a stream never empty.
    pub bytes: &'a [u8],
    pub transport: Transport,
    pub sender: Sender,
    pub sender_port: u16,
    pub receiver_port: u16,
    /// When the first of the bytes came.
    pub start_ns: u64,
    /// When the last of them came.
    pub end_ns: u64,
    /// Not all of the datagram was captured. Of a stream never: what was not captured is missing.
    pub is_cut: bool,
}

/// What a parser did with its input. Of a datagram only the last three mean something beside each other: it is not
/// offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are done with, at least one; also more than there are, which are passed over unseen.
    Took(u64),
    /// Not before so many bytes are there, counted from the first of the input.
    Need(usize),
    /// Nothing more is wanted of this side.
    SideDone,
    /// Nothing more is wanted of the flow.
    Done,
    /// After so many bytes of this side, another protocol begins on both sides.
    HandOver(usize),
    Failed(Failure),
}

/// Why a message could not be parsed. A stream is only counted from then on; of datagrams the next one is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// Against the protocol.
    Malformed,
    /// Longer, deeper or more than the parser follows.
    Limit,
    /// The capture cut the message.
    Cut,
    /// Bytes of the stream are missing.
    Gap,
    /// A version or a kind of message that the parser does not know.
    Unsupported,
}

impl Failure {
    pub const ALL: [Failure; 5] =
        [Failure::Malformed, Failure::Limit, Failure::Cut, Failure::Gap, Failure::Unsupported];

    /// As metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Failure::Malformed => "malformed",
            Failure::Limit => "limit",
            Failure::Cut => "cut",
            Failure::Gap => "gap",
            Failure::Unsupported => "unsupported",
        }
    }
}

impl Sender {
    pub const fn index(self) -> usize {
        match self {
            Sender::Source => 0,
            Sender::Destination => 1,
        }
    }

    #[must_use]
    pub const fn other(self) -> Sender {
        match self {
            Sender::Source => Sender::Destination,
            Sender::Destination => Sender::Source,
        }
    }
}

impl Opening<'_> {
    /// Whether either side uses one of these ports.
    pub fn has_port(&self, ports: &[u16]) -> bool {
        ports.contains(&self.receiver_port) || ports.contains(&self.sender_port)
    }
}
