//! Names in a server's certificate (X.509, RFC 5280), read from its DER where it was received.
//!
//! Only the way to the names is walked, one level after the other:
//!
//! ```text
//! Certificate ─ TBSCertificate ─┬ version, serial number, algorithm
//!                               ├ issuer ──── SET ─ (type, value) …     common name
//!                               ├ validity
//!                               ├ subject ─── SET ─ (type, value) …     common names
//!                               ├ public key, unique identifiers
//!                               └ extensions ─ (type, critical, value)  alternative names
//! ```

use super::wire::Read;
use kflow::application::TextWriter;
use nom::{
    Parser as _,
    bytes::complete::take,
    combinator::verify,
    multi::length_data,
    number::complete::{be_u8, be_u24},
};
use std::net::IpAddr;

/// Tags of DER (ITU-T X.690).
mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// Of a TBSCertificate.
    pub const VERSION: u8 = 0xa0;
    pub const EXTENSIONS: u8 = 0xa3;
    /// Of a GeneralName.
    pub const DNS_NAME: u8 = 0x82;
    pub const IP_ADDRESS: u8 = 0x87;
}

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Where a certificate says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    alternative_names: &'a [u8],
}

/// A name as the certificate has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// With the tag of its kind of string.
    Common(u8, &'a [u8]),
    Dns(&'a [u8]),
    Address(IpAddr),
}

/// Tag and content of an element.
type Element<'a> = (u8, &'a [u8]);

impl<'a> Certificate<'a> {
    /// The first certificate of a Certificate message of TLS 1.2 and before: the server's own.
    pub fn first_of(body: &'a [u8]) -> Option<Certificate<'a>> {
        let (_, (_all_bytes, certificate)) = (be_u24::<_, ()>, length_data(be_u24)).parse(body).ok()?;
        Certificate::parse(certificate)
    }

    /// `None` if an element on the way to the names is out of bounds or of another kind.
    pub fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let (_, certificate) = of(tag::SEQUENCE, der).ok()?;
        let (_, fields) = of(tag::SEQUENCE, certificate).ok()?;
        let fields = of(tag::VERSION, fields).map_or(fields, |(rest, _)| rest);
        let (fields, _serial) = of(tag::INTEGER, fields).ok()?;
        let (fields, _algorithm) = of(tag::SEQUENCE, fields).ok()?;
        let (fields, issuer) = of(tag::SEQUENCE, fields).ok()?;
        let (fields, _validity) = of(tag::SEQUENCE, fields).ok()?;
        let (fields, subject) = of(tag::SEQUENCE, fields).ok()?;
        let alternative_names = alternative_names(fields).unwrap_or_default();
        Some(Certificate { issuer, subject, alternative_names })
    }

    /// Common names of the subject, then alternative names that are of hosts; what is the last common name and an
    /// alternative name, too, comes once.
    pub fn names(&self) -> impl Iterator<Item = Name<'a>> {
        let last_common = common_names(self.subject).last();
        let alternative = elements(self.alternative_names).filter_map(|(kind, bytes)| match kind {
            tag::DNS_NAME => Some(Name::Dns(bytes)),
            tag::IP_ADDRESS => address(bytes).map(Name::Address),
            _ => None,
        });
        let is_new = move |name: &Name<'_>| match (name, &last_common) {
            (Name::Dns(dns), Some(Name::Common(_, common))) => dns != common,
            _ => true,
        };
        common_names(self.subject).chain(alternative.filter(is_new))
    }

    /// The first common name of the issuer.
    pub fn issuer(&self) -> Option<Name<'a>> {
        common_names(self.issuer).next()
    }
}

