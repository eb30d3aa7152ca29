//! The frame that parsers live in: one inspector a flow table, which it follows slot by slot.

mod segments;
#[cfg(test)]
mod tests;

use crate::{
    counts::Counts,
    limits::Limits,
    output::{Completed, Output, Session, Timing},
    parser::{Failure, Input, Opening, Recognition, Sender, Step, Transport},
    parsers::{self, Kind, State},
    pool::{BUFFER_BYTES, Buffers, Drafts},
    privacy::Privacy,
    stream::{Kept, Progress, Side},
    stun,
};
use kflow::{AppProtocol, Application, FlowRecord, application::Draft};

/// Openings of a flow that are tried before it counts as unknown: of one whose beginning was seen, of one that the
/// capture began in the middle of, and how many times as many if a port hints at a protocol.
const OPENINGS_MAX: u8 = 4;
const LATE_OPENINGS_MAX: u8 = 16;
const HINTED_FACTOR: u8 = 4;

/// What looking at nothing costs of the budget.
const PARSE_WORK: u32 = 16;

/// One payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Of the flow in its table.
    pub slot: u32,
    /// The first payload of the flow: whatever was known of the slot is of another one.
    pub is_fresh: bool,
    pub transport: Transport,
    pub sender: Sender,
    pub sender_port: u16,
    pub receiver_port: u16,
    /// As far as it was captured; not empty.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub wire_bytes: u32,
    /// Of the first byte, for TCP.
    pub sequence: u32,
    /// Sequence number of the side's first byte, for TCP, if its SYN was seen.
    pub start: Option<u32>,
    /// Sequence number up to which the sender has all of the other side, for TCP.
    pub acknowledged: Option<u32>,
    pub time_ns: u64,
}

/// Whether more payloads of a flow are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Wanted,
    Done,
}

/// A transaction that goes out in a record of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub application: Application,
    /// The end of the request, or else the start of the answer.
    pub start_ns: u64,
    /// The start of the answer, or else the end of the request.
    pub end_ns: u64,
}

/// What a flow's record says of its application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    pub app_protocol: Option<AppProtocol>,
    pub transactions: u32,
    pub application: Option<Application>,
}

/// Follows the applications of all flows of one table.
#[derive(Debug)]
pub struct Inspector {
    flows: Vec<Flow>,
    kept: Kept,
    engine: Engine,
}

/// One flow.
#[derive(Debug, Default)]
struct Flow {
    /// Nothing more is parsed.
    is_done: bool,
    /// Openings that were tried.
    openings: u8,
    /// In the engine's pool.
    parser: Option<u32>,
    protocol: Option<AppProtocol>,
    /// As a flow of its protocol, which some parsers know by the first message only.
    is_counted: bool,
    session: Option<Session>,
    /// The session, once nothing more is learned of it.
    settled_session: Option<Application>,
    /// The first transaction of the span.
    held: Option<Transaction>,
    /// Completed in the span.
    transactions: u32,
    /// Bytes looked at since the latest transaction, or since bytes were passed over unseen.
    work: u32,
    sides: [Side; 2],
}

const _: () = assert!(size_of::<Flow>() <= 256);

/// Everything that parsing needs beside the flow and the bytes.
#[derive(Debug)]
struct Engine {
    limits: Limits,
    privacy: Privacy,
    states: Vec<State>,
    free_states: Vec<u32>,
    drafts: Drafts,
    buffers: Buffers,
    counts: Counts,
    completed: Vec<Completed>,
    /// Sessions that another one has followed in the same flow.
    followed: Vec<Transaction>,
}

/// What became of bytes that were offered.
#[derive(Clone, Copy, Debug, Default)]
struct Driven {
    /// Bytes that are done with; also more than were offered.
    taken: u64,
    /// Bytes that have to be there next.
    need: usize,
}

/// Bytes of one side that are offered to a parser.
#[derive(Clone, Copy, Debug)]
struct Offer<'a> {
    payload: &'a Payload<'a>,
    bytes: &'a [u8],
    start_ns: u64,
}

impl Inspector {
    pub fn new(limits: Limits, privacy: Privacy) -> Inspector {
        Inspector {
            flows: Vec::with_capacity(limits.flows),
            kept: Kept::new(&limits),
            engine: Engine {
                limits,
                privacy,
                states: Vec::with_capacity(limits.parsers),
                free_states: Vec::with_capacity(limits.parsers),
                drafts: Drafts::new(&limits),
                buffers: Buffers::new(&limits),
                counts: Counts::default(),
                completed: Vec::new(),
                followed: Vec::new(),
            },
        }
    }

    /// Has all memory there now, so that no page fault and no growth comes later.
    pub fn touch(&mut self) {
        let Inspector { flows, kept, engine } = self;
        flows.resize_with(engine.limits.flows, Flow::default);
        kept.touch();
        engine.buffers.touch();
        engine.drafts.touch();
        let unused = engine.states.len()..engine.limits.parsers;
        engine.free_states.extend(unused.clone().rev().map(|state| state as u32));
        engine.states.extend(unused.map(|_| State::Free));
    }

