//! Messages that were sent and may yet turn out to be lost, and so which records failed: each once, in however many
//! messages it is.

use std::collections::VecDeque;
use std::ops::Range;

/// What is under way, oldest first, and what became of the records of the call at hand.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    messages: VecDeque<Sent>,
    /// Which records of this call are lost, up to the last one that is.
    is_lost: Vec<bool>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Sent {
    /// Where it ends in the bytes of the connection.
    end: u64,
    records: Records,
}

#[derive(Debug)]
enum Records {
    /// Of this call, by their place in the batch.
    Now(Range<usize>),
    /// Of earlier calls, so many that would be lost with the message.
    Before(u64),
}

/// What a call brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Records of this call.
    pub failed: u64,
    /// Records of earlier calls, which were counted as sent.
    pub failed_before: u64,
    /// Messages that were counted as sent.
    pub messages_lost: u64,
}

impl Flight {
    /// A message with these records went out; it ends there in the bytes of the connection.
    pub fn sent(&mut self, records: Range<usize>, end: u64) {
        self.messages.push_back(Sent { end, records: Records::Now(records) });
    }

    /// A message with these records did not go out.
    pub fn failed(&mut self, records: Range<usize>) {
        self.is_lost.resize(self.is_lost.len().max(records.end), false);
        self.is_lost[records].fill(true);
    }

    /// Everything up to here arrived.
    pub fn arrived(&mut self, end: u64) {
        while self.messages.front().is_some_and(|message| message.end <= end) {
            self.messages.pop_front();
        }
    }

    /// Everything that is under way is lost. Whether that was anything.
    pub fn lose(&mut self) -> bool {
        let is_any = !self.messages.is_empty();
        for message in std::mem::take(&mut self.messages) {
            self.outcome.messages_lost += 1;
            match message.records {
                Records::Now(records) => self.failed(records),
                Records::Before(records) => self.outcome.failed_before += records,
            }
        }
        is_any
    }

    /// Ends the call.
    pub fn settle(&mut self) -> Outcome {
        let is_lost = std::mem::take(&mut self.is_lost);
        // A record that is in two messages is lost with the later one at least.
        let mut next_start = usize::MAX;
        for message in self.messages.iter_mut().rev() {
            let Records::Now(records) = &message.records else { break };
            let start = records.start;
            let own = start..records.end.min(next_start);
            let left = own.filter(|record| !is_lost.get(*record).is_some_and(|is_lost| *is_lost));
            message.records = Records::Before(left.count() as u64);
            next_start = start;
        }
        let failed = is_lost.iter().filter(|is_lost| **is_lost).count() as u64;
        Outcome { failed, ..std::mem::take(&mut self.outcome) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_in_two_messages_fails_once() {
        let mut flight = Flight::default();
        flight.failed(0..5);
        flight.failed(4..8);
        assert_eq!(flight.settle(), Outcome { failed: 8, ..Outcome::default() });
        assert_eq!(flight.settle(), Outcome::default());
    }

    #[test]
    fn a_message_may_be_lost_after_a_later_one_failed() {
        let mut flight = Flight::default();
        flight.sent(0..5, 100);
        flight.failed(4..8);
        assert!(flight.lose());
        assert_eq!(flight.settle(), Outcome { failed: 8, failed_before: 0, messages_lost: 1 });
    }

    #[test]
    fn records_of_earlier_calls_are_lost_with_their_last_message() {
        let mut flight = Flight::default();
        flight.sent(0..5, 100);
        flight.failed(4..6);
        flight.sent(5..9, 200);
        flight.sent(8..12, 300);
        assert_eq!(flight.settle(), Outcome { failed: 2, ..Outcome::default() });
        // Records 0 to 3 arrived, 6 to 11 did not.
        flight.arrived(199);
        assert!(flight.lose());
        assert_eq!(flight.settle(), Outcome { failed: 0, failed_before: 6, messages_lost: 2 });
        assert!(!flight.lose());
    }
}
