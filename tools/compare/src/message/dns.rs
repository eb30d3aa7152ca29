//! Messages of DNS put together to transactions, as the sensor does.
//!
//! An answer belongs to the query of its conversation that waits with the same identifier and question; one that nobody
//! waits for stands alone. A query that is sent again while it waits is the same one. Later messages of a zone transfer
//! belong to its first. In multicast DNS each message stands alone.

use crate::conversation::Key;
use crate::facts::TCP;
use std::collections::BTreeMap;

const MULTICAST_PORT: u16 = 5353;
/// Types of questions for whole zones or what changed in them.
const TRANSFERS: [&str; 2] = ["251", "252"];

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

/// Each transaction as one message: the question as it was asked, with the code of its answer.
pub fn transactions(messages: Vec<Message>) -> Vec<Message> {
    let mut waiting: Vec<Message> = Vec::new();
    let mut transfers: BTreeMap<Key, u16> = BTreeMap::new();
    let mut complete = Vec::new();
    for mut message in messages {
        let place = waiting.iter().position(|query| query.is_of_same_transaction(&message));
        if message.is_multicast() {
            complete.push(message);
        } else if message.rcode.is_none() {
            waiting.extend(place.is_none().then_some(message));
        } else if let Some(place) = place {
            message.question = waiting.remove(place).question;
            note_transfer(&mut transfers, &message);
            complete.push(message);
        } else if transfers.get(&message.key) != Some(&message.id) {
            note_transfer(&mut transfers, &message);
            complete.push(message);
        }
    }
    complete.extend(waiting);
    complete
}

/// Whether later answers are of the same transfer depends on the latest one.
fn note_transfer(transfers: &mut BTreeMap<Key, u16>, answer: &Message) {
    if answer.key.protocol == TCP && TRANSFERS.contains(&answer.question.kind.as_str()) {
        transfers.insert(answer.key, answer.id);
    } else {
        transfers.remove(&answer.key);
    }
}

impl Message {
    fn is_multicast(&self) -> bool {
        self.key.protocol != TCP && [self.key.a.1, self.key.b.1].contains(&MULTICAST_PORT)
    }

    fn is_of_same_transaction(&self, other: &Message) -> bool {
        let is_same_question = self.question.kind == other.question.kind
            && self.question.name.eq_ignore_ascii_case(&other.question.name);
        self.key == other.key && self.id == other.id && is_same_question
    }
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
    fn query_that_is_sent_again_is_the_same_while_it_waits() {
        let (query, answer) = (message(1, "a", None), message(1, "A", Some("0")));
        let asked = message(1, "a", Some("0"));
        let messages = [&query, &query, &answer, &answer, &query].map(Clone::clone);
        assert_eq!(transactions(messages.to_vec()), [asked, answer, query]);
    }

    #[test]
    fn messages_of_multicast_stand_alone() {
        let (key, _) = Key::parse("17 192.0.2.1 5353 224.0.0.251 5353").unwrap();
        let messages = [message(0, "a", None), message(0, "a", None), message(0, "a", Some("0"))];
        let messages = messages.map(|message| Message { key, ..message });
        assert_eq!(transactions(messages.to_vec()), messages);
    }

    #[test]
    fn transfer_of_a_zone_is_one_transaction() {
        let (key, _) = Key::parse("6 192.0.2.1 40000 192.0.2.9 53").unwrap();
        let of_kind = |kind: &str, rcode| Message {
            key,
            question: Question { name: "a".to_owned(), kind: kind.to_owned() },
            ..message(1, "a", rcode)
        };
        let (query, answer) = (of_kind("252", None), of_kind("252", Some("0")));
        let all = transactions(vec![query, answer.clone(), answer.clone(), answer.clone()]);
        assert_eq!(all, std::slice::from_ref(&answer));
        let other = of_kind("1", Some("0"));
        assert_eq!(transactions(vec![other.clone(), other.clone()]), [other.clone(), other]);
    }
}
