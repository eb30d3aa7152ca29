//! A small proxy that only tunnels, for tests of those who have to go through one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a client asked of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    pub method: String,
    /// `host:port`.
    pub target: String,
    /// The value of Proxy-Authorization.
    pub authorization: Option<String>,
    /// The whole head, to see that nothing else is in it.
    pub head: String,
}

/// A proxy on the loopback. It stops when it is dropped.
#[derive(Debug)]
pub struct MockProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The value that Proxy-Authorization must have.
    authorization: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    requests: Vec<ProxyRequest>,
    open: Vec<TcpStream>,
}

impl MockProxy {
    /// Tunnels for those who show this value of Proxy-Authorization, or for all. Whatever host is asked for, the
    /// tunnel ends at this port of the loopback.
    ///
    /// # Panics
    /// It cannot listen.
    pub fn start(authorization: Option<&str>) -> MockProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared =
            Arc::new(Shared { authorization: authorization.map(str::to_owned), state: Mutex::default() });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&for_acceptor.state).stopping {
                    break;
                }
                let shared = Arc::clone(&for_acceptor);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        MockProxy { address, shared, acceptor: Some(acceptor) }
    }

    /// `host:port` of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> Vec<ProxyRequest> {
        lock(&self.shared.state).requests.clone()
    }
}

impl Drop for MockProxy {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.stopping = true;
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, shared: &Shared) -> Option<()> {
    let request = read_request(&mut client)?;
    let allowed = shared.authorization.is_none() || shared.authorization == request.authorization;
    let is_connect = request.method == "CONNECT";
    let port = request.target.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    lock(&shared.state).requests.push(request);
    let refuse = |mut client: TcpStream, status: &str| {
        client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()
    };
    if !allowed {
        return refuse(client, "407 Proxy Authentication Required");
    }
    let (true, Some(port)) = (is_connect, port) else {
        return refuse(client, "405 Method Not Allowed");
    };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return refuse(client, "502 Bad Gateway");
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    {
        let mut state = lock(&shared.state);
        state.open.push(client.try_clone().ok()?);
        state.open.push(server.try_clone().ok()?);
    }
    let (mut to_server, mut from_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let upward = std::thread::spawn(move || pass_on(&mut from_client, &mut to_server));
    let (mut from_server, mut to_client) = (server, client);
    pass_on(&mut from_server, &mut to_client);
    upward.join().ok()
}

fn pass_on(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
}

fn read_request(client: &mut TcpStream) -> Option<ProxyRequest> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() > 16 << 10 || client.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    head.parse(&bytes).ok()?;
    let authorization = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("proxy-authorization"))
        .map(|header| String::from_utf8_lossy(header.value).into_owned());
    Some(ProxyRequest {
        method: head.method?.to_owned(),
        target: head.path?.to_owned(),
        authorization,
        head: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
