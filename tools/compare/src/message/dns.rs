//! Messages of DNS put together to transactions, as the sensor does.
//!
//! An answer belongs to the oldest query of its conversation that waits with the same identifier and question. A query
//! that is sent again is a query of its own, and so is an answer that nobody waits for.

use crate::conversation::Key;
use std::collections::VecDeque;

/// One message, in the order of the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub key: Key,
    pub id: u16,
    pub question: Question,
    /// `None` for a query.
    pub rcode: Option<String>,
}

/// The first question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub name: String,
    pub kind: String,
}

/// Each transaction as one message: the query, with the code of its answer.
pub fn transactions(messages: Vec<Message>) -> Vec<Message> {
    let mut waiting: VecDeque<Message> = VecDeque::new();
    let mut complete = Vec::new();
    for message in messages {
        if message.rcode.is_none() {
            waiting.push_back(message);
            continue;
        }
        let is_asked = |query: &Message| {
            query.key == message.key && query.id == message.id && query.question == message.question
        };
        if let Some(place) = waiting.iter().position(is_asked) {
            waiting.remove(place);
        }
        complete.push(message);
    }
    complete.extend(waiting);
    complete
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u16, name: &str, rcode: Option<&str>) -> Message {
        let (key, _) = Key::parse("17 192.0.2.1 5 192.0.2.9 53").unwrap();
        let question = Question { name: name.to_owned(), kind: "1".to_owned() };
        Message { key, id, question, rcode: rcode.map(str::to_owned) }
    }

    #[test]
    fn query_and_answer_are_one_transaction() {
        let queries = [message(1, "a", None), message(2, "b", None)];
        let answers = [message(2, "b", Some("3")), message(1, "a", Some("0"))];
        let all = transactions([queries, answers.clone()].concat());
        assert_eq!(all, answers);
    }

    #[test]
    fn what_has_no_counterpart_stands_alone() {
        let alone = [message(1, "a", Some("0")), message(1, "b", None)];
        assert_eq!(transactions(alone.to_vec()), alone);
    }

    #[test]
    fn query_that_is_sent_again_waits_for_its_own_answer() {
        let query = message(1, "a", None);
        let answer = message(1, "a", Some("0"));
        let once = transactions(vec![query.clone(), query.clone(), answer.clone()]);
        assert_eq!(once, [answer.clone(), query.clone()]);
        let twice = transactions(vec![query.clone(), query, answer.clone(), answer.clone()]);
        assert_eq!(twice, [answer.clone(), answer]);
    }
}
