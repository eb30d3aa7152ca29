//! Bytes on their way through a flow's parser: recognised, offered, and charged to the flow's budget.

use super::{Flow, Payload, Transaction};
use crate::{
    counts::Counts,
    limits::Limits,
    output::{Completed, Output},
    parser::{Failure, Input, Opening, Recognition, Step, Transport},
    parsers::{self, Kind, State},
    pool::{BUFFER_BYTES, Buffers, Drafts},
    privacy::Privacy,
    stream::Progress,
    stun,
};

/// Openings of a flow that are tried before it counts as unknown: of one whose beginning was seen, of one that the
/// capture began in the middle of, and how many times as many if a port hints at a protocol.
const OPENINGS_MAX: u8 = 4;
const LATE_OPENINGS_MAX: u8 = 16;
const HINTED_FACTOR: u8 = 4;

/// What looking at nothing costs of the budget.
const PARSE_WORK: u32 = 16;

/// Everything that parsing needs beside the flow and the bytes.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) limits: Limits,
    pub(super) privacy: Privacy,
    pub(super) states: Vec<State>,
    pub(super) free_states: Vec<u32>,
    pub(super) drafts: Drafts,
    pub(super) buffers: Buffers,
    pub(super) counts: Counts,
    pub(super) completed: Vec<Completed>,
    /// Sessions that another one has followed in the same flow.
    pub(super) followed: Vec<Transaction>,
}

/// What became of bytes that were offered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Driven {
    /// Bytes that are done with; also more than were offered.
    pub(super) taken: u64,
    /// Bytes that have to be there next.
    pub(super) need: usize,
}

/// Bytes of one side that are offered to a parser.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) payload: &'a Payload<'a>,
    pub(super) bytes: &'a [u8],
    pub(super) start_ns: u64,
}

impl Engine {
    pub(super) fn datagram(&mut self, flow: &mut Flow, payload: &Payload<'_>) {
        let offer = Offer { payload, bytes: payload.bytes, start_ns: payload.time_ns };
        // A message of STUN is no opening: it comes before one.
        let is_before = flow.parser.is_none() && stun::is_message(payload.bytes);
        if is_before || flow.parser.is_none() && self.recognise(flow, &offer) != Recognition::Yes {
            return;
        }
        match self.parse(flow, &offer) {
            Step::Took(_) | Step::SideDone => {}
            Step::Done => self.settle(flow),
            // A datagram is all there is.
            Step::Need(_) => self.note_failure(flow, Failure::Malformed),
            Step::HandOver(_) => self.settle(flow),
            Step::Failed(failure) => self.note_failure(flow, failure),
        }
    }

    /// Has as many of the bytes parsed as can be.
    pub(super) fn drive(&mut self, flow: &mut Flow, offer: &Offer<'_>) -> Driven {
        let sender = offer.payload.sender.index();
        let all = Driven { taken: offer.bytes.len() as u64, need: 0 };
        let mut taken = 0;
        let mut start_ns = offer.start_ns;
        while taken < offer.bytes.len() {
            let rest = Offer { bytes: &offer.bytes[taken..], start_ns, ..*offer };
            if flow.parser.is_none() {
                match self.recognise(flow, &rest) {
                    Recognition::Yes => flow.sides[sender].progress = Progress::Aligned,
                    Recognition::More => return Driven { taken: taken as u64, need: rest.bytes.len() + 1 },
                    Recognition::No => return all,
                }
            } else if flow.sides[sender].progress == Progress::Lost {
                match self.resynchronise(flow, &rest) {
                    Recognition::Yes => flow.sides[sender].progress = Progress::Aligned,
                    Recognition::More => return Driven { taken: taken as u64, need: rest.bytes.len() + 1 },
                    Recognition::No => return all,
                }
            }
            match self.parse(flow, &rest) {
                Step::Took(0) => {
                    debug_assert!(false, "a parser takes something or says what it needs");
                    self.note_failure(flow, Failure::Malformed);
                    self.settle(flow);
                    return all;
                }
                Step::Took(bytes) if bytes > rest.bytes.len() as u64 => {
                    return Driven { taken: taken as u64 + bytes, need: 0 };
                }
                Step::Took(bytes) => taken += bytes as usize,
                Step::Need(bytes) if bytes > BUFFER_BYTES || rest.bytes.len() >= BUFFER_BYTES => {
                    self.note_failure(flow, Failure::Limit);
                    self.settle(flow);
                    return all;
                }
                Step::Need(bytes) => {
                    return Driven { taken: taken as u64, need: bytes.max(rest.bytes.len() + 1) };
                }
                Step::SideDone => {
                    flow.sides[sender].progress = Progress::Done;
                    if flow.sides.iter().all(|side| side.progress == Progress::Done) {
                        self.settle(flow);
                    }
                    return all;
                }
                Step::Done => {
                    self.settle(flow);
                    return all;
                }
                Step::HandOver(bytes) => {
                    self.settle(flow);
                    self.follow(flow, offer.payload.time_ns);
                    for side in flow.sides.iter_mut().filter(|side| side.progress == Progress::Done) {
                        side.progress = Progress::Aligned;
                    }
                    taken += bytes.min(rest.bytes.len());
                }
                Step::Failed(failure) => {
                    self.note_failure(flow, failure);
                    self.settle(flow);
                    return all;
                }
            }
            start_ns = offer.payload.time_ns;
        }
        all
    }

