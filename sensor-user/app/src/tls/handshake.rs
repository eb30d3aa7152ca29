//! Messages of the handshake: a record may hold several, and a message may need several records.

use super::{
    Stage,
    certificate::Certificate,
    client_hello::ClientHello,
    describe::{Keys, describe},
    fingerprint::{self, Carrier},
    server_hello::ServerHello,
};
use crate::{
    output::{BufferId, Output},
    parser::Failure,
    pool::BUFFER_BYTES,
};
use kflow::application::{AppProtocol, Draft, protocols::tls};

/// Type and length, before each message.
pub(super) const HEADER_BYTES: usize = 4;

const HELLO_REQUEST: u8 = 0;
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
/// What asks for another ClientHello in DTLS 1.2 and before.
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
/// What asks for another ClientHello in drafts of TLS 1.3.
const HELLO_RETRY_REQUEST: u8 = 6;
const CERTIFICATE: u8 = 11;
/// May come before the certificate (RFC 4680).
const SUPPLEMENTAL_DATA: u8 = 23;

const KEYS: Keys = Keys {
    server_name: tls::SERVER_NAME,
    alpn: tls::ALPN,
    ja3: tls::JA3,
    ja4: tls::JA4,
    ciphers: tls::CLIENT_CIPHERS,
    version: Some(tls::CLIENT_VERSION),
    versions: Some(tls::CLIENT_VERSIONS),
};

/// What a message means for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    ClientHello,
    /// With the version that was selected.
    ServerHello(u16),
    /// Nothing that follows in the handshake is of value.
    Last,
    Failed(Failure),
}

/// How far a message is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathering {
    Partial,
    Whole,
    /// It is longer than a buffer.
    Full,
}

/// The length of the message that begins here, with its header.
pub(super) fn message_bytes(start: &[u8]) -> Option<usize> {
    let &[_, high, middle, low] = start.first_chunk::<HEADER_BYTES>()?;
    Some(HEADER_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize)
}

/// The message that begins here, and what follows it. `None` if it goes on elsewhere.
pub(super) fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(message_bytes(bytes)?)
}

/// Moves to the buffer what its message still lacks; what is left of the bytes.
pub(super) fn gather<'a>(
    buffer: &BufferId,
    bytes: &'a [u8],
    output: &mut Output<'_>,
) -> (Gathering, &'a [u8]) {
    let mut rest = bytes;
    loop {
        let held = output.buffer(buffer);
        let wanted = message_bytes(held).unwrap_or(HEADER_BYTES);
        let missing = wanted.min(BUFFER_BYTES) - held.len();
        if missing == 0 {
            return (if wanted > BUFFER_BYTES { Gathering::Full } else { Gathering::Whole }, rest);
        }
        if rest.is_empty() {
            return (Gathering::Partial, rest);
        }
        let (now, later) = rest.split_at(missing.min(rest.len()));
        output.extend_buffer(buffer, now);
        rest = later;
    }
}

/// Whether a message has values of the session.
fn has_values(stage: Stage, kind: u8) -> bool {
    match stage {
        Stage::Hello => [CLIENT_HELLO, SERVER_HELLO].contains(&kind),
        Stage::Certificate => kind == CERTIFICATE,
        Stage::Watching => false,
    }
}

/// Reads a message that was gathered.
pub(super) fn hear_gathered(
    carrier: Carrier,
    stage: Stage,
    gathering: Gathering,
    buffer: &BufferId,
    output: &mut Output<'_>,
) -> Heard {
    let kind = output.buffer(buffer)[0];
    let has_values = has_values(stage, kind);
    match (gathering, stage) {
        (Gathering::Full, Stage::Hello) => return Heard::Failed(Failure::Limit),
        // The first certificate of many is there, but where the message ends is not.
        (Gathering::Full, _) if !has_values => return Heard::Last,
        _ => {}
    }
    let (session, message) = if has_values {
        output.session_beside(AppProtocol::Tls, buffer)
    } else {
        (None, output.buffer(buffer))
    };
    hear(carrier, stage, kind, &message[HEADER_BYTES..], session)
}

/// Reads a message that is in one piece.
pub(super) fn hear_whole(
    carrier: Carrier,
    stage: Stage,
    kind: u8,
    body: &[u8],
    output: &mut Output<'_>,
) -> Heard {
    let session = if has_values(stage, kind) { output.session(AppProtocol::Tls) } else { None };
    hear(carrier, stage, kind, body, session)
}

fn hear(carrier: Carrier, stage: Stage, kind: u8, body: &[u8], session: Option<&mut Draft>) -> Heard {
    match (stage, kind) {
        (Stage::Hello, CLIENT_HELLO) => {
            let hello = match carrier {
                Carrier::Dtls => ClientHello::parse_dtls(body),
                Carrier::Tls | Carrier::Quic => ClientHello::parse(body),
            };
            let Some(hello) = hello else { return Heard::Failed(Failure::Malformed) };
            if let Some(session) = session {
                describe(&hello, carrier, &KEYS, session);
            }
            Heard::ClientHello
        }
        (Stage::Hello, SERVER_HELLO) => {
            let Some(hello) = ServerHello::parse(body) else { return Heard::Failed(Failure::Malformed) };
            if let Some(session) = session {
                describe_server(&hello, session);
            }
            if hello.is_retry { Heard::Nothing } else { Heard::ServerHello(hello.selected_version()) }
        }
        (Stage::Hello, HELLO_REQUEST | HELLO_VERIFY_REQUEST | HELLO_RETRY_REQUEST) => Heard::Nothing,
        (Stage::Hello, _) => Heard::Failed(Failure::Malformed),
        (Stage::Certificate, CERTIFICATE) => {
            if let Some(session) = session {
                describe_certificate(Certificate::first_of(body), session);
            }
            Heard::Last
        }
        // A flight of DTLS may come again.
        (Stage::Certificate, HELLO_REQUEST | SERVER_HELLO | SUPPLEMENTAL_DATA) => Heard::Nothing,
        (Stage::Certificate | Stage::Watching, _) => Heard::Last,
    }
}

fn describe_server(hello: &ServerHello<'_>, session: &mut Draft) {
    session.number(tls::VERSION, hello.selected_version());
    session.number(tls::CIPHER, hello.cipher);
    session.text(tls::JA3S, &fingerprint::ja3s(hello));
    if let Some(alpn) = hello.alpn {
        session.text(tls::SELECTED_ALPN, alpn);
    }
}

/// A certificate that makes no sense has no names.
pub(super) fn describe_certificate(certificate: Option<Certificate<'_>>, session: &mut Draft) {
    let Some(certificate) = certificate else { return };
    if let Some(issuer) = certificate.issuer() {
        session.text_with(tls::CERTIFICATE_ISSUER, |writer| issuer.write(writer));
    }
    if certificate.names().next().is_some() {
        session.text_with(tls::CERTIFICATE_NAMES, |writer| {
            for (place, name) in certificate.names().enumerate() {
                writer.push_str(if place > 0 { ";" } else { "" });
                name.write(writer);
            }
        });
    }
}
