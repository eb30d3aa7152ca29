//! One request and its answer, bounded in time and size, over a connection that is kept open between requests.
//!
//! It knows nothing of flows and devices. Redirects are not followed, so that no header reaches another server.

use crate::clock::Clock;
use crate::early::EarlyAnswers;
use crate::error::Error;
use crate::outcome::{Cause, Phase, RetryAfter, Trouble, presentable, retry_after};
use crate::proxy::{ProxyConfig, ProxyEnvironment};
use crate::resolver::{CachedResolver, ResolveError};
use crate::tls::{self, TlsConfig};
use crate::url::Url;
use std::io::{self, Read};
use std::time::Duration;
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use ureq::unversioned::transport::{Connector, DefaultConnector};

/// How servers are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub timeouts: Timeouts,
    pub proxy: ProxyConfig,
    pub tls: TlsConfig,
    /// The program that sends, as `name/version`.
    pub user_agent: String,
}

impl Default for HttpConfig {
    /// The environment's proxy, the system's authorities.
    fn default() -> HttpConfig {
        HttpConfig {
            timeouts: Timeouts::default(),
            proxy: ProxyConfig::Environment(ProxyEnvironment::read()),
            tls: TlsConfig::default(),
            user_agent: concat!("wireflow/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// Longest times of the phases of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub resolve: Duration,
    /// TCP, proxy and TLS.
    pub connect: Duration,
    pub send: Duration,
    /// From the end of the request to the end of the answer's head.
    pub answer: Duration,
    /// The body of the answer.
    pub body: Duration,
    /// All of them together.
    pub whole: Duration,
    /// How long a connection without requests is kept open.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let seconds = Duration::from_secs;
        Timeouts {
            resolve: seconds(10),
            connect: seconds(15),
            send: seconds(30),
            answer: seconds(30),
            body: seconds(10),
            whole: seconds(60),
            idle: seconds(90),
        }
    }
}

/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Room for the part of a request that is written at once; a whole head has to fit.
const OUTPUT_BYTES: usize = 32 << 10;

/// What servers have in common; makes connections to them.
#[derive(Debug)]
pub(crate) struct Network {
    config: HttpConfig,
    user_agent: HeaderValue,
    /// Read when the first server needs it: plain http works on a system without authorities.
    tls: Option<ureq::tls::TlsConfig>,
}

impl Network {
    pub(crate) fn new(config: &HttpConfig) -> Result<Network, Error> {
        let user_agent = header("user agent", &config.user_agent)?;
        Ok(Network { config: config.clone(), user_agent, tls: None })
    }

    pub(crate) fn peer(&mut self, url: &Url) -> Result<Peer, Error> {
        let proxy = self.config.proxy.choose(url)?;
        let over_tls = url.is_https()
            || proxy.as_ref().is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        let mut builder = ureq::config::Config::builder();
        if over_tls {
            let loaded = match self.tls.take() {
                Some(loaded) => loaded,
                None => tls::load(&self.config.tls)?,
            };
            builder = builder.tls_config(self.tls.insert(loaded).clone());
        }
        let limits = &self.config.timeouts;
        let config = builder
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .timeout_resolve(Some(limits.resolve))
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.send))
            .timeout_send_body(Some(limits.send))
            .timeout_recv_response(Some(limits.answer))
            .timeout_recv_body(Some(limits.body))
            .timeout_global(Some(limits.whole))
            .max_idle_age(limits.idle)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_response_header_size(HEAD_BYTES_MAX)
            .output_buffer_size(OUTPUT_BYTES)
            .build();
        let resolver = CachedResolver::new(Clock::start());
        let connector = DefaultConnector::default().chain(EarlyAnswers);
        let agent = ureq::Agent::with_parts(config, connector, resolver);
        Ok(Peer { agent, user_agent: self.user_agent.clone() })
    }
}

/// A server, and the connection to it that is kept open.
#[derive(Debug)]
pub(crate) struct Peer {
    agent: ureq::Agent,
    user_agent: HeaderValue,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
    /// No more of it than was asked for.
    pub(crate) body: Vec<u8>,
    /// Why the body is not whole, if it is not.
    pub(crate) cut: Option<Trouble>,
}

