//! Requests of one flow that wait for their answers.

use crate::{
    output::{DraftId, Output, Timing},
    parser::{Input, Sender},
};

/// At most `N` requests; the oldest one makes room for the next.
#[derive(Debug)]
pub(crate) struct Waiting<Id, const N: usize> {
    requests: [Option<Request<Id>>; N],
}

#[derive(Debug)]
pub(crate) struct Request<Id> {
    id: Id,
    sender: Sender,
    /// When its last byte came.
    pub end_ns: u64,
    /// `None` if there was no room for it, or if it left without waiting for the answer.
    pub draft: Option<DraftId>,
}

impl<Id: Copy, const N: usize> Waiting<Id, N> {
    pub(crate) const NEW: Waiting<Id, N> = Waiting { requests: [const { None }; N] };

    /// Lets a request wait. The one that makes room for it is completed without an answer.
    pub(crate) fn add(&mut self, request: Request<Id>, output: &mut Output<'_>) {
        let place = self.requests.iter_mut().min_by_key(|place| place.as_ref().map(|old| old.end_ns));
        let place = place.expect("there is room for at least one");
        if let Some(oldest) = place.replace(request) {
            oldest.give_up(output);
        }
    }

    /// Whether a request of this sender waits under such an identifier.
    pub(crate) fn holds(&self, sender: Sender, is_meant: impl Fn(Id) -> bool) -> bool {
        self.requests.iter().flatten().any(|request| request.sender == sender && is_meant(request.id))
    }

    /// The request that this sender made under such an identifier.
    pub(crate) fn take(&mut self, sender: Sender, is_meant: impl Fn(Id) -> bool) -> Option<Request<Id>> {
        self.requests
            .iter_mut()
            .find_map(|place| place.take_if(|request| request.sender == sender && is_meant(request.id)))
    }

    /// Completes all requests without answers.
    pub(crate) fn finish(&mut self, output: &mut Output<'_>) {
        for request in self.requests.iter_mut().filter_map(Option::take) {
            request.give_up(output);
        }
    }
}

impl<Id> Request<Id> {
    pub(crate) fn new(id: Id, draft: Option<DraftId>, input: &Input<'_>) -> Request<Id> {
        Request { id, sender: input.sender, end_ns: input.end_ns, draft }
    }

    /// Completes the request without an answer.
    pub(crate) fn give_up(self, output: &mut Output<'_>) {
        if let Some(draft) = self.draft {
            output.complete(draft, Timing { request_ns: Some(self.end_ns), answer_ns: None });
        }
    }
}
