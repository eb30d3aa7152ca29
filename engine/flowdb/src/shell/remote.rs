//! A server as the shell asks it: `POST /api/v5/query/sql` for Arrow, with the report behind it.

use crate::door::Secret;
use crate::error::Error;
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamDecoder;
use futures::StreamExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A server's address and how it is talked to.
pub struct Remote {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    token: Option<Secret>,
}

/// Rows from a server. Dropping it closes the connection, which ends the query there.
pub struct Stream {
    body: axum::body::BodyDataStream,
    buffer: Buffer,
    decoder: StreamDecoder,
    report: Value,
    is_over: bool,
    _connection: Closing,
}

/// Ends a connection's task with its answer.
struct Closing(AbortHandle);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where distributions keep the authorities.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Answers that are no stream of rows.
const ANSWER_BYTES_MAX: usize = 16 << 20;

impl Remote {
    /// Nothing is connected to yet.
    ///
    /// Errors: the URL is not one of http or https; there are no authorities to trust.
    pub fn new(url: &str, token: Option<Secret>, ca: Option<&Path>) -> Result<Remote, Error> {
        let refuse = |what: &str| Error::Config(format!("{url}: {what}"));
        let uri: Uri = url.parse().map_err(|_| refuse("this is no URL"))?;
        let host = uri.host().ok_or_else(|| refuse("there is no host in it"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it begins with neither http:// nor https://")),
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let tls = is_https.then(|| connector(ca)).transpose()?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Remote { host, port, tls, token })
    }

    pub fn describe(&self) -> String {
        format!("server {}:{}{}", self.host, self.port, if self.tls.is_some() { " over TLS" } else { "" })
    }

    pub async fn ask(&self, sql: &str) -> Result<Stream, Error> {
        let body = json!({ "query": sql }).to_string();
        let accept = "application/vnd.apache.arrow.stream";
        let path = "/api/v5/query/sql?report=trailing";
        let (response, connection) = self.call(Method::POST, path, accept, body).await?;
        let status = response.status();
        let body = axum::body::Body::new(response.into_body());
        if status != StatusCode::OK {
            let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
            return Err(refusal(status, &bytes));
        }
        Ok(Stream {
            body: body.into_data_stream(),
            buffer: Buffer::from(Vec::<u8>::new()),
            decoder: StreamDecoder::new(),
            report: Value::Null,
            is_over: false,
            _connection: connection,
        })
    }

    /// Names of the devices' tables.
    pub async fn tables(&self) -> Result<Vec<String>, Error> {
        let (response, _connection) =
            self.call(Method::GET, "/api/v5/devices", "application/json", String::new()).await?;
        let status = response.status();
        let body = axum::body::Body::new(response.into_body());
        let bytes =
            axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|error| self.failed(&error))?;
        if status != StatusCode::OK {
            return Err(refusal(status, &bytes));
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| self.failed(&error))?;
        let devices = value["devices"].as_array().into_iter().flatten();
        Ok(devices.filter_map(|device| device["table"].as_str()).map(str::to_owned).collect())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: String,
    ) -> Result<(axum::http::Response<Incoming>, Closing), Error> {
        let mut request = Request::new(axum::body::Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("paths are ours");
        let headers = request.headers_mut();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let host =
            HeaderValue::from_str(&format!("{host}:{}", self.port)).map_err(|error| self.failed(&error))?;
        headers.insert(header::HOST, host);
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            let bearer = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value = HeaderValue::from_str(&bearer).expect("a token is visible ASCII");
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let socket =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| self.failed(&error))?;
        match &self.tls {
            None => self.exchange(socket, request).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|error| self.failed(&error))?;
                let stream = tls.connect(name, socket).await.map_err(|error| self.failed(&error))?;
                self.exchange(stream, request).await
            }
        }
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: Request<axum::body::Body>,
    ) -> Result<(axum::http::Response<Incoming>, Closing), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(&error))?;
        let closing = Closing(tokio::spawn(connection).abort_handle());
        let response = sender.send_request(request).await.map_err(|error| self.failed(&error))?;
        Ok((response, closing))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Query(format!("{}:{}: {error}", self.host, self.port))
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl Stream {
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        while !self.is_over {
            if self.buffer.is_empty() {
                match self.body.next().await {
                    Some(Ok(bytes)) => self.buffer = Buffer::from(bytes),
                    Some(Err(error)) => return Err(Error::Query(format!("the answer broke off: {error}"))),
                    None => return Err(Error::Query("the answer broke off".to_owned())),
                }
            }
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {}
                // Behind the stream's end is the report.
                Err(_) if self.decoder.finish().is_ok() => self.read_tail().await?,
                Err(error) => return Err(Error::Query(format!("the answer is no Arrow: {error}"))),
            }
        }
        Ok(None)
    }

    async fn read_tail(&mut self) -> Result<(), Error> {
        let mut tail = self.buffer.as_slice().to_vec();
        while let Some(Ok(bytes)) = self.body.next().await {
            tail.extend_from_slice(&bytes);
        }
        self.is_over = true;
        let tail: Value =
            serde_json::from_slice(&tail).map_err(|_| Error::Query("the answer has no report".to_owned()))?;
        self.report = tail["report"].clone();
        match tail["error"].as_str() {
            Some(error) => Err(Error::Query(error.to_owned())),
            None => Ok(()),
        }
    }

    pub fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    pub fn report(&self) -> &Value {
        &self.report
    }
}

/// What a server says of a request that it refuses.
fn refusal(status: StatusCode, body: &Bytes) -> Error {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match value["error"].as_str() {
        Some(what) if status == StatusCode::BAD_REQUEST => Error::Query(what.to_owned()),
        Some(what) => Error::Query(format!("{what} ({status})")),
        None => Error::Query(format!("the server says {status}")),
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector, Error> {
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let system = || SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned);
    let path = ca.map(Path::to_owned).or(named).or_else(system);
    let path = path.ok_or_else(|| {
        Error::Config("there are no certificate authorities: name a file with --ca".to_owned())
    })?;
    let failed = |what: &dyn std::fmt::Display| Error::Config(format!("{}: {what}", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&error))?;
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(failed(&"there is no certificate authority in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
