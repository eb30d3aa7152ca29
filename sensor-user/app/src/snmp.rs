//! SNMP (RFC 1157, RFC 3416): versions 1 and 2c, and of version 3 what is in the clear in every message (RFC 3412).
//!
//! A request and its response, which have the same identifier, are one transaction; a trap is one of its own. Of version 3
//! the request identifier is that of the message. What a message says before the place where it is cut, or makes no
//! sense, counts.

mod ber;
mod message;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    waiting::{Request, Waiting},
};
use kflow::application::AppProtocol;
use message::{Message, Role};
use std::hash::{DefaultHasher, Hasher};

/// Requests of one flow that wait at once.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub struct Snmp {
    waiting: Waiting<Id, WAITING_MAX>,
}

/// What tells requests of one side apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    request: u32,
    /// Of the whole datagram: a request that is sent again is the same, one that uses its identifier again is not.
    digest: u64,
}

impl Parser for Snmp {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    /// Requests, and traps.
    const PORTS: &[u16] = &[161, 162];
    const NEW: Snmp = Snmp { waiting: Waiting::NEW };

    /// By the elements that every message begins with; on other ports all of them, to the end of the datagram.
    fn recognise(opening: &Opening<'_>) -> Recognition {
        let is_it = Message::read(opening.bytes)
            .is_ok_and(|message| opening.has_port(Snmp::PORTS) || message.is_sound);
        if is_it { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Snmp
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let or_cut = |failure| if input.is_cut { Failure::Cut } else { failure };
        let message = match Message::read(input.bytes) {
            Ok(message) => message,
            Err(failure) => return Step::Failed(or_cut(failure)),
        };
        match message.role {
            Role::Request(id) => self.request(&message, id, input, output),
            Role::Response(id) => self.response(&message, Some(id), input, output),
            Role::Alone => self.response(&message, None, input, output),
        }
        if message.is_sound {
            Step::Took(input.bytes.len() as u64)
        } else {
            Step::Failed(or_cut(Failure::Malformed))
        }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.waiting.finish(output);
    }
}

impl Snmp {
    fn request(&mut self, message: &Message<'_>, request: u32, input: &Input<'_>, output: &mut Output<'_>) {
        let mut hasher = DefaultHasher::new();
        hasher.write(input.bytes);
        let id = Id { request, digest: hasher.finish() };
        if self.waiting.holds(input.sender, |waiting| waiting == id) {
            // Sent again; its time is that of the first one.
            return;
        }
        if let Some(old) = self.waiting.take(input.sender, |waiting| waiting.request == request) {
            old.give_up(output);
        }
        let draft = output.begin(AppProtocol::Snmp);
        if let Some(draft) = &draft {
            message.note(output.draft(draft));
        }
        self.waiting.add(Request::new(id, draft, input), output);
    }

    /// A response, whether or not its request was seen, or a message that nobody asked for.
    fn response(
        &mut self,
        message: &Message<'_>,
        id: Option<u32>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) {
        let request =
            id.and_then(|id| self.waiting.take(input.sender.other(), |waiting| waiting.request == id));
        let request_ns = request.as_ref().map(|request| request.end_ns);
        let draft = match request {
            Some(request) => request.draft,
            None => output.begin(AppProtocol::Snmp),
        };
        let Some(draft) = draft else { return };
        message.note(output.draft(&draft));
        output.complete(draft, Timing { request_ns, answer_ns: Some(input.start_ns) });
    }
}

#[cfg(test)]
mod tests;
