//! Whether bytes are DNS.
//!
//! On the ports of DNS, mDNS and LLMNR it is enough that the header has a known operation and that what follows begins
//! like a message. Elsewhere a message has to be complete, of one plain question, and its parts have to fill it to the
//! last byte. The NetBIOS name service (RFC 1002) has the same format with names of its own, and is not DNS.

use super::{
    Dns,
    message::{Flaw, HEADER_BYTES, Header, Question, Reader, flag, opcode},
};
use crate::parser::{Opening, Parser, Recognition, Transport};

const NETBIOS_PORTS: &[u16] = &[137];
/// Types of NetBIOS questions: NB and NBSTAT.
const NETBIOS_KINDS: [u16; 2] = [32, 33];
/// First labels of NetBIOS names: 16 bytes in halves, each a letter from A to P.
const NETBIOS_LABEL_BYTES: usize = 32;

/// A header, the shortest question.
const QUESTION_MESSAGE_BYTES: usize = HEADER_BYTES + 5;
/// Queries over TCP on other ports are waited for up to this length.
const STREAM_QUERY_BYTES_MAX: usize = 512;

/// Questions or records of most messages.
const MODEST_COUNT_MAX: u16 = 63;

/// Internet, Chaos, Hesiod, none, any (IANA DNS classes).
const CLASSES: [u16; 5] = [1, 3, 4, 254, 255];

pub fn recognise(opening: &Opening<'_>) -> Recognition {
    if opening.has_port(NETBIOS_PORTS) {
        return Recognition::No;
    }
    let is_hinted = opening.has_port(Dns::PORTS);
    match (opening.transport, is_hinted) {
        // The capture may have cut the datagram.
        (Transport::Udp, true) => begins_message(opening.bytes, Ending::Unknown),
        (Transport::Udp, false) => yes_if(is_plain_message(opening.bytes)),
        (Transport::Tcp, _) => stream(opening.bytes, is_hinted),
    }
}

/// Whether there may be more of a message than is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    There,
    /// More of it follows.
    ToCome,
    Unknown,
}

fn yes_if(is_dns: bool) -> Recognition {
    if is_dns { Recognition::Yes } else { Recognition::No }
}

fn stream(bytes: &[u8], is_hinted: bool) -> Recognition {
    let Some((length, bytes)) = bytes.split_first_chunk() else { return Recognition::More };
    let length = usize::from(u16::from_be_bytes(*length));
    let ending = if bytes.len() < length { Ending::ToCome } else { Ending::There };
    let message = &bytes[..length.min(bytes.len())];
    if is_hinted {
        let may_begin = length >= HEADER_BYTES && may_begin_in_stream(&header_so_far(message));
        return if may_begin { begins_message(message, ending) } else { Recognition::No };
    }
    if !(QUESTION_MESSAGE_BYTES..=STREAM_QUERY_BYTES_MAX).contains(&length) {
        return Recognition::No;
    }
    match Reader::new(message) {
        Ok((header, _)) if header.is_response() || !is_plain_header(&header) => Recognition::No,
        _ if ending == Ending::ToCome => Recognition::More,
        _ => yes_if(is_plain_message(message)),
    }
}

/// The header, with zeros for what has not come.
fn header_so_far(message: &[u8]) -> Header {
    let mut bytes = [0; HEADER_BYTES];
    bytes.iter_mut().zip(message).for_each(|(byte, there)| *byte = *there);
    let (header, _) = Reader::new(&bytes).expect("a header is all there");
    header
}

/// Whether the counts are as few as those of messages, where only answers and updates have many. Text and TLS read as
/// many, so that streams of them are not waited for.
fn may_begin_in_stream(header: &Header) -> bool {
    let mut modest = *header;
    if header.is_response() {
        modest.answers = 0;
    }
    if header.is_response() || header.opcode() == opcode::UPDATE {
        modest.authorities = 0;
    }
    opcode::ALL.contains(&header.opcode()) && is_modest(&modest)
}

/// Whether a message begins here, on a port where one is expected.
fn begins_message(bytes: &[u8], ending: Ending) -> Recognition {
    let Ok((header, mut reader)) = Reader::new(bytes) else {
        return if ending == Ending::ToCome { Recognition::More } else { Recognition::No };
    };
    if !opcode::ALL.contains(&header.opcode()) {
        return Recognition::No;
    }
    if header.questions == 0 && header.records() == 0 {
        // Servers that cannot read a query answer it with a header alone.
        let is_alone = reader.is_at_end() && ending != Ending::ToCome;
        return yes_if(header.opcode() == opcode::STATEFUL || (is_alone && header.is_response()));
    }
    let first =
        if header.questions > 0 { reader.question().map(|_| ()) } else { reader.record().map(|_| ()) };
    match (first, ending) {
        (Ok(()), _) => Recognition::Yes,
        (Err(Flaw::Short), Ending::ToCome) => Recognition::More,
        (Err(Flaw::Short), Ending::Unknown) => yes_if(is_modest(&header)),
        (Err(_), _) => Recognition::No,
    }
}

/// Whether this is a complete query, or an answer to one, with one plain question and nothing behind it.
fn is_plain_message(bytes: &[u8]) -> bool {
    let Ok((header, mut reader)) = Reader::new(bytes) else { return false };
    if !is_plain_header(&header) {
        return false;
    }
    let Ok(question) = reader.question() else { return false };
    let are_records_there = (0..header.records()).all(|_| reader.record().is_ok());
    is_plain_question(&question) && are_records_there && reader.is_at_end()
}

/// Few messages are of more parts, and few other bytes read as so few.
fn is_modest(header: &Header) -> bool {
    let Header { questions, answers, authorities, additionals, .. } = *header;
    [questions, answers, authorities, additionals].into_iter().all(|count| count <= MODEST_COUNT_MAX)
}

