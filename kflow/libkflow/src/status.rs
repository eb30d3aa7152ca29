//! `GET /v1/status`: what the sender has done, as JSON, for those who look after it. One thread, one connection at a time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::meter::{Meter, Meters};

const REQUEST_BYTES_MAX: usize = 4096;
/// Pieces that a request may come in.
const READS_MAX: usize = 8;
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct StatusServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_stopping: bool,
    /// The client that is being answered.
    client: Option<TcpStream>,
}

impl StatusServer {
    /// Listens at once, so that a port in use is an error here.
    pub fn start(
        host: &str,
        port: u16,
        meters: impl Fn() -> Meters + Send + 'static,
    ) -> io::Result<StatusServer> {
        let listener = TcpListener::bind((host, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("kflow-status".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if !of_thread.begin(stream.as_ref().ok()) {
                    return;
                }
                // A client that breaks off is its own affair.
                let _ = stream.and_then(|stream| answer(stream, &meters()));
                of_thread.lock().client = None;
            }
        })?;
        Ok(StatusServer { address, shared, thread: Some(thread) })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who is answered; false at the stop.
    fn begin(&self, client: Option<&TcpStream>) -> bool {
        let mut state = self.lock();
        state.client = client.and_then(|client| client.try_clone().ok());
        !state.is_stopping
    }
}

impl Drop for StatusServer {
    /// The port is free afterwards. A client that is slow is not waited for.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_stopping = true;
        if let Some(client) = state.client.take() {
            let _ = client.shutdown(Shutdown::Both);
        }
        drop(state);
        // The accept call ends with a connection. Without one the thread stays, which is better than a stop that hangs.
        if TcpStream::connect_timeout(&self.address, CLIENT_TIMEOUT).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, meters: &Meters) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut request = [0; REQUEST_BYTES_MAX];
    let length = read_head(&mut stream, &mut request)?;
    let (status, body) = route(&request[..length], meters);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len(),
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// Reads up to the empty line behind the headers, or as much as there is room for.
fn read_head(stream: &mut TcpStream, request: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    for _ in 0..READS_MAX {
        let received = stream.read(&mut request[length..])?;
        length += received;
        let is_whole = request[..length].windows(4).any(|end| end == b"\r\n\r\n");
        if received == 0 || length == request.len() || is_whole {
            break;
        }
    }
    Ok(length)
}

fn route(request: &[u8], meters: &Meters) -> (&'static str, String) {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    match (method, path) {
        (b"GET", b"/v1/status") => ("200 OK", document(meters).to_string() + "\n"),
        (b"GET", _) => ("404 Not Found", "{\"error\":\"there is /v1/status\"}\n".to_owned()),
        _ => ("405 Method Not Allowed", "{\"error\":\"only GET is answered\"}\n".to_owned()),
    }
}

fn document(meters: &Meters) -> Value {
    let of = |meter: &Meter| json!({ "count": meter.count, "1m.rate": meter.per_second_1m, "5m.rate": meter.per_second_5m });
    json!({ "flows-in": of(&meters.flows_in), "flows-out": of(&meters.flows_out) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Counts;

    fn ask(server: &StatusServer, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address).expect("the server listens");
        stream.write_all(request.as_bytes()).expect("a request goes out");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn the_status_has_counts_and_rates_and_the_port_is_free_afterwards() {
        let mut meters = Meters::default();
        meters.tick(&Counts { flows_in: 10, flows_out: 5, ..Counts::default() });
        let server = StatusServer::start("127.0.0.1", 0, move || meters).expect("a free port");
        let port = server.address.port();

        let answer = ask(&server, "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), "{head}");
        let expected = json!({
            "flows-in": { "count": 10, "1m.rate": 2.0, "5m.rate": 2.0 },
            "flows-out": { "count": 5, "1m.rate": 1.0, "5m.rate": 1.0 },
        });
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
        assert!(ask(&server, "GET /v1/statuses HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(&server, "POST /v1/status HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(StatusServer::start("127.0.0.1", port, Meters::default).is_err(), "the port is taken");

        // A client that says nothing does not hold up the stop.
        let silent = TcpStream::connect(server.address).expect("the server listens");
        drop(server);
        drop(silent);
        drop(StatusServer::start("127.0.0.1", port, Meters::default).expect("the port is free again"));
    }
}
