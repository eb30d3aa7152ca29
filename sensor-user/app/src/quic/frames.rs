//! The frames of Initial packets (RFC 9000, section 19): finds those that carry the handshake.

use super::{
    header::{Read, varint},
    version::Handshake,
};
use nom::{Parser as _, multi::length_data, sequence::preceded};

/// A piece of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    pub offset: u64,
    pub data: &'a [u8],
}

/// The pieces of the handshake in a payload, in the order in which they are there. The last is an error if a frame is
/// not allowed or not whole.
#[derive(Clone, Debug)]
pub struct CryptoFrames<'a> {
    rest: &'a [u8],
    handshake: Handshake,
}

/// A frame that is not allowed in an Initial packet, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Types of frames that Initial packets may have (RFC 9000, section 12.4).
mod kind {
    pub const PADDING: u8 = 0x00;
    pub const PING: u8 = 0x01;
    pub const ACK: u8 = 0x02;
    /// With counts of congestion marks.
    pub const ACK_ECN: u8 = 0x03;
    pub const CRYPTO: u8 = 0x06;
    pub const CONNECTION_CLOSE: u8 = 0x1c;
}

/// Their types in Google's own versions.
mod google_kind {
    pub const PING: u8 = 0x07;
    pub const CRYPTO: u8 = 0x08;
}

impl<'a> CryptoFrames<'a> {
    pub fn new(payload: &'a [u8], handshake: Handshake) -> CryptoFrames<'a> {
        CryptoFrames { rest: payload, handshake }
    }
}

impl<'a> Iterator for CryptoFrames<'a> {
    type Item = Result<Crypto<'a>, Malformed>;

    fn next(&mut self) -> Option<Result<Crypto<'a>, Malformed>> {
        loop {
            let (first, rest) = behind_padding(self.rest).split_first()?;
            let read = match self.handshake {
                Handshake::Tls => frame(*first, rest),
                Handshake::GoogleTls | Handshake::GoogleTags => google_frame(*first, rest),
            };
            let Ok((rest, found)) = read else {
                self.rest = &[];
                return Some(Err(Malformed));
            };
            self.rest = rest;
            if let Some(crypto) = found {
                return Some(Ok(crypto));
            }
        }
    }
}

/// Most of a client's first datagram is padding.
fn behind_padding(payload: &[u8]) -> &[u8] {
    let (blocks, _) = payload.as_chunks::<16>();
    let whole = blocks.iter().take_while(|block| **block == [kind::PADDING; 16]).count();
    let rest = &payload[whole * 16..];
    let padding = rest.iter().take_while(|byte| **byte == kind::PADDING).count();
    &rest[padding..]
}

fn frame(first: u8, input: &[u8]) -> Read<'_, Option<Crypto<'_>>> {
    match first {
        kind::PING => Ok((input, None)),
        kind::CRYPTO => crypto(input),
        kind::ACK => acknowledgement(input).map(|(rest, ())| (rest, None)),
        kind::ACK_ECN => {
            let (rest, _counts) = preceded(acknowledgement, (varint, varint, varint)).parse(input)?;
            Ok((rest, None))
        }
        kind::CONNECTION_CLOSE => {
            let (rest, (_error, _frame, _reason)) = (varint, varint, length_data(varint)).parse(input)?;
            Ok((rest, None))
        }
        _ => Err(nom::Err::Error(())),
    }
}

/// What comes behind frames that are not known cannot be found.
fn google_frame(first: u8, input: &[u8]) -> Read<'_, Option<Crypto<'_>>> {
    match first {
        google_kind::PING => Ok((input, None)),
        google_kind::CRYPTO => crypto(input),
        _ => Ok((&[], None)),
    }
}

fn crypto(input: &[u8]) -> Read<'_, Option<Crypto<'_>>> {
    let (rest, (offset, data)) = (varint, length_data(varint)).parse(input)?;
    Ok((rest, Some(Crypto { offset, data })))
}

fn acknowledgement(input: &[u8]) -> Read<'_, ()> {
    let (mut rest, (_largest, _delay, ranges, _first)) = (varint, varint, varint, varint).parse(input)?;
    // Each range takes two bytes at least: the input bounds their number.
    for _ in 0..ranges {
        (rest, _) = (varint, varint).parse(rest)?;
    }
    Ok((rest, ()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(payload: &[u8]) -> Vec<Result<(u64, &[u8]), Malformed>> {
        let frames = CryptoFrames::new(payload, Handshake::Tls);
        frames.map(|frame| frame.map(|crypto| (crypto.offset, crypto.data))).collect()
    }

    #[test]
    fn the_handshake_is_found_between_other_frames() {
        let payload = [
            &[0, 0, 0][..],
            &[0x01],
            &[0x02, 0x05, 0x40, 0x64, 0x01, 0x00, 0x01, 0x01],
            &[0x06, 0x00, 0x02, b'a', b'b'],
            &[0x03, 0x05, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03],
            &[0x06, 0x44, 0x00, 0x01, b'c'],
            &[0x1c, 0x01, 0x06, 0x02, b'n', b'o'],
            &[0; 100],
        ];
        let expected = [Ok((0, &b"ab"[..])), Ok((0x400, &b"c"[..]))];
        assert_eq!(pieces(&payload.concat()), expected);
    }

    #[test]
    fn what_comes_before_a_frame_that_is_not_allowed_counts() {
        let stream = 0x08;
        let payload = [0x06, 0x00, 0x01, b'a', stream, 0x00, 0x06, 0x01, 0x01, b'b'];
        assert_eq!(pieces(&payload), [Ok((0, &b"a"[..])), Err(Malformed)]);
    }

    #[test]
    fn lengths_and_counts_that_lie_end_the_payload() {
        let data_beyond_the_end = [0x06, 0x00, 0x05, b'a'];
        let ranges_without_end =
            [0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00];
        let reason_beyond_the_end = [0x1c, 0x00, 0x00, 0x7f, 0xff];
        for payload in [&data_beyond_the_end[..], &ranges_without_end, &reason_beyond_the_end] {
            assert_eq!(pieces(payload), [Err(Malformed)]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for handshake in [Handshake::Tls, Handshake::GoogleTags] {
                prop_assert!(CryptoFrames::new(&bytes, handshake).count() <= bytes.len());
            }
        }
    }
}
