//! DNS over UDP and TCP (RFC 1035, RFC 7766), multicast DNS (RFC 6762), LLMNR (RFC 4795).
//!
//! A query and its answer are one transaction: they have the same identifier and question, and come from opposite
//! sides. A query that is sent again belongs to the same transaction, whose latency is from the first time; one that is
//! never answered is a transaction without an answer, and so is the oldest if too many wait. An answer whose query was
//! not seen is a transaction by itself. In mDNS every message is: questions and answers are not of each other there.
//!
//! Of several questions the first is told, and the number of all. Of a message that the capture cut, what is there;
//! of one that makes no sense from some record on, what is before, and the failure is counted. The messages of a zone
//! transfer behind the first belong to its transaction, and nothing is told of them.
//!
//! [`message`] reads messages, [`name`] names, [`data`] says what records say; nothing is believed of lengths and
//! counts, and nothing is followed for longer than there is input. The state of a flow is what is [`outstanding`].

mod data;
mod fields;
mod kinds;
mod message;
mod name;
mod outstanding;
mod recognise;

#[cfg(any(test, feature = "harness"))]
pub mod build;
#[cfg(test)]
mod tests;

use crate::{
    output::{DraftId, Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use fields::Message;
use kflow::application::{AppProtocol, protocols::dns};
use message::{Flaw, Header, Reader, flag, opcode};
use outstanding::{Identity, Outstanding, Query};

/// What goes before each message of a stream.
const LENGTH_BYTES: usize = 2;
/// Of a message of a stream, so many bytes are looked at.
const STREAM_MESSAGE_BYTES_MAX: usize = 16 * 1024;

const MDNS_PORT: u16 = 5353;
const LLMNR_PORT: u16 = 5355;

/// Types of questions for whole zones or what changed in them.
const TRANSFERS: [u16; 2] = [251, 252];

#[derive(Debug)]
pub struct Dns {
    protocol: Option<AppProtocol>,
    outstanding: Outstanding,
    /// The zone transfer whose messages come.
    transfer: Option<u16>,
}

impl Parser for Dns {
    const TRANSPORTS: &[Transport] = &[Transport::Udp, Transport::Tcp];
    const PORTS: &[u16] = &[53, MDNS_PORT, LLMNR_PORT];
    const NEW: Dns = Dns { protocol: None, outstanding: Outstanding::NEW, transfer: None };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        recognise::recognise(opening)
    }

    fn protocol(&self) -> AppProtocol {
        self.protocol.unwrap_or(AppProtocol::Dns)
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let (message, whole_bytes, is_cut) = match input.transport {
            Transport::Udp => (input.bytes, input.bytes.len(), input.is_cut),
            Transport::Tcp => {
                let Some((length, _)) = input.bytes.split_first_chunk() else {
                    return Step::Need(LENGTH_BYTES);
                };
                let whole_bytes = LENGTH_BYTES + usize::from(u16::from_be_bytes(*length));
                let looked_at = whole_bytes.min(STREAM_MESSAGE_BYTES_MAX);
                let Some(bytes) = input.bytes.get(..looked_at) else { return Step::Need(looked_at) };
                (&bytes[LENGTH_BYTES..], whole_bytes, looked_at < whole_bytes)
            }
        };
        match self.message(message, is_cut, input, output) {
            Ok(()) => Step::Took(whole_bytes as u64),
            Err(failure) => Step::Failed(failure),
        }
    }

    fn resume(&mut self, _sender: Sender, _output: &mut Output<'_>) -> bool {
        true
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        while let Some(query) = self.outstanding.pop() {
            complete_unanswered(query, output);
        }
    }
}

impl Dns {
    fn message(
        &mut self,
        bytes: &[u8],
        is_cut: bool,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let failure = |flaw| match flaw {
            Flaw::Short if is_cut => Failure::Cut,
            Flaw::Short | Flaw::Invalid => Failure::Malformed,
        };
        let (header, reader) = Reader::new(bytes).map_err(failure)?;
        if !opcode::ALL.contains(&header.opcode()) {
            return Err(Failure::Unsupported);
        }
        if self.protocol.is_none() {
            self.protocol = Some(protocol_of(input, &header));
        }
        let message = Message::read(header, reader).map_err(failure)?;
        if header.is_response() {
            self.answer(&message, input, output);
        } else {
            self.query(&message, input, output);
        }
        match message.flaw {
            // A server cuts where it wants, too.
            Some(Flaw::Short) if is_cut || header.is_truncated() => Ok(()),
            Some(flaw) => Err(failure(flaw)),
            None => Ok(()),
        }
    }

    fn query(&mut self, message: &Message<'_>, input: &Input<'_>, output: &mut Output<'_>) {
        let protocol = self.protocol();
        let identity = Identity::new(input.sender, &message.header, message.question.as_ref());
        if let Some(query) = self.outstanding.find(&identity) {
            query.repeats = query.repeats.saturating_add(1);
            if let Some(draft) = &query.draft {
                output.draft(draft).number(dns::REPEATED_QUERIES, query.repeats);
            }
            return;
        }
        if self.outstanding.is_full()
            && let Some(oldest) = self.outstanding.pop()
        {
            complete_unanswered(oldest, output);
        }
        let draft = output.begin(protocol);
        if let Some(draft) = &draft {
            let draft = output.draft(draft);
            message.tell_question(draft);
            message.tell_query(draft);
        }
        let query = Query { identity, draft, time_ns: input.end_ns, repeats: 0 };
        if protocol == AppProtocol::Mdns {
            complete_unanswered(query, output);
        } else {
            self.outstanding.push(query);
        }
    }

    fn answer(&mut self, message: &Message<'_>, input: &Input<'_>, output: &mut Output<'_>) {
        let identity = Identity::new(input.sender, &message.header, message.question.as_ref());
        let query = self.outstanding.answer(&identity);
        if query.is_none() && self.transfer == Some(identity.id) {
            return;
        }
        let kind = message.question.map(|question| question.kind);
        let is_transfer =
            input.transport == Transport::Tcp && kind.is_some_and(|kind| TRANSFERS.contains(&kind));
        self.transfer = is_transfer.then_some(identity.id);
        let request_ns = query.as_ref().map(|query| query.time_ns);
        let draft = match query {
            Some(query) => query.draft,
            None => self.begin_answer(message, output),
        };
        let Some(draft) = draft else { return };
        message.tell_answer(output.draft(&draft));
        output.complete(draft, Timing { request_ns, answer_ns: Some(input.start_ns) });
    }

    /// A transaction whose query was not seen.
    fn begin_answer(&self, message: &Message<'_>, output: &mut Output<'_>) -> Option<DraftId> {
        let id = output.begin(self.protocol())?;
        message.tell_question(output.draft(&id));
        Some(id)
    }
}

fn complete_unanswered(query: Query, output: &mut Output<'_>) {
    if let Some(draft) = query.draft {
        output.complete(draft, Timing { request_ns: Some(query.time_ns), answer_ns: None });
    }
}

/// Nobody recurses in multicast DNS: what asks for that on its port is plain DNS to a server there.
fn protocol_of(input: &Input<'_>, header: &Header) -> AppProtocol {
    let has_port = |port| input.sender_port == port || input.receiver_port == port;
    let is_recursive = header.flags & flag::RECURSION_DESIRED != 0;
    if has_port(MDNS_PORT) && input.transport == Transport::Udp && !is_recursive {
        AppProtocol::Mdns
    } else if has_port(LLMNR_PORT) {
        AppProtocol::Llmnr
    } else {
        AppProtocol::Dns
    }
}
