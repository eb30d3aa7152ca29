//! Sends batches to receivers: one attempt a call. When and where to try again is the [policy](crate::retry)'s.

use crate::error::Error;
use crate::http::{Answer, HttpConfig, Interrupter, Network, Peer, header};
use crate::outcome::{Cause, Outcome, Trouble, presentable};
use crate::retry::EndpointId;
use crate::token::Token;
use crate::url::{Url, encode};
use kflow::body::ContentEncoding;
use std::fmt::Write;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request};

/// Who sends: the account at the receiver.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub email: String,
    pub token: Token,
}

/// The device that flows are said to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub company_id: u64,
    pub device_name: String,
    pub device_id: u32,
}

/// A message that is ready to be sent. Sending does not look into it.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Prefix and packed message, compressed as `encoding` says.
    pub body: &'a [u8],
    pub encoding: ContentEncoding,
    /// How many records the message holds, for counting.
    pub records: u64,
}

/// The name of a batch that stays the same however often it is sent. A receiver that knows it takes each batch once;
/// others do not look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchName<'a> {
    pub sensor: &'a str,
    /// Tells the sequences of one spool, or of one process without a spool, apart from those of another. Epochs have no
    /// order.
    pub epoch: u64,
    /// Counts batches within an epoch.
    pub sequence: u64,
}

/// The header of a [`BatchName`]: `sensor/epoch/sequence`, the sensor percent-encoded.
pub const BATCH_HEADER: &str = "x-kflow-batch";

const EMAIL_HEADER: HeaderName = HeaderName::from_static("x-ch-auth-email");
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-ch-auth-api-token");

/// Most of an answer that is read. Receivers say a word or two.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends to one or more receivers and keeps a connection to each.
#[derive(Debug)]
pub struct Client {
    endpoints: Vec<(Url, Peer)>,
    account: Account,
}

impl Client {
    /// `urls` are those of receivers (`https://flow.kentik.com/chf`), preferred ones first.
    ///
    /// # Errors
    /// A URL, the proxy, a certificate or a header's value cannot be used, or there is no URL. Nothing is connected
    /// to yet.
    pub fn new(urls: &[String], credentials: &Credentials, config: &HttpConfig) -> Result<Client, Error> {
        if urls.is_empty() {
            return Err(Error::Url { url: String::new(), what: "there is no URL" });
        }
        let mut network = Network::new(config)?;
        let mut endpoints = Vec::with_capacity(urls.len());
        for text in urls {
            let url = Url::parse(text)?;
            let peer = network.peer(&url)?;
            endpoints.push((url, peer));
        }
        Ok(Client { endpoints, account: Account::new(credentials)? })
    }

    /// How many receivers there are, for [`Policy::new`](crate::retry::Policy::new).
    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// The URL of a receiver, for messages.
    pub fn url(&self, EndpointId(index): EndpointId) -> &str {
        self.endpoints[index].0.as_str()
    }

    /// The URLs over which the token would go in the clear and leave this machine: worth a warning.
    pub fn plain_urls(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|(url, _)| url).filter(|url| url.is_exposed()).map(Url::as_str)
    }

    /// Lets another thread end a request that is under way, so that a stop does not wait for a server.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::of(self.endpoints.iter().map(|(_, peer)| peer))
    }

    /// Sends the batch to one receiver and waits for the answer, no longer than the time limits say.
    ///
    /// # Panics
    /// There is no such endpoint.
    pub fn send(
        &self,
        EndpointId(index): EndpointId,
        batch: &Batch<'_>,
        identity: &Identity,
        name: Option<&BatchName<'_>>,
    ) -> Outcome {
        let (url, peer) = &self.endpoints[index];
        let request = match self.request(url, batch, identity, name) {
            Ok(request) => request,
            Err(error) => {
                let text = presentable(&error.to_string(), self.account.secret());
                return Outcome::Failed(Trouble { cause: Cause::Malformed, text, retry_after: None });
            }
        };
        match peer.call(request, ANSWER_BYTES_MAX, self.account.secret()) {
            // The receiver has the batch. What else it says does not matter, nor whether it comes to an end.
            Ok(Answer { status: 200, .. }) => Outcome::Delivered,
            Ok(answer) => Outcome::Failed(self.account.refusal(&answer)),
            Err(trouble) => Outcome::Failed(trouble),
        }
    }

    fn request<'a>(
        &self,
        url: &Url,
        batch: &Batch<'a>,
        identity: &Identity,
        name: Option<&BatchName<'_>>,
    ) -> Result<Request<&'a [u8]>, ureq::http::Error> {
        let mut request = Request::post(send_url(url, identity)).body(batch.body)?;
        let headers = request.headers_mut();
        self.account.sign(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/binary"));
        let encoding = match batch.encoding {
            ContentEncoding::Gzip => Some("gzip"),
            ContentEncoding::Zstd => Some("zstd"),
            ContentEncoding::Identity => None,
        };
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(name) = name {
            headers.insert(HeaderName::from_static(BATCH_HEADER), name.header()?);
        }
        Ok(request)
    }
}

impl BatchName<'_> {
    fn header(&self) -> Result<HeaderValue, ureq::http::Error> {
        let mut text = String::new();
        encode(self.sensor, &mut text);
        let _ = write!(text, "/{}/{}", self.epoch, self.sequence);
        Ok(HeaderValue::from_str(&text)?)
    }
}

/// `url?sender_id=company%3Aname%3Adevice&sid=0`.
fn send_url(url: &Url, identity: &Identity) -> String {
    let mut sender = format!("{}:", identity.company_id);
    let _ = write!(sender, "{}:{}", identity.device_name, identity.device_id);
    let mut text = format!("{}?sender_id=", url.as_str());
    encode(&sender, &mut text);
    text.push_str("&sid=0");
    text
}

/// Credentials in the form in which requests carry them.
#[derive(Debug)]
pub(crate) struct Account {
    email: HeaderValue,
    token: Token,
}

impl Account {
    pub(crate) fn new(credentials: &Credentials) -> Result<Account, Error> {
        let email = header("e-mail address", &credentials.email)?;
        Ok(Account { email, token: credentials.token.clone() })
    }

    pub(crate) fn secret(&self) -> &str {
        self.token.expose()
    }

    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(EMAIL_HEADER, self.email.clone());
        let mut token =
            HeaderValue::from_str(self.secret()).expect("a token is visible ASCII: Token::new checks it");
        token.set_sensitive(true);
        headers.insert(TOKEN_HEADER, token);
    }

    /// An answer that is no success, in words.
    pub(crate) fn refusal(&self, answer: &Answer) -> Trouble {
        Trouble {
            cause: Cause::Status(answer.status),
            text: presentable(&error_text(&answer.body).unwrap_or_default(), self.secret()),
            retry_after: answer.retry_after,
        }
    }
}

/// The text of `{"error": "text"}`.
fn error_text(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(value.get("error")?.as_str()?.to_owned())
}
