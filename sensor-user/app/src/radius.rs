//! RADIUS (RFC 2865, RFC 2866, RFC 5176).
//!
//! A request and its answer, which have the same identifier, are one transaction. Of an attribute that both have the
//! request's counts: addresses that only the answer gives are the session's. What a message says before the place where
//! it is cut, or makes no sense, counts.

mod attributes;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    waiting::{Request, Waiting},
};
use attributes::{
    ACCOUNTING_STATUS, Attributes, CALLING_STATION, FRAMED_ADDRESS, NAS_ADDRESS, NAS_ID, NAS_IPV6_ADDRESS,
    SESSION_ID, USER,
};
use kflow::application::{AppProtocol, protocols::radius};
use nom::{
    IResult, Parser as _,
    number::complete::{be_u16, be_u64, u8},
};

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCOUNTING_REQUEST: u8 = 4;
const ACCOUNTING_RESPONSE: u8 = 5;
const ACCESS_CHALLENGE: u8 = 11;
const STATUS_SERVER: u8 = 12;
const STATUS_CLIENT: u8 = 13;
const DISCONNECT_REQUEST: u8 = 40;
const DISCONNECT_ACK: u8 = 41;
const DISCONNECT_NAK: u8 = 42;
const COA_REQUEST: u8 = 43;
const COA_ACK: u8 = 44;
const COA_NAK: u8 = 45;

const HEADER_BYTES: u16 = 20;
/// RFC 2865 §3.
const BYTES_MAX: u16 = 4096;

/// Requests of one flow that wait at once.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub struct Radius {
    waiting: Waiting<Id, WAITING_MAX>,
}

/// What tells requests of one side apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    identifier: u8,
    /// The first half of the authenticator, by which a request that is sent again is known from one that uses its
    /// identifier again.
    authenticator: u64,
}

impl Parser for Radius {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    /// Authentication and accounting, each by its present and its early number, and changes of authorization by that of
    /// RFC 5176 and the other common one.
    const PORTS: &[u16] = &[1812, 1813, 1645, 1646, 3799, 1700];
    const NEW: Radius = Radius { waiting: Waiting::NEW };

    /// The header says little: on the ports of RADIUS a known code and a possible length are enough, elsewhere it has
    /// to be a request that attributes fill exactly, among them one that its code requires.
    fn recognise(opening: &Opening<'_>) -> Recognition {
        let Ok((rest, header)) = Header::read(opening.bytes) else { return Recognition::No };
        let is_possible = header.role().is_some() && (HEADER_BYTES..=BYTES_MAX).contains(&header.length);
        let is_it = is_possible && (opening.has_port(Radius::PORTS) || header.is_proved_by(rest));
        if is_it { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Radius
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let wrong = if input.is_cut { Failure::Cut } else { Failure::Malformed };
        let Ok((rest, header)) = Header::read(input.bytes) else { return Step::Failed(wrong) };
        if !(HEADER_BYTES..=BYTES_MAX).contains(&header.length) {
            return Step::Failed(Failure::Malformed);
        }
        // What is behind the length is padding.
        let attributes = Attributes::new(rest, usize::from(header.length - HEADER_BYTES));
        let is_sound = match header.role() {
            Some(Role::Request) => self.request(&header, attributes, input, output),
            Some(Role::Answer) => self.answer(&header, attributes, input, output),
            None => return Step::Failed(Failure::Unsupported),
        };
        if is_sound { Step::Took(input.bytes.len() as u64) } else { Step::Failed(wrong) }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.waiting.finish(output);
    }
}

impl Radius {
    /// Whether all of it made sense.
    fn request(
        &mut self,
        header: &Header,
        attributes: Attributes<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> bool {
        if self.waiting.holds(input.sender, |id| id == header.id) {
            // Sent again; its time is that of the first one.
            return true;
        }
        if let Some(old) = self.waiting.take(input.sender, |id| id.identifier == header.id.identifier) {
            old.give_up(output);
        }
        let draft = output.begin(AppProtocol::Radius);
        let is_sound = draft.as_ref().is_none_or(|draft| {
            let draft = output.draft(draft);
            draft.number(radius::IDENTIFIER, header.id.identifier);
            draft.number(radius::CODE, header.code);
            attributes.note(draft)
        });
        self.waiting.add(Request::new(header.id, draft, input), output);
        is_sound
    }

    /// Whether all of it made sense.
    fn answer(
        &mut self,
        header: &Header,
        attributes: Attributes<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> bool {
        let identifier = header.id.identifier;
        let request = self.waiting.take(input.sender.other(), |id| id.identifier == identifier);
        let request_ns = request.as_ref().map(|request| request.end_ns);
        let draft = match request {
            Some(request) => request.draft,
            None => output.begin(AppProtocol::Radius),
        };
        let Some(id) = draft else { return true };
        let draft = output.draft(&id);
        if request_ns.is_none() {
            draft.number(radius::IDENTIFIER, identifier);
            draft.number(radius::CODE, header.code);
        }
        draft.number(radius::ANSWER_CODE, header.code);
        let is_sound = attributes.note(draft);
        output.complete(id, Timing { request_ns, answer_ns: Some(input.start_ns) });
        is_sound
    }
}

struct Header {
    code: u8,
    id: Id,
    /// Of the message with its header.
    length: u16,
}

enum Role {
    Request,
    Answer,
}

impl Header {
    fn read(input: &[u8]) -> IResult<&[u8], Header> {
        let (rest, (code, identifier, length, authenticator, _other_half)) =
            (u8, u8, be_u16, be_u64, be_u64).parse(input)?;
        Ok((rest, Header { code, id: Id { identifier, authenticator }, length }))
    }

    /// `None` of codes that are not known.
    fn role(&self) -> Option<Role> {
        match self.code {
            ACCESS_REQUEST | ACCOUNTING_REQUEST | STATUS_SERVER | STATUS_CLIENT | DISCONNECT_REQUEST
            | COA_REQUEST => Some(Role::Request),
            ACCESS_ACCEPT | ACCESS_REJECT | ACCOUNTING_RESPONSE | ACCESS_CHALLENGE | DISCONNECT_ACK
            | DISCONNECT_NAK | COA_ACK | COA_NAK => Some(Role::Answer),
            _ => None,
        }
    }

    /// Whether what follows the header makes it a request beyond doubt.
    fn is_proved_by(&self, rest: &[u8]) -> bool {
        // Required by RFC 2865 §4.1, RFC 2866 §4.1 and RFC 5176 §3.
        let required: &[u8] = match self.code {
            ACCESS_REQUEST => &[NAS_ADDRESS, NAS_ID, NAS_IPV6_ADDRESS],
            ACCOUNTING_REQUEST => &[ACCOUNTING_STATUS],
            DISCONNECT_REQUEST | COA_REQUEST => &[USER, SESSION_ID, FRAMED_ADDRESS, CALLING_STATION],
            _ => return false,
        };
        let length = usize::from(self.length - HEADER_BYTES);
        length == rest.len() && Attributes::new(rest, length).are_sound_with(required)
    }
}

#[cfg(test)]
mod tests;