    /// Bytes that an inspector occupies at most.
    pub fn predicted_bytes(limits: &Limits) -> usize {
        limits.flows * size_of::<Flow>()
            + limits.parsers * size_of::<State>()
            + limits.drafts * (size_of::<Draft>() + limits.text_bytes)
            + 2 * limits.buffers * BUFFER_BYTES
    }

    #[inline]
    pub fn counts(&mut self) -> &mut Counts {
        &mut self.engine.counts
    }

    /// Drafts and buffers that flows hold.
    pub fn in_use(&self) -> [usize; 3] {
        [self.engine.drafts.in_use(), self.engine.buffers.in_use(), self.kept.in_use()]
    }

    /// Looks at a payload. Transactions that cannot wait for the flow's record go to `emit`.
    pub fn inspect(&mut self, payload: &Payload<'_>, emit: &mut impl FnMut(Transaction)) -> Interest {
        let slot = payload.slot as usize;
        while self.flows.len() <= slot {
            self.flows.push(Flow::default());
        }
        let Inspector { flows, kept, engine } = self;
        let flow = &mut flows[slot];
        if payload.is_fresh {
            engine.forget(flow, kept);
        }
        if flow.is_done {
            return Interest::Done;
        }
        match payload.transport {
            Transport::Udp => engine.datagram(flow, payload),
            Transport::Tcp if flow.pass_over(payload) => return Interest::Wanted,
            Transport::Tcp => {
                engine.heed_acknowledgement(flow, kept, payload);
                engine.segment(flow, kept, payload);
            }
        }
        engine.collect(flow, emit);
        if flow.is_done {
            flow.sides.iter_mut().for_each(|side| kept.release(side));
            return Interest::Done;
        }
        Interest::Wanted
    }

    /// What the record of a flow's span, which is at hand, is to say; a new span begins. If the flow is over, its slot
    /// is free afterwards. For flows of which a payload was inspected.
    pub fn annotate(
        &mut self,
        slot: u32,
        is_over: bool,
        record: &FlowRecord,
        emit: &mut impl FnMut(Transaction),
    ) -> Annotation {
        let Inspector { flows, kept, engine } = self;
        let Some(flow) = flows.get_mut(slot as usize) else { return Annotation::default() };
        if is_over {
            engine.finish(flow, kept, record);
            engine.collect(flow, emit);
        }
        let application = match (&flow.session, &flow.settled_session) {
            (Some(session), _) => Some(engine.snapshot(session)),
            (None, Some(_)) if is_over => flow.settled_session.take(),
            (None, Some(settled)) => Some(settled.clone()),
            (None, None) => flow.held.take().map(|held| held.application),
        };
        if let Some(held) = flow.held.take() {
            emit(held);
        }
        // A flow may have gone over to another protocol since.
        let app_protocol =
            application.as_ref().map_or(flow.protocol, |application| Some(application.protocol()));
        let transactions = std::mem::take(&mut flow.transactions);
        let annotation = Annotation { app_protocol, transactions, application };
        if is_over {
            engine.forget(flow, kept);
        }
        annotation
    }
}

