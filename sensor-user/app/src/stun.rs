//! STUN (RFC 8489): by its messages two ends find a path to each other, and then speak another protocol on the same
//! ports (RFC 7983).

const HEADER_BYTES: usize = 20;
const LENGTH_AT: usize = 2;
const COOKIE_AT: usize = 4;
const COOKIE: &[u8] = &[0x21, 0x12, 0xa4, 0x42];

/// Whether a datagram is a message of STUN, also if the capture cut it.
pub fn is_message(bytes: &[u8]) -> bool {
    if bytes.len() < HEADER_BYTES || bytes[0] >> 6 != 0 || !bytes[COOKIE_AT..].starts_with(COOKIE) {
        return false;
    }
    let length = usize::from(u16::from_be_bytes([bytes[LENGTH_AT], bytes[LENGTH_AT + 1]]));
    length.is_multiple_of(4) && bytes.len() <= HEADER_BYTES + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{
        Conversation,
        Sender::{Destination, Source},
    };
    use kflow::AppProtocol;

    const REQUEST: &[u8] = b"\0\x01\0\x04\x21\x12\xa4\x42abcdefghijkl\0\x25\0\0";
    const RESPONSE: &[u8] = b"\x01\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    /// On ports of its own a query of DNS has to be whole, as this one is.
    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x01\0\x01";

    #[test]
    fn messages_are_known_by_their_header_whole_or_cut() {
        for message in [REQUEST, RESPONSE, &REQUEST[..HEADER_BYTES]] {
            assert!(is_message(message), "{message:?}");
        }
        let longer = [REQUEST, &[0]].concat();
        let odd = [&REQUEST[..3], &[5], &REQUEST[4..]].concat();
        let rtp = [&[0x80], &REQUEST[1..]].concat();
        for other in [&longer, &odd, &rtp, &REQUEST[..HEADER_BYTES - 1], QUERY, &[]] {
            assert!(!is_message(other), "{other:?}");
        }
    }

    #[test]
    fn what_follows_is_found_however_long_the_path_takes() {
        let begin = Conversation::udp(50_000, 18_452);
        let found = (0..50).fold(begin, |said, _| said.say(Source, REQUEST).say(Destination, RESPONSE));
        let outcome = found.say(Source, QUERY).run();
        assert_eq!(outcome.protocol, Some(AppProtocol::Dns));
        assert_eq!((outcome.transactions.len(), outcome.counts.openings_unknown), (1, 0));
    }
}
