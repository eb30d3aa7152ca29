//! DHCP over IPv6 (RFC 8415).
//!
//! Every message is a transaction of its own, as with DHCP over IPv4: a client asks a multicast group and is answered in
//! another flow. Where both are in one flow, as between relays and servers, an answer has the latency since the latest
//! request under its transaction identifier. Of a relayed message it is the innermost that counts.
//!
//! What a message says before the place where it is cut, or makes no sense, counts.

mod options;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    waiting::{Request, Waiting},
};
use kflow::application::{AppProtocol, protocols::dhcpv6};
use nom::{
    IResult, Parser as _,
    combinator::{rest, verify},
    number::complete::{be_u24, u8},
};
use options::{CLIENT_ID, Options, SERVER_ID};

const ADVERTISE: u8 = 2;
const REPLY: u8 = 7;
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
const LEASEQUERY_REPLY: u8 = 15;
const RECONFIGURE_REPLY: u8 = 19;
const DHCPV4_QUERY: u8 = 20;
const DHCPV4_RESPONSE: u8 = 21;
const ADDRESS_REGISTRATION_REPLY: u8 = 37;
/// Of the types of messages that IANA lists.
const TYPE_MAX: u8 = ADDRESS_REGISTRATION_REPLY;
/// Of the types that are in RFC 8415.
const BASIC_TYPE_MAX: u8 = RELAY_REPLY;

/// Hop count, link address and peer address of a relay's message, behind its type.
const RELAY_BYTES: usize = 33;
/// Relays that a message may pass (RFC 3315 §20.1.2; RFC 8415 allows 8).
const RELAYS_MAX: usize = 32;

/// A DUID is a type, of which four are known, and at least one byte (RFC 8415 §11).
const DUID_BYTES_MIN: usize = 3;
const DUID_TYPE_MAX: u8 = 4;

/// Requests of one flow whose answers get a latency: a relay speaks for many clients.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub struct Dhcpv6 {
    /// By transaction identifier.
    asked: Waiting<u32, WAITING_MAX>,
}

impl Parser for Dhcpv6 {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    /// Client, and servers and relays.
    const PORTS: &[u16] = &[546, 547];
    const NEW: Dhcpv6 = Dhcpv6 { asked: Waiting::NEW };

    /// On its ports by a known type. Elsewhere all options have to fill their message exactly, and one of them has to name
    /// client or server by a DUID of a known type.
    fn recognise(opening: &Opening<'_>) -> Recognition {
        let Ok(message) = Message::innermost(opening.bytes) else { return Recognition::No };
        let is_it = opening.has_port(Dhcpv6::PORTS) || message.kind <= BASIC_TYPE_MAX && message.has_duid();
        if is_it { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Dhcpv6
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let or_cut = |failure| if input.is_cut { Failure::Cut } else { failure };
        let message = match Message::innermost(input.bytes) {
            Ok(message) => message,
            Err(failure) => return Step::Failed(or_cut(failure)),
        };
        let timing = self.timing(&message, input, output);
        let Some(id) = output.begin(AppProtocol::Dhcpv6) else { return Step::Took(input.bytes.len() as u64) };
        let draft = output.draft(&id);
        draft.number(dhcpv6::MESSAGE_TYPE, message.kind);
        if let Some(transaction_id) = message.transaction_id {
            draft.number(dhcpv6::TRANSACTION_ID, transaction_id);
        }
        let is_sound = message.options.note(draft) && message.is_whole;
        output.complete(id, timing);
        if is_sound { Step::Took(input.bytes.len() as u64) } else { Step::Failed(or_cut(Failure::Malformed)) }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.asked.finish(output);
    }
}

impl Dhcpv6 {
    /// When a message and, if it is an answer, its request came. A request does not count as unanswered, since most of
    /// them are answered in another flow.
    fn timing(&mut self, message: &Message<'_>, input: &Input<'_>, output: &mut Output<'_>) -> Timing {
        let answer_ns = Some(input.start_ns);
        let alone = Timing { request_ns: None, answer_ns };
        let Some(transaction_id) = message.transaction_id else { return alone };
        let is_same = |id| id == transaction_id;
        if message.is_answer() {
            let request = self.asked.take(input.sender.other(), is_same);
            return Timing { request_ns: request.map(|request| request.end_ns), answer_ns };
        }
        self.asked.take(input.sender, is_same);
        self.asked.add(Request::new(transaction_id, None, input), output);
        alone
    }
}

/// A message between client and server.
#[derive(Clone, Debug)]
struct Message<'a> {
    kind: u8,
    transaction_id: Option<u32>,
    options: Options<'a>,
    /// Relays carry all of it.
    is_whole: bool,
}

impl Message<'_> {
    /// The message itself, or the one that relays have wrapped.
    fn innermost(mut bytes: &[u8]) -> Result<Message<'_>, Failure> {
        let mut is_whole = true;
        for _ in 0..=RELAYS_MAX {
            let Some((&kind @ (RELAY_FORWARD | RELAY_REPLY), rest)) = bytes.split_first() else {
                let (_, message) = Message::read(bytes, is_whole).map_err(|_| Failure::Malformed)?;
                return Ok(message);
            };
            let options = rest.get(RELAY_BYTES..).ok_or(Failure::Malformed)?;
            let Some(relayed) = options::relayed(options) else {
                // Relays that carry nothing, which they should not, speak for themselves.
                let options = Options::new(&[]);
                return Ok(Message { kind, transaction_id: None, options, is_whole: false });
            };
            bytes = relayed.message;
            is_whole &= relayed.is_whole;
        }
        Err(Failure::Limit)
    }

    fn read(input: &[u8], is_whole: bool) -> IResult<&[u8], Message<'_>> {
        let kind = verify(u8, |kind| (1..=TYPE_MAX).contains(kind));
        let (end, (kind, flags_or_id, options)) = (kind, be_u24, rest).parse(input)?;
        let has_id = !matches!(kind, DHCPV4_QUERY | DHCPV4_RESPONSE);
        let transaction_id = has_id.then_some(flags_or_id);
        Ok((end, Message { kind, transaction_id, options: Options::new(options), is_whole }))
    }

    fn is_answer(&self) -> bool {
        matches!(
            self.kind,
            ADVERTISE | REPLY | LEASEQUERY_REPLY | RECONFIGURE_REPLY | ADDRESS_REGISTRATION_REPLY
        )
    }

    /// Whether all is options, and one of them a DUID of a known type.
    fn has_duid(&self) -> bool {
        let mut options = self.options.clone();
        let mut has_duid = false;
        for (code, value) in options.by_ref() {
            has_duid |= matches!(code, CLIENT_ID | SERVER_ID)
                && value.len() >= DUID_BYTES_MIN
                && value[0] == 0
                && (1..=DUID_TYPE_MAX).contains(&value[1]);
        }
        has_duid && options.is_sound() && self.is_whole
    }
}

#[cfg(test)]
mod tests;
