//! The frame that parsers live in: one inspector a flow table, which it follows slot by slot.

mod endings;
mod engine;
mod segments;
#[cfg(test)]
mod tests;

use crate::{
    counts::Counts,
    limits::Limits,
    output::{Session, Timing},
    parser::{Sender, Transport},
    parsers::State,
    pool::{BUFFER_BYTES, Buffers, Drafts},
    privacy::Privacy,
    stream::{Kept, Side},
};
use engine::Engine;
use kflow::{AppProtocol, Application, FlowRecord, application::Draft};

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

impl Transaction {
    fn new(application: Application, timing: Timing) -> Transaction {
        let Timing { request_ns, answer_ns } = timing;
        let start_ns = request_ns.or(answer_ns).unwrap_or_default();
        Transaction { application, start_ns, end_ns: answer_ns.unwrap_or(start_ns).max(start_ns) }
    }
}
