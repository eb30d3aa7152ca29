//! The table of parsers. A protocol is added by a line here; the order is that in which parsers are asked whose opening
//! it is, those that a port hints at first.

use crate::{
    output::Output,
    parser::{Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use kflow::AppProtocol;

/// A kind and a state for each parser, and the calls to the right one.
macro_rules! parsers {
    ($($kind:ident: $parser:ty,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($kind),+
        }

        /// The state of one flow.
        #[derive(Debug)]
        pub(crate) enum State {
            Free,
            $($kind($parser)),+
        }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            pub(crate) fn recognise(self, opening: &Opening<'_>) -> Recognition {
                match self {
                    $(Kind::$kind if <$parser>::TRANSPORTS.contains(&opening.transport) => {
                        <$parser>::recognise(opening)
                    })+
                    _ => Recognition::No,
                }
            }

            const fn ports(self) -> &'static [u16] {
                match self {
                    $(Kind::$kind => <$parser>::PORTS),+
                }
            }

            const fn transports(self) -> &'static [Transport] {
                match self {
                    $(Kind::$kind => <$parser>::TRANSPORTS),+
                }
            }

            pub(crate) const fn begin(self) -> State {
                match self {
                    $(Kind::$kind => State::$kind(<$parser>::NEW)),+
                }
            }
        }

        impl State {
            pub(crate) fn kind(&self) -> Option<Kind> {
                match self {
                    State::Free => None,
                    $(State::$kind(_) => Some(Kind::$kind)),+
                }
            }

            pub(crate) fn protocol(&self) -> Option<AppProtocol> {
                match self {
                    State::Free => None,
                    $(State::$kind(parser) => Some(parser.protocol())),+
                }
            }

            pub(crate) fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
                match self {
                    State::Free => Step::Done,
                    $(State::$kind(parser) => parser.parse(input, output)),+
                }
            }

            pub(crate) fn salvage(&mut self, input: &Input<'_>, output: &mut Output<'_>) {
                match self {
                    State::Free => {}
                    $(State::$kind(parser) => parser.salvage(input, output)),+
                }
            }

            pub(crate) fn resume(&mut self, sender: Sender, output: &mut Output<'_>) -> bool {
                match self {
                    State::Free => false,
                    $(State::$kind(parser) => parser.resume(sender, output)),+
                }
            }

            pub(crate) fn finish(&mut self, output: &mut Output<'_>) {
                match self {
                    State::Free => {}
                    $(State::$kind(parser) => parser.finish(output)),+
                }
            }
        }
    };
}

// First those that know theirs by its content, then those that also go by ports.
parsers! {
    Ssh: crate::ssh::Ssh,
    PostgreSql: crate::postgresql::PostgreSql,
    MySql: crate::mysql::MySql,
    Sip: crate::sip::Sip,
    Tls: crate::tls::Tls,
    Quic: crate::quic::Quic,
    Dhcp: crate::dhcp::Dhcp,
    Http: crate::http::Http,
    Snmp: crate::snmp::Snmp,
    Radius: crate::radius::Radius,
    Dns: crate::dns::Dns,
    Ntp: crate::ntp::Ntp,
    Dhcpv6: crate::dhcpv6::Dhcpv6,
}

// A pool of these is reserved a worker.
const _: () = assert!(size_of::<State>() <= 544);

/// Whose opening it is. A parser waits for those before it that need more bytes to tell, so that it does not matter how
/// many came at once.
pub(crate) fn recognise(opening: &Opening<'_>) -> (Recognition, Option<Kind>) {
    let mut is_open = false;
    for kind in in_order(opening) {
        match kind.recognise(opening) {
            Recognition::Yes if is_open => return (Recognition::More, None),
            Recognition::Yes => return (Recognition::Yes, Some(kind)),
            Recognition::More => is_open = true,
            Recognition::No => {}
        }
    }
    (if is_open { Recognition::More } else { Recognition::No }, None)
}

/// Whose opening it is if no more bytes come.
pub(crate) fn recognise_at_last(opening: &Opening<'_>) -> Option<Kind> {
    in_order(opening).find(|kind| kind.recognise(opening) == Recognition::Yes)
}

/// Whether a port hints at a protocol.
pub(crate) fn is_hinted(opening: &Opening<'_>) -> bool {
    hinted(opening) != Kinds::NONE
}

/// Those that a port hints at, then the others.
fn in_order(opening: &Opening<'_>) -> impl Iterator<Item = Kind> {
    let carried = Kinds::of(opening.transport);
    let hinted = hinted(opening);
    Kinds(carried.0 & hinted.0).chain(Kinds(carried.0 & !hinted.0))
}

fn hinted(opening: &Opening<'_>) -> Kinds {
    let mut hinted = Kinds::NONE;
    for (port, kinds) in &PORTS {
        if *port == opening.receiver_port || *port == opening.sender_port {
            hinted.0 |= kinds.0;
        }
    }
    hinted
}

/// Kinds, a bit for each, the lowest for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u16);

const _: () = assert!(Kind::ALL.len() <= 16);

impl Kinds {
    const NONE: Kinds = Kinds(0);

    const fn of(transport: Transport) -> Kinds {
        const TCP: Kinds = Kinds::carried_by(Transport::Tcp);
        const UDP: Kinds = Kinds::carried_by(Transport::Udp);
        match transport {
            Transport::Tcp => TCP,
            Transport::Udp => UDP,
        }
    }

    const fn carried_by(transport: Transport) -> Kinds {
        let mut kinds = Kinds::NONE;
        let mut place = 0;
        while place < Kind::ALL.len() {
            let mut carriers = Kind::ALL[place].transports();
            while let [first, rest @ ..] = carriers {
                if *first as u8 == transport as u8 {
                    kinds.0 |= 1 << place;
                }
                carriers = rest;
            }
            place += 1;
        }
        kinds
    }
}

impl Iterator for Kinds {
    type Item = Kind;

    fn next(&mut self) -> Option<Kind> {
        let place = self.0.trailing_zeros() as usize;
        // Without the lowest bit that is set.
        self.0 &= self.0.checked_sub(1)?;
        Kind::ALL.get(place).copied()
    }
}

/// The ports of all parsers, and who has them.
const PORTS: [(u16, Kinds); PORT_COUNT] = {
    let mut ports = [(0, Kinds::NONE); PORT_COUNT];
    let (mut place, mut count) = (0, 0);
    while place < Kind::ALL.len() {
        let mut of_kind = Kind::ALL[place].ports();
        while let [first, rest @ ..] = of_kind {
            ports[count] = (*first, Kinds(1 << place));
            count += 1;
            of_kind = rest;
        }
        place += 1;
    }
    ports
};

const PORT_COUNT: usize = {
    let (mut place, mut count) = (0, 0);
    while place < Kind::ALL.len() {
        count += Kind::ALL[place].ports().len();
        place += 1;
    }
    count
};

#[cfg(test)]
mod tests;
