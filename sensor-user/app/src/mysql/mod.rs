//! MySQL and MariaDB: the start-up of a session (client/server protocol 10).
//!
//! A session: what the server is, who wants in, and what the server says to that.
//!
//! 1. The server greets, or refuses at once by an error.
//! 2. The client asks for TLS, which then has the flow, or answers with user, database and how it proves itself.
//! 3. Server and client exchange proofs until the server says OK or refuses by an error.
//!
//! Proofs are not looked at. The latency is that from the client's answer to the first word of the server on it.

mod message;
#[cfg(test)]
mod tests;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use kflow::application::{AppProtocol, protocols::mysql};
use message::{Answer, Greeting, Refusal};

/// Length of a packet (24 bits, little-endian) and its number in the exchange.
const HEADER_BYTES: usize = 4;
/// A greeting or a refusal instead of one; servers send less than half of it.
const GREETING_BYTES_MAX: usize = 1024;
/// What is looked at of a packet. Attributes of the client come behind all that is wanted.
const SEEN_BYTES_MAX: usize = 8192;

const MALFORMED: Step = Step::Failed(Failure::Malformed);

#[derive(Debug)]
pub struct MySql {
    /// Who spoke first.
    server: Option<Sender>,
    stage: Stage,
    timing: Timing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server has not greeted.
    Silent,
    /// The client has not answered.
    Greeted,
    /// The server has not said whether the client is let in.
    Answered,
    Over,
}

impl Parser for MySql {
    const TRANSPORTS: &[Transport] = &[Transport::Tcp];
    const PORTS: &[u16] = &[3306];
    const NEW: MySql =
        MySql { server: None, stage: Stage::Silent, timing: Timing { request_ns: None, answer_ns: None } };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        message::recognise(opening.bytes)
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::MySql
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let Some((header, _)) = input.bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Step::Need(HEADER_BYTES);
        };
        let [a, b, c, number] = *header;
        let packet_bytes = HEADER_BYTES + u32::from_le_bytes([a, b, c, 0]) as usize;
        let seen_bytes = packet_bytes.min(SEEN_BYTES_MAX);
        let Some(packet) = input.bytes.get(..seen_bytes) else { return Step::Need(seen_bytes) };
        let body = &packet[HEADER_BYTES..];
        let server = *self.server.get_or_insert(input.sender);
        if input.sender != server {
            // The greeting is packet 0 of the exchange, and the answer the next one.
            return if number == 1 { self.answer(body, input, output) } else { MALFORMED };
        }
        let is_over = match self.stage {
            Stage::Silent => match self.greeting(body, output) {
                Some(is_over) => is_over,
                None => return MALFORMED,
            },
            Stage::Greeted | Stage::Answered | Stage::Over => self.verdict(body, input, output),
        };
        if is_over {
            self.establish(output);
            return Step::Done;
        }
        Step::Took(packet_bytes as u64)
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        if self.stage == Stage::Answered && self.timing.answer_ns.is_some() {
            self.establish(output);
        }
    }
}

impl MySql {
    /// What the server begins with. Whether it ends there; `None` if it is neither greeting nor refusal.
    fn greeting(&mut self, body: &[u8], output: &mut Output<'_>) -> Option<bool> {
        if let Some(refusal) = Refusal::read(body) {
            note_refusal(&refusal, output);
            return Some(true);
        }
        let greeting = Greeting::read(body)?;
        self.stage = Stage::Greeted;
        if let Some(session) = output.session(AppProtocol::MySql) {
            session.text(mysql::SERVER_VERSION, greeting.version);
            session.number(mysql::CONNECTION_ID, greeting.connection_id);
        }
        Some(false)
    }

    /// What the client says to the greeting.
    fn answer(&mut self, body: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let Some(answer) = Answer::read(body) else {
            let is_cut = HEADER_BYTES + body.len() == SEEN_BYTES_MAX;
            return if is_cut { Step::Failed(Failure::Limit) } else { MALFORMED };
        };
        let session = output.session(AppProtocol::MySql);
        if answer.is_tls_request {
            if let Some(session) = session {
                session.number(mysql::TLS, 1u32);
            }
            self.establish(output);
            return Step::HandOver(HEADER_BYTES + body.len());
        }
        self.stage = Stage::Answered;
        self.timing.request_ns = Some(input.end_ns);
        if let Some(session) = session {
            let Answer { user, database, plugin, .. } = answer;
            let texts = [(mysql::USER, user), (mysql::DATABASE, database), (mysql::AUTHENTICATION, plugin)];
            for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                session.text(key, text);
            }
        }
        Step::SideDone
    }

    /// A packet of the server on the client's proof. Whether it is the last one.
    fn verdict(&mut self, body: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> bool {
        if self.stage == Stage::Answered {
            self.timing.answer_ns.get_or_insert(input.start_ns);
        }
        if let Some(refusal) = Refusal::read(body) {
            note_refusal(&refusal, output);
            return true;
        }
        self.stage == Stage::Answered && body.first() == Some(&message::OK)
    }

    fn establish(&mut self, output: &mut Output<'_>) {
        self.stage = Stage::Over;
        output.establish(AppProtocol::MySql, self.timing);
    }
}

fn note_refusal(refusal: &Refusal<'_>, output: &mut Output<'_>) {
    let Some(session) = output.session(AppProtocol::MySql) else { return };
    session.number(mysql::ERROR, refusal.code);
    if let Some(state) = refusal.state {
        session.text(mysql::SQL_STATE, state);
    }
}
