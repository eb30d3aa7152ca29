//! PostgreSQL: the start-up of a session (frontend/backend protocol 3).
//!
//! A session: who starts it, on which database, and what the server says to that.
//!
//! 1. The client may first ask for encryption, in eight bytes that the server answers by one. After a yes to TLS,
//!    TLS has the flow; what GSS-API encrypts stays unknown.
//! 2. The client sends the start-up message, or asks on a connection of its own that a query be cancelled.
//! 3. The server sends messages until it is ready for a query or says by an error that it never will be.
//!
//! What the client sends after the start-up message, passwords above all, is not looked at. The latency is that from
//! the start-up message to the first answer; where TLS begins, from the request for it to the yes.

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use kflow::application::{AppProtocol, protocols::postgresql};

/// Codes of packets that begin a connection: a version (major and minor, 16 bits each) or one of these.
const CANCEL_REQUEST: u32 = 0x04D2_162E;
const TLS_REQUEST: u32 = 0x04D2_162F;
const GSS_REQUEST: u32 = 0x04D2_1630;
const MAJOR_VERSION: u32 = 3;

/// Length and code of such a packet.
const PACKET_HEADER_BYTES: usize = 8;
/// The server's own limit.
const PACKET_BYTES_MAX: usize = 10_000;

/// Kind and length of a message of the server.
const MESSAGE_HEADER_BYTES: usize = 5;
/// Beyond what a server says at start-up by far: the stream is not what it seemed to be.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// What is looked at of a message. The state of an error comes in front of its long texts.
const SEEN_BYTES_MAX: usize = 8192;
/// An error of another length is one of protocol 2: a text that ends with NUL. A server that cannot start a process
/// sends it.
const ERROR_BYTES_MAX: usize = 30_000;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

#[derive(Debug)]
pub struct PostgreSql {
    /// Who spoke first.
    client: Option<Sender>,
    stage: Stage,
    timing: Timing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client has not started the session.
    Opening,
    TlsRequested,
    GssRequested,
    /// The server has not said whether it is ready.
    Started,
    Over,
}

impl Parser for PostgreSql {
    const TRANSPORTS: &[Transport] = &[Transport::Tcp];
    const PORTS: &[u16] = &[5432];
    const NEW: PostgreSql = PostgreSql {
        client: None,
        stage: Stage::Opening,
        timing: Timing { request_ns: None, answer_ns: None },
    };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        let Some((length, code)) = packet_header(opening.bytes) else {
            return if is_packet_so_far(opening.bytes) { Recognition::More } else { Recognition::No };
        };
        let is_plausible = match code {
            CANCEL_REQUEST => (16..=PACKET_BYTES_MAX).contains(&length),
            TLS_REQUEST | GSS_REQUEST => length == PACKET_HEADER_BYTES,
            _ if code >> 16 != MAJOR_VERSION => false,
            _ if !(PACKET_HEADER_BYTES + 1..=PACKET_BYTES_MAX).contains(&length) => false,
            _ => match opening.bytes.get(PACKET_HEADER_BYTES) {
                None => return Recognition::More,
                Some(0) => length == PACKET_HEADER_BYTES + 1,
                Some(first) => first.is_ascii_alphabetic() || *first == b'_',
            },
        };
        if is_plausible { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::PostgreSql
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let client = *self.client.get_or_insert(input.sender);
        if input.sender == client {
            return self.packet(input, output);
        }
        match self.stage {
            Stage::Opening => Step::Failed(Failure::Malformed),
            Stage::TlsRequested | Stage::GssRequested => self.answer_to_request(input, output),
            Stage::Started | Stage::Over => self.message(input, output),
        }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        if self.stage == Stage::Started && self.timing.answer_ns.is_some() {
            self.establish(output);
        }
    }
}

impl PostgreSql {
    /// What the client begins a connection with.
    fn packet(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        if self.stage == Stage::TlsRequested && input.bytes[0] == TLS_HANDSHAKE {
            // The answer is missing from the capture, but the client got a yes.
            return self.begin_tls(0, output);
        }
        let Some((length, code)) = packet_header(input.bytes) else {
            return Step::Need(PACKET_HEADER_BYTES);
        };
        if !(PACKET_HEADER_BYTES..=PACKET_BYTES_MAX).contains(&length) {
            return Step::Failed(Failure::Malformed);
        }
        match code {
            CANCEL_REQUEST => Step::Done,
            TLS_REQUEST | GSS_REQUEST if length == PACKET_HEADER_BYTES => {
                let is_tls = code == TLS_REQUEST;
                self.stage = if is_tls { Stage::TlsRequested } else { Stage::GssRequested };
                self.timing.request_ns = Some(input.end_ns);
                Step::Took(PACKET_HEADER_BYTES as u64)
            }
            _ if code >> 16 == MAJOR_VERSION => match input.bytes.get(..length) {
                Some(message) => self.start(message, input, output),
                None => Step::Need(length),
            },
            _ => Step::Failed(Failure::Unsupported),
        }
    }

