//! DHCP over IPv4 and BOOTP (RFC 2131, RFC 951).
//!
//! Every message is a transaction of its own: what client and server say to each other is mostly in several flows, since
//! one or the other broadcasts. Where both are in one flow, as with renewals and relays, a reply has the latency since the
//! latest request under its transaction identifier.
//!
//! What a message says before the place where it is cut, or makes no sense, counts.

mod options;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Step, Transport},
    text::{write_hex, write_mac},
    waiting::{Request, Waiting},
};
use kflow::application::{AppProtocol, Draft, protocols::dhcp};
use nom::{
    IResult, Parser as _,
    bytes::complete::take,
    combinator::verify,
    number::complete::{be_u32, u8},
};
use options::Options;
use std::net::Ipv4Addr;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

const HARDWARE_ADDRESS_BYTES: usize = 16;
const SERVER_NAME_BYTES: usize = 64;
const FILE_BYTES: usize = 128;
/// What options begin with; BOOTP may have something else there.
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const COOKIE_BYTES: usize = COOKIE.len();

/// Requests of one flow whose replies get a latency: a relay speaks for many clients.
const WAITING_MAX: usize = 8;

#[derive(Debug)]
pub struct Dhcp {
    /// By transaction identifier.
    asked: Waiting<u32, WAITING_MAX>,
}

impl Parser for Dhcp {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    /// Server and client.
    const PORTS: &[u16] = &[67, 68];
    const NEW: Dhcp = Dhcp { asked: Waiting::NEW };

    /// By the magic cookie. BOOTP has none, and captures may be cut before it: where both ports are right, a header
    /// that makes sense is enough.
    fn recognise(opening: &Opening<'_>) -> Recognition {
        let Ok((rest, _)) = Header::read(opening.bytes) else { return Recognition::No };
        let cookie = rest.get(SERVER_NAME_BYTES + FILE_BYTES..).and_then(|rest| rest.get(..COOKIE_BYTES));
        let are_ports_right =
            Dhcp::PORTS.contains(&opening.sender_port) && Dhcp::PORTS.contains(&opening.receiver_port);
        if cookie == Some(&COOKIE) || are_ports_right { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Dhcp
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let wrong = if input.is_cut { Failure::Cut } else { Failure::Malformed };
        let Ok((rest, header)) = Header::read(input.bytes) else { return Step::Failed(wrong) };
        let timing = self.timing(&header, input, output);
        let Some(id) = output.begin(AppProtocol::Dhcp) else { return Step::Took(input.bytes.len() as u64) };
        let draft = output.draft(&id);
        header.note(draft);
        let is_sound = note_rest(rest, draft);
        output.complete(id, timing);
        if is_sound { Step::Took(input.bytes.len() as u64) } else { Step::Failed(wrong) }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.asked.finish(output);
    }
}

impl Dhcp {
    /// When a message came and, if it is a reply, its request. A request does not count as unanswered, since most of
    /// them are answered in another flow.
    fn timing(&mut self, header: &Header<'_>, input: &Input<'_>, output: &mut Output<'_>) -> Timing {
        let is_same = |id| id == header.transaction_id;
        let answer_ns = Some(input.start_ns);
        if header.operation == REPLY {
            let request = self.asked.take(input.sender.other(), is_same);
            return Timing { request_ns: request.map(|request| request.end_ns), answer_ns };
        }
        // A client that says more under the same identifier, such as REQUEST after DISCOVER, is answered to that.
        self.asked.take(input.sender, is_same);
        self.asked.add(Request::new(header.transaction_id, None, input), output);
        Timing { request_ns: None, answer_ns }
    }
}

/// What every message begins with.
struct Header<'a> {
    operation: u8,
    hardware_address: &'a [u8],
    transaction_id: u32,
    client: Ipv4Addr,
    your: Ipv4Addr,
    server: Ipv4Addr,
}

impl Header<'_> {
    fn read(input: &[u8]) -> IResult<&[u8], Header<'_>> {
        let operation = verify(u8, |operation| matches!(*operation, REQUEST | REPLY));
        let hardware_bytes = verify(u8, |bytes| usize::from(*bytes) <= HARDWARE_ADDRESS_BYTES);
        let (rest, (operation, _hardware, hardware_bytes, _hops)) =
            (operation, u8, hardware_bytes, u8).parse(input)?;
        let (rest, (transaction_id, _seconds_and_flags)) = (be_u32, be_u32).parse(rest)?;
        let (rest, (client, your, server, _relay)) = (address, address, address, address).parse(rest)?;
        let (rest, hardware_address) = take(HARDWARE_ADDRESS_BYTES)(rest)?;
        let hardware_address = &hardware_address[..usize::from(hardware_bytes)];
        Ok((rest, Header { operation, hardware_address, transaction_id, client, your, server }))
    }

    fn note(&self, draft: &mut Draft) {
        draft.number(dhcp::OPERATION, self.operation);
        draft.number(dhcp::TRANSACTION_ID, self.transaction_id);
        draft.address(dhcp::CLIENT_ADDRESS, self.client);
        draft.address(dhcp::YOUR_ADDRESS, self.your);
        draft.address(dhcp::SERVER_ADDRESS, self.server);
        match self.hardware_address.len() {
            0 => {}
            6 => draft.text_with(dhcp::CLIENT_MAC, |writer| write_mac(writer, self.hardware_address)),
            _ => draft.text_with(dhcp::CLIENT_MAC, |writer| write_hex(writer, self.hardware_address)),
        }
    }
}

fn address(input: &[u8]) -> IResult<&[u8], Ipv4Addr> {
    be_u32.map(Ipv4Addr::from_bits).parse(input)
}

/// Notes the options behind the header. Whether all of it made sense.
fn note_rest(input: &[u8], draft: &mut Draft) -> bool {
    let names = (take(SERVER_NAME_BYTES), take(FILE_BYTES)).parse(input);
    let Ok((rest, (server_name, file))): IResult<_, (&[u8], &[u8])> = names else { return false };
    let Some((cookie, options)) = rest.split_first_chunk() else {
        // Early BOOTP ends here.
        return rest.is_empty();
    };
    *cookie != COOKIE || Options::new(options, file, server_name).note(draft)
}

#[cfg(test)]
mod tests;
