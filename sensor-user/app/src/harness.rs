//! Conversations for the tests of parsers: what each side says, whole or in any pieces.

pub use crate::parser::Sender;

use crate::{
    counts::Counts,
    inspector::{Inspector, Payload},
    limits::Limits,
    parser::Transport,
    privacy::Privacy,
};
use kflow::{AppProtocol, Application, Endpoint, FlowRecord};

/// Nanoseconds between two messages.
pub const STEP_NS: u64 = 1_000_000;

/// Messages of one flow in the order in which they are sent, a millisecond apart.
#[derive(Clone, Debug)]
pub struct Conversation {
    transport: Transport,
    /// Of source and destination.
    ports: [u16; 2],
    messages: Vec<(Sender, Vec<u8>)>,
    limits: Limits,
    /// Bytes that the capture keeps of each payload.
    captured_bytes_max: usize,
}

/// What came of a conversation.
#[derive(Debug)]
pub struct Outcome {
    pub protocol: Option<AppProtocol>,
    /// In the order in which they were completed, those in records of their own first.
    pub transactions: Vec<Application>,
    pub session: Option<Application>,
    pub counts: Counts,
}

/// Enough for one conversation.
pub const LIMITS: Limits = Limits { flows: 4, parsers: 4, drafts: 1024, buffers: 8, ..DEFAULT };
const DEFAULT: Limits = Limits {
    flows: 0,
    parsers: 0,
    drafts: 0,
    text_bytes: 4096,
    buffers: 0,
    work_bytes: 1 << 30,
    transactions_per_span: 1000,
};

impl Conversation {
    pub fn tcp(source_port: u16, destination_port: u16) -> Conversation {
        Conversation::new(Transport::Tcp, [source_port, destination_port])
    }

    pub fn udp(source_port: u16, destination_port: u16) -> Conversation {
        Conversation::new(Transport::Udp, [source_port, destination_port])
    }

    fn new(transport: Transport, ports: [u16; 2]) -> Conversation {
        Conversation {
            transport,
            ports,
            messages: Vec::new(),
            limits: LIMITS,
            captured_bytes_max: usize::MAX,
        }
    }

    #[must_use]
    pub fn say(mut self, sender: Sender, bytes: &[u8]) -> Conversation {
        self.messages.push((sender, bytes.to_vec()));
        self
    }

    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Conversation {
        Conversation { limits, ..self }
    }

    /// The capture keeps so many bytes of each payload.
    #[must_use]
    pub fn cut_to(self, captured_bytes_max: usize) -> Conversation {
        Conversation { captured_bytes_max, ..self }
    }

    /// Every message in one packet.
    pub fn run(&self) -> Outcome {
        self.play(|_| 0)
    }

    /// A stream's messages in pieces whose lengths follow from the seed, some of them in another order or twice.
    pub fn run_split(&self, seed: u64) -> Outcome {
        let mut state = seed | 1;
        self.play(move |bound| {
            // Xorshift: any sequence will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % bound
        })
    }

    fn play(&self, mut random: impl FnMut(usize) -> usize) -> Outcome {
        let is_split = random(1000) > 0 || random(1000) > 0;
        let mut inspector = Inspector::new(self.limits, Privacy::default());
        let mut transactions = Vec::new();
        let mut next = [1000u32, 2_000_000];
        let starts = next;
        let mut is_fresh = true;
        let mut record = FlowRecord {
            source: Endpoint { port: self.ports[0], ..Endpoint::default() },
            destination: Endpoint { port: self.ports[1], ..Endpoint::default() },
            ..FlowRecord::default()
        };
        for (index, (sender, message)) in self.messages.iter().enumerate() {
            let time_ns = (index as u64 + 1) * STEP_NS;
            record.end_ns = time_ns;
            let mut pieces = Vec::new();
            let mut rest: &[u8] = message;
            while !rest.is_empty() || (pieces.is_empty() && self.transport == Transport::Udp) {
                let length = match self.transport {
                    Transport::Tcp if is_split => (1 + random(40)).min(rest.len()),
                    Transport::Tcp => rest.len().min(1460),
                    Transport::Udp => rest.len(),
                };
                let (piece, later) = rest.split_at(length);
                pieces.push((next[sender.index()], piece));
                next[sender.index()] = next[sender.index()].wrapping_add(length as u32);
                rest = later;
            }
            if is_split && self.transport == Transport::Tcp {
                for place in 1..pieces.len() {
                    match random(8) {
                        0 => pieces.swap(place - 1, place),
                        1 => pieces.push(pieces[place - 1]),
                        _ => {}
                    }
                }
            }
            for (sequence, bytes) in pieces {
                let [own, other] = [sender.index(), sender.other().index()].map(|end| self.ports[end]);
                let payload = Payload {
                    slot: 1,
                    is_fresh,
                    transport: self.transport,
                    sender: *sender,
                    sender_port: own,
                    receiver_port: other,
                    bytes: &bytes[..bytes.len().min(self.captured_bytes_max)],
                    wire_bytes: bytes.len() as u32,
                    sequence,
                    start: Some(starts[sender.index()]),
                    acknowledged: None,
                    time_ns,
                };
                is_fresh = false;
                inspector.inspect(&payload, &mut |transaction| transactions.push(transaction.application));
            }
        }
        let (mut session, mut protocol) = (None, None);
        if !is_fresh {
            let annotation = inspector.annotate(1, true, &record, &mut |transaction| {
                transactions.push(transaction.application);
            });
            protocol = annotation.app_protocol;
            match annotation.application {
                Some(first) if annotation.transactions as usize > transactions.len() => {
                    transactions.push(first);
                }
                application => session = application,
            }
        }
        assert_eq!(inspector.in_use(), [0; 3], "everything was given back");
        Outcome { protocol, transactions, session, counts: inspector.counts().clone() }
    }
}

impl Outcome {
    /// What must not depend on how the stream was split.
    pub fn what(&self) -> (Option<AppProtocol>, Vec<Application>, Option<Application>) {
        let mut transactions = self.transactions.clone();
        transactions.sort_by_cached_key(|transaction| format!("{transaction:?}"));
        (self.protocol, transactions, self.session.clone())
    }
}