    fn parse(&mut self, flow: &mut Flow, offer: &Offer<'_>) -> Step {
        let Some(parser) = flow.parser else { return Step::Done };
        if flow.work > self.limits.work_bytes {
            if let Some(protocol) = flow.protocol {
                self.counts.of(protocol).over_budget += 1;
            }
            return Step::Done;
        }
        let input = offer.input();
        let step = self.with_state(flow, parser, |state, output| state.parse(&input, output));
        if let Some(protocol) = flow.protocol
            && !flow.is_counted
        {
            self.counts.of(protocol).flows += 1;
            flow.is_counted = true;
        }
        let offered = offer.bytes.len() as u64;
        let (looked_at, passed_over) = match step {
            Step::Took(bytes) => (bytes.min(offered), bytes.saturating_sub(offered)),
            _ => (offered, 0),
        };
        flow.work = flow.work.saturating_add(looked_at as u32 + PARSE_WORK);
        if !self.completed.is_empty() || passed_over > 0 {
            flow.work = 0;
        }
        step
    }

    /// Whose flow this is, by its first bytes.
    fn recognise(&mut self, flow: &mut Flow, offer: &Offer<'_>) -> Recognition {
        let opening = offer.opening();
        let (recognition, kind) = parsers::recognise(&opening);
        if let Some(kind) = kind {
            return if self.begin(flow, kind) { Recognition::Yes } else { Recognition::No };
        }
        if recognition == Recognition::More && opening.transport == Transport::Tcp {
            return Recognition::More;
        }
        flow.openings += 1;
        self.counts.openings_unknown += 1;
        let is_late = opening.transport == Transport::Tcp && offer.payload.start.is_none();
        let tries = if is_late { LATE_OPENINGS_MAX } else { OPENINGS_MAX };
        let tries = if parsers::is_hinted(&opening) { tries * HINTED_FACTOR } else { tries };
        if flow.openings >= tries {
            flow.is_done = true;
            self.counts.flows_unknown += u64::from(flow.protocol.is_none());
        }
        Recognition::No
    }

    /// Gives a flow its parser. Whether there was one left.
    pub(super) fn begin(&mut self, flow: &mut Flow, kind: Kind) -> bool {
        let Some(parser) = self.take_state(kind.begin()) else {
            self.counts.shed_parsers += 1;
            flow.is_done = true;
            return false;
        };
        flow.parser = Some(parser);
        flow.protocol = self.states[parser as usize].protocol();
        flow.is_counted = false;
        true
    }

    /// Whether the flow's protocol goes on here.
    fn resynchronise(&mut self, flow: &mut Flow, offer: &Offer<'_>) -> Recognition {
        flow.work = flow.work.saturating_add(PARSE_WORK);
        if flow.work > self.limits.work_bytes {
            self.settle(flow);
            return Recognition::No;
        }
        let kind = flow.parser.and_then(|parser| self.states[parser as usize].kind());
        kind.map_or(Recognition::No, |kind| kind.recognise(&offer.opening()))
    }

    pub(super) fn with_state<R>(
        &mut self,
        flow: &mut Flow,
        parser: u32,
        act: impl FnOnce(&mut State, &mut Output<'_>) -> R,
    ) -> R {
        let Engine { states, drafts, buffers, counts, completed, .. } = self;
        let mut output = Output { drafts, buffers, counts, session: &mut flow.session, completed };
        let state = &mut states[parser as usize];
        let result = act(state, &mut output);
        flow.protocol = state.protocol();
        result
    }

    pub(super) fn note_failure(&mut self, flow: &Flow, failure: Failure) {
        if let Some(protocol) = flow.protocol {
            self.counts.of(protocol).failures[failure as usize] += 1;
        }
    }

    fn take_state(&mut self, state: State) -> Option<u32> {
        if let Some(free) = self.free_states.pop() {
            self.states[free as usize] = state;
            return Some(free);
        }
        if self.states.len() == self.limits.parsers {
            return None;
        }
        self.states.push(state);
        Some(self.states.len() as u32 - 1)
    }
}

impl<'a> Offer<'a> {
    pub(super) fn opening(&self) -> Opening<'a> {
        let Payload { transport, sender, sender_port, receiver_port, .. } = *self.payload;
        Opening { bytes: self.bytes, transport, sender, sender_port, receiver_port }
    }

    pub(super) fn input(&self) -> Input<'a> {
        let Payload { transport, sender, sender_port, receiver_port, time_ns, wire_bytes, .. } =
            *self.payload;
        Input {
            bytes: self.bytes,
            transport,
            sender,
            sender_port,
            receiver_port,
            start_ns: self.start_ns,
            end_ns: time_ns,
            is_cut: transport == Transport::Udp && (wire_bytes as usize) > self.bytes.len(),
        }
    }
}
