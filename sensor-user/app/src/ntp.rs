//! NTP (RFC 5905), also of versions 1 to 3, with its control messages (RFC 9327) and the private ones of the reference
//! implementation.
//!
//! What a client asks and is answered is one transaction; messages between peers and broadcasts are transactions of their
//! own. Of an answer in several datagrams the first one that is seen counts.

mod message;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    waiting::{Request, Waiting},
};
use kflow::application::AppProtocol;
use message::{Message, Role};

/// Requests of one flow that wait at once.
const WAITING_MAX: usize = 4;

#[derive(Debug)]
pub struct Ntp {
    /// By mode of the request and what its answer repeats.
    waiting: Waiting<(u8, u64), WAITING_MAX>,
    /// Something was said before.
    is_begun: bool,
}

impl Parser for Ntp {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    const PORTS: &[u16] = &[123];
    const NEW: Ntp = Ntp { waiting: Waiting::NEW, is_begun: false };

    /// Hardly a bit of the message is fixed, so it takes the port, and a length that the message can have.
    fn recognise(opening: &Opening<'_>) -> Recognition {
        let is_it = opening.has_port(Ntp::PORTS) && Message::read(opening.bytes).is_ok();
        if is_it { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Ntp
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        match Message::read(input.bytes) {
            Err(Failure::Malformed) if input.is_cut => return Step::Failed(Failure::Cut),
            Err(failure) => return Step::Failed(failure),
            Ok(message) => match message.role {
                Role::Request(id) => self.request(&message, id, input, output),
                Role::Answer(id) => self.answer(&message, id, input, output),
                Role::Alone => alone(&message, input, output),
                Role::Continuation if self.is_begun => {}
                Role::Continuation => alone(&message, input, output),
            },
        }
        self.is_begun = true;
        Step::Took(input.bytes.len() as u64)
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.waiting.finish(output);
    }
}

impl Ntp {
    fn request(&mut self, message: &Message, id: (u8, u64), input: &Input<'_>, output: &mut Output<'_>) {
        // Clients that do not tell the time ask under the same identifier again and again.
        if let Some(old) = self.waiting.take(input.sender, |waiting| waiting == id) {
            old.give_up(output);
        }
        let draft = output.begin(AppProtocol::Ntp);
        if let Some(draft) = &draft {
            message.note(output.draft(draft));
        }
        self.waiting.add(Request::new(id, draft, input), output);
    }

    fn answer(&mut self, message: &Message, id: (u8, u64), input: &Input<'_>, output: &mut Output<'_>) {
        let request = self.waiting.take(input.sender.other(), |waiting| waiting == id);
        let Some(request) = request else { return alone(message, input, output) };
        let timing = Timing { request_ns: Some(request.end_ns), answer_ns: Some(input.start_ns) };
        if let Some(draft) = request.draft {
            message.note(output.draft(&draft));
            output.complete(draft, timing);
        }
    }
}

/// Of a message that answers nothing that was seen.
fn alone(message: &Message, input: &Input<'_>, output: &mut Output<'_>) {
    if let Some(draft) = output.begin(AppProtocol::Ntp) {
        message.note(output.draft(&draft));
        output.complete(draft, Timing { request_ns: None, answer_ns: Some(input.start_ns) });
    }
}

#[cfg(test)]
mod tests;