/// Ends requests from another thread.
#[derive(Clone, Debug)]
pub struct Interrupter(Vec<ureq::Agent>);

impl Interrupter {
    pub(crate) fn of<'a>(peers: impl Iterator<Item = &'a Peer>) -> Interrupter {
        Interrupter(peers.map(|peer| peer.agent.clone()).collect())
    }

    /// Closes all connections: a request under way fails at once, as broken, and so does every later one. What is
    /// not interrupted is the resolution of a name and the making of a TCP connection; they have their time limits.
    pub fn interrupt(self) {
        for agent in self.0 {
            agent.shutdown();
        }
    }
}

impl Peer {
    /// Sends a request and reads at most `body_bytes_max` of the answer's body. `secret` is kept out of texts.
    pub(crate) fn call<B: ureq::AsSendBody>(
        &self,
        mut request: Request<B>,
        body_bytes_max: usize,
        secret: &str,
    ) -> Result<Answer, Trouble> {
        request.headers_mut().insert(HeaderName::from_static("user-agent"), self.user_agent.clone());
        let mut response = self.agent.run(request).map_err(|error| trouble(error, secret))?;
        let (body, cut) = read_body(&mut response, body_bytes_max, secret);
        let text = |name| header_text(response.headers(), name);
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after(text("retry-after"), text("date")),
            body,
            cut,
        })
    }
}

/// Reads to the end, which gives the connection back for the next request; or as far as limits of size and time
/// allow, which closes it.
fn read_body(response: &mut Response<ureq::Body>, max: usize, secret: &str) -> (Vec<u8>, Option<Trouble>) {
    let mut body = Vec::new();
    let read = response.body_mut().as_reader().take(max as u64 + 1).read_to_end(&mut body);
    let cut = match read {
        Err(error) => Some(trouble(error.into(), secret)),
        Ok(_) if body.len() > max => {
            let text = format!("the answer is longer than {max} bytes");
            Some(Trouble { cause: Cause::Malformed, text, retry_after: None })
        }
        Ok(_) => None,
    };
    body.truncate(max);
    (body, cut)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Makes a value of a header, or says which one cannot be.
pub(crate) fn header(name: &'static str, value: &str) -> Result<HeaderValue, Error> {
    if value.trim().is_empty() {
        return Err(Error::Header { name, what: "it is empty" });
    }
    HeaderValue::from_str(value)
        .map_err(|_| Error::Header { name, what: "it holds a line end or another control character" })
}

/// Sorts an error of ureq.
fn trouble(error: ureq::Error, secret: &str) -> Trouble {
    use ureq::Timeout as Limit;
    let (cause, text) = match error {
        ureq::Error::Timeout(limit) => {
            let phase = match limit {
                Limit::Resolve => Phase::Resolve,
                Limit::Connect => Phase::Connect,
                Limit::SendRequest | Limit::SendBody | Limit::PerWrite => Phase::Send,
                Limit::RecvResponse | Limit::Await100 => Phase::Answer,
                Limit::RecvBody | Limit::PerRead => Phase::Body,
                _ => Phase::Whole,
            };
            (Cause::Timeout(phase), String::new())
        }
        ureq::Error::HostNotFound => (Cause::Resolve, String::new()),
        ureq::Error::Other(error) => {
            let cause = if error.is::<ResolveError>() { Cause::Resolve } else { Cause::Malformed };
            (cause, error.to_string())
        }
        ureq::Error::ConnectProxyFailed(text) => (Cause::Proxy, text),
        ureq::Error::Rustls(error) => (Cause::Tls, tls::describe(&error)),
        ureq::Error::Tls(text) => (Cause::Tls, text.into()),
        ureq::Error::Io(error) => io_trouble(&error),
        error => (Cause::Malformed, error.to_string()),
    };
    Trouble { cause, text: presentable(&text, secret), retry_after: None }
}

fn io_trouble(error: &io::Error) -> (Cause, String) {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return (Cause::Tls, tls::describe(tls));
    }
    let cause = match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => Cause::Connect,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            return (Cause::Timeout(Phase::Whole), String::new());
        }
        _ => Cause::Broken,
    };
    (cause, error.to_string())
}
