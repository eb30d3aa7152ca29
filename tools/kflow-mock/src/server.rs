//! The mock itself: a listener, its connections, what they share.

use crate::behaviour::Behaviour;
use crate::certificates::ServerTls;
use crate::connection;
use crate::devices::Device;
use crate::request::{Received, Route};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the mock knows and where it listens.
#[derive(Clone, Debug)]
pub struct MockConfig {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub email: String,
    pub token: String,
    pub devices: Vec<Device>,
    pub tls: Option<ServerTls>,
    pub batch_names: BatchNames,
}

/// What the mock makes of the names of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchNames {
    /// Nothing beyond their form, as receivers that do not know them.
    #[default]
    Ignore,
    /// A batch whose name was taken before is answered 200 and not taken again. The same name over another body is a
    /// fault.
    Remember,
}

impl Default for MockConfig {
    fn default() -> MockConfig {
        MockConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            email: "user@example.com".into(),
            token: "0123456789abcdef0123456789abcdef".into(),
            devices: vec![Device::default()],
            tls: None,
            batch_names: BatchNames::Ignore,
        }
    }
}

/// A running mock. It stops when it is dropped.
#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: MockConfig,
    state: Mutex<State>,
    /// Something in the state changed.
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) stopping: bool,
    pub(crate) devices: Vec<Device>,
    scripts: BTreeMap<Route, VecDeque<Behaviour>>,
    usual: BTreeMap<Route, Behaviour>,
    requests: Vec<Received>,
    /// The batches that were taken, and a digest of what was in each.
    pub(crate) taken: BTreeMap<String, u64>,
    accepted: usize,
    /// The connections that are open, by number.
    open: BTreeMap<usize, TcpStream>,
}

impl Mock {
    /// Starts to listen.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine.
    pub fn start(config: MockConfig) -> io::Result<Mock> {
        let listener = TcpListener::bind(config.listen)?;
        let address = listener.local_addr()?;
        let state = State { devices: config.devices.clone(), ..State::default() };
        let shared = Arc::new(Shared { config, state: Mutex::new(state), changed: Condvar::new() });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::Builder::new()
            .name("kflow-mock".into())
            .spawn(move || accept(&listener, &for_acceptor))?;
        Ok(Mock { address, shared, acceptor: Some(acceptor) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, or `https://localhost:port` with TLS.
    pub fn url(&self) -> String {
        match self.shared.config.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Where flows go.
    pub fn flow_url(&self) -> String {
        self.url() + "/chf"
    }

    /// The base of the device API.
    pub fn api_url(&self) -> String {
        self.url() + "/api/internal"
    }

    /// What happens to the next requests of a route, one after the other; then the usual again.
    pub fn script(&self, route: Route, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.shared.lock().scripts.entry(route).or_default().extend(behaviours);
    }

    /// What happens to requests of a route without a script; honest answers until this is called.
    pub fn usually(&self, route: Route, behaviour: Behaviour) {
        self.shared.lock().usual.insert(route, behaviour);
    }

    /// Changes what the service knows.
    pub fn change_devices(&self, change: impl FnOnce(&mut Vec<Device>)) {
        change(&mut self.shared.lock().devices);
    }

    /// All requests so far, in the order in which their reading ended.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().requests.clone()
    }

    /// Waits until there are `count` requests; fewer come back if they do not arrive in time.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> Vec<Received> {
        let state = self.shared.lock();
        let waited =
            self.shared.changed.wait_timeout_while(state, limit, |state| state.requests.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.requests.clone()
    }

    /// Waits until there is a request, or for as long, and takes those that there are away.
    pub fn take_requests(&self, limit: Duration) -> Vec<Received> {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, limit, |state| state.requests.is_empty());
        std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.requests)
    }

    /// How many batches were taken under a name of their own. None are if names are ignored.
    pub fn names_taken(&self) -> usize {
        self.shared.lock().taken.len()
    }

    /// What is wrong with any request so far.
    pub fn faults(&self) -> Vec<String> {
        self.shared.lock().requests.iter().flat_map(|request| request.faults.clone()).collect()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Closes all connections, as a server that is restarted does.
    pub fn close_connections(&self) {
        for stream in self.shared.lock().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        self.close_connections();
        // Wakes the acceptor, which then sees that the mock stops.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The behaviour for the next request of this route.
    pub(crate) fn behaviour(&self, route: Route) -> Behaviour {
        let mut state = self.lock();
        let scripted = state.scripts.get_mut(&route).and_then(VecDeque::pop_front);
        scripted.or_else(|| state.usual.get(&route).cloned()).unwrap_or(Behaviour::Honest)
    }

    pub(crate) fn keep(&self, request: Received) {
        self.lock().requests.push(request);
        self.changed.notify_all();
    }

    pub(crate) fn forget_connection(&self, number: usize) {
        self.lock().open.remove(&number);
    }

    /// Waits for as long, or until the mock stops, which it tells.
    pub(crate) fn pause(&self, limit: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut handlers = Vec::new();
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let number = {
            let mut state = shared.lock();
            if state.stopping {
                break;
            }
            let number = state.accepted;
            state.accepted += 1;
            if let Ok(stream) = stream.try_clone() {
                state.open.insert(number, stream);
            }
            number
        };
        let shared = Arc::clone(shared);
        handlers.push(std::thread::spawn(move || connection::serve(stream, number, &shared)));
    }
    for handler in handlers {
        let _ = handler.join();
    }
}
