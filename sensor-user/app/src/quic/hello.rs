//! The first message of a side's handshake: how long it is, and what it says.

use super::{google, opener::Role, version::Handshake};
use crate::{
    parser::Failure,
    tls::{
        client_hello::ClientHello,
        describe::{self, Keys},
        fingerprint::Carrier,
        server_hello::ServerHello,
    },
};
use kflow::application::{Draft, protocols::quic};

/// Type and length of a message of TLS (RFC 8446, section 4).
const TLS_HEADER_BYTES: usize = 4;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const KEYS: Keys = Keys {
    server_name: quic::SERVER_NAME,
    alpn: quic::ALPN,
    ja3: quic::JA3,
    ja4: quic::JA4,
    ciphers: quic::CLIENT_CIPHERS,
    version: None,
    versions: None,
};

/// The first message, if these first bytes of the handshake hold all of it.
pub fn whole(handshake: Handshake, bytes: &[u8]) -> Option<&[u8]> {
    let length = match handshake {
        Handshake::Tls | Handshake::GoogleTls => tls_length(bytes)?,
        Handshake::GoogleTags => google::message_length(bytes)?,
    };
    bytes.get(..length)
}

/// Sets what a side said in its first message.
pub fn describe(role: Role, handshake: Handshake, message: &[u8], draft: &mut Draft) -> Result<(), Failure> {
    match (handshake, role) {
        (Handshake::Tls | Handshake::GoogleTls, Role::Client) => {
            let body = tls_body(message, CLIENT_HELLO).and_then(ClientHello::parse);
            describe::describe(&body.ok_or(Failure::Malformed)?, Carrier::Quic, &KEYS, draft);
        }
        // A server that asks for another ClientHello has selected the cipher suite as well.
        (Handshake::Tls | Handshake::GoogleTls, Role::Server) => {
            let hello = tls_body(message, SERVER_HELLO).and_then(ServerHello::parse);
            draft.number(quic::CIPHER, hello.ok_or(Failure::Malformed)?.cipher);
        }
        (Handshake::GoogleTags, Role::Client) => {
            let hello = google::client_hello(message).ok_or(Failure::Malformed)?;
            if let Some(name) = hello.server_name {
                draft.text(quic::SERVER_NAME, name);
            }
            if let Some(user_agent) = hello.user_agent {
                draft.text(quic::USER_AGENT, user_agent);
            }
        }
        (Handshake::GoogleTags, Role::Server) => {}
    }
    Ok(())
}

fn tls_length(bytes: &[u8]) -> Option<usize> {
    let [_, high, middle, low] = *bytes.first_chunk()?;
    Some(TLS_HEADER_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize)
}

fn tls_body(message: &[u8], message_type: u8) -> Option<&[u8]> {
    let (header, body) = message.split_at_checked(TLS_HEADER_BYTES)?;
    (header[0] == message_type).then_some(body)
}
