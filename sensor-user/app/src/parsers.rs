//! The table of parsers. A protocol is added by a line here; the order is that in which parsers are asked whose opening
//! it is, those that a port hints at first.

use crate::{
    output::Output,
    parser::{Input, Opening, Parser, Recognition, Sender, Step},
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

            pub(crate) fn is_hinted(self, opening: &Opening<'_>) -> bool {
                match self {
                    $(Kind::$kind => opening.has_port(<$parser>::PORTS)),+
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

/// Those that a port hints at, then the others.
fn in_order(opening: &Opening<'_>) -> impl Iterator<Item = Kind> {
    let of = |is_hinted| Kind::ALL.iter().copied().filter(move |kind| kind.is_hinted(opening) == is_hinted);
    of(true).chain(of(false))
}

#[cfg(test)]
mod tests;
