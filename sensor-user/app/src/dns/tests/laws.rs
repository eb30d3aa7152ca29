//! What holds for any conversation.

use super::{STEP_US, query, udp};
use crate::{
    dns::{
        build::{A, Build, CNAME, SRV, piece},
        outstanding::QUERIES_MAX,
    },
    harness::{Conversation, Sender::*},
};
use kflow::application::{Application, protocols::dns};
use proptest::prelude::*;

/// What is said, by whom: a name of three, an identifier of three, a question or an answer.
type Said = (bool, u16, usize, bool);

const NAMES: [&str; 3] = ["a.example", "b.example", "c.example"];

fn say(conversation: Conversation, (is_source, id, name, is_answer): Said, is_stream: bool) -> Conversation {
    let build = match is_answer {
        true => Build::answer(id, NAMES[name], A).says(A, 1, &[192, 0, 2, 1]),
        false => Build::query(id, NAMES[name], A),
    };
    let sender = if is_source { Source } else { Destination };
    conversation.say(sender, &if is_stream { build.framed() } else { build.bytes() })
}

/// Identifier, name, steps until the answer, repeats, whether there is an answer.
type Paired = (u64, String, Option<u32>, u64, bool);

fn paired(transaction: &Application) -> Paired {
    let number = |key| transaction.number(key);
    let name = transaction.text(dns::QUERY).unwrap().to_string();
    let steps = transaction.latency_us().map(|latency_us| latency_us / STEP_US);
    let repeats = number(dns::REPEATED_QUERIES).unwrap_or(0);
    (number(dns::ID).unwrap(), name, steps, repeats, number(dns::RCODE).is_some())
}

/// A query that waits in the model.
struct Waiting {
    is_of_source: bool,
    id: u16,
    name: usize,
    since: usize,
    repeats: u64,
}

impl Waiting {
    fn paired(&self, answered: Option<usize>) -> Paired {
        let steps = answered.map(|time| (time - self.since) as u32);
        (u64::from(self.id), NAMES[self.name].to_string(), steps, self.repeats, answered.is_some())
    }
}

/// Pairs with nothing but a list.
fn model(said: &[Said]) -> Vec<Paired> {
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut paired = Vec::new();
    for (time, &(is_source, id, name, is_answer)) in said.iter().enumerate() {
        let is_of_source = is_source != is_answer;
        let place = waiting
            .iter()
            .position(|query| (query.is_of_source, query.id, query.name) == (is_of_source, id, name));
        match (is_answer, place) {
            (true, Some(place)) => paired.push(waiting.remove(place).paired(Some(time))),
            (true, None) => paired.push((u64::from(id), NAMES[name].to_string(), None, 0, true)),
            (false, Some(place)) => waiting[place].repeats += 1,
            (false, None) => {
                if waiting.len() == QUERIES_MAX {
                    paired.push(waiting.remove(0).paired(None));
                }
                waiting.push(Waiting { is_of_source, id, name, since: time, repeats: 0 });
            }
        }
    }
    paired.extend(waiting.iter().map(|query| query.paired(None)));
    paired
}

fn any_said() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec((any::<bool>(), 0u16..3, 0..NAMES.len(), any::<bool>()), 1..40)
}

proptest! {
    #[test]
    fn queries_and_answers_pair_as_in_a_list(said in any_said()) {
        let conversation = said.iter().fold(udp(), |conversation, said| say(conversation, *said, false));
        let mut found: Vec<Paired> = conversation.run().transactions.iter().map(paired).collect();
        let mut expected = model(&said);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_transactions(said in any_said(), seed in any::<u64>()) {
        let tcp = Conversation::tcp(40_000, 53);
        let conversation = said.iter().fold(tcp, |conversation, said| say(conversation, *said, true));
        prop_assert_eq!(conversation.run_split(seed).what(), conversation.run().what());
    }

    #[test]
    fn any_bytes_are_taken(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..4),
        seed in any::<u64>(),
    ) {
        let (datagrams, stream) = (udp().say(Source, &query(1)), Conversation::tcp(40_000, 53));
        let stream = stream.say(Source, &Build::query(1, "a.example", A).framed());
        let sides = [Source, Destination, Source];
        let said = sides.into_iter().zip(&messages);
        said.clone().fold(datagrams, |conversation, (side, bytes)| conversation.say(side, bytes)).run();
        said.fold(stream, |conversation, (side, bytes)| conversation.say(side, bytes)).run_split(seed);
    }

    /// A message of which bytes were changed is read as far as it goes.
    #[test]
    fn changed_answers_are_taken(changes in prop::collection::vec((0usize..120, any::<u8>()), 1..6)) {
        let mut message = Build::answer(1, "www.example.com", A)
            .says(CNAME, 60, &[&piece(b"web")[..], &[0xC0, 16]].concat())
            .says(SRV, 60, &[&[0, 1, 0, 2, 0, 80][..], &[0xC0, 45]].concat())
            .edns(1232, 0, 0)
            .bytes();
        for (place, value) in changes {
            if let Some(byte) = message.get_mut(place) {
                *byte = value;
            }
        }
        let outcome = udp().say(Source, &query(1)).say(Destination, &message).run();
        prop_assert!((1..=2).contains(&outcome.transactions.len()));
    }
}
