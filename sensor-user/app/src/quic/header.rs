//! Headers of packets (RFC 9000, section 17), as far as they are not protected.

use super::version::{self, PacketType, Protection, Version};
use nom::{
    IResult, Parser as _,
    bytes::complete::take,
    combinator::verify,
    multi::length_data,
    number::complete::{be_u8, be_u32},
};

/// What is left, and what was read. Why something is malformed does not matter here.
pub(super) type Read<'a, T> = IResult<&'a [u8], T, ()>;

/// The bit that long headers have.
const LONG: u8 = 0x80;
/// The bit that packets of these versions have until both sides agree otherwise (RFC 9287).
const FIXED: u8 = 0x40;
/// Bits of the first byte that say how long the packet number is, less one.
const NUMBER_LENGTH: u8 = 0x03;
/// Connection ids of the versions that are known.
pub const CONNECTION_ID_BYTES_MAX: usize = 20;
/// A client's first destination (RFC 9000, section 7.2).
const FIRST_DESTINATION_BYTES_MIN: usize = 8;
/// The datagram that a client's first packets come in (RFC 9000, section 14.1).
const CLIENT_DATAGRAM_BYTES_MIN: usize = 1200;
/// A tag behind a token.
const RETRY_BYTES_MIN: usize = 1 + 16;
/// A packet number of any length, and a sample for header protection or a tag, whatever is longer.
const PROTECTED_BYTES_MIN: u64 = 4 + 16;

/// A packet of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Initial(Initial<'a>),
    /// 0-RTT or Handshake: nobody else has its keys.
    Sealed,
    /// What clients send then has other keys.
    Retry,
    /// The versions that the server offers, 32 bits each.
    VersionNegotiation(&'a [u8]),
    /// A version that does not protect its handshake.
    Clear {
        version: u32,
        /// Behind the packet number.
        payload: &'a [u8],
    },
    /// A long header of a version that is not known.
    Unknown,
    /// Up to the end of the datagram: a short header, or bytes that are of no packet.
    Short,
}

/// A packet from which keys can be derived, or of which they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial<'a> {
    pub version: Version,
    pub protection: &'static Protection,
    pub destination: &'a [u8],
    pub token: &'a [u8],
    /// From the first byte of the header to the last of the tag; fewer if they are not all there.
    pub bytes: &'a [u8],
    /// Where the packet number is in them.
    pub number_at: usize,
    /// How many there should be.
    pub length: usize,
}

/// Whether a connection begins with such a datagram, or has it among its first.
pub fn is_opening(datagram: &[u8]) -> bool {
    let Some(number) = version(datagram) else { return false };
    if number != 0 && datagram[0] & FIXED == 0 {
        return false;
    }
    if version::is_expected(number) {
        return datagram.len() >= CLIENT_DATAGRAM_BYTES_MIN && has_client_ids(datagram);
    }
    match packet(datagram) {
        Ok((_, Packet::Initial(initial))) => {
            // A server's has no token, and may be small.
            let is_whole = initial.bytes.len() == initial.length;
            datagram.len().max(initial.length) >= CLIENT_DATAGRAM_BYTES_MIN
                || is_whole && initial.token.is_empty()
        }
        Ok((_, Packet::VersionNegotiation(versions))) => {
            let (numbers, rest) = versions.as_chunks::<4>();
            rest.is_empty()
                && numbers.iter().any(|number| Version::find(u32::from_be_bytes(*number)).is_some())
        }
        Ok((_, Packet::Sealed | Packet::Retry | Packet::Clear { .. })) => true,
        Ok((_, Packet::Unknown | Packet::Short)) | Err(_) => false,
    }
}

/// The version of a long header.
pub fn version(datagram: &[u8]) -> Option<u32> {
    let (_, (_, version)) = (long_form, be_u32::<_, ()>).parse(datagram).ok()?;
    Some(version)
}

/// Reads the packet that a datagram, or the rest of one, begins with.
pub fn packet(input: &[u8]) -> Read<'_, Packet<'_>> {
    let Ok((rest, first)) = long_form(input) else { return Ok((&[], Packet::Short)) };
    let (rest, number) = be_u32(rest)?;
    if number == 0 {
        let (versions, _) = (connection_id, connection_id).parse(rest)?;
        return Ok((&[], Packet::VersionNegotiation(versions)));
    }
    let Some(version) = Version::find(number) else { return Ok((&[], Packet::Unknown)) };
    let Some(protection) = version.protection else {
        let number_bytes = usize::from(first & NUMBER_LENGTH) + 1;
        let (payload, _) = (packed_connection_ids, take(number_bytes)).parse(rest)?;
        return Ok((&[], Packet::Clear { version: number, payload }));
    };
    let (rest, (destination, _source)) = (connection_id, connection_id).parse(rest)?;
    let packet_type = version.packet_type(first);
    match packet_type {
        PacketType::Initial => {
            let (rest, token) = length_data(varint).parse(rest)?;
            let (rest, length) = protected_length(rest)?;
            let number_at = input.len() - rest.len();
            let length = number_at.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            let (bytes, rest) = input.split_at(length.min(input.len()));
            let initial = Initial { version, protection, destination, token, bytes, number_at, length };
            Ok((rest, Packet::Initial(initial)))
        }
        PacketType::ZeroRtt | PacketType::Handshake => {
            let (rest, length) = protected_length(rest)?;
            let (rest, _) = take(length).parse(rest)?;
            Ok((rest, Packet::Sealed))
        }
        PacketType::Retry => {
            take(RETRY_BYTES_MIN).parse(rest)?;
            Ok((&[], Packet::Retry))
        }
    }
}

