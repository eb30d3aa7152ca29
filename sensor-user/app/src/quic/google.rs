//! What Google's own versions have of their own: the public header (up to Q043), and handshakes of tags and values
//! (QUIC Crypto), which up to Q046 are in the clear.

use super::header::Read;
use nom::{
    Parser as _,
    bytes::complete::take,
    combinator::verify,
    multi::length_data,
    number::complete::{be_u8, be_u16, be_u32, le_u16},
};

/// Flags of the public header.
mod flag {
    pub const VERSION: u8 = 0x01;
    pub const RESET: u8 = 0x02;
    pub const CONNECTION_ID: u8 = 0x08;
    pub const NUMBER_LENGTH: u8 = 0x30;
    pub const RESERVED: u8 = 0x80;
}

/// Bits of a STREAM frame's type.
mod stream {
    pub const IS_STREAM: u8 = 0x80;
    pub const HAS_LENGTH: u8 = 0x20;
    pub const OFFSET_LENGTH: u8 = 0x1c;
    pub const ID_LENGTH: u8 = 0x03;
}

/// Bits of the first byte of versions that are not of Google's own.
const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;

/// The stream that carries the handshake.
const CRYPTO_STREAM: u8 = 1;
/// In front of the frames of a packet that is in the clear.
const HASH_BYTES: usize = 12;
/// Up to here the frames have a byte of private flags in front of them.
const PRIVATE_FLAGS: u32 = u32::from_be_bytes(*b"Q033");
/// Of the private flags: another byte follows.
const HAS_GROUP: u8 = 0x02;
/// Up to here numbers in frames are little-endian, as those in messages always are.
const LITTLE_ENDIAN: u32 = u32::from_be_bytes(*b"Q038");

const CLIENT_HELLO: &[u8] = b"CHLO";
/// Tag, number of entries, padding.
const MESSAGE_HEADER_BYTES: usize = 8;
/// Tag, end of the value.
const ENTRY_BYTES: usize = 8;
/// As the protocol has it.
const ENTRIES_MAX: u16 = 128;

/// What a client's first packets begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicHeader<'a> {
    pub version: u32,
    /// Behind the packet number.
    pub payload: &'a [u8],
}

/// What a client says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    pub server_name: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
}

/// Reads a public header that names a version.
pub fn public_header(datagram: &[u8]) -> Option<PublicHeader<'_>> {
    let (rest, flags) = verify(be_u8::<_, ()>, |flags| is_client_flags(*flags)).parse(datagram).ok()?;
    let number_bytes = [1usize, 2, 4, 6][usize::from((flags & flag::NUMBER_LENGTH) >> 4)];
    let version = verify(be_u32::<_, ()>, |version| is_version(*version));
    let (payload, (_connection, version, _number)) =
        (take(8usize), version, take(number_bytes)).parse(rest).ok()?;
    Some(PublicHeader { version, payload })
}

/// Whether a server's datagram answers a client that was heard: it neither resets nor negotiates.
pub fn is_answer(datagram: &[u8]) -> bool {
    match datagram {
        [first, version @ ..] if first & LONG != 0 => !version.starts_with(&[0; 4]),
        [first, ..] if first & FIXED != 0 => true,
        [first, ..] => first & (flag::VERSION | flag::RESET) == 0,
        [] => false,
    }
}

/// The client's message that the payload of a packet in the clear begins with.
pub fn clear_hello(version: u32, payload: &[u8]) -> Option<&[u8]> {
    let (frames, _hash) = take::<_, _, ()>(HASH_BYTES).parse(payload).ok()?;
    let (frames, ()) = private_flags(version, frames).ok()?;
    let (_, data) = crypto_stream(version, frames).ok()?;
    let message = data.get(..message_length(data)?)?;
    message.starts_with(CLIENT_HELLO).then_some(message)
}

/// How long a message is, if so many of its first bytes tell.
pub fn message_length(bytes: &[u8]) -> Option<usize> {
    let (_, entries) = message_entries(bytes).ok()?;
    let values_bytes = entries.last_chunk().map_or(0, |end| u32::from_le_bytes(*end));
    Some((MESSAGE_HEADER_BYTES + entries.len()).saturating_add(values_bytes as usize))
}

/// Reads a client's message. `None` if it is another one, or if values are not within its bounds.
pub fn client_hello(message: &[u8]) -> Option<ClientHello<'_>> {
    let (values, entries) = message_entries(message).ok()?;
    if !message.starts_with(CLIENT_HELLO) {
        return None;
    }
    let mut hello = ClientHello::default();
    let mut start = 0;
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let (name, end) = entry.split_first_chunk::<4>()?;
        let end = u32::from_le_bytes(end.try_into().ok()?) as usize;
        let value = values.get(start..end)?;
        match name {
            b"SNI\0" => hello.server_name = Some(value),
            b"UAID" => hello.user_agent = Some(value),
            _ => {}
        }
        start = end;
    }
    Some(hello)
}

