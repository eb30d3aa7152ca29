//! What ends: a parser, a connection, a flow, a transaction; and what they leave behind.

use super::{
    Flow, Payload, Transaction,
    engine::{Engine, Offer},
};
use crate::{
    output::{Completed, Session},
    parser::{Sender, Transport},
    parsers::{self, State},
    stream::{Kept, Progress, Side},
};
use kflow::{Application, FlowRecord};

impl Engine {
    /// Nothing more is parsed of the flow.
    pub(super) fn settle(&mut self, flow: &mut Flow) {
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
    pub(super) fn follow(&mut self, flow: &mut Flow, now_ns: u64) {
        flow.is_done = false;
        flow.openings = 0;
        if let Some(application) = flow.settled_session.take() {
            self.followed.push(Transaction { application, start_ns: now_ns, end_ns: now_ns });
        }
    }

    /// Another connection of the same flow.
    pub(super) fn restart(&mut self, flow: &mut Flow, kept: &mut Kept, now_ns: u64) {
        self.settle(flow);
        self.follow(flow, now_ns);
        flow.work = 0;
        for side in &mut flow.sides {
            kept.release(side);
            *side = Side::default();
        }
    }

    /// The flow is over: what waits behind something missing is looked at, then nothing more.
    pub(super) fn finish(&mut self, flow: &mut Flow, kept: &mut Kept, record: &FlowRecord) {
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
    pub(super) fn forget(&mut self, flow: &mut Flow, kept: &mut Kept) {
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
    pub(super) fn collect(&mut self, flow: &mut Flow, emit: &mut impl FnMut(Transaction)) {
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

    pub(super) fn snapshot(&self, session: &Session) -> Application {
        self.privacy.apply(self.drafts.draft(&session.draft).to_application(session.latency_us))
    }
}