impl Name<'_> {
    pub fn write(self, writer: &mut TextWriter<'_>) {
        match self {
            Name::Common(tag::BMP_STRING, bytes) => {
                let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                for character in char::decode_utf16(units) {
                    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                    writer.push(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Name::Common(_, bytes) | Name::Dns(bytes) => writer.push(bytes),
            Name::Address(address) => writer.push_address(address),
        }
    }
}

/// The content of the extension, behind the fields that come before extensions.
fn alternative_names(fields: &[u8]) -> Option<&[u8]> {
    let (_, block) = elements(fields).find(|(kind, _)| *kind == tag::EXTENSIONS)?;
    let (_, extensions) = of(tag::SEQUENCE, block).ok()?;
    elements(extensions).find_map(|(_, extension)| {
        let (rest, identifier) = of(tag::OBJECT_IDENTIFIER, extension).ok()?;
        let is_it = identifier == SUBJECT_ALTERNATIVE_NAME;
        let (_, value) = elements(rest).find(|(kind, _)| is_it && *kind == tag::OCTET_STRING)?;
        of(tag::SEQUENCE, value).ok().map(|(_, names)| names)
    })
}

fn common_names(name: &[u8]) -> impl Iterator<Item = Name<'_>> {
    let sets = elements(name).filter(|(kind, _)| *kind == tag::SET);
    let attributes = sets.flat_map(|(_, set)| elements(set));
    attributes.filter_map(|(_, attribute)| {
        let (rest, identifier) = of(tag::OBJECT_IDENTIFIER, attribute).ok()?;
        let (_, (kind, value)) = element(rest).ok()?;
        (identifier == COMMON_NAME).then_some(Name::Common(kind, value))
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Elements one behind the other, as far as they are within bounds.
fn elements(input: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (left, element) = element(rest).ok()?;
        rest = left;
        Some(element)
    })
}

/// The content of an element that has to be of this kind.
fn of(kind: u8, input: &[u8]) -> Read<'_, &[u8]> {
    verify(element, |element: &Element<'_>| element.0 == kind).map(|(_, content)| content).parse(input)
}

/// Tags have one byte here, and lengths at most three: no message of TLS is longer.
fn element(input: &[u8]) -> Read<'_, Element<'_>> {
    let (rest, (kind, first)) = (be_u8, be_u8).parse(input)?;
    let (rest, length) = match first {
        0..=0x7f => (rest, usize::from(first)),
        0x81..=0x83 => {
            let (rest, digits) = take(usize::from(first & 3)).parse(rest)?;
            (rest, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
        }
        _ => return Err(nom::Err::Error(())),
    };
    let (rest, content) = take(length).parse(rest)?;
    Ok((rest, (kind, content)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::builder::{certificate, certificate_list, der};
    use proptest::prelude::*;

    const UTF8: u8 = 12;

    fn names(der: &[u8]) -> Vec<String> {
        let certificate = Certificate::parse(der).unwrap();
        certificate.names().map(text).collect()
    }

    fn text(name: Name<'_>) -> String {
        let mut draft = kflow::application::Draft::new(1000);
        let key = kflow::application::protocols::tls::ALPN;
        draft.begin(kflow::AppProtocol::Tls);
        draft.text_with(key, |writer| name.write(writer));
        draft.to_application(None).text(key).unwrap().to_owned()
    }

    #[test]
    fn common_and_alternative_names_are_found() {
        let alternative: [(u8, &[u8]); 5] = [
            (tag::DNS_NAME, b"www.example.org"),
            (tag::DNS_NAME, b"example.org"),
            (0x81, b"mail@example.org"),
            (tag::IP_ADDRESS, &[192, 0, 2, 1]),
            (tag::IP_ADDRESS, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        let der = certificate(&[(UTF8, b"Some CA")], &[(UTF8, b"www.example.org")], &alternative);
        assert_eq!(names(&der), ["www.example.org", "example.org", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(text(Certificate::parse(&der).unwrap().issuer().unwrap()), "Some CA");
    }

    #[test]
    fn names_of_two_bytes_a_character_are_read_as_such() {
        let der = certificate(&[], &[(tag::BMP_STRING, &[0, b'f', 0x26, 0x03, 0xd8, 0])], &[]);
        assert_eq!(names(&der), ["f\u{2603}\u{FFFD}"]);
        assert_eq!(Certificate::parse(&der).unwrap().issuer(), None);
    }

    #[test]
    fn of_a_chain_the_first_certificate_counts_and_its_length_may_not_lie() {
        let certificates = ["own", "another"].map(|name| certificate(&[], &[(UTF8, name.as_bytes())], &[]));
        let mut body = certificate_list(&certificates);
        let first = Certificate::first_of(&body).unwrap();
        assert_eq!(first.names().map(text).collect::<Vec<_>>(), ["own"]);
        body[3] = 0xff;
        assert_eq!(Certificate::first_of(&body), None);
        assert_eq!(Certificate::first_of(&certificate_list(&[])), None);
    }

    #[test]
    fn lengths_without_an_end_or_beyond_any_message_are_not_followed() {
        for length in [0x80, 0x84, 0xff] {
            assert!(element(&[0x30, length, 0, 0, 0, 0]).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_has_no_more_names_than_bytes(place in 0usize..700, byte in any::<u8>(), end in 0usize..900) {
            let alternative: Vec<_> = (0..9).map(|_| (tag::DNS_NAME, &b"a.example"[..])).collect();
            let mut der = certificate(&[(UTF8, b"CA")], &[(UTF8, b"www")], &alternative);
            if let Some(damaged) = der.get_mut(place) {
                *damaged = byte;
            }
            der.truncate(end);
            if let Some(certificate) = Certificate::parse(&der) {
                prop_assert!(certificate.names().count() * 2 <= der.len());
            }
        }

        #[test]
        fn elements_are_apart_and_in_order(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5)) {
            let bytes: Vec<u8> = contents.iter().flat_map(|content| der(4, content)).collect();
            let read: Vec<Vec<u8>> = elements(&bytes).map(|(_, content)| content.to_vec()).collect();
            prop_assert_eq!(read, contents);
        }
    }
}
