//! The ClientHello (RFC 8446, section 4.1.2; RFC 9147, section 5.3), as views of its bytes.

use super::wire::{self, Extensions, Names, Numbers};
use nom::{Parser as _, number::complete::be_u8};

/// Types of extensions (IANA TLS ExtensionType Values).
pub mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// What a client offers. An extension that makes no sense in itself counts as sent, and its values as absent; of one
/// that is there twice, the first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The version field, which newer clients freeze at that of TLS 1.2.
    pub version: u16,
    pub ciphers: Numbers<'a>,
    pub extensions: Extensions<'a>,
    pub server_name: Option<&'a [u8]>,
    pub alpn: Option<Names<'a>>,
    pub groups: Numbers<'a>,
    pub point_formats: &'a [u8],
    pub signature_algorithms: Numbers<'a>,
    /// Of the extension that is for it; clients before TLS 1.3 do not send it.
    pub versions: Option<Numbers<'a>>,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the handshake message, as TLS and QUIC have it. `None` if what comes before the extensions is
    /// not within its bounds; an extension that is not, and what follows it, does not count.
    pub fn parse(body: &'a [u8]) -> Option<ClientHello<'a>> {
        let (rest, ((version, _random), _session)) =
            (wire::hello_start, wire::short_bytes).parse(body).ok()?;
        ClientHello::parse_offer(version, rest)
    }

    /// Reads the body of the handshake message of DTLS, which has a cookie.
    pub fn parse_dtls(body: &'a [u8]) -> Option<ClientHello<'a>> {
        let mut start = (wire::hello_start, wire::short_bytes, wire::short_bytes);
        let (rest, ((version, _random), _session, _cookie)) = start.parse(body).ok()?;
        ClientHello::parse_offer(version, rest)
    }

    /// The newest version that the client offers.
    pub fn newest_version(&self) -> u16 {
        // DTLS counts downwards.
        let age = |version: &u16| if version >> 8 == 0xfe { !*version } else { *version };
        let offered = self.versions.and_then(|versions| versions.without_grease().max_by_key(age));
        offered.unwrap_or(self.version)
    }

    fn parse_offer(version: u16, input: &'a [u8]) -> Option<ClientHello<'a>> {
        let (rest, (ciphers, _compressions)) = (wire::numbers, wire::short_bytes).parse(input).ok()?;
        let extensions = Extensions::ending(rest);
        let mut hello = ClientHello { version, ciphers, extensions, ..ClientHello::default() };
        let mut seen = 0u64;
        for (number, content) in extensions.iter() {
            let bit = 1u64.checked_shl(u32::from(number)).unwrap_or(0);
            if seen & bit == 0 {
                hello.note_extension(number, content);
            }
            seen |= bit;
        }
        Some(hello)
    }

    fn note_extension(&mut self, number: u16, content: &'a [u8]) {
        match number {
            extension::SERVER_NAME => self.server_name = server_name(content),
            extension::ALPN => self.alpn = wire::names(content).ok().map(|(_, names)| names),
            extension::SUPPORTED_GROUPS => self.groups = list(wire::numbers(content)),
            extension::SIGNATURE_ALGORITHMS => self.signature_algorithms = list(wire::numbers(content)),
            extension::EC_POINT_FORMATS => self.point_formats = list(wire::short_bytes(content)),
            extension::SUPPORTED_VERSIONS => {
                self.versions = wire::short_bytes(content).ok().map(|(_, versions)| Numbers::new(versions));
            }
            _ => {}
        }
    }
}

/// The first name of the list, if it is that of a host (RFC 6066, section 3): there are no other types.
fn server_name(content: &[u8]) -> Option<&[u8]> {
    let (_, entries) = wire::long_bytes(content).ok()?;
    let (_, (name_type, name)) = (be_u8, wire::long_bytes).parse(entries).ok()?;
    (name_type == 0).then_some(name)
}

fn list<T: Default>(read: wire::Read<'_, T>) -> T {
    read.map(|(_, values)| values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::builder::{Hello, long, short};
    use proptest::prelude::*;

    #[test]
    fn what_the_client_offers_is_read() {
        let body = Hello::usual("www.example.org").body();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.version, 0x0303);
        assert_eq!(hello.newest_version(), 0x0304);
        assert_eq!(hello.ciphers.iter().collect::<Vec<_>>(), [0x1301, 0xc02f, 0x009c]);
        assert_eq!(hello.extensions.types().collect::<Vec<_>>(), [0, 10, 11, 13, 16, 43]);
        assert_eq!(hello.server_name, Some(&b"www.example.org"[..]));
        assert_eq!(hello.alpn.unwrap().iter().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.groups.iter().collect::<Vec<_>>(), [29, 23]);
        assert_eq!(hello.point_formats, [0]);
        assert_eq!(hello.signature_algorithms.iter().collect::<Vec<_>>(), [0x0403, 0x0804]);
    }

    #[test]
    fn a_hello_without_extensions_is_one() {
        let body = Hello::new(&[47]).body();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.extensions.iter().count(), 0);
        assert_eq!(hello.newest_version(), 0x0303);
    }

    #[test]
    fn the_first_of_two_equal_extensions_counts() {
        let body = Hello::new(&[47]).server_name("a.example").server_name("b.example").body();
        assert_eq!(ClientHello::parse(&body).unwrap().server_name, Some(&b"a.example"[..]));
    }

    #[test]
    fn an_extension_whose_content_lies_about_its_length_has_no_value() {
        let hello = Hello::new(&[47]).extension(0, &[0, 9, 0, 0, 20, b'a']).extension(10, &[0, 200, 0, 29]);
        let body = hello.body();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.server_name, None);
        assert_eq!(hello.groups.iter().count(), 0);
        assert_eq!(hello.extensions.types().collect::<Vec<_>>(), [0, 10]);
    }

    #[test]
    fn an_extension_that_lies_about_its_length_does_not_count() {
        let mut body = Hello::new(&[47]).server_name("a.example").extension(23, &[1, 2]).body();
        *body.iter_mut().nth_back(2).unwrap() = 200;
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.extensions.types().collect::<Vec<_>>(), [0]);
        assert_eq!(hello.server_name, Some(&b"a.example"[..]));
    }

    #[test]
    fn of_a_block_that_is_longer_than_the_hello_what_is_there_counts() {
        let mut body = Hello::new(&[47]).server_name("a.example").body();
        let bare = Hello::new(&[47]).body().len();
        body[bare..bare + 2].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(ClientHello::parse(&body).unwrap().server_name, Some(&b"a.example"[..]));
    }

    #[test]
    fn ten_thousand_ciphers_are_read() {
        let body = Hello::new(&[0x1301; 10_000]).body();
        assert_eq!(ClientHello::parse(&body).unwrap().ciphers.iter().count(), 10_000);
    }

    #[test]
    fn the_newest_version_of_dtls_is_the_smallest_and_grease_is_none() {
        let versions = short(&[0x0a, 0x0a, 0xfe, 0xff, 0xfe, 0xfc, 0xfe, 0xfd]);
        let body = Hello::new(&[47]).extension(43, &versions).body();
        assert_eq!(ClientHello::parse(&body).unwrap().newest_version(), 0xfefc);
    }

    #[test]
    fn the_cookie_of_dtls_is_passed_over() {
        let body = Hello::usual("dtls.example").dtls_body(&[5; 20]);
        let hello = ClientHello::parse_dtls(&body).unwrap();
        assert_eq!(hello.server_name, Some(&b"dtls.example"[..]));
    }

    #[test]
    fn a_name_that_is_not_of_a_host_is_no_server_name() {
        let content = long(&[&[1][..], &long(b"x")].concat());
        let body = Hello::new(&[47]).extension(0, &content).body();
        assert_eq!(ClientHello::parse(&body).unwrap().server_name, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for hello in [ClientHello::parse(&bytes), ClientHello::parse_dtls(&bytes)].into_iter().flatten() {
                prop_assert!(hello.ciphers.iter().count() * 2 <= bytes.len());
                prop_assert!(hello.extensions.iter().count() * 4 <= bytes.len());
            }
        }

        #[test]
        fn a_hello_that_was_cut_has_no_more_than_the_whole_one(end in 0usize..200) {
            let body = Hello::usual("www.example.org").body();
            let whole = ClientHello::parse(&body).unwrap();
            let before_extensions = Hello::new(&[1, 2, 3]).body().len();
            let end = end.min(body.len());
            let cut = ClientHello::parse(&body[..end]);
            prop_assert_eq!(cut.is_some(), end >= before_extensions);
            let Some(cut) = cut else { return Ok(()) };
            let types: Vec<u16> = cut.extensions.types().collect();
            let expected: Vec<u16> = whole.extensions.types().take(types.len()).collect();
            prop_assert_eq!(types, expected);
            prop_assert!(cut.server_name.is_none() || cut.server_name == whole.server_name);
        }
    }
}
