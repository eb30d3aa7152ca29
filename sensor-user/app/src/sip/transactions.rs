//! Requests of one flow that wait for their final answers.

use super::message::{Head, StartLine};
use crate::{
    output::{DraftId, Output, Timing},
    parser::{Failure, Input, Sender},
};
use kflow::application::{AppProtocol, Draft, protocols::sip};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Requests that wait at once. The one that was heard of longest ago makes room, without a final answer.
pub(super) const WAITING_MAX: usize = 8;
/// Transactions that are remembered when they are over: what belongs to them is a repetition.
const OVER_MAX: usize = 8;

/// Answers with lower numbers are provisional.
const FINAL_STATUS_MIN: u16 = 200;

#[derive(Debug)]
pub(super) struct Transactions {
    /// In the order in which they were heard of, with nothing in between.
    waiting: [Option<Waiting>; WAITING_MAX],
    over: [Option<Key>; OVER_MAX],
    /// Which of those is forgotten next.
    over_next: u8,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    draft: DraftId,
    timing: Timing,
}

/// What request and answers have in common: who asks, the branch or else the call, number and method. Hashed, so that
/// it is small; who makes two equal confuses but his own flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(u64);

impl Transactions {
    pub const NEW: Transactions =
        Transactions { waiting: [const { None }; WAITING_MAX], over: [None; OVER_MAX], over_next: 0 };

    /// Begins a transaction, unless the request is a repetition.
    pub fn request(&mut self, head: &Head<'_>, input: &Input<'_>, output: &mut Output<'_>) {
        let key = Key::of(head, input.sender);
        if self.position(key).is_some() || self.is_over(key) {
            return;
        }
        let timing = Timing { request_ns: Some(input.end_ns), answer_ns: None };
        if let Some(waiting) = self.begin(key, timing, head, output) {
            self.wait(waiting, output);
        }
    }

    /// Notes an answer, of which the final one ends the transaction.
    pub fn answer(&mut self, status: u16, head: &Head<'_>, input: &Input<'_>, output: &mut Output<'_>) {
        let key = Key::of(head, input.sender.other());
        if self.is_over(key) {
            return;
        }
        let is_final = status >= FINAL_STATUS_MIN;
        let known = match self.position(key) {
            Some(place) => self.take(place),
            // What was not asked for, as far as was captured, pushes out nothing that was.
            None if self.is_full() && !is_final => return,
            None => self.begin(key, Timing::default(), head, output),
        };
        let Some(mut waiting) = known else { return };
        waiting.timing.answer_ns.get_or_insert(input.start_ns);
        output.draft(&waiting.draft).number(sip::STATUS, status);
        if is_final {
            self.note_over(key);
            output.complete(waiting.draft, waiting.timing);
        } else {
            self.wait(waiting, output);
        }
    }

    /// All that wait will not get their final answers.
    pub fn finish(&mut self, output: &mut Output<'_>) {
        for Waiting { draft, timing, .. } in self.waiting.iter_mut().filter_map(Option::take) {
            output.complete(draft, timing);
        }
    }

    /// `None` if there is no draft: all of the transaction is passed over.
    fn begin(
        &mut self,
        key: Key,
        timing: Timing,
        head: &Head<'_>,
        output: &mut Output<'_>,
    ) -> Option<Waiting> {
        let Some(draft) = output.begin(AppProtocol::Sip) else {
            self.note_over(key);
            return None;
        };
        describe(head, output.draft(&draft));
        Some(Waiting { key, draft, timing })
    }

    fn wait(&mut self, waiting: Waiting, output: &mut Output<'_>) {
        // What makes room is not over: its final answer may still come.
        if self.is_full()
            && let Some(Waiting { draft, timing, .. }) = self.take(0)
        {
            output.counts.of(AppProtocol::Sip).failures[Failure::Limit as usize] += 1;
            output.complete(draft, timing);
        }
        let free = self.waiting.iter_mut().find(|place| place.is_none());
        *free.expect("room was made") = Some(waiting);
    }

    fn take(&mut self, place: usize) -> Option<Waiting> {
        let waiting = self.waiting[place].take();
        self.waiting[place..].rotate_left(1);
        waiting
    }

    fn position(&self, key: Key) -> Option<usize> {
        self.waiting.iter().flatten().position(|waiting| waiting.key == key)
    }

    fn is_full(&self) -> bool {
        self.waiting.iter().all(Option::is_some)
    }

    fn is_over(&self, key: Key) -> bool {
        self.over.contains(&Some(key))
    }

    fn note_over(&mut self, key: Key) {
        self.over[usize::from(self.over_next)] = Some(key);
        self.over_next = (self.over_next + 1) % OVER_MAX as u8;
    }
}

impl Key {
    fn of(head: &Head<'_>, requester: Sender) -> Key {
        let mut hasher = DefaultHasher::new();
        requester.index().hash(&mut hasher);
        match (head.branch(), head.call_id) {
            (Some(branch), _) => branch.hash(&mut hasher),
            (None, Some(call_id)) => call_id.words().for_each(|word| word.hash(&mut hasher)),
            (None, None) => {}
        }
        if let Some(cseq) = head.cseq {
            cseq.words().for_each(|word| word.hash(&mut hasher));
        }
        Key(hasher.finish())
    }
}

/// What a request says, or an answer in its place.
fn describe(head: &Head<'_>, draft: &mut Draft) {
    if let Some(method) = head.method() {
        draft.text(sip::METHOD, method);
    }
    if let StartLine::Request { uri, .. } = head.start {
        draft.text(sip::URI, uri);
    }
    let headers = [
        (sip::FROM, head.from),
        (sip::TO, head.to),
        (sip::USER_AGENT, head.user_agent),
        (sip::CALL_ID, head.call_id),
    ];
    for (key, value) in headers {
        if let Some(value) = value {
            draft.text_with(key, |writer| value.write(writer));
        }
    }
}
