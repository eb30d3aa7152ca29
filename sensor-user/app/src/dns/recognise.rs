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

/// Questions or records of a message whose first one was cut.
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
        return if length < HEADER_BYTES { Recognition::No } else { begins_message(message, ending) };
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