impl Engine {
    fn datagram(&mut self, flow: &mut Flow, payload: &Payload<'_>) {
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
    fn drive(&mut self, flow: &mut Flow, offer: &Offer<'_>) -> Driven {
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
    fn begin(&mut self, flow: &mut Flow, kind: Kind) -> bool {
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

    fn with_state<R>(
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

    fn note_failure(&mut self, flow: &Flow, failure: Failure) {
        if let Some(protocol) = flow.protocol {
            self.counts.of(protocol).failures[failure as usize] += 1;
        }
    }

    /// Nothing more is parsed of the flow.
    fn settle(&mut self, flow: &mut Flow) {
        flow.is_done = true;
        let Some(parser) = flow.parser.take() else { return };
        self.with_state(flow, parser, |state, output| state.finish(output));
        self.states[parser as usize] = State::Free;
        self.free_states.push(parser);
        if let Some(session) = flow.session.take() {
            flow.settled_session = Some(self.snapshot(&session));
            self.drafts.release(session.draft);
        }
    }

    /// What follows is recognised anew. A session that was there goes out in a record of its own.
    fn follow(&mut self, flow: &mut Flow, now_ns: u64) {
        flow.is_done = false;
        flow.openings = 0;
        if let Some(application) = flow.settled_session.take() {
            self.followed.push(Transaction { application, start_ns: now_ns, end_ns: now_ns });
        }
    }

    /// Another connection of the same flow.
    fn restart(&mut self, flow: &mut Flow, kept: &mut Kept, now_ns: u64) {
        self.settle(flow);
        self.follow(flow, now_ns);
        flow.work = 0;
        for side in &mut flow.sides {
            kept.release(side);
            *side = Side::default();
        }
    }

    /// The flow is over: what waits behind something missing is looked at, then nothing more.
    fn finish(&mut self, flow: &mut Flow, kept: &mut Kept, record: &FlowRecord) {
        for sender in [Sender::Source, Sender::Destination] {
            let (own, other) = match sender {
                Sender::Source => (record.source.port, record.destination.port),
                Sender::Destination => (record.destination.port, record.source.port),
            };
            let payload = Payload {
                slot: 0,
                is_fresh: false,
                transport: Transport::Tcp,
                sender,
                sender_port: own,
                receiver_port: other,
                bytes: &[],
                wire_bytes: 0,
                sequence: 0,
                start: None,
                acknowledged: None,
                time_ns: record.end_ns,
            };
            while !flow.is_done
                && let Some(hole_end) = kept.hole_end(&flow.sides[sender.index()])
            {
                self.lose(flow, kept, &payload, hole_end as u64);
                self.drive_kept(flow, kept, &payload);
            }
            self.recognise_at_last(flow, kept, &payload);
        }
        self.counts.flows_unknown += u64::from(!flow.is_done && flow.protocol.is_none());
        self.settle(flow);
    }

    /// An opening that waits for more bytes is whose it is without them.
    fn recognise_at_last(&mut self, flow: &mut Flow, kept: &mut Kept, payload: &Payload<'_>) {
        let side = &flow.sides[payload.sender.index()];
        let bytes = kept.contiguous(side);
        if flow.is_done || flow.parser.is_some() || bytes.is_empty() {
            return;
        }
        let offer = Offer { payload, bytes, start_ns: side.start_ns };
        let Some(kind) = parsers::recognise_at_last(&offer.opening()) else { return };
        if self.begin(flow, kind) {
            let side = &mut flow.sides[payload.sender.index()];
            side.progress = Progress::Aligned;
            side.need = 0;
            self.drive_kept(flow, kept, payload);
        }
    }

    /// The slot is free. Nothing waits in it any more, unless the end of its flow could not be told.
    fn forget(&mut self, flow: &mut Flow, kept: &mut Kept) {
        self.settle(flow);
        while let Some(Completed { draft, .. }) = self.completed.pop() {
            let counts = self.counts.of(self.drafts.draft(&draft).protocol());
            counts.transactions += 1;
            counts.unexported += 1;
            self.drafts.release(draft);
        }
        if let Some(held) = &flow.held {
            self.counts.of(held.application.protocol()).unexported += 1;
        }
        flow.sides.iter_mut().for_each(|side| kept.release(side));
        *flow = Flow::default();
    }

    /// Counts what was completed, and keeps or emits it.
    fn collect(&mut self, flow: &mut Flow, emit: &mut impl FnMut(Transaction)) {
        if !self.followed.is_empty() {
            self.followed.drain(..).for_each(&mut *emit);
        }
        if self.completed.is_empty() {
            return;
        }
        let mut completed = std::mem::take(&mut self.completed);
        for Completed { draft, timing } in completed.drain(..) {
            let latency_us = timing.latency_us();
            let values = self.drafts.draft(&draft);
            let protocol = values.protocol();
            let counts = self.counts.of(protocol);
            counts.transactions += 1;
            counts.unanswered += u64::from(timing.answer_ns.is_none());
            counts.texts_cut += u64::from(values.is_cut());
            flow.transactions = flow.transactions.saturating_add(1);
            let is_beyond = flow.transactions > self.limits.transactions_per_span;
            counts.unexported += u64::from(is_beyond);
            self.counts.note_latency(protocol, latency_us);
            if !is_beyond {
                let application = self.privacy.apply(values.to_application(latency_us));
                let transaction = Transaction::new(application, timing);
                let may_wait =
                    flow.held.is_none() && flow.session.is_none() && flow.settled_session.is_none();
                if may_wait {
                    flow.held = Some(transaction);
                } else {
                    emit(transaction);
                }
            }
            self.drafts.release(draft);
        }
        self.completed = completed;
    }

    fn snapshot(&self, session: &Session) -> Application {
        self.privacy.apply(self.drafts.draft(&session.draft).to_application(session.latency_us))
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

impl Transaction {
    fn new(application: Application, timing: Timing) -> Transaction {
        let Timing { request_ns, answer_ns } = timing;
        let start_ns = request_ns.or(answer_ns).unwrap_or_default();
        Transaction { application, start_ns, end_ns: answer_ns.unwrap_or(start_ns).max(start_ns) }
    }
}

impl<'a> Offer<'a> {
    fn opening(&self) -> Opening<'a> {
        let Payload { transport, sender, sender_port, receiver_port, .. } = *self.payload;
        Opening { bytes: self.bytes, transport, sender, sender_port, receiver_port }
    }

    fn input(&self) -> Input<'a> {
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