fn is_plain_header(header: &Header) -> bool {
    const OF_ANSWERS: u16 = flag::AUTHORITATIVE | flag::TRUNCATED;
    let is_plain_query = header.flags & OF_ANSWERS == 0
        && header.rcode() == 0
        && (header.answers, header.authorities) == (0, 0)
        && header.additionals <= 1;
    header.opcode() == opcode::QUERY
        && header.flags & flag::RESERVED == 0
        && header.questions == 1
        && (header.is_response() || is_plain_query)
}

fn is_plain_question(question: &Question<'_>) -> bool {
    let Some(first) = question.name.labels().next() else { return false };
    let is_netbios = NETBIOS_KINDS.contains(&question.kind)
        && first.len() == NETBIOS_LABEL_BYTES
        && first.iter().all(|byte| matches!(byte, b'A'..=b'P'));
    !is_netbios
        && question.kind != 0
        && CLASSES.contains(&question.class)
        && question.name.labels().flatten().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::build::{A, ANSWER, Build, IN, piece, wire},
        parser::Sender,
    };
    use Recognition::{More, No, Yes};
    use proptest::prelude::*;

    fn udp(port: u16, bytes: &[u8]) -> Recognition {
        ask(Transport::Udp, port, bytes)
    }

    fn tcp(port: u16, bytes: &[u8]) -> Recognition {
        ask(Transport::Tcp, port, bytes)
    }

    fn ask(transport: Transport, receiver_port: u16, bytes: &[u8]) -> Recognition {
        recognise(&Opening { bytes, transport, sender: Sender::Source, sender_port: 40_000, receiver_port })
    }

    fn query() -> Build {
        Build::query(1, "www.example.com", A)
    }

    fn answer() -> Build {
        Build::answer(1, "www.example.com", A).says(A, 300, &[192, 0, 2, 1])
    }

    #[test]
    fn whole_messages_are_known_on_any_port() {
        for port in [53, 5353, 5355, 443, 8053] {
            assert_eq!(udp(port, &query().bytes()), Yes, "{port}");
            assert_eq!(udp(port, &query().edns(1232, 0, 0).bytes()), Yes, "{port}");
            assert_eq!(udp(port, &answer().bytes()), Yes, "{port}");
            assert_eq!(tcp(port, &query().framed()), Yes, "{port}");
        }
    }

    #[test]
    fn only_on_its_ports_something_may_be_behind_a_message_or_missing() {
        let longer = [&answer().bytes()[..], b"more"].concat();
        let shorter = &query().bytes()[..20];
        assert_eq!([udp(53, &longer), udp(53, shorter)], [Yes, Yes]);
        assert_eq!([udp(4000, &longer), udp(4000, shorter)], [No, No]);
    }

    #[test]
    fn a_header_alone_is_an_answer_to_what_nobody_could_read() {
        let refused = Build::new(1, flag::RESPONSE | 1).bytes();
        assert_eq!([udp(53, &refused), udp(4000, &refused)], [Yes, No]);
        assert_eq!(udp(53, &Build::new(1, 0).bytes()), No);
    }

    #[test]
    fn multicast_answers_have_no_question() {
        let answer =
            Build::new(0, flag::RESPONSE).record(ANSWER, &wire("a.local"), A, IN, 1, &[192, 0, 2, 1]);
        assert_eq!([udp(5353, &answer.clone().bytes()), udp(4000, &answer.bytes())], [Yes, No]);
    }

    #[test]
    fn netbios_names_are_not_of_dns() {
        let label = piece(&[b'C'; NETBIOS_LABEL_BYTES]);
        let name = [&label[..], &[0]].concat();
        let netbios = Build::new(1, flag::RECURSION_DESIRED).question(&name, NETBIOS_KINDS[0], IN).bytes();
        assert_eq!([udp(137, &netbios), udp(40_137, &netbios)], [No, No]);
        assert_eq!(udp(137, &query().bytes()), No);
    }

    #[test]
    fn other_protocols_are_not_taken_for_dns() {
        let stun = [0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let ntp = [&[0x23, 0, 6, 0xEC][..], &[0; 44]].concat();
        let zeros = [0; 40];
        for bytes in [&stun[..], &ntp, &zeros, b"M-SEARCH * HTTP/1.1\r\n\r\n"] {
            for port in [53, 4000] {
                assert_eq!(udp(port, bytes), No, "{bytes:?}");
            }
        }
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", b"SSH-2.0-x\r\n"]
        {
            assert_eq!(tcp(4000, bytes), No, "{bytes:?}");
        }
    }

    #[test]
    fn streams_of_text_and_of_tls_are_not_waited_for() {
        let openings: [&[u8]; 4] = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /index.html HTTP/1.1\r\n",
            b"SSH-2.0-x\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03random",
        ];
        for bytes in openings {
            assert_eq!(tcp(53, bytes), No, "{bytes:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_stream_is_waited_for() {
        let question_end = query().framed().len();
        let query = query().edns(1232, 0, 0).framed();
        for length in 0..query.len() {
            let expected = if length < question_end { More } else { Yes };
            assert_eq!(tcp(53, &query[..length]), expected, "{length}");
            assert_eq!(tcp(4000, &query[..length]), More, "{length}");
        }
    }

    proptest! {
        /// Of any bytes, those that are a whole message are rare enough.
        #[test]
        fn any_bytes_are_not_dns_on_other_ports(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(udp(4000, &bytes), No);
            prop_assert!(tcp(4000, &bytes) != Yes);
            udp(53, &bytes);
            tcp(53, &bytes);
        }
    }
}