    /// The start-up message: pairs of name and value, each ended by NUL, and a NUL at the end of all.
    fn start(&mut self, message: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Step {
        self.stage = Stage::Started;
        self.timing.request_ns = Some(input.end_ns);
        let Some(session) = output.session(AppProtocol::PostgreSql) else { return Step::SideDone };
        if let Some((_, version)) = packet_header(message) {
            session.number(postgresql::VERSION, version);
        }
        for (name, value) in pairs(&message[PACKET_HEADER_BYTES..]).filter(|(_, value)| !value.is_empty()) {
            let key = match name {
                b"user" => postgresql::USER,
                // Without one it is the user's name, which nobody is told who is not told the user.
                b"database" => postgresql::DATABASE,
                b"application_name" => postgresql::APPLICATION,
                _ => continue,
            };
            session.text(key, value);
        }
        Step::SideDone
    }

    /// The one byte by which the server says whether there will be encryption.
    fn answer_to_request(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let is_tls = self.stage == Stage::TlsRequested;
        match input.bytes[0] {
            b'S' if is_tls => {
                self.timing.answer_ns = Some(input.start_ns);
                self.begin_tls(1, output)
            }
            b'G' if !is_tls => {
                self.timing.answer_ns = Some(input.start_ns);
                self.establish(output);
                Step::Done
            }
            b'N' => {
                self.stage = Stage::Opening;
                if is_tls && let Some(session) = output.session(AppProtocol::PostgreSql) {
                    session.number(postgresql::TLS, 0u32);
                }
                Step::Took(1)
            }
            b'E' => self.message(input, output),
            _ => Step::Failed(Failure::Malformed),
        }
    }

    fn begin_tls(&mut self, answer_bytes: usize, output: &mut Output<'_>) -> Step {
        if let Some(session) = output.session(AppProtocol::PostgreSql) {
            session.number(postgresql::TLS, 1u32);
        }
        self.establish(output);
        Step::HandOver(answer_bytes)
    }

    /// A message of the server.
    fn message(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let Some((header, _)) = input.bytes.split_first_chunk::<MESSAGE_HEADER_BYTES>() else {
            return Step::Need(MESSAGE_HEADER_BYTES);
        };
        let [kind, length @ ..] = *header;
        let length = u32::from_be_bytes(length) as usize;
        let is_first = self.timing.answer_ns.is_none();
        self.timing.answer_ns.get_or_insert(input.start_ns);
        if kind == b'E' && is_first && !(8..=ERROR_BYTES_MAX).contains(&length) {
            self.establish(output);
            return Step::Done;
        }
        if !(4..MESSAGE_BYTES_MAX).contains(&length) {
            return Step::Failed(Failure::Malformed);
        }
        let message_bytes = 1 + length;
        let seen_bytes = message_bytes.min(SEEN_BYTES_MAX);
        let Some(message) = input.bytes.get(..seen_bytes) else { return Step::Need(seen_bytes) };
        let body = &message[MESSAGE_HEADER_BYTES..];
        match kind {
            b'E' => note_error(body, output),
            b'R' => note_authentication(body, output),
            b'S' => note_parameter(body, output),
            // ReadyForQuery, BackendKeyData, NoticeResponse, NegotiateProtocolVersion.
            b'Z' | b'K' | b'N' | b'v' => {}
            _ => return Step::Failed(Failure::Unsupported),
        }
        if matches!(kind, b'E' | b'Z') {
            self.establish(output);
            return Step::Done;
        }
        Step::Took(message_bytes as u64)
    }

    fn establish(&mut self, output: &mut Output<'_>) {
        self.stage = Stage::Over;
        output.establish(AppProtocol::PostgreSql, self.timing);
    }
}

/// Fields, each a letter and a text ended by NUL.
fn note_error(body: &[u8], output: &mut Output<'_>) {
    let state = texts(body).find_map(|field| field.strip_prefix(b"C"));
    if let (Some(state), Some(session)) = (state, output.session(AppProtocol::PostgreSql)) {
        session.text(postgresql::ERROR, state);
    }
}

fn note_authentication(body: &[u8], output: &mut Output<'_>) {
    let Some((kind, _)) = body.split_first_chunk::<4>() else { return };
    let Some(session) = output.session(AppProtocol::PostgreSql) else { return };
    if !session.has(postgresql::AUTHENTICATION) {
        session.number(postgresql::AUTHENTICATION, u32::from_be_bytes(*kind));
    }
}

fn note_parameter(body: &[u8], output: &mut Output<'_>) {
    let Some((b"server_version", value)) = pairs(body).next() else { return };
    if let Some(session) = output.session(AppProtocol::PostgreSql) {
        session.text(postgresql::SERVER_VERSION, value);
    }
}

/// The length of a packet of the client, itself included, and its code.
fn packet_header(bytes: &[u8]) -> Option<(usize, u32)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (code, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*length) as usize, u32::from_be_bytes(*code)))
}

/// Whether a part of such a header can be the beginning of one.
fn is_packet_so_far(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(place, byte)| match place {
        0 | 1 => *byte == 0,
        2 => usize::from(*byte) <= PACKET_BYTES_MAX >> 8,
        4 => matches!(byte, 0 | 0x04),
        5 => matches!(byte, 0x03 | 0xD2),
        _ => true,
    })
}

/// Names and their values, up to the empty name that ends them.
fn pairs(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut texts = texts(bytes);
    std::iter::from_fn(move || {
        let name = texts.next().filter(|name| !name.is_empty())?;
        Some((name, texts.next()?))
    })
}

/// Texts that are ended by NUL.
fn texts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ended = bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
    bytes[..ended].split(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