fn is_client_flags(flags: u8) -> bool {
    const REQUIRED: u8 = flag::VERSION | flag::CONNECTION_ID;
    flags & (REQUIRED | flag::RESET | flag::RESERVED) == REQUIRED
}

fn is_version(version: u32) -> bool {
    matches!(version.to_be_bytes(), [b'Q', b'0', b'0'..=b'4', b'0'..=b'9'])
}

fn private_flags(version: u32, input: &[u8]) -> Read<'_, ()> {
    if version > PRIVATE_FLAGS {
        return Ok((input, ()));
    }
    let (rest, flags) = be_u8(input)?;
    let (rest, _group) = take(usize::from(flags & HAS_GROUP != 0)).parse(rest)?;
    Ok((rest, ()))
}

/// What a STREAM frame carries of the handshake, if the packet begins with one.
fn crypto_stream(version: u32, input: &[u8]) -> Read<'_, &[u8]> {
    const REQUIRED: u8 = stream::IS_STREAM | stream::HAS_LENGTH;
    let (rest, kind) =
        verify(be_u8, |kind| kind & (REQUIRED | stream::ID_LENGTH) == REQUIRED).parse(input)?;
    let offset_bytes = match (kind & stream::OFFSET_LENGTH) >> 2 {
        0 => 0,
        length => usize::from(length) + 1,
    };
    let (rest, (_id, _offset)) =
        (verify(be_u8, |id| *id == CRYPTO_STREAM), take(offset_bytes)).parse(rest)?;
    if version <= LITTLE_ENDIAN { length_data(le_u16).parse(rest) } else { length_data(be_u16).parse(rest) }
}

/// The entries of a message; what is left are the values.
fn message_entries(message: &[u8]) -> Read<'_, &[u8]> {
    let count = verify(le_u16, |count| *count <= ENTRIES_MAX);
    let (rest, (_tag, count, _padding)) = (take(4usize), count, le_u16).parse(message)?;
    take(usize::from(count) * ENTRY_BYTES).parse(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(tag: &[u8; 4], end: u32) -> Vec<u8> {
        [&tag[..], &end.to_le_bytes()].concat()
    }

    fn message(entries: &[Vec<u8>], values: &[u8]) -> Vec<u8> {
        let head = [CLIENT_HELLO, &(entries.len() as u16).to_le_bytes(), &[0, 0]].concat();
        [head, entries.concat(), values.to_vec()].concat()
    }

    #[test]
    fn values_end_where_the_next_begin() {
        let message = message(&[entry(b"SNI\0", 3), entry(b"PDMD", 4), entry(b"UAID", 6)], b"a.bxcd");
        assert_eq!(message_length(&message), Some(message.len()));
        let hello = client_hello(&message).unwrap();
        assert_eq!(hello.server_name, Some(&b"a.b"[..]));
        assert_eq!(hello.user_agent, Some(&b"cd"[..]));
    }

    #[test]
    fn values_that_lie_about_their_ends_make_no_message() {
        for entries in [
            [entry(b"SNI\0", 3), entry(b"UAID", 2)],
            [entry(b"SNI\0", 3), entry(b"UAID", 7)],
            [entry(b"SNI\0", u32::MAX), entry(b"UAID", 6)],
        ] {
            assert_eq!(client_hello(&message(&entries, b"a.bxcd")), None);
        }
        assert_eq!(message_length(&message(&[entry(b"SNI\0", u32::MAX)], b"")), Some(16 + u32::MAX as usize));
    }

    #[test]
    fn a_message_has_so_many_entries_and_no_more() {
        let entries = vec![entry(b"PAD\0", 0); usize::from(ENTRIES_MAX)];
        assert!(client_hello(&message(&entries, b"")).is_some());
        assert_eq!(message_length(&message(&[entries, vec![entry(b"PAD\0", 0)]].concat(), b"")), None);
    }

    #[test]
    fn headers_of_other_protocols_are_not_public_headers() {
        let padding = [0; 40];
        let header = [&[0x09][..], &[0x11; 8], b"Q043", &padding].concat();
        assert!(public_header(&header).is_some());
        for (place, byte) in [(0, 0x08), (0, 0x0b), (0, 0x89), (0, 0x01), (9, b'R'), (11, b'x')] {
            let mut other = header.clone();
            other[place] = byte;
            assert!(public_header(&other).is_none(), "byte {place}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_their_bounds(
            start in prop::sample::select(vec![&b"CHLO\x03\0\0\0"[..], b"CHLO", b""]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            version in prop::sample::select(vec![*b"Q025", *b"Q037", *b"Q046"]),
        ) {
            client_hello(&[start, &bytes].concat());
            let frame = [&[0xaa; 12][..], &[0xa0, 0x01, 0x40, 0x00], start, &bytes].concat();
            let version = u32::from_be_bytes(version);
            if let Some(message) = clear_hello(version, &frame) {
                prop_assert!(message.len() < frame.len());
            }
            is_answer(&bytes);
            public_header(&[&[0x09][..], &[0x11; 8], &version.to_be_bytes(), &bytes].concat());
        }
    }
}
