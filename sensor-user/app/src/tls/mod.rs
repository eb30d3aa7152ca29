//! TLS (RFC 8446, RFC 5246 and before, down to SSL 2.0) and DTLS: what client and server say before they encrypt.
//!
//! A session. Its values are those of the hellos, of the server's certificate where it is in the clear (TLS 1.2 and
//! before), and of the first fatal alert in the clear. Who is the client is known by who sends the ClientHello.
//!
//! ```text
//! client  Hello ─ClientHello─────────────────────────────► Watching ─ChangeCipherSpec, data─► done
//! server  Hello ─ServerHello─► Certificate ─Certificate──► Watching ─ChangeCipherSpec, data─► done
//!           └─ServerHello of TLS 1.3: the flow is done
//! ```
//!
//! A server that asks for another ClientHello (HelloRetryRequest, HelloVerifyRequest) counts as having answered, so that the latency ends
//! there; the values are those of the first ClientHello and of the last ServerHello.

mod certificate;
pub mod client_hello;
pub mod describe;
mod dtls;
pub mod fingerprint;
mod handshake;
pub mod server_hello;
mod ssl2;
pub mod wire;

#[cfg(test)]
mod builder;
#[cfg(test)]
mod tests;

use crate::{
    output::{BufferId, Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    proxy::{self, Prefix},
};
use certificate::Certificate;
use fingerprint::Carrier;
use handshake::{Gathering, Heard};
use kflow::application::{AppProtocol, protocols::tls};
use std::ops::RangeInclusive;

const HEADER_BYTES: usize = 5;
/// What a record holds before it is encrypted, and after.
const CLEAR_BYTES_MAX: usize = 1 << 14;
const RECORD_BYTES_MAX: usize = CLEAR_BYTES_MAX + 2048;
/// From a ServerHello of a draft to a ClientHello with as much as there can be of everything.
const HELLO_BYTES: RangeInclusive<usize> = 38..=0x2_0200;

/// Types of records.
mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

const FATAL: u8 = 2;
const ALERT_BYTES: usize = 2;
const TLS_1_3: u16 = 0x0304;
const DTLS_1_3: u16 = 0xfefc;

#[derive(Debug)]
pub struct Tls {
    sides: [Side; 2],
    /// When the first ClientHello had come.
    request_ns: Option<u64>,
    /// When the first ServerHello began.
    answer_ns: Option<u64>,
    /// The version that the server selected.
    version: Option<u16>,
}

#[derive(Debug)]
struct Side {
    stage: Stage,
    /// A handshake message that began in a record before.
    gathered: Option<BufferId>,
}

/// What a side is expected to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its hello, or another one.
    Hello,
    /// A certificate, if it is to have one.
    Certificate,
    /// Nothing of value but an alert.
    Watching,
}

impl Parser for Tls {
    const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Udp];
    // Those where it begins the connection, then those where it follows a few lines of another protocol (STARTTLS), so
    // that enough of these are tried.
    const PORTS: &[u16] = &[
        443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 8443, //
        21, 25, 110, 119, 143, 389, 587, 3389, 4190, 5222, 5269,
    ];
    const NEW: Tls = Tls {
        sides: [const { Side { stage: Stage::Hello, gathered: None } }; 2],
        request_ns: None,
        answer_ns: None,
        version: None,
    };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        if opening.transport == Transport::Udp {
            return dtls::recognise(opening.bytes);
        }
        let bytes = match proxy::prefix(opening.bytes) {
            Prefix::Header(end) => opening.bytes.get(end..).unwrap_or_default(),
            Prefix::Open => return Recognition::More,
            Prefix::None => opening.bytes,
        };
        match bytes.first() {
            Some(&content::HANDSHAKE) => recognise_record(bytes),
            Some(_) => ssl2::recognise(bytes),
            None => Recognition::More,
        }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Tls
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        if input.transport == Transport::Udp {
            return self.datagram(input, output);
        }
        let mut taken = 0;
        loop {
            match self.record(&input.bytes[taken..], input, output) {
                Step::Took(bytes) => taken = taken.saturating_add(bytes as usize),
                Step::Need(_) if taken > 0 => return Step::Took(taken as u64),
                step => return step,
            }
            if taken >= input.bytes.len() {
                return Step::Took(taken as u64);
            }
        }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        for side in &mut self.sides {
            if let Some(buffer) = side.gathered.take() {
                output.release_buffer(buffer);
            }
        }
    }
}

