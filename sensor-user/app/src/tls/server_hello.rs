//! The ServerHello (RFC 8446, section 4.1.3), as views of its bytes.

use super::{
    client_hello::extension,
    wire::{self, Extensions},
};
use nom::{
    Parser as _,
    number::complete::{be_u8, be_u16},
};

/// The random of a ServerHello that asks for another ClientHello (RFC 8446, section 4.1.3).
pub(super) const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server selected. An extension that makes no sense in itself counts as sent, and its value as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version field.
    pub version: u16,
    pub cipher: u16,
    pub extensions: Extensions<'a>,
    /// The version of the extension that is for it.
    pub supported_version: Option<u16>,
    pub alpn: Option<&'a [u8]>,
    /// It asks for another ClientHello.
    pub is_retry: bool,
}

impl<'a> ServerHello<'a> {
    /// Reads the body of the handshake message. `None` if what comes before the extensions is not within its bounds; an
    /// extension that is not, and what follows it, does not count.
    pub fn parse(body: &'a [u8]) -> Option<ServerHello<'a>> {
        let (rest, (version, random)) = wire::hello_start(body).ok()?;
        let (rest, cipher) = if has_session(version) {
            let whole = (wire::short_bytes, be_u16, be_u8);
            whole.map(|(_session, cipher, _compression)| cipher).parse(rest).ok()?
        } else {
            be_u16::<_, ()>(rest).ok()?
        };
        let extensions = Extensions::ending(rest);
        let is_retry = random == RETRY_RANDOM;
        let mut hello =
            ServerHello { version, cipher, extensions, supported_version: None, alpn: None, is_retry };
        for (number, content) in extensions.iter() {
            match number {
                extension::SUPPORTED_VERSIONS => hello.supported_version = number_in(content),
                extension::ALPN => hello.alpn = first_name(content),
                _ => {}
            }
        }
        Some(hello)
    }

    /// The version that was selected.
    pub fn selected_version(&self) -> u16 {
        self.supported_version.unwrap_or(self.version)
    }
}

fn number_in(content: &[u8]) -> Option<u16> {
    be_u16::<_, ()>(content).ok().map(|(_, number)| number)
}

fn first_name(content: &[u8]) -> Option<&[u8]> {
    wire::names(content).ok()?.1.iter().next()
}

/// Drafts of TLS 1.3 before the 22nd left out session identifier and compression.
fn has_session(version: u16) -> bool {
    version >> 8 != 0x7f
}
