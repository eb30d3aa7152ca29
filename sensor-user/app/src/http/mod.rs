//! HTTP: versions 1.x (RFC 9112), 2 in the clear (RFC 9113), and the datagrams of SSDP.
//!
//! In: both sides of a connection, or datagrams. Out: a transaction a request, with its answer if there was one, and one
//! an answer whose request was not seen. Interim answers are no transactions. Bodies are passed over unseen.
//!
//! HTTP/2 begins with its preface, or by an upgrade from HTTP/1 (RFC 7540 §3.2). What follows CONNECT, or an upgrade to
//! something else, is recognised anew; nothing is looked for behind an upgrade to WebSocket.

mod chunk;
mod datagram;
mod head;
mod message;
mod one;
mod queue;
mod start;
#[cfg(test)]
mod tests;
mod two;

use self::{
    one::{One, Turn},
    start::{Demand, Start},
    two::Two,
};
use crate::{
    output::Output,
    parser::{Input, Opening, Parser, Recognition, Sender, Step, Transport},
    pool::BUFFER_BYTES,
};
use kflow::AppProtocol;

/// A head that is longer is not followed.
const HEAD_BYTES_MAX: usize = BUFFER_BYTES;

/// HTTP, of whatever version.
#[derive(Debug)]
pub struct Http {
    version: Version,
}

#[derive(Debug)]
enum Version {
    One(One),
    Two(Two),
}

impl Parser for Http {
    const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Udp];
    const PORTS: &[u16] = &[80, 8080, 8000, 8008, 8081, 8888, 3128, 1900, 2869, 5985, 7547];
    const NEW: Http = Http { version: Version::One(One::NEW) };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        let demand = match opening.transport {
            Transport::Udp => Demand::Line,
            Transport::Tcp if opening.has_port(Http::PORTS) => Demand::Method,
            Transport::Tcp => Demand::Path,
        };
        match Start::of(opening.bytes, demand) {
            Start::Request | Start::Answer => Recognition::Yes,
            Start::More => Recognition::More,
            Start::No => Recognition::No,
            Start::Preface | Start::Settings if opening.transport == Transport::Udp => Recognition::No,
            Start::Preface | Start::Settings => Recognition::Yes,
        }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Http
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        if input.transport == Transport::Udp {
            return datagram::parse(input, output);
        }
        match &mut self.version {
            Version::Two(two) => two.parse(input, output),
            Version::One(one) => match one.parse(input, output) {
                Turn::Step(step) => step,
                Turn::Two => {
                    one.finish(output);
                    self.begin_two(Two::NEW).parse(input, output)
                }
                Turn::Upgrade(head_bytes, request) => {
                    one.finish(output);
                    self.begin_two(Two::NEW).upgrade(request);
                    Step::Took(head_bytes as u64)
                }
            },
        }
    }

    fn salvage(&mut self, input: &Input<'_>, output: &mut Output<'_>) {
        if let Version::One(one) = &mut self.version {
            one.salvage(input, output);
        }
    }

    fn resume(&mut self, sender: Sender, output: &mut Output<'_>) -> bool {
        match &mut self.version {
            Version::One(one) => {
                one.lose(sender, output);
                true
            }
            // Frames and compressed fields mean nothing without those before them.
            Version::Two(_) => false,
        }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        match &mut self.version {
            Version::One(one) => one.finish(output),
            Version::Two(two) => two.finish(output),
        }
    }
}

impl Http {
    fn begin_two(&mut self, two: Two) -> &mut Two {
        self.version = Version::Two(two);
        let Version::Two(two) = &mut self.version else { unreachable!("it was just put there") };
        two
    }
}

const _: () = assert!(size_of::<Http>() <= 512);
