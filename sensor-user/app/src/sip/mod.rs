//! SIP: requests and their answers (RFC 3261), in datagrams or in a stream.
//!
//! A transaction is a request with its answers. Its latency is that to the first answer, its status that of the final
//! one, which ends it. Repetitions of either are passed over. An ACK has no answer by its nature and no transaction of
//! its own: it is passed over as well. If only answers were captured, the transaction is known by them.

mod message;
#[cfg(test)]
mod tests;
mod transactions;

use crate::{
    output::Output,
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use kflow::AppProtocol;
use message::{Head, StartLine};
use transactions::Transactions;

/// A start line with all headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub struct Sip {
    transactions: Transactions,
}

impl Parser for Sip {
    const TRANSPORTS: &[Transport] = &[Transport::Udp, Transport::Tcp];
    const PORTS: &[u16] = &[5060];
    const NEW: Sip = Sip { transactions: Transactions::NEW };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        message::recognise(opening.bytes)
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Sip
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        match input.transport {
            Transport::Udp => self.datagram(input, output),
            Transport::Tcp => self.stream(input, output),
        }
    }

    fn resume(&mut self, _sender: Sender, _output: &mut Output<'_>) -> bool {
        true
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.transactions.finish(output);
    }
}

impl Sip {
    /// One message, of which the empty line behind the head may be missing; or less, which keeps the path open.
    fn datagram(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let bytes = &input.bytes[blank_bytes(input.bytes)..];
        if bytes.len() < message::MESSAGE_BYTES_MIN {
            return Step::Took(input.bytes.len() as u64);
        }
        let seen = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let head = match message::head_bytes(seen) {
            Some(head_bytes) => &seen[..head_bytes],
            None if input.is_cut => return Step::Failed(Failure::Cut),
            None if seen.len() == HEAD_BYTES_MAX => return Step::Failed(Failure::Limit),
            None => seen,
        };
        let Some(head) = Head::read(head) else { return Step::Failed(Failure::Malformed) };
        self.note(&head, input, output);
        Step::Took(input.bytes.len() as u64)
    }

    /// Messages one behind the other, with line ends in between that keep the connection open.
    fn stream(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let blank_bytes = blank_bytes(input.bytes);
        if blank_bytes > 0 {
            return Step::Took(blank_bytes as u64);
        }
        if message::recognise(input.bytes) == Recognition::No {
            return Step::Failed(Failure::Malformed);
        }
        let seen = &input.bytes[..input.bytes.len().min(HEAD_BYTES_MAX)];
        let Some(head_bytes) = message::head_bytes(seen) else {
            let is_at_limit = seen.len() == HEAD_BYTES_MAX;
            return if is_at_limit { Step::Failed(Failure::Limit) } else { Step::Need(seen.len() + 1) };
        };
        let Some(head) = Head::read(&seen[..head_bytes]) else { return Step::Failed(Failure::Malformed) };
        let Some(body_bytes) = head.body_bytes() else { return Step::Failed(Failure::Malformed) };
        self.note(&head, input, output);
        Step::Took(body_bytes.saturating_add(head_bytes as u64))
    }

    fn note(&mut self, head: &Head<'_>, input: &Input<'_>, output: &mut Output<'_>) {
        match head.start {
            StartLine::Request { method: b"ACK", .. } => {}
            StartLine::Request { .. } => self.transactions.request(head, input, output),
            StartLine::Status(status) => self.transactions.answer(status, head, input, output),
        }
    }
}

/// Line ends in front of a message.
fn blank_bytes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}
