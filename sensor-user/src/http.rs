//! The metrics server: three GET paths on one thread, one connection at a time.
//!
//! Small on purpose: it answers scrapers on loopback. A silent client costs it two seconds, one that
//! dribbles eight times that at most, a large request four kilobytes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const REQUEST_BYTES_MAX: usize = 4096;
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
const HEADERS_MAX: usize = 32;
/// Pieces that a request may come in.
const READS_MAX: usize = 8;

/// What the server shows; called for each request.
pub trait Pages: Send + 'static {
    /// The exposition in OpenMetrics text.
    fn metrics(&self) -> String;

    /// The same in the older Prometheus text format (0.0.4), for clients that do not ask for OpenMetrics.
    fn metrics_prometheus(&self) -> String;

    /// Whether the sensor is receiving: it has started and its interface is there.
    fn is_ready(&self) -> bool;
}

#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl MetricsServer {
    /// Listens at once, so that a port in use is an error of the start.
    pub fn start(listen: SocketAddr, pages: impl Pages) -> io::Result<MetricsServer> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stop_of_thread = stop.clone();
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if stop_of_thread.load(Ordering::Acquire) {
                    return;
                }
                // A client that breaks off is its own affair.
                let _ = stream.and_then(|stream| answer(stream, &pages));
            }
        })?;
        Ok(MetricsServer { address, stop, thread })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // The accept call ends with a connection.
        let _ = TcpStream::connect_timeout(&self.address, CLIENT_TIMEOUT);
        if self.thread.join().is_err() {
            tracing::error!("the metrics server panicked");
        }
    }
}

struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn answer(mut stream: TcpStream, pages: &impl Pages) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut request = [0; REQUEST_BYTES_MAX];
    let length = read_head(&mut stream, &mut request)?;
    let Answer { status, content_type, body } = route(&request[..length], pages);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len(),
    )?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

/// Reads up to the empty line behind the headers, or as much as there is room for.
fn read_head(stream: &mut TcpStream, request: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    for _ in 0..READS_MAX {
        let received = stream.read(&mut request[length..])?;
        length += received;
        if received == 0
            || length == request.len()
            || request[..length].windows(4).any(|end| end == b"\r\n\r\n")
        {
            break;
        }
    }
    Ok(length)
}

fn route(request: &[u8], pages: &impl Pages) -> Answer {
    let text = |status, body: &str| Answer { status, content_type: TEXT, body: body.to_owned() };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    if !matches!(head.parse(request), Ok(httparse::Status::Complete(_))) {
        return text("400 Bad Request", "not an HTTP request\n");
    }
    if head.method != Some("GET") {
        return text("405 Method Not Allowed", "only GET is answered\n");
    }
    let path = head.path.unwrap_or("/").split('?').next().unwrap_or("/");
    match path {
        "/metrics" if accepts_open_metrics(head.headers) => {
            Answer { status: "200 OK", content_type: OPEN_METRICS, body: pages.metrics() }
        }
        "/metrics" => Answer { status: "200 OK", content_type: PROMETHEUS, body: pages.metrics_prometheus() },
        "/livez" => text("200 OK", "alive\n"),
        "/readyz" if pages.is_ready() => text("200 OK", "ready\n"),
        "/readyz" => text("503 Service Unavailable", "not capturing\n"),
        "/" => text("200 OK", "flow sensor: /metrics /livez /readyz\n"),
        _ => text("404 Not Found", "there is /metrics, /livez and /readyz\n"),
    }
}

fn accepts_open_metrics(headers: &[httparse::Header<'_>]) -> bool {
    const WANTED: &[u8] = b"application/openmetrics-text";
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("accept"))
        .any(|header| header.value.windows(WANTED.len()).any(|part| part == WANTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Pages for Fixed {
        fn metrics(&self) -> String {
            "# EOF\n".to_owned()
        }

        fn metrics_prometheus(&self) -> String {
            "old 1\n".to_owned()
        }

        fn is_ready(&self) -> bool {
            false
        }
    }

    fn ask(server: &MetricsServer, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(server.address()).expect("the server listens");
        stream.write_all(request).expect("a request goes out");
        stream.shutdown(std::net::Shutdown::Write).expect("half a close");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn server_answers_its_paths_and_survives_nonsense() {
        let server = MetricsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), Fixed).expect("a free port");
        assert!(ask(&server, b"GET /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\nold 1\n"));
        let open_metrics =
            b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n";
        assert!(ask(&server, open_metrics).ends_with("\r\n\r\n# EOF\n"));
        assert!(ask(&server, b"GET /livez?x HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(ask(&server, b"GET /readyz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503"));
        assert!(ask(&server, b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(ask(&server, b"\x16\x03\x01nonsense").starts_with("HTTP/1.1 400"));
        assert!(ask(&server, &[b'x'; 9000][..4096]).starts_with("HTTP/1.1 400"));
        assert!(ask(&server, b"GET /else HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        server.stop();
    }

    #[test]
    fn port_in_use_is_an_error_at_start() {
        let first = MetricsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), Fixed).expect("a free port");
        let error = MetricsServer::start(first.address(), Fixed).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        first.stop();
    }
}
