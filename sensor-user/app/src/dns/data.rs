//! What a record says, as text: `192.0.2.1/A`, `10 mail.example/MX`.
//!
//! Data are written as master files have them, but without quotation marks; keys, signatures and bitmaps are left out.
//! Data of a type that the table does not describe, or that are not as it says, are only measured: `\# 14/TYPE65280`.

use super::{
    kinds::{Kind, Part, write_kind},
    message::{Flaw, Record, take},
    name::{Name, Place, write_text},
};
use crate::text::write_hex;
use kflow::application::TextWriter;
use nom::{
    multi::length_data,
    number::complete::{be_u8, be_u16, be_u32, be_u128},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value that is written.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Name(Name<'a>),
    Number(u32),
    Address(IpAddr),
    Kind(u16),
    Text(&'a [u8]),
    Hex(&'a [u8]),
    Parameter(u16, &'a [u8]),
}

/// The data of a record, a slash, its type.
pub fn write_record(record: &Record<'_>, writer: &mut TextWriter<'_>) {
    let kind = Kind::find(record.kind);
    let parts = kind.map_or(&[][..], |kind| kind.parts);
    // All is read before the first of it is written, because what is written stays.
    let fits = !parts.is_empty() && visit(record, parts, |_| {}).is_ok();
    if fits {
        let mut separator = "";
        let visited = visit(record, parts, |value| {
            writer.push_str(separator);
            write(value, writer);
            separator = " ";
        });
        debug_assert!(visited.is_ok());
    } else {
        writer.push_str(r"\# ");
        writer.push_number(record.data().len() as u64);
    }
    writer.push_str("/");
    match kind {
        Some(kind) => writer.push_str(kind.name),
        None => write_kind(record.kind, writer),
    }
}

/// Reads the values that data are made of.
fn visit<'a>(record: &Record<'a>, parts: &[Part], mut visit: impl FnMut(Value<'a>)) -> Result<(), Flaw> {
    let mut left = record.data();
    for part in parts {
        left = visit_part(record, left, *part, &mut visit)?;
    }
    if left.is_empty() { Ok(()) } else { Err(Flaw::Invalid) }
}

/// Reads a part of the data that are left. What is left behind it.
fn visit_part<'a>(
    record: &Record<'a>,
    left: &'a [u8],
    part: Part,
    visit: &mut impl FnMut(Value<'a>),
) -> Result<&'a [u8], Flaw> {
    let (after, value) = match part {
        Part::Domain => {
            let (name, end) = Name::read(record.message, record.data_end - left.len())?;
            (record.message.get(end..record.data_end).ok_or(Flaw::Invalid)?, Value::Name(name))
        }
        Part::U8 => take(left, be_u8).map(|(after, number)| (after, Value::Number(number.into())))?,
        Part::U16 => take(left, be_u16).map(|(after, number)| (after, Value::Number(number.into())))?,
        Part::U32 => take(left, be_u32).map(|(after, number)| (after, Value::Number(number)))?,
        Part::Ipv4 => {
            let (after, bits) = take(left, be_u32)?;
            (after, Value::Address(Ipv4Addr::from_bits(bits).into()))
        }
        Part::Ipv6 => {
            let (after, bits) = take(left, be_u128)?;
            (after, Value::Address(Ipv6Addr::from_bits(bits).into()))
        }
        Part::Type => take(left, be_u16).map(|(after, number)| (after, Value::Kind(number)))?,
        Part::Piece => take(left, length_data(be_u8)).map(|(after, text)| (after, Value::Text(text)))?,
        Part::Pieces => {
            let mut left = left;
            while !left.is_empty() {
                let (after, text) = take(left, length_data(be_u8))?;
                visit(Value::Text(text));
                left = after;
            }
            return Ok(left);
        }
        Part::Parameters => {
            let mut left = left;
            while !left.is_empty() {
                let (after, (key, value)) = take(left, (be_u16, length_data(be_u16)))?;
                visit(Value::Parameter(key, value));
                left = after;
            }
            return Ok(left);
        }
        Part::Rest => (&[][..], Value::Text(left)),
        Part::Hex => (&[][..], Value::Hex(left)),
        Part::Omitted => return Ok(&[]),
    };
    visit(value);
    Ok(after)
}

fn write(value: Value<'_>, writer: &mut TextWriter<'_>) {
    match value {
        Value::Name(name) => name.write(writer, Place::InList),
        Value::Number(number) => writer.push_number(u64::from(number)),
        Value::Address(address) => writer.push_address(address),
        Value::Kind(number) => write_kind(number, writer),
        Value::Text(text) => write_text(writer, text, Place::InList),
        Value::Hex(octets) => write_hex(writer, octets),
        Value::Parameter(key, value) => write_parameter(key, value, writer),
    }
}

/// A parameter of a service (RFC 9460, section 14.3.2). Of those whose values are long or unknown, the name only.
fn write_parameter(key: u16, value: &[u8], writer: &mut TextWriter<'_>) {
    match key {
        0 => writer.push_str("mandatory"),
        1 => {
            writer.push_str("alpn");
            write_values(alpn_protocols(value), writer, |protocol, writer| {
                write_text(writer, protocol, Place::InList);
            });
        }
        2 => writer.push_str("no-default-alpn"),
        3 => {
            writer.push_str("port");
            write_values(value.as_chunks().0.iter(), writer, |port, writer| {
                writer.push_number(u64::from(u16::from_be_bytes(*port)));
            });
        }
        4 => {
            writer.push_str("ipv4hint");
            write_values(value.as_chunks::<4>().0.iter(), writer, |address, writer| {
                writer.push_address(IpAddr::from(*address));
            });
        }
        5 => writer.push_str("ech"),
        6 => {
            writer.push_str("ipv6hint");
            write_values(value.as_chunks::<16>().0.iter(), writer, |address, writer| {
                writer.push_address(IpAddr::from(*address));
            });
        }
        7 => {
            writer.push_str("dohpath=");
            write_text(writer, value, Place::InList);
        }
        _ => {
            writer.push_str("key");
            writer.push_number(u64::from(key));
        }
    }
}

/// An equals sign, and what is listed behind it.
fn write_values<T>(
    values: impl Iterator<Item = T>,
    writer: &mut TextWriter<'_>,
    write: impl Fn(T, &mut TextWriter<'_>),
) {
    for (index, value) in values.enumerate() {
        writer.push_str(if index == 0 { "=" } else { "," });
        write(value, writer);
    }
}

/// The names of protocols, as far as their lengths are right.
fn alpn_protocols(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (after, protocol) = take(value, length_data(be_u8)).ok()?;
        value = after;
        Some(protocol)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{
        build::{Build, FIRST_NAME, piece, wire},
        message::Reader,
    };
    use kflow::application::{AppProtocol, Draft, protocols::dns};
    use proptest::prelude::*;

    fn text(kind: u16, parts: &[&[u8]]) -> String {
        let message = Build::answer(1, "example.com", kind).says(kind, 1, &parts.concat()).bytes();
        let (_, mut reader) = Reader::new(&message).unwrap();
        reader.question().unwrap();
        let record = reader.record().unwrap();
        let mut draft = Draft::new(4096);
        draft.begin(AppProtocol::Dns);
        draft.text_with(dns::ANSWERS, |writer| write_record(&record, writer));
        draft.to_application(None).text(dns::ANSWERS).unwrap().to_string()
    }

    #[test]
    fn names_and_numbers_are_written_in_their_order() {
        let host = &wire("a.example")[..];
        assert_eq!(text(2, &[b"\x02ns", FIRST_NAME]), "ns.example.com/NS");
        assert_eq!(text(15, &[&[0, 10], host]), "10 a.example/MX");
        assert_eq!(text(33, &[&[0, 1, 0, 2, 0, 80], host]), "1 2 80 a.example/SRV");
        let numbers = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        assert_eq!(text(6, &[host, FIRST_NAME, &numbers]), "a.example example.com 1 2 3 4 5/SOA");
        let order = [0, 100, 0, 10];
        let naptr = [&piece(b"u")[..], &piece(b"E2U+sip"), &piece(b"!^.*$!sip:a@b;c!")].concat();
        let expected = r"100 10 u E2U+sip !^.*$!sip:a@b\059c! ./NAPTR";
        assert_eq!(text(35, &[&order, &naptr, &[0]]), expected);
    }

    #[test]
    fn texts_stand_one_behind_the_other() {
        assert_eq!(text(16, &[&piece(b"v=spf1 -all")]), "v=spf1 -all/TXT");
        assert_eq!(text(16, &[&piece(b"v=DKIM1; p=AB"), &piece(b"CD\n")]), r"v=DKIM1\059 p=AB CD\010/TXT");
        assert_eq!(text(257, &[&[0], &piece(b"issue"), b"ca.example"]), "0 issue ca.example/CAA");
        assert_eq!(text(13, &[&piece(b"ARM"), &piece(b"Linux")]), "ARM Linux/HINFO");
    }

    #[test]
    fn of_keys_and_signatures_the_heads_are_written() {
        assert_eq!(text(43, &[&[0xFF, 0xFF, 8, 2, 0xAB, 0x01]]), "65535 8 2 ab01/DS");
        assert_eq!(text(48, &[&[1, 1, 3, 13], b"key"]), "257 3 13/DNSKEY");
        let head = [0, 1, 8, 2, 0, 0, 0, 60, 0, 0, 0, 2, 0, 0, 0, 1, 0, 9];
        assert_eq!(text(46, &[&head, &wire("example"), b"signature"]), "A 8 2 60 2 1 9 example/RRSIG");
        assert_eq!(text(47, &[&wire("b.example"), &[0, 1, 0x40]]), "b.example/NSEC");
    }

    #[test]
    fn parameters_of_services_are_named() {
        let alpn = [&[0, 1, 0, 6][..], &piece(b"h2"), &piece(b"h3")].concat();
        let port = [0, 3, 0, 2, 0x20, 0xFB];
        let hints = [0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2];
        let hint = [&[0, 6, 0, 16, 0x20, 1, 0xD, 0xB8][..], &[0; 11], &[1]].concat();
        let others = [0, 2, 0, 0, 0, 5, 0, 3, 1, 2, 3, 0x02, 0x9A, 0, 1, 9];
        let expected = "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 \
                        no-default-alpn ech key666/HTTPS";
        assert_eq!(text(65, &[&[0, 1, 0], &alpn, &port, &hints, &hint, &others]), expected);
        let path = [&[0, 7, 0, 6][..], b"/q{?d}"].concat();
        assert_eq!(text(64, &[&[0, 0], &wire("svc.example"), &path]), "0 svc.example dohpath=/q{?d}/SVCB");
    }

    #[test]
    fn what_is_not_as_the_table_says_is_measured() {
        assert_eq!(text(1, &[&[1, 2, 3]]), r"\# 3/A");
        assert_eq!(text(1, &[&[1, 2, 3, 4, 5]]), r"\# 5/A");
        assert_eq!(text(15, &[&[0, 10]]), r"\# 2/MX");
        assert_eq!(text(16, &[b"\x05abc"]), r"\# 4/TXT");
        assert_eq!(text(10, &[b"anything"]), r"\# 8/NULL");
        assert_eq!(text(65_280, &[b"anything"]), r"\# 8/TYPE65280");
        let beyond = [&[0xC0, 12][..], &wire("more")].concat();
        assert_eq!(text(2, &[&beyond]), r"\# 8/NS");
    }

    proptest! {
        #[test]
        fn any_data_become_one_item(kind in 0u16..300, data in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = text(kind, &[&data]);
            prop_assert!(!text.contains(';') && !text.contains(|c: char| c.is_ascii_control()));
            prop_assert!(text.contains('/'));
        }
    }
}