impl Tls {
    fn record(&mut self, bytes: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let stage = self.sides[input.sender.index()].stage;
        if stage == Stage::Hello && bytes[0] & 0x80 != 0 {
            return self.ssl2_record(bytes, input, output);
        }
        // Whoever recognised the flow has seen all of it.
        if stage == Stage::Hello
            && let Prefix::Header(end) = proxy::prefix(bytes)
        {
            return Step::Took(end as u64);
        }
        let Some(&[kind, major, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Step::Need(HEADER_BYTES);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if major != 3 || length > RECORD_BYTES_MAX {
            return Step::Failed(Failure::Malformed);
        }
        let end = HEADER_BYTES + length;
        match kind {
            content::HANDSHAKE if stage == Stage::Watching => {}
            content::HANDSHAKE if length > CLEAR_BYTES_MAX => return Step::Failed(Failure::Malformed),
            content::HANDSHAKE => {
                let Some(fragment) = bytes.get(HEADER_BYTES..end) else { return Step::Need(end) };
                if let Some(step) = self.handshake(fragment, input, output) {
                    return step;
                }
            }
            // A server that asked for another ClientHello sends one before its ServerHello.
            content::CHANGE_CIPHER_SPEC if stage == Stage::Hello => {}
            content::ALERT if length == ALERT_BYTES => {
                let Some(alert) = bytes.get(HEADER_BYTES..end) else { return Step::Need(end) };
                if let Some(step) = note_alert(alert, output) {
                    return step;
                }
            }
            content::HEARTBEAT => {}
            // From here on this side encrypts.
            _ => return Step::SideDone,
        }
        Step::Took(end as u64)
    }

    /// Reads the messages of a record. A step if it is the last that is read, of this side or of the flow.
    fn handshake(&mut self, fragment: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Option<Step> {
        let mut rest = fragment;
        while !rest.is_empty() && self.side(input).stage != Stage::Watching {
            let stage = self.side(input).stage;
            let gathered = self.side(input).gathered.take();
            if gathered.is_none() && stage == Stage::Hello && rest[0] == handshake::SERVER_HELLO {
                self.answer_ns.get_or_insert(input.start_ns);
            }
            let heard = if gathered.is_none()
                && let Some((message, later)) = handshake::split_message(rest)
            {
                rest = later;
                let (header, body) = message.split_at(handshake::HEADER_BYTES);
                handshake::hear_whole(Carrier::Tls, stage, header[0], body, output)
            } else {
                let Some(buffer) = gathered.or_else(|| output.take_buffer()) else {
                    return Some(Step::Failed(Failure::Limit));
                };
                let gathering;
                (gathering, rest) = handshake::gather(&buffer, rest, output);
                if gathering == Gathering::Partial {
                    self.side(input).gathered = Some(buffer);
                    break;
                }
                let heard = handshake::hear_gathered(Carrier::Tls, stage, gathering, &buffer, output);
                output.release_buffer(buffer);
                heard
            };
            if let Some(step) = self.note(heard, input, output) {
                return Some(step);
            }
        }
        None
    }

    fn note(&mut self, heard: Heard, input: &Input<'_>, output: &mut Output<'_>) -> Option<Step> {
        match heard {
            Heard::Nothing => {}
            Heard::ClientHello if self.request_ns.is_some() => return Some(Step::Failed(Failure::Malformed)),
            Heard::ClientHello => {
                self.request_ns = Some(input.end_ns);
                self.side(input).stage = Stage::Watching;
                if self.version.is_some_and(is_1_3) {
                    return Some(Step::Done);
                }
            }
            Heard::ServerHello(version) => {
                self.version = Some(version);
                let Tls { request_ns, answer_ns, .. } = *self;
                output.establish(AppProtocol::Tls, Timing { request_ns, answer_ns });
                self.side(input).stage = Stage::Certificate;
                if is_1_3(version) {
                    return Some(if request_ns.is_some() { Step::Done } else { Step::SideDone });
                }
            }
            Heard::Last => self.side(input).stage = Stage::Watching,
            Heard::Failed(failure) => return Some(Step::Failed(failure)),
        }
        None
    }

    fn ssl2_record(&mut self, bytes: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let Some(end) = ssl2::record_bytes(bytes) else { return Step::Need(ssl2::HEADER_BYTES) };
        let Some(record) = bytes.get(..end) else { return Step::Need(end) };
        if let Some(hello) = ssl2::ClientHello::parse(record) {
            if let Some(session) = output.session(AppProtocol::Tls) {
                session.number(tls::CLIENT_VERSION, hello.version);
                describe::push_decimals(session, tls::CLIENT_CIPHERS, hello.ciphers());
            }
            return self.note(Heard::ClientHello, input, output).unwrap_or(Step::Took(end as u64));
        }
        let Some(hello) = ssl2::ServerHello::parse(record) else { return Step::Failed(Failure::Malformed) };
        if let Some(session) = output.session(AppProtocol::Tls) {
            session.number(tls::VERSION, ssl2::VERSION);
            handshake::describe_certificate(Certificate::parse(hello.certificate), session);
        }
        self.answer_ns.get_or_insert(input.start_ns);
        self.note(Heard::ServerHello(ssl2::VERSION), input, output);
        // What the client says next is in the clear in part, but nothing of it is of value.
        Step::Done
    }

    fn side(&mut self, input: &Input<'_>) -> &mut Side {
        &mut self.sides[input.sender.index()]
    }
}

/// Ends the flow if the alert does.
fn note_alert(alert: &[u8], output: &mut Output<'_>) -> Option<Step> {
    let &[level, description] = alert else { return None };
    if level != FATAL {
        return None;
    }
    if let Some(session) = output.session(AppProtocol::Tls) {
        session.number(tls::ALERT, description);
    }
    Some(Step::Done)
}

/// Also of the drafts of TLS 1.3, and of DTLS 1.3, which counts downwards.
fn is_1_3(version: u16) -> bool {
    if version >> 8 == 0xfe { version <= DTLS_1_3 } else { version >= TLS_1_3 }
}

/// Whether a record begins here that begins with a hello.
fn recognise_record(bytes: &[u8]) -> Recognition {
    let at = |place: usize| bytes.get(place).copied();
    let may_be = |place: usize, is_it: fn(u8) -> bool| at(place).is_none_or(is_it);
    if !(may_be(1, |major| major == 3) && may_be(2, |minor| minor <= 4)) {
        return Recognition::No;
    }
    let (Some(high), Some(low), Some(kind)) = (at(3), at(4), at(5)) else { return Recognition::More };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_hello = [handshake::CLIENT_HELLO, handshake::SERVER_HELLO].contains(&kind);
    if !is_hello || !(1..=CLEAR_BYTES_MAX).contains(&length) {
        return Recognition::No;
    }
    // What a record of a few bytes leaves open is left open.
    if length < handshake::HEADER_BYTES {
        return Recognition::Yes;
    }
    let Some(message) = bytes.get(HEADER_BYTES..HEADER_BYTES + handshake::HEADER_BYTES) else {
        return Recognition::More;
    };
    let message_bytes = handshake::message_bytes(message).unwrap_or_default();
    if HELLO_BYTES.contains(&message_bytes) { Recognition::Yes } else { Recognition::No }
}
