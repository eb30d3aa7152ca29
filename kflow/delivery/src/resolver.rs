//! Names to addresses, for one server: asked again once a minute, not with every request; and when the name servers
//! do not answer, what they said last still holds.
//!
//! The system's resolver blocks for as long as it likes, so it is asked on a thread; there is never more than one.

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

#[derive(Default)]
struct State {
    known: Option<Known>,
    /// A question that was not answered in time.
    pending: Option<Pending>,
}

struct Known {
    name: String,
    addresses: Vec<SocketAddr>,
    at: Moment,
}

struct Pending {
    name: String,
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
}

/// The name has no address, or nobody answered.
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
        CachedResolver { clock, state: Mutex::default() }
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
        // Addresses need no question.
        if let Ok(address) = name.parse() {
            return Ok(self.listed(&[address]));
        }
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.known.as_ref().filter(|known| known.name == name);
        if let Some(known) = known.filter(|known| now.since(known.at) < ANSWER_LIFETIME) {
            return Ok(self.listed(&known.addresses));
        }
        match state.ask(&name, timeout, system_lookup) {
            Ok(addresses) => {
                let listed = self.listed(&addresses);
                state.known = Some(Known { name, addresses, at: now });
                Ok(listed)
            }
            Err(error) => match state.known.as_ref().filter(|known| known.name == name) {
                Some(known) => Ok(self.listed(&known.addresses)),
                None => Err(error),
            },
        }
    }
}

impl CachedResolver {
    fn listed(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut list = self.empty();
        for address in addresses.iter().take(ADDRESSES_MAX) {
            list.push(*address);
        }
        list
    }
}

impl State {
    /// Asks `lookup` on a thread, or waits on for the answer to the same question asked before.
    fn ask(
        &mut self,
        name: &str,
        timeout: NextTimeout,
        lookup: fn(&str) -> io::Result<Vec<SocketAddr>>,
    ) -> Result<Vec<SocketAddr>, ureq::Error> {
        let pending = match self.pending.take() {
            Some(pending) if pending.name == name => pending,
            _ => {
                let (sender, answer) = mpsc::sync_channel(1);
                let asked = name.to_owned();
                std::thread::Builder::new()
                    .name("resolve".into())
                    .spawn(move || sender.send(lookup(&asked)).ok())?;
                Pending { name: name.to_owned(), answer }
            }
        };
        let failed = |source| ureq::Error::Other(Box::new(ResolveError { name: name.to_owned(), source }));
        match pending.answer.recv_timeout(*timeout.after) {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
            }
            Ok(answer) => answer.map_err(failed),
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(pending);
                Err(ureq::Error::Timeout(timeout.reason))
            }
            Err(RecvTimeoutError::Disconnected) => Err(failed(io::Error::other("the lookup was given up"))),
        }
    }
}

fn system_lookup(name: &str) -> io::Result<Vec<SocketAddr>> {
    name.to_socket_addrs().map(Iterator::collect)
}

impl fmt::Debug for CachedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedResolver").finish_non_exhaustive()
    }
}
