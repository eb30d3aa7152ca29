//! DTLS (RFC 6347, RFC 9147): the same handshake in datagrams.
//!
//! Messages are cut into fragments, which are put together here if they come in order. The flow is done as soon as
//! either side encrypts.

use super::{
    ALERT_BYTES, Stage, Tls, content,
    fingerprint::Carrier,
    handshake::{self, Gathering, Heard},
    note_alert,
    wire::Read,
};
use crate::{
    output::{BufferId, Output},
    parser::{Failure, Input, Recognition, Step},
};
use nom::{
    Parser as _,
    bytes::complete::take,
    multi::length_data,
    number::complete::{be_u8, be_u16, be_u24},
};
use std::ops::RangeInclusive;

/// First bytes of datagrams that are of DTLS where several protocols share ports (RFC 7983).
const FIRST_BYTES: RangeInclusive<u8> = 20..=63;
/// Sequence number of a record.
const NUMBER_BYTES: usize = 6;

/// A record of which nothing is encrypted, unless its epoch says so.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    kind: u8,
    version: u16,
    epoch: u16,
    content: &'a [u8],
}

/// A part of a handshake message.
#[derive(Clone, Copy, Debug)]
struct Fragment<'a> {
    kind: u8,
    /// Of the whole message.
    length: u32,
    offset: u32,
    bytes: &'a [u8],
}

/// Whether a hello begins here, or what asks for another one.
pub(super) fn recognise(bytes: &[u8]) -> Recognition {
    let is_hello = || {
        let (_, record) = record(bytes).ok()?;
        let (_, fragment) = fragment(record.content).ok()?;
        let hellos = [handshake::CLIENT_HELLO, handshake::SERVER_HELLO, handshake::HELLO_VERIFY_REQUEST];
        let is_one = record.kind == content::HANDSHAKE
            && is_version(record.version)
            && record.epoch == 0
            && hellos.contains(&fragment.kind)
            && fragment.offset == 0;
        is_one.then_some(())
    };
    if bytes.first() == Some(&content::HANDSHAKE) && is_hello().is_some() {
        return Recognition::Yes;
    }
    Recognition::No
}

impl Tls {
    pub(super) fn datagram(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let is_other = input.bytes.first().is_none_or(|first| !FIRST_BYTES.contains(first));
        let mut rest = input.bytes;
        while !rest.is_empty() && !is_other {
            let record = match record(rest) {
                Ok((later, record)) => {
                    rest = later;
                    record
                }
                // The header of DTLS 1.3 is that of an encrypted record.
                Err(_) if rest[0] > content::HEARTBEAT => return Step::Done,
                Err(_) if input.is_cut => return Step::Failed(Failure::Cut),
                Err(_) => return Step::Failed(Failure::Malformed),
            };
            if let Some(step) = self.dtls_record(&record, input, output) {
                return step;
            }
        }
        Step::Took(input.bytes.len() as u64)
    }

    fn dtls_record(
        &mut self,
        record: &Record<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Option<Step> {
        match record.kind {
            _ if record.epoch > 0 => Some(Step::Done),
            content::HANDSHAKE => self.fragments(record.content, input, output),
            content::ALERT if record.content.len() == ALERT_BYTES => note_alert(record.content, output),
            content::CHANGE_CIPHER_SPEC | content::APPLICATION_DATA => Some(Step::Done),
            _ => None,
        }
    }

    fn fragments(&mut self, bytes: &[u8], input: &Input<'_>, output: &mut Output<'_>) -> Option<Step> {
        let mut rest = bytes;
        while !rest.is_empty() && self.side(input).stage != Stage::Watching {
            let Ok((later, fragment)) = fragment(rest) else { return Some(Step::Failed(Failure::Malformed)) };
            rest = later;
            let is_answer =
                [handshake::SERVER_HELLO, handshake::HELLO_VERIFY_REQUEST].contains(&fragment.kind);
            if is_answer && self.side(input).stage == Stage::Hello {
                self.answer_ns.get_or_insert(input.start_ns);
            }
            let heard = self.fragment(&fragment, input, output);
            if let Some(step) = self.note(heard, input, output) {
                return Some(step);
            }
        }
        None
    }

    /// Reads a message, if the fragment is all of it or its end.
    fn fragment(&mut self, fragment: &Fragment<'_>, input: &Input<'_>, output: &mut Output<'_>) -> Heard {
        let stage = self.side(input).stage;
        if fragment.bytes.len() == fragment.length as usize {
            return handshake::hear_whole(Carrier::Dtls, stage, fragment.kind, fragment.bytes, output);
        }
        let gathered = self.side(input).gathered.take();
        // Only a message's beginning is worth a buffer.
        if gathered.is_none() && fragment.offset > 0 {
            return Heard::Nothing;
        }
        let Some(buffer) = gathered.or_else(|| output.take_buffer()) else {
            return Heard::Failed(Failure::Limit);
        };
        let gathering = gather(&buffer, fragment, output);
        if gathering == Gathering::Partial {
            self.side(input).gathered = Some(buffer);
            return Heard::Nothing;
        }
        let heard = handshake::hear_gathered(Carrier::Dtls, stage, gathering, &buffer, output);
        output.release_buffer(buffer);
        heard
    }
}

/// Adds to a message, which is in the buffer as TLS would have it, what is next in it.
fn gather(buffer: &BufferId, fragment: &Fragment<'_>, output: &mut Output<'_>) -> Gathering {
    let [_, high, middle, low] = fragment.length.to_be_bytes();
    let header = [fragment.kind, high, middle, low];
    let held = output.buffer(buffer);
    if !held.starts_with(&header) {
        if fragment.offset > 0 {
            return Gathering::Partial;
        }
        output.consume_buffer(buffer, held.len());
        output.extend_buffer(buffer, &header);
    }
    let known = output.buffer(buffer).len() - handshake::HEADER_BYTES;
    // What is known comes again if it got lost on its way.
    let next = known.checked_sub(fragment.offset as usize).and_then(|again| fragment.bytes.get(again..));
    handshake::gather(buffer, next.unwrap_or_default(), output).0
}

/// Versions 1.0 to 1.3, and one that was never published as such but spoken.
fn is_version(version: u16) -> bool {
    matches!(version, 0xfefc..=0xfeff | 0x0100)
}

fn record(input: &[u8]) -> Read<'_, Record<'_>> {
    let header = (be_u8, be_u16, be_u16, take(NUMBER_BYTES), length_data(be_u16));
    header
        .map(|(kind, version, epoch, _number, content)| Record { kind, version, epoch, content })
        .parse(input)
}

fn fragment(input: &[u8]) -> Read<'_, Fragment<'_>> {
    let header = (be_u8, be_u24, be_u16, be_u24, length_data(be_u24));
    header.map(|(kind, length, _number, offset, bytes)| Fragment { kind, length, offset, bytes }).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        harness::{
            Conversation,
            Sender::{Destination, Source},
        },
        tls::builder::{Hello, certificate, certificate_list, dtls_record, fragments, server_hello},
    };
    use kflow::application::{AppProtocol, protocols::tls};
    use proptest::prelude::*;

