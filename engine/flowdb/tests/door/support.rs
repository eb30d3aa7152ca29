//! Open doors on a data directory of their own, and a small client.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use flowdb::door::{Access, Doors, Secret, Settings};
use flowdb::{Config, Engine};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// A directory that is gone with the value.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("flowdb-door-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A file that nobody else can read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server in this process.
pub struct Server {
    pub doors: Doors,
    pub engine: Engine,
    _scratch: Scratch,
}

pub const INGEST: &str = "token-of-ingest";
pub const QUERY: &str = "token-of-query";
pub const EMAIL: &str = "ops@example.net";

/// Both doors, with tokens.
pub fn settings() -> Settings {
    Settings {
        http: Some("127.0.0.1:0".parse().unwrap()),
        postgres: Some("127.0.0.1:0".parse().unwrap()),
        access: Access {
            email: Some(EMAIL.to_owned()),
            ingest: Some(Secret::new(INGEST).unwrap()),
            query: Some(Secret::new(QUERY).unwrap()),
        },
        ..Settings::default()
    }
}

impl Server {
    pub async fn start(settings: Settings) -> Server {
        let scratch = Scratch::new();
        let engine = Engine::open(Config::new(scratch.0.join("data"))).await.unwrap();
        let doors = Doors::open(engine.clone(), settings).await.unwrap();
        Server { doors, engine, _scratch: scratch }
    }

    pub fn http(&self) -> SocketAddr {
        self.doors.http().unwrap()
    }

    pub async fn ask(&self, sql: &str) -> Answer {
        self.ask_as(sql, "", "application/json").await
    }

    pub async fn ask_as(&self, sql: &str, parameters: &str, accept: &str) -> Answer {
        let body = serde_json::json!({ "query": sql }).to_string();
        let headers = [("authorization", "Bearer token-of-query"), ("accept", accept)];
        call(self.http(), "POST", &format!("/api/v5/query/sql{parameters}"), &headers, body.into_bytes())
            .await
    }

    pub async fn stop(self) {
        self.doors.stop().await;
        self.engine.close().await.unwrap();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body came to its end as HTTP has it.
    pub is_whole: bool,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request over a connection of its own.
pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let mut stream = Body::new(response.into_body()).into_data_stream();
    let (mut body, mut is_whole) = (Vec::new(), true);
    while let Some(chunk) = futures::StreamExt::next(&mut stream).await {
        match chunk {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(_) => is_whole = false,
        }
    }
    driver.abort();
    Answer { status, headers, body, is_whole }
}

/// Waits until something is so, and fails if it is not within half a minute.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), waiting).await.is_ok(), "{what}");
}

/// A query that takes longer than any test: what ends it is something else.
pub const ENDLESS: &str =
    "SELECT sum(a.value * b.value) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";
