//! Requests that wait for their answers, in the order in which they were sent.

use crate::output::{DraftId, Output, Timing};

/// Requests of one flow that wait at once; of more, the oldest are given up.
pub const WAITING_MAX: usize = 16;

/// A request whose answer has not begun.
#[derive(Debug)]
pub struct Request<T> {
    /// `None` if there was none left.
    pub draft: Option<DraftId>,
    /// The end of what was seen of it.
    pub end_ns: u64,
    /// What the protocol has to remember of it.
    pub what: T,
}

#[derive(Debug)]
pub struct Queue<T> {
    requests: [Option<Request<T>>; WAITING_MAX],
    count: u8,
}

impl<T> Queue<T> {
    pub const NEW: Queue<T> = Queue { requests: [const { None }; WAITING_MAX], count: 0 };

    pub fn iter(&self) -> impl Iterator<Item = &Request<T>> {
        self.requests.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Request<T>> {
        self.requests.iter_mut().flatten()
    }

    pub fn latest(&mut self) -> Option<&mut Request<T>> {
        self.requests[usize::from(self.count.checked_sub(1)?)].as_mut()
    }

    /// Returns the oldest one if there is no room for another.
    pub fn push(&mut self, request: Request<T>) -> Option<Request<T>> {
        let pushed_out = if usize::from(self.count) == WAITING_MAX { self.take(0) } else { None };
        self.requests[usize::from(self.count)] = Some(request);
        self.count += 1;
        pushed_out
    }

    /// The one that so many are older than.
    pub fn take(&mut self, place: usize) -> Option<Request<T>> {
        let taken = self.requests.get_mut(place)?.take()?;
        self.requests[place..usize::from(self.count)].rotate_left(1);
        self.count -= 1;
        Some(taken)
    }

    /// Completes all of them without an answer.
    pub fn give_up(&mut self, output: &mut Output<'_>) {
        while let Some(request) = self.take(0) {
            request.give_up(output);
        }
    }
}

impl<T> Request<T> {
    /// Completes it without an answer.
    pub fn give_up(self, output: &mut Output<'_>) {
        if let Some(draft) = self.draft {
            output.complete(draft, Timing { request_ns: Some(self.end_ns), answer_ns: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn requests_wait_as_in_a_queue(steps in prop::collection::vec(prop::option::of(0usize..20), 0..60)) {
            let mut queue = Queue::NEW;
            let mut model = VecDeque::new();
            for (what, step) in steps.into_iter().enumerate() {
                let (taken, expected) = match step {
                    Some(place) => (queue.take(place), model.remove(place)),
                    None => {
                        let oldest = (model.len() == WAITING_MAX).then(|| model.pop_front()).flatten();
                        model.push_back(what);
                        (queue.push(Request { draft: None, end_ns: 0, what }), oldest)
                    }
                };
                prop_assert_eq!(taken.map(|request| request.what), expected);
                let all: Vec<usize> = queue.iter().map(|request| request.what).collect();
                prop_assert_eq!(&all, &Vec::from(model.clone()));
                prop_assert_eq!(queue.latest().map(|request| request.what), model.back().copied());
            }
        }
    }
}