    fn hello(cookie: &[u8]) -> Vec<u8> {
        let hello = Hello { version: 0xfefd, ..Hello::usual("dtls.example") };
        fragments(1, &hello.dtls_body(cookie), 10_000).concat()
    }

    fn server_flight(fragment_bytes: usize) -> Vec<Vec<u8>> {
        let own = certificate(&[(12, b"Some CA")], &[(12, b"www.example.org")], &[]);
        let hello = fragments(2, &server_hello(0xfefd, &[7; 32], 0xc02f, &[]), 10_000);
        [hello, fragments(11, &certificate_list(&[own]), fragment_bytes)].concat()
    }

    fn conversation(flight: &[Vec<u8>]) -> Conversation {
        let verify = fragments(3, &[0xfe, 0xff, 2, 1, 2], 100).concat();
        let start = Conversation::udp(40_000, 4433)
            .say(Source, &hello(&[]))
            .say(Destination, &verify)
            .say(Source, &hello(&[1, 2]));
        let said =
            flight.iter().fold(start, |conversation, datagram| conversation.say(Destination, datagram));
        said.say(Source, &dtls_record(20, 0, &[1])).say(Source, &dtls_record(22, 1, &[0xa5; 40]))
    }

    #[test]
    fn a_session_in_datagrams_has_what_both_sides_said() {
        let outcome = conversation(&server_flight(100)).run();
        assert_eq!(outcome.counts.read(AppProtocol::Tls).failures, [0; Failure::ALL.len()]);
        let session = outcome.session.unwrap();
        assert_eq!(session.text(tls::SERVER_NAME), Some("dtls.example"));
        assert!(session.text(tls::JA4).unwrap().starts_with("d13d0306h2_"));
        assert_eq!(session.number(tls::VERSION), Some(0xfefd));
        assert_eq!(session.text(tls::CERTIFICATE_NAMES), Some("www.example.org"));
        assert_eq!(session.latency_us(), Some(1000), "until the server asked for another hello");
    }

    #[test]
    fn fragments_that_come_again_or_too_late_change_nothing() {
        let flight = server_flight(100);
        let [hello, first, second, rest @ ..] = flight.as_slice() else { panic!("it has as many fragments") };
        let rest = rest.concat();
        let again = [hello, second, first, hello, first, second, second, &rest].map(Clone::clone);
        assert_eq!(conversation(&again).run().session, conversation(&flight).run().session);
    }

    #[test]
    fn other_protocols_may_share_the_ports() {
        let other = [0x80, 0x60, 0, 1, 0, 0];
        let mut flight = server_flight(100);
        flight.insert(1, other.to_vec());
        let outcome = conversation(&flight).run();
        assert_eq!(outcome.counts.read(AppProtocol::Tls).failures, [0; Failure::ALL.len()]);
        assert!(outcome.session.unwrap().text(tls::CERTIFICATE_NAMES).is_some());
    }

    #[test]
    fn a_fatal_alert_in_the_clear_is_noted() {
        let alert = dtls_record(21, 0, &[2, 40]);
        let outcome = Conversation::udp(40_000, 4433).say(Source, &hello(&[])).say(Destination, &alert).run();
        assert_eq!(outcome.session.unwrap().number(tls::ALERT), Some(40));
    }

    proptest! {
        #[test]
        fn fragments_of_any_size_are_the_same_messages(fragment_bytes in 1usize..500) {
            let outcome = conversation(&server_flight(fragment_bytes)).run();
            let session = outcome.session.unwrap();
            prop_assert_eq!(session.text(tls::CERTIFICATE_ISSUER), Some("Some CA"));
        }

        #[test]
        fn any_datagrams_are_taken(
            datagrams in prop::collection::vec((20u8..26, 0u8..2, prop::collection::vec(any::<u8>(), 0..60)), 0..6),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut conversation = Conversation::udp(40_000, 4433).say(Source, &hello(&[]));
            for (kind, epoch, content) in datagrams {
                conversation = conversation.say(Destination, &dtls_record(kind, epoch, &content));
            }
            conversation.say(Source, &bytes).run();
        }

        #[test]
        fn a_damaged_flight_is_taken(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut flight = server_flight(100);
            let datagram = place.index(flight.len());
            let at = place.index(flight[datagram].len());
            flight[datagram][at] = byte;
            conversation(&flight).run();
        }
    }
}
