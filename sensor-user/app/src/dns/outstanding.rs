//! Queries that wait for their answers, in the order in which they came.

use super::message::{Header, Question};
use crate::{output::DraftId, parser::Sender};

/// Queries of one flow that wait at once.
pub const QUERIES_MAX: usize = 8;

/// A query that waits.
#[derive(Debug)]
pub struct Query {
    pub identity: Identity,
    /// `None` if there was no room for one: the query is known, but nothing is said of it.
    pub draft: Option<DraftId>,
    pub time_ns: u64,
    pub repeats: u16,
}

/// What tells queries of a flow apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who asked.
    pub sender: Sender,
    pub id: u16,
    /// Of the question, if there is one.
    pub question: Option<u64>,
}

#[derive(Debug)]
pub struct Outstanding {
    /// The oldest first, then free places.
    queries: [Option<Query>; QUERIES_MAX],
}

impl Identity {
    pub fn new(sender: Sender, header: &Header, question: Option<&Question<'_>>) -> Identity {
        Identity { sender, id: header.id, question: question.map(Question::hash) }
    }

    /// Whether it is this query that something with the other identity answers: servers may leave out the question.
    fn is_answered_by(&self, answer: &Identity) -> bool {
        self.id == answer.id
            && self.sender == answer.sender.other()
            && (answer.question.is_none() || self.question == answer.question)
    }
}

impl Outstanding {
    pub const NEW: Outstanding = Outstanding { queries: [const { None }; QUERIES_MAX] };

    /// The query that was sent before.
    pub fn find(&mut self, identity: &Identity) -> Option<&mut Query> {
        self.queries.iter_mut().flatten().find(|query| query.identity == *identity)
    }

    /// Takes out the oldest query that is answered.
    pub fn answer(&mut self, answer: &Identity) -> Option<Query> {
        let is_answered =
            |query: &Option<Query>| query.as_ref().is_some_and(|query| query.identity.is_answered_by(answer));
        let place = self.queries.iter().position(is_answered)?;
        self.take(place)
    }

    /// Takes out the oldest query.
    pub fn pop(&mut self) -> Option<Query> {
        self.take(0)
    }

    pub fn is_full(&self) -> bool {
        self.queries.last().is_some_and(Option::is_some)
    }

    /// Must not be full.
    pub fn push(&mut self, query: Query) {
        let free = self.queries.iter_mut().find(|place| place.is_none());
        *free.expect("there is a free place") = Some(query);
    }

    fn take(&mut self, place: usize) -> Option<Query> {
        let query = self.queries[place].take();
        self.queries[place..].rotate_left(1);
        query
    }
}
