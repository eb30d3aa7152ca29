//! Names to addresses, for one server: asked again once a minute, not with every request; and when the name servers
//! do not answer, what they said last still holds.
//!
//! The system's resolver blocks for as long as it likes, so it is asked on a thread; there is never more than one
//! for each server.

use crate::clock::{Clock, Moment};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an answer is taken for right without asking.
const ANSWER_LIFETIME: Duration = Duration::from_secs(60);

/// As many as ureq tries.
const ADDRESSES_MAX: usize = 16;

/// The resolver of one connection's server, or of its proxy.
pub(crate) struct CachedResolver {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    lookup: Lookup,
    known: Option<Known>,
    /// A question that was not answered in time.
    pending: Option<Pending>,
}

type Lookup = fn(&str) -> io::Result<Vec<SocketAddr>>;

struct Known {
    name: String,
    addresses: Vec<SocketAddr>,
    at: Moment,
}

struct Pending {
    name: String,
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
}

/// Why a name has no address.
#[derive(Debug)]
enum Failure {
    /// The name servers say so, or cannot be asked.
    Said(io::Error),
    Late,
}

/// [`Failure::Said`] with the name, as ureq carries it to us.
#[derive(Debug)]
pub(crate) struct ResolveError {
    name: String,
    source: io::Error,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.source)
    }
}

impl std::error::Error for ResolveError {}

impl CachedResolver {
    pub(crate) fn new(clock: Clock) -> CachedResolver {
        CachedResolver { clock, state: Mutex::new(State::new(ask_system)) }
    }
}

impl Resolver for CachedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or(ureq::Error::HostNotFound)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = match state.resolve(&name, *timeout.after, self.clock.now()) {
            Ok(addresses) => addresses,
            Err(Failure::Late) => return Err(ureq::Error::Timeout(timeout.reason)),
            Err(Failure::Said(source)) => {
                return Err(ureq::Error::Other(Box::new(ResolveError { name, source })));
            }
        };
        let mut list = self.empty();
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            list.push(address);
        }
        Ok(list)
    }
}

impl State {
    fn new(lookup: Lookup) -> State {
        State { lookup, known: None, pending: None }
    }

    /// Addresses of `host:port`, at least one.
    fn resolve(&mut self, name: &str, limit: Duration, now: Moment) -> Result<Vec<SocketAddr>, Failure> {
        // Addresses need no question.
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.known.as_ref().filter(|known| known.name == name);
        if let Some(known) = known.filter(|known| now.since(known.at) < ANSWER_LIFETIME) {
            return Ok(known.addresses.clone());
        }
        match self.ask(name, limit) {
            Ok(addresses) => {
                self.known = Some(Known { name: name.to_owned(), addresses: addresses.clone(), at: now });
                Ok(addresses)
            }
            Err(failure) => {
                let known = self.known.as_ref().filter(|known| known.name == name);
                known.map(|known| known.addresses.clone()).ok_or(failure)
            }
        }
    }

    /// Asks on a thread, or waits on for the answer to the same question asked before.
    fn ask(&mut self, name: &str, limit: Duration) -> Result<Vec<SocketAddr>, Failure> {
        let pending = match self.pending.take() {
            Some(pending) if pending.name == name => pending,
            _ => {
                let (sender, answer) = mpsc::sync_channel(1);
                let (lookup, asked) = (self.lookup, name.to_owned());
                let thread = std::thread::Builder::new().name("resolve".into());
                thread.spawn(move || sender.send(lookup(&asked)).ok()).map_err(Failure::Said)?;
                Pending { name: name.to_owned(), answer }
            }
        };
        match pending.answer.recv_timeout(limit) {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                Err(Failure::Said(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
            }
            Ok(answer) => answer.map_err(Failure::Said),
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(pending);
                Err(Failure::Late)
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failure::Said(io::Error::other("the question was given up")))
            }
        }
    }
}

fn ask_system(name: &str) -> io::Result<Vec<SocketAddr>> {
    name.to_socket_addrs().map(Iterator::collect)
}

impl fmt::Debug for CachedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedResolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU16, Ordering};

    const NAME: &str = "flow.example:443";
    const AMPLE: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000_000)
    }

    fn address(last: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], last))
    }

    #[test]
    fn a_name_is_asked_for_once_a_minute() {
        static ASKED: AtomicU16 = AtomicU16::new(0);
        let mut state = State::new(|_| Ok(vec![address(ASKED.fetch_add(1, Ordering::Relaxed))]));
        for (seconds, answer) in [(100, 0), (159, 0), (160, 1), (161, 1)] {
            assert_eq!(state.resolve(NAME, AMPLE, at(seconds)).unwrap(), [address(answer)]);
        }
        // Another name is another question.
        assert_eq!(state.resolve("other.example:443", AMPLE, at(161)).unwrap(), [address(2)]);
    }

    #[test]
    fn the_last_answer_holds_while_name_servers_fail() {
        static ASKED: AtomicU16 = AtomicU16::new(0);
        let mut state = State::new(|_| match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(vec![address(7)]),
            1 => Ok(Vec::new()),
            _ => Err(io::Error::other("no name server")),
        });
        for seconds in [0, 100, 200, 1_000_000] {
            assert_eq!(state.resolve(NAME, AMPLE, at(seconds)).unwrap(), [address(7)]);
        }
        let unknown = state.resolve("other.example:443", AMPLE, at(0));
        assert!(matches!(unknown, Err(Failure::Said(_))));
    }

    #[test]
    fn a_question_that_is_under_way_is_not_asked_again() {
        static ASKED: AtomicU16 = AtomicU16::new(0);
        static GATE: Mutex<()> = Mutex::new(());
        let closed = GATE.lock().unwrap();
        let mut state = State::new(|_| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            drop(GATE.lock());
            Ok(vec![address(7)])
        });
        for _ in 0..3 {
            let late = state.resolve(NAME, Duration::from_millis(5), at(0));
            assert!(matches!(late, Err(Failure::Late)));
        }
        drop(closed);
        assert_eq!(state.resolve(NAME, AMPLE, at(0)).unwrap(), [address(7)]);
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_address_needs_no_question() {
        let mut state = State::new(|name| panic!("{name} was asked for"));
        assert_eq!(state.resolve("192.0.2.1:443", AMPLE, at(0)).unwrap(), [address(443)]);
        assert_eq!(state.resolve("[::1]:80", AMPLE, at(0)).unwrap(), ["[::1]:80".parse().unwrap()]);
    }
}