/// An integer of one, two, four or eight bytes (RFC 9000, section 16).
pub fn varint(input: &[u8]) -> Read<'_, u64> {
    let (rest, first) = be_u8(input)?;
    let (rest, more) = take((1usize << (first >> 6)) - 1).parse(rest)?;
    let value = more.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Ok((rest, value))
}

fn long_form(input: &[u8]) -> Read<'_, u8> {
    verify(be_u8, |first| first & LONG != 0).parse(input)
}

fn connection_id(input: &[u8]) -> Read<'_, &[u8]> {
    let length = verify(be_u8, |length| usize::from(*length) <= CONNECTION_ID_BYTES_MAX);
    length_data(length).parse(input)
}

/// As versions before draft 22 have them: both lengths in a byte, of which 0 is none and others count from 4.
fn packed_connection_ids(input: &[u8]) -> Read<'_, ()> {
    let (rest, lengths) = be_u8(input)?;
    let length = |nibble: u8| if nibble == 0 { 0 } else { usize::from(nibble) + 3 };
    let (rest, _) = take(length(lengths >> 4) + length(lengths & 0xf)).parse(rest)?;
    Ok((rest, ()))
}

fn has_client_ids(datagram: &[u8]) -> bool {
    let mut ids = (take(5usize), connection_id, connection_id);
    ids.parse(datagram).is_ok_and(|(_, (_, destination, _))| destination.len() >= FIRST_DESTINATION_BYTES_MIN)
}

fn protected_length(input: &[u8]) -> Read<'_, u64> {
    verify(varint, |length| *length >= PROTECTED_BYTES_MIN).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::sealer::{Sealer, hex};
    use proptest::prelude::*;

    fn padded(start: &str, bytes: usize) -> Vec<u8> {
        let mut datagram = hex(start);
        datagram.resize(bytes, 0);
        datagram
    }

    #[test]
    fn integers_have_one_two_four_or_eight_bytes() {
        // RFC 9000, section A.1.
        for (bytes, value) in [
            ("c2197c5eff14e88c", 151_288_809_941_952_652),
            ("9d7f3e7d", 494_878_333),
            ("7bbd", 15_293),
            ("25", 37),
            ("4025", 37),
        ] {
            assert_eq!(varint(&hex(bytes)), Ok((&[][..], value)));
        }
        assert!(varint(&hex("9d7f3e")).is_err());
        assert!(varint(&[]).is_err());
    }

    #[test]
    fn openings_of_other_protocols_are_not_taken() {
        let openings = [
            // DNS: a query with all bits of its identifier set, one without flags whose identifier ends in zero.
            padded("ffff 0100 0001 0000 0000 0000 0377777706 ", 40),
            padded("c100 0000 0001 0000 0000 0000 0377777706 ", 40),
            // NTP: clients that are not synchronised.
            padded("e3000000 00000000 00000000", 48),
            padded("e30003fa 00010000 00010000", 48),
            padded("db0011e9 00000001 00000000", 48),
            // STUN, RTP, RTCP, DTLS.
            padded("0001 0000 2112a442", 20),
            padded("8060 0001 00000001 00000001", 172),
            padded("80c8 0006 00000001", 28),
            padded("16fefd 0000 000000000000 00c8 010000bc", 213),
            // All bits set, none set.
            vec![0xff; 1200],
            vec![0; 1200],
        ];
        for opening in openings {
            assert!(!is_opening(&opening), "{opening:02x?}");
        }
    }

    #[test]
    fn a_small_datagram_of_a_client_begins_no_connection() {
        let client = Sealer { token: vec![7], ..Sealer::client(1) };
        assert!(is_opening(&client.seal_padded(&[])));
        assert!(!is_opening(&client.seal(&[0; 100])));
        assert!(is_opening(&Sealer::server(1).seal(&[0; 100])), "a server's may be small");
    }

    #[test]
    fn a_negotiation_has_whole_versions_and_one_that_is_known() {
        assert!(is_opening(&hex("80 00000000 00 00 00000001")));
        assert!(is_opening(&hex("ca 00000000 01 aa 02 bbbb 0a1a2a3a ff00001d")));
        assert!(!is_opening(&hex("80 00000000 00 00 00000001 00")));
        assert!(!is_opening(&hex("80 00000000 00 00 00000007")));
        assert!(!is_opening(&hex("80 00000000 00 00")));
    }

    #[test]
    fn lengths_beyond_the_end_are_found_out() {
        let version = "c0 00000001";
        for rest in
            ["09 0102030405060708", "15", "00 00 4405", "00 00 00 13", "08 0102030405060708 00 bfffffff"]
        {
            assert!(packet(&hex(&format!("{version}{rest}"))).is_err(), "{rest}");
        }
        let claims_more = hex(&format!("{version} 00 00 00 4400 {}", "00".repeat(40)));
        let Ok((rest, Packet::Initial(initial))) = packet(&claims_more) else {
            panic!("its header is whole")
        };
        assert_eq!((rest.len(), initial.bytes.len(), initial.length), (0, claims_more.len(), 1034));
    }

    proptest! {
        #[test]
        fn a_packet_takes_something_and_no_more_than_there_is(
            start in prop::collection::vec(any::<u8>(), 1..60),
            version in prop::sample::select(vec![0u32, 1, 0x6b33_43cf, u32::from_be_bytes(*b"Q046"), 77]),
        ) {
            let bytes = [&start[..1], &version.to_be_bytes(), &start[1..]].concat();
            if let Ok((rest, _)) = packet(&bytes) {
                prop_assert!(rest.len() < bytes.len());
            }
            is_opening(&bytes);
        }
    }
}
